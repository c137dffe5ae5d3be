//! Types, layouts and enums of an object or a kernel, read from BTF bytes.
//!
//! [`Btf::parse`] checks the frame and remembers where each type begins; what a
//! type says is read when it is asked for, so that a kernel's 150,000 types cost
//! a few milliseconds and four bytes each. Nothing here trusts the bytes: every
//! read is bounded, and every walk along references has a limit, because a
//! typedef may name itself.

mod display;
mod enums;
mod error;
mod layout;
mod resolve;
mod shape;
mod types;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

pub use display::declaration;
pub use enums::EnumIndex;
pub use error::BtfError;
pub use layout::{BitField, Layout, Member, MemberKind};
pub use resolve::ScalarKind;
pub use types::{Enumerator, Field, Kind, SectionVariable, Type};

/// Identifies a type inside one [`Btf`]; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, which no BTF stores.
    pub const VOID: Self = Self(0);
}

/// A parsed `.BTF` section: little- or big-endian as the object is.
pub struct Btf {
    data: Arc<[u8]>,
    big_endian: bool,
    /// Where the types lie in `data`.
    types: Range<usize>,
    /// Where the strings lie in `data`.
    strings: Range<usize>,
    /// Where each own type begins, counted from the start of the types.
    starts: Vec<u32>,
    /// What a kernel module's BTF continues.
    base: Option<Arc<Btf>>,
}

const MAGIC: u16 = 0xeb9f;
const HEADER_LENGTH: usize = 24;

/// Bytes of a name: the kernel's limit. Records of a few bytes can share a name of megabytes, and
/// whoever copies it for each of them runs out of memory.
const MAX_NAME: usize = 512;

impl Btf {
    /// No types at all.
    #[must_use]
    pub fn empty() -> Self {
        let (types, strings) = (0..0, 0..1);
        Self { data: [0].into(), big_endian: false, types, strings, starts: Vec::new(), base: None }
    }

