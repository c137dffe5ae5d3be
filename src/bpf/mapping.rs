//! A window onto an array's memory, where the kernel lets it be mapped.
#![expect(unsafe_code, reason = "memory that the kernel shares with us")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Some bytes of an array, mapped as long as this lives.
pub(super) struct Window {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and all access to it is atomic.
unsafe impl Send for Window {}

impl Window {
    /// Maps whole words from a place on, which is the first byte of a page.
    ///
    /// # Errors
    /// What the kernel answered: it maps arrays with `BPF_F_MMAPABLE` alone, and none with locks or timers in its values.
    pub(super) fn open(map: BorrowedFd<'_>, offset: u64, words: usize) -> io::Result<Self> {
        Self::map(map, offset, words, Access::Read)
    }

    fn map(map: BorrowedFd<'_>, offset: u64, words: usize, access: Access) -> io::Result<Self> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let offset = libc::off_t::try_from(offset).map_err(invalid)?;
        let bytes = words.checked_mul(size_of::<u64>()).filter(|bytes| *bytes > 0);
        let bytes = bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::Write => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: a new mapping at a place that the kernel chooses touches no memory of ours.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, map.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        Ok(Self { start, words })
    }

    /// The words. Programs write them meanwhile, so each is to be loaded and nothing else.
    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins with a page, so words are aligned; the kernel maps so many bytes only
        // where the array has them, and they stay until `self` is dropped. Atomics may be written by
        // others, and loads of their size do not write; only a `Desk` and a `Place`, which are mapped for
        // writing, do.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

/// The beginning of an array, mapped so that it can be changed under the programs that use it.
pub(super) struct Desk(Window);

impl Desk {
    /// Maps so many bytes from the first one on.
    ///
    /// # Errors
    /// As [`Window::open`]; constants, which the kernel froze, are never mapped for this.
    pub(super) fn open(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Window::map(map, 0, bytes.div_ceil(size_of::<u64>()), Access::Write).map(Self)
    }

    /// Whether so many bytes from a place on are there.
    pub(super) fn has(&self, offset: usize, bytes: usize) -> bool {
        offset.checked_add(bytes).is_some_and(|end| end <= self.0.words.saturating_mul(size_of::<u64>()))
    }

    /// Sets the bits that a mask names, of so many bytes from a place on. What lies beside them keeps what programs
    /// write there meanwhile: each word is exchanged only while it is as it was read.
    pub(super) fn set(&self, offset: usize, bytes: &[u8], mask: &[u8]) {
        const WORD: usize = size_of::<u64>();
        let words = self.0.words();
        let mut done = 0;
        while done < bytes.len() {
            let (word, inside) = ((offset + done) / WORD, (offset + done) % WORD);
            let count = (WORD - inside).min(bytes.len() - done);
            let (mut new, mut own) = ([0; WORD], [0; WORD]);
            for (index, place) in (inside..inside + count).enumerate() {
                let mask = mask.get(done + index).copied().unwrap_or(0);
                own[place] = mask;
                new[place] = bytes[done + index] & mask;
            }
            let (new, own) = (u64::from_ne_bytes(new), u64::from_ne_bytes(own));
            if let Some(word) = words.get(word) {
                let change = |old: u64| Some((old & !own) | new);
                // The closure never gives up.
                let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
            }
            done += count;
        }
    }
}

/// A number that we alone change and the kernel looks at: how far a ring buffer was read.
pub(super) struct Place(Window);

impl Place {
    /// Maps the first page of a ring buffer, which begins with it.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn open(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        Window::map(map, 0, words, Access::Write).map(Self)
    }

    /// What it is.
    pub(super) fn get(&self) -> u64 {
        self.0.words().first().map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// Changes it, when everything before it was done.
    pub(super) fn set(&mut self, place: u64) {
        if let Some(word) = self.0.words().first() {
            word.store(place, Ordering::Release);
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}
