use std::sync::Arc;

use bpftally::bpf::{self, Loaded};
use bpftally::config::{ConfigFile, Insecure, Options, check_text};
use bpftally::host::{Host, Roots};
use bpftally::snapshot::Verdict;
use bpftally::spec::LoadSpec;

use crate::common::kernel::{host, rows, try_load, with_tracefs, without_kernel_btf, without_tracefs};
use crate::common::objects::Object;

/// Counts calls of getppid() of one thread, which is set by a global: other tests of this process call it too.
const MAPS: &str = r#"
#include "maps.bpf.h"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __type(key, u32); __type(value, u64); } counts SEC(".maps");
const volatile u32 target = 0;
static __always_inline int count(u32 key)
{
    if ((u32)bpf_get_current_pid_tgid() != target)
        return 0;
    increment_map(&counts, &key, 1);
    return 0;
}
#define GETPPID(NAME, SECTION, KEY) SEC(SECTION) int NAME(struct bpf_raw_tracepoint_args *ctx) \
    { return ctx->args[1] == NUMBER ? count(KEY) : 0; }
"#;

/// The load spec that a config gives for a source.
#[track_caller]
fn spec(source: &str, config: &str) -> LoadSpec {
    let number = libc_number();
    let object = Object::of(&format!("#define NUMBER {number}\n{MAPS}\n{source}"));
    let options = Options {
        namespace: String::new(),
        max_series: None,
        object_dir: None,
        host: Arc::new(host()),
        insecure: Insecure::Allowed,
    };
    let has_globals = config.lines().any(|line| line.starts_with("globals:"));
    let globals = if has_globals { "" } else { "globals: {}\n" };
    let text = format!("{globals}{config}\nmetrics: {{counters: []}}\n")
        .replacen(
            "globals: {",
            &format!("globals: {{target: {}, ", rustix::thread::gettid().as_raw_nonzero()),
            1,
        )
        .replacen(", }", "}", 1);
    let checked = check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options);
    checked.spec.unwrap_or_else(|| panic!("{:#?}", checked.problems)).load
}

fn libc_number() -> i64 {
    if cfg!(target_arch = "x86_64") { 110 } else { 173 }
}

