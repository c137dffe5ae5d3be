//! The number in a map's value: all of it, or a member of a struct.

use super::members::{self, Part, Whole};
use super::{Context, Sink, spot_of};
use crate::btf::{Member, MemberKind, ScalarKind};
use crate::config::findings::Spot;
use crate::config::raw::RawMetric;
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::{ValueKind, ValueSpec};

/// Members that a message names.
const MAX_NAMED: usize = 32;

/// How the number is taken from the value.
pub(super) fn value(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &MapInfo,
) -> Option<ValueSpec> {
    if raw.gives("value") && raw.value.is_none() {
        return None;
    }
    let whole = Whole::of(context, map, Part::Value);
    let Some(path) = raw.value.as_ref().filter(|path| !path.value.is_empty()) else {
        return all(sink, raw, map, whole.ok().as_ref());
    };
    match whole {
        Ok(whole) => by_path(sink, &whole, &path.spot, &path.value),
        Err(why) => {
            members::untyped(sink, &path.spot, map, Part::Value, why);
            None
        }
    }
}

/// The number that a path names.
pub(super) fn by_path(sink: &mut Sink<'_>, whole: &Whole<'_>, spot: &Spot, path: &str) -> Option<ValueSpec> {
    let member = whole.member(sink, spot, path)?;
    let number = number(&member);
    if number.is_none() {
        let numbers = numbers(whole);
        let help = if numbers.is_empty() {
            "the value has no member that is a number".to_owned()
        } else {
            format!("members that are numbers: {}", numbers.join(", "))
        };
        sink.report(
            spot,
            Problem::error("value-type", Place::default(), format!("the member `{path}` is not a number"))
                .expected(
                    "an integer of 1, 2, 4 or 8 bytes, a bit-field, a bool, an enum, a float or a double",
                )
                .found(format!("`{}`", member.type_name))
                .layout(whole.layout.to_string())
                .help(help),
        );
    }
    number
}

/// The value as a whole.
fn all(sink: &mut Sink<'_>, raw: &RawMetric, map: &MapInfo, whole: Option<&Whole<'_>>) -> Option<ValueSpec> {
    let width = map.value_size as usize;
    let is_number = matches!(width, 1 | 2 | 4 | 8);
    let source = raw.global.as_ref().or(raw.map.as_ref());
    let spot = spot_of(source.or(raw.name.as_ref()), raw);
    let members = whole.filter(|whole| whole.is_struct()).map(numbers).unwrap_or_default();
    if let Some(whole) = whole
        && let Some(number) = whole.only_member().and_then(number)
    {
        return Some(number);
    }
    let several = members.len() > 1 && is_number;
    if let Some(whole) = whole
        && !members.is_empty()
    {
        let message = format!("the value of `{}` is a struct: `value` must name the number in it", map.name);
        let problem = if several {
            // The reference reads whatever has the size of a number.
            Problem::warning("missing-value", Place::default(), message)
                .found(format!("all {width} bytes are read as one number"))
        } else {
            Problem::error("missing-value", Place::default(), message)
        };
        sink.report(
            spot,
            problem
                .expected(format!("`value` with one of {}", members.join(", ")))
                .layout(whole.layout.to_string())
                .help(format!("value: {}", members[0].trim_matches('`'))),
        );
    }
    if is_number && (several || members.is_empty()) {
        return Some(ValueSpec::unsigned(0, width));
    }
    if members.is_empty() {
        sink.report(
            spot,
            Problem::error(
                "value-size",
                Place::default(),
                format!("the value of `{}` is not one number", map.name),
            )
            .expected("1, 2, 4 or 8 bytes, or `value` with a member that is a number")
            .found(format!("{width} bytes"))
            .help("make the value a number, such as u64"),
        );
    }
    None
}

/// How a member is a number; none when it is none.
pub(super) fn number(member: &Member) -> Option<ValueSpec> {
    let (offset, width) = (member.offset, member.size);
    let kind = match member.kind {
        MemberKind::Scalar(ScalarKind::Float) if matches!(width, 4 | 8) => ValueKind::Float,
        MemberKind::Scalar(ScalarKind::Float) => return None,
        MemberKind::Scalar(_) | MemberKind::Enum { .. } if member.bits.is_some() => {
            ValueKind::Bits(members::bits(member)?)
        }
        MemberKind::Scalar(_) | MemberKind::Enum { .. } if !matches!(width, 1 | 2 | 4 | 8) => return None,
        kind @ (MemberKind::Scalar(_) | MemberKind::Enum { .. }) if members::is_signed(kind) => {
            ValueKind::Signed
        }
        MemberKind::Scalar(_) | MemberKind::Enum { .. } => ValueKind::Unsigned,
        MemberKind::Pointer | MemberKind::Text | MemberKind::Array { .. } | MemberKind::Aggregate => {
            return None;
        }
    };
    Some(ValueSpec { offset, width, kind })
}

/// The paths of members that are numbers, as many as a message can name.
pub(super) fn numbers(whole: &Whole<'_>) -> Vec<String> {
    let members = whole.layout.members.iter().filter(|member| number(member).is_some());
    members.map(|member| format!("`{}`", member.path)).take(MAX_NAMED).collect()
}
