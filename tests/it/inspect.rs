//! `bpftally inspect`: what is said of objects as clang writes them.
//!
//! The pages stand in `tests/it/golden/inspect`. After a change that is meant, write them anew
//! with `UPDATE_GOLDEN=1 cargo test --test it inspect::` and read what `git diff` shows.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as its body does")]

mod sources;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bpftally::cli::Report;
use bpftally::elf::{MapInfo, MapKind, ObjectInfo};
use serde_json::{Value, json};

use crate::common::objects::compile;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compares a page with the golden one of its name, or writes it when asked to.
#[track_caller]
fn check_golden(name: &str, text: &str) {
    let path = Path::new(ROOT).join("tests/it/golden/inspect").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "\n{name}: UPDATE_GOLDEN=1 writes {}", path.display());
}

/// How many instructions a function takes is the compiler's version's business.
fn without_counts(text: &str) -> String {
    let mut in_functions = false;
    let lines = text.lines().map(|line| {
        in_functions = (in_functions || line.contains("INSTRUCTIONS")) && !line.is_empty();
        match line.split_once(" instruction") {
            Some((before, after)) if before.starts_with("  size") => {
                format!("  size          N instruction{after}")
            }
            _ if in_functions => line.replace(|letter: char| letter.is_ascii_digit(), " "),
            _ => match line.rsplit_once('+') {
                Some((before, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("{before}+N")
                }
                _ => line.to_owned(),
            },
        }
    });
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[track_caller]
fn parsed(bytes: &[u8]) -> ObjectInfo {
    ObjectInfo::parse(bytes).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn check_page(name: &str, bytes: &[u8]) {
    let text = Report::new(&format!("{name}.bpf.o"), &parsed(bytes)).to_text(true);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
    check_golden(name, &without_counts(&text));
}

#[track_caller]
fn report(source: &str) -> Value {
    let bytes = std::fs::read(compile(source)).unwrap();
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
fn pages_are_the_golden_ones() {
    for (name, source) in sources::ALL {
        check_page(name, &std::fs::read(compile(source)).unwrap());
    }
}

#[test]
fn shipped_objects_are_the_golden_ones() {
    for path in shipped() {
        let name = path.file_name().unwrap().to_string_lossy().replace(".bpf.o", "");
        let object = parsed(&std::fs::read(&path).unwrap());
        let report = Report::new(&format!("{name}.bpf.o"), &object);
        assert!(report.usable && report.problems.is_empty(), "{name}: {:#?}", report.problems);
        check_golden(&format!("shipped-{name}"), &report.to_text(true));
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
fn a_licence_that_is_not_the_gpls_is_an_error() {
    let mut bytes = std::fs::read(compile(sources::CORE)).unwrap();
    let at = bytes.windows(13).position(|window| window == b"Dual BSD/GPL\0").unwrap();
    bytes[at..at + 13].copy_from_slice(b"Apache-2.0\0\0\0");
    check_page("licence", &bytes);
    let report = Report::new("o", &parsed(&bytes));
    assert!(!report.usable && report.problems.iter().any(|problem| problem.code == "licence-not-gpl"));
}

#[test]
fn json_has_layouts_with_offsets() {
    let report = report(sources::LAYOUTS);
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
    let report = report(sources::GLOBALS);
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
    let large = self::report(sources::LARGE);
    assert_eq!(named(&large, "variables", "zeros")["initial"], json!({"zero_bytes": 8 << 20}));
}

#[test]
fn json_has_programs_with_what_they_use() {
    let report = report(sources::FUNCTIONS);
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
    let report = report(sources::CORE);
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
    let object = compile(sources::LAYOUTS);
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

    let output = inspect(&[compile(sources::REFUSED).to_str().unwrap()]);
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

#[test]
fn nobody_may_inspect() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // Where the tests are built, others may be locked out.
    let folder = tempfile::tempdir().unwrap();
    let (program, object) = (folder.path().join("bpftally"), folder.path().join("o.bpf.o"));
    std::fs::copy(env!("CARGO_BIN_EXE_bpftally"), &program).unwrap();
    std::fs::copy(compile(sources::CORE), &object).unwrap();
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
    let object = compile(sources::CORE);
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
    for (_, source) in sources::ALL {
        let whole = std::fs::read(compile(source)).unwrap();
        for _ in 0..150 {
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
