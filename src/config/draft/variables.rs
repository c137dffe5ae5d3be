//! Variables that can be set before the load or shown by metrics, and symbols whose addresses are wanted.

use std::collections::HashMap;

use super::words::{bare, commented, quoted};
use super::{labels, metrics};
use crate::btf::{Layout, Member, MemberKind, ScalarKind, TypeId};
use crate::elf::{ObjectInfo, Value, Variable, section_map};

const KADDR: &str = "kaddr_";

/// `kaddrs`, and `globals` as a comment with what the variables begin with.
pub(super) fn text(object: &ObjectInfo) -> String {
    let named = named(object);
    let alone = || object.variables.iter().filter(|variable| named.get(variable.name.as_str()) == Some(&1));
    let wanted = alone().filter(|variable| variable.size == 8);
    let symbols: Vec<String> =
        wanted.filter_map(|variable| variable.name.strip_prefix(KADDR)).map(quoted).collect();
    let mut text = String::new();
    if !symbols.is_empty() {
        text += &format!("kaddrs: [{}]\n", symbols.join(", "));
    }
    let constants = alone()
        .filter(|variable| variable.section.starts_with(".rodata") && !variable.name.starts_with(KADDR));
    let mut room = ROOM;
    let settable: Vec<String> =
        constants.flat_map(|variable| settings(object, variable, &mut room)).take(MOST_SETTINGS).collect();
    if !settable.is_empty() {
        text += "# globals: # as the object has them; takes effect without the comment signs\n";
        text.extend(settable);
    }
    text
}

/// Lines of `globals` that are written at most: they are there to choose from.
const MOST_SETTINGS: usize = 256;

/// What a constant begins with; of a struct or an array of them each member by its path.
fn settings(object: &ObjectInfo, variable: &Variable, room: &mut usize) -> Vec<String> {
    let value = object.initial_value(variable);
    let line = |name: &str, value: &Value, id| {
        let initial = scalar(value)?;
        let type_name = commented(&object.btf.type_name(id));
        Some(format!("#   {}: {initial} # {type_name}\n", bare(name)))
    };
    if let Some(line) = line(&variable.name, &value, variable.type_id) {
        return vec![line];
    }
    let Some(layout) = layout(object, variable.type_id, room) else { return Vec::new() };
    let members = labels::shown(&layout).filter(|member| labels::reaches(object, &layout, member)).take(32);
    let settable = |member: &Member| {
        let path = &member.path;
        let dot = if path.starts_with('[') || path.is_empty() { "" } else { "." };
        line(&format!("{}{dot}{path}", variable.name), part(&value, path)?, member.type_id)
    };
    members.filter_map(settable).collect()
}

/// Members that are looked at in all variables together, which can share a type, however large.
const ROOM: usize = 1 << 20;

/// The layout of a type, while there is room: members are compared with each other.
fn layout(object: &ObjectInfo, id: TypeId, room: &mut usize) -> Option<Layout> {
    let layout = (*room > 0).then(|| object.btf.layout(id).ok())??;
    let compared = layout.members.len().min(labels::MAX_MEMBERS);
    *room = room.saturating_sub(layout.members.len() + compared * compared / 16);
    Some(layout)
}

/// The part of a value that a path leads to.
fn part<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let path = path.trim_start_matches('.');
    if path.is_empty() {
        return Some(value);
    }
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let Value::Array(values) = value else { return None };
        return part(values.get(index.parse::<usize>().ok()?)?, rest);
    }
    let (Value::Struct(members) | Value::Union(members)) = value else { return None };
    let (name, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    part(&members.iter().find(|(member, _)| member == name)?.1, rest)
}

/// What a variable shows.
pub(super) struct Shown<'o> {
    pub(super) variable: &'o Variable,
    /// The number, or the array of slots: of the variable, or of its elements.
    pub(super) member: Member,
    /// Of a histogram, the paths of its sum and its count.
    pub(super) slots: Option<[Option<String>; 2]>,
    /// Whether the variable is an array, whose index is a label.
    pub(super) is_array: bool,
    /// Why it seems to be no metric.
    pub(super) aside: Option<String>,
}

/// Members of one variable that are shown, and variables that are mentioned though their names say nothing.
const MOST: usize = 16;

