//! `attach: {cgroup: {path: ..., direction: ...}}`

use super::{Subject, agrees, direction, missing, wrong};
use crate::config::check::Sink;
use crate::host::CgroupPattern;
use crate::spec::{Cgroups, Direction};

pub(super) fn check(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Cgroups> {
    let direction = way(sink, subject);
    let paths = subject.kind.texts("path");
    let is_path = |path: &str| path.starts_with('/') && path.split('/').all(|part| part != "..");
    if let Some(path) = paths.iter().find(|path| !is_path(&path.value)) {
        let expected = "a path from the root of cgroup2 on, with * for any name and ** for any number of them, such as \
                        /system.slice/*.service";
        wrong(sink, subject, "path", expected, &format!("{:?}", path.value));
        return None;
    }
    let mut paths: Vec<CgroupPattern> = paths.iter().map(|path| CgroupPattern::new(&path.value)).collect();
    // Not said, it is the whole machine.
    if paths.is_empty() {
        paths.push(CgroupPattern::new("/"));
    }
    Some(Cgroups { paths, direction: direction? })
}

/// The direction of a program whose section leaves it open; the other ones have none, or their own.
fn way(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Option<Direction>> {
    let found = direction(sink, subject).ok()?;
    let section = subject.section?;
    match (section.program_type, section.attach_type) {
        ("cgroup_skb", None) => {
            if found.is_none() {
                missing(sink, subject, "direction", "ingress or egress: its section does not say it");
            }
            found.map(Some)
        }
        (_, Some("cgroup_inet_ingress")) => agrees(sink, subject, Direction::Ingress, found).map(Some),
        (_, Some("cgroup_inet_egress")) => agrees(sink, subject, Direction::Egress, found).map(Some),
        _ => {
            if found.is_some() {
                wrong(sink, subject, "direction", "none: its section says which hook it is", "a direction");
                return None;
            }
            Some(None)
        }
    }
}
