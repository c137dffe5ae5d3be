//! The records of a type section, read in place.

use super::{Btf, BtfError, TypeId};

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names of C and of the BTF specification say it")]
pub enum Kind {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

impl Kind {
    /// In the order of the kernel's numbers.
    const ALL: [Self; 20] = [
        Self::Void,
        Self::Int,
        Self::Ptr,
        Self::Array,
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Fwd,
        Self::Typedef,
        Self::Volatile,
        Self::Const,
        Self::Restrict,
        Self::Func,
        Self::FuncProto,
        Self::Var,
        Self::DataSec,
        Self::Float,
        Self::DeclTag,
        Self::TypeTag,
        Self::Enum64,
    ];

    /// Whether it only qualifies or renames another type.
    #[must_use]
    pub fn is_modifier(self) -> bool {
        matches!(self, Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag)
    }

    /// A struct or a union.
    #[must_use]
    pub fn is_aggregate(self) -> bool {
        matches!(self, Self::Struct | Self::Union)
    }

    /// An enum of 32 or 64 bits.
    #[must_use]
    pub fn is_enum(self) -> bool {
        matches!(self, Self::Enum | Self::Enum64)
    }

    /// Words of 32 bits that follow the three of every record.
    fn body_words(self, vlen: usize) -> usize {
        match self {
            Self::Int | Self::Var | Self::DeclTag => 1,
            Self::Array => 3,
            Self::Struct | Self::Union | Self::DataSec | Self::Enum64 => 3 * vlen,
            Self::Enum | Self::FuncProto => 2 * vlen,
            _ => 0,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Void => "void",
            Self::Int => "integer",
            Self::Ptr => "pointer",
            Self::Array => "array",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum | Self::Enum64 => "enum",
            Self::Fwd => "forward declaration",
            Self::Typedef => "typedef",
            Self::Volatile => "volatile",
            Self::Const => "const",
            Self::Restrict => "restrict",
            Self::Func => "function",
            Self::FuncProto => "function prototype",
            Self::Var => "variable",
            Self::DataSec => "data section",
            Self::Float => "float",
            Self::DeclTag => "declaration tag",
            Self::TypeTag => "type tag",
        })
    }
}

/// One type's record.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    id: TypeId,
    kind: Kind,
    flag: bool,
    vlen: u16,
    name_offset: u32,
    /// The size in bytes, or the id of the type that is referred to.
    size_or_type: u32,
    /// Where the words behind the record's first three begin.
    body: usize,
}

/// A member of a struct or union, as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name; empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub type_id: TypeId,
    /// Where it begins, in bits from the beginning of the struct.
    pub bit_offset: u32,
    /// Its width in bits, when it is a bit-field.
    pub bit_width: Option<u32>,
}

/// One name of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// The name.
    pub name: &'a str,
    /// What it stands for.
    pub value: i128,
}

/// A variable of a data section. Clang leaves offsets of global variables 0:
/// the ELF symbol knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionVariable {
    /// The type of kind `Var` (or `Func`, for a kernel function).
    pub variable: TypeId,
    /// Where it begins in the section.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

impl<'a> Type<'a> {
    pub(super) fn void(btf: &'a Btf) -> Self {
        let (id, kind) = (TypeId::VOID, Kind::Void);
        Self { btf, id, kind, flag: false, vlen: 0, name_offset: 0, size_or_type: 0, body: 0 }
    }

    /// Reads the record at an offset of the whole BTF; its body is known to be there.
    pub(super) fn read(btf: &'a Btf, id: TypeId, at: usize) -> Result<Self, BtfError> {
        let Some([name_offset, info, size_or_type]) = btf.record(at) else {
            return Err(BtfError::TypeTruncated(id));
        };
        let number = (info >> 24) & 0x1f;
        let kind = match Kind::ALL.get(number as usize) {
            Some(Kind::Void) | None => return Err(BtfError::UnknownKind { id, kind: number }),
            Some(kind) => *kind,
        };
        let vlen = (info & 0xffff) as u16;
        let found =
            Self { btf, id, kind, flag: info >> 31 == 1, vlen, name_offset, size_or_type, body: at + 12 };
        if at.saturating_add(found.length()) > btf.types.end {
            return Err(BtfError::TypeTruncated(id));
        }
        Ok(found)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.btf.name(self.name_offset)
    }

    /// The size that the record states, for the kinds that state one.
    #[must_use]
    pub fn stated_size(&self) -> Option<usize> {
        let sized = matches!(self.kind, Kind::Int | Kind::Float | Kind::DataSec)
            || self.kind.is_aggregate()
            || self.kind.is_enum();
        sized.then_some(self.size_or_type as usize)
    }

    /// What it refers to: the target of a pointer, typedef or qualifier, the
    /// type of a variable or function, the element of an array.
    #[must_use]
    pub fn target(&self) -> TypeId {
        match self.kind {
            Kind::Array => TypeId(self.body_word(0)),
            _ if self.kind == Kind::Fwd || self.stated_size().is_some() => TypeId::VOID,
            _ => TypeId(self.size_or_type),
        }
    }

    /// How many elements an array has; 0 for every other kind.
    #[must_use]
    pub fn element_count(&self) -> u32 {
        if self.kind == Kind::Array { self.body_word(2) } else { 0 }
    }

    /// How a variable or function is linked: 0 static, 1 global, 2 extern.
    #[must_use]
    pub fn linkage(&self) -> u32 {
        if self.kind == Kind::Func { u32::from(self.vlen) } else { self.body_word(0) }
    }

