//! Failures as kernels and libbpf word them.

use std::path::Path;
use std::sync::Arc;

use caps::{Capability, CapsHashSet};

use super::*;

fn spec() -> LoadSpec {
    LoadSpec {
        name: "test".into(),
        object: "test.bpf.o".into(),
        object_bytes: Arc::from([].as_slice()),
        ..LoadSpec::default()
    }
}

fn machine(capabilities: CapsHashSet) -> Machine {
    Machine { release: "6.1.0".into(), effective: capabilities, ..Machine::default() }
}

fn explain(errno: i32, messages: &[&str], effective: &[Capability]) -> Problem {
    let program =
        OpenProgramFacts { name: "p".into(), section: "fentry/f".into(), kind: ProgramType::Tracing };
    let load =
        Failure::Load { errno, programs: vec![program], linked: vec![], btf_path: Some("/btf".into()) };
    failure(&load, &Log::of(messages), &spec(), &machine(effective.iter().copied().collect()))
}

#[track_caller]
fn check(errno: i32, messages: &[&str], code: &str, in_message: &str) {
    let problem = explain(errno, messages, &[Capability::CAP_SYS_ADMIN]);
    assert_eq!(problem.code, code, "{problem:?}");
    assert!(problem.message.contains(in_message), "{problem:?}");
    assert_eq!(problem.place.config.as_deref(), Some("test"));
    assert_eq!(problem.place.file.as_deref(), Some(Path::new("test.bpf.o")));
}

const FAILED: &str = "libbpf: prog 'p': BPF program load failed: -EACCES\n";

#[test]
fn each_failure_has_a_name_of_its_own() {
    check(libc::EINVAL, &[], "load-failed", "Invalid argument");
    check(0, &[], "load-failed", "no reason given");
    let create = "libbpf: map 'm': failed to create: -E2BIG\n";
    check(libc::E2BIG, &[create], "map-create", "`m`");
    let verifier = "libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\nR1 !read_ok\nprocessed 1 insns\n-- END PROG LOAD LOG --\n";
    check(libc::EACCES, &[FAILED, verifier], "verifier", "`p`: R1 !read_ok");
    let relocation = "libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n8: <invalid CO-RE relocation>\nfailed to resolve CO-RE \
                      relocation <byte_off> [7] struct s.m (0:0 @ offset 0)\n-- END PROG LOAD LOG --\n";
    check(libc::EINVAL, &[FAILED, relocation], "core-relocation", "struct s.m");
    check(libc::ESRCH, &["libbpf: Error loading vmlinux BTF: -ESRCH\n"], "kernel-btf", "BTF");
    check(libc::EINVAL, &["libbpf: failed to parse target BTF: -EINVAL\n"], "btf-path", "/btf");
    let target = "libbpf: prog 'p': failed to find kernel BTF type ID of 'f': -ESRCH\n";
    check(libc::ESRCH, &[target], "missing-target", "`f`");
    let symbol = "libbpf: extern (func ksym) 'bpf_gone': not found in kernel or module BTFs\n";
    check(libc::ESRCH, &[symbol], "missing-target", "`bpf_gone`");
    let section = "libbpf: prog 'p': missing BPF prog type, check ELF section name 'odd/place'\n";
    check(libc::EINVAL, &[section], "unknown-section", "`odd/place`");
    check(libc::EPERM, &[FAILED], "unsupported-program", "`p` (fentry/f)");
    check(libc::EINVAL, &[FAILED], "unsupported-program", "`p` (fentry/f)");
}

