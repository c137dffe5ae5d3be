//! The seam to the kernel: sources, the batches they push, and snapshots.
//!
//! A source is read whole. It pushes batches of *copied* memory, never a slice
//! over memory that the kernel writes; what metrics need of a value is projected
//! batch by batch, so a map on 512 CPUs never exists raw.

mod area;
mod bits;
mod cgroups;
mod column;
pub mod fixture;
mod form;
mod held;
mod room;
mod spare;
mod stream;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::problem::{Place, Problem};
pub use area::Area;
pub use bits::Bits;
pub use cgroups::{CgroupCounts, CgroupTally};
pub use column::{Column, Reduce, ValueKind, ValueSpec};
pub use form::KeyForm;
pub use held::{Numbers, Snapshot, Wanted};
pub use room::{Room, Taken};
pub use spare::Spare;
pub use stream::{Loss, Losses, Records, Rows, Sink, Stream, StreamCounts};
pub use verdict::{ProgramVerdict, Verdict};

/// The shape of what a source pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of one CPU's value.
    pub value_size: usize,
    /// Values in an entry: possible CPUs for per-CPU kinds, else 1.
    pub lanes: usize,
    /// Bytes from one lane's value to the next: the kernel rounds per-CPU values up to 8.
    pub lane_stride: usize,
}

/// Some entries, copied out of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Their shape.
    pub shape: Shape,
    /// How many.
    pub rows: usize,
    /// `rows * shape.key_size` bytes.
    pub keys: &'a [u8],
    /// `rows * shape.lanes * shape.lane_stride` bytes.
    pub values: &'a [u8],
}

/// What bounds a read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When to give up.
    pub deadline: Instant,
    /// Bytes that a snapshot may hold.
    pub max_bytes: usize,
}

/// What a read that succeeded has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStatistics {
    /// Entries pushed.
    pub entries: u64,
    /// Keys that vanished between being named and being looked up.
    pub vanished: u64,
    /// How often it forgot everything on purpose: what was said before does not go on.
    pub epoch: u64,
}

/// Why a source could not be read whole. Its families are left out, and that is said.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The kernel refused.
    #[error("{operation}: {message}")]
    Kernel {
        /// The operation that failed.
        operation: &'static str,
        /// The kernel's answer.
        message: String,
        /// The errno.
        errno: i32,
    },
    /// The deadline passed.
    #[error("not read within its deadline")]
    Late,
    /// More than the limits allow.
    #[error("holds more than {0} bytes, the limit")]
    TooLarge(usize),
    /// The scan did not come to an end within the map's capacity, because keys changed under it.
    #[error("its keys changed faster than they could be read")]
    Unstable,
    /// It was read in a way that this time could not be kept up. What was pushed is to be thrown away, and the
    /// source read again: it goes another way then.
    #[error("it is to be read again in another way")]
    Again,
    /// It pushed something else than it announced, or announced something else than was planned for.
    #[error("its entries do not have the expected shape")]
    Shape,
}

impl ReadError {
    /// A stable label value for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kernel { .. } => "kernel",
            Self::Late => "late",
            Self::TooLarge(_) => "too_large",
            Self::Unstable | Self::Again => "unstable",
            Self::Shape => "shape",
        }
    }
}

