//! The map that follows cgroups: `cgroup_id_map`.

use std::sync::Arc;

use super::{Context, Sink};
use crate::config::raw::{RawCgroups, RawConfig};
use crate::config::suggest;
use crate::decode::Matcher;
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};
use crate::spec::{CgroupMap, CgroupMapKind};

const KINDS: [(&str, CgroupMapKind); 2] =
    [("hash", CgroupMapKind::Hash), ("cgrp_storage", CgroupMapKind::Storage)];

/// Bytes of a value, which is 1.
const VALUE_SIZE: u32 = 8;

/// The map and the expressions; none when there is none or something is wrong with it, which is said.
pub(crate) fn cgroups(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Option<CgroupMap> {
    let raw = raw.cgroups.as_ref()?;
    let kind = kind(sink, raw);
    let map = map(context, sink, raw);
    if let (Some(kind), Some(map)) = (kind, map) {
        sink.map = Some(map.name.clone());
        fits(sink, raw, map, kind);
        sink.map = None;
    }
    let matcher = matcher(sink, raw);
    Some(CgroupMap {
        map: map?.name.clone(),
        kind: kind?,
        patterns: raw.regexps.iter().map(|pattern| pattern.value.clone()).collect(),
        matcher: Arc::new(matcher?),
    })
}

fn problem(message: impl Into<String>) -> Problem {
    Problem::error("cgroup-map", Place::default(), message)
}

fn kind(sink: &mut Sink<'_>, raw: &RawCgroups) -> Option<CgroupMapKind> {
    let Some(written) = raw.kind.as_ref().filter(|kind| !kind.value.is_empty()) else {
        return Some(CgroupMapKind::Hash);
    };
    let found = KINDS.iter().find(|(name, _)| *name == written.value);
    if found.is_none() {
        let mut problem = problem(format!("`cgroup_id_map` knows no type {:?}", written.value));
        problem.help = suggest::help("types there are", &written.value, KINDS.map(|(name, _)| name));
        sink.report(&written.spot, problem);
    }
    found.map(|(_, kind)| *kind)
}

fn map<'o>(context: &Context<'o>, sink: &mut Sink<'_>, raw: &RawCgroups) -> Option<&'o MapInfo> {
    let Some(name) = raw.name.as_ref().filter(|name| !name.value.is_empty()) else {
        if !raw.broken {
            let problem = problem("`cgroup_id_map` does not say which map");
            sink.report(&raw.spot, problem.expected("`name`, a map of the object"));
        }
        return None;
    };
    let map = context.object.map(&name.value);
    if map.is_none() {
        let message = format!("the object has no map `{}`", name.value);
        let mut problem = Problem::error("missing-map", Place::default(), message);
        let names = context.object.maps.iter().map(|map| map.name.as_str());
        problem.help = suggest::help("maps there are", &name.value, names)
            .or_else(|| Some("the object has no maps at all".to_owned()));
        sink.report(&name.spot, problem);
    }
    map
}

/// Whether the map is one that cgroups can be put into.
fn fits(sink: &mut Sink<'_>, raw: &RawCgroups, map: &MapInfo, kind: CgroupMapKind) {
    let spot = raw.name.as_ref().map_or(&raw.spot, |name| &name.spot);
    let (kinds, key, what) = match kind {
        CgroupMapKind::Hash => (&[MapKind::HASH, MapKind::LRU_HASH][..], 8, "u64, the cgroup's id"),
        CgroupMapKind::Storage => (&[MapKind::CGRP_STORAGE][..], 4, "int, as the kernel wants it"),
    };
    if !kinds.contains(&map.kind) {
        let (other, _) = KINDS[usize::from(kind == CgroupMapKind::Hash)];
        let mut problem = problem(format!("`{}` is no map of this type", map.name))
            .expected(kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
            .found(map.kind.to_string());
        if matches!(map.kind, MapKind::HASH | MapKind::LRU_HASH | MapKind::CGRP_STORAGE) {
            problem = problem.help(format!("type: {other}"));
        }
        sink.report(spot, problem);
    } else if (map.key_size, map.value_size) != (key, VALUE_SIZE) {
        let problem = problem(format!("`{}` has no room for a cgroup and the number 1", map.name))
            .expected(format!("a key of {key} bytes ({what}) and a value of 8 (u64)"))
            .found(format!("a key of {} bytes and a value of {}", map.key_size, map.value_size));
        sink.report(spot, problem);
    }
}

fn matcher(sink: &mut Sink<'_>, raw: &RawCgroups) -> Option<Matcher> {
    if raw.regexps.is_empty() {
        if !raw.broken {
            let problem = problem("`cgroup_id_map` has no regexps, so that no cgroup would be in the map");
            sink.report(
                &raw.spot,
                problem.expected("`regexps`, such as [^/sys/fs/cgroup/system.slice/]; all cgroups match `.`"),
            );
        }
        return None;
    }
    match Matcher::new(raw.regexps.iter().map(|pattern| pattern.value.as_str())) {
        Ok(matcher) => Some(matcher),
        Err((index, why)) => {
            let found = raw.regexps.get(index);
            let pattern = found.map_or("", |found| found.value.as_str());
            let message = format!("the regular expression {pattern:?} cannot be used: {why}");
            let problem = Problem::error("bad-regexp", Place::default(), message);
            sink.report(
                found.map_or(&raw.spot, |found| &found.spot),
                problem.expected("RE2 syntax, as in Go"),
            );
            None
        }
    }
}
