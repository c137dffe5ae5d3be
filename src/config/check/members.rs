//! What keys and values are made of, as the object's types tell it.

use super::{Context, Sink};
use crate::btf::{Btf, BtfError, Layout, Member, MemberKind, ScalarKind, TypeId};
use crate::config::findings::Spot;
use crate::config::raw::RawMetric;
use crate::config::suggest;
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::{Bits, LabelSource};

/// One of the two things that a map's entries are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    /// The key by which a map of maps holds an inner one.
    OuterKey,
    Value,
    Event,
}

impl Part {
    /// In words.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::OuterKey => "outer key",
            Self::Value => "value",
            Self::Event => "event",
        }
    }
}

/// The type of a map's key or value.
pub(super) struct Whole<'o> {
    btf: &'o Btf,
    map: &'o str,
    part: Part,
    pub(super) layout: Layout,
}

impl<'o> Whole<'o> {
    /// The type of a part of a map; an error when the object does not tell it, with the reason if it tells nonsense.
    pub(super) fn of(
        context: &'o Context<'_>,
        map: &'o MapInfo,
        part: Part,
    ) -> Result<Self, Option<BtfError>> {
        let (id, size): (Option<TypeId>, u32) = match part {
            Part::Key | Part::OuterKey => (map.key_type, map.key_size),
            Part::Value => (map.value_type, map.value_size),
            Part::Event => (None, 0),
        };
        let btf = &context.object.btf;
        let is_key = matches!(part, Part::Key | Part::OuterKey);
        if is_key && id.is_none() && map.kind.is_indexed() && size == 4 {
            return Ok(Self { btf, map: &map.name, part, layout: index() });
        }
        let layout = btf.layout(id.ok_or(None)?).map_err(Some)?;
        if layout.size != size as usize {
            return Err(None);
        }
        Ok(Self { btf, map: &map.name, part, layout })
    }

    /// A type of the object that is a part of a map.
    pub(super) fn of_type(
        context: &'o Context<'_>,
        map: &'o MapInfo,
        part: Part,
        id: TypeId,
    ) -> Result<Self, BtfError> {
        let btf = &context.object.btf;
        Ok(Self { btf, map: &map.name, part, layout: btf.layout(id)? })
    }

    /// A member's name and what its bytes mean, wherever it lies.
    pub(super) fn meaning(&self, path: &str) -> String {
        let Ok(member) = self.find(path) else { return path.to_owned() };
        let shape = self.btf.shape(member.type_id).unwrap_or_else(|| member.type_name.clone());
        let width = member.bits.map_or(0, |bits| bits.width);
        format!("{path}:{}:{width} {shape}", member.size)
    }

    /// Whether it is a struct or union with members.
    pub(super) fn is_struct(&self) -> bool {
        self.layout.members.iter().all(|member| !member.path.is_empty())
    }

    /// Whether it is the key by which an inner map is found.
    pub(super) fn is_outer(&self) -> bool {
        self.part == Part::OuterKey
    }

    /// What it is a part of, in a word.
    pub(super) fn noun(&self) -> &'static str {
        self.part.noun()
    }

    /// The only member, when it is all there is.
    pub(super) fn only_member(&self) -> Option<&Member> {
        match self.layout.members.as_slice() {
            [only] if only.size == self.layout.size && only.bits.is_none() => Some(only),
            _ => None,
        }
    }

    /// A member by its path; the empty one is the whole.
    pub(super) fn find(&self, path: &str) -> Result<Member, BtfError> {
        match self.layout.members.as_slice() {
            [index] if self.layout.type_id == TypeId::VOID && path.is_empty() => Ok(index.clone()),
            [index] if self.layout.type_id == TypeId::VOID => Err(BtfError::NoMember {
                name: path.to_owned(),
                within: index.type_name.clone(),
                known: Vec::new(),
            }),
            _ => self.btf.member(self.layout.type_id, path),
        }
    }

    /// Bytes and meaning of the elements of an array member.
    pub(super) fn elements(&self, member: &Member) -> Option<(usize, ScalarKind, usize)> {
        let MemberKind::Array { element, count } = member.kind else { return None };
        let (size, kind) = self.btf.scalar(element)?;
        Some((size, kind, usize::try_from(count).ok()?))
    }

    /// A member by its path, or what is wrong with the path.
    pub(super) fn member(&self, sink: &mut Sink<'_>, spot: &Spot, path: &str) -> Option<Member> {
        match self.find(path) {
            Ok(member) => Some(member),
            Err(error) => {
                self.unknown(sink, spot, path, &error);
                None
            }
        }
    }

    fn unknown(&self, sink: &mut Sink<'_>, spot: &Spot, path: &str, error: &BtfError) {
        let (code, key) = match self.part {
            Part::Key | Part::OuterKey => ("unknown-field", "`field`"),
            Part::Value | Part::Event => ("unknown-member", "the path"),
        };
        let (noun, map) = (self.part.noun(), self.map);
        let problem = |message: String| Problem::error(code, Place::default(), message);
        let mut problem = match error {
            BtfError::BadPath(_) => problem(format!("{path:?} is not the path of a member"))
                .expected("names and indices as C writes them, such as `a.b[1].c`"),
            BtfError::NoMember { .. } if !self.is_struct() => {
                let kind = &self.layout.type_name;
                let help = if self.layout.type_name.ends_with(']') {
                    format!("elements are called `[0]`, `[1]` and so on, and {key} `\"\"` is all of them")
                } else {
                    format!("leave {key} out: it is read as a whole")
                };
                problem(format!("the {noun} of `{map}` is one `{kind}` and has no member `{path}`"))
                    .help(help)
            }
            BtfError::NoMember { name, within, .. } => {
                let mut problem = problem(format!("the {noun} of `{map}` has no member `{path}`"));
                if name != path {
                    problem = problem.found(format!("`{within}` has no member `{name}`"));
                }
                problem.help = self.suggestion(path);
                problem
            }
            other => problem(format!("the member `{path}` of the {noun} of `{map}` cannot be read: {other}")),
        };
        problem.layout = Some(self.layout.to_string());
        sink.report(spot, problem);
    }

    /// The path that was probably meant: the only one that ends in it, else the closest.
    fn suggestion(&self, path: &str) -> Option<String> {
        let paths = || self.layout.members.iter().map(|member| member.path.as_str());
        let inside = |candidate: &&str| candidate.strip_suffix(path).is_some_and(|rest| rest.ends_with('.'));
        let mut nested = paths().filter(inside);
        match (nested.next(), nested.next()) {
            (Some(only), None) => Some(format!("did you mean `{only}`?")),
            _ => suggest::help("members there are", path, paths()),
        }
    }
}