/// Who takes what several threads push, one after another.
pub type SharedPush<'a> = &'a mut (dyn FnMut(Batch<'_>) -> Result<(), ReadError> + Send);

/// Something that can be read whole.
pub trait Source: Send + Sync {
    /// The shape of its entries.
    fn shape(&self) -> Shape;

    /// Its capacity, where it has one.
    fn max_entries(&self) -> Option<u64>;

    /// What becomes of it when it is full.
    fn room(&self) -> Room {
        Room::Fixed
    }

    /// Takes an entry out if it has the value that it is expected to have; `last` is the value that it had
    /// in the end, in the layout of a batch, which can be another one when it changed in this moment.
    ///
    /// # Errors
    /// When that is not possible.
    fn take(&self, _key: &[u8], _expected: &[u8], _last: &mut Vec<u8>) -> Result<Taken, ReadError> {
        let message = "entries of this source cannot be taken out".to_owned();
        Err(ReadError::Kernel { operation: "taking an entry out", message, errno: 0 })
    }

    /// Reads all entries, each key once, pushing batches of copied memory.
    ///
    /// # Errors
    /// When it could not be read whole; what was pushed so far must then be thrown away.
    fn read(
        &self,
        limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError>;

    /// A part of its only value as a source of its own; none where there is no such part.
    fn part(&self, _area: Area) -> Option<Arc<dyn Source>> {
        None
    }

    /// How many entries are to be expected, as far as that is known: room for them is made beforehand.
    fn expected_entries(&self) -> usize {
        0
    }

    /// Whether several threads can share its read.
    fn is_divisible(&self) -> bool {
        false
    }

    /// The same by so many threads where that is possible, of which the calling one is the first.
    ///
    /// # Errors
    /// As [`Source::read`] does; [`ReadError::Again`] when it is to be called once more.
    fn read_on(
        &self,
        _threads: usize,
        limits: &Limits,
        push: SharedPush<'_>,
    ) -> Result<ReadStatistics, ReadError> {
        self.read(limits, push)
    }
}

/// What the kernel says of one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStatus {
    /// The program's name in the object.
    pub name: String,
    /// The kernel's id.
    pub id: u32,
    /// The tag, as 16 hex digits.
    pub tag: String,
    /// Whether a link holds it.
    pub attached: bool,
    /// Time spent in it, when the kernel keeps statistics.
    pub run_time: Duration,
    /// How often it ran, when the kernel keeps statistics.
    pub run_count: u64,
    /// How often the kernel left it out although what it waits for happened; none of a kernel that does not count that.
    pub missed: Option<u64>,
}

/// Answers for the programs of one config.
pub trait Programs: Send + Sync {
    /// Every loaded program, in the object's order.
    fn programs(&self) -> Vec<ProgramStatus>;

    /// Runs those that run when somebody asks (iterators), so that their maps hold what is so now.
    ///
    /// # Errors
    /// When one did not come to its end: its maps hold what was so before, or a part of it.
    fn run(&self) -> Result<(), ReadError> {
        Ok(())
    }
}

/// A source by the name of its map.
#[derive(Clone)]
pub struct NamedSource {
    /// The map's name.
    pub map: String,
    /// How to read it.
    pub source: Arc<dyn Source>,
}

/// A stream by the name of its map.
#[derive(Clone)]
pub struct NamedStream {
    /// The map's name.
    pub map: String,
    /// What is read.
    pub stream: Arc<dyn Stream>,
}

/// What a scrape may see of a loaded config.
#[derive(Clone)]
pub struct View {
    /// The config's name.
    pub config: String,
    /// What can be read.
    pub sources: Vec<NamedSource>,
    /// Buffers that events come from.
    pub streams: Vec<NamedStream>,
    /// What the programs say of themselves.
    pub programs: Arc<dyn Programs>,
    /// How the map fares that follows cgroups.
    pub cgroups: Arc<CgroupTally>,
}

impl View {
    /// The source behind a map's name.
    #[must_use]
    pub fn source(&self, map: &str) -> Option<&Arc<dyn Source>> {
        self.sources.iter().find(|named| named.map == map).map(|named| &named.source)
    }

    /// Reads the beginning of every map, and tells which ones the kernel refuses: what this thread
    /// may do can be less than when the maps were made.
    #[must_use]
    pub fn probe(&self) -> Vec<Problem> {
        let limits = Limits { deadline: Instant::now() + Duration::from_secs(10), max_bytes: 0 };
        // The first entries are enough to know.
        let refusal = |named: &NamedSource| {
            let error = named.source.read(&limits, &mut |_| Err(ReadError::TooLarge(0))).err()?;
            if !matches!(error, ReadError::Kernel { .. }) {
                return None;
            }
            let place =
                Place { config: Some(self.config.clone()), map: Some(named.map.clone()), ..Place::default() };
            let message = format!("the map `{}` cannot be read: {error}", named.map);
            Some(Problem::error("read-refused", place, message))
        };
        self.sources.iter().filter_map(refusal).collect()
    }
}
