use std::path::Path;
use std::sync::Arc;

use bpftally::bpf::{self, Loaded, Options};
use bpftally::host::{Host, Roots};
use bpftally::problem::Problem;
use bpftally::spec::LoadSpec;

use crate::common::kernel::{host, load, load_spec, rows, try_load, with_tracefs, without_kernel_btf};

/// Loading fails as a whole, with one problem.
#[track_caller]
fn refused(code: &str, spec: &LoadSpec, options: &Options) -> Problem {
    let problems = bpf::load(spec, &host(), options).map(|loaded| loaded.name().to_owned()).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
    assert_eq!(problem.code, code, "{problem:#?}");
    assert_eq!(problem.place.config.as_deref(), Some(spec.name.as_str()));
    problem.clone()
}

#[track_caller]
fn check(code: &str, source: &str, in_message: &str) -> Problem {
    let problem = refused(code, &load_spec("test", source), &Options::default());
    assert!(problem.message.contains(in_message), "{problem:#?}");
    problem
}

#[test]
fn what_the_verifier_rejects_is_shown_with_its_last_lines() {
    let problem = check(
        "verifier",
        r#"SEC("raw_tp/sched_process_exec") int bad(void *ctx) { return *(volatile int *)0x1234; }"#,
        "`bad`",
    );
    assert_eq!(problem.place.program.as_deref(), Some("bad"));
    let found = problem.found.unwrap();
    assert!(found.contains("invalid mem access"), "{found}");
    assert!(found.contains("processed"), "the tail reaches to the end: {found}");
    assert!(problem.message.contains("invalid mem access"), "{}", problem.message);
}

#[test]
fn a_member_that_the_kernel_does_not_have_is_named() {
    check(
        "core-relocation",
        r#"
        struct task_struct { int no_such_member; } __attribute__((preserve_access_index));
        SEC("tp_btf/sched_process_exit") int bad(u64 *ctx)
        {
            struct task_struct *task = (void *)ctx[0];
            return task->no_such_member;
        }
        "#,
        "task_struct.no_such_member",
    );
}

/// As programs are that were compiled for another architecture.
#[test]
fn registers_of_another_architecture_are_told_from_other_members() {
    let problem = check(
        "core-relocation",
        r#"
        struct pt_regs { long no_such_register; } __attribute__((preserve_access_index));
        u64 seen;
        SEC("raw_tp/sys_enter") int bad(u64 *ctx)
        {
            seen = BPF_CORE_READ((struct pt_regs *)ctx[0], no_such_register);
            return 0;
        }
        "#,
        "pt_regs.no_such_register",
    );
    assert!(problem.help.is_some_and(|help| help.contains("x.aarch64.bpf.o")));
}

#[test]
fn what_a_typed_program_is_for_must_be_there() {
    let bad = |section: &str| format!("SEC(\"{section}\") int bad(void *ctx) {{ return 0; }}");
    let problem = check("missing-target", &bad("tp_btf/no_such_tracepoint"), "`no_such_tracepoint`");
    assert_eq!(problem.place.program.as_deref(), Some("bad"));
    check("missing-target", &bad("fentry/no_such_function"), "`no_such_function`");
    check("unknown-section", &bad("odd/place"), "`odd/place`");
}

#[test]
fn maps_that_cannot_be_created_are_named() {
    let map = |kind: &str, value: &str, entries: &str| {
        format!(
            "struct {{ __uint(type, {kind}); __uint(max_entries, {entries}); __type(key, u32); {value} }} wrong SEC(\".maps\");"
        )
    };
    for (kind, value, entries) in [
        ("BPF_MAP_TYPE_HASH", "__type(value, u64);", "0"),
        ("BPF_MAP_TYPE_ARRAY", "__uint(value_size, 1 << 30);", "0xffffff"),
        ("999", "__type(value, u64);", "1"),
        ("BPF_MAP_TYPE_HASH", "__uint(map_flags, 1 << 30); __type(value, u64);", "1"),
    ] {
        let problem = check("map-create", &map(kind, value, entries), "`wrong`");
        assert_eq!(problem.place.map.as_deref(), Some("wrong"), "{problem:#?}");
    }
}