/// Variables that programs write: histograms, and numbers whose names say that they count, or what they show. Others can
/// be anything (what programs remember, flags, scratch) and are put aside.
pub(super) fn shown(object: &ObjectInfo) -> Vec<Shown<'_>> {
    let named = named(object);
    let plain = |variable: &&Variable| {
        !variable.section.starts_with(".rodata")
            // What a longer name is cut to may be another section's.
            && variable.section == section_map(&variable.section)
            && named.get(variable.name.as_str()) == Some(&1)
    };
    let (mut shown, mut aside, mut room) = (Vec::new(), Vec::new(), ROOM);
    for variable in object.variables.iter().filter(plain) {
        let found = metrics_of(object, variable, &mut room);
        let is_histogram = found.iter().any(|one| one.slots.is_some());
        let counts = counts(&variable.name);
        // What is counted down as well is no counter, whatever its name.
        let falls = |one: &Shown<'_>| {
            one.slots.is_none() && one.member.kind == MemberKind::Scalar(ScalarKind::Signed)
        };
        let all_fall = found.iter().all(falls);
        let named = says_so(&variable.name) || (counts && object.initial_value(variable).is_zero());
        if is_histogram || (named && !all_fall) {
            shown.extend(found.into_iter().map(|one| {
                let path = format!("{}.{}", variable.name, one.member.path);
                let why =
                    || format!("{path} may be for the programs alone (it is signed, as what falls again)");
                Shown { aside: falls(&one).then(why), ..one }
            }));
        } else if !variable.is_static
            && aside.len() < MOST
            && found.iter().all(|one| one.member.path.is_empty())
        {
            let why = match (all_fall, counts) {
                (true, _) => "it is signed, as what falls again",
                (false, true) => "it does not begin with 0",
                (false, false) => "its name does not say that it counts",
            };
            let why = format!("{} may be for the programs alone ({why})", variable.name);
            aside.extend(found.into_iter().map(|one| Shown { aside: Some(why.clone()), ..one }));
        }
    }
    shown.append(&mut aside);
    shown
}

/// Everything that a variable could be a metric of.
fn metrics_of<'o>(object: &'o ObjectInfo, variable: &'o Variable, room: &mut usize) -> Vec<Shown<'o>> {
    let btf = &object.btf;
    let one = |member: Member, slots, is_array| Shown { variable, member, slots, is_array, aside: None };
    let Ok(whole) = btf.member(variable.type_id, "") else { return Vec::new() };
    let is_histogram = metrics::group(&variable.name) == "histograms";
    let (element, is_array) = match whole.kind {
        MemberKind::Array { .. } if is_histogram && metrics::is_slots(btf, &variable.name, &whole) => {
            return vec![one(whole, Some([None, None]), false)];
        }
        MemberKind::Array { .. } => match btf.member(variable.type_id, "[0]") {
            Ok(element) => (element, true),
            Err(_) => return Vec::new(),
        },
        _ => (whole, false),
    };
    if element.kind != MemberKind::Aggregate {
        let element = Member { path: String::new(), ..element };
        return if is_count(&element) { vec![one(element, None, is_array)] } else { Vec::new() };
    }
    let Some(layout) = layout(object, element.type_id, room) else { return Vec::new() };
    let reached = |member: &&Member| labels::reaches(object, &layout, member);
    let slots = layout.members.iter().filter(|member| metrics::is_slots(btf, "", member)).find(reached);
    let beside = metrics::siblings(object, &layout).map(|member| member.map(|member| member.path.clone()));
    let is_beside =
        |member: &&Member| slots.is_some() && beside.iter().flatten().any(|path| *path == member.path);
    let numbers = labels::shown(&layout)
        .filter(reached)
        .filter(|member| metrics::is_number(member) && !is_beside(member))
        .map(|member| one(member.clone(), None, is_array));
    let histogram = slots.map(|slots| one(slots.clone(), Some(beside.clone()), is_array));
    histogram.into_iter().chain(numbers).take(MOST).collect()
}

fn says_so(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let starts = ["counter_", "gauge_"].iter().any(|start| name.starts_with(start));
    starts || ["_total", "_gauge"].iter().any(|end| name.ends_with(end))
}

/// Whether one of a name's words is a number of things.
fn counts(name: &str) -> bool {
    const COUNTS: [&str; 21] = [
        "count", "counts", "counter", "counters", "cnt", "stats", "hits", "misses", "packets", "bytes",
        "drops", "dropped", "errors", "failures", "calls", "events", "requests", "retries", "timeouts",
        "lost", "total",
    ];
    name.to_ascii_lowercase().split('_').any(|word| COUNTS.contains(&word))
}

fn is_count(member: &Member) -> bool {
    matches!(member.kind, MemberKind::Scalar(ScalarKind::Unsigned | ScalarKind::Signed))
        && matches!(member.size, 4 | 8)
}

/// How many variables have a name. Static variables of several files can share one, which then means none of them.
fn named(object: &ObjectInfo) -> HashMap<&str, usize> {
    let mut named = HashMap::new();
    for variable in &object.variables {
        *named.entry(variable.name.as_str()).or_default() += 1;
    }
    named
}

/// A value in YAML's words; none for what `globals` takes member by member, and for long lists.
fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::Integer(number) | Value::Enum(None, number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Enum(Some(name), _) => bare(name),
        Value::Text(text) => quoted(text),
        Value::Array(values) if values.len() <= 32 => {
            let values: Option<Vec<String>> = values.iter().map(scalar).collect();
            format!("[{}]", values?.join(", "))
        }
        _ => return None,
    })
}
