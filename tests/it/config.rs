//! YAML in the styles the reference accepts, and what each bad file says.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bpftally::config::{Checked, ConfigFile, Insecure, Options, check_text};
use bpftally::host::{Host, Roots};
use bpftally::problem::{Problem, Severity};
use bpftally::spec::{Bits, LabelSource, MetricKind, MetricSpec, Reduce, Slots, ValueKind, ValueSpec};

use crate::common::objects::{self, Object};

/// Files that are wrong: each says what, and where.
pub mod bad;

/// The map that follows cgroups.
mod cgroups;

/// Enums by name, and metrics that start at zero.
mod enums;

/// Metrics that are made of events.
mod events;

/// Families that several metrics claim.
mod families;

/// From files on disk.
mod files;

/// Labels, values and slots by name.
mod named;

/// Labels of maps of maps.
mod nested;

/// Configs in the shapes and styles that people write.
mod good;

/// Options of the kernel's configuration.
mod kernel_options;

/// What bounds series and entries.
mod limits;

/// Where programs are attached.
mod places;

/// Spans, and what is wrong with them.
mod spans;

/// What is set before the load: globals, programs, choices, maps.
mod load;

/// Metrics that are read from global variables.
mod variables;

/// The JSON Schema of configs.
pub mod schema;

/// Maps of every kind that can and cannot be read, with keys of many sizes.
pub const SOURCE: &str = r#"
#define MAP(NAME, TYPE, KEY, VALUE) struct { __uint(type, BPF_MAP_TYPE_##TYPE); __uint(max_entries, 64); \
    __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps");
#define KEY(SIZE) struct key##SIZE { char bytes[SIZE]; };
KEY(5) KEY(6) KEY(12) KEY(16) KEY(20) KEY(24) KEY(32) KEY(33) KEY(128) KEY(160)
struct pair { u64 one, two; };
struct three { char bytes[3]; };
struct mixed { u32 device; u8 operation; u64 time; char comm[8]; union { u32 whole; u16 halves[2]; struct { u16 low, high; }; }; };

MAP(hash_1, HASH, u8, u64)
MAP(hash_2, HASH, u16, u64)
MAP(hash_4, HASH, u32, u64)
MAP(hash_5, HASH, struct key5, u64)
MAP(hash_6, HASH, struct key6, u64)
MAP(hash_8, HASH, u64, u64)
MAP(hash_12, HASH, struct key12, u64)
MAP(hash_16, LRU_HASH, struct key16, u64)
MAP(hash_20, LRU_HASH, struct key20, u64)
MAP(hash_24, HASH, struct key24, u64)
MAP(hash_32, LRU_HASH, struct key32, u64)
MAP(hash_33, LRU_HASH, struct key33, u64)
MAP(hash_128, LRU_HASH, struct key128, u64)
MAP(hash_160, LRU_HASH, struct key160, u64)
MAP(mixed, HASH, struct mixed, u64)
MAP(array, ARRAY, u32, u64)
MAP(percpu_array, PERCPU_ARRAY, u32, u64)
MAP(percpu_hash_6, PERCPU_HASH, struct key6, u64)
MAP(percpu_hash_8, PERCPU_HASH, u64, u64)
MAP(percpu_lru, LRU_PERCPU_HASH, u32, u64)
MAP(value_u32, HASH, u32, u32)
MAP(value_s32, HASH, u32, s32)
MAP(value_s64, HASH, u32, long long)
MAP(value_u8, HASH, u32, u8)
MAP(value_u16, HASH, u32, u16)
MAP(value_struct, HASH, u32, struct pair)
MAP(value_three, HASH, u32, struct three)
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 64); __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u64); __type(value, u64); } trie SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(key_size, 4); __uint(value_size, 160);
    __uint(max_entries, 64); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(value_size, 8); __uint(max_entries, 64); } queue SEC(".maps");

const volatile u64 kaddr_jiffies = 0;
const volatile u64 kaddr_bpf_jit_current = 0;
const volatile u32 kaddr_narrow = 0;

