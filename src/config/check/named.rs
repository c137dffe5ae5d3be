//! Labels by name: members of the key by their paths.
//!
//! What no label names is summed over. A key that is no struct is one field without a name: a
//! single label of any name. On a per-CPU map a label `cpu` stands for the CPU's number,
//! unless the key has such a member.

use super::labels::{CPU_SIZE, Fields, Input};
use super::members::{self, Part, Whole};
use super::nested::{self, Keys};
use super::{Context, Sink, defaults, names};
use crate::btf::{Member, MemberKind};
use crate::config::findings::Spot;
use crate::config::raw::{RawLabel, RawMetric};
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::LabelSource;

/// Finds the labels, and the slot of a histogram, in the key of a map.
pub(super) fn fields(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    keys: Keys<'_>,
) -> Option<Fields> {
    let map = keys.map;
    let whole = match Whole::of(context, map, Part::Key) {
        Ok(whole) => whole,
        Err(why) => {
            members::untyped(sink, first_spot(raw), map, Part::Key, why);
            return None;
        }
    };
    let outer = outer(context, sink, raw, keys)?;
    let cpu = cpu_index(raw, map, &whole);
    let mut unnamed = Both::new(&whole, outer.as_ref(), keys);
    let mut inputs = Vec::with_capacity(raw.labels.len());
    for (index, label) in raw.labels.iter().enumerate() {
        inputs.push(match cpu {
            Some(cpu) if cpu == index => Some(Input {
                source: LabelSource::Cpu,
                size: CPU_SIZE,
                default: Some("uint"),
                enum_type: None,
                type_name: "u16".to_owned(),
            }),
            _ => unnamed.label(sink, label),
        });
    }
    let bucket = match &raw.bucket {
        // Beside `slots` it is a contradiction, which was said.
        Some(bucket) if !raw.gives("slots") => {
            let field = Some(bucket.value.as_str()).filter(|_| whole.is_struct());
            Some(unnamed.slot(sink, &bucket.spot, &bucket.value, field)?)
        }
        _ => None,
    };
    let shows_key = bucket.is_some() || inputs.len() > usize::from(cpu.is_some());
    if let Some(outer) = keys.outer
        && !shows_key
    {
        return nested::no_labels(sink, raw, outer);
    }
    if cpu.is_some() && !shows_key && map.key_size != 4 {
        cpu_alone(sink, raw, map, &whole);
        return None;
    }
    Some(Fields { inputs, bucket, split: cpu.is_some() })
}

/// The type of the outer key, if a label is a part of it; none within when there is none.
#[expect(clippy::option_option, reason = "what nobody needs is right, what is wrong is not")]
fn outer<'a>(
    context: &'a Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    keys: Keys<'a>,
) -> Option<Option<Whole<'a>>> {
    let asked = raw.labels.iter().find(|label| label.is_outer());
    let Some(outer) = keys.outer else {
        let Some(label) = asked else { return Some(None) };
        nested::without_outer(sink, label, &keys.map.name);
        return None;
    };
    match (keys.outer_whole(context)?, asked) {
        (Ok(whole), _) => Some(Some(whole)),
        (Err(_), None) => Some(None),
        (Err(why), Some(label)) => {
            members::untyped(sink, &label.spot, outer, Part::OuterKey, why);
            None
        }
    }
}

/// The key of the map that holds the entries, and the one by which that map is found.
struct Both<'a, 'o> {
    inner: Unnamed<'a, 'o>,
    outer: Option<Unnamed<'a, 'o>>,
    /// Bytes before the inner key.
    before: usize,
}

impl<'a, 'o> Both<'a, 'o> {
    fn new(inner: &'a Whole<'o>, outer: Option<&'a Whole<'o>>, keys: Keys<'_>) -> Self {
        let unnamed = |whole| Unnamed { whole, taken: false };
        Self { inner: unnamed(inner), outer: outer.map(unnamed), before: keys.outer_size() }
    }

    fn label(&mut self, sink: &mut Sink<'_>, label: &RawLabel) -> Option<Input> {
        let (asked, other) = match (label.is_outer(), &mut self.outer) {
            (true, Some(outer)) => (outer, Some(self.inner.whole)),
            (_, outer) => (&mut self.inner, outer.as_ref().map(|outer| outer.whole)),
        };
        let path = label.field.as_ref().or(label.name.as_ref());
        if let (Some(path), Some(other)) = (path, other)
            && nested::is_elsewhere(sink, &path.spot, &path.value, (asked.whole, other))
        {
            return None;
        }
        let before = if label.is_outer() { 0 } else { self.before };
        label_input(sink, label, asked).map(|input| nested::behind(before, input))
    }

    /// The slot of a histogram, which the inner key has.
    fn slot(&mut self, sink: &mut Sink<'_>, spot: &Spot, name: &str, path: Option<&str>) -> Option<Input> {
        let input = self.inner.input(sink, spot, name, path)?;
        Some(nested::behind(self.before, input))
    }
}

