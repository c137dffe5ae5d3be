//! Tables made from the kernel's headers.

pub(super) mod syscalls;