#[test]
fn what_the_verifier_does_not_say_follows_from_the_kernel() {
    #[track_caller]
    fn check(section: &str, release: &str, lockdown: Option<&str>, line: &str, expected: &str) {
        let program =
            OpenProgramFacts { name: "p".into(), section: section.into(), kind: ProgramType::Tracing };
        let load =
            Failure::Load { errno: libc::EINVAL, programs: vec![program], linked: vec![], btf_path: None };
        let log = format!("libbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n{line}\n-- END PROG LOAD LOG --\n");
        let machine = Machine {
            release: release.into(),
            lockdown: lockdown.map(str::to_owned),
            ..machine([Capability::CAP_SYS_ADMIN].into_iter().collect())
        };
        let problem = failure(&load, &Log::of(&[FAILED, &log]), &spec(), &machine);
        assert_eq!(problem.code, "verifier");
        let said = format!("{}; {}", problem.message, problem.help.as_deref().unwrap_or_default());
        assert!(said.contains(expected), "{problem:?}");
        // Where no help is shown it has to be known as well.
        assert!(problem.message.contains(expected) || !expected.contains("locked"), "{problem:?}");
    }
    let sleeping = "Only fentry/fexit/fmod_ret and lsm programs can be sleepable";
    check("uprobe.s//bin/sh:main", "5.10.0", None, sleeping, "came with Linux 6.0");
    let function = "__x64_sys_fallocate is not sleepable";
    check("fentry.s/__x64_sys_fallocate", "6.1.0", None, function, "(CONFIG_FUNCTION_ERROR_INJECTION)");
    let helper = "program of this type cannot use helper bpf_probe_read#4";
    check("tp_btf/sys_enter", "7.2.0", Some("confidentiality"), helper, "locked down (confidentiality)");
    check("tp_btf/sys_enter", "7.2.0", Some("integrity"), helper, "--log.level=debug");
    check("tp_btf/sys_enter", "7.2.0", None, helper, "--log.level=debug");
    check("tp_btf/sys_enter", "7.2.0", Some("confidentiality"), "R1 !read_ok", "--log.level=debug");
    let helper = "program of this type cannot use helper bpf_probe_write_user#36";
    check(
        "kprobe/f",
        "6.1.0",
        Some("integrity"),
        helper,
        "locked down (integrity) and lets no program write",
    );
}

#[test]
fn links_of_operations_are_known_to_have_come_later() {
    #[track_caller]
    fn check(release: &str, map: &str, expected: &str) {
        let linked = vec!["by_link".to_owned()];
        let load = Failure::Load { errno: libc::EINVAL, programs: vec![], linked, btf_path: None };
        let create = format!("libbpf: map '{map}': failed to create: -EINVAL\n");
        let machine = Machine { release: release.into(), ..machine(CapsHashSet::new()) };
        let problem = failure(&load, &Log::of(&[&create]), &spec(), &machine);
        assert_eq!(problem.code, "map-create");
        assert!(problem.help.as_deref().unwrap_or_default().contains(expected), "{problem:?}");
    }
    check("6.1.0", "by_link", "came with Linux 6.4, and this is 6.1.0");
    check("6.1.0", "other", "knows no such kind of map");
    check("6.4.0", "by_link", "knows no such kind of map");
}

#[test]
fn limits_of_the_process_are_not_blamed_on_the_object() {
    let help = |problem: Problem| problem.help.unwrap_or_default();
    assert!(help(explain(libc::EMFILE, &[], &[])).contains("LimitNOFILE"));
    let create = "libbpf: map 'm': failed to create: -EMFILE\n";
    assert!(help(explain(libc::EMFILE, &[create], &[])).contains("LimitNOFILE"));
    let opened = failure(&Failure::Open(libc::EMFILE), &Log::of(&[]), &spec(), &machine(CapsHashSet::new()));
    assert!(help(opened).contains("LimitNOFILE"));
}

#[test]
fn pinned_maps_need_their_file_system() {
    let messages = [
        "libbpf: specified path /sys/fs/bpf/m is not on BPF FS\n",
        "libbpf: map 'm': failed to auto-pin at '/sys/fs/bpf/m': -EINVAL\n",
        "libbpf: map 'm': failed to create: -EINVAL\n",
    ];
    let problem = explain(libc::EINVAL, &messages, &[]);
    assert_eq!(problem.code, "map-create");
    assert!(problem.help.is_some_and(|help| help.contains("mount -t bpf")));
}

