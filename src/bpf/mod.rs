//! The only hands in the kernel: load, attach, read.
