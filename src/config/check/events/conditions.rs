//! Which events count: `where: {member: value}`.

use super::super::globals::range;
use super::super::members::Whole;
use super::super::{Context, Sink, enums, values};
use super::Layout;
use crate::btf::{Member, MemberKind, ScalarKind};
use crate::config::raw::{RawGlobal, RawMetric, RawValue, ValueShape};
use crate::config::suggest;
use crate::config::yaml::scalar::{Resolved, resolve};
use crate::problem::{Place, Problem};
use crate::series::NumberKind;
use crate::spec::Condition;

/// The conditions, and what they mean.
pub(super) fn conditions(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    layout: &Layout<'_>,
) -> Option<(Vec<Condition>, String)> {
    if raw.conditions.is_empty() {
        // What could not be read was complained of already.
        return Some((Vec::new(), String::new()));
    }
    let whole = layout.whole(sink, raw, "where")?;
    // Each is looked at, so that all that is wrong is said.
    let found: Vec<_> = raw.conditions.iter().map(|condition| one(context, sink, whole, condition)).collect();
    let mut found: Vec<(Condition, String)> = found.into_iter().collect::<Option<_>>()?;
    found.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    let meanings: Vec<String> = found.iter().map(|(_, meaning)| meaning.clone()).collect();
    Some((found.into_iter().map(|(condition, _)| condition).collect(), meanings.join(" ")))
}

fn one(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    whole: &Whole<'_>,
    condition: &RawGlobal,
) -> Option<(Condition, String)> {
    let path = &condition.name;
    let member = whole.member(sink, &path.spot, &path.value)?;
    let Some(value) = values::number(&member).filter(|value| value.number_kind() != NumberKind::F64) else {
        let message = format!("the member `{}` cannot be compared", path.value);
        let problem = Problem::error("condition-type", Place::default(), message)
            .expected("a whole number, an enum or a bool")
            .found(format!("`{}`", member.type_name));
        sink.report(&path.spot, problem.layout(whole.layout.to_string()));
        return None;
    };
    let values = match &condition.value.shape {
        ValueShape::List(values) => values.iter().collect(),
        ValueShape::Scalar(_) | ValueShape::Members(_) => vec![&condition.value],
    };
    if values.is_empty() {
        let message = format!("no value of `{}` would count", path.value);
        let problem = Problem::error("condition-value", Place::default(), message);
        sink.report(&condition.value.spot, problem.expected("a value, or a list of some"));
        return None;
    }
    let numbers: Vec<_> = values.iter().map(|value| number(context, sink, &member, value)).collect();
    let mut any_of: Vec<i128> = numbers.into_iter().collect::<Option<_>>()?;
    any_of.sort_unstable();
    any_of.dedup();
    let meaning = format!("{} in {any_of:?}", whole.meaning(&path.value));
    Some((Condition { value, any_of }, meaning))
}

/// The number that a value stands for.
fn number(context: &Context<'_>, sink: &mut Sink<'_>, member: &Member, value: &RawValue) -> Option<i128> {
    let enumerators = match member.kind {
        MemberKind::Enum { .. } => {
            enums::of_type(context, member.type_id).and_then(|(_, params)| params.enumerators)
        }
        _ => None,
    };
    let resolved = match &value.shape {
        ValueShape::Scalar(scalar) => Some((resolve(scalar), scalar.text.as_str())),
        ValueShape::List(_) | ValueShape::Members(_) => None,
    };
    let is_bool = member.kind == MemberKind::Scalar(ScalarKind::Bool);
    let found = match resolved {
        Some((Resolved::Int(number), _)) => Some(number),
        Some((Resolved::Bool(flag), _)) if is_bool => Some(i128::from(flag)),
        Some((_, text)) => enumerators
            .as_ref()
            .and_then(|all| all.iter().find(|(_, name)| name == text).map(|(number, _)| *number)),
        None => None,
    };
    let (lowest, highest) = range(member, super::super::members::is_signed(member.kind));
    if let Some(number) = found.filter(|number| (lowest..=highest).contains(number)) {
        return Some(number);
    }
    let path = &member.path;
    let mut problem =
        Problem::error("condition-value", Place::default(), format!("`{path}` can never have this value"))
            .found(value.found.clone());
    problem = match (&enumerators, is_bool) {
        (Some(all), _) => {
            let text = resolved.map_or("", |(_, text)| text);
            problem.help = suggest::help("names there are", text, all.iter().map(|(_, name)| name.as_str()));
            problem.expected(format!("a name of `{}`, or a number", member.type_name))
        }
        (None, true) => problem.expected("true or false"),
        (None, false) => {
            problem.expected(format!("a whole number from {lowest} to {highest} (`{}`)", member.type_name))
        }
    };
    sink.report(&value.spot, problem);
    None
}
