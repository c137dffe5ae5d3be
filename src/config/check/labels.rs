//! Which parts of the map's key the labels are.
//!
//! Labels are all by name, or all by position. Of the latter sizes and paddings of all labels must be the key's bytes, all of them. On a per-CPU
//! map the last label (of a histogram: the one before the slot) may be `cpu` with two
//! bytes that are not in the key: the metric is split by CPU then. If `cpu` is the only
//! label, the four bytes of an array's index need none.
//! Of a map of maps the outer key comes first, then the inner one (`nested.rs`).

use super::decoders::Chains;
use super::nested::{self, Keys};
use super::{Context, Sink, members, named};
use crate::btf::TypeId;
use crate::config::findings::Spot;
use crate::config::raw::{RawLabel, RawMetric};
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::{LabelSource, LabelSpec};

/// Bytes of a CPU's number, as the reference appends it to the key.
pub(super) const CPU_SIZE: usize = 2;

/// Where a label's bytes come from, and what they are.
pub(super) struct Input {
    pub(super) source: LabelSource,
    /// Bytes that the first decoder sees.
    pub(super) size: usize,
    /// The decoder that follows from the type; only of labels by name. Of an enum, that of its numbers.
    pub(super) default: Option<&'static str>,
    /// The enum that knows names for its numbers; only of labels by name.
    pub(super) enum_type: Option<TypeId>,
    /// The type as C writes it; only of labels by name.
    pub(super) type_name: String,
}

/// The fields behind the labels.
pub(super) struct Fields {
    /// In the order written; none for a label that is at fault.
    pub(super) inputs: Vec<Option<Input>>,
    /// The field of a histogram's slot, when it is not the last label.
    pub(super) bucket: Option<Input>,
    /// Whether CPUs are told apart.
    pub(super) split: bool,
}

impl Fields {
    /// The labels, and the slot of a histogram whose slots are keys.
    pub(super) fn into_specs(
        self,
        raw: &RawMetric,
        chains: Chains,
    ) -> Option<(Vec<LabelSpec>, Option<LabelSpec>)> {
        let spec = |name: &str, input: Input, chain, spot: &Spot| LabelSpec {
            name: name.to_owned(),
            source: input.source,
            chain,
            path: spot.path.clone(),
            position: spot.position,
        };
        let mut labels = Vec::with_capacity(raw.labels.len());
        for (label, (input, chain)) in raw.labels.iter().zip(self.inputs.into_iter().zip(chains.labels)) {
            let spot = label.name.as_ref().map_or(&label.spot, |name| &name.spot);
            labels.push(spec(name(label), input?, chain, spot));
        }
        let slot = if raw.slot_is_label() {
            labels.pop()
        } else {
            let spot = raw.bucket.as_ref().map_or(&raw.spot, |bucket| &bucket.spot);
            self.bucket.zip(chains.bucket).map(|(input, chain)| spec("bucket", input, chain, spot))
        };
        Some((labels, slot))
    }
}

/// Finds the fields of all labels of a metric.
pub(super) fn fields(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    keys: Keys<'_>,
) -> Option<Fields> {
    let lost = |key: &str| raw.broken && raw.gives(key);
    if raw.slot_is_label() && raw.labels.is_empty() {
        if !lost("labels") {
            sink.report(
                &raw.spot,
                Problem::error("missing-slot", Place::default(), "a histogram without labels")
                    .expected("the slot's index as the last label, not shown, or as `bucket`; or `slots`")
                    .help("bucket: NAME, with the name of the key's member"),
            );
        }
        return None;
    }
    if raw.gives("bucket") && raw.bucket.is_none()
        || raw.labels.is_empty() && lost("labels")
        || raw.is_mixed()
    {
        return None;
    }
    if raw.is_by_name() {
        return named::fields(context, sink, raw, keys);
    }
    if raw.labels.is_empty() {
        return match keys.outer {
            Some(outer) => nested::no_labels(sink, raw, outer),
            None => no_labels(sink, raw, keys.map),
        };
    }
    by_position(context, sink, raw, keys)
}