#[test]
fn the_file_of_btf_path_must_be_there_and_be_btf() {
    let spec = load_spec("test", r#"SEC("raw_tp/sched_process_exec") int good(void *ctx) { return 0; }"#);
    let with = |path: &Path| Options { btf_path: Some(path.into()), ..Options::default() };
    let problem = refused("btf-path", &spec, &with(Path::new("/no/such/btf")));
    assert!(problem.message.contains("/no/such/btf"), "{problem:#?}");
    assert!(bpf::load(&spec, &host(), &with(Path::new("/sys/kernel/btf/vmlinux"))).is_ok());
    // Only CO-RE relocations look into it.
    let spec = load_spec(
        "test",
        r#"
        struct task_struct { int pid; } __attribute__((preserve_access_index));
        int seen;
        SEC("tp_btf/sched_process_exit") int good(u64 *ctx)
        {
            seen = ((struct task_struct *)ctx[0])->pid;
            return 0;
        }
        "#,
    );
    assert!(bpf::load(&spec, &host(), &with(Path::new("/sys/kernel/btf/vmlinux"))).is_ok());
    let nonsense = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(nonsense.path(), "this is no BTF").unwrap();
    refused("btf-path", &spec, &with(nonsense.path()));
}

#[test]
fn a_kernel_without_btf_is_told_and_btf_path_helps() {
    let members = r#"
        struct task_struct { int pid; } __attribute__((preserve_access_index));
        int seen;
        SEC("raw_tp/sched_process_exit") int program(u64 *ctx)
        {
            seen = BPF_CORE_READ((struct task_struct *)ctx[0], pid);
            return 0;
        }
    "#;
    let typed = r#"SEC("tp_btf/sched_process_exit") int program(u64 *ctx) { return 0; }"#;
    let plain = r#"SEC("raw_tp/sched_process_exit") int program(u64 *ctx) { return 0; }"#;
    let (members, typed, plain) =
        (load_spec("members", members), load_spec("typed", typed), load_spec("plain", plain));
    // What was read of this kernel serves nobody who does not see it.
    assert!(try_load(&typed).is_ok());
    without_kernel_btf(|path| {
        let with_path = Options { btf_path: Some(path.into()), ..Options::default() };
        let problem = refused("kernel-btf", &members, &Options::default());
        assert!(problem.help.is_some_and(|help| help.contains("--btf.path")));
        assert!(bpf::load(&members, &host(), &with_path).is_ok());
        refused("kernel-btf", &typed, &Options::default());
        // What its place is in the kernel only the kernel itself knows.
        refused("kernel-btf", &typed, &with_path);
        assert!(try_load(&plain).is_ok(), "needs none");
    });
}

/// Bytes that libbpf cannot make sense of are refused, never a crash. The object is damaged in
/// every way that a file can be: cut short, and with bytes changed.
#[test]
fn damaged_objects_are_refused_and_nothing_worse() {
    let whole = load_spec(
        "damaged",
        r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } map SEC(".maps");
        const volatile u64 kaddr_jiffies;
        SEC("raw_tp/sched_process_exec") int program(void *ctx)
        {
            u32 key = kaddr_jiffies;
            return !!bpf_map_lookup_elem(&map, &key) & 0;
        }
        "#,
    );
    let attempt = |bytes: &[u8]| {
        let spec = LoadSpec { object_bytes: Arc::from(bytes), ..whole.clone() };
        if let Err(problems) = try_load(&spec) {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    };
    let bytes = &whole.object_bytes;
    for length in (0..bytes.len()).step_by(97) {
        attempt(&bytes[..length]);
    }
    for start in [0, 16, 32, 40, 48, 60] {
        let mut changed = bytes.to_vec();
        changed[start] ^= 0xff;
        attempt(&changed);
    }
    attempt(b"");
    attempt(b"\x7fELF");
    attempt(b"#!/bin/sh\n");
}

#[test]
fn an_object_that_is_no_object_says_so() {
    let spec = LoadSpec {
        name: "text".into(),
        object: "text.bpf.o".into(),
        object_bytes: Arc::from(b"this is a text".as_slice()),
        ..LoadSpec::default()
    };
    refused("open-failed", &spec, &Options::default());
}

#[test]
fn objects_loaded_side_by_side_get_their_own_reasons() {
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let name = format!("wrong_{number}");
                let spec = load_spec(
                    &name,
                    &format!(
                        "SEC(\"raw_tp/sched_process_exec\") int {name}(void *ctx) {{ return *(volatile int *)({number} + 1); }}"
                    ),
                );
                for _ in 0..5 {
                    let problem = refused("verifier", &spec, &Options::default());
                    assert_eq!(problem.place.program.as_deref(), Some(name.as_str()));
                    assert!(problem.found.unwrap().contains(&format!("= {}", number + 1)));
                }
            });
        }
    });
}

const ADDRESSES: &str = r#"
const volatile u64 kaddr_schedule = 0;
u64 kaddr_in_bss;
u64 kaddr_in_data = 1;
const volatile u32 kaddr_small = 1;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } addresses SEC(".maps");
SEC("uprobe//proc/self/exe:post_attach_mark")
int put(void *ctx)
{
    u32 key = 0;
    u64 address = kaddr_schedule;
    bpf_map_update_elem(&addresses, &key, &address, BPF_ANY);
    key = 1;
    bpf_map_update_elem(&addresses, &key, &kaddr_in_bss, BPF_ANY);
    key = 2;
    return bpf_map_update_elem(&addresses, &key, &kaddr_in_data, BPF_ANY) + (kaddr_small & 0);
}
"#;

