//! What a variable begins with: its bytes as C would write them.

use std::collections::HashMap;
use std::fmt::{Display, Formatter, Result as Written, Write};

use crate::btf::{Btf, Field, Kind, ScalarKind, Type, TypeId};

const MAX_DEPTH: usize = 32;
/// Numbers of one value; larger ones stay bytes.
const MAX_PARTS: usize = 65_536;

/// A value with its type's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer of up to 64 bits, or a `char` alone.
    Integer(i128),
    /// A `bool`.
    Bool(bool),
    /// A `float` or `double`.
    Float(f64),
    /// A number of an enum, and its name where it has one.
    Enum(Option<String>, i128),
    /// An address.
    Pointer(u64),
    /// `char[N]` up to its NUL.
    Text(String),
    /// Any other array.
    Array(Vec<Value>),
    /// A struct by its members.
    Struct(Vec<(String, Value)>),
    /// A union: each way to see it.
    Union(Vec<(String, Value)>),
    /// What has no meaning here: its bytes.
    Bytes(Vec<u8>),
    /// So many bytes, all of them zero, of a value that is too large to be told part by part.
    Zeros(u64),
}

impl Value {
    /// Reads a value of a type.
    #[must_use]
    pub fn read(btf: &Btf, id: TypeId, bytes: &[u8]) -> Self {
        let mut reader = Reader { btf, parts: 0, scalars: HashMap::new(), names: HashMap::new() };
        reader.value(id, bytes, 0).unwrap_or_else(|| Self::Bytes(bytes.to_vec()))
    }

    /// A value of which all bytes are zero.
    #[must_use]
    pub(super) fn zero(btf: &Btf, id: TypeId, size: u32) -> Self {
        match usize::try_from(size) {
            Ok(size) if size <= MAX_PARTS => Self::read(btf, id, &vec![0; size]),
            _ => Self::Zeros(size.into()),
        }
    }

    /// The bytes alone, or how many zeros.
    pub(super) fn untold(bytes: Option<&[u8]>, size: u32) -> Self {
        bytes.map_or(Self::Zeros(size.into()), |bytes| Self::Bytes(bytes.to_vec()))
    }

