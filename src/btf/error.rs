//! What can be wrong with BTF.

use super::{Kind, TypeId};

/// Why BTF, or one type of it, could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The bytes end before what they announce.
    #[error("the BTF is truncated: its header announces {expected} bytes, {found} are there")]
    Truncated {
        /// Bytes that there should be.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The magic is missing.
    #[error("not BTF: it begins with {:02x} {:02x} instead of 9f eb", .0[0], .0[1])]
    NotBtf([u8; 2]),
    /// A version that does not exist yet.
    #[error("BTF of version {0}, where 1 is the only one known")]
    Version(u8),
    /// The header contradicts itself.
    #[error("bad BTF: {0}")]
    Header(&'static str),
    /// The strings do not begin with the empty name, or do not end with NUL.
    #[error("bad BTF: its strings do not begin and end with a NUL byte")]
    BadStrings,
    /// A kind of type that came after this program.
    #[error("type {} of the BTF is of kind {kind}, which is not known (1 to 19 are)", .id.0)]
    UnknownKind {
        /// The type.
        id: TypeId,
        /// Its kind's number.
        kind: u32,
    },
    /// A type's record is cut off by the end of the type section.
    #[error("type {} of the BTF runs over the end of the types", .0.0)]
    TypeTruncated(TypeId),
    /// A reference to a type that is not there.
    #[error("the BTF refers to type {}, which it does not hold", .0.0)]
    NoSuchType(TypeId),
    /// A name that is not there.
    #[error("type {} of the BTF has a name at {offset}, beyond the end of the names", .id.0)]
    NoSuchName {
        /// The type.
        id: TypeId,
        /// Where its name, or the name of a part of it, should be.
        offset: u32,
    },
    /// References that are nested too deep, or that form a circle.
    #[error("type {} of the BTF is nested too deep, or refers to itself", .0.0)]
    TooDeep(TypeId),
    /// A type whose values have no size.
    #[error("type {} of the BTF is a {kind}, which has no size", .id.0)]
    Unsized {
        /// The type.
        id: TypeId,
        /// What it is.
        kind: Kind,
    },
    /// A type larger than 4 GiB, or with more members than anybody wants to see.
    #[error("type {} of the BTF is too large to be laid out", .0.0)]
    TooLarge(TypeId),
    /// A member that lies outside its struct.
    #[error("member `{path}` lies outside of its type (bytes {offset} to {end} of {size})")]
    Outside {
        /// The member.
        path: String,
        /// First byte.
        offset: usize,
        /// One past the last byte.
        end: usize,
        /// Bytes of the type.
        size: usize,
    },
    /// A path that names nothing.
    #[error("{within} has no member `{name}`{}", list(.known))]
    NoMember {
        /// The part of the path that was not found.
        name: String,
        /// The type in which it was looked for.
        within: String,
        /// The members that it has.
        known: Vec<String>,
    },
    /// A path that is not `name`, `name.name` or `name[0]`.
    #[error("`{0}` is not a path to a member, such as `a.b[1]`")]
    BadPath(String),
}

fn list(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!(" (it has {})", known.join(", ")) }
}