#[track_caller]
fn loaded(source: &str, config: &str) -> Loaded {
    let loaded = try_load(&spec(source, config)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(loaded.problems(), []);
    loaded
}

/// Makes so many calls and gives what was counted, by key.
fn counted(loaded: &Loaded, calls: u64) -> Vec<(u32, u64)> {
    for _ in 0..calls {
        std::hint::black_box(rustix::process::getppid());
    }
    rows(loaded.view().source("counts").unwrap().as_ref())
        .iter()
        .map(|(key, value)| {
            let (key, value) = (key.as_slice().try_into().unwrap(), value.as_slice().try_into().unwrap());
            (u32::from_ne_bytes(key), u64::from_ne_bytes(value))
        })
        .collect()
}

/// Programs and their verdicts, each with a piece of its reason.
#[track_caller]
fn check_verdicts(loaded: &Loaded, expected: &[(&str, Verdict, &str)]) {
    let verdicts = loaded.verdicts();
    assert_eq!(verdicts.len(), expected.len(), "{verdicts:#?}");
    for (found, (program, verdict, reason)) in verdicts.iter().zip(expected) {
        assert_eq!((found.program.as_str(), found.verdict), (*program, *verdict), "{verdicts:#?}");
        assert!(found.reason.contains(reason), "{reason:?} is not in {found:#?}");
    }
}

#[test]
fn globals_of_every_type_arrive_in_the_program() {
    let source = r#"
        enum mode { OFF, SLOW = 7, FAST = 9 };
        struct settings { u32 limit; struct { s16 low, high; } range; u8 three:3, five:5; u64 wide; };
        const volatile u8 small = 1;
        const volatile s64 negative;
        const volatile _Bool flag;
        const volatile enum mode mode;
        const volatile char text[8];
        const volatile u16 ports[3] = {1, 2, 3};
        const volatile struct settings settings = {.limit = 1, .five = 9, .wide = 77};
        volatile u32 in_data = 3;
        volatile u32 in_bss;
        volatile u32 own SEC(".data.own") = 3;
        static volatile u32 hidden_first = 5;
        static volatile u32 hidden = 6;
        SEC("raw_tp/sys_enter") int all(struct bpf_raw_tracepoint_args *ctx)
        {
            if (ctx->args[1] != NUMBER) return 0;
            if (small != 200) return count(1);
            if (negative != -5000000000LL) return count(2);
            if (!flag) return count(3);
            if (mode != FAST) return count(4);
            if (text[0] != 'a' || text[1] != 'b' || text[2]) return count(5);
            if (ports[0] != 80 || ports[1] != 443 || ports[2]) return count(6);
            if (settings.limit != 5 || settings.range.high != -1 || settings.range.low) return count(7);
            if (settings.three != 6 || settings.five != 9 || settings.wide != 77) return count(8);
            if (in_data != 30 || in_bss != 31) return count(9);
            if (own != 32) return count(10);
            if (hidden != 33 || hidden_first != 5) return count(11);
            hidden = 33;
            hidden_first = 5;
            return count(100);
        }
    "#;
    let config = "globals: {small: 200, negative: -5_000_000_000, flag: yes, mode: FAST, text: ab, ports: [80, 443], \
        settings.limit: 5, settings: {range: {high: -1}, three: 6}, in_data: 30, in_bss: 0x1f, own: 32, hidden: 33}";
    assert_eq!(counted(&loaded(source, config), 7), [(100, 7)]);
    // Without them the object's own values are there.
    assert_eq!(counted(&loaded(source, ""), 3), [(1, 3)]);
}

#[test]
fn programs_are_switched_off_and_on() {
    let source = r#"GETPPID(first, "raw_tp/sys_enter", 1) GETPPID(second, "?raw_tp/sys_enter", 2) GETPPID(third, "?raw_tp/sys_enter", 3)"#;
    let plain = loaded(source, "");
    assert_eq!(counted(&plain, 5), [(1, 5)]);
    check_verdicts(
        &plain,
        &[
            ("first", Verdict::Attached, ""),
            ("second", Verdict::Disabled, "`?`"),
            ("third", Verdict::Disabled, "`?`"),
        ],
    );
    let switched = loaded(source, "programs: {first: {enabled: false}, second: {enabled: true}}");
    assert_eq!(counted(&switched, 5), [(2, 5)]);
    check_verdicts(
        &switched,
        &[
            ("first", Verdict::Disabled, "switches it off"),
            ("second", Verdict::Attached, ""),
            ("third", Verdict::Disabled, "`?`"),
        ],
    );
}

#[test]
fn the_first_possible_alternative_is_at_work() {
    let source = r#"
        SEC("tracepoint/syscalls/no_such_tracepoint") int newest(void *ctx) { return count(1); }
        SEC("?tp_btf/no_such_tracepoint") int newer(void *ctx) { return count(2); }
        SEC("?tracepoint/syscalls/sys_enter_getppid") int old(void *ctx) { return count(3); }
        GETPPID(oldest, "raw_tp/sys_enter", 4)
    "#;
    let config = "choose: [[newest, newer, old, oldest]]";
    with_tracefs(|| {
        let loaded = loaded(source, config);
        assert_eq!(counted(&loaded, 9), [(3, 9)]);
        check_verdicts(
            &loaded,
            &[
                ("newest", Verdict::Unsupported, "no tracepoint `syscalls/no_such_tracepoint`"),
                ("newer", Verdict::Unsupported, "no raw tracepoint `no_such_tracepoint`"),
                ("old", Verdict::Attached, ""),
                ("oldest", Verdict::Disabled, "prefers `old`"),
            ],
        );
    });
    without_tracefs(|| {
        let loaded = loaded(source, config);
        assert_eq!(counted(&loaded, 2), [(4, 2)]);
        assert!(loaded.verdicts()[2].reason.contains("tracefs is not mounted"), "{:#?}", loaded.verdicts());
    });
    without_kernel_btf(|_| {
        let loaded = try_load(&spec(source, config)).unwrap();
        assert!(loaded.verdicts()[1].reason.contains("no BTF"), "{:#?}", loaded.verdicts());
    });
}

/// The verifier knows better than any look at the machine.
const REJECTED: &str =
    r#"SEC("raw_tp/sys_enter") int rejected(void *ctx) { return *(volatile u64 *)(bpf_ktime_get_ns()); }"#;

#[test]
fn what_the_verifier_rejects_is_dropped_and_the_rest_counts() {
    let source = format!(r#"{REJECTED} GETPPID(good, "raw_tp/sys_enter", 1)"#);
    let optional = loaded(&source, "programs: {rejected: {optional: true}}");
    assert_eq!(counted(&optional, 11), [(1, 11)]);
    check_verdicts(
        &optional,
        &[
            ("rejected", Verdict::Unsupported, "verifier rejects the program `rejected`"),
            ("good", Verdict::Attached, ""),
        ],
    );
    // Without the word it costs the config.
    let problems = try_load(&spec(&source, "")).map(Loaded::retire).unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["verifier"]);
}

#[test]
fn an_alternative_that_fails_to_load_gives_way() {
    let source = format!(r#"{REJECTED} GETPPID(good, "?raw_tp/sys_enter", 1)"#);
    let chosen = loaded(&source, "choose: [[rejected, good]]");
    assert_eq!(counted(&chosen, 6), [(1, 6)]);
    // The last alternative is no longer one: it has to work.
    let problems = try_load(&spec(&source, "choose: [[good, rejected]]\nprograms: {good: {enabled: false}}"))
        .map(Loaded::retire)
        .unwrap_err();
    assert_eq!(problems[0].place.program.as_deref(), Some("rejected"));
}

#[test]
fn an_alternative_that_fails_to_attach_gives_way() {
    let source = r#"
        SEC("xdp/no-such-interface") int nowhere(void *ctx) { return 2; }
        SEC("perf_event/type=4242,config=0,frequency=9") int odd(void *ctx) { return 0; }
        GETPPID(good, "raw_tp/sys_enter", 1)
    "#;
    let chosen = loaded(source, "choose: [[nowhere, odd, good]]");
    assert_eq!(counted(&chosen, 4), [(1, 4)]);
    assert_eq!(chosen.link_count(), 1);
    let by_name = |name: &str| chosen.verdicts().iter().find(|found| found.program == name).unwrap().clone();
    assert_eq!(by_name("nowhere").verdict, Verdict::Unsupported);
    assert!(by_name("nowhere").reason.contains("no-such-interface"));
    assert!(by_name("odd").reason.contains("perf_event"));
}

/// Many programs may go one by one; each load has one less.
#[test]
fn dropping_ends_after_as_many_loads_as_there_are_programs() {
    let mut source = r#"GETPPID(good, "raw_tp/sys_enter", 1)"#.to_owned();
    let mut settings = Vec::new();
    for index in 0..12 {
        source.push_str(&REJECTED.replace("rejected", &format!("rejected_{index}")));
        settings.push(format!("rejected_{index}: {{optional: true}}"));
    }
    let many = loaded(&source, &format!("programs: {{{}}}", settings.join(", ")));
    assert_eq!(counted(&many, 3), [(1, 3)]);
    assert_eq!(many.verdicts().iter().filter(|found| found.verdict == Verdict::Unsupported).count(), 12);
}

/// Kernels differ: where there are kprobes or fentry, the programs are attached.
#[test]
fn optional_programs_leave_the_config_whole() {
    let source = r#"
        SEC("kprobe/no_such_function_here") int probe(void *ctx) { return 0; }
        SEC("kprobe/do_exit") int exits(void *ctx) { return 0; }
        SEC("fentry/do_exit") int entry(void *ctx) { return 0; }
        SEC("lsm/file_open") int hook(void *ctx) { return 0; }
        SEC("uprobe//no/such/file:main") int file(void *ctx) { return 0; }
        SEC("xdp/no-such-interface") int packets(void *ctx) { return 2; }
        GETPPID(good, "raw_tp/sys_enter", 1)
    "#;
    let optional = "programs: {probe: {optional: true}, exits: {optional: true}, entry: {optional: true}, hook: {optional: true}, \
         file: {optional: true}, packets: {optional: true}}";
    let loaded = loaded(source, optional);
    assert_eq!(counted(&loaded, 8), [(1, 8)]);
    let by_name = |name: &str| loaded.verdicts().iter().find(|found| found.program == name).unwrap().clone();
    assert_eq!(by_name("good").verdict, Verdict::Attached);
    for name in ["probe", "file", "packets"] {
        assert_eq!(by_name(name).verdict, Verdict::Unsupported, "{:#?}", loaded.verdicts());
    }
    if !std::path::Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        assert_eq!(by_name("exits").verdict, Verdict::Unsupported);
        assert!(by_name("exits").reason.contains("CONFIG_KPROBES"));
    }
    for name in ["exits", "entry", "hook"] {
        let found = by_name(name);
        assert!(found.verdict == Verdict::Attached || !found.reason.is_empty(), "{found:#?}");
    }
}

#[test]
fn optional_programs_may_fail_in_every_way() {
    let source = r#"
        struct task_struct { int no_such_member; } __attribute__((preserve_access_index));
        SEC("odd/place") int odd(void *ctx) { return 0; }
        SEC("raw_tp/sched_switch") int relocated(u64 *ctx)
            { return BPF_CORE_READ((struct task_struct *)ctx[1], no_such_member); }
        SEC("socket") int nowhere(void *ctx) { return 0; }
        GETPPID(good, "raw_tp/sys_enter", 1)
    "#;
    let optional =
        "programs: {odd: {optional: true}, relocated: {optional: true}, nowhere: {optional: true}}";
    let loaded = loaded(source, optional);
    assert_eq!(counted(&loaded, 5), [(1, 5)]);
    let reason = |name: &str| {
        let found = loaded.verdicts().iter().find(|found| found.program == name).unwrap();
        assert_eq!(found.verdict, Verdict::Unsupported, "{found:#?}");
        found.reason.clone()
    };
    assert!(reason("odd").contains("odd/place"));
    assert!(reason("relocated").contains("no_such_member"));
    assert!(reason("nowhere").contains("no attachment by section name"));
}

#[test]
fn what_is_not_optional_and_does_not_attach_is_broken() {
    let source = r#"SEC("raw_tp/no_such_tracepoint") int bad(void *ctx) { return 0; } GETPPID(good, "raw_tp/sys_enter", 1)"#;
    let loaded = try_load(&spec(source, "")).unwrap();
    assert_eq!(loaded.problems().len(), 1);
    let bad = loaded.verdicts().iter().find(|found| found.program == "bad").unwrap();
    assert_eq!(bad.verdict, Verdict::Broken);
    assert!(bad.reason.contains("no_such_tracepoint"));
}

#[test]
fn capacities_are_those_of_the_config() {
    let source = r#"
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } list SEC(".maps");
        GETPPID(good, "raw_tp/sys_enter", bpf_get_prandom_u32())
    "#;
    let loaded = loaded(
        source,
        "maps: {counts: {max_entries: 3}, list: {max_entries: 77}, ring: {max_entries: 16384}}",
    );
    let view = loaded.view();
    assert_eq!(view.source("counts").unwrap().max_entries(), Some(3));
    assert_eq!(rows(view.source("list").unwrap().as_ref()).len(), 77);
    assert_eq!(counted(&loaded, 100).len(), 3, "no more fit");
}