/// The key of an array, whose type is known although no object says it.
fn index() -> Layout {
    let type_name = "u32".to_owned();
    let member = Member {
        path: String::new(),
        offset: 0,
        size: 4,
        bits: None,
        type_id: TypeId::VOID,
        type_name: type_name.clone(),
        kind: MemberKind::Scalar(ScalarKind::Unsigned),
    };
    Layout { type_id: TypeId::VOID, type_name, size: 4, members: vec![member] }
}

/// Says that names need types which the object does not bring.
pub(super) fn untyped(sink: &mut Sink<'_>, spot: &Spot, map: &MapInfo, part: Part, why: Option<BtfError>) {
    let noun = part.noun();
    let found = match why {
        Some(error) => error.to_string(),
        None => format!("the {noun} of `{}` has a size and no type", map.name),
    };
    let help = match part {
        Part::Key | Part::OuterKey => {
            "declare the map with `__type(key, ...)`, or give every label its `size`"
        }
        Part::Value | Part::Event => "declare the map with `__type(value, ...)`",
    };
    sink.report(
        spot,
        Problem::error(
            "no-type",
            Place::default(),
            format!("the object does not tell the type of the {noun}"),
        )
        .expected(format!("a type for the {noun}, whose members have names"))
        .found(found)
        .help(help),
    );
}

/// Whether a number may be negative.
pub(super) fn is_signed(kind: MemberKind) -> bool {
    matches!(kind, MemberKind::Scalar(ScalarKind::Signed) | MemberKind::Enum { signed: true })
}

/// The bits of a bit-field that fits 64 bits.
pub(super) fn bits(member: &Member) -> Option<Bits> {
    let field = member.bits?;
    let bits = Bits { shift: field.shift, width: field.width, signed: is_signed(member.kind) };
    bits.fits(member.size).then_some(bits)
}

/// Warns of labels that begin or end inside a number of the key's struct.
pub(super) fn cuts(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &MapInfo,
    sources: &[LabelSource],
) {
    let Some(layout) = key_layout(context, map) else { return };
    // Where one label ends the next one begins: the same cut is told once.
    let mut told = None;
    for (label, source) in raw.labels.iter().zip(sources) {
        let LabelSource::Key { offset, size } = *source else { continue };
        let mut borders = [offset, offset + size].into_iter().filter(|border| told != Some(*border));
        let cut = borders.find_map(|border| Some((border, layout.cut_at(border)?)));
        let Some((border, cut)) = cut else { continue };
        told = Some(border);
        let spot = label.size.as_ref().map_or(&label.spot, |size| &size.spot);
        let name = label.name.as_ref().map_or("", |name| &name.value);
        let message = format!("the label `{name}` cuts the key's member `{}` in two", cut.path);
        sink.report(
            spot,
            Problem::warning("cut-member", Place::default(), message)
                .expected(format!("labels that end where members do: `{}` has {} bytes", cut.path, cut.size))
                .found(format!("the label has the bytes {offset} to {}", offset + size - 1))
                .layout(layout.to_string())
                .help("compare sizes and paddings with the key's struct, or name its members instead"),
        );
    }
}

/// The key's members, when it is a struct: a single number may be packed and cut on purpose.
pub(super) fn key_layout(context: &Context<'_>, map: &MapInfo) -> Option<Layout> {
    let whole = Whole::of(context, map, Part::Key).ok()?;
    whole.is_struct().then_some(whole.layout)
}
