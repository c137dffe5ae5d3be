//! Maps that outlive the exporter by a pin.

use std::path::Path;

use super::Owner;
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::{load_spec, try_load, with_bpffs, with_mounts};
use crate::exporter::{Workload, good_yaml};
use bpftally::spec::{LoadSpec, MapSetting};

const SERIES: &str = "ebpf_exporter_own{slot=\"7\"}";

fn pinned(pin: &Path) -> String {
    good_yaml("own")
        .replace("metrics:\n", &format!("maps: {{own: {{pin_path: {}}}}}\nmetrics:\n", pin.display()))
}

#[test]
fn counts_go_on_over_restarts_and_reloads() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("deep/er/own");
        let calls = Workload::new();
        let folder = Folder::new();
        folder.pair("own", &pinned(&pin), &calls.good_object("own"));
        let flags = [&*folder.argument(), "--config.quiet-period=20ms", "--web.enable-lifecycle"];
        for turn in 0..3_u32 {
            let exporter = Exporter::start(&flags);
            let before = 30.0 * f64::from(turn);
            calls.fire(10);
            assert_eq!(exporter.value(SERIES), Some(before + 10.0), "{}", exporter.log());
            // Another object with the same map: the pin goes on, and counts are neither lost nor doubled.
            let other = calls.object(
                "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } own SEC(\".maps\");\nint unused;",
                &format!("u32 key = 7; increment_map(&own, &key, 1); unused = {turn};"),
            );
            folder.pair("own", &pinned(&pin), &other);
            let answer =
                exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            assert_eq!(answer.status, 200);
            assert_eq!(exporter.value(SERIES), Some(before + 10.0), "{}", exporter.log());
            calls.fire(20);
            assert_eq!(exporter.value(SERIES), Some(before + 30.0), "{}", exporter.log());
            assert!(!exporter.log().contains("level=warn"), "{}", exporter.log());
            exporter.stop();
            assert!(pin.exists(), "the pin stays");
        }
        // Without `pin_path` the map goes on as long as the exporter does, and the pin is the user's to remove.
        let exporter = Exporter::start(&flags);
        folder.file("own.yaml", good_yaml("own"));
        let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200);
        calls.fire(5);
        assert_eq!(exporter.value(SERIES), Some(95.0), "{}", exporter.log());
        assert!(pin.exists());
    });
}

/// The pin of a map that somebody removes while it is at work is made again by the next load.
#[test]
fn a_pin_that_was_removed_comes_back_with_its_map() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("own");
        let calls = Workload::new();
        let folder = Folder::new();
        folder.pair("own", &pinned(&pin), &calls.good_object("own"));
        let exporter = Exporter::start(&[&folder.argument(), "--web.enable-lifecycle"]);
        calls.fire(10);
        std::fs::remove_file(&pin).unwrap();
        let text = pinned(&pin).replace("metrics:\n", "programs: {count_calls: {enabled: true}}\nmetrics:\n");
        folder.file("own.yaml", text);
        let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200);
        calls.fire(1);
        assert_eq!(exporter.value(SERIES), Some(11.0), "{}", exporter.log());
        assert!(pin.exists());
    });
}

/// An object's own wish to be pinned by its name, below a root of the user's.
#[test]
fn maps_are_pinned_by_their_names() {
    with_bpffs(|bpffs| {
        let calls = Workload::new();
        let map = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); __uint(pinning, LIBBPF_PIN_BY_NAME); } own SEC(\".maps\");";
        let body = "u32 key = 7; increment_map(&own, &key, 1);";
        let folder = Folder::new();
        folder.pair("own", &good_yaml("own"), &calls.object(map, body));
        let root = format!("--bpf.pin-root={}", bpffs.join("named").display());
        for turn in 1..=2_u32 {
            let exporter = Exporter::start(&[&folder.argument(), &root, "--web.enable-lifecycle"]);
            calls.fire(10);
            // A reload does not count twice what goes on by its pin.
            folder.pair(
                "own",
                &good_yaml("own"),
                &calls.object(map, &format!("{body} key = {turn};\n#pragma message(\"\")")),
            );
            assert_eq!(exporter.value(SERIES), Some(10.0 * f64::from(turn)));
            exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            assert_eq!(exporter.value(SERIES), Some(10.0 * f64::from(turn)), "{}", exporter.log());
            exporter.stop();
            assert!(bpffs.join("named/own").exists());
        }
    });
}

