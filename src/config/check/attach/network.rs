//! Network namespaces and netfilter.

use super::{Subject, choice, missing, texts, wrong};
use crate::config::check::Sink;
use crate::config::suggest;
use crate::elf::{MapInfo, MapKind, ObjectInfo};
use crate::problem::{Place, Problem};
use crate::spec::Netfilter;

/// `NFPROTO_IPV4` and its kin.
const FAMILIES: &[(&str, i32)] = &[("ipv4", 2), ("ipv6", 10)];

/// `NF_INET_PRE_ROUTING` and its kin.
const HOOKS: &[(&str, i32)] =
    &[("prerouting", 0), ("input", 1), ("forward", 2), ("output", 3), ("postrouting", 4)];

pub(super) fn netns(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Vec<String>> {
    let paths = texts(sink, subject, "path", "files such as /run/netns/blue or /proc/1/ns/net, with *")?;
    if let Some(path) = paths.iter().find(|path| !path.value.starts_with('/')) {
        wrong(sink, subject, "path", "an absolute path", &path.value);
        return None;
    }
    Some(paths.iter().map(|path| path.value.clone()).collect())
}

pub(super) fn netfilter(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Netfilter> {
    let family = required(sink, subject, "family", FAMILIES);
    let hook = required(sink, subject, "hook", HOOKS);
    let priority = subject.kind.integer("priority").map_or(0, |found| found.value);
    // The first and the last number are not for programs.
    let priority = i32::try_from(priority).ok().filter(|found| !matches!(*found, i32::MIN | i32::MAX));
    if priority.is_none() {
        wrong(
            sink,
            subject,
            "priority",
            "a number of 32 bits, but for the first and the last one",
            "another one",
        );
    }
    Some(Netfilter { family: family?, hook: hook?, priority: priority? })
}

/// The map that holds the sockets.
pub(super) fn sockmap(sink: &mut Sink<'_>, subject: &Subject<'_>, object: &ObjectInfo) -> Option<String> {
    let Some(found) = subject.kind.text("map").filter(|found| !found.value.is_empty()) else {
        missing(sink, subject, "map", "the sockmap or sockhash that holds the sockets");
        return None;
    };
    let holds_sockets = |map: &&MapInfo| matches!(map.kind, MapKind::SOCKMAP | MapKind::SOCKHASH);
    if object.map(&found.value).as_ref().is_some_and(holds_sockets) {
        return Some(found.value.clone());
    }
    let message = format!("the object has no map of sockets `{}`", found.value);
    let kind = object.map(&found.value).map_or("no such map", |map| map.kind.name());
    let mut problem = Problem::error("attach-option", Place::default(), message)
        .expected("a map of the kind sockmap or sockhash")
        .found(kind);
    let names = object.maps.iter().filter(holds_sockets).map(|map| map.name.as_str());
    problem.help = suggest::help("maps of sockets there are", &found.value, names);
    sink.report(&found.spot, problem);
    None
}

fn required(
    sink: &mut Sink<'_>,
    subject: &Subject<'_>,
    option: &str,
    choices: &[(&str, i32)],
) -> Option<i32> {
    let found = choice(sink, subject, option, choices).ok()?;
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        missing(sink, subject, option, &names.join(" or "));
    }
    found
}
