//! `bpftally inspect`: what is said of objects as clang writes them.
//!
//! Whole pages are held by `corpus.rs` and, of the shipped objects, here.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as its body does")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bpftally::cli::Report;
use bpftally::elf::{MapInfo, MapKind, ObjectInfo};
use serde_json::{Value, json};

use crate::common::golden;
use crate::corpus;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[track_caller]
fn parsed(bytes: &[u8]) -> ObjectInfo {
    ObjectInfo::parse(bytes).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn report(name: &str) -> Value {
    let bytes = std::fs::read(corpus::object(name)).unwrap();
    serde_json::from_str(&Report::new("o", &parsed(&bytes)).to_json().unwrap()).unwrap()
}

/// The entry of a list with a name.
#[track_caller]
fn named<'a>(report: &'a Value, list: &str, name: &str) -> &'a Value {
    let entries = report[list].as_array().unwrap();
    entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name} in {entries:#?}"))
}

fn inspect(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bpftally")).arg("inspect").args(arguments).output().unwrap()
}

fn shipped() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("bpf-objects")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut objects: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(".bpf.o")).collect();
    objects.sort();
    assert!(objects.len() >= 6, "{objects:?}");
    objects
}

#[test]
fn shipped_objects_are_the_golden_ones() {
    for path in shipped() {
        let name = path.file_name().unwrap().to_string_lossy().replace(".bpf.o", "");
        let object = parsed(&std::fs::read(&path).unwrap());
        let report = Report::new(&format!("{name}.bpf.o"), &object);
        // Programs of control groups and interfaces are placed by the config.
        let is_placed = ["dns", "interfaces"].contains(&name.as_str());
        let wrong = report.problems.iter().filter(|problem| !is_placed || problem.code != "not-attachable");
        assert!(report.usable && wrong.count() == 0, "{name}: {:#?}", report.problems);
        golden::check(&format!("inspect/shipped-{name}.txt"), &report.to_text(true));
    }
}

#[test]
fn the_documented_page_is_the_real_one() {
    let documentation = std::fs::read_to_string(Path::new(ROOT).join("docs/inspect.md")).unwrap();
    let path = "bpf-objects/biolatency.bpf.o";
    let object = parsed(&std::fs::read(Path::new(ROOT).join(path)).unwrap());
    let text = Report::new(path, &object).to_text(true);
    assert!(documentation.contains(&text), "docs/inspect.md shows another page than\n{text}");
}

#[test]
fn json_has_layouts_with_offsets() {
    let report = report("layouts");
    let key = &named(&report, "maps", "nested")["key"];
    let member = |path: &str| {
        let members = key["members"].as_array().unwrap();
        members.iter().find(|member| member["path"] == path).unwrap_or_else(|| panic!("{path}: {members:#?}"))
    };
    assert_eq!((&key["type"], &key["size"]), (&json!("struct nested"), &json!(56)));
    assert_eq!(
        member("inner.low"),
        &json!({
            "path": "inner.low", "type": "u32", "kind": "unsigned", "offset": 4, "size": 1, "bit_shift": 0, "bit_width": 3
        })
    );
    assert_eq!(member("inner.high")["bit_shift"], 3);
    assert_eq!(member("v6")["offset"], member("v4")["offset"]);
    assert_eq!(member("pairs[1].b")["kind"], "unsigned");
    assert_eq!(member("comm")["kind"], "text");
    assert_eq!(named(&report, "maps", "packed")["key"]["padding"], json!([]));
}

