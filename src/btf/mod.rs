//! Types, layouts and enums of an object or a kernel, read from BTF bytes.

/// Identifies a type inside one [`Btf`]; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// A parsed `.BTF` section: little- or big-endian as the object is.
#[derive(Debug)]
pub struct Btf {}

/// Why BTF could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The bytes end before what they announce.
    #[error("the BTF is truncated")]
    Truncated,
}

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
