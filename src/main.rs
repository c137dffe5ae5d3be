//! The command `bpftally`.

fn main() {}
