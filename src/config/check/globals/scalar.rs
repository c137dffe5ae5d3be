//! One scalar of YAML into the bytes of a number, an enum or a text.

use super::write::{number, type_name};
use crate::btf::{Btf, Member, MemberKind, ScalarKind};
use crate::config::suggest;
use crate::config::yaml::Scalar;
use crate::config::yaml::scalar::{Resolved, resolve};
use crate::problem::{Place, Problem};

/// Bytes, and which of their bits count where not all do.
type Bytes = (Vec<u8>, Option<Vec<u8>>);

/// Doubles are whole numbers without gaps up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The bytes that a scalar is in a member.
pub(super) fn bytes(btf: &Btf, member: &Member, name: &str, found: &Scalar) -> Result<Bytes, Box<Problem>> {
    match member.kind {
        MemberKind::Scalar(ScalarKind::Float) => float(member, name, found),
        MemberKind::Scalar(ScalarKind::Bool) => boolean(member, name, found),
        MemberKind::Scalar(ScalarKind::Char) => character(member, name, found),
        MemberKind::Scalar(kind) => integer(member, name, found, kind == ScalarKind::Signed),
        MemberKind::Enum { signed } => enumerator(btf, member, name, found, signed),
        MemberKind::Text => text(member, name, found),
        MemberKind::Pointer | MemberKind::Array { .. } | MemberKind::Aggregate => {
            Err(wrong_type(name, found, format!("a value of the type {}", type_name(member))).into())
        }
    }
}

fn wrong_type(name: &str, found: &Scalar, expected: String) -> Problem {
    let message = format!("`{name}` has another type");
    let problem =
        Problem::error("global-type", Place::default(), message).expected(expected).found(found.describe());
    if found.plain { problem } else { problem.help("what stands in quotes is text: write it without") }
}

fn out_of_range(name: &str, found: &Scalar, expected: String) -> Box<Problem> {
    let message = format!("`{name}` cannot hold this value");
    Problem::error("global-range", Place::default(), message)
        .expected(expected)
        .found(found.describe())
        .into()
}

/// The smallest and the largest number that a member holds.
pub(in crate::config::check) fn range(member: &Member, signed: bool) -> (i128, i128) {
    let width = member.bits.map_or_else(|| member.size.saturating_mul(8), |bits| bits.width as usize);
    match (width.min(127), signed) {
        (0, _) => (0, 0),
        (width, true) => (-(1 << (width - 1)), (1 << (width - 1)) - 1),
        (127, false) => (0, i128::MAX),
        (width, false) => (0, (1 << width) - 1),
    }
}

/// The type as it is in words, with its width when it is a bit-field.
fn described(member: &Member) -> String {
    match member.bits {
        Some(bits) => format!("{}:{}", type_name(member), bits.width),
        None => type_name(member).to_owned(),
    }
}

/// A whole number, also one that YAML takes for a float, such as `1e6`.
fn whole(found: &Scalar) -> Option<i128> {
    match resolve(found) {
        Resolved::Int(value) => Some(value),
        #[allow(clippy::cast_possible_truncation)]
        Resolved::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => Some(value as i128),
        _ => None,
    }
}

fn integer(member: &Member, name: &str, found: &Scalar, signed: bool) -> Result<Bytes, Box<Problem>> {
    let (lowest, highest) = range(member, signed);
    let expected = format!("a whole number from {lowest} to {highest} ({})", described(member));
    let Some(value) = whole(found) else {
        let too_large = matches!(resolve(found), Resolved::Float(value) if value.abs() > EXACT);
        if too_large {
            return Err(out_of_range(name, found, expected));
        }
        let problem = wrong_type(name, found, expected);
        return Err(match resolve(found) {
            Resolved::Bool(_) => problem.help("the variable is no bool: write 1 or 0"),
            _ => problem,
        }
        .into());
    };
    if value < lowest || value > highest {
        return Err(out_of_range(name, found, expected));
    }
    Ok(number(member.size, member.bits, value))
}

fn boolean(member: &Member, name: &str, found: &Scalar) -> Result<Bytes, Box<Problem>> {
    let value = match resolve(found) {
        Resolved::Bool(value) => i128::from(value),
        Resolved::Int(value @ (0 | 1)) => value,
        _ => return Err(wrong_type(name, found, "true or false (bool)".to_owned()).into()),
    };
    Ok(number(member.size, member.bits, value))
}

