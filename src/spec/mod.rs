//! Checked configuration as plain data: what a config means, free of doubt.
//!
//! Two halves: the load spec concerns the kernel, the view spec what the numbers
//! mean. Equal load specs mean that the kernel is not touched.

mod attach;
mod cgroups;
mod definition;
mod event;
mod kernel_option;
mod limit;
mod load;
mod owner;
mod span;

use std::path::PathBuf;
use std::sync::Arc;

use crate::decode::Chain;
use crate::problem::{Place, Position, Problem};
use crate::series::Buckets;
pub use crate::snapshot::{Area, Bits, Reduce, ValueKind, ValueSpec};
pub use attach::{
    Attach, Binaries, Cgroups, Direction, Netfilter, Netkit, PerfEvent, Sample, Tc, TcMode, Uprobe, Usdt,
    Xdp, XdpMode,
};
pub use cgroups::{CgroupMap, CgroupMapKind};
pub use definition::{Difference, MapDefinition};
pub use event::{Amount, Condition, EventSpec, KeyPart, LossSpec, NO_LABELS, REST};
pub use kernel_option::{KernelOption, OptionKind};
pub use limit::{MapExpiry, SeriesLimit};
pub use load::{BufferSpec, FromPin, GlobalPatch, MapSetting, NestedMap, ProgramSetting};
pub use owner::Owner;
pub use span::SpanSpec;

/// A config after it was checked against its object.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What concerns the kernel.
    pub load: LoadSpec,
    /// What the numbers mean.
    pub view: ViewSpec,
}

impl Spec {
    /// Whether a label shows kernel symbols.
    #[must_use]
    pub fn asks_for_symbols(&self) -> bool {
        let of_metrics =
            self.view.metrics.iter().flat_map(|metric| metric.labels.iter().chain(metric.kind.slot()));
        let mut labels = of_metrics.chain(self.view.spans.iter().flat_map(|span| &span.labels));
        labels.any(|label| label.chain.traits().symbols)
    }
}

/// What the kernel is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoadSpec {
    /// The config's name: the stem of its file.
    pub name: String,
    /// The object file.
    pub object: PathBuf,
    /// The object's bytes, read once: what was checked is what is loaded.
    pub object_bytes: Arc<[u8]>,
    /// Symbols whose addresses go into `kaddr_<symbol>` globals before the load.
    pub kaddrs: Vec<String>,
    /// Initial values of global variables.
    pub globals: Vec<GlobalPatch>,
    /// Options of the kernel's configuration that the object wants to know.
    pub kernel_options: Vec<KernelOption>,
    /// Programs that are not simply loaded and attached.
    pub programs: Vec<ProgramSetting>,
    /// Alternatives, the best one first: the first that is possible is loaded, the others are not.
    /// No program is in two of them.
    pub choices: Vec<Vec<String>>,
    /// Maps that are not as the object defines them.
    pub maps: Vec<MapSetting>,
    /// The map that holds which cgroups are meant.
    pub cgroups: Option<CgroupMap>,
    /// Buffers whose events are read.
    pub buffers: Vec<BufferSpec>,
    /// Maps that a reload may hand over, when the other object's definition is equal.
    pub carried: Vec<MapDefinition>,
    /// What all maps are, to be held against maps that are there already.
    pub definitions: Vec<MapDefinition>,
    /// Maps that somebody else loaded.
    pub pins: Vec<FromPin>,
    /// What maps hold that hold maps: the kernel tells it only of those that are there.
    pub nested: Vec<NestedMap>,
}

impl LoadSpec {
    /// Whether there is an object at all: a config that only reads what others loaded has none.
    #[must_use]
    pub fn has_object(&self) -> bool {
        !self.object_bytes.is_empty()
    }

    /// What differs from the object's definition of a map.
    #[must_use]
    pub fn setting(&self, map: &str) -> Option<&MapSetting> {
        self.maps.iter().find(|setting| setting.name == map)
    }

    /// What a map is.
    #[must_use]
    pub fn definition(&self, map: &str) -> Option<&MapDefinition> {
        self.definitions.iter().find(|definition| definition.name == map)
    }

    /// Whether the kernel would be asked for the same: then what is loaded can stay. Where the object
    /// lies does not matter, nor which cgroups are meant, what a later reload may hand over, and what others loaded.
    #[must_use]
    pub fn loads_the_same(&self, other: &Self) -> bool {
        let Self {
            name,
            object: _,
            object_bytes,
            kaddrs,
            globals,
            kernel_options,
            programs,
            choices,
            maps,
            buffers,
            cgroups: _,
            carried: _,
            definitions: _,
            pins: _,
            nested: _,
        } = self;
        *name == other.name
            && *object_bytes == other.object_bytes
            && *kaddrs == other.kaddrs
            && *globals == other.globals
            && *kernel_options == other.kernel_options
            && *programs == other.programs
            && *choices == other.choices
            && *maps == other.maps
            && *buffers == other.buffers
    }

    /// What has to be written so that what runs by this spec runs by another one: none when that takes
    /// a new load. Constants are what the programs were verified with, so they cannot change.
    #[must_use]
    pub fn changes_in_place(&self, other: &Self) -> Option<Vec<GlobalPatch>> {
        let alike = Self { globals: self.globals.clone(), ..other.clone() };
        let changes = load::changes(&self.globals, &other.globals);
        (self.loads_the_same(&alike) && changes.iter().all(GlobalPatch::is_writable)).then_some(changes)
    }

