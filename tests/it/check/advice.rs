use super::*;

/// A gauge over a map that stands in [`OBJECT`], and an object with more in it.
#[track_caller]
fn check_object(source: &str, arguments: &[&str], expected: &[&str]) -> Value {
    let folder = Folder::new(&[]);
    let text = "metrics: {gauges: [{name: queue_tasks, help: h}]}\n";
    folder.add("a", text, &format!("{OBJECT}{source}"));
    let outcome = folder.check(&[&["--format=json", "."], arguments].concat());
    assert_eq!(brief(&outcome.stdout), expected, "{}", outcome.stdout);
    serde_json::from_str(&outcome.stdout).unwrap()
}

const OBJECT: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }
    queue_tasks SEC(".maps");
"#;

#[test]
fn names_follow_the_conventions() {
    #[track_caller]
    fn check(metric: &str, expected: &[&str]) {
        let folder = Folder::new(&[]);
        folder.add("a", &format!("metrics:\n{metric}\n"), SOURCE);
        assert_eq!(folder.brief(&["."]), expected, "{metric}");
    }
    let counter = |name: &str| format!("  counters:\n    - {{name: {name}, map: queue_tasks, help: h}}");
    check(&counter("switches_total"), &[]);
    check(&counter("switches"), &["?counter-name 3:14"]);
    check(&counter("switch_ms_total"), &["?unit-name 3:14"]);
    check("  gauges:\n    - {name: queue_total, map: queue_tasks, help: h}", &["?total-name 3:14"]);
    let labels = |labels: &str| {
        format!(
            "  gauges:\n    - name: addresses\n      map: by_address_total\n      help: h\n      labels: {labels}"
        )
    };
    check(&labels("[instance]"), &["?target-label 6:16"]);
    check(&labels("[{field: '', name: userName}]"), &["?name-case 6:34"]);
    check(&labels("[{name: job, size: 8, decoders: [uint]}]"), &["?target-label 6:23"]);
    // Advice on what is lost teaches nothing.
    check(
        &format!("{}\n    - {{name: addresses, map: queue_tasks, help: other}}", labels("[job]")),
        &["?target-label 6:16", "!metric-conflict 7:14"],
    );
}

#[test]
fn ring_buffers_are_powers_of_two_pages() {
    let ring = |size: &str| {
        format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, {size}); }} ring SEC(\".maps\");"
        )
    };
    check_object(&ring("65536"), &[], &[]);
    let found = check_object(&ring("5000"), &[], &["?ring-size -"]);
    assert!(found[0]["help"].as_str().unwrap().contains("8192"), "{found:#}");
}

/// The kernel does not say what a ring buffer had no room for.
#[test]
fn losses_that_nobody_counts_are_told() {
    let ring =
        "struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } ring SEC(\".maps\");";
    let losses = "struct event_losses { u64 full; }; struct event_losses ring_losses;";
    let reads = "metrics: {counters: [{name: seen_total, help: h, ringbuf: ring}]}\n";
    #[track_caller]
    fn check(text: &str, source: &str, expected: &[&str]) {
        let folder = Folder::new(&[]);
        folder.add("a", text, &format!("{OBJECT}{source}"));
        assert_eq!(folder.brief(&["."]), expected, "{source}");
    }
    check(reads, ring, &[".uncounted-losses -"]);
    check(reads, &format!("{ring}{losses}"), &[]);
    check("metrics: {gauges: [{name: queue_tasks, help: h}]}\n", ring, &[]);
}

#[test]
fn maps_whose_names_are_cut_alike_are_told() {
    let map = |name: &str| {
        format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); \
             __type(value, u64); }} {name} SEC(\".maps\");"
        )
    };
    check_object(&(map("a_rather_long_name_1") + &map("a_rather_long_name_2")), &[], &["?map-name-clash -"]);
    check_object(&(map("a_rather_long_1") + &map("a_rather_long_2")), &[], &[]);
}

/// Of tc only who asks for links needs a kernel that has them.
#[test]
fn filters_do_where_there_are_no_links() {
    #[track_caller]
    fn check(section: &str, mode: &str, floor: &str) {
        let folder = Folder::new(&[]);
        let attach = format!("{{interface: lo, direction: ingress, mode: {mode}}}");
        let text = format!(
            "programs: {{probe: {{attach: {{tc: {attach}}}}}}}\nmetrics: {{gauges: [{{name: queue_tasks, help: h}}]}}\n"
        );
        folder.add("a", &text, &format!("{OBJECT}SEC(\"{section}\") int probe(void *ctx) {{ return 0; }}"));
        let said = folder.check(&["."]).stdout;
        assert!(said.contains(&format!("Linux {floor}: `probe` (section ")), "{section} {mode}: {said}");
    }
    check("tc/ingress", "auto", "4.1");
    check("tcx/ingress", "classic", "4.1");
    check("tcx/ingress", "tcx", "6.6");
    check("tc/ingress", "tcx", "6.6");
}