/// A host whose kallsyms is ours, and those of the kernel's symbols that it names.
fn host_with(kallsyms: &str) -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kallsyms"), kallsyms).unwrap();
    let host = Host::new(Roots { procfs: folder.path().into(), ..Roots::default() });
    (folder, host)
}

#[test]
fn addresses_of_symbols_are_set_before_the_load() {
    let (_folder, host) = host_with(
        "ffffffff81000000 T in_bss\nffffffff82345678 T schedule\nffffffffc0001000 d in_data\t[module]\n",
    );
    let kaddrs = ["schedule", "in_bss", "in_data"].map(str::to_owned).to_vec();
    let spec = LoadSpec { kaddrs, ..load_spec("a config.with:odd name", ADDRESSES) };
    let loaded =
        bpf::load(&spec, &host, &Options::default()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    bpf::mark_attached();
    let view = loaded.view();
    let values: Vec<u64> = rows(view.source("addresses").unwrap().as_ref())
        .iter()
        .map(|(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()))
        .collect();
    assert_eq!(values, [0xffff_ffff_8234_5678, 0xffff_ffff_8100_0000, 0xffff_ffff_c000_1000]);
}

#[test]
fn the_address_of_a_symbol_is_that_of_the_running_kernel() {
    let spec = LoadSpec { kaddrs: vec!["schedule".into()], ..load_spec("schedule", ADDRESSES) };
    let loaded = try_load(&spec).unwrap_or_else(|problems| panic!("{problems:#?}"));
    bpf::mark_attached();
    let view = loaded.view();
    let address = rows(view.source("addresses").unwrap().as_ref())[0].1.clone();
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let line = kallsyms.lines().find(|line| line.split(' ').nth(2) == Some("schedule")).unwrap();
    let expected = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    assert_eq!(u64::from_ne_bytes(address.try_into().unwrap()), expected);
}

#[test]
fn every_wrong_address_is_told_at_once() {
    let (_folder, host) =
        host_with("ffffffff81000000 T small\nffffffff82345678 T schedule\nffffffff82345600 D other\n");
    let kaddrs = ["no_such_symbol", "schedule", "other", "small"].map(str::to_owned).to_vec();
    let spec = LoadSpec { kaddrs, ..load_spec("test", ADDRESSES) };
    let problems =
        bpf::load(&spec, &host, &Options::default()).map(|loaded| loaded.name().to_owned()).unwrap_err();
    let told: Vec<_> = problems.iter().map(|problem| (problem.code, problem.place.path.as_str())).collect();
    assert_eq!(
        told,
        [("kaddr-symbol", "kaddrs[0]"), ("kaddr-variable", "kaddrs[2]"), ("kaddr-size", "kaddrs[3]")]
    );
    // No kallsyms at all.
    let host = Host::new(Roots { procfs: "/no/such/proc".into(), ..Roots::default() });
    let spec = LoadSpec { kaddrs: vec!["schedule".into()], ..spec };
    let problems =
        bpf::load(&spec, &host, &Options::default()).map(|loaded| loaded.name().to_owned()).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["kaddr-hidden"]);
}

#[test]
fn what_is_loaded_can_be_moved_to_another_thread() {
    let loaded = load("moved", r#"SEC("raw_tp/sched_process_exec") int program(void *ctx) { return 0; }"#);
    let (loaded, count) = std::thread::spawn(move || {
        let count = loaded.link_count();
        (loaded, count)
    })
    .join()
    .unwrap();
    assert_eq!((count, loaded.unattached()), (1, vec![]));
}

#[test]
fn an_object_without_programs_serves_its_maps() {
    let loaded = load(
        "maps",
        r#"
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } array SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
        "#,
    );
    let view = loaded.view();
    let names: Vec<_> = view.sources.iter().map(|named| named.map.as_str()).collect();
    assert_eq!(names, ["array"], "a ring buffer has no keys");
    assert_eq!(rows(view.source("array").unwrap().as_ref()).len(), 3);
}

const ALONE: &str = "BPFTALLY_TEST_WITHOUT";

/// libbpf remembers what the kernel can do, which it finds out by trying: so this is done by another process.
fn without_capabilities(test: &str, capabilities: &str) -> String {
    let path = std::env::current_exe().unwrap();
    let output = std::process::Command::new(path)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, capabilities)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// In the other process: drops all capabilities but these.
