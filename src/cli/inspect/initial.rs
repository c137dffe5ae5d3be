//! A variable's initial value as JSON.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::elf::Value;

/// Numbers and text as they are, a struct as an object in the order of its members, a number of
/// an enum as `{"name": …, "value": …}`, bytes without meaning as `{"bytes": "<hex>"}`,
/// many zeros as `{"zero_bytes": <count>}`.
pub(super) struct Initial<'a>(pub(super) &'a Value);

impl Serialize for Initial<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Integer(number) => integer(*number, to),
            Value::Bool(is) => to.serialize_bool(*is),
            Value::Float(number) if number.is_finite() => to.serialize_f64(*number),
            // JSON has no such numbers.
            Value::Float(number) => to.collect_str(number),
            Value::Enum(name, number) => {
                let mut map = to.serialize_map(Some(2))?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("value", &Initial(&Value::Integer(*number)))?;
                map.end()
            }
            Value::Pointer(address) => to.serialize_u64(*address),
            Value::Text(text) => to.serialize_str(text),
            Value::Array(values) => to.collect_seq(values.iter().map(Initial)),
            Value::Struct(members) | Value::Union(members) => {
                to.collect_map(members.iter().map(|(name, value)| (name, Initial(value))))
            }
            Value::Zeros(bytes) => to.collect_map([("zero_bytes", bytes)]),
            Value::Bytes(bytes) => to.collect_map([("bytes", hex(bytes))]),
        }
    }
}

fn integer<S: Serializer>(number: i128, to: S) -> Result<S::Ok, S::Error> {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => to.serialize_i64(number),
        (_, Ok(number)) => to.serialize_u64(number),
        _ => to.collect_str(&number),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: &str) {
        assert_eq!(serde_json::to_string(&Initial(value)).unwrap(), expected);
    }

    #[test]
    fn values_are_json() {
        check(&Value::Integer(-1), "-1");
        check(&Value::Integer(u64::MAX.into()), "18446744073709551615");
        check(&Value::Float(1.5), "1.5");
        check(&Value::Float(f64::INFINITY), "\"inf\"");
        check(&Value::Enum(Some("RED".into()), 1), r#"{"name":"RED","value":1}"#);
        check(&Value::Enum(None, 9), r#"{"name":null,"value":9}"#);
        check(&Value::Text("a".into()), "\"a\"");
        check(&Value::Array(vec![Value::Bool(true), Value::Pointer(7)]), "[true,7]");
        let members = vec![("z".to_owned(), Value::Integer(1)), ("a".to_owned(), Value::Integer(2))];
        check(&Value::Struct(members), r#"{"z":1,"a":2}"#);
        check(&Value::Zeros(9), r#"{"zero_bytes":9}"#);
        check(&Value::Bytes(vec![0, 255]), r#"{"bytes":"00ff"}"#);
    }
}
