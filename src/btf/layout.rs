//! The flat view of a type: which bytes are which member.

use std::collections::HashMap;
use std::ops::Range;

use super::resolve::MAX_DEPTH;
use super::{Btf, BtfError, Field, Kind, ScalarKind, Type, TypeId};

/// Arrays of structs are opened up to this many elements; longer ones stay whole.
const MAX_OPENED: u32 = 64;
/// Members of one layout, and bytes of their paths and type names.
const MAX_MEMBERS: usize = 16_384;
const MAX_TEXT: usize = 8 << 20;
/// Steps of one walk: structs without members make no member, however many there are.
const MAX_STEPS: usize = 16 * MAX_MEMBERS;

/// Size and members of a type, flattened: members of members stand by their
/// path, and what anonymous structs and unions hold stands where C sees it.
/// Arrays of scalars are one member each. Members of a union overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The type.
    pub type_id: TypeId,
    /// The type as C writes it.
    pub type_name: String,
    /// Bytes.
    pub size: usize,
    /// Members in order of declaration. A scalar is one member with an empty path.
    pub members: Vec<Member>,
}

/// A member, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// How C reaches it, such as `a.b[1].c`.
    pub path: String,
    /// First byte, from the beginning of the whole type.
    pub offset: usize,
    /// Bytes; of a bit-field, the bytes that it touches.
    pub size: usize,
    /// Which bits, when it is a bit-field.
    pub bits: Option<BitField>,
    /// Its type.
    pub type_id: TypeId,
    /// Its type as C writes it.
    pub type_name: String,
    /// What its bytes are.
    pub kind: MemberKind,
}

/// The place of a bit-field, counted from the first bit of its first byte in memory order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Bits before it in its first byte.
    pub shift: u32,
    /// Its width in bits.
    pub width: u32,
}

/// What a member's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A number.
    Scalar(ScalarKind),
    /// A number that has names; [`Btf::resolve`] of the member's type gives them.
    Enum {
        /// Whether it is signed.
        signed: bool,
    },
    /// An address.
    Pointer,
    /// `char[N]`: C's text.
    Text,
    /// Any other array that is not opened.
    Array {
        /// The type of an element.
        element: TypeId,
        /// How many.
        count: u32,
    },
    /// A struct or union as a whole: when asked for by its path, or when it has no members.
    Aggregate,
}

impl Member {
    /// Its bytes.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.size
    }

    /// Whether it, or an element of it, ends at a byte.
    fn has_border_at(&self, at: usize) -> bool {
        let elements = match self.kind {
            MemberKind::Text => self.size,
            MemberKind::Array { count, .. } => count as usize,
            _ => 1,
        };
        let element = self.size.checked_div(elements).unwrap_or(0).max(1);
        self.offset < at && at <= self.range().end && (at - self.offset).is_multiple_of(element)
    }
}

impl Layout {
    /// The member with exactly this path.
    #[must_use]
    pub fn member(&self, path: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.path == path)
    }

    /// The member that a border at this byte cuts in two. Between two elements
    /// of an array, or where any alternative of a union has its border, nothing is cut.
    #[must_use]
    pub fn cut_at(&self, at: usize) -> Option<&Member> {
        let members = || self.members.iter().filter(|member| member.size > 0);
        if members().any(|member| member.range().start == at || member.has_border_at(at)) {
            return None;
        }
        members().find(|member| member.offset < at && at < member.range().end)
    }

    /// Bytes that no member covers: padding, which holds no data.
    #[must_use]
    pub fn gaps(&self) -> Vec<Range<usize>> {
        let mut covered: Vec<Range<usize>> = self.members.iter().map(Member::range).collect();
        covered.sort_by_key(|range| range.start);
        let mut gaps = Vec::new();
        let mut reached = 0;
        let end = std::iter::once(self.size..self.size);
        for range in covered.into_iter().filter(|range| !range.is_empty()).chain(end) {
            if range.start > reached {
                gaps.push(reached..range.start);
            }
            reached = reached.max(range.end);
        }
        gaps
    }
}

