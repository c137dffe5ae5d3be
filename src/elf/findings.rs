//! Whether an object can be used as it is: what libbpf or the kernel will refuse, and what
//! will work in another way than it seems to.

use std::collections::BTreeMap;

use super::{
    ExternKind, Helper, MapInfo, MapKind, ObjectInfo, ProgramInfo, SectionKind, Variable, is_gpl_compatible,
};
use crate::problem::{Place, Problem};

/// Letters of a name that the kernel keeps.
const KERNEL_NAME: usize = 15;
/// `BPF_F_NO_PREALLOC`
const NO_PREALLOC: u32 = 1;

impl ObjectInfo {
    /// What is wrong with it as it is; errors are what libbpf or the kernel will refuse.
    #[must_use]
    pub fn findings(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.programs.iter().for_each(|program| self.program_findings(program, &mut found));
        self.maps.iter().for_each(|map| map_findings(map, &mut found));
        self.name_clashes(&mut found);
        if let Err(reason) = &self.core_relocations {
            let message = format!("the section `.BTF.ext` cannot be read: {reason}");
            found.push(
                Problem::error("object-bad-btf-ext", Place::default(), message)
                    .help("compile it again with clang: libbpf would load it without CO-RE relocations"),
            );
        }
        let counts = |map: &MapInfo| {
            map.is_readable() || matches!(map.kind, MapKind::RINGBUF | MapKind::PERF_EVENT_ARRAY)
        };
        let is_written = |variable: &Variable| !variable.section.starts_with(".rodata");
        if !self.maps.iter().any(counts) && !self.variables.iter().any(is_written) {
            let message = "nothing of the object can be a metric: no map is read key by key, and there is no buffer of \
                           events and no variable that programs write";
            found.push(
                Problem::warning("no-metric-map", Place::default(), message)
                    .help("count in a map of kind array, hash, lru_hash, lpm_trie, or one of them per CPU"),
            );
        }
        found
    }

    fn program_findings(&self, program: &ProgramInfo, found: &mut Vec<Problem>) {
        let place = Place { program: Some(program.name.clone()), ..Place::default() };
        let Some(kind) = SectionKind::of(&program.section) else {
            let message =
                format!("libbpf does not know the section `{}` of `{}`", program.section, program.name);
            let help = "name the kind of program first, such as SEC(\"tracepoint/sched/sched_switch\")";
            let problem = if program.autoload {
                Problem::error("unknown-section", place, message)
            } else {
                Problem::warning("unknown-section", place, message)
            };
            found.push(problem.help(help));
            return;
        };
        self.licence(program, &kind, &place, found);
        if let Some(problem) = attachment(program, &kind, place) {
            found.push(problem);
        }
    }

    fn licence(&self, program: &ProgramInfo, kind: &SectionKind, place: &Place, found: &mut Vec<Problem>) {
        let license = self.license.as_deref().unwrap_or_default();
        if is_gpl_compatible(license) {
            return;
        }
        let helpers = program.helpers.iter().map(|number| Helper(*number));
        let mut why: Vec<String> = helpers.filter(|helper| helper.is_gpl_only()).map(Helper::name).collect();
        why.extend(program.kernel_functions.iter().cloned());
        if matches!(kind.program_type, "lsm" | "struct_ops") {
            why.push(format!("programs of type {}", kind.program_type));
        }
        if why.is_empty() {
            return;
        }
        let message = format!(
            "`{}` needs a GPL-compatible licence: {} may not be used without",
            program.name,
            why.join(", ")
        );
        let said = if self.license.is_none() { "none".to_owned() } else { format!("\"{license}\"") };
        found.push(
            Problem::error("licence-not-gpl", place.clone(), message)
                .found(format!("the licence {said}"))
                .help("char LICENSE[] SEC(\"license\") = \"GPL\"; or \"Dual BSD/GPL\", \"Dual MIT/GPL\", \"Dual MPL/GPL\""),
        );
    }

    /// The kernel shows what is left of the names, and tools tell maps apart by it.
    fn name_clashes(&self, found: &mut Vec<Problem>) {
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for map in &self.maps {
            let kept = map.name.get(..KERNEL_NAME).unwrap_or(&map.name);
            by_name.entry(kept).or_default().push(&map.name);
        }
        for (kept, names) in by_name.into_iter().filter(|(_, names)| names.len() > 1) {
            let place = Place { map: names.first().map(|name| (*name).to_owned()), ..Place::default() };
            let message = format!(
                "the kernel keeps {KERNEL_NAME} letters of a name: the maps {} are all `{kept}` to it",
                quoted(&names)
            );
            found.push(Problem::warning("map-name-clash", place, message).help(
                "let their names differ in the first 15 letters; the exporter itself tells them apart",
            ));
        }
    }

    /// What the object wants of the kernel and cannot do without.
    #[must_use]
    pub fn wants(&self, kind: ExternKind) -> Vec<&str> {
        let wanted = self.externs.iter().filter(|wanted| wanted.kind == kind && !wanted.weak);
        wanted.map(|wanted| wanted.name.as_str()).collect()
    }
}

