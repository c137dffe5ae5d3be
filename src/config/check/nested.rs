//! Maps of maps: the key by which an inner map is found stands before the key inside of it, as if both were
//! members of one key.

use super::labels::{Fields, Input};
use super::members::{Part, Whole};
use super::{Context, Sink};
use crate::btf::BtfError;
use crate::config::findings::Spot;
use crate::config::raw::{RawLabel, RawMetric};
use crate::elf::{MapInfo, ObjectInfo};
use crate::problem::{Place, Problem};
use crate::spec::{LabelSource, NestedMap};

/// Maps of maps that can be read, by what they hold.
pub(crate) fn nested(object: &ObjectInfo) -> Vec<NestedMap> {
    let of = |map: &MapInfo| {
        let inner = map.inner.as_deref().filter(|_| map.kind.is_map_in_map() && map.is_readable())?;
        Some(NestedMap {
            name: map.name.clone(),
            kind: inner.kind.0,
            key_size: inner.key_size,
            value_size: inner.value_size,
        })
    };
    object.maps.iter().filter_map(of).collect()
}

/// The keys of what a metric is read from.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// What holds the entries; of a map of maps an inner one, by the name of the map that holds it.
    pub(super) map: &'a MapInfo,
    /// The map that holds it.
    pub(super) outer: Option<&'a MapInfo>,
}

impl<'a> Keys<'a> {
    /// Bytes of the outer key, which come first.
    pub(super) fn outer_size(self) -> usize {
        self.outer.map_or(0, |outer| outer.key_size as usize)
    }

    /// Bytes of all of it.
    pub(super) fn size(self) -> usize {
        self.outer_size().saturating_add(self.map.key_size as usize)
    }

    /// The type of the outer key; an error when the object does not tell it.
    pub(super) fn outer_whole(self, context: &'a Context<'_>) -> Option<Result<Whole<'a>, Option<BtfError>>> {
        self.outer.map(|outer| Whole::of(context, outer, Part::OuterKey))
    }

    /// The parts of the inner key that labels are, counted from its beginning; others are left out of account.
    pub(super) fn inner_sources(self, sources: &[LabelSource]) -> Vec<LabelSource> {
        let begin = self.outer_size();
        let moved = |source: &LabelSource| match *source {
            LabelSource::Key { offset, size } if offset >= begin => {
                LabelSource::Key { offset: offset - begin, size }
            }
            _ => LabelSource::Cpu,
        };
        sources.iter().map(moved).collect()
    }
}

/// Without a label the entries of all inner maps would have the same.
pub(super) fn no_labels(sink: &mut Sink<'_>, raw: &RawMetric, outer: &MapInfo) -> Option<Fields> {
    let message = format!("`{}` holds maps, whose entries labels have to tell apart", outer.name);
    let problem = Problem::error("key-size", Place::default(), message)
        .expected("a label, such as {name: NAME, outer: true} for the key of the map that holds them")
        .help("by name, what no label names is summed");
    sink.report(&raw.spot, problem);
    None
}

/// A label that begins in the outer key and ends in the inner one.
pub(super) fn crosses(sink: &mut Sink<'_>, raw: &RawMetric, keys: Keys<'_>, sources: &[LabelSource]) -> bool {
    let border = keys.outer_size();
    let is_across = |source: &LabelSource| match *source {
        LabelSource::Key { offset, size } => offset < border && offset.saturating_add(size) > border,
        LabelSource::Bits { .. } | LabelSource::Cpu => false,
    };
    let Some(label) = raw.labels.iter().zip(sources).find(|(_, source)| is_across(source)) else {
        return false;
    };
    let name = label.0.name.as_ref().map_or("", |name| &name.value);
    let message = format!("the label `{name}` is a part of the outer key and of the inner one");
    let problem = Problem::error("key-size", Place::default(), message)
        .expected(format!("labels for the {border} bytes of the outer key, then those for the inner one"))
        .help("a `size` or a `padding` before it is wrong");
    sink.report(label.0.size.as_ref().map_or(&label.0.spot, |size| &size.spot), problem);
    true
}

/// Complains of `outer` where no map holds another.
pub(super) fn without_outer(sink: &mut Sink<'_>, label: &RawLabel, map: &str) {
    let spot = label.outer.as_ref().map_or(&label.spot, |outer| &outer.spot);
    let message = format!("`{map}` is no map of maps, so that there is no outer key");
    let problem = Problem::error("no-outer-key", Place::default(), message);
    sink.report(spot, problem.expected("a hash_of_maps or array_of_maps").help("remove `outer`"));
}

/// Complains of a member that only the other of the two keys has; whether it did.
pub(super) fn is_elsewhere(
    sink: &mut Sink<'_>,
    spot: &Spot,
    path: &str,
    (asked, other): (&Whole<'_>, &Whole<'_>),
) -> bool {
    let has = |whole: &Whole<'_>| whole.is_struct() && whole.find(path).is_ok();
    if path.is_empty() || has(asked) || !asked.is_struct() || !has(other) {
        return false;
    }
    let (noun, where_it_is, help) = match asked.is_outer() {
        true => ("outer", "inner", "remove `outer`"),
        false => ("inner", "outer", "add `outer: true`"),
    };
    let message = format!("the {noun} key has no member `{path}`, but the {where_it_is} key has");
    let problem = Problem::error("unknown-field", Place::default(), message);
    sink.report(spot, problem.layout(asked.layout.to_string()).help(help));
    true
}

/// A part of the inner key, from where both keys begin.
pub(super) fn behind(outer: usize, mut input: Input) -> Input {
    match &mut input.source {
        LabelSource::Key { offset, .. } | LabelSource::Bits { offset, .. } => {
            *offset = offset.saturating_add(outer);
        }
        LabelSource::Cpu => {}
    }
    input
}
