//! Reading a ring buffer through the memory that the kernel shares.
//!
//! libbpf has a reader, too, which calls back into Rust for every event and tells the kernel of every one. Here a batch is
//! copied out word by word, of each event as much as somebody looks at, and the kernel is told once.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use super::mapping::{Place, Window};
use crate::snapshot::Records;

const WORD: usize = size_of::<u64>();

/// In the first four bytes before an event, beside its length: it is still being written.
const BUSY: u32 = 1 << 31;

/// It was given up.
const DISCARDED: u32 = 1 << 30;

/// Where the reader and the writers are, in bytes since the buffer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    pub(super) read: u64,
    pub(super) written: u64,
}

/// The reading end of a ring buffer.
pub(super) struct Ring {
    /// How far it was read, which the kernel looks at.
    reader: Place,
    /// A page with how far it was written, then all of its bytes, and all of them again, so that no event is cut.
    shared: Window,
    /// Words before its bytes.
    first: usize,
    size: u64,
}

impl Ring {
    /// Maps a ring buffer of so many bytes.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn open(map: BorrowedFd<'_>, size: u32) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let bytes = (size as usize).checked_mul(2).and_then(|twice| twice.checked_add(page));
        let bytes = bytes.filter(|_| size.is_power_of_two()).ok_or(io::ErrorKind::InvalidInput)?;
        let reader = Place::open(map, page / WORD)?;
        let shared = Window::open(map, page as u64, bytes / WORD)?;
        Ok(Self { reader, shared, first: page / WORD, size: size.into() })
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where the reader and the writers are.
    pub(super) fn positions(&self) -> Positions {
        let written = self.shared.words().first().map_or(0, |written| written.load(Ordering::Acquire));
        Positions { read: self.reader.get(), written }
    }

    /// Adds events that can be read to `records` until there are `most`, of each the beginning.
    pub(super) fn read(&mut self, most: usize, needs: usize, records: &mut Records) {
        let Positions { read: mut at, written } = self.positions();
        let data = self.shared.words().get(self.first..).unwrap_or_default();
        while at < written && records.len() < most {
            let place = usize::try_from(at & (self.size - 1)).unwrap_or(usize::MAX) / WORD;
            let Some((header, event)) = data.get(place..).and_then(|from| from.split_first()) else { break };
            // What was written before the mark went away is there then.
            let header = header.load(Ordering::Acquire).to_ne_bytes();
            let length = header.first_chunk().map_or(BUSY, |length| u32::from_ne_bytes(*length));
            if length & BUSY != 0 {
                break;
            }
            let bytes = (length & !DISCARDED) as usize;
            if length & DISCARDED == 0 {
                let copied = bytes.min(needs);
                let words = event.get(..copied.div_ceil(WORD)).unwrap_or_default();
                records.push_words(words.iter().map(|word| word.load(Ordering::Relaxed)), copied);
            }
            at += (bytes + WORD).next_multiple_of(WORD) as u64;
        }
        self.reader.set(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_no_ring_has_is_refused() {
        let nothing = std::fs::File::open("/dev/null").unwrap();
        for size in [0, 4095, 12_288] {
            let error = Ring::open(std::os::fd::AsFd::as_fd(&nothing), size).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{size}");
        }
    }
}
