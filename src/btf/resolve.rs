//! What a type comes down to: its size, its scalar, its name in C.

use super::{Btf, BtfError, Kind, Type, TypeId};

/// How far references are followed: libbpf's limit, which no real type comes near.
pub(super) const MAX_DEPTH: usize = 32;

/// Bytes of a pointer: BPF and every kernel that runs it with BTF have 64 bits.
const POINTER_SIZE: usize = 8;

/// What a scalar's bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// An unsigned integer, an enum without negative values, or a pointer.
    Unsigned,
    /// A signed integer or enum.
    Signed,
    /// A `bool`.
    Bool,
    /// A `char` (C's text).
    Char,
    /// A float or double.
    Float,
}

impl Btf {
    /// The type behind typedefs and qualifiers; of a variable, the type of its value.
    ///
    /// # Errors
    /// When a reference leads nowhere or in a circle.
    pub fn resolve(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        let mut current = id;
        for _ in 0..MAX_DEPTH {
            let found = self.type_by_id(current)?;
            if !found.kind().is_modifier() && found.kind() != Kind::Var {
                return Ok(found);
            }
            current = found.target();
        }
        Err(BtfError::TooDeep(id))
    }

    /// Bytes of a value of a type, through typedefs, arrays and variables.
    ///
    /// # Errors
    /// When its values have no size, it is larger than 4 GiB, or a reference leads nowhere or in a circle.
    pub fn size_of(&self, id: TypeId) -> Result<usize, BtfError> {
        let mut current = id;
        let mut count: u64 = 1;
        for _ in 0..MAX_DEPTH {
            let found = self.type_by_id(current)?;
            let size = match found.kind() {
                Kind::Ptr => Some(POINTER_SIZE),
                _ => found.stated_size(),
            };
            if let Some(size) = size {
                let total = count.checked_mul(size as u64).filter(|total| *total <= u64::from(u32::MAX));
                return total.and_then(|total| usize::try_from(total).ok()).ok_or(BtfError::TooLarge(id));
            }
            match found.kind() {
                Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto => {
                    return Err(BtfError::Unsized { id: current, kind: found.kind() });
                }
                Kind::Array => {
                    count = count.checked_mul(found.element_count().into()).ok_or(BtfError::TooLarge(id))?;
                }
                _ => {}
            }
            current = found.target();
        }
        Err(BtfError::TooDeep(id))
    }

    /// Bytes and meaning of a number: an integer, enum, float or pointer, through typedefs and qualifiers.
    #[must_use]
    pub fn scalar(&self, id: TypeId) -> Option<(usize, ScalarKind)> {
        let found = self.resolve(id).ok()?;
        let kind = match found.kind() {
            Kind::Int => integer_kind(&found),
            Kind::Enum | Kind::Enum64 if found.is_signed_enum() => ScalarKind::Signed,
            Kind::Enum | Kind::Enum64 | Kind::Ptr => ScalarKind::Unsigned,
            Kind::Float => ScalarKind::Float,
            _ => return None,
        };
        let size = self.size_of(found.id()).ok()?;
        matches!(size, 1 | 2 | 4 | 8 | 12 | 16).then_some((size, kind))
    }

    /// A type as C writes it, such as `struct key_t`, `u32` or `char[16]`.
    #[must_use]
    pub fn type_name(&self, id: TypeId) -> String {
        // From the outside in; C's text grows from the inside out.
        let mut parts: Vec<String> = Vec::new();
        let mut current = id;
        for _ in 0..MAX_DEPTH {
            let Ok(found) = self.type_by_id(current) else { break };
            match found.kind() {
                Kind::Ptr => parts.push(" *".to_owned()),
                Kind::Array => {
                    let dimension = format!("[{}]", found.element_count());
                    match parts.last_mut().filter(|last| last.starts_with('[')) {
                        Some(last) => last.push_str(&dimension),
                        None => parts.push(dimension),
                    }
                }
                Kind::Volatile | Kind::Const | Kind::Restrict => parts.push(format!(" {}", found.kind())),
                Kind::TypeTag | Kind::Var | Kind::DeclTag => {}
                _ => {
                    parts.reverse();
                    return c_text(&base_name(&found), &parts);
                }
            }
            current = found.target();
        }
        "?".to_owned()
    }
}

fn integer_kind(integer: &Type<'_>) -> ScalarKind {
    let (encoding, ..) = integer.integer();
    match (encoding, integer.name()) {
        // Clang marks `char` as a signed integer like any other: its name tells.
        (_, "char") => ScalarKind::Char,
        (bits, _) if bits & 4 != 0 => ScalarKind::Bool,
        (bits, _) if bits & 2 != 0 => ScalarKind::Char,
        (bits, _) if bits & 1 != 0 => ScalarKind::Signed,
        _ => ScalarKind::Unsigned,
    }
}

fn base_name(found: &Type<'_>) -> String {
    let name = found.name();
    match found.kind() {
        Kind::Fwd if found.is_union_declaration() => tagged("union", name),
        Kind::Fwd => tagged("struct", name),
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => tagged(&found.kind().to_string(), name),
        Kind::FuncProto => "function".to_owned(),
        Kind::Void => "void".to_owned(),
        _ => name.to_owned(),
    }
}

fn tagged(tag: &str, name: &str) -> String {
    if name.is_empty() { format!("{tag} {{…}}") } else { format!("{tag} {name}") }
}

/// Qualifiers of the base stand before it, the outermost first; those of pointers behind their star.
fn c_text(base: &str, parts: &[String]) -> String {
    let is_derived = |part: &String| part.starts_with(" *") || part.starts_with('[');
    let (qualifiers, derived) = parts.split_at(parts.iter().position(is_derived).unwrap_or(parts.len()));
    let mut text: String = qualifiers.iter().rev().map(|part| format!("{} ", part.trim_start())).collect();
    text.push_str(base);
    text.extend(derived.iter().map(String::as_str));
    text.replace("* *", "**")
}