    /// Whether a forward declaration is one of a union.
    #[must_use]
    pub fn is_union_declaration(&self) -> bool {
        self.kind == Kind::Fwd && self.flag
    }

    /// Members of a struct or union, in order of declaration.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + use<'a> {
        let this = *self;
        this.parts(this.kind.is_aggregate(), 3).map(move |at| this.field(at))
    }

    /// Names of an enum, in order of declaration.
    pub fn enumerators(&self) -> impl ExactSizeIterator<Item = Enumerator<'a>> + use<'a> {
        let this = *self;
        let signed = this.is_signed_enum();
        let words = if this.kind == Kind::Enum64 { 3 } else { 2 };
        this.parts(this.kind.is_enum(), words).map(move |at| Enumerator {
            name: this.btf.name(this.body_word(at)),
            value: this.enumerator_value(at, signed),
        })
    }

    /// Variables of a data section, in order of declaration.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = SectionVariable> + use<'a> {
        let this = *self;
        this.parts(this.kind == Kind::DataSec, 3).map(move |at| SectionVariable {
            variable: TypeId(this.body_word(at)),
            offset: this.body_word(at + 1),
            size: this.body_word(at + 2),
        })
    }

    /// Whether an enum's values are signed. The flag says so since LLVM 16; before,
    /// no enum of 32 bits has it, and a small negative number gives itself away
    /// (while `1 << 31` in a set of flags does not make the set signed).
    #[must_use]
    pub fn is_signed_enum(&self) -> bool {
        let looks_negative = |at: usize| (-65536..0).contains(&self.body_word(at + 1).cast_signed());
        self.flag || (self.kind == Kind::Enum && self.parts(true, 2).any(looks_negative))
    }

    pub(super) fn name_offset(&self) -> u32 {
        self.name_offset
    }

    /// Calls back with every type and every name that the record refers to.
    pub(super) fn references(&self, mut types: impl FnMut(TypeId), mut names: impl FnMut(u32)) {
        names(self.name_offset);
        types(self.target());
        // Words of one part of the body, and which of them are a name and a type.
        let (words, name, target) = match self.kind {
            Kind::Struct | Kind::Union => (3, Some(0), Some(1)),
            Kind::FuncProto => (2, Some(0), Some(1)),
            Kind::Enum => (2, Some(0), None),
            Kind::Enum64 => (3, Some(0), None),
            Kind::DataSec => (3, None, Some(0)),
            Kind::Array => return types(TypeId(self.body_word(1))),
            _ => return,
        };
        for at in self.parts(true, words) {
            if let Some(name) = name {
                names(self.body_word(at + name));
            }
            if let Some(target) = target {
                types(TypeId(self.body_word(at + target)));
            }
        }
    }

    /// An integer's encoding bits, its offset inside its bytes and its width, both in bits.
    pub(super) fn integer(&self) -> (u32, u32, u32) {
        let word = self.body_word(0);
        ((word >> 24) & 0xf, (word >> 16) & 0xff, word & 0xff)
    }

    /// Bytes of the whole record.
    pub(super) fn length(&self) -> usize {
        4 * (3 + self.kind.body_words(usize::from(self.vlen)))
    }

    /// Where each part of the body begins, in words.
    fn parts(&self, has_parts: bool, words: usize) -> impl ExactSizeIterator<Item = usize> + use<> {
        let count = if has_parts { self.vlen } else { 0 };
        (0..count).map(move |index| usize::from(index) * words)
    }

    /// A word of the body. `read` made sure that it is there.
    fn body_word(&self, index: usize) -> u32 {
        self.btf.word(self.body + 4 * index).unwrap_or(0)
    }

    fn field(&self, at: usize) -> Field<'a> {
        let (name, type_id) = (self.btf.name(self.body_word(at)), TypeId(self.body_word(at + 1)));
        let word = self.body_word(at + 2);
        if self.flag {
            let bit_width = Some(word >> 24).filter(|width| *width > 0);
            return Field { name, type_id, bit_offset: word & 0x00ff_ffff, bit_width };
        }
        match self.narrow_integer(type_id) {
            Some((shift, width)) => {
                Field { name, type_id, bit_offset: word.saturating_add(shift), bit_width: Some(width) }
            }
            None => Field { name, type_id, bit_offset: word, bit_width: None },
        }
    }

    /// Compilers before the flag told a bit-field by an integer narrower than its bytes.
    fn narrow_integer(&self, id: TypeId) -> Option<(u32, u32)> {
        let integer = self.btf.resolve(id).ok().filter(|found| found.kind == Kind::Int)?;
        let (_, shift, width) = integer.integer();
        let whole = integer.size_or_type.checked_mul(8)?;
        (shift > 0 || (width > 0 && width < whole)).then_some((shift, width))
    }

    fn enumerator_value(&self, at: usize, signed: bool) -> i128 {
        let low = self.body_word(at + 1);
        if self.kind == Kind::Enum {
            return if signed { i128::from(low.cast_signed()) } else { i128::from(low) };
        }
        let value = u64::from(self.body_word(at + 2)) << 32 | u64::from(low);
        if signed { i128::from(value.cast_signed()) } else { i128::from(value) }
    }
}

impl std::fmt::Debug for Type<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "[{}] {:?} {:?}", self.id.0, self.kind, self.name())
    }
}