/// Finds the labels in events.
pub(super) fn of_event(sink: &mut Sink<'_>, raw: &RawMetric, whole: &Whole<'_>) -> Fields {
    if let Some(label) = raw.labels.iter().find(|label| label.is_outer()) {
        let buffer = raw.buffer().map_or("", |buffer| buffer.value.as_str());
        nested::without_outer(sink, label, buffer);
    }
    let mut unnamed = Unnamed { whole, taken: false };
    let inputs = raw.labels.iter().map(|label| label_input(sink, label, &mut unnamed)).collect();
    Fields { inputs, bucket: None, split: false }
}

/// The field of a label; its name was complained of already when it has none.
fn label_input(sink: &mut Sink<'_>, label: &RawLabel, unnamed: &mut Unnamed<'_, '_>) -> Option<Input> {
    let name = label.name.as_ref().filter(|name| !name.value.is_empty())?;
    match &label.field {
        Some(field) => unnamed.input(sink, &field.spot, &field.value, Some(&field.value)),
        None if label.broken => None,
        None => {
            let field = Some(name.value.as_str()).filter(|_| unnamed.whole.is_struct());
            // What no label can be called was complained of already: it is one mistake.
            if !names::is_label_name(&name.value)
                && field.is_some_and(|path| unnamed.whole.find(path).is_err())
            {
                return None;
            }
            unnamed.input(sink, &name.spot, &name.value, field)
        }
    }
}

/// A key that may be one field without a name, which can be taken once.
struct Unnamed<'a, 'o> {
    whole: &'a Whole<'o>,
    taken: bool,
}

impl Unnamed<'_, '_> {
    /// A field by its path; without one, the field that has no name.
    fn input(&mut self, sink: &mut Sink<'_>, spot: &Spot, name: &str, path: Option<&str>) -> Option<Input> {
        let whole = self.whole;
        if path.is_none_or(str::is_empty) && !whole.is_struct() {
            if self.taken {
                let kind = &whole.layout.type_name;
                let part = whole.noun();
                let message = format!("the {part} is one `{kind}`, and another label has it already");
                sink.report(
                    spot,
                    Problem::error("unknown-field", Place::default(), message)
                        .expected(format!(
                            "one label for the {part}, or `field` with a part of it for `{name}`"
                        ))
                        .layout(whole.layout.to_string()),
                );
                return None;
            }
            self.taken = true;
        }
        let member = whole.member(sink, spot, path.unwrap_or_default())?;
        input(sink, spot, whole, &member)
    }
}

fn input(sink: &mut Sink<'_>, spot: &Spot, whole: &Whole<'_>, member: &Member) -> Option<Input> {
    let (default, type_name) = (defaults::decoder(member), member.type_name.clone());
    let enum_type = matches!(member.kind, MemberKind::Enum { .. }).then_some(member.type_id);
    if member.bits.is_some()
        && let Some(bits) = members::bits(member)
    {
        let source = LabelSource::Bits { offset: member.offset, size: member.size, bits };
        return Some(Input { source, size: size_of::<u64>(), default, enum_type, type_name });
    }
    if member.size == 0 || member.bits.is_some() {
        let (message, expected) = if member.size == 0 {
            (format!("the member `{}` has no bytes", member.path), "a member with a size")
        } else {
            (format!("the bit-field `{}` is no number", member.path), "a bit-field of 64 bits at most")
        };
        sink.report(
            spot,
            Problem::error("label-size", Place::default(), message)
                .expected(expected)
                .layout(whole.layout.to_string()),
        );
        return None;
    }
    let source = LabelSource::Key { offset: member.offset, size: member.size };
    Some(Input { source, size: member.size, default, enum_type, type_name })
}

/// The label that stands for the CPU's number.
fn cpu_index(raw: &RawMetric, map: &MapInfo, whole: &Whole<'_>) -> Option<usize> {
    if !map.kind.is_per_cpu() || (whole.is_struct() && whole.find("cpu").is_ok()) {
        return None;
    }
    let shown = raw.labels.len().saturating_sub(usize::from(raw.slot_is_label()));
    let is_cpu = |label: &RawLabel| {
        label.field.is_none() && label.name.as_ref().is_some_and(|name| name.value == "cpu")
    };
    raw.labels.iter().take(shown).rposition(is_cpu)
}

fn cpu_alone(sink: &mut Sink<'_>, raw: &RawMetric, map: &MapInfo, whole: &Whole<'_>) {
    sink.report(
        first_spot(raw),
        Problem::error("key-size", Place::default(), "a metric without labels reads the key 0 of 4 bytes")
            .expected("labels for the key beside `cpu`, or a key of 4 bytes")
            .found(format!("the key of `{}` has {} bytes", map.name, map.key_size))
            .layout(whole.layout.to_string()),
    );
}

fn first_spot(raw: &RawMetric) -> &Spot {
    let bucket = raw.bucket.as_ref().map_or(&raw.spot, |bucket| &bucket.spot);
    raw.labels.first().map_or(bucket, |label| &label.spot)
}
