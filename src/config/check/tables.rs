//! What a metric is read from, as all other checks see it: a map, or a variable that looks like one.
//!
//! A variable that is one value is a map with the one key 0. An array whose metric has labels is an array map: the
//! key is the element's index. An array whose metric has none is one value with a part for each element, as a map
//! that is split by CPU has it, and `reduce` makes one number of them.

use std::borrow::Cow;

use super::nested::Keys;
use super::variables::{self, Use};
use super::{Context, Sink, maps, values};
use crate::btf::{BtfError, Member, MemberKind};
use crate::config::findings::Spot;
use crate::config::raw::{Found, Group, RawMetric};
use crate::config::suggest;
use crate::elf::{MapInfo, MapKind, Variable, section_map};
use crate::problem::{Place, Problem};
use crate::spec::{Area, SlotArray, ValueSpec};

/// What a metric is read from.
pub(super) struct Table<'o> {
    pub(super) map: Cow<'o, MapInfo>,
    /// The map that holds it.
    outer: Option<&'o MapInfo>,
    /// Of a variable, where it lies.
    variable: Option<Variables>,
}

/// Where a variable lies, or the elements of an array.
struct Variables {
    section: String,
    area: Area,
    /// Bytes between the beginning of the area and of the value.
    shift: usize,
    /// A bit-field, whose type does not tell its bits.
    bits: Option<ValueSpec>,
}

impl Table<'_> {
    /// The name by which it is found among what is loaded.
    pub(super) fn source(&self) -> String {
        self.variable.as_ref().map_or_else(|| self.map.name.clone(), |variable| variable.section.clone())
    }

    /// What labels can be parts of.
    pub(super) fn keys(&self) -> Keys<'_> {
        Keys { map: &self.map, outer: self.outer }
    }

    /// Where a variable lies.
    pub(super) fn area(&self) -> Option<Area> {
        self.variable.as_ref().map(|variable| variable.area)
    }

    /// The map's name, if it is a map.
    pub(super) fn map_name(&self) -> Option<String> {
        self.variable.is_none().then(|| self.map.name.clone())
    }

    /// The number in the value.
    pub(super) fn value(
        &self,
        context: &Context<'_>,
        sink: &mut Sink<'_>,
        raw: &RawMetric,
    ) -> Option<ValueSpec> {
        match self.variable.as_ref().and_then(|variable| variable.bits) {
            Some(bits) => Some(bits),
            None => values::value(context, sink, raw, &self.map),
        }
        .map(|value| self.moved(value))
    }

    /// A number of the value, from where the source begins.
    fn moved(&self, value: ValueSpec) -> ValueSpec {
        let shift = self.variable.as_ref().map_or(0, |variable| variable.shift);
        ValueSpec { offset: value.offset.saturating_add(shift), ..value }
    }

    /// The slots of a histogram, from where the source begins.
    pub(super) fn moved_slots(&self, (first, array): (ValueSpec, SlotArray)) -> (ValueSpec, SlotArray) {
        let moved = |value: Option<ValueSpec>| value.map(|value| self.moved(value));
        (self.moved(first), SlotArray { sum: moved(array.sum), count: moved(array.count), ..array })
    }
}

/// What a metric is read from; none when it is not there or cannot be read, which is said.
pub(super) fn find<'o>(context: &Context<'o>, sink: &mut Sink<'_>, raw: &RawMetric) -> Option<Table<'o>> {
    if !raw.gives("global") {
        let map = maps::find(context, sink, raw)?;
        sink.map = Some(map.name.clone());
        return Some(match &map.inner {
            Some(inner) if map.kind.is_map_in_map() => {
                let inner = MapInfo { name: map.name.clone(), ..MapInfo::clone(inner) };
                Table { map: Cow::Owned(inner), outer: Some(map), variable: None }
            }
            _ => Table { map: Cow::Borrowed(map), outer: None, variable: None },
        });
    }
    if let (Some(map), Some(_)) = (&raw.map, &raw.global) {
        let problem = Problem::error("two-sources", Place::default(), "a metric has one source");
        sink.report(
            &map.spot,
            problem.expected("`map` or `global`").found("both").help("remove one of the two"),
        );
        return None;
    }
    let global = raw.global.as_ref()?;
    let (variable, path) = variables::find(context, sink, global, Use::Read)?;
    let member = match context.object.btf.member(variable.type_id, path) {
        Ok(member) => member,
        Err(error) => {
            no_member(sink, global, &error);
            return None;
        }
    };
    if !is_in_its_place(context, sink, raw, global, variable) {
        return None;
    }
    begins_at_zero(context, sink, raw, global, (variable, &member));
    Finder { context, sink, raw, global, variable }.table(&member)
}