    /// Whether every byte of it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Integer(number) | Self::Enum(_, number) => *number == 0,
            Self::Bool(is) => !is,
            Self::Float(number) => number.to_bits() == 0,
            Self::Pointer(address) => *address == 0,
            Self::Text(text) => text.is_empty(),
            Self::Array(values) => values.iter().all(Self::is_zero),
            Self::Struct(members) | Self::Union(members) => members.iter().all(|(_, value)| value.is_zero()),
            Self::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Self::Zeros(_) => true,
        }
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    parts: usize,
    /// Of types met before: the sign of an enum is known when all of its values were seen.
    scalars: HashMap<TypeId, Option<(usize, ScalarKind)>>,
    /// Of enums met before, the first name of each value: long arrays of long enums are looked up in it.
    names: HashMap<TypeId, HashMap<i128, &'a str>>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, id: TypeId, bytes: &[u8], depth: usize) -> Option<Value> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return None;
        }
        let found = self.btf.resolve(id).ok()?;
        match found.kind() {
            Kind::Array => self.array(&found, bytes, depth),
            Kind::Struct => self.members(&found, bytes, depth).map(Value::Struct),
            Kind::Union => self.members(&found, bytes, depth).map(Value::Union),
            _ => {
                let (size, kind) = self.scalar(id)?;
                let bytes = bytes.get(..size)?;
                if kind == ScalarKind::Float {
                    return float(bytes).map(Value::Float);
                }
                let bits = u32::try_from(size * 8).ok().filter(|bits| *bits <= 64)?;
                Some(self.named(&found, kind, integer(bytes, 0, bits, kind)))
            }
        }
    }

    fn array(&mut self, array: &Type<'_>, bytes: &[u8], depth: usize) -> Option<Value> {
        let (element, count) = (array.target(), array.element_count() as usize);
        let size = self.btf.size_of(element).ok()?;
        let bytes = bytes.get(..size.checked_mul(count)?)?;
        if let Some((1, ScalarKind::Char)) = self.btf.scalar(element) {
            return Some(text(bytes));
        }
        if size == 0 {
            return Some(Value::Array(Vec::new()));
        }
        bytes
            .chunks_exact(size)
            .map(|part| self.value(element, part, depth + 1))
            .collect::<Option<_>>()
            .map(Value::Array)
    }

    fn members(&mut self, aggregate: &Type<'_>, bytes: &[u8], depth: usize) -> Option<Vec<(String, Value)>> {
        let mut members = Vec::new();
        for field in aggregate.fields() {
            let value = self.member(&field, bytes, depth)?;
            match value {
                // What an anonymous struct or union holds stands where C sees it.
                Some(Value::Struct(inner) | Value::Union(inner)) if field.name.is_empty() => {
                    members.extend(inner)
                }
                Some(value) => members.push((field.name.to_owned(), value)),
                None => {}
            }
        }
        Some(members)
    }

    /// A member; the inner none is padding, which has no name.
    fn member(&mut self, field: &Field<'_>, bytes: &[u8], depth: usize) -> Option<Option<Value>> {
        let offset = usize::try_from(field.bit_offset / 8).ok()?;
        let Some(width) = field.bit_width else {
            return self.value(field.type_id, bytes.get(offset..)?, depth + 1).map(Some);
        };
        self.parts += 1;
        let found = self.btf.resolve(field.type_id).ok()?;
        let (_, kind) = self.scalar(field.type_id)?;
        let (shift, width) = (field.bit_offset % 8, width.min(64));
        let touched = bytes.get(offset..)?.get(..(shift + width).div_ceil(8) as usize)?;
        let value = self.named(&found, kind, integer(touched, shift, width, kind));
        Some((!field.name.is_empty()).then_some(value))
    }

    fn scalar(&mut self, id: TypeId) -> Option<(usize, ScalarKind)> {
        *self.scalars.entry(id).or_insert_with(|| self.btf.scalar(id))
    }

    fn named(&mut self, found: &Type<'a>, kind: ScalarKind, number: i128) -> Value {
        match found.kind() {
            Kind::Enum | Kind::Enum64 => {
                let names = self.names.entry(found.id()).or_insert_with(|| {
                    let mut names = HashMap::new();
                    found.enumerators().for_each(|known| {
                        names.entry(known.value).or_insert(known.name);
                    });
                    names
                });
                Value::Enum(names.get(&number).map(|name| (*name).to_owned()), number)
            }
            Kind::Ptr => Value::Pointer(u64::try_from(number).unwrap_or(0)),
            _ if kind == ScalarKind::Bool => Value::Bool(number != 0),
            _ => Value::Integer(number),
        }
    }
}

/// The number in `width` bits after the first `shift` in the machine's order of bytes and bits.
fn integer(bytes: &[u8], shift: u32, width: u32, kind: ScalarKind) -> i128 {
    let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    let total = u32::try_from(bytes.len() * 8).unwrap_or(0);
    let (number, skipped) = if cfg!(target_endian = "big") {
        (bytes.iter().fold(0, add), total.saturating_sub(shift + width))
    } else {
        (bytes.iter().rev().fold(0, add), shift)
    };
    let mask = if width == 0 { 0 } else { u128::MAX >> (128 - width.min(128)) };
    let number = number.checked_shr(skipped).unwrap_or(0) & mask;
    let number = i128::try_from(number).unwrap_or(0);
    let is_negative = width > 0 && width < 127 && number >> (width - 1) & 1 == 1;
    if matches!(kind, ScalarKind::Signed | ScalarKind::Char) && is_negative {
        number - (1 << width)
    } else {
        number
    }
}

fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(f32::from_ne_bytes).map(f64::from),
        8 => bytes.try_into().ok().map(f64::from_ne_bytes),
        _ => None,
    }
}

/// Text that ends at a NUL, after which nothing follows; else the bytes.
fn text(bytes: &[u8]) -> Value {
    let (head, tail) = bytes.split_at(memchr::memchr(0, bytes).unwrap_or(bytes.len()));
    match std::str::from_utf8(head) {
        Ok(text) if tail.iter().all(|byte| *byte == 0) => Value::Text(text.to_owned()),
        _ => Value::Bytes(bytes.to_vec()),
    }
}

