//! Histograms whose slots are an array inside the value.

use super::members::{self, Part, Whole};
use super::tables::Table;
use super::{Context, Sink, spot_of, values};
use crate::btf::{Member, MemberKind, ScalarKind};
use crate::config::raw::{Found, Group, RawMetric};
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::series::NumberKind;
use crate::spec::{SlotArray, ValueKind, ValueSpec};

/// Keys that contradict each other, or that mean nothing alone.
pub(super) fn conflicts(sink: &mut Sink<'_>, raw: &RawMetric) {
    if raw.group != Group::Histograms {
        return;
    }
    let mut refuse = |found: Option<&Found<String>>, message: &str, help: &str| {
        if let Some(found) = found {
            let problem = Problem::error("slots-conflict", Place::default(), message);
            sink.report(&found.spot, problem.help(help));
        }
    };
    if raw.gives("slots") {
        let one = "remove one of the two";
        refuse(raw.bucket.as_ref(), "the slots are keys (`bucket`) or an array in the value (`slots`)", one);
        refuse(raw.value.as_ref(), "`slots` says already what the value's numbers are", "remove `value`");
    } else {
        let help = "a map with an entry for each slot has its sum in the entry behind the last";
        refuse(raw.sum.as_ref(), "`sum` is a member beside the array that `slots` names", help);
        refuse(raw.count.as_ref(), "`count` is a member beside the array that `slots` names", help);
    }
}

/// Whether the slots are an array that no `slots` names, which is said: then nothing else is known of the histogram.
pub(super) fn forgotten(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    table: Option<&Table<'_>>,
) -> bool {
    let Some(table) = table.filter(|_| raw.slot_is_label() && !raw.gives("value")) else { return false };
    let Ok(whole) = Whole::of(context, &table.map, Part::Value) else { return false };
    let elements = raw.gives("global") && raw.labels.is_empty() && table.map.max_entries > 1;
    let (message, path) = match counts(&whole) {
        Some(path) if !whole.is_struct() => (format!("the value of `{}` is an array", table.map.name), path),
        Some(path) if whole.only_member().and_then(values::number).is_none() => {
            (format!("the value of `{}` has an array", table.map.name), path)
        }
        None if elements && whole.only_member().is_some_and(|only| only.path.is_empty()) => {
            (format!("`{}` is an array", table.map.name), String::new())
        }
        _ => return false,
    };
    let source = raw.global.as_ref().or(raw.map.as_ref());
    let path = if path.is_empty() { "\"\"".to_owned() } else { path };
    let message = format!("{message}, and nothing says that it is the histogram's");
    sink.report(
        spot_of(source.or(raw.name.as_ref()), raw),
        Problem::error("missing-slots", Place::default(), message)
            .expected("`slots` with the path of the array of counts")
            .layout(whole.layout.to_string())
            .help(format!("slots: {path}")),
    );
    true
}

/// The path of the longest array of integers.
fn counts(whole: &Whole<'_>) -> Option<String> {
    let length = |member: &Member| match whole.elements(member)? {
        (1 | 2 | 4 | 8, ScalarKind::Unsigned | ScalarKind::Signed, length) => Some(length),
        _ => None,
    };
    // A short one beside numbers may be none.
    let least = if values::numbers(whole).is_empty() { 1 } else { 8 };
    let arrays = whole.layout.members.iter().filter_map(|member| Some((length(member)?, member)));
    let arrays = arrays.filter(|(length, _)| *length >= least).collect::<Vec<_>>().into_iter();
    // Of several that are as long the first.
    let longest = arrays.rev().max_by_key(|(length, _)| *length)?;
    Some(longest.1.path.clone())
}

/// The first slot and the whole array; none when it is none.
pub(super) fn array(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &MapInfo,
) -> Option<(ValueSpec, SlotArray)> {
    let path = raw.slots.as_ref()?;
    let whole = match Whole::of(context, map, Part::Value) {
        Ok(whole) => whole,
        Err(why) => {
            members::untyped(sink, &path.spot, map, Part::Value, why);
            return None;
        }
    };
    let slots = slots(sink, &whole, path);
    let sum = extra(sink, &whole, "sum", raw.sum.as_ref(), raw);
    let count = extra(sink, &whole, "count", raw.count.as_ref(), raw);
    let (first, length) = slots?;
    Some((first, SlotArray { length, sum: sum?, count: count?, by_bound: false }))
}

fn slots(sink: &mut Sink<'_>, whole: &Whole<'_>, path: &Found<String>) -> Option<(ValueSpec, usize)> {
    let member = whole.member(sink, &path.spot, &path.value)?;
    let elements = whole.elements(&member).filter(|(size, kind, count)| {
        let integer = matches!(kind, ScalarKind::Unsigned | ScalarKind::Signed);
        integer && matches!(size, 1 | 2 | 4 | 8) && *count > 0
    });
    let Some((width, scalar, length)) = elements else {
        let arrays: Vec<String> = whole
            .layout
            .members
            .iter()
            .filter(|member| matches!(member.kind, MemberKind::Array { .. }))
            .map(|member| format!("`{}`", member.path))
            .take(16)
            .collect();
        let mut problem =
            Problem::error("slots-type", Place::default(), "`slots` does not name an array of counts")
                .expected("an array of integers, such as `u32 slots[27]`")
                .found(format!("`{}`", member.type_name))
                .layout(whole.layout.to_string());
        if !arrays.is_empty() {
            problem = problem.help(format!("arrays there are: {}", arrays.join(", ")));
        }
        sink.report(&path.spot, problem);
        return None;
    };
    let kind = if scalar == ScalarKind::Signed { ValueKind::Signed } else { ValueKind::Unsigned };
    Some((ValueSpec { offset: member.offset, width, kind }, length))
}

/// A member beside the slots: none within when it is not written.
#[expect(clippy::option_option, reason = "what is not written is right, what is wrong is not")]
fn extra(
    sink: &mut Sink<'_>,
    whole: &Whole<'_>,
    key: &str,
    path: Option<&Found<String>>,
    raw: &RawMetric,
) -> Option<Option<ValueSpec>> {
    let Some(path) = path else { return (!raw.gives(key)).then_some(None) };
    let number = values::by_path(sink, whole, &path.spot, &path.value)?;
    if number.number_kind() == NumberKind::F64 {
        let problem = Problem::error("value-type", Place::default(), format!("`{key}` cannot be a float"));
        sink.report(&path.spot, problem.expected("an integer, which BPF programs can add to"));
        return None;
    }
    Some(Some(number))
}