/// Warns of what counts from another number than 0: after a reload it is counted once more.
fn begins_at_zero(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    global: &Found<String>,
    (variable, member): (&Variable, &Member),
) {
    let offset = (variable.offset as usize).saturating_add(member.offset);
    let is_count = raw.group != Group::Gauges && !matches!(member.kind, MemberKind::Aggregate);
    let begins = || context.object.section_bytes(&variable.section, offset, member.size);
    if is_count && member.bits.is_none() && begins().iter().any(|byte| *byte != 0) {
        let message = format!("`{}` does not begin with 0", global.value);
        let problem = Problem::warning("counter-begins", Place::default(), message)
            .expected("0, from which a program counts on")
            .help("a reload adds what the variable begins with once more: count in one of its own, or show it as a gauge");
        sink.report(&global.spot, problem);
    }
}

/// What is no mistake of the type.
fn is_in_its_place(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    global: &Found<String>,
    variable: &Variable,
) -> bool {
    let name = &global.value;
    if variable.section.starts_with(".rodata") && raw.group != Group::Gauges {
        let message = format!("`{name}` is constant, and a {} counts", raw.group.noun());
        let problem = Problem::error("constant-variable", Place::default(), message);
        sink.report(
            &global.spot,
            problem
                .expected("a variable that programs write")
                .found(format!("one in {}", variable.section))
                .help("show it as a gauge"),
        );
        return false;
    }
    let (own, map) = (&variable.section, section_map(&variable.section));
    let is_twin = |other: &&Variable| other.section != *own && section_map(&other.section) == map;
    if let Some(twin) = context.object.variables.iter().find(is_twin) {
        let message = format!("`{name}` cannot be told from variables of another section");
        let problem = Problem::error("ambiguous-variable", Place::default(), message);
        sink.report(
            &global.spot,
            problem
                .expected(
                    "sections that differ in their first 15 characters, which is all that their maps have",
                )
                .found(format!("{own} and {}", twin.section))
                .help("give one of the sections a shorter name in the source"),
        );
        return false;
    }
    true
}

fn no_member(sink: &mut Sink<'_>, global: &Found<String>, error: &BtfError) {
    let (name, problem) =
        (&global.value, |message: String| Problem::error("missing-member", Place::default(), message));
    let problem = match error {
        BtfError::NoMember { name: member, within, known } => {
            let mut problem = problem(format!("`{within}` has no member `{member}`"));
            problem.help = suggest::help("members there are", member, known.iter().map(String::as_str));
            if problem.help.is_some() { problem } else { problem.expected(suggest::instead(within)) }
        }
        other => problem(format!("`{name}` cannot be read: {other}"))
            .expected("a variable or a path from one, such as `stats.packets` or `cores[2].count`"),
    };
    sink.report(&global.spot, problem);
}

struct Finder<'f, 'o, 's> {
    context: &'f Context<'o>,
    sink: &'f mut Sink<'s>,
    raw: &'f RawMetric,
    global: &'f Found<String>,
    variable: &'f Variable,
}