    /// Reads BTF that stands alone, as objects and kernels have it.
    ///
    /// # Errors
    /// When the bytes are not well-formed BTF.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        Self::parse_shared(bytes.into(), None)
    }

    /// Reads BTF without copying it; with a base, as kernel modules have it.
    ///
    /// # Errors
    /// When the bytes are not well-formed BTF.
    pub fn parse_shared(data: Arc<[u8]>, base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let (big_endian, types, strings) = frame(&data)?;
        let mut btf = Self { data, big_endian, types, strings, starts: Vec::new(), base };
        btf.check_strings()?;
        btf.index_types()?;
        Ok(btf)
    }

    /// How many types there are, `void` and the base's included: ids are below this.
    #[must_use]
    pub fn type_count(&self) -> u32 {
        self.first_id().saturating_add(u32::try_from(self.starts.len()).unwrap_or(u32::MAX))
    }

    /// Every id of this BTF itself, in order.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (self.first_id()..self.type_count()).map(TypeId)
    }

    /// A type by its id; 0 is `void`.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn type_by_id(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        if id == TypeId::VOID {
            return Ok(Type::void(self));
        }
        let Some(own) = id.0.checked_sub(self.first_id()) else {
            return self.base.as_deref().ok_or(BtfError::NoSuchType(id))?.type_by_id(id);
        };
        let Some(start) = self.starts.get(own as usize) else { return Err(BtfError::NoSuchType(id)) };
        Type::read(self, id, self.types.start + *start as usize)
    }

    /// The text at an offset of the string section. An offset that lies outside
    /// is the empty name; of a name that is not UTF-8 only the valid beginning is kept,
    /// and of one that no kernel would take the beginning too.
    #[must_use]
    pub fn name(&self, offset: u32) -> &str {
        let bytes = self.string_at(offset);
        let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
        let bytes = &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())];
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                bytes.get(..error.valid_up_to()).map_or("", |valid| std::str::from_utf8(valid).unwrap_or(""))
            }
        }
    }

    /// A name that is no longer than `limit` bytes, without looking further.
    #[must_use]
    pub fn short_name(&self, offset: u32, limit: usize) -> Option<&str> {
        let bytes = self.string_at(offset);
        let bytes = bytes.get(..=limit).unwrap_or(bytes);
        std::str::from_utf8(bytes.get(..memchr::memchr(0, bytes)?)?).ok()
    }

    /// The first type of a kind that has a name.
    #[must_use]
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let in_base = self.base.as_deref().and_then(|base| base.find(name, kind));
        in_base.or_else(|| self.find_own(name, kind))
    }

    /// The first type of a kind that has a name, of those that its base does not have.
    #[must_use]
    pub fn find_own(&self, name: &str, kind: Kind) -> Option<TypeId> {
        self.ids().find(|id| {
            self.type_by_id(*id).is_ok_and(|found| found.kind() == kind && self.is_named(&found, name))
        })
    }

    /// The names of an enum (`enum <name>`, of 32 or 64 bits, or a typedef of one), in order of declaration.
    #[must_use]
    pub fn enumerators(&self, name: &str) -> Option<Vec<Enumerator<'_>>> {
        [Kind::Enum, Kind::Enum64, Kind::Typedef].into_iter().find_map(|kind| {
            let found = self.resolve(self.find(name, kind)?).ok()?;
            found.kind().is_enum().then(|| found.enumerators().collect())
        })
    }

    /// Makes sure that every name and every type that is referred to is there.
    /// What is read later copes without; libbpf refuses an object over it.
    ///
    /// # Errors
    /// The first reference that leads nowhere.
    pub fn check_references(&self) -> Result<(), BtfError> {
        let (types, strings) = (self.type_count(), self.string_bytes());
        for id in self.ids() {
            let found = self.type_by_id(id)?;
            let (mut lost_type, mut lost_name) = (None, None);
            found.references(
                |target| lost_type = lost_type.or((target.0 >= types).then_some(target)),
                |name| {
                    lost_name = lost_name.or((name as usize >= strings).then_some(name));
                },
            );
            if let Some(target) = lost_type {
                return Err(BtfError::NoSuchType(target));
            }
            if let Some(offset) = lost_name {
                return Err(BtfError::NoSuchName { id, offset });
            }
        }
        Ok(())
    }

    fn is_named(&self, found: &Type<'_>, name: &str) -> bool {
        let text = self.string_at(found.name_offset());
        text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    fn first_id(&self) -> u32 {
        self.base.as_ref().map_or(1, |base| base.type_count())
    }

    fn string_at(&self, offset: u32) -> &[u8] {
        let shared = self.base.as_ref().map_or(0, |base| base.string_bytes());
        match (offset as usize).checked_sub(shared) {
            Some(own) => {
                self.data.get(self.strings.clone()).and_then(|all| all.get(own..)).unwrap_or_default()
            }
            None => self.base.as_deref().map_or(&[], |base| base.string_at(offset)),
        }
    }

    fn string_bytes(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.string_bytes()) + self.strings.len()
    }

    fn check_strings(&self) -> Result<(), BtfError> {
        let strings = self.data.get(self.strings.clone()).unwrap_or_default();
        let sound = match (strings.first(), strings.last()) {
            (Some(first), Some(last)) => *last == 0 && (self.base.is_some() || *first == 0),
            _ => self.base.is_some(),
        };
        if sound { Ok(()) } else { Err(BtfError::BadStrings) }
    }

    fn index_types(&mut self) -> Result<(), BtfError> {
        // A type with its body takes about 24 bytes in C programs and kernels.
        let mut starts = Vec::with_capacity(self.types.len() / 24);
        let mut at = self.types.start;
        while at < self.types.end {
            let id = TypeId(self.first_id().saturating_add(u32::try_from(starts.len()).unwrap_or(u32::MAX)));
            let length = Type::read(self, id, at)?.length();
            starts.push(
                u32::try_from(at - self.types.start).map_err(|_| BtfError::Header("types over 4 GiB"))?,
            );
            at += length;
        }
        starts.shrink_to_fit();
        self.starts = starts;
        Ok(())
    }

    /// The three 32-bit numbers that each type begins with, at an offset of the whole BTF, inside the type section.
    fn record(&self, at: usize) -> Option<[u32; 3]> {
        let end = at.checked_add(12).filter(|end| *end <= self.types.end)?;
        let (words, _) = self.data.get(at..end)?.as_chunks::<4>();
        let [name, info, rest] = words else { return None };
        Some([name, info, rest].map(|word| to_u32(word, self.big_endian)))
    }

    /// The 32-bit number at an offset of the whole BTF, inside the type section.
    fn word(&self, at: usize) -> Option<u32> {
        let end = at.checked_add(4).filter(|end| *end <= self.types.end)?;
        Some(to_u32(self.data.get(at..end)?, self.big_endian))
    }
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Btf").field("types", &self.type_count()).field("bytes", &self.data.len()).finish()
    }
}

fn to_u32(bytes: &[u8], big_endian: bool) -> u32 {
    let array = bytes.try_into().unwrap_or_default();
    if big_endian { u32::from_be_bytes(array) } else { u32::from_le_bytes(array) }
}

/// The byte order, and where the types and the strings lie.
fn frame(data: &[u8]) -> Result<(bool, Range<usize>, Range<usize>), BtfError> {
    let truncated = |expected: usize| BtfError::Truncated { expected, found: data.len() };
    let magic = data.first_chunk::<2>().ok_or(truncated(HEADER_LENGTH))?;
    let big_endian = match (u16::from_le_bytes(*magic), u16::from_be_bytes(*magic)) {
        (MAGIC, _) => false,
        (_, MAGIC) => true,
        _ => return Err(BtfError::NotBtf(*magic)),
    };
    if data.len() < HEADER_LENGTH {
        return Err(truncated(HEADER_LENGTH));
    }
    if data[2] != 1 {
        return Err(BtfError::Version(data[2]));
    }
    let word = |at: usize| data.get(at..at + 4).map_or(0, |bytes| to_u32(bytes, big_endian) as usize);
    let header = word(4);
    if header < HEADER_LENGTH {
        return Err(BtfError::Header("its header is shorter than any known one"));
    }
    // Four numbers of 32 bits: their sums cannot overflow 64.
    let types = header + word(8)..header + word(8) + word(12);
    let strings = header + word(16)..header + word(16) + word(20);
    let needed = types.end.max(strings.end);
    if needed > data.len() {
        return Err(truncated(needed));
    }
    if word(8) % 4 != 0 {
        return Err(BtfError::Header("its types are not aligned to 4 bytes"));
    }
    if types.end > strings.start {
        return Err(BtfError::Header("its types run into its strings"));
    }
    Ok((big_endian, types, strings))
}
