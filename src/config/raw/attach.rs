//! Where a file says that a program is attached, for kinds whose section does not.

use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::reader::{Reader, spot};
use super::{Found, later};
use crate::config::findings::Spot;
use crate::config::yaml::Node;

pub(super) const ATTACH: Keys = Keys {
    what: "`attach`",
    example: "{cgroup: {path: /}}",
    known: &[&[Key::new(
        "cgroup",
        Shape::Mapping(&CGROUP),
        "A control group of version 2, for programs of cgroup_skb and the like",
    )]],
    later: later::ATTACH,
};

const CGROUP: Keys = Keys {
    what: "a control group",
    example: "{path: /system.slice}",
    known: &[&[Key::new("path", Shape::Text, "Its path below the root of cgroup2; the root when left out")]],
    later: &[],
};

/// A control group to attach to.
#[derive(Debug)]
pub(crate) struct RawCgroup {
    pub(crate) spot: Spot,
    /// None is the root.
    pub(crate) path: Option<Found<String>>,
}

/// What `attach` says; nothing when it says nothing.
pub(super) fn attach(reader: &mut Reader, node: &Node, path: &str) -> Option<RawCgroup> {
    let mut found = None;
    for field in reader.fields(node, path, &ATTACH) {
        let path = join(path, field.name);
        let mut cgroup = RawCgroup { spot: spot(field.key, &path), path: None };
        for option in reader.fields(field.value, &path, &CGROUP) {
            // Null is "not given".
            let given = Some(option.value).filter(|value| !value.is_null());
            cgroup.path = given.and_then(|value| reader.text(value, &join(&path, option.name)));
        }
        found = Some(cgroup);
    }
    found
}
