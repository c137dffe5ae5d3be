//! The map that follows cgroups: what it becomes, and what no such map can be.

use bpftally::spec::{CgroupMap, CgroupMapKind};

use super::*;

const SOURCE: &str = r#"
#define MAP(NAME, TYPE, KEY, VALUE) struct { __uint(type, TYPE); __uint(max_entries, 64); __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps");
MAP(by_id, BPF_MAP_TYPE_HASH, u64, u64)
MAP(lately, BPF_MAP_TYPE_LRU_HASH, u64, u64)
MAP(narrow, BPF_MAP_TYPE_HASH, u32, u64)
MAP(brief, BPF_MAP_TYPE_HASH, u64, u32)
MAP(list, BPF_MAP_TYPE_ARRAY, u32, u64)
struct { __uint(type, 32); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); } storage SEC(".maps");
struct { __uint(type, 32); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u32); } small SEC(".maps");
SEC("raw_tp/sched_switch") int program(void *ctx) { return 0; }
"#;

fn checked(cgroups: &str) -> Checked {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    let object = OBJECT.get_or_init(|| Object::of(SOURCE));
    let text = format!("cgroup_id_map: {cgroups}\nmetrics: {{counters: []}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options())
}

#[track_caller]
fn good(cgroups: &str) -> Option<CgroupMap> {
    let checked = checked(cgroups);
    assert_eq!(brief(&checked.problems), [""; 0], "{cgroups}: {:#?}", checked.problems);
    checked.spec.unwrap().load.cgroups
}

#[test]
fn a_map_of_either_type_follows() {
    for (map, kind, expected) in [
        ("by_id", "", CgroupMapKind::Hash),
        ("by_id", ", type: ''", CgroupMapKind::Hash),
        ("by_id", ", type: hash", CgroupMapKind::Hash),
        ("lately", ", type: hash", CgroupMapKind::Hash),
        ("storage", ", type: cgrp_storage", CgroupMapKind::Storage),
    ] {
        let found = good(&format!("{{name: {map}{kind}, regexps: ['^/a/\\d+$', b]}}")).unwrap();
        assert_eq!((found.map.as_str(), found.kind), (map, expected));
        assert_eq!(found.patterns, [r"^/a/\d+$", "b"]);
        for (path, is_meant) in [("/a/17", true), ("/a/x", false), ("/x/b/c", true), ("/", false)] {
            assert_eq!(found.matcher.is_match(path), is_meant, "{path}");
        }
    }
    for nothing in ["", "{}", "~"] {
        assert_eq!(good(nothing), None);
    }
}

#[track_caller]
fn bad(cgroups: &str, expected: &str, words: &str) {
    let checked = checked(cgroups);
    assert_eq!(brief(&checked.problems), [expected], "{cgroups}: {:#?}", checked.problems);
    assert!(checked.spec.is_none(), "it costs the config");
    let story = format!("{:#}", checked.problems[0]);
    assert!(story.contains(words), "{words:?} is not in {story}");
    assert!(
        checked.problems[0].expected.is_some() || checked.problems[0].help.is_some(),
        "no advice: {story}"
    );
}

#[test]
fn what_cannot_follow_is_told() {
    for (cgroups, expected, words) in [
        ("{name: by_idd, regexps: [a]}", "missing-map 1:23", "did you mean `by_id`?"),
        ("{regexps: [a]}", "cgroup-map 1:16", "`name`"),
        ("{name: by_id}", "cgroup-map 1:16", "`regexps`"),
        ("{name: by_id, regexps: []}", "cgroup-map 1:16", "all cgroups match `.`"),
        ("{name: by_id, type: hahs, regexps: [a]}", "cgroup-map 1:36", "did you mean `hash`?"),
        ("{name: storage, regexps: [a]}", "cgroup-map 1:23", "type: cgrp_storage"),
        ("{name: by_id, type: cgrp_storage, regexps: [a]}", "cgroup-map 1:23", "type: hash"),
        ("{name: list, regexps: [a]}", "cgroup-map 1:23", "hash or lru_hash"),
        ("{name: narrow, regexps: [a]}", "cgroup-map 1:23", "a key of 8 bytes (u64, the cgroup's id)"),
        ("{name: brief, regexps: [a]}", "cgroup-map 1:23", "a value of 4"),
        ("{name: small, type: cgrp_storage, regexps: [a]}", "cgroup-map 1:23", "a key of 4 bytes"),
        ("{name: by_id, regexps: [a, '(']}", "bad-regexp 1:43", "RE2 syntax"),
        ("{name: by_id, regexps: a}", "wrong-type 1:39", "a list of regular expressions"),
        ("[by_id]", "wrong-type 1:16", "a map of cgroups"),
    ] {
        bad(cgroups, expected, words);
    }
}