/// Complains of labels that are not all of one style, at the first that is of the other.
pub(super) fn mixed(sink: &mut Sink<'_>, raw: &RawMetric) {
    if !raw.is_mixed() {
        return;
    }
    let by_name = raw.is_by_name();
    let other = |label: &&RawLabel| if by_name { label.gives_size } else { label.gives_field };
    let bucket = raw.bucket.as_ref().map_or(&raw.spot, |bucket| &bucket.spot);
    let spot = raw.labels.iter().find(other).map_or(bucket, |label| &label.spot);
    let (first, found) = if by_name { ("name", "a size") } else { ("position", "a field's name") };
    sink.report(
        spot,
        Problem::error("mixed-labels", Place::default(), "labels by name and by position in one metric")
            .expected(format!("all of them by {first}, as the first one is"))
            .found(found)
            .help("either each label has a `size`, or none has"),
    );
}

/// Lays labels with sizes over the key of a map.
fn by_position(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    keys: Keys<'_>,
) -> Option<Fields> {
    let slots = usize::from(raw.slot_is_label());
    let (map, key_size) = (keys.map, keys.size());
    let total = total(sink, raw)?;
    let cpu = cpu_index(raw, map);
    // A key that is covered without it has a member of that name.
    let split = cpu.filter(|index| {
        let alone = raw.labels.len() == 1 + slots;
        let label = &raw.labels[*index];
        let fits = size(label) == CPU_SIZE && padding(label) == 0;
        fits && (total == key_size + CPU_SIZE || (alone && slots == 0 && total == CPU_SIZE && key_size == 4))
    });
    if split.is_none() && total != key_size {
        uncovered(context, sink, raw, keys, total, cpu);
        return None;
    }
    if let (None, Some(index), 0) = (split, cpu, slots) {
        wrong_cpu(sink, raw, index);
        return None;
    }
    let mut offset = 0;
    let mut sources = Vec::with_capacity(raw.labels.len());
    for (index, label) in raw.labels.iter().enumerate() {
        if split == Some(index) {
            sources.push(LabelSource::Cpu);
            continue;
        }
        sources.push(LabelSource::Key { offset, size: size(label) });
        offset += size(label) + padding(label);
    }
    if nested::crosses(sink, raw, keys, &sources) {
        return None;
    }
    members::cuts(context, sink, raw, map, &keys.inner_sources(&sources));
    let input = |(source, label)| {
        Some(Input { source, size: size(label), default: None, enum_type: None, type_name: String::new() })
    };
    let inputs = sources.into_iter().zip(&raw.labels).map(input).collect();
    Some(Fields { inputs, bucket: None, split: split.is_some() })
}

