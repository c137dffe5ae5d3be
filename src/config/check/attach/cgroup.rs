//! `attach: {cgroup: {path: ..., direction: ...}}`

use super::{Subject, agrees, direction, missing, texts};
use crate::config::check::Sink;
use crate::host::CgroupPattern;
use crate::spec::{Cgroups, Direction};

pub(super) fn check(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Cgroups> {
    let direction = way(sink, subject);
    let expected = "paths of cgroups such as /system.slice/nginx.service, with * for any name and ** for any number of them";
    let paths = texts(sink, subject, "path", expected)?;
    let paths = paths.iter().map(|path| CgroupPattern::new(&path.value)).collect();
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
                super::wrong(
                    sink,
                    subject,
                    "direction",
                    "none: its section says which hook it is",
                    "a direction",
                );
                return None;
            }
            Some(None)
        }
    }
}
