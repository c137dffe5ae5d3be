//! What a file says about the loading of its object: `globals`, `programs`, `choose`, `maps`.

use std::time::Duration;

use super::Found;
use super::attach::{ATTACH, RawAttach, attach};
use super::fields::{Field, join};
use super::keys::{Key, Keys, Shape};
use super::reader::{Reader, spot};
use crate::config::findings::Spot;
use crate::config::yaml::{Kind, Node, Scalar};
use crate::problem::{Place, Problem};

pub(super) const PROGRAM: Keys = Keys {
    what: "a program's options",
    example: "{optional: true}",
    known: &[&[
        Key::new("enabled", Shape::Boolean, "Whether it is loaded, whatever its section says"),
        Key::new("optional", Shape::Boolean, "Whether it may be missing where the kernel does not take it"),
        Key::new("attach", Shape::Mapping(&ATTACH), "Where it is attached, whatever its section says"),
    ]],
    later: &[],
};

pub(super) const MAP: Keys = Keys {
    what: "a map's options",
    example: "{max_entries: 1024}",
    known: &[&[
        Key::new("max_entries", Shape::Integer, "How many entries it can hold"),
        Key::new("expire", Shape::Duration, "Entries that have not changed for so long are taken out"),
        Key::new("pages", Shape::Size, "Of an array of performance events: pages of each CPU's buffer"),
        Key::new("carry", Shape::Boolean, "Whether it keeps its entries when its object is replaced"),
        Key::new("pin_path", Shape::Text, "The file below /sys/fs/bpf by which it outlives the exporter"),
        Key::new(
            "from_pin",
            Shape::Text,
            "The file below /sys/fs/bpf of a map that somebody else loaded, which is only read",
        ),
        Key::new(
            "shared",
            Shape::Text,
            "The name by which configs share it: those that say the same have one map",
        ),
    ]],
    later: &[],
};

pub(super) const CGROUPS: Keys = Keys {
    what: "a map of cgroups",
    example: "{name: my_map, regexps: [^/sys/fs/cgroup/system.slice/]}",
    known: &[&[
        Key::required("name", Shape::Text, "The map"),
        Key::new("type", Shape::Choice(cgroup_maps), "What kind of map it is"),
        Key::required(
            "regexps",
            Shape::List(&Shape::Text),
            "Paths of cgroups match one of these (RE2 syntax)",
        ),
    ]],
    later: &[],
};

fn cgroup_maps() -> Vec<(&'static str, &'static str)> {
    vec![
        ("hash", "A hash by the cgroup's id"),
        ("cgrp_storage", "A BPF_MAP_TYPE_CGRP_STORAGE, which the kernel keeps with the cgroup"),
    ]
}

/// A map that follows the cgroups whose path matches.
#[derive(Debug)]
pub(crate) struct RawCgroups {
    pub(crate) spot: Spot,
    pub(crate) name: Option<Found<String>>,
    pub(crate) kind: Option<Found<String>>,
    pub(crate) regexps: Vec<Found<String>>,
    /// Whether reading it found an error.
    pub(crate) broken: bool,
}

/// A variable, or a member of one, and what it shall be.
#[derive(Debug)]
pub(crate) struct RawGlobal {
    pub(crate) name: Found<String>,
    pub(crate) value: RawValue,
}

/// A value of any shape: what fits is for the variable's type to say.
#[derive(Debug)]
pub(crate) struct RawValue {
    pub(crate) spot: Spot,
    /// As it was written, for "found".
    pub(crate) found: String,
    pub(crate) shape: ValueShape,
}

#[derive(Debug)]
pub(crate) enum ValueShape {
    Scalar(Scalar),
    List(Vec<RawValue>),
    Members(Vec<RawGlobal>),
}

/// Options of one program.
#[derive(Debug)]
pub(crate) struct RawProgram {
    pub(crate) name: Found<String>,
    pub(crate) enabled: Option<Found<bool>>,
    pub(crate) optional: bool,
    pub(crate) attach: Option<RawAttach>,
}

/// Alternatives, the best one first.
#[derive(Debug)]
pub(crate) struct RawChoice {
    pub(crate) spot: Spot,
    pub(crate) programs: Vec<Found<String>>,
}

/// Options of one map.
#[derive(Debug)]
pub(crate) struct RawMap {
    pub(crate) name: Found<String>,
    pub(crate) max_entries: Option<Found<i64>>,
    pub(crate) pages: Option<Found<i64>>,
    pub(crate) carry: Option<bool>,
    pub(crate) expire: Option<Found<Duration>>,
    pub(crate) pin_path: Option<Found<String>>,
    pub(crate) from_pin: Option<Found<String>>,
    pub(crate) shared: Option<Found<String>>,
    /// What was written, whatever became of it.
    pub(crate) given: Vec<(String, Spot)>,
}

impl RawMap {
    fn new(name: Found<String>) -> Self {
        Self {
            name,
            max_entries: None,
            pages: None,
            carry: None,
            expire: None,
            pin_path: None,
            from_pin: None,
            shared: None,
            given: Vec::new(),
        }
    }

    /// Where a key was written, if it was.
    pub(crate) fn given(&self, key: &str) -> Option<&Spot> {
        self.given.iter().find(|(given, _)| given == key).map(|(_, spot)| spot)
    }
}

/// The assignments of a mapping from names; of a name that is given again the last one counts.
fn named<'n>(reader: &mut Reader, node: &'n Node, path: &str, what: &str) -> Vec<(Found<String>, Field<'n>)> {
    let mut last: Vec<(Found<String>, Field<'n>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for field in reader.assignments(node, path, what) {
        let name = Found { value: field.name.to_owned(), spot: spot(field.key, &join(path, field.name)) };
        match places.get(field.name).and_then(|place: &usize| last.get_mut(*place)) {
            Some(slot) => *slot = (name, field),
            None => {
                places.insert(field.name, last.len());
                last.push((name, field));
            }
        }
    }
    last
}