#[test]
fn many_series_are_told_before_prometheus_tells() {
    let source = SOURCE.replace(
        "MAP(by_address_total, HASH, u64, u64, 64)",
        "MAP(by_address_total, HASH, u64, u64, 200000)",
    );
    let folder = Folder::new(&[]);
    folder.add("a", GOOD, &source);
    assert_eq!(folder.brief(&["."]), ["?many-series 3:14"]);
}

#[test]
fn merged_keys_are_a_note() {
    let folder = Folder::new(&[("a", &GOOD.replace("uint", "ksym"))]);
    assert_eq!(folder.brief(&["."]), [".merged-keys 3:14"]);
    assert_eq!(folder.check(&[".", "--strict"]).code, 0);
    assert!(folder.check(&["."]).stdout.contains("CAP_SYSLOG"));
}

#[test]
fn helpers_for_the_gpl_alone_want_its_licence() {
    // The prelude says "Dual BSD/GPL".
    let source = format!(
        "{OBJECT}SEC(\"raw_tp/sched_switch\") int probe(void *ctx) {{ return bpf_probe_read_kernel(&ctx, 8, ctx); }}"
    );
    let folder = Folder::new(&[]);
    let text = "metrics: {gauges: [{name: queue_tasks, help: h}]}\n";
    folder.add("a", text, &source);
    assert_eq!(folder.brief(&["."]), [""; 0]);
    let object = folder.0.path().join("a.bpf.o");
    let mut bytes = std::fs::read(&object).unwrap();
    let at = bytes.windows(12).position(|window| window == b"Dual BSD/GPL").unwrap();
    bytes[at..at + 12].copy_from_slice(b"Apache-2.0\0\0");
    std::fs::write(&object, bytes).unwrap();
    assert_eq!(folder.brief(&["."]), ["!licence-not-gpl -"]);
    assert_eq!(folder.check(&["."]).code, 1);
}

#[test]
fn sections_that_nobody_attaches_are_told() {
    check_object("SEC(\"tc\") int probe(void *ctx) { return 0; }", &[], &["?not-attachable -"]);
    check_object("SEC(\"nonsense/x\") int probe(void *ctx) { return 0; }", &[], &["!unknown-section -"]);
    // Both say that it is meant.
    check_object("SEC(\"?tc\") int probe(void *ctx) { return 0; }", &[], &[]);
    let folder = Folder::new(&[]);
    let text = "programs: {probe: {enabled: false}}\nmetrics: {gauges: [{name: queue_tasks, help: h}]}\n";
    folder.add("a", text, &format!("{OBJECT}SEC(\"tc\") int probe(void *ctx) {{ return 0; }}"));
    assert_eq!(folder.brief(&["."]), [""; 0]);
}

const VMLINUX: &str = "--btf=/sys/kernel/btf/vmlinux";

#[test]
fn targets_that_the_kernel_lacks_are_told() {
    let program = |section: &str| format!("SEC(\"{section}\") int probe(void *ctx) {{ return 0; }}");
    check_object(&program("tp_btf/sched_switch"), &[], &[]);
    check_object(&program("fentry/do_exit"), &[], &[]);
    let found = check_object(&program("tp_btf/sched_swich"), &[], &["?missing-target -"]);
    assert_eq!(found[0]["help"], "did you mean `sched_switch`?");
    // A kernel that was named is what the object is for.
    check_object(&program("tp_btf/sched_swich"), &[VMLINUX], &["!missing-target -"]);
    check_object(&program("fentry/no_such_function"), &[VMLINUX], &["!missing-target -"]);
    let found = check_object(&program("fentry/do_unlinkatt"), &[VMLINUX], &["!missing-target -"]);
    assert_eq!(found[0]["help"], "did you mean `do_unlinkat`?");
    check_object(&program("?fentry/no_such_function"), &[VMLINUX], &[]);
    for section in [
        "tracepoint/sched/sched_switch",
        "tp/syscalls/sys_enter_openat",
        "tp/syscalls/sys_exit_newfstat",
        "tp/raw_syscalls/sys_enter",
        "tp/kprobes/my_own",
        "tp/ftrace/function",
        "tp/user_events/my_own",
        "tp/probe_libc/malloc",
        // Calls without arguments.
        "tp/syscalls/sys_enter_getpid",
        "ksyscall/fork",
    ] {
        check_object(&program(section), &[VMLINUX], &[]);
    }
    // A module may have it.
    let found = check_object(&program("tp/sched/sched_swich"), &[VMLINUX], &["?missing-target -"]);
    assert_eq!(found[0]["help"], "did you mean `sched_switch`?");
    let found = check_object(&program("tp/syscalls/sys_enter_opnat"), &[VMLINUX], &["!missing-target -"]);
    assert_eq!(found[0]["help"], "did you mean `openat`?");
    check_object(&program("ksyscall/unlinkat"), &[VMLINUX], &[]);
    check_object(&program("ksyscall/unlinkatt"), &[VMLINUX], &["!missing-target -"]);
}

