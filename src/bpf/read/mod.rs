//! Reading maps whole: one file per method.

mod batch;
mod mapped;
mod nested;
mod per_key;
mod pieces;
mod proof;
mod section;
mod seen;
mod take;

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Instant;

use crate::elf::MapKind;
use crate::snapshot::{
    Area, Batch, Limits, ReadError, ReadStatistics, Room, Shape, SharedPush, Source, Taken,
};

use super::raw::{self, MapFacts};

pub(super) use nested::NestedSource;

/// How entries are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Many with one system call.
    Batch,
    /// The memory of an array is mapped.
    Mapped,
    /// Each key is asked for, then its value: for kernels and maps without the batch operation.
    PerKey,
}

/// A map with a descriptor of its own, which outlives the object that it came from.
#[derive(Debug)]
pub struct MapSource {
    map: Arc<OwnedFd>,
    kind: MapKind,
    shape: Shape,
    max_entries: u32,
    method: AtomicU8,
    threads: AtomicU8,
    /// How many entries the last read found.
    found: AtomicUsize,
}

/// By how many threads a map may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    One,
    /// One the next time, then several.
    OneOnce,
    Several,
}

/// Where a method hands over what it copied out of the kernel.
type Push<'a> = &'a mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>;

/// A scan takes in at most this many times the map's capacity: keys that come and go may
/// pass it more than once, but not for ever.
const ROUNDS: u64 = 2;

/// An unsteady scan is repeated until it meets no new key, at most so often: each time it misses
/// one key in a million or so.
const SCANS: u32 = 3;

/// More threads than this do not read a map.
const MAX_THREADS: usize = 4;

/// How many bytes one call fetches, when entries are small: what the nearer caches hold. More makes nothing faster.
const BATCH_BYTES: usize = 64 << 10;

/// So many entries are fetched with one call even if they are larger, up to so many bytes.
const BATCH_ROWS: usize = 64;
const MOST_BATCH_BYTES: usize = 512 << 10;

/// Buffers larger than this are given back after a read.
const KEPT_BYTES: usize = 1 << 20;

/// Buffers that a thread reuses from read to read.
#[derive(Debug, Default)]
struct Scratch {
    keys: Vec<u8>,
    values: Vec<u8>,
    token_in: Vec<u8>,
    token_out: Vec<u8>,
}

thread_local! {
    /// One for each thread that reads on this one's behalf, itself the first.
    static SCRATCHES: RefCell<Vec<Scratch>> = RefCell::default();
}

impl MapSource {
    /// A source that reads the map behind a descriptor.
    ///
    /// # Errors
    /// When the descriptor is not one of a map whose keys can be walked.
    pub fn new(map: OwnedFd) -> io::Result<Self> {
        let source = Self::by_one_thread(map)?;
        if mapped::is_possible(&source) {
            source.remember(Method::Mapped);
        }
        if pieces::is_large(source.max_entries, source.rows()) && proof::holds(source.kind) {
            source.allow(Threads::Several);
        }
        Ok(source)
    }

    fn by_one_thread(map: OwnedFd) -> io::Result<Self> {
        let source = Self::of_any_kind(map)?;
        if source.kind.is_scannable() {
            return Ok(source);
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "the keys of this kind of map cannot be walked"))
    }

    fn of_any_kind(map: OwnedFd) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let MapFacts { kind, key_size, value_size, max_entries } = raw::map_facts(map.as_fd())?;
        let kind = MapKind(kind);
        let (lanes, lane_stride) = lanes(kind, value_size)?;
        let shape = Shape { key_size, value_size, lanes, lane_stride };
        let method = AtomicU8::new(Method::Batch as u8);
        let threads = AtomicU8::new(Threads::One as u8);
        Ok(Self { map: Arc::new(map), kind, shape, max_entries, method, threads, found: AtomicUsize::new(0) })
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
        const MAPPED: u8 = Method::Mapped as u8;
        const PER_KEY: u8 = Method::PerKey as u8;
        match self.method.load(Ordering::Relaxed) {
            MAPPED => Method::Mapped,
            PER_KEY => Method::PerKey,
            _ => Method::Batch,
        }
    }

    fn remember(&self, method: Method) {
        self.method.store(method as u8, Ordering::Relaxed);
    }

    fn allow(&self, threads: Threads) {
        self.threads.store(threads as u8, Ordering::Relaxed);
    }

    /// Lets one thread read it the next time: its keys went away so fast that no seam could be met.
    fn read_as_one_next(&self) {
        self.allow(Threads::OneOnce);
    }

    /// Lets one thread read it from now on.
    fn read_as_one(&self) {
        self.allow(Threads::One);
    }

    /// How many threads the read that begins now may have.
    fn next_threads(&self, wanted: usize) -> usize {
        let several = Threads::Several as u8;
        let once = Threads::OneOnce as u8;
        if self.threads.compare_exchange(once, several, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            || self.method() != Method::Batch
            || self.threads.load(Ordering::Relaxed) != several
        {
            return 1;
        }
        wanted.clamp(1, MAX_THREADS)
    }

    /// How many entries to ask for with one call.
    fn rows(&self) -> usize {
        let (key, value) = self.entry();
        let entry = (key + value).max(1);
        let rows = (BATCH_BYTES / entry).max(BATCH_ROWS.min(MOST_BATCH_BYTES / entry));
        rows.clamp(1, self.max_entries.max(1) as usize)
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
            MapKind::ARRAY | MapKind::PERCPU_ARRAY | MapKind::ARRAY_OF_MAPS => false,
            MapKind::LPM_TRIE => true,
            _ => method == Method::PerKey,
        }
    }

    /// Whether it can be the map of a data section.
    fn is_section(&self) -> bool {
        self.kind == MapKind::ARRAY && self.max_entries == 1 && self.shape.key_size == size_of::<u32>()
    }

    /// How many entries a scan may take in.
    fn bound(&self) -> u64 {
        u64::from(self.max_entries) * ROUNDS + 1024
    }
}

