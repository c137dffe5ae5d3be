//! How labels cover the map's key.
//!
//! Sizes and paddings of all labels must be the key's bytes, all of them. On a per-CPU
//! map the last label (of a histogram: the one before the slot) may be `cpu` with two
//! bytes that are not in the key: the metric is split by CPU then. If `cpu` is the only
//! label, the four bytes of an array's index need none.

use std::sync::Arc;

use super::{Context, Sink, members};
use crate::config::findings::Spot;
use crate::config::raw::{Group, RawLabel, RawMetric};
use crate::decode::Chain;
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::{LabelSource, LabelSpec};

/// Bytes of a CPU's number, as the reference appends it to the key.
const CPU_SIZE: usize = 2;

/// Where each label's bytes come from, in the order written.
pub(super) struct Layout {
    sources: Vec<LabelSource>,
    /// Whether CPUs are told apart.
    pub(super) split: bool,
}

impl Layout {
    /// The labels, and the slot of a histogram.
    pub(super) fn into_specs(
        self,
        raw: &RawMetric,
        chains: Vec<Arc<Chain>>,
    ) -> (Vec<LabelSpec>, Option<LabelSpec>) {
        let mut labels: Vec<LabelSpec> = raw
            .labels
            .iter()
            .zip(self.sources.into_iter().zip(chains))
            .map(|(label, (source, chain))| LabelSpec { name: name(label).to_owned(), source, chain })
            .collect();
        let slot = if raw.group == Group::Histograms { labels.pop() } else { None };
        (labels, slot)
    }
}

/// Lays the labels over the key of a map.
pub(super) fn layout(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &MapInfo,
) -> Option<Layout> {
    let histogram = raw.group == Group::Histograms;
    if histogram && raw.labels.is_empty() {
        sink.report(
            &raw.spot,
            Problem::error("missing-slot", Place::default(), "a histogram without labels")
                .expected("at least one label: the last one is the slot's index, not shown")
                .help("labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]"),
        );
        return None;
    }
    let key_size = map.key_size as usize;
    if raw.labels.is_empty() && raw.broken && raw.given.iter().any(|given| given == "labels") {
        return None;
    }
    if raw.labels.is_empty() {
        return no_labels(sink, raw, map);
    }
    let total = total(sink, raw)?;
    let cpu = cpu_index(raw, map);
    // A key that is covered without it has a member of that name.
    let split = cpu.filter(|index| {
        let alone = raw.labels.len() == 1 + usize::from(histogram);
        let label = &raw.labels[*index];
        let fits = size(label) == CPU_SIZE && padding(label) == 0;
        fits && (total == key_size + CPU_SIZE || (alone && !histogram && total == CPU_SIZE && key_size == 4))
    });
    if split.is_none() && total != key_size {
        uncovered(context, sink, raw, map, total, cpu);
        return None;
    }
    if let (None, Some(index), false) = (split, cpu, histogram) {
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
    members::cuts(context, sink, raw, map, &sources);
    Some(Layout { sources, split: split.is_some() })
}

/// Without labels the key is one number, and only 0 counts.
fn no_labels(sink: &mut Sink<'_>, raw: &RawMetric, map: &MapInfo) -> Option<Layout> {
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
    Some(Layout { sources: Vec::new(), split: false })
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
    let behind = 1 + usize::from(raw.group == Group::Histograms);
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
    map: &MapInfo,
    total: usize,
    cpu: Option<usize>,
) {
    let key_size = map.key_size as usize;
    let parts: Vec<String> = raw.labels.iter().map(part).collect();
    let of = if cpu.is_some() { " (and 2 for the last label `cpu`)" } else { "" };
    let key = members::describe(context, map).map(|key| format!(", {key}")).unwrap_or_default();
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
    let problem = Problem::error(
        "key-size",
        Place::default(),
        format!("the labels do not cover the key of `{}`", map.name),
    );
    sink.report(
        labels_spot(raw),
        problem
            .expected(format!("{key_size} bytes{of}{key}"))
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