/// A `char` alone: one character of ASCII, or its number.
fn character(member: &Member, name: &str, found: &Scalar) -> Result<Bytes, Box<Problem>> {
    let expected = "one character of ASCII, or a whole number from -128 to 255 (char)".to_owned();
    match (whole(found), found.text.as_bytes()) {
        (Some(value @ -128..=255), _) => Ok(number(member.size, member.bits, value)),
        (Some(_), _) => Err(out_of_range(name, found, expected)),
        (None, [byte]) if byte.is_ascii() => Ok(number(member.size, member.bits, i128::from(*byte))),
        (None, _) => Err(Problem { help: None, ..wrong_type(name, found, expected) }.into()),
    }
}

fn enumerator(
    btf: &Btf,
    member: &Member,
    name: &str,
    found: &Scalar,
    signed: bool,
) -> Result<Bytes, Box<Problem>> {
    let resolved = btf.resolve(member.type_id);
    let enumerators = || resolved.iter().flat_map(crate::btf::Type::enumerators);
    let (lowest, highest) = range(member, signed);
    let in_range = |value: &i128| (lowest..=highest).contains(value);
    // A name may look like something else, as `ON` and `NULL` do.
    if let Some(known) = enumerators().find(|known| known.name == found.text) {
        return match known.value {
            value if in_range(&value) => Ok(number(member.size, member.bits, value)),
            _ => Err(out_of_range(
                name,
                found,
                format!("a value from {lowest} to {highest} ({})", described(member)),
            )),
        };
    }
    let expected = format!("one of the names of `{}`, or its number", type_name(member));
    match resolve(found) {
        Resolved::Int(value) if in_range(&value) => Ok(number(member.size, member.bits, value)),
        Resolved::Int(_) => {
            let expected = format!("a value from {lowest} to {highest} ({})", described(member));
            Err(out_of_range(name, found, expected))
        }
        _ => {
            let mut problem = wrong_type(name, found, expected);
            let names: Vec<&str> = enumerators().map(|known| known.name).collect();
            problem.help = suggest::help("names there are", &found.text, names.iter().copied());
            Err(problem.into())
        }
    }
}

fn float(member: &Member, name: &str, found: &Scalar) -> Result<Bytes, Box<Problem>> {
    #[allow(clippy::cast_precision_loss)]
    let value = match resolve(found) {
        Resolved::Int(value) => value as f64,
        Resolved::Float(value) => value,
        _ => return Err(wrong_type(name, found, format!("a number ({})", type_name(member))).into()),
    };
    #[allow(clippy::cast_possible_truncation)]
    let single = value as f32;
    match member.size {
        8 => Ok((value.to_ne_bytes().to_vec(), None)),
        4 if value.is_finite() && !single.is_finite() => {
            Err(out_of_range(name, found, format!("a number up to {:e} ({})", f32::MAX, type_name(member))))
        }
        4 => Ok((single.to_ne_bytes().to_vec(), None)),
        size => {
            let message = format!("`{name}` is a float of {size} bytes, which cannot be set");
            Err(Problem::error("global-type", Place::default(), message).expected("4 or 8 bytes").into())
        }
    }
}

/// Text with its NUL, and zeros behind.
fn text(member: &Member, name: &str, found: &Scalar) -> Result<Bytes, Box<Problem>> {
    // `~` and nothing are the empty text in every field of text.
    let text = if found.is_null() { "" } else { found.text.as_str() };
    if text.contains('\0') {
        let message = format!("the text of `{name}` has a NUL inside, which would end it");
        let problem = Problem::error("global-type", Place::default(), message);
        return Err(problem.expected("text without NUL, or a list of its bytes").into());
    }
    if text.len() >= member.size {
        let message = format!("the text of `{name}` is too long");
        let room = member.size.saturating_sub(1);
        return Err(Problem::error("global-range", Place::default(), message)
            .expected(format!("at most {room} bytes and a NUL ({})", type_name(member)))
            .found(format!("{} bytes", text.len()))
            .into());
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(member.size, 0);
    Ok((bytes, None))
}
