//! Which bytes of an event become the key of an entry, and where each label finds its own there.

use super::super::labels::{self, Fields, Input};
use super::super::{Sink, named};
use super::Layout;
use crate::config::raw::RawMetric;
use crate::spec::{KeyPart, LabelSource, LabelSpec};

/// The key of an entry.
pub(super) struct EventKey {
    /// The parts of a record, as they lie side by side.
    pub(super) parts: Vec<KeyPart>,
    /// Names and types of them.
    pub(super) meaning: String,
}

/// A part with what orders it: so that the same members are the same key wherever they lie in a record.
struct Named {
    meaning: String,
    part: KeyPart,
    /// The label that it is of.
    label: usize,
}

/// Where the labels are in a record, with what their bytes mean.
pub(super) fn fields(
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    layout: &Layout<'_>,
) -> Option<(Fields, Vec<String>)> {
    let is_lost = raw.broken && raw.gives("labels") && raw.labels.is_empty();
    if is_lost || raw.is_mixed() {
        return None;
    }
    Some(if raw.labels.is_empty() {
        (Fields { inputs: Vec::new(), bucket: None, split: false }, Vec::new())
    } else if raw.is_by_name() {
        let whole = layout.whole(sink, raw, "labels")?;
        let path = |label: &crate::config::raw::RawLabel| {
            let own = label.name.as_ref().filter(|_| whole.is_struct());
            label.field.as_ref().or(own).map_or("", |path| path.value.as_str()).to_owned()
        };
        let names = raw.labels.iter().map(|label| whole.meaning(&path(label))).collect();
        (named::of_event(sink, raw, whole), names)
    } else {
        labels::side_by_side(sink, raw)?
    })
}

/// The labels, which are parts of the key, and the key itself.
pub(super) fn key(sink: &mut Sink<'_>, raw: &RawMetric, layout: &Layout<'_>) -> Option<(Fields, EventKey)> {
    let (mut fields, names) = fields(sink, raw, layout)?;
    let mut parts = Vec::new();
    for (label, (input, meaning)) in fields.inputs.iter().zip(names).enumerate() {
        // One that is at fault costs the metric; the others are looked at all the same.
        let Some(Input { source, .. }) = input else { continue };
        let part = match *source {
            LabelSource::Key { offset, size } => KeyPart::Bytes { offset, size },
            LabelSource::Bits { offset, size, bits } => KeyPart::Bits { offset, size, bits },
            LabelSource::Cpu => continue,
        };
        parts.push(Named { meaning, part, label });
    }
    // Labels of one meaning stay in their order.
    parts.sort_by(|one, other| one.meaning.cmp(&other.meaning));
    let mut key = EventKey { parts: Vec::new(), meaning: String::new() };
    let (mut at, mut last): (usize, Option<(KeyPart, usize)>) = (0, None);
    for Named { meaning, part, label } in parts {
        let offset = match last {
            // Two labels may show the same member.
            Some((same, offset)) if same == part => offset,
            _ => {
                let offset = at;
                at += part.width();
                key.parts.push(part);
                key.meaning.push_str(&meaning);
                key.meaning.push(';');
                last = Some((part, offset));
                offset
            }
        };
        if let Some(Some(input)) = fields.inputs.get_mut(label) {
            input.source = LabelSource::Key { offset, size: part.width() };
        }
    }
    Some((fields, key))
}

/// Brings parts that decoders take for the same to one form, where all labels of a part agree on it. Whether each key
/// is a label set of its own then.
pub(super) fn canonicalise(parts: &mut [KeyPart], labels: &[LabelSpec]) -> bool {
    let (mut begin, mut is_told_apart) = (0, true);
    for part in parts {
        let source = LabelSource::Key { offset: begin, size: part.width() };
        begin += part.width();
        let mut chains = labels.iter().filter(|label| label.source == source).map(|label| &label.chain);
        is_told_apart &= chains.clone().any(|chain| chain.tells_canonical_apart());
        let form = chains.next().and_then(|chain| chain.canonical());
        if let (KeyPart::Bytes { offset, size }, Some(form)) = (*part, form)
            && chains.all(|chain| chain.canonical() == Some(form))
        {
            *part = KeyPart::Text { offset, size, form };
        }
    }
    is_told_apart
}