const THEIRS: &str = "
struct value { u64 packets; u64 bytes; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, struct value); } flows SEC(\".maps\");
SEC(\"raw_tp/sys_enter\") int idle(void *context) { return 0; }
";

/// The spec of an object whose map is pinned at a path.
fn spec(source: &str, pin: &Path) -> LoadSpec {
    let object = crate::common::objects::Object::of(source);
    let options = bpftally::config::Options {
        namespace: String::new(),
        object_dir: None,
        host: std::sync::Arc::new(crate::common::kernel::host()),
        insecure: bpftally::config::Insecure::Allowed,
        max_series: None,
    };
    let map = if source.contains("} mine") { "mine" } else { "flows" };
    let text = format!("maps: {{{map}: {{pin_path: {}}}}}\nmetrics: {{counters: []}}\n", pin.display());
    let file = bpftally::config::ConfigFile::new("/configs/test.yaml");
    let checked = bpftally::config::check_text(&file, &text, &object.file(), &options);
    checked.spec.unwrap_or_else(|| panic!("{:#?}", checked.problems)).load
}

#[test]
fn each_difference_of_a_pin_is_named() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("flows");
        Owner::load(THEIRS).pin("flows", &pin);
        let check = |from: &str, to: &str, expected: &[(&str, &str, &str)]| {
            let problems = try_load(&spec(&THEIRS.replace(from, to), &pin)).expect_err("it does not fit");
            let found: Vec<_> = problems
                .iter()
                .map(|problem| {
                    assert_eq!(problem.code, "pin-layout");
                    assert!(problem.help.as_ref().unwrap().contains(&format!("rm {}", pin.display())));
                    let what = problem.message.rsplit_once(": it differs in ").unwrap().1;
                    (what, problem.expected.as_deref().unwrap(), problem.found.as_deref().unwrap())
                })
                .collect();
            assert_eq!(found, expected);
        };
        check("max_entries, 8", "max_entries, 16", &[("max_entries", "16", "8")]);
        check("_HASH", "_PERCPU_HASH", &[("type", "percpu_hash", "hash")]);
        check(
            "__type(key, u32)",
            "__type(key, u64)",
            &[("key_size", "8", "4"), ("the type of the key", "Unsigned8", "Unsigned4")],
        );
        check(
            "u64 packets; u64 bytes;",
            "u64 bytes; u64 packets;",
            &[
                ("the member `bytes` of the value", "Unsigned8 at byte 0", "Unsigned8 at byte 8"),
                ("the member `packets` of the value", "Unsigned8 at byte 8", "Unsigned8 at byte 0"),
            ],
        );
        check(
            "u64 bytes;",
            "u64 bytes; u64 errors;",
            &[
                ("value_size", "24", "16"),
                ("the member `errors` of the value", "Unsigned8 at byte 16", "no such member"),
            ],
        );
        check(
            "__uint(max_entries, 8);",
            "__uint(max_entries, 8); __uint(map_flags, BPF_F_NO_PREALLOC);",
            &[("map_flags", "1", "0")],
        );
        assert!(pin.exists(), "it is left alone");
        // What its owner calls it does not matter.
        let loaded = try_load(&spec(&THEIRS.replace("} flows", "} mine"), &pin)).unwrap();
        assert!(loaded.view().source("mine").is_some());
        loaded.retire();
        let loaded = try_load(&spec(THEIRS, &pin)).unwrap();
        loaded.retire();
    });
}

#[test]
fn a_pin_needs_a_file_system_of_its_kind() {
    with_mounts(|| {
        let folder = tempfile::Builder::new().prefix("plain").tempdir().unwrap();
        let problems = try_load(&spec(THEIRS, &folder.path().join("a/flows"))).expect_err("it is no bpffs");
        assert_eq!(problems.len(), 1, "{problems:#?}");
        let problem = &problems[0];
        assert_eq!(problem.code, "pin-place");
        assert!(problem.help.as_ref().unwrap().contains("mount -t bpf bpf /sys/fs/bpf"), "{problem:#?}");
        assert!(!folder.path().join("a").exists());
    });
}

/// A load that comes to nothing leaves nothing.
#[test]
fn what_is_not_loaded_is_not_pinned() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("flows");
        let refused = THEIRS
            .replace("{ return 0; }", "{ return *(u64 *)((long)context + bpf_get_smp_processor_id()); }");
        try_load(&spec(&refused, &pin)).expect_err("the verifier refuses it");
        assert!(!pin.exists());
        // Loaded, but its one program attaches nowhere, and the config wants all or nothing.
        let nowhere = THEIRS.replace("raw_tp/sys_enter", "raw_tp/no_such_tracepoint");
        let spec = spec(&nowhere, &pin);
        let (host, options) = (crate::common::kernel::host(), bpftally::bpf::Options::default());
        let prepared = bpftally::bpf::prepare(&spec, &host, &options, None).unwrap();
        assert!(pin.exists());
        prepared
            .commit(&host, &options, bpftally::bpf::Attaching::Strictly, None)
            .expect_err("it attaches nowhere");
        assert!(!pin.exists());
    });
}

/// `check --load` verifies an object and pins nothing.
#[test]
fn a_check_pins_nothing() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("flows");
        let mut spec = load_spec("verified", THEIRS);
        spec.maps =
            vec![MapSetting { name: "flows".into(), pin_path: Some(pin.clone()), ..MapSetting::default() }];
        let host = crate::common::kernel::host();
        bpftally::bpf::verify(&spec, &host, &bpftally::bpf::Options::default()).unwrap();
        assert!(!pin.exists());
    });
}