impl Display for Value {
    /// As an initialiser in C.
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        match self {
            Self::Integer(number) | Self::Enum(None, number) => write!(out, "{number}"),
            Self::Bool(is) => write!(out, "{is}"),
            Self::Float(number) => write!(out, "{number:?}"),
            Self::Enum(Some(name), _) => out.write_str(name),
            Self::Pointer(0) => out.write_str("NULL"),
            Self::Pointer(address) => write!(out, "{address:#x}"),
            Self::Text(text) => write!(out, "\"{}\"", text.escape_debug()),
            Self::Zeros(_) => out.write_str("{}"),
            Self::Array(_) | Self::Struct(_) | Self::Union(_) | Self::Bytes(_) if self.is_zero() => {
                out.write_str("{}")
            }
            // C fills up what is not said with zeros.
            Self::Array(values) => {
                let said = values.iter().rposition(|value| !value.is_zero()).map_or(0, |last| last + 1);
                listed(out, values.get(..said).unwrap_or(values), |out, value| write!(out, "{value}"))
            }
            Self::Bytes(bytes) => listed(out, bytes, |out, byte| write!(out, "{byte:#04x}")),
            Self::Union(members) => listed(out, members.get(..1).unwrap_or_default(), member),
            Self::Struct(members) => listed(out, members, member),
        }
    }
}

fn member(out: &mut Formatter<'_>, (name, value): &(String, Value)) -> Written {
    write!(out, ".{name} = {value}")
}

fn listed<T>(
    out: &mut Formatter<'_>,
    parts: &[T],
    mut one: impl FnMut(&mut Formatter<'_>, &T) -> Written,
) -> Written {
    out.write_char('{')?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        one(out, part)?;
    }
    out.write_char('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, expected: &str) {
        assert_eq!(value.to_string(), expected);
    }

    #[test]
    fn values_are_written_as_in_c() {
        check(Value::Integer(-7), "-7");
        check(Value::Bool(true), "true");
        check(Value::Float(1.0), "1.0");
        check(Value::Enum(Some("RED".into()), 1), "RED");
        check(Value::Enum(None, 9), "9");
        check(Value::Pointer(0), "NULL");
        check(Value::Text("a\"\n".into()), "\"a\\\"\\n\"");
        check(Value::Array(vec![Value::Integer(0), Value::Integer(2)]), "{0, 2}");
        check(Value::Array(vec![Value::Integer(0)]), "{}");
        check(Value::Array(vec![Value::Integer(3), Value::Integer(0)]), "{3}");
        check(
            Value::Struct(vec![("a".into(), Value::Integer(1)), ("b".into(), Value::Bool(false))]),
            "{.a = 1, .b = false}",
        );
        check(
            Value::Union(vec![("a".into(), Value::Integer(1)), ("b".into(), Value::Integer(1))]),
            "{.a = 1}",
        );
        check(Value::Bytes(vec![1, 255]), "{0x01, 0xff}");
    }

    #[track_caller]
    fn check_integer(number: u64, shift: u32, width: u32, kind: ScalarKind, expected: i128) {
        assert_eq!(integer(&number.to_le_bytes(), shift, width, kind), expected);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn bits_are_taken_out() {
        check_integer(0xff, 0, 64, ScalarKind::Unsigned, 255);
        check_integer(u64::MAX, 0, 64, ScalarKind::Unsigned, i128::from(u64::MAX));
        check_integer(u64::MAX, 0, 64, ScalarKind::Signed, -1);
        check_integer(0b1_0110, 1, 3, ScalarKind::Unsigned, 3);
        check_integer(0b1_0110, 2, 3, ScalarKind::Signed, -3);
        check_integer(0b1_0110, 2, 0, ScalarKind::Signed, 0);
    }

    #[test]
    fn text_ends_at_its_nul() {
        assert_eq!(text(b"ab\0\0"), Value::Text("ab".into()));
        assert_eq!(text(b"ab"), Value::Text("ab".into()));
        assert_eq!(text(b"a\0b"), Value::Bytes(b"a\0b".to_vec()));
        assert_eq!(text(b"\xff\0"), Value::Bytes(b"\xff\0".to_vec()));
    }
}
