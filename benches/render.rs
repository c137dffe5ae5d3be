//! Rendering, measured without a kernel.

fn main() {}