impl Btf {
    /// The flat view of a type.
    ///
    /// # Errors
    /// When the type has no size, is nested too deep or too large, or a reference leads nowhere.
    pub fn layout(&self, id: TypeId) -> Result<Layout, BtfError> {
        let size = self.size_of(id)?;
        let mut walk =
            Walk { btf: self, root: id, size, members: Vec::new(), text: 0, steps: 0, kinds: HashMap::new() };
        walk.visit(&Spot { type_id: id, path: String::new(), bit_offset: 0, bit_width: None }, 0)?;
        Ok(Layout { type_id: id, type_name: self.type_name(id), size, members: walk.members })
    }

    /// A member by its path from a type, such as `a.b[1].c`: also structs and
    /// arrays as a whole and elements of arrays, which the layout does not list.
    ///
    /// # Errors
    /// When the path is malformed or names nothing, or the type is malformed.
    pub fn member(&self, id: TypeId, path: &str) -> Result<Member, BtfError> {
        let bad_path = || BtfError::BadPath(path.to_owned());
        let mut spot = Spot { type_id: id, path: String::new(), bit_offset: 0, bit_width: None };
        for step in steps(path).ok_or_else(bad_path)? {
            let within = self.resolve(spot.type_id)?;
            spot = match step {
                Step::Name(name) if within.kind().is_aggregate() => {
                    self.field_by_name(&within, name, &spot)?.ok_or_else(|| self.no_member(name, &within))?
                }
                Step::Index(index) if within.kind() == Kind::Array && index < within.element_count() => {
                    spot.element(self, &within, index)?
                }
                Step::Name(name) => return Err(self.no_member(name, &within)),
                Step::Index(index) => return Err(self.no_member(&format!("[{index}]"), &within)),
            };
        }
        let found = self.resolve(spot.type_id)?;
        let (kind, size) = (member_kind(self, &found), self.size_of(id)?);
        spot.into_member(self, kind, size)
    }

    /// Looks into anonymous members too, as C does.
    fn field_by_name(&self, within: &Type<'_>, name: &str, at: &Spot) -> Result<Option<Spot>, BtfError> {
        let mut pending = vec![(*within, at.clone())];
        let mut steps = 0;
        while let Some((aggregate, spot)) = pending.pop() {
            for field in aggregate.fields() {
                steps += 1;
                if steps > MAX_STEPS {
                    return Err(BtfError::TooLarge(within.id()));
                }
                let reached = spot.field(&field);
                if field.name == name {
                    return Ok(Some(reached));
                }
                if field.name.is_empty() {
                    let inner = self.resolve(field.type_id)?;
                    if inner.kind().is_aggregate() {
                        pending.push((inner, reached));
                    }
                }
            }
        }
        Ok(None)
    }

    fn no_member(&self, name: &str, within: &Type<'_>) -> BtfError {
        let layout = self.layout(within.id());
        let known = layout.map(|layout| layout.members).unwrap_or_default();
        let known = known.into_iter().map(|member| member.path).filter(|path| !path.is_empty()).take(32);
        BtfError::NoMember {
            name: name.to_owned(),
            within: self.type_name(within.id()),
            known: known.collect(),
        }
    }
}

/// A place that the walk has reached.
#[derive(Clone)]
struct Spot {
    type_id: TypeId,
    path: String,
    bit_offset: u64,
    bit_width: Option<u32>,
}

impl Spot {
    fn field(&self, field: &Field<'_>) -> Self {
        let path = match (self.path.is_empty(), field.name.is_empty()) {
            (_, true) => self.path.clone(),
            (true, false) => field.name.to_owned(),
            (false, false) => format!("{}.{}", self.path, field.name),
        };
        let bit_offset = self.bit_offset.saturating_add(field.bit_offset.into());
        Self { type_id: field.type_id, path, bit_offset, bit_width: field.bit_width }
    }

    fn element(&self, btf: &Btf, array: &Type<'_>, index: u32) -> Result<Self, BtfError> {
        let bits = btf.size_of(array.target())? as u64 * 8;
        Ok(Self {
            type_id: array.target(),
            path: format!("{}[{index}]", self.path),
            bit_offset: self.bit_offset.saturating_add(bits.saturating_mul(index.into())),
            bit_width: None,
        })
    }