impl Finder<'_, '_, '_> {
    fn table<'t>(mut self, member: &Member) -> Option<Table<'t>> {
        match member.kind {
            MemberKind::Array { count, .. } if count > 0 => self.array(member, count as usize),
            MemberKind::Aggregate => self.single(member, None),
            MemberKind::Scalar(_) | MemberKind::Enum { .. } => match values::number(member) {
                Some(number) => {
                    let bits = member.bits.map(|_| ValueSpec { offset: 0, ..number });
                    self.single(member, bits)
                }
                None => self.wrong_type(member),
            },
            MemberKind::Pointer | MemberKind::Text | MemberKind::Array { .. } => self.wrong_type(member),
        }
    }

    fn wrong_type<'t>(&mut self, member: &Member) -> Option<Table<'t>> {
        let message = format!("`{}` is no number", self.global.value);
        let problem = Problem::error("global-type", Place::default(), message)
            .expected("an integer, bool, enum, float or double; a struct with `value`; or an array of them")
            .found(format!("`{}`", member.type_name));
        self.sink.report(&self.global.spot, problem);
        None
    }

    /// The bytes from the beginning of the section.
    fn offset(&self, member: &Member) -> usize {
        (self.variable.offset as usize).saturating_add(member.offset)
    }

    fn map(&self, kind: MapKind, value: &Member, rows: usize) -> MapInfo {
        MapInfo {
            name: self.global.value.clone(),
            kind,
            key_size: 4,
            value_size: u32::try_from(value.size).unwrap_or(u32::MAX),
            value_type: Some(value.type_id).filter(|_| value.bits.is_none()),
            max_entries: u32::try_from(rows).unwrap_or(u32::MAX),
            ..MapInfo::default()
        }
    }

    fn found<'t>(&self, map: MapInfo, area: Area, shift: usize, bits: Option<ValueSpec>) -> Table<'t> {
        let section = section_map(&self.variable.section).to_owned();
        Table { map: Cow::Owned(map), outer: None, variable: Some(Variables { section, area, shift, bits }) }
    }

    /// One value, which no key tells apart.
    fn single<'t>(&mut self, member: &Member, bits: Option<ValueSpec>) -> Option<Table<'t>> {
        let mut refuse = |spot: &Spot, key: &str| {
            let message = format!("`{}` is one value, which `{key}` cannot tell apart", self.global.value);
            let problem = Problem::error("global-labels", Place::default(), message)
                .expected("an array, whose index is the key")
                .found(format!("`{}`", member.type_name))
                .help(format!("remove `{key}`, or name an array"));
            self.sink.report(spot, problem);
        };
        let raw = self.raw;
        if let Some(label) = raw.labels.first() {
            refuse(&label.spot, "labels");
            return None;
        }
        if let Some(bucket) = &raw.bucket {
            refuse(&bucket.spot, "bucket");
            return None;
        }
        if let (Some(_), Some(value)) = (bits, &raw.value) {
            let message = format!("`{}` is a number and has no members", self.global.value);
            let problem = Problem::error("unknown-member", Place::default(), message);
            self.sink.report(&value.spot, problem.help("remove `value`"));
            return None;
        }
        let (area, shift) = Area::around(self.offset(member), member.size);
        Some(self.found(self.map(MapKind::ARRAY, member, 1), area, shift, bits))
    }

    /// Many values side by side; an array of counts can be the slots of one histogram.
    fn array<'t>(&mut self, member: &Member, count: usize) -> Option<Table<'t>> {
        let btf = &self.context.object.btf;
        let element = match btf.member(member.type_id, "[0]") {
            Ok(element) => element,
            Err(error) => {
                no_member(self.sink, self.global, &error);
                return None;
            }
        };
        let is_keyed = !self.raw.labels.is_empty() || self.raw.bucket.is_some();
        let has_slots = self.raw.gives("slots");
        match element.kind {
            MemberKind::Scalar(_) | MemberKind::Enum { .. } if has_slots && !is_keyed => {
                return self.single(member, None);
            }
            MemberKind::Aggregate => {}
            MemberKind::Array { .. } if has_slots => {}
            MemberKind::Array { .. } => return self.nested(member),
            _ if values::number(&element).is_some() => {}
            _ => return self.wrong_type(member),
        }
        let offset = self.offset(member);
        let element = Member { offset: 0, ..element };
        if is_keyed || self.raw.slot_is_label() {
            let map = self.map(MapKind::ARRAY, &element, count);
            return Some(self.found(map, Area::entries(offset, element.size, count), 0, None));
        }
        let map = self.map(MapKind::PERCPU_ARRAY, &element, 1);
        Some(self.found(map, Area::reduced(offset, element.size, count), 0, None))
    }

    fn nested<'t>(&mut self, member: &Member) -> Option<Table<'t>> {
        let name = &self.global.value;
        let message = format!("`{name}` is an array of arrays, and there is one index");
        let problem = Problem::error("global-type", Place::default(), message)
            .expected("an array of numbers or structs")
            .found(format!("`{}`", member.type_name))
            .help(format!("name one of them, such as `{name}[0]`, in a metric of its own"));
        self.sink.report(&self.global.spot, problem);
        None
    }
}