/// Those of kernels before Linux 5.5, and those that were tailored to an object, have neither functions nor tracepoints.
#[test]
fn types_of_data_alone_say_nothing_of_targets() {
    let types = objects::compile("struct task_struct { int pid; }; struct task_struct known;\n");
    let types = format!("--btf={}", types.display());
    let program = |section: &str| format!("SEC(\"{section}\") int probe(void *ctx) {{ return 0; }}");
    for section in
        ["tp/sched/sched_switch", "raw_tp/sched_switch", "tp/syscalls/sys_enter_openat", "ksyscall/openat"]
    {
        check_object(&program(section), &[&types], &[]);
    }
    // This one the kernel looks up in them.
    check_object(&program("tp_btf/sched_switch"), &[&types], &["!missing-target -"]);
}

#[test]
fn patterns_of_functions_are_held_against_the_kernel() {
    #[track_caller]
    fn check(section: &str, pattern: &str, expected: &[&str]) -> String {
        let folder = Folder::new(&[]);
        let source = format!("{OBJECT}SEC(\"{section}\") int probe(void *ctx) {{ return 0; }}");
        let attach = format!("{{probe: {{attach: {{kprobe: {{function: \"{pattern}\"}}}}}}}}");
        folder.add(
            "a",
            &format!("programs: {attach}\nmetrics: {{gauges: [{{name: queue_tasks, help: h}}]}}\n"),
            &source,
        );
        assert_eq!(folder.brief(&[".", VMLINUX]), expected, "{pattern}");
        folder.check(&[".", VMLINUX]).stdout
    }
    for section in ["kprobe", "kretprobe"] {
        check(section, "vfs_fallocat?", &[]);
        let said = check(section, "vfs_falocate*", &["!missing-target -"]);
        assert!(said.contains("the closest one is `vfs_fallocate`"), "{said}");
        let said = check(section, "*", &["?many-targets -"]);
        assert!(said.contains("at most 512") && said.contains("kprobe.multi"), "{said}");
    }
    check("kprobe.multi", "*", &[]);
}

/// The configuration of a kernel says more than its types.
#[test]
fn options_that_the_kernel_was_built_without_are_told() {
    #[track_caller]
    fn check(section: &str, set: &str, options: &str, expected: &[&str]) -> Outcome {
        let folder = Folder::new(&[]);
        let source = format!("{OBJECT}SEC(\"{section}\") int probe(void *ctx) {{ return 0; }}");
        let text = format!("{set}metrics: {{gauges: [{{name: queue_tasks, help: h}}]}}\n");
        folder.add("a", &text, &source);
        std::fs::write(folder.0.path().join("config"), options).unwrap();
        assert_eq!(folder.brief(&[".", VMLINUX, "--kconfig=config"]), expected, "{section} {options}");
        folder.check(&[".", VMLINUX, "--kconfig=config"])
    }
    let with = |options: &str| format!("CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_EVENTS=y\n{options}");
    let lacks = ["!kernel-option -"];
    let said = check("kprobe/do_exit", "", &with("# CONFIG_KPROBES is not set\n"), &lacks);
    assert_eq!(said.code, 1);
    let expected = "error[kernel-option]: `probe` needs CONFIG_KPROBES, which the kernel of /sys/kernel/btf/vmlinux is built \
                    without\n  program: probe\n  expected: CONFIG_KPROBES=y for SEC(\"kprobe/do_exit\")\n  found: config does \
                    not set it\n";
    assert!(said.stdout.contains(expected), "{}", said.stdout);
    check("kprobe/do_exit", "", &with("CONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y\n"), &[]);
    check("lsm/file_open", "", &with("CONFIG_DEBUG_INFO_BTF=y\n"), &lacks);
    // Nor is its target worth a word.
    check("fentry/no_such_function", "", &with(""), &lacks);
    check("tp_btf/sched_switch", "", &with("CONFIG_DEBUG_INFO_BTF=y\n"), &[]);
    check("?kprobe/do_exit", "", &with(""), &[]);
    check("kprobe/do_exit", "programs: {probe: {optional: true}}\n", &with(""), &[".kernel-option -"]);
}