    /// Names of the maps that this load can take over from another one.
    pub fn takes_over<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let equal = self.carried.iter().filter(|map| other.carried.contains(map));
        equal.map(|map| map.name.as_str())
    }
}

/// What the numbers mean.
#[derive(Clone, Debug)]
pub struct ViewSpec {
    /// The config's name.
    pub name: String,
    /// Its metrics, in the file's order.
    pub metrics: Vec<MetricSpec>,
    /// Maps whose entries are taken out when they have not changed for long.
    pub expiries: Vec<MapExpiry>,
    /// Losses of events that its programs count.
    pub losses: Vec<LossSpec>,
    /// Its spans, in the file's order.
    pub spans: Vec<SpanSpec>,
}

impl ViewSpec {
    /// Whether nothing comes of the config's maps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.spans.is_empty()
    }

    /// Whether a problem is with something that is read: what becomes of other maps costs nothing.
    #[must_use]
    pub fn is_about(&self, problem: &Problem) -> bool {
        problem.place.map.as_deref().is_none_or(|map| self.reads(map))
    }

    fn reads(&self, map: &str) -> bool {
        self.metrics.iter().any(|metric| metric.map == map)
            || self.expiries.iter().any(|expiry| expiry.map == map)
            || self.losses.iter().any(|loss| loss.map == map)
    }

    /// Whether a metric, or spans, of this name come of them.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        let metrics = self.metrics.iter().map(|metric| &metric.name);
        metrics.chain(self.spans.iter().map(|span| &span.name)).any(|served| served == name)
    }
}

/// The kind of a family.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size.
    Histogram(Histogram),
}

impl MetricKind {
    /// The field of the key that holds the slot's index, of a histogram whose slots are entries.
    #[must_use]
    pub fn slot(&self) -> Option<&LabelSpec> {
        match self {
            Self::Histogram(Histogram { slots: Slots::Key(slot), .. }) => Some(slot),
            Self::Histogram(_) | Self::Counter | Self::Gauge => None,
        }
    }
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Bounds.
    pub buckets: Buckets,
    /// Where its counts are.
    pub slots: Slots,
}

/// Where the counts of a histogram are.
#[derive(Clone, Debug)]
pub enum Slots {
    /// Each slot is an entry of its own: this field of the key holds the slot's index.
    Key(LabelSpec),
    /// Each entry is a whole histogram: its slots lie side by side in the value.
    Array(SlotArray),
}

/// The slots of a histogram in an array; the metric's value is the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotArray {
    /// How many there are.
    pub length: usize,
    /// The sum of what was observed, if the value has it.
    pub sum: Option<ValueSpec>,
    /// How many observations there were, with those that are in no slot, if the value has it.
    pub count: Option<ValueSpec>,
    /// Whether there is a slot for each bound in its turn and one for all above, whatever the kind of the buckets.
    pub by_bound: bool,
}

impl PartialEq for Histogram {
    /// Two configs may share a family when the bounds are equal; where the slots lie is each one's own affair.
    fn eq(&self, other: &Self) -> bool {
        self.buckets == other.buckets
    }
}

/// One metric of one config.
#[derive(Clone, Debug)]
pub struct MetricSpec {
    /// The family's full name, with its namespace.
    pub family: String,
    /// The name as written in the config.
    pub name: String,
    /// The family's help.
    pub help: String,
    /// Its kind.
    pub kind: MetricKind,
    /// The map that it is read from; of a variable its section, or what its events are kept as.
    pub map: String,
    /// Of a variable, where it lies in its section.
    pub area: Option<Area>,
    /// How events become what it is read from, when it is made of events.
    pub events: Option<EventSpec>,
    /// Bytes of the map's key.
    pub key_size: usize,
    /// Labels, sorted by name, which is the order of the page.
    pub labels: Vec<LabelSpec>,
    /// How the number is taken from the value.
    pub value: ValueSpec,
    /// Multiplies the number; 1.0 leaves integers exact. Not for histograms (the multiplier of their buckets is).
    pub scale: f64,
    /// How the CPUs of a per-CPU value become one number, or one each.
    pub reduce: Reduce,
    /// Whether every label set there can be is published from the start. Its labels' chains know their texts then.
    pub zero: bool,
    /// What bounds its series.
    pub limit: SeriesLimit,
    /// Where it was written, for conflicts between configs.
    pub place: Place,
}

/// Where a label's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelSource {
    /// Bytes of the key.
    Key {
        /// First byte.
        offset: usize,
        /// How many.
        size: usize,
    },
    /// A bit-field of the key: a number of 8 bytes in host order.
    Bits {
        /// First byte.
        offset: usize,
        /// How many bytes it touches.
        size: usize,
        /// Which bits of them.
        bits: Bits,
    },
    /// The CPU's number, 2 bytes in host order, of a map that is split by CPU.
    Cpu,
}

/// One label.
#[derive(Clone, Debug)]
pub struct LabelSpec {
    /// Its name.
    pub name: String,
    /// Where its bytes come from.
    pub source: LabelSource,
    /// How they become text.
    pub chain: Arc<Chain>,
    /// Its path inside the YAML.
    pub path: String,
    /// Where it stands in the file of its metric.
    pub position: Option<Position>,
}
