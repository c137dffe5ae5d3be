//! Reading a ring buffer through the memory that the kernel shares.
//!
//! libbpf has a reader, too, which calls back into Rust for every event, tells the kernel of every one, and looks for the next
//! one only then. Here a batch is copied out word by word, of each event as much as somebody looks at, events of one
//! length in one go, and the kernel is told once.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// How many events wait; what is still being written and what comes after it do not.
    pub(super) fn waiting(&self) -> u64 {
        let Positions { read: mut at, written } = self.positions();
        let data = self.shared.words().get(self.first..).unwrap_or_default();
        let mut events = 0;
        while at < written {
            let place = usize::try_from(at & (self.size - 1)).unwrap_or(usize::MAX) / WORD;
            let Some(mark) = data.get(place).map(mark).filter(|mark| mark & BUSY == 0) else { break };
            events += u64::from(mark & DISCARDED == 0);
            let words = 1 + ((mark & !DISCARDED) as usize).div_ceil(WORD);
            at += (words * WORD) as u64;
        }
        events
    }

    /// Adds events that can be read to `records` until there are `most`, of each the beginning.
    pub(super) fn read(&mut self, most: usize, needs: usize, records: &mut Records) {
        let Positions { read: mut at, written } = self.positions();
        let data = self.shared.words().get(self.first..).unwrap_or_default();
        while at < written && records.len() < most {
            let place = usize::try_from(at & (self.size - 1)).unwrap_or(usize::MAX) / WORD;
            let Some((from, first)) = data.get(place..).and_then(|from| Some((from, mark(from.first()?))))
            else {
                break;
            };
            if first & BUSY != 0 {
                break;
            }
            let bytes = (first & !DISCARDED) as usize;
            let words = 1 + bytes.div_ceil(WORD);
            let whole = usize::try_from(written - at).unwrap_or(usize::MAX) / (words * WORD);
            let taken = if first & DISCARDED == 0 {
                let most = whole.min(most - records.len());
                run(from.chunks_exact(words).take(most), first, bytes.min(needs), records)
            } else {
                1
            };
            at += (taken * words * WORD) as u64;
            if taken == 0 {
                break;
            }
        }
        self.reader.set(at);
    }
}

/// The first four bytes before an event. What was written before the mark went away is there then.
#[inline]
fn mark(header: &AtomicU64) -> u32 {
    header.load(Ordering::Acquire).to_ne_bytes().first_chunk().map_or(BUSY, |mark| u32::from_ne_bytes(*mark))
}

/// Adds events as long as their mark is that of the first; how many. Where the next event is does not depend on what is
/// read of this one as long as all have one length, so that the processor reads several at once.
#[inline]
fn run<'m>(
    events: impl Iterator<Item = &'m [AtomicU64]>,
    first: u32,
    bytes: usize,
    records: &mut Records,
) -> usize {
    let events = events.map_while(|event| {
        let (header, event) = event.split_first()?;
        (mark(header) == first).then_some(event)
    });
    match bytes.div_ceil(WORD) {
        0 => records.push_rows(events.map(|_| []), bytes),
        1 => records.push_rows(events.map(load::<1>), bytes),
        2 => records.push_rows(events.map(load::<2>), bytes),
        3 => records.push_rows(events.map(load::<3>), bytes),
        4 => records.push_rows(events.map(load::<4>), bytes),
        words => {
            let before = records.len();
            for event in events {
                let words = event.get(..words).unwrap_or_default();
                records.push_words(words.iter().map(|word| word.load(Ordering::Relaxed)), bytes);
            }
            records.len() - before
        }
    }
}

/// The first words of an event.
#[inline]
fn load<const WORDS: usize>(event: &[AtomicU64]) -> [u64; WORDS] {
    std::array::from_fn(|word| event.get(word).map_or(0, |word| word.load(Ordering::Relaxed)))
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