fn keep_only(capabilities: &[caps::Capability]) {
    use caps::CapSet::{Effective, Permitted};
    let kept = capabilities.iter().copied().collect();
    caps::set(None, Effective, &kept).unwrap();
    caps::set(None, Permitted, &kept).unwrap();
}

#[test]
fn what_is_missing_for_loading_is_named() {
    let source = r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } map SEC(".maps");
        SEC("raw_tp/sched_process_exec") int program(void *ctx) { u32 key = 0; return !!bpf_map_lookup_elem(&map, &key) & 0; }
    "#;
    let spec = load_spec("test", source);
    match std::env::var(ALONE).ok().as_deref() {
        Some("all") => keep_only(&[]),
        Some("perfmon") => keep_only(&[caps::Capability::CAP_BPF]),
        _ => {
            for (without, expected) in
                [("all", "CAP_BPF, CAP_PERFMON missing"), ("perfmon", "CAP_PERFMON missing")]
            {
                let text =
                    without_capabilities("kernel::load::what_is_missing_for_loading_is_named", without);
                assert!(text.contains(&format!("load the object: {expected}")), "{text}");
            }
            return;
        }
    }
    println!("{}", refused("privilege", &spec, &Options::default()).message);
}

#[test]
fn maps_are_read_after_capabilities_are_dropped() {
    if std::env::var(ALONE).is_err() {
        without_capabilities("kernel::load::maps_are_read_after_capabilities_are_dropped", "all");
        return;
    }
    let loaded = with_tracefs(|| load("getppid", super::attach::GETPPID));
    let view = loaded.view();
    keep_only(&[]);
    assert_eq!(loaded.view().probe(), []);
    assert_eq!(rows(view.source("by_cpu").unwrap().as_ref()).len(), 1);
    assert_eq!(view.programs.programs().len(), 1);
    loaded.retire();
}

/// Kernels differ: where these load they are of no use here; where not, the reason must be told.
#[test]
fn refusals_of_the_running_kernel_are_told() {
    let bad = |section: &str| format!("SEC(\"{section}\") int bad(void *ctx) {{ return 0; }}");
    for section in ["fentry/do_exit", "lsm/file_open"] {
        let Err(problems) = try_load(&load_spec("test", &bad(section))) else { continue };
        assert_eq!(problems[0].code, "unsupported-program", "{problems:#?}");
        assert_eq!(problems[0].place.program.as_deref(), Some("bad"));
        assert!(problems[0].message.contains(section), "{problems:#?}");
    }
    check(
        "missing-target",
        r#"
        extern int bpf_no_such_function(void) __ksym;
        SEC("raw_tp/sched_process_exec") int bad(void *ctx) { return bpf_no_such_function(); }
        "#,
        "`bpf_no_such_function`",
    );
    check(
        "missing-target",
        r#"
        extern int CONFIG_NO_SUCH_OPTION __kconfig;
        SEC("raw_tp/sched_process_exec") int bad(void *ctx) { return CONFIG_NO_SUCH_OPTION; }
        "#,
        "`CONFIG_NO_SUCH_OPTION`",
    );
}

/// libbpf quotes names as they are in the file; that they are text is not promised.
#[test]
fn names_that_are_not_text_are_told_all_the_same() {
    let mut spec = load_spec("bytes", r#"SEC("odd/place") int program(void *ctx) { return 0; }"#);
    let mut bytes = spec.object_bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(9).enumerate().filter(|(_, window)| window == b"odd/place").map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] = 0xff;
    }
    spec.object_bytes = Arc::from(bytes);
    let problem = refused("unknown-section", &spec, &Options::default());
    assert!(problem.message.contains("\u{fffd}dd/place"), "{problem:#?}");
}

/// Wrong bytes anywhere in the file: whatever libbpf and the kernel make of it, the process lives.
#[test]
fn objects_with_wrong_bytes_do_no_harm() {
    let whole = load_spec(
        "wrong",
        r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } map SEC(".maps");
        struct task_struct { int pid; } __attribute__((preserve_access_index));
        const volatile u64 kaddr_nothing;
        u64 seen[4] = {1, 2, 3, 4};
        SEC("tp_btf/sched_process_exit") int program(u64 *ctx)
        {
            u32 key = kaddr_nothing + BPF_CORE_READ((struct task_struct *)ctx[0], pid);
            seen[key & 3]++;
            return !!bpf_map_lookup_elem(&map, &key) & 0;
        }
        "#,
    );
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for _ in 0..150 {
        let mut bytes = whole.object_bytes.to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = [0, 0xff, bytes[at] ^ (1 << random(8)), random(256) as u8][random(4)];
        }
        let spec = LoadSpec { object_bytes: Arc::from(bytes), ..whole.clone() };
        let _ = try_load(&spec).map(Loaded::retire);
    }
}