/// Values in an entry, and the bytes from one to the next.
fn lanes(kind: MapKind, value_size: usize) -> io::Result<(usize, usize)> {
    Ok(if kind.is_per_cpu() { (possible_cpus()?, value_size.next_multiple_of(8)) } else { (1, value_size) })
}

fn possible_cpus() -> io::Result<usize> {
    let told = |error| io::Error::other(format!("reading /sys/devices/system/cpu/possible: {error}"));
    libbpf_rs::num_possible_cpus().map_err(told)
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

    fn part(&self, area: Area) -> Option<Arc<dyn Source>> {
        section::part(self, area)
    }

    fn read(&self, limits: &Limits, push: Push<'_>) -> Result<ReadStatistics, ReadError> {
        let read = with_scratches(|scratches| {
            if scratches.is_empty() {
                scratches.push(Scratch::default());
            }
            scratches
                .first_mut()
                .map_or(Err(ReadError::Shape), |scratch| self.read_alone(limits, scratch, push))
        });
        self.found(read)
    }

    fn expected_entries(&self) -> usize {
        self.found.load(Ordering::Relaxed)
    }

    fn is_divisible(&self) -> bool {
        self.method() == Method::Batch && self.threads.load(Ordering::Relaxed) != Threads::One as u8
    }

    fn read_on(
        &self,
        threads: usize,
        limits: &Limits,
        push: SharedPush<'_>,
    ) -> Result<ReadStatistics, ReadError> {
        match self.next_threads(threads) {
            0 | 1 => self.read(limits, push),
            threads => {
                self.found(with_scratches(|scratches| pieces::read(self, limits, threads, scratches, push)))
            }
        }
    }
}

impl MapSource {
    /// Remembers how much there was.
    fn found(&self, read: Result<ReadStatistics, ReadError>) -> Result<ReadStatistics, ReadError> {
        if let Ok(statistics) = &read {
            self.found.store(usize::try_from(statistics.entries).unwrap_or(usize::MAX), Ordering::Relaxed);
        }
        read
    }

    fn read_alone(
        &self,
        limits: &Limits,
        scratch: &mut Scratch,
        push: Push<'_>,
    ) -> Result<ReadStatistics, ReadError> {
        if self.method() == Method::Mapped {
            return mapped::read(self, limits, scratch, push);
        }
        if self.method() == Method::Batch {
            if let Some(statistics) = batch::read(self, limits, scratch, push)? {
                return Ok(statistics);
            }
            // Nothing was pushed yet: the very first call was refused.
            self.remember(Method::PerKey);
        }
        per_key::read(self, limits, scratch, push)
    }
}

/// Lends the buffers of this thread, which are taken out meanwhile: who takes what was read may well
/// read another source.
fn with_scratches<T>(work: impl FnOnce(&mut Vec<Scratch>) -> T) -> T {
    let mut scratches = SCRATCHES.take();
    let result = work(&mut scratches);
    scratches.retain(|scratch| scratch.keys.capacity() + scratch.values.capacity() <= KEPT_BYTES);
    SCRATCHES.set(scratches);
    result
}
