//! Variables that can be set before the load, and symbols whose addresses are wanted.

use std::collections::HashMap;

use super::words::{bare, commented, quoted};
use crate::elf::{ObjectInfo, Value};

const KADDR: &str = "kaddr_";

/// `kaddrs`, and `globals` as a comment with what the variables begin with.
pub(super) fn text(object: &ObjectInfo) -> String {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for variable in &object.variables {
        *named.entry(&variable.name).or_default() += 1;
    }
    // Static variables of several files can share a name, which then means none of them.
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