pub(super) fn globals(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawGlobal> {
    assigned(reader, node, path, "a mapping from variables to values, such as {min_latency_ns: 1000}")
}

/// What options of the kernel's configuration are.
pub(super) fn kernel_options(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawGlobal> {
    assigned(reader, node, path, "a mapping from options to values, such as {CONFIG_HZ: 250}")
}

/// What members of an event must be.
pub(super) fn conditions(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawGlobal> {
    assigned(reader, node, path, "a mapping from members to values, such as {type: 2}")
}

fn assigned(reader: &mut Reader, node: &Node, path: &str, what: &str) -> Vec<RawGlobal> {
    let fields = named(reader, node, path, what);
    let assigned = |(name, field): (Found<String>, Field<'_>)| {
        let value = value(reader, field.value, &name.spot.path);
        RawGlobal { name, value }
    };
    fields.into_iter().map(assigned).collect()
}

fn value(reader: &mut Reader, node: &Node, path: &str) -> RawValue {
    let shape = match &node.kind {
        Kind::Scalar(scalar) => ValueShape::Scalar(scalar.clone()),
        Kind::Sequence(items) => {
            let items = items.iter().enumerate();
            ValueShape::List(
                items.map(|(index, item)| value(reader, item, &format!("{path}[{index}]"))).collect(),
            )
        }
        Kind::Mapping(_) => ValueShape::Members(globals(reader, node, path)),
    };
    RawValue { spot: spot(node, path), found: node.describe(), shape }
}

/// A mapping without keys is none, as with the reference.
pub(super) fn cgroups(reader: &mut Reader, node: &Node, path: &str) -> Option<RawCgroups> {
    let mark = reader.mark();
    let (mut name, mut kind, mut regexps, mut is_given) = (None, None, Vec::new(), false);
    for field in reader.fields(node, path, &CGROUPS) {
        is_given = true;
        let path = join(path, field.name);
        match field.name {
            "name" => name = reader.text(field.value, &path),
            "type" if field.value.is_null() => kind = None,
            "type" => kind = reader.text(field.value, &path),
            _ => regexps = reader.texts(field.value, &path, "regular expressions"),
        }
    }
    let broken = reader.mark().1 > mark.1;
    is_given.then(|| RawCgroups { spot: spot(node, path), name, kind, regexps, broken })
}

pub(super) fn programs(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawProgram> {
    let what = "a mapping from programs to their options, such as {my_program: {optional: true}}";
    let mut programs = Vec::new();
    for (name, field) in named(reader, node, path, what) {
        let mut program = RawProgram { name, enabled: None, optional: false, attach: None };
        let path = program.name.spot.path.clone();
        for option in reader.fields(field.value, &path, &PROGRAM) {
            let (node, path) = (option.value, join(&path, option.name));
            match option.name {
                // Nothing is no decision.
                "attach" if !node.is_null() => program.attach = Some(attach(reader, node, &path)),
                "attach" => program.attach = None,
                "enabled" => program.enabled = reader.boolean(node, &path).filter(|_| !node.is_null()),
                _ => program.optional = reader.boolean(node, &path).is_some_and(|found| found.value),
            }
        }
        programs.push(program);
    }
    programs
}

pub(super) fn choices(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawChoice> {
    let items =
        reader.list(node, path, "lists of programs, such as [[new_hook, old_hook]]").unwrap_or_default();
    // One choice without the brackets around it is one mistake.
    if let [_, _, ..] = items
        && let Some(names) = items.iter().map(Node::key_text).collect::<Option<Vec<&str>>>()
    {
        let problem =
            Problem::error("wrong-type", Place::default(), "`choose` lists programs in place of choices");
        reader.report(
            &spot(node, path),
            problem
                .expected("a list of lists of programs, such as [[new_hook, old_hook]]")
                .found(node.describe())
                .help(format!("choose: [[{}]]", names.join(", "))),
        );
        return Vec::new();
    }
    let choice = |(index, item): (usize, &Node)| {
        let path = format!("{path}[{index}]");
        let mark = reader.mark();
        let programs = reader.texts(item, &path, "programs, the best one first");
        // What could not be read was complained of already.
        (reader.mark() == mark).then(|| RawChoice { spot: spot(item, &path), programs })
    };
    items.iter().enumerate().filter_map(choice).collect()
}

pub(super) fn maps(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawMap> {
    let what = "a mapping from maps to their options, such as {my_map: {max_entries: 1024}}";
    let mut maps = Vec::new();
    for (name, field) in named(reader, node, path, what) {
        let mut map = RawMap::new(name);
        let path = map.name.spot.path.clone();
        for option in reader.fields(field.value, &path, &MAP) {
            let (node, path) = (option.value, join(&path, option.name));
            // Null is "not given".
            if !node.is_null() {
                map.given.push((option.name.to_owned(), spot(option.key, &path)));
            }
            let text = |reader: &mut Reader| (!node.is_null()).then(|| reader.text(node, &path)).flatten();
            match option.name {
                "expire" => {
                    let given = Some(node).filter(|value| !value.is_null());
                    map.expire = given.and_then(|value| reader.duration(value, &path));
                }
                "pages" => map.pages = reader.integer(node, &path),
                "carry" => map.carry = reader.boolean(node, &path).map(|found| found.value),
                "pin_path" => map.pin_path = text(reader),
                "from_pin" => map.from_pin = text(reader),
                "shared" => map.shared = text(reader),
                _ => map.max_entries = reader.integer(node, &path),
            }
        }
        maps.push(map);
    }
    maps
}