/// A machine whose kernel says that it is locked, and which is this one otherwise.
fn locked() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let sysfs = folder.path();
    std::fs::create_dir_all(sysfs.join("kernel/security")).unwrap();
    std::fs::write(sysfs.join("kernel/security/lockdown"), "none integrity [confidentiality]\n").unwrap();
    std::os::unix::fs::symlink("/sys/kernel/btf", sysfs.join("kernel/btf")).unwrap();
    let host = Host::new(Roots { sysfs: sysfs.to_owned(), ..Roots::default() });
    (folder, host)
}

/// Of two alternatives the first one is refused because of the lock, and the other one lacks something. The helper is
/// one that programs of this kind may never use, and the verifier's words are the same.
#[test]
fn an_alternative_that_the_lock_refuses_is_not_hidden_by_what_the_next_one_lacks() {
    let source = r#"
        SEC("?socket") int reads(void *context)
        {
            u64 value = 0;
            bpf_probe_read(&value, sizeof(value), context);
            return value;
        }
        SEC("?tp_btf/no_such") int lacks(void *context) { return 0; }
        SEC("raw_tp/sys_enter") int other(void *context) { return 0; }
    "#;
    let (_folder, host) = locked();
    let words = [
        "`lacks`",
        "no_such",
        "`choose` came to `lacks` after `reads`",
        "cannot use helper bpf_probe_read",
        "the kernel is locked down (confidentiality) and lets no program read its memory",
    ];
    let spec = |more: &str| spec(source, &format!("choose: [[reads, lacks]]\n{more}"));
    let problems = bpf::load(&spec(""), &host, &bpf::Options::default()).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
    assert!(words.iter().all(|word| problem.message.contains(word)), "{problem:#?}");
    // The config is whole without the last one: each has its own verdict.
    let loaded = bpf::load(&spec("programs: {lacks: {optional: true}}"), &host, &bpf::Options::default());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let reads = loaded.verdicts().iter().find(|verdict| verdict.program == "reads").unwrap();
    assert!(reads.reason.contains(words[4]), "{reads:#?}");
}