impl ProgramInfo {
    /// Whether its section says where to attach it, in words that libbpf or the exporter understands.
    #[must_use]
    pub fn attaches(&self) -> bool {
        let Some(kind) = SectionKind::of(&self.section) else { return false };
        if kind.is_of_cgroups() || kind.is_of_namespaces() || kind.is_of_operations() {
            return true;
        }
        if !kind.attaches() {
            return false;
        }
        let is_whole = |target: &str| kind.program_type != "tracepoint" || target.contains('/');
        kind.target(&self.section).is_some_and(is_whole)
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn attachment(program: &ProgramInfo, kind: &SectionKind, place: Place) -> Option<Problem> {
    let (name, section) = (&program.name, &program.section);
    let target = kind.target(section);
    if kind.is_by_btf() && target.is_none() && program.autoload {
        let message =
            format!("`{name}` names no target, without which its section `{section}` does not load");
        let help = format!(
            "write it behind the section: SEC(\"{}/<target>\"), or say it by `attach` in the config",
            kind.prefix()
        );
        return Some(Problem::error("no-target", place, message).help(help));
    }
    if program.attaches() {
        return None;
    }
    let message = format!("`{name}` is loaded but not attached: its section `{section}` does not say where");
    let help = match kind.program_type {
        "tracepoint" => "SEC(\"tracepoint/<category>/<name>\")".to_owned(),
        "xdp" if kind.attach_type == Some("xdp") => {
            "SEC(\"xdp/<interface>\"), or `attach: {xdp: {interface: ...}}` in the config".to_owned()
        }
        "perf_event" => {
            "SEC(\"perf_event/type=<number>,config=<number>,frequency=<number>\") (or period=<number>), or \
                         `attach: {perf_event: {event: ...}}` in the config"
                .to_owned()
        }
        "cgroup_skb" => in_config("cgroup: {path: /, direction: ingress}"),
        "sched_cls" if kind.prefix().starts_with("netkit") => in_config("netkit: {interface: ...}"),
        "sched_cls" => in_config("tc: {interface: ..., direction: ...}"),
        "netfilter" => in_config("netfilter: {family: ..., hook: ...}"),
        "socket_filter" => in_config("socket: {interface: ...}"),
        "sk_msg" | "sk_skb" if kind.attach_type.is_some() => in_config("sockmap: {map: ...}"),
        _ if kind.attaches() => format!("SEC(\"{}/<target>\"), or `attach` in the config", kind.prefix()),
        _ => kind
            .why_elsewhere()
            .unwrap_or("the exporter has no way to attach this kind of program")
            .to_owned(),
    };
    Some(Problem::warning("not-attachable", place, message).help(help))
}

fn in_config(place: &str) -> String {
    format!("its config can say it: `attach: {{{place}}}`")
}

fn map_findings(map: &MapInfo, found: &mut Vec<Problem>) {
    let mut report = |message: String, help: &str| {
        let place = Place { map: Some(map.name.clone()), ..Place::default() };
        found.push(Problem::error("map-refused", place, message).help(help));
    };
    let (name, kind) = (&map.name, map.kind);
    let is_of_objects =
        matches!(kind.name(), "sk_storage" | "inode_storage" | "task_storage" | "cgrp_storage");
    // libbpf gives the last ones a size itself, or they have none.
    let has_no_size = is_of_objects
        || matches!(
            kind.name(),
            "perf_event_array" | "cgroup_storage" | "percpu_cgroup_storage" | "struct_ops" | "unknown"
        );
    if map.max_entries == 0 && !has_no_size {
        report(
            format!("the map `{name}` has no max_entries, which maps of kind {kind} need"),
            "__uint(max_entries, …);",
        );
    }
    if map.max_entries > 0 && is_of_objects {
        report(
            format!("the map `{name}` has max_entries, which maps of kind {kind} must not have"),
            "leave it out",
        );
    }
    let preallocates = map.flags & NO_PREALLOC == 0;
    if preallocates && (kind == MapKind::LPM_TRIE || is_of_objects) {
        let message =
            format!("the map `{name}` lacks the flag BPF_F_NO_PREALLOC, which maps of kind {kind} need");
        report(message, "__uint(map_flags, BPF_F_NO_PREALLOC);");
    }
    if !preallocates && matches!(kind, MapKind::LRU_HASH | MapKind::LRU_PERCPU_HASH) {
        let message = format!(
            "the map `{name}` has the flag BPF_F_NO_PREALLOC, which maps of kind {kind} must not have"
        );
        report(message, "leave it out");
    }
    if kind.is_array() && map.key_size != 4 {
        let message =
            format!("the map `{name}` has keys of {} bytes, where those of kind {kind} have 4", map.key_size);
        report(message, "__type(key, u32);");
    }
    let sized = kind.is_scannable() && (map.key_size == 0 || map.value_size == 0);
    if sized {
        report(format!("the map `{name}` lacks its key or its value"), "__type(key, …); __type(value, …);");
    }
    if kind.is_map_in_map() && map.inner.is_none() {
        let message =
            format!("the map `{name}` does not say which maps it holds, so that libbpf cannot make it");
        report(message, "__array(values, struct …);");
    }
}