#[test]
fn what_is_no_configuration_of_a_kernel_is_refused() {
    let folder = Folder::new(&[("a", GOOD)]);
    std::fs::write(folder.0.path().join("part"), "CONFIG_HZ=250\n").unwrap();
    for (file, said) in [("part", "CONFIG_BPF_SYSCALL is not set in it"), ("none", "No such file")] {
        let outcome = folder.check(&[".", &format!("--kconfig={file}")]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{file}");
        let beginning =
            format!("error: --kconfig={file}: the kernel's configuration cannot be used: reading {file}: ");
        assert!(
            outcome.stderr.starts_with(&beginning) && outcome.stderr.contains(said),
            "{}",
            outcome.stderr
        );
    }
}

/// Reads of a kernel struct, as the object thinks that it is.
fn reads(body: &str) -> String {
    format!(
        "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n\
         struct task_struct {{ int pid; int no_such_member; struct {{ int tgid; }}; }};\n\
         struct no_such_struct {{ int a; }};\n\
         struct task_struct___old {{ long state; }};\n\
         #pragma clang attribute pop\n\
         enum bpf_map_type___x {{ BPF_MAP_TYPE_NO_SUCH = 77 }};\n\
         SEC(\"raw_tp/sched_switch\") int probe(void *ctx) {{\n\
         struct task_struct *task = (void *)bpf_get_current_task(); u64 out = 0; {body} return out; }}"
    )
}

#[test]
fn members_that_the_kernel_lacks_are_told() {
    check_object(&reads("out = BPF_CORE_READ(task, pid) + BPF_CORE_READ(task, tgid);"), &[], &[]);
    let read = reads("out = BPF_CORE_READ(task, no_such_member) + BPF_CORE_READ(task, no_such_member);");
    let found = check_object(&read, &[], &["?core-field -"]);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("`task_struct.no_such_member`") && message.contains("`probe`"), "{message}");
    check_object(&read, &[VMLINUX], &["!core-field -"]);
    let read = reads("out = BPF_CORE_READ((struct no_such_struct *)task, a);");
    check_object(&read, &[VMLINUX], &["!core-type -"]);
    let read = reads("out = bpf_core_enum_value(enum bpf_map_type___x, BPF_MAP_TYPE_NO_SUCH);");
    check_object(&read, &[VMLINUX], &["!core-enumerator -"]);
    check_object(&reads("out = bpf_core_type_size(struct no_such_struct);"), &[VMLINUX], &["!core-type -"]);
}

#[test]
fn what_the_program_asks_for_may_be_missing() {
    let guarded =
        "if (bpf_core_field_exists(task->no_such_member)) out = BPF_CORE_READ(task, no_such_member);";
    check_object(&reads(guarded), &[VMLINUX], &[]);
    let other = "struct task_struct___old *old = (void *)task; \
                 out = bpf_core_field_exists(old->state) ? BPF_CORE_READ(old, state) : BPF_CORE_READ(task, pid);";
    check_object(&reads(other), &[VMLINUX], &[]);
    let types = "if (bpf_core_type_exists(struct no_such_struct)) out = BPF_CORE_READ((struct no_such_struct *)task, a);";
    check_object(&reads(types), &[VMLINUX], &[]);
}

#[test]
fn kernel_functions_that_the_kernel_lacks_are_told() {
    let calls = |weak: &str| {
        format!(
            "extern int bpf_no_such_kfunc(void) __ksym {weak};\n\
             SEC(\"tp_btf/sched_switch\") int probe(void *ctx) {{ return bpf_no_such_kfunc ? bpf_no_such_kfunc() : 0; }}"
        )
    };
    check_object(&calls("__weak"), &[VMLINUX], &[]);
    check_object(&calls(""), &[VMLINUX], &["!missing-symbol -"]);
}

/// Kinds of maps are the kernel's own list; here one that is shorter than the running kernel's.
#[test]
fn kinds_that_an_old_kernel_lacks_are_told() {
    // An object's own BTF is as good as a kernel's to look things up in.
    let old = objects::compile(
        "enum bpf_map_type { BPF_MAP_TYPE_UNSPEC_, BPF_MAP_TYPE_HASH_, BPF_MAP_TYPE_ARRAY_ } kinds = 1;\n\
         SEC(\"raw_tp/x\") int probe(void *ctx) { return kinds; }"
            .replace("enum bpf_map_type {", "enum bpf_map_type___old {")
            .as_str(),
    );
    let ring =
        "struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(\".maps\");";
    let btf = format!("--btf={}", old.display());
    let found = check_object(ring, &[&btf], &["!kernel-too-old -"]);
    assert_eq!(found[0]["expected"], "Linux 5.8 or later");
    check_object("", &[&btf], &[]);
}