#[test]
fn what_is_not_permitted_names_the_capabilities_that_are_missing() {
    let problem = explain(libc::EPERM, &[FAILED], &[Capability::CAP_BPF]);
    assert_eq!(problem.code, "privilege", "{problem:?}");
    assert!(problem.message.ends_with("CAP_PERFMON missing"), "{problem:?}");
    let create = "libbpf: map 'm': failed to create: -EPERM\n";
    let problem = explain(libc::EPERM, &[create], &[]);
    assert_eq!(problem.code, "privilege", "{problem:?}");
    assert!(problem.message.ends_with("CAP_BPF, CAP_PERFMON missing"), "{problem:?}");
}

/// What libbpf says when the kernel takes not even an empty program.
const TRIVIAL: &str = "libbpf: Error in bpf_object__probe_loading(): -EPERM. Couldn't load trivial BPF program. Make sure your \
                       kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that RLIMIT_MEMLOCK is set to big enough value.\n";

#[test]
fn what_refuses_in_spite_of_all_capabilities_is_told() {
    #[track_caller]
    fn check(errno: i32, machine: Machine, code: &str, expected: &str, never: &str) {
        let load = Failure::Load { errno, programs: vec![], linked: vec![], btf_path: None };
        let machine = Machine { release: "6.1.0".into(), ..machine };
        let problem = failure(&load, &Log::of(&[TRIVIAL]), &spec(), &machine);
        assert_eq!(problem.code, code, "{problem:?}");
        let said = format!("{problem:?}");
        assert!(said.contains(expected) && !said.contains(never) && !said.contains("RLIMIT"), "{problem:?}");
    }
    let effective: CapsHashSet = [Capability::CAP_SYS_ADMIN].into_iter().collect();
    let free = Machine { effective, ..Machine::default() };
    let filtered = Machine { filtered: true, ..free.clone() };
    let nested = Machine { user_namespace: true, ..free.clone() };
    let none = Machine { filtered: true, ..Machine::default() };
    check(libc::EPERM, filtered.clone(), "bpf-refused", "the seccomp filter", "CAP_");
    check(libc::EPERM, free.clone(), "bpf-refused", "SELinux", "the seccomp filter");
    check(libc::ENOSYS, filtered, "bpf-refused", "the seccomp filter", "CAP_");
    check(libc::ENOSYS, free, "bpf-refused", "built without CONFIG_BPF_SYSCALL", "seccomp");
    check(libc::EPERM, nested, "privilege", "run it outside", "run as root");
    check(libc::EPERM, none, "privilege", "CAP_BPF missing", "seccomp");
}

#[test]
fn memory_that_is_not_there_may_be_a_limit() {
    let problem = explain(libc::ENOMEM, &["libbpf: map 'm': failed to create: -ENOMEM\n"], &[]);
    assert!(problem.help.is_some_and(|help| help.contains("MemoryMax=")));
}

#[test]
fn symbols_need_all_of_proc() {
    let problem = explain(libc::EINVAL, &["libbpf: failed to open /proc/kallsyms: -ENOENT\n"], &[]);
    assert!(problem.help.is_some_and(|help| help.contains("/proc has to be mounted")));
}

#[test]
fn an_object_that_cannot_be_opened_says_so() {
    let log = Log::of(&["libbpf: elf: failed to get section(3) header from test\n"]);
    let problem = failure(&Failure::Open(libc::EINVAL), &log, &spec(), &machine(CapsHashSet::new()));
    assert_eq!(problem.code, "open-failed");
    assert!(problem.found.is_some_and(|found| found.contains("section(3)")));
}

#[test]
fn the_errno_is_found_in_an_error_of_libbpf_rs() {
    use libbpf_rs::ErrorExt as _;
    let error = libbpf_rs::Error::from_raw_os_error(libc::E2BIG);
    assert_eq!(errno_of(&error), libc::E2BIG);
    assert_eq!(errno_of(&error.context("while (trying)")), libc::E2BIG);
    let other = libbpf_rs::Error::from(io::Error::other("nothing from the system"));
    assert_eq!(errno_of(&other), 0);
}
