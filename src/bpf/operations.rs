//! Implementations that an object gives to a subsystem of the kernel, such as a congestion control of TCP:
//! `SEC(".struct_ops.link")`, and `SEC(".struct_ops")` where the kernel has no links for them (before Linux 6.4).
//!
//! A variable in these sections is a map whose members are programs. It is attached as a whole, so that its
//! programs have no places of their own.

use libbpf_rs::{Link, MapCore, MapMut, MapType, OpenObject, Program};

use crate::elf::SectionKind;
use crate::problem::{Place, Problem};
use crate::snapshot::Verdict;
use crate::spec::LoadSpec;

use super::explain::{errno_of, errno_text};
use super::object::LoadedObject;
use super::{attach, raw};

/// What is attached of one object, and what is not.
#[derive(Debug, Default)]
pub(super) struct Operations {
    held: Vec<(String, Link)>,
    problems: Vec<Problem>,
}

impl Operations {
    /// Attaches all that an object has. A predecessor that is in the way is let go of first: of one name the
    /// kernel takes one.
    pub(super) fn attach(object: &mut LoadedObject, spec: &LoadSpec, old: Option<&mut Self>) -> Self {
        let mut all = Self::default();
        let mut old = old;
        for mut map in object.maps_mut().filter(is_one) {
            let name = map.name().to_string_lossy().into_owned();
            let mut outcome = map.attach_struct_ops();
            let is_taken = |error| matches!(errno_of(error), libc::EEXIST | libc::EBUSY);
            if let (Some(old), Err(error)) = (old.as_deref_mut().filter(|old| !old.held.is_empty()), &outcome)
                && is_taken(error)
            {
                old.held.clear();
                outcome = map.attach_struct_ops();
            }
            match outcome {
                Ok(link) => all.held.push((name, link)),
                Err(error) => all.problems.push(refused(spec, &name, errno_of(&error))),
            }
        }
        all
    }

    /// Attaches what of an object is not attached any more, because a successor had let go of it.
    pub(super) fn put_back(&mut self, object: &mut LoadedObject, spec: &LoadSpec) {
        for mut map in object.maps_mut().filter(is_one) {
            let name = map.name().to_string_lossy().into_owned();
            if self.held.iter().any(|(held, _)| *held == name) || self.problems_of(&name) {
                continue;
            }
            match map.attach_struct_ops() {
                Ok(link) => self.held.push((name, link)),
                Err(error) => self.problems.push(refused(spec, &name, errno_of(&error))),
            }
        }
    }

    fn problems_of(&self, map: &str) -> bool {
        self.problems.iter().any(|problem| problem.place.map.as_deref() == Some(map))
    }

    /// How many are attached.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Why some are not.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What became of a program that is a part of them, with the reason.
    pub(super) fn verdict(&self) -> (Verdict, String) {
        let names: Vec<String> = self.held.iter().map(|(name, _)| format!("`{name}`")).collect();
        match self.problems.first() {
            Some(problem) => (Verdict::Broken, problem.message.clone()),
            None if names.is_empty() => {
                (Verdict::Broken, "no variable in SEC(\".struct_ops.link\") has it as a member".to_owned())
            }
            None => (Verdict::Attached, format!("as a part of {}", names.join(", "))),
        }
    }
}

/// Whether a program is a part of such an implementation.
pub(super) fn has(program: &Program<'_>) -> bool {
    SectionKind::of(&attach::section(program)).is_some_and(|kind| kind.is_of_operations())
}

/// The implementations that are to be attached by a link, by the names of their maps.
pub(super) fn linked(object: &OpenObject) -> Vec<String> {
    let maps = object
        .maps()
        .filter(|map| map.map_type() == MapType::StructOps && map.map_flags() & libbpf_sys::BPF_F_LINK != 0);
    maps.map(|map| map.name().to_string_lossy().into_owned()).collect()
}

/// Whether a map is one that was made: those in sections that begin with `?` are not.
fn is_one(map: &MapMut<'_>) -> bool {
    map.map_type() == MapType::StructOps && raw::is_created(map)
}

fn refused(spec: &LoadSpec, name: &str, errno: i32) -> Problem {
    let place = Place {
        config: Some(spec.name.clone()),
        file: Some(spec.object.clone()),
        map: Some(name.to_owned()),
        ..Place::default()
    };
    let message = format!("the operations `{name}` are not attached: {}", errno_text(errno));
    let problem = Problem::error("attach-failed", place, message);
    match errno {
        libc::EEXIST | libc::EBUSY => problem.help("others of this name are registered: `bpftool struct_ops show`"),
        libc::EPERM | libc::EACCES => problem.help("CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) may be missing"),
        libc::EOPNOTSUPP | libc::EINVAL => problem.help(
            "the kernel asks for members that it cannot do without, and takes names of letters, digits, `_` and `.` only",
        ),
        _ => problem,
    }
}
