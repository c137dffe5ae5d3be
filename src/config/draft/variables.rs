//! Variables that can be set before the load or shown by metrics, and symbols whose addresses are wanted.

use std::collections::HashMap;

use super::words::{bare, commented, quoted};
use crate::btf::{Btf, Member, MemberKind, ScalarKind};
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
    let settable: Vec<String> = constants
        .filter_map(|variable| {
            let initial = scalar(&object.initial_value(variable))?;
            Some(format!(
                "#   {}: {initial} # {}\n",
                bare(&variable.name),
                commented(&object.btf.type_name(variable.type_id))
            ))
        })
        .collect();
    if !settable.is_empty() {
        text += "# globals: # as the object has them; takes effect without the comment signs\n";
        text.extend(settable);
    }
    text
}

/// Variables whose names say that they count, or what they show, and whether they are arrays. Others can be
/// anything: what programs remember, flags, scratch.
pub(super) fn shown(object: &ObjectInfo) -> Vec<(&Variable, bool)> {
    let named = named(object);
    let plain = |variable: &&Variable| {
        !variable.section.starts_with(".rodata")
            // What a longer name is cut to may be another section's.
            && variable.section == section_map(&variable.section)
            && says_so(&variable.name)
            && named.get(variable.name.as_str()) == Some(&1)
    };
    let shape = |variable| Some((variable, is_array_of_counts(&object.btf, variable)?));
    object.variables.iter().filter(plain).filter_map(shape).collect()
}

fn says_so(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let starts = ["counter_", "gauge_"].iter().any(|start| name.starts_with(start));
    starts || ["_total", "_gauge"].iter().any(|end| name.ends_with(end))
}

/// Whether a variable is an array of counts, or one; none when it is another thing.
fn is_array_of_counts(btf: &Btf, variable: &Variable) -> Option<bool> {
    let is_count = |member: &Member| {
        matches!(member.kind, MemberKind::Scalar(ScalarKind::Unsigned)) && matches!(member.size, 4 | 8)
    };
    let whole = btf.member(variable.type_id, "").ok()?;
    if matches!(whole.kind, MemberKind::Array { .. }) {
        let element = btf.member(variable.type_id, "[0]").ok()?;
        return is_count(&element).then_some(true);
    }
    is_count(&whole).then_some(false)
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