/// Lays labels with sizes over an event, whose other bytes do not matter; with each its place in words.
pub(super) fn side_by_side(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<(Fields, Vec<String>)> {
    total(sink, raw)?;
    let (mut inputs, mut names, mut offset) = (Vec::new(), Vec::new(), 0);
    for label in &raw.labels {
        let size = size(label);
        let source = LabelSource::Key { offset, size };
        inputs.push(Some(Input { source, size, default: None, enum_type: None, type_name: String::new() }));
        names.push(format!("@{offset:010}+{size}"));
        offset += size + padding(label);
    }
    Some((Fields { inputs, bucket: None, split: false }, names))
}

/// Without labels the key is one number, and only 0 counts.
fn no_labels(sink: &mut Sink<'_>, raw: &RawMetric, map: &MapInfo) -> Option<Fields> {
    if map.key_size != 4 {
        sink.report(
            &raw.spot,
            Problem::error(
                "key-size",
                Place::default(),
                "a metric without labels reads the key 0 of 4 bytes",
            )
            .expected("labels for the key, or a key of 4 bytes")
            .found(format!("the key of `{}` has {} bytes", map.name, map.key_size)),
        );
        return None;
    }
    Some(Fields { inputs: Vec::new(), bucket: None, split: false })
}

/// The bytes of all labels; none when a size is missing or wrong, which is said.
fn total(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<usize> {
    let mut total = Some(0usize);
    for label in &raw.labels {
        if size(label) == 0 {
            // A size of the wrong type was complained of already.
            if label.size.is_some() || !label.broken {
                let spot = label.size.as_ref().map_or(&label.spot, |size| &size.spot);
                let message = format!("the label `{}` has no size", name(label));
                let problem = Problem::error("label-size", Place::default(), message);
                sink.report(spot, problem.expected("`size`, the bytes of the key that the label is"));
            }
            total = None;
        }
        total = total.and_then(|sum| sum.checked_add(size(label))?.checked_add(padding(label)));
    }
    // Labels that could not be read leave the sum unknown; the list itself may have been none.
    let unknown = raw.labels.iter().any(|label| label.broken);
    if unknown { None } else { total }
}

/// The label that may be the CPU's number.
fn cpu_index(raw: &RawMetric, map: &MapInfo) -> Option<usize> {
    if !map.kind.is_per_cpu() {
        return None;
    }
    let behind = 1 + usize::from(raw.slot_is_label());
    let index = raw.labels.len().checked_sub(behind)?;
    (name(&raw.labels[index]) == "cpu").then_some(index)
}

fn wrong_cpu(sink: &mut Sink<'_>, raw: &RawMetric, index: usize) {
    let label = &raw.labels[index];
    let spot = label.size.as_ref().map_or(&label.spot, |size| &size.spot);
    sink.report(
        spot,
        Problem::error(
            "cpu-label",
            Place::default(),
            "the last label `cpu` of a per-CPU map is the CPU's number",
        )
        .expected("`size: 2` without padding, beside labels that cover the key")
        .found(format!("size {}, padding {}", size(label), padding(label)))
        .help("give the label another name if it is a part of the key"),
    );
}

fn uncovered(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    keys: Keys<'_>,
    total: usize,
    cpu: Option<usize>,
) {
    let (map, key_size) = (keys.map, keys.size());
    let parts: Vec<String> = raw.labels.iter().map(part).collect();
    let of = if cpu.is_some() { " (and 2 for the last label `cpu`)" } else { "" };
    let outer = match keys.outer {
        Some(_) => format!(", {} of them of the outer key", keys.outer_size()),
        None => String::new(),
    };
    let missing = key_size.abs_diff(total);
    let help = match (total < key_size, cpu) {
        (_, Some(_)) => {
            "the label `cpu` of a per-CPU map has `size: 2`, the labels before it cover the key".into()
        }
        (true, None) => {
            format!("{missing} bytes have no label: skip them with `padding` on the label before them")
        }
        (false, None) => {
            format!("the labels are {missing} bytes too long: compare them with the key's struct")
        }
    };
    let mut problem = Problem::error(
        "key-size",
        Place::default(),
        format!("the labels do not cover the key of `{}`", map.name),
    );
    problem.layout = members::key_layout(context, map).map(|layout| layout.to_string());
    sink.report(
        labels_spot(raw),
        problem
            .expected(format!("{key_size} bytes{outer}{of}"))
            .found(format!("{total} bytes: {}", parts.join(" + ")))
            .help(help),
    );
}

fn part(label: &RawLabel) -> String {
    match padding(label) {
        0 => format!("{} {}", name(label), size(label)),
        padding => format!("{} {} and padding {padding}", name(label), size(label)),
    }
}

fn labels_spot(raw: &RawMetric) -> &Spot {
    raw.labels.first().map_or(&raw.spot, |label| &label.spot)
}

fn name(label: &RawLabel) -> &str {
    label.name.as_ref().map_or("", |name| &name.value)
}

fn size(label: &RawLabel) -> usize {
    label.size.as_ref().map_or(0, |size| size.value)
}

fn padding(label: &RawLabel) -> usize {
    label.padding.as_ref().map_or(0, |padding| padding.value)
}