SEC("raw_tp/sched_switch") int probe(void *ctx)
{
    u32 key = 0;
    u64 *value = bpf_map_lookup_elem(&array, &key);
    if (value)
        *value += kaddr_jiffies + kaddr_bpf_jit_current + kaddr_narrow;
    return 0;
}
"#;

fn object() -> &'static Object {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    OBJECT.get_or_init(|| Object::of(SOURCE))
}

fn options() -> Options {
    Options {
        namespace: "ebpf_exporter".into(),
        max_series: None,
        object_dir: None,
        host: Arc::new(Host::new(Roots::default())),
        insecure: Insecure::Allowed,
    }
}

/// Checks a text against the test object, under a name.
fn checked_as(name: &str, text: &str) -> Checked {
    let file = ConfigFile::new(format!("/configs/{name}.yaml"));
    check_text(&file, text, &object().file(), &options())
}

fn checked(text: &str) -> Checked {
    checked_as("test", text)
}

/// Problems as `code line:column`, with a `?` before warnings and the metric that an error costs.
fn brief(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let place = &problem.place;
            let mark = if problem.is_error() { "" } else { "?" };
            let position = place.position.map_or("-".into(), |p| format!("{}:{}", p.line, p.column));
            let metric = place.metric.as_ref().map(|metric| format!(" ({metric})")).unwrap_or_default();
            format!("{mark}{} {position}{metric}", problem.code)
        })
        .collect()
}

/// A metric as one line.
fn show(metric: &MetricSpec) -> String {
    let kind = match &metric.kind {
        MetricKind::Counter => "counter".to_owned(),
        MetricKind::Gauge => "gauge".to_owned(),
        MetricKind::Histogram(histogram) => {
            let slots = match &histogram.slots {
                Slots::Key(slot) => format!("slot {}", show_source(slot.source)),
                Slots::Array(array) => {
                    let part = |name: &str, value: Option<ValueSpec>| {
                        value.map(|value| format!(" {name}{}", show_value(value))).unwrap_or_default()
                    };
                    let (sum, count) = (part("sum", array.sum), part("count", array.count));
                    format!("{} slots{sum}{count}", array.length)
                }
            };
            format!("{:?}*{:?} {slots}", histogram.buckets.kind, histogram.buckets.multiplier)
        }
    };
    let mut shown = format!("{} = {kind} of {}[{}]", metric.family, metric.map, metric.key_size);
    for label in &metric.labels {
        shown.push_str(&format!(" {}@{}", label.name, show_source(label.source)));
    }
    if metric.reduce != Reduce::Sum {
        shown.push_str(&format!(" {:?}", metric.reduce));
    }
    if metric.scale != 1.0 {
        shown.push_str(&format!(" *{:?}", metric.scale));
    }
    if metric.value != ValueSpec::unsigned(0, 8) {
        shown.push_str(&format!(" {}", show_value(metric.value)));
    }
    shown
}

fn show_source(source: LabelSource) -> String {
    match source {
        LabelSource::Key { offset, size } => format!("{offset}+{size}"),
        LabelSource::Bits { offset, size, bits } => format!("{offset}+{size}{}", show_bits(bits)),
        LabelSource::Cpu => "cpu".to_owned(),
    }
}

fn show_bits(bits: Bits) -> String {
    format!(":{}..{}{}", bits.shift, bits.shift + bits.width, if bits.signed { "s" } else { "" })
}

/// `u32`, or `u32@8` when it is not the first.
fn show_value(value: ValueSpec) -> String {
    let bits = value.width * 8;
    let kind = match value.kind {
        ValueKind::Unsigned => format!("u{bits}"),
        ValueKind::Signed => format!("s{bits}"),
        ValueKind::Float => format!("f{bits}"),
        ValueKind::Bits(field) => format!("{}+{}{}", value.offset, value.width, show_bits(field)),
    };
    match value {
        ValueSpec { offset: 0, .. } | ValueSpec { kind: ValueKind::Bits(_), .. } => kind,
        ValueSpec { offset, .. } => format!("{kind}@{offset}"),
    }
}
