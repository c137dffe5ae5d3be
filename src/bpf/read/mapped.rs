//! Arrays whose memory can be mapped: read without a system call for each entry.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use crate::bpf::mapping::Window;
use crate::elf::MapKind;
use crate::snapshot::{Limits, ReadError, ReadStatistics};

use super::batch::{grow, hand_over};
use super::{MapSource, Push, Scratch, in_time, refused};

const OPERATION: &str = "mapping the array's memory";

/// For fewer entries a batch costs less than a mapping.
const WORTH_IT: u32 = 64;

const WORD: usize = size_of::<u64>();

/// Bytes from one value to the next.
fn stride(source: &MapSource) -> usize {
    source.shape.value_size.next_multiple_of(WORD)
}

/// Whether a map can be read like this, and it pays.
pub(super) fn is_possible(source: &MapSource) -> bool {
    source.kind == MapKind::ARRAY
        && source.max_entries >= WORTH_IT
        && source.shape.key_size == size_of::<u32>()
        && source.shape.value_size > 0
        && Window::open(source.map.as_fd(), 0, stride(source) / WORD).is_ok()
}

/// Reads all entries. Only what is copied at once is mapped, since mapped pages count as resident.
pub(super) fn read(
    source: &MapSource,
    limits: &Limits,
    scratch: &mut Scratch,
    push: Push<'_>,
) -> Result<ReadStatistics, ReadError> {
    let failed = |error: io::Error| refused(OPERATION, &error);
    let rows = source.rows();
    let (key, value) = source.entry();
    grow(&mut scratch.keys, rows, key).map_err(failed)?;
    grow(&mut scratch.values, rows, value).map_err(failed)?;
    let mut first = 0;
    while first < source.max_entries as usize {
        in_time(limits)?;
        let count = rows.min(source.max_entries as usize - first);
        copy(source, first, count, scratch).map_err(failed)?;
        hand_over(source, scratch, count, push)?;
        first += count;
    }
    Ok(ReadStatistics { entries: u64::from(source.max_entries), vanished: 0, epoch: 0 })
}

/// Copies some entries to the buffers.
fn copy(source: &MapSource, first: usize, count: usize, scratch: &mut Scratch) -> io::Result<()> {
    let (value, stride) = (source.shape.value_size, stride(source));
    let start = first * stride;
    let page = rustix::param::page_size();
    let skipped = start % page;
    let window =
        Window::open(source.map.as_fd(), (start - skipped) as u64, (skipped + count * stride) / WORD)?;
    let words = window.words().get(skipped / WORD..).unwrap_or_default();
    let load = |word: &std::sync::atomic::AtomicU64| word.load(Ordering::Relaxed).to_ne_bytes();
    if value == stride {
        for (word, to) in words.iter().zip(scratch.values.as_chunks_mut::<WORD>().0) {
            *to = load(word);
        }
    } else {
        let values = scratch.values.chunks_exact_mut(value);
        for (words, to) in words.chunks_exact(stride / WORD).zip(values) {
            for (word, to) in words.iter().zip(to.chunks_mut(WORD)) {
                for (to, byte) in to.iter_mut().zip(load(word)) {
                    *to = byte;
                }
            }
        }
    }
    for (key, number) in
        scratch.keys.as_chunks_mut().0.iter_mut().zip((first..first + count).map(|n| n as u32))
    {
        *key = number.to_ne_bytes();
    }
    Ok(())
}