    /// The member at this place in a whole of `whole` bytes.
    fn into_member(self, btf: &Btf, kind: MemberKind, whole: usize) -> Result<Member, BtfError> {
        let (size, bits) = match self.bit_width {
            Some(width) => {
                let shift = (self.bit_offset % 8) as u32;
                ((shift + width).div_ceil(8) as usize, Some(BitField { shift, width }))
            }
            None => (btf.size_of(self.type_id)?, None),
        };
        let offset = usize::try_from(self.bit_offset / 8).map_err(|_| BtfError::TooLarge(self.type_id))?;
        let end = offset.saturating_add(size);
        if end > whole {
            return Err(BtfError::Outside { path: self.path, offset, end, size: whole });
        }
        let type_name = btf.type_name(self.type_id);
        Ok(Member { path: self.path, offset, size, bits, type_id: self.type_id, type_name, kind })
    }
}

fn member_kind(btf: &Btf, found: &Type<'_>) -> MemberKind {
    match found.kind() {
        Kind::Enum | Kind::Enum64 => MemberKind::Enum { signed: found.is_signed_enum() },
        Kind::Ptr => MemberKind::Pointer,
        Kind::Array => match btf.scalar(found.target()) {
            Some((1, ScalarKind::Char)) => MemberKind::Text,
            _ => MemberKind::Array { element: found.target(), count: found.element_count() },
        },
        _ => match btf.scalar(found.id()) {
            Some((_, kind)) => MemberKind::Scalar(kind),
            None => MemberKind::Aggregate,
        },
    }
}

/// Collects the leaves of a type.
struct Walk<'a> {
    btf: &'a Btf,
    root: TypeId,
    size: usize,
    members: Vec<Member>,
    text: usize,
    steps: usize,
    /// Of types met before: the sign of an enum is known when all of its values were seen.
    kinds: HashMap<TypeId, MemberKind>,
}

impl Walk<'_> {
    fn visit(&mut self, spot: &Spot, depth: usize) -> Result<(), BtfError> {
        if depth >= MAX_DEPTH {
            return Err(BtfError::TooDeep(self.root));
        }
        self.steps += 1;
        self.text += spot.path.len();
        if self.steps > MAX_STEPS || self.text > MAX_TEXT {
            return Err(BtfError::TooLarge(self.root));
        }
        let found = self.btf.resolve(spot.type_id)?;
        if found.kind().is_aggregate() && found.fields().len() > 0 {
            for field in found.fields() {
                self.visit_field(&spot.field(&field), &field, depth)?;
            }
            return Ok(());
        }
        if found.kind() == Kind::Array && found.element_count() <= MAX_OPENED && self.holds_structs(&found)? {
            for index in 0..found.element_count() {
                self.visit(&spot.element(self.btf, &found, index)?, depth + 1)?;
            }
            return Ok(());
        }
        self.push(spot, &found)
    }

    fn visit_field(&mut self, spot: &Spot, field: &Field<'_>, depth: usize) -> Result<(), BtfError> {
        // Only structs and unions can be anonymous: a bit-field without a name is padding.
        if field.name.is_empty() && !self.btf.resolve(field.type_id)?.kind().is_aggregate() {
            return Ok(());
        }
        self.visit(spot, depth + 1)
    }

    fn holds_structs(&self, array: &Type<'_>) -> Result<bool, BtfError> {
        let mut element = self.btf.resolve(array.target())?;
        for _ in 0..MAX_DEPTH {
            if element.kind() != Kind::Array {
                return Ok(element.kind().is_aggregate());
            }
            element = self.btf.resolve(element.target())?;
        }
        Err(BtfError::TooDeep(self.root))
    }

    fn push(&mut self, spot: &Spot, found: &Type<'_>) -> Result<(), BtfError> {
        let kind = *self.kinds.entry(found.id()).or_insert_with(|| member_kind(self.btf, found));
        let member = spot.clone().into_member(self.btf, kind, self.size)?;
        self.text += member.type_name.len();
        if self.members.len() >= MAX_MEMBERS || self.text > MAX_TEXT {
            return Err(BtfError::TooLarge(self.root));
        }
        self.members.push(member);
        Ok(())
    }
}

enum Step<'a> {
    Name(&'a str),
    Index(u32),
}

/// Takes `a.b[1].c` apart; none when it is malformed.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
            continue;
        }
        if !steps.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
        let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Name(name));
        rest = after;
    }
    Some(steps)
}