#[test]
fn json_has_initial_values_by_type() {
    let report = report("globals");
    let initial = |name: &str| named(&report, "variables", name)["initial"].clone();
    assert_eq!(initial("limit"), json!(7));
    assert_eq!(initial("negative"), json!(-5));
    assert_eq!(initial("huge"), json!(u64::MAX));
    assert_eq!(initial("enabled"), json!(true));
    assert_eq!(initial("ratio"), json!(1.5));
    assert_eq!(initial("greeting"), json!("hello"));
    assert_eq!(initial("colour"), json!({"name": "GREEN", "value": 5}));
    assert_eq!(initial("table"), json!([1, 2, 3, 0]));
    assert_eq!(
        initial("settings"),
        json!({"rate": 100, "label": "x", "low": 5, "high": -1, "nested": {"a": 1, "b": 2}})
    );
    assert_eq!(initial("counted"), json!(0));
    assert_eq!(initial("nothing"), json!([0, 0, 0]));
    assert_eq!(named(&report, "variables", "limit")["read_only"], true);
    assert_eq!(named(&report, "variables", "hidden")["static"], true);
    let large = self::report("large");
    assert_eq!(named(&large, "variables", "zeros")["initial"], json!({"zero_bytes": 8 << 20}));
}

#[test]
fn json_has_programs_with_what_they_use() {
    let report = report("functions");
    let program = named(&report, "programs", "caller");
    assert_eq!(program["kernel"], json!({"since": "5.17", "because": "bpf_loop"}));
    assert_eq!(program["maps"], json!(["hits"]));
    let called: Vec<_> = program["functions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(called.len(), 3, "{called:?}");
    let sizes = |name: &str| named(&report, "functions", name)["instructions"].as_u64().unwrap();
    let own: u64 = ["caller", "shared", "global", "each"].iter().map(|name| sizes(name)).sum();
    assert_eq!(program["instructions"].as_u64(), Some(own));
    assert_eq!(named(&report, "programs", "alone")["kernel"]["since"], "4.7");
}

#[test]
fn json_has_core_relocations_with_names() {
    let report = report("core");
    let relocations = &report["core_relocations"];
    let list = relocations["list"].as_array().unwrap();
    assert_eq!(relocations["count"], list.len());
    let mut found: Vec<String> = list
        .iter()
        .map(|one| format!("{} {}", one["kind"].as_str().unwrap(), one["path"].as_str().unwrap()))
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(
        found,
        [
            "byte_off task_struct.nested[1].b",
            "byte_off task_struct.pid",
            "byte_off task_struct.renamed",
            "byte_sz task_struct.comm",
            "enumval_exists skb_drop_reason::SKB_DROP_REASON_NO_SOCKET",
            "enumval_value skb_drop_reason::SKB_DROP_REASON_NO_SOCKET",
            "field_exists task_struct___old.state",
            "target_type_id task_struct",
            "type_exists task_struct___old",
            "type_size task_struct",
        ]
    );
    let old = list.iter().find(|one| one["kind"] == "type_exists").unwrap();
    assert_eq!((&old["kernel_type"], &old["function"]), (&json!("task_struct"), &json!("asks")));
}

#[test]
fn the_command_needs_no_privileges_and_exits_as_it_says() {
    let object = corpus::object("layouts");
    let object = object.to_str().unwrap();
    let output = inspect(&[object]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(object) && text.contains("map nested: hash, 8 entries"), "{text}");
    let output = inspect(&[object, "--format=json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &report["version"], &report["usable"]),
        (Some(0), &json!(1), &json!(true))
    );

    let output = inspect(&[corpus::object("refused").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));

    let output = inspect(&["/nonexistent.bpf.o"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nonexistent.bpf.o") && text.contains("No such file"), "{text}");
    assert_eq!(inspect(&[]).status.code(), Some(2));

    let yaml = format!("{ROOT}/configs/runqlat.yaml");
    let output = inspect(&[&yaml]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("error[object-not-elf]") && text.contains("help:"), "{text}");
    let output = inspect(&[&yaml, "--format=json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["usable"]), (Some(1), &json!(false)));
    assert_eq!(report["problems"][0]["code"], "object-not-elf");
}

/// By the names of their files alone: bytes of an object are the same for each.
#[test]
fn objects_may_be_for_one_architecture() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [("x.aarch64.bpf.o", Some("aarch64")), ("x.bpf.o", None), ("x.arm64.bpf.o", None)]
    {
        let path = folder.path().join(name);
        std::fs::copy(corpus::object("layouts"), &path).unwrap();
        let path = path.to_str().unwrap();
        let report: Value = serde_json::from_slice(&inspect(&[path, "--format=json"]).stdout).unwrap();
        assert_eq!(report["architecture"], json!(expected), "{name}");
        let text = String::from_utf8(inspect(&[path]).stdout).unwrap();
        assert_eq!(text.contains("  machine       aarch64 alone"), expected.is_some(), "{text}");
    }
}

#[test]
fn nobody_may_inspect() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // Where the tests are built, others may be locked out.
    let folder = tempfile::tempdir().unwrap();
    let (program, object) = (folder.path().join("bpftally"), folder.path().join("o.bpf.o"));
    std::fs::copy(env!("CARGO_BIN_EXE_bpftally"), &program).unwrap();
    std::fs::copy(corpus::object("core"), &object).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&program, 0o755), (&object, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let output = Command::new(&program).arg("inspect").arg(&object).uid(65534).gid(65534).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new(&program).arg("inspect").arg(&object).uid(65534).gid(65534).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("Permission denied"), "{text}");
}

#[test]
fn relocations_are_counted_unless_they_are_asked_for() {
    let object = corpus::object("core");
    let object = object.to_str().unwrap();
    let text = |arguments: &[&str]| String::from_utf8(inspect(arguments).stdout).unwrap();
    let (short, long) = (text(&[object]), text(&[object, "--relocations"]));
    assert!(short.contains("--relocations lists them") && !short.contains("task_struct.pid"), "{short}");
    assert!(long.contains("task_struct.pid") && long.contains("skb_drop_reason::"), "{long}");
}

/// What the kernel says of a map's memory in `/proc/self/fdinfo`.
fn kernel_memory(map: &MapInfo) -> u64 {
    let handle = libbpf_rs::MapHandle::create(
        libbpf_rs::MapType::from(map.kind.0),
        None::<&str>,
        map.key_size,
        map.value_size,
        map.max_entries,
        &libbpf_rs::libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as _,
            map_flags: map.flags,
            ..Default::default()
        },
    )
    .unwrap();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&handle));
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("memlock:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn memory_is_near_to_what_the_kernel_says() {
    let possible = libbpf_rs::num_possible_cpus().unwrap() as u64;
    let kinds = [
        (MapKind::HASH, 0),
        (MapKind::ARRAY, 0),
        (MapKind::PERCPU_HASH, 0),
        (MapKind::PERCPU_ARRAY, 0),
        (MapKind::LRU_HASH, 0),
        (MapKind::LRU_PERCPU_HASH, 0),
        (MapKind::ARRAY, 1 << 10),
    ];
    for (kind, flags) in kinds {
        for (key_size, value_size, max_entries) in [(4, 8, 10_000), (4, 100, 5_000)] {
            let map = MapInfo { kind, flags, key_size, value_size, max_entries, ..MapInfo::default() };
            let memory = map.memory().unwrap();
            let estimate = (memory.bytes + possible * memory.bytes_per_cpu) as f64;
            let real = kernel_memory(&map) as f64;
            assert!((estimate - real).abs() / real < 0.02, "{kind} {flags}: {estimate} instead of {real}");
        }
    }
}

/// A generator with a fixed seed: what fails can be found again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn damaged_objects_never_panic() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut readable = 0;
    for name in corpus::names() {
        let whole = std::fs::read(corpus::object(&name)).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                bytes[at] = match random.below(3) {
                    0 => bytes[at] ^ 1 << random.below(8),
                    1 => 0xff,
                    _ => random.below(256) as u8,
                };
            }
            if let Ok(object) = ObjectInfo::parse(&bytes) {
                let report = Report::new("damaged", &object);
                assert!(!report.to_text(true).is_empty());
                serde_json::from_str::<Value>(&report.to_json().unwrap()).unwrap();
                readable += 1;
            }
        }
    }
    assert!(readable > 200, "only {readable} were readable: the damage is too great to test anything");
}
