//! Reading maps whole: one file per method.

mod batch;
mod per_key;
mod seen;
mod take;

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use crate::elf::MapKind;
use crate::snapshot::{Batch, Limits, ReadError, ReadStatistics, Room, Shape, Source, Taken};

use super::raw::{self, MapFacts};

/// How entries are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Many with one system call.
    Batch,
    /// Each key is asked for, then its value: for kernels and maps without the batch operation.
    PerKey,
}

/// A map with a descriptor of its own, which outlives the object that it came from.
#[derive(Debug)]
pub struct MapSource {
    map: OwnedFd,
    kind: MapKind,
    shape: Shape,
    max_entries: u32,
    method: AtomicU8,
}

/// Where a method hands over what it copied out of the kernel.
type Push<'a> = &'a mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>;

/// A scan takes in at most this many times the map's capacity: keys that come and go may
/// pass it more than once, but not for ever.
const ROUNDS: u64 = 2;

/// An unsteady scan is repeated until it meets no new key, at most so often: each time it misses
/// one key in a million or so.
const SCANS: u32 = 3;

/// How many bytes one call fetches at most, when entries are small.
const BATCH_BYTES: usize = 256 << 10;

/// Buffers larger than this are given back after a read.
const KEPT_BYTES: usize = 4 << 20;

/// Buffers that a thread reuses from read to read.
#[derive(Debug, Default)]
struct Scratch {
    keys: Vec<u8>,
    values: Vec<u8>,
    token_in: Vec<u8>,
    token_out: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl MapSource {
    /// A source that reads the map behind a descriptor.
    ///
    /// # Errors
    /// When the descriptor is not one of a map whose keys can be walked.
    pub fn new(map: OwnedFd) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let MapFacts { kind, key_size, value_size, max_entries } = raw::map_facts(map.as_fd())?;
        let kind = MapKind(kind);
        if !kind.is_scannable() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the keys of this kind of map cannot be walked",
            ));
        }
        let (lanes, lane_stride) = if kind.is_per_cpu() {
            (possible_cpus()?, value_size.next_multiple_of(8))
        } else {
            (1, value_size)
        };
        let shape = Shape { key_size, value_size, lanes, lane_stride };
        Ok(Self { map, kind, shape, max_entries, method: AtomicU8::new(Method::Batch as u8) })
    }

    /// Reads by this method from now on. Batches that the kernel does not know still fall back.
    #[must_use]
    pub fn with_method(self, method: Method) -> Self {
        self.remember(method);
        self
    }

    /// The method in use.
    #[must_use]
    pub fn method(&self) -> Method {
        if self.method.load(Ordering::Relaxed) == Method::PerKey as u8 {
            Method::PerKey
        } else {
            Method::Batch
        }
    }

    fn remember(&self, method: Method) {
        self.method.store(method as u8, Ordering::Relaxed);
    }

    /// The bytes of a key and of a value with all its lanes.
    fn entry(&self) -> (usize, usize) {
        (self.shape.key_size, self.shape.lanes * self.shape.lane_stride)
    }

    /// Whether a scan while keys come and go can name a key twice, or miss one that stays. A hash
    /// walked by buckets cannot: each is copied under its lock. An array cannot. All others are
    /// walked without a lock: the kernel goes back to the first key when the one to go on from
    /// has vanished, and past a part of a trie that is changed under it.
    fn is_unsteady(&self, method: Method) -> bool {
        match self.kind {
            MapKind::ARRAY | MapKind::PERCPU_ARRAY => false,
            MapKind::LPM_TRIE => true,
            _ => method == Method::PerKey,
        }
    }

    /// How many entries a scan may take in.
    fn bound(&self) -> u64 {
        u64::from(self.max_entries) * ROUNDS + 1024
    }
}

fn possible_cpus() -> io::Result<usize> {
    libbpf_rs::num_possible_cpus().map_err(|error| io::Error::other(error.to_string()))
}

fn refused(operation: &'static str, error: &io::Error) -> ReadError {
    let errno = error.raw_os_error().unwrap_or_default();
    let message = match errno {
        raw::ENOTSUPP => "the kernel does not support this operation (ENOTSUPP)".to_owned(),
        libc::EPERM | libc::EACCES => {
            format!(
                "{error}; Linux before 5.19 wants CAP_BPF (before 5.8 CAP_SYS_ADMIN) for reading maps: keep it"
            )
        }
        _ => error.to_string(),
    };
    ReadError::Kernel { operation, message, errno }
}

fn in_time(limits: &Limits) -> Result<(), ReadError> {
    if Instant::now() < limits.deadline { Ok(()) } else { Err(ReadError::Late) }
}

impl Source for MapSource {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn max_entries(&self) -> Option<u64> {
        Some(u64::from(self.max_entries))
    }

    fn room(&self) -> Room {
        match self.kind {
            MapKind::ARRAY | MapKind::PERCPU_ARRAY => Room::Fixed,
            MapKind::LRU_HASH | MapKind::LRU_PERCPU_HASH => Room::Evicts,
            _ => Room::Refuses,
        }
    }

    fn take(&self, key: &[u8], expected: &[u8], last: &mut Vec<u8>) -> Result<Taken, ReadError> {
        take::take(self, key, expected, last)
    }

    fn read(&self, limits: &Limits, push: Push<'_>) -> Result<ReadStatistics, ReadError> {
        // Taken out for the time of the read: `push` may well read another source.
        let mut scratch = SCRATCH.take();
        let result = match self.method() {
            Method::Batch => match batch::read(self, limits, &mut scratch, push) {
                Ok(Some(statistics)) => Ok(statistics),
                // Nothing was pushed yet: the very first call was refused.
                Ok(None) => {
                    self.remember(Method::PerKey);
                    per_key::read(self, limits, &mut scratch, push)
                }
                Err(error) => Err(error),
            },
            Method::PerKey => per_key::read(self, limits, &mut scratch, push),
        };
        if scratch.keys.capacity() + scratch.values.capacity() <= KEPT_BYTES {
            SCRATCH.set(scratch);
        }
        result
    }
}
