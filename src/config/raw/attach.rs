//! What a file says about where a program is attached: `programs.<name>.attach`.
//!
//! The options of all kinds are read alike, by the shapes of their keys; what they mean is for
//! `check/attach` to say, which knows the program.

use super::Found;
use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::reader::{Reader, spot};
use crate::config::findings::Spot;
use crate::config::yaml::{Kind, Node};

/// The kinds.
pub(super) const ATTACH: Keys = Keys {
    what: "`attach`",
    example: "{cgroup: {path: /system.slice}}",
    known: &[&[Key::new("cgroup", Shape::Mapping(&CGROUP), "Cgroups of the cgroup2 hierarchy")]],
    later: &[],
};

const CGROUP: Keys = Keys {
    what: "cgroups",
    example: "{path: /system.slice}",
    known: &[&[
        Key::new("path", Shape::TextOrTexts, "Their paths from the hierarchy's root on, with * and **"),
        Key::new("direction", Shape::Choice(directions), "Which packets, when the section does not say it"),
    ]],
    later: &[],
};

fn directions() -> Vec<(&'static str, &'static str)> {
    vec![("ingress", "Packets that come in"), ("egress", "Packets that go out")]
}

/// Where a program is attached.
#[derive(Debug)]
pub(crate) struct RawAttach {
    pub(crate) spot: Spot,
    pub(crate) kinds: Vec<RawKind>,
    /// Whether reading it found an error.
    pub(crate) broken: bool,
}

/// One kind of place.
#[derive(Debug)]
pub(crate) struct RawKind {
    pub(crate) name: Found<&'static str>,
    pub(crate) options: Vec<RawOption>,
}

/// An option that was written and could be read.
#[derive(Debug)]
pub(crate) struct RawOption {
    pub(crate) name: &'static str,
    pub(crate) value: OptionValue,
    pub(crate) spot: Spot,
}

#[derive(Debug)]
pub(crate) enum OptionValue {
    Texts(Vec<Found<String>>),
    Text(Found<String>),
}

impl RawKind {
    fn option(&self, name: &str) -> Option<&RawOption> {
        self.options.iter().rev().find(|option| option.name == name)
    }

    /// One text.
    pub(crate) fn text(&self, name: &str) -> Option<&Found<String>> {
        match &self.option(name)?.value {
            OptionValue::Text(found) => Some(found),
            OptionValue::Texts(_) => None,
        }
    }

    /// Texts of which there may be several.
    pub(crate) fn texts(&self, name: &str) -> &[Found<String>] {
        match self.option(name).map(|option| &option.value) {
            Some(OptionValue::Texts(found)) => found,
            Some(OptionValue::Text(_)) | None => &[],
        }
    }

    /// Where an option stands, or the kind when it was not written.
    pub(crate) fn spot(&self, name: &str) -> &Spot {
        self.option(name).map_or(&self.name.spot, |option| &option.spot)
    }
}

/// Texts of which a config has no more.
const MOST_TEXTS: usize = 256;

pub(super) fn attach(reader: &mut Reader, node: &Node, path: &str) -> RawAttach {
    let mark = reader.mark();
    let mut kinds: Vec<RawKind> = Vec::new();
    for field in reader.fields(node, path, &ATTACH) {
        let Some(key) = ATTACH.all().find(|key| key.name == field.name) else { continue };
        let Shape::Mapping(keys) = key.shape else { continue };
        let path = join(path, key.name);
        let name = Found { value: key.name, spot: spot(field.key, &path) };
        let mut options = Vec::new();
        for option in reader.fields(field.value, &path, keys) {
            let Some(key) = keys.all().find(|key| key.name == option.name) else { continue };
            let path = join(&path, key.name);
            let value = value(reader, option.value, &path, &key.shape);
            // Null is "not given".
            let value = value.filter(|_| !option.value.is_null());
            options.extend(value.map(|value| RawOption {
                name: key.name,
                value,
                spot: spot(option.key, &path),
            }));
        }
        kinds.retain(|kind| kind.name.value != name.value);
        kinds.push(RawKind { name, options });
    }
    RawAttach { spot: spot(node, path), kinds, broken: reader.mark().1 > mark.1 }
}

fn value(reader: &mut Reader, node: &Node, path: &str, shape: &Shape) -> Option<OptionValue> {
    match shape {
        Shape::TextOrTexts => Some(OptionValue::Texts(match &node.kind {
            Kind::Sequence(_) => {
                let items = reader.list_of(node, path, "texts", MOST_TEXTS).iter().enumerate();
                items.filter_map(|(index, item)| reader.text(item, &format!("{path}[{index}]"))).collect()
            }
            Kind::Scalar(_) | Kind::Mapping(_) => reader.text(node, path).into_iter().collect(),
        })),
        _ => reader.text(node, path).map(OptionValue::Text),
    }
}
