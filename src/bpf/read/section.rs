//! Variables: parts of the map that libbpf makes of a data section.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::bpf::mapping::Window;
use crate::bpf::raw;
use crate::snapshot::{Area, Batch, Limits, ReadError, ReadStatistics, Shape, Source};

use super::batch::grow;
use super::{BATCH_BYTES, MapSource, Push, Scratch, in_time, refused, with_scratches};

const WORD: usize = size_of::<u64>();
const KEY: usize = size_of::<u32>();

/// A part of a map with one entry.
#[derive(Debug)]
struct Part {
    map: Arc<OwnedFd>,
    /// Bytes of the map's value.
    whole: usize,
    area: Area,
    shape: Shape,
    /// Whether its memory can be mapped; else the whole value is looked up.
    is_mapped: bool,
}

/// The part as a source; none when the map is none with one entry, or ends before.
pub(super) fn part(source: &MapSource, area: Area) -> Option<Arc<dyn Source>> {
    let whole = source.shape.value_size;
    let area = area.within(whole).filter(|_| source.is_section())?;
    let shape = Shape { key_size: KEY, value_size: area.size, lanes: area.lanes, lane_stride: area.size };
    let map = Arc::clone(&source.map);
    let is_mapped = Window::open(map.as_fd(), 0, 1).is_ok();
    Some(Arc::new(Part { map, whole, area, shape, is_mapped }))
}

impl Part {
    /// Bytes of an entry.
    fn row(&self) -> usize {
        self.area.size * self.area.lanes
    }

    fn read_with(
        &self,
        limits: &Limits,
        scratch: &mut Scratch,
        push: Push<'_>,
    ) -> Result<ReadStatistics, ReadError> {
        let row = self.row();
        let most = (BATCH_BYTES / row).clamp(1, self.area.rows);
        grow(&mut scratch.keys, most, KEY).map_err(|error| refused("reading a variable", &error))?;
        let mut first = 0;
        while first < self.area.rows {
            in_time(limits)?;
            let rows = most.min(self.area.rows - first);
            for (key, number) in
                scratch.keys.as_chunks_mut().0.iter_mut().zip((first..first + rows).map(|n| n as u32))
            {
                *key = number.to_ne_bytes();
            }
            let Scratch { keys, values, .. } = &mut *scratch;
            let values = self.copy(self.area.offset + first * row, rows * row, values)?;
            let keys = keys.get(..rows * KEY).ok_or(ReadError::Shape)?;
            push(Batch { shape: self.shape, rows, keys, values })?;
            first += rows;
        }
        Ok(ReadStatistics { entries: self.area.rows as u64, vanished: 0, epoch: 0 })
    }

    /// Copies bytes of the map's value.
    fn copy<'b>(&self, start: usize, size: usize, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], ReadError> {
        let (before, operation) = if self.is_mapped {
            (self.load(start, size, buffer), "mapping a variable's memory")
        } else {
            (self.look_up(start, buffer), "reading a variable")
        };
        let before = before.map_err(|error| refused(operation, &error))?;
        buffer.get(before..before + size).ok_or(ReadError::Shape)
    }

    /// Copies what lies in memory, by words; where it begins in the buffer.
    fn load(&self, start: usize, size: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let page = rustix::param::page_size();
        let in_page = start % page;
        let words = (in_page + size).div_ceil(WORD);
        let window = Window::open(self.map.as_fd(), (start - in_page) as u64, words)?;
        let words = window.words().get(in_page / WORD..).unwrap_or_default();
        grow(buffer, words.len(), WORD)?;
        for (word, to) in words.iter().zip(buffer.as_chunks_mut::<WORD>().0) {
            *to = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        Ok(in_page % WORD)
    }

    fn look_up(&self, start: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
        grow(buffer, 1, self.whole)?;
        let found = raw::lookup(self.map.as_fd(), &[0; KEY], buffer, (KEY, self.whole))?;
        if found { Ok(start) } else { Err(io::Error::from_raw_os_error(libc::ENOENT)) }
    }
}

impl Source for Part {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn max_entries(&self) -> Option<u64> {
        Some(self.area.rows as u64)
    }

    fn read(&self, limits: &Limits, push: Push<'_>) -> Result<ReadStatistics, ReadError> {
        with_scratches(|scratches| {
            if scratches.is_empty() {
                scratches.push(Scratch::default());
            }
            let scratch = scratches.first_mut().ok_or(ReadError::Shape)?;
            self.read_with(limits, scratch, push)
        })
    }

    fn expected_entries(&self) -> usize {
        self.area.rows
    }
}
