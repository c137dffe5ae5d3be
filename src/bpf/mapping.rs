//! A window onto an array's memory, where the kernel lets it be mapped.
#![expect(unsafe_code, reason = "memory that the kernel shares with us")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Some bytes of an array, mapped for reading as long as this lives.
pub(super) struct Window {
    start: NonNull<AtomicU64>,
    words: usize,
}

impl Window {
    /// Maps whole words from a place on, which is the first byte of a page.
    ///
    /// # Errors
    /// What the kernel answered: it maps arrays with `BPF_F_MMAPABLE` alone, and none with locks or timers in its values.
    pub(super) fn open(map: BorrowedFd<'_>, offset: u64, words: usize) -> io::Result<Self> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let offset = libc::off_t::try_from(offset).map_err(invalid)?;
        let bytes = words.checked_mul(size_of::<u64>()).filter(|bytes| *bytes > 0);
        let bytes = bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        // SAFETY: a new mapping at a place that the kernel chooses touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        Ok(Self { start, words })
    }

    /// The words. Programs write them meanwhile, so each is to be loaded with `Relaxed` and nothing else.
    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins with a page, so words are aligned; the kernel maps so many bytes only
        // where the array has them, and they stay until `self` is dropped. Atomics may be written by
        // others, and relaxed loads of their size do not write.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}
