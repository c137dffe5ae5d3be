use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Workload, good_yaml};
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::{run, with_mounts};
use crate::common::objects::compile;

/// More configs than a process with few descriptors can load.
fn many(calls: Workload) -> Folder {
    let folder = Folder::new();
    let object = calls.good_object("m");
    for number in 0..60 {
        let name = format!("config{number:02}");
        folder.pair(
            &name,
            &good_yaml("m").replace("name: m\n", &format!("name: {name}\n      map: m\n")),
            &object,
        );
    }
    folder
}

fn good() -> Folder {
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good_total"), &Workload::new().good_object("good_total"));
    folder
}

/// The limit that processes get by default is for the sake of `select`, which is not used.
#[test]
fn the_limit_on_descriptors_is_raised() {
    let folder = many(Workload::new());
    let exporter = Exporter::launch_after("ulimit -Sn 64", &[&folder.argument()]);
    assert_eq!(
        exporter.values("ebpf_exporter_config_loaded").iter().map(|(_, value)| value).sum::<f64>(),
        60.0
    );
    assert!(!exporter.log().contains("level=error"), "{}", exporter.log());
}

/// Where it cannot be raised, some configs are lost, and the page still says which.
#[test]
fn http_is_served_when_descriptors_run_out() {
    let folder = many(Workload::new());
    let exporter = Exporter::launch_after("ulimit -n 150", &[&folder.argument()]);
    let began = Instant::now();
    for _ in 0..5 {
        let loaded = exporter.values("ebpf_exporter_config_loaded");
        let loaded = loaded.iter().map(|(_, value)| value).sum::<f64>();
        assert!((1.0..60.0).contains(&loaded), "{loaded} {}", exporter.log());
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(exporter.log().contains("LimitNOFILE"), "{}", exporter.log());
    let (status, log) = exporter.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A descriptor that was promised and not handed over must not be taken for one of our own.
#[test]
fn a_socket_that_was_not_handed_over_is_missed() {
    let folder = good();
    let command = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=2; exec {} {} --web.listen-address=fd://1 3>&- 4>&-",
        env!("CARGO_BIN_EXE_bpftally"),
        folder.argument()
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen at fd://1"), "{said}");
}

/// Asked to end while it loads, it loads no more; nobody waits for the rest.
#[test]
fn sigterm_ends_the_loading() {
    let folder = many(Workload::new());
    for number in 0..540 {
        let name = format!("later{number:03}");
        let yaml = good_yaml("m").replace("name: m\n", &format!("name: {name}\n      map: m\n"));
        folder.file(&format!("{name}.yaml"), yaml + "object: config00.bpf.o\n");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_bpftally"))
        .args([&folder.argument(), "--web.listen-address=127.0.0.1:0", "--log.level=debug"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let listening = log.find(|line| line.contains("msg=listening"));
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let rest: Vec<String> = log.collect();
    let status = child.wait().unwrap();
    assert!(listening.is_some() && status.code() == Some(0), "{status}: {rest:#?}");
    assert!(rest.iter().any(|line| line.contains("while the configs were being loaded")), "{rest:#?}");
    assert!(!rest.iter().any(|line| line.contains("msg=serving")), "{rest:#?}");
}

/// With CAP_BPF and CAP_PERFMON alone everything works but the statistics, which are not made up then.
#[test]
fn two_capabilities_are_enough() {
    let folder = good();
    let capabilities = "-all,+bpf,+perfmon";
    let commands = format!(
        "exec setpriv --bounding-set={capabilities} --inh-caps={capabilities} --ambient-caps={capabilities} \"$0\" \"$@\""
    );
    let exporter = Exporter::launch_after(&commands, &[&folder.argument(), "--bpf.stats=on"]);
    let page = exporter.page();
    assert!(page.contains("ebpf_exporter_config_loaded{config=\"good\"} 1"), "{page}");
    assert!(page.contains("ebpf_exporter_ebpf_program_attached{"), "{page}");
    assert!(exporter.log().contains("--bpf.stats=on has no effect"), "{}", exporter.log());
    let measured = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").unwrap().trim() == "1";
    assert_eq!(page.contains("ebpf_program_run_count_total{"), measured, "{page}");
}

#[test]
fn a_capability_that_is_missing_is_named() {
    let folder = good();
    for (has, missing) in [("bpf", "CAP_PERFMON missing"), ("perfmon", "CAP_BPF missing")] {
        let capabilities = format!("-all,+{has}");
        let output = Command::new("setpriv")
            .args([format!("--bounding-set={capabilities}"), format!("--inh-caps={capabilities}")])
            .args([env!("CARGO_BIN_EXE_bpftally"), "--config.check", &folder.argument()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(missing), "{said}");
    }
}

/// What may not be read is not what there is no descriptor for.
#[test]
fn descriptors_are_there_where_the_root_may_not_be_read() {
    use caps::{CapSet, Capability};
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(1), Some(1)).unwrap();
    with_mounts(|| {
        std::os::unix::fs::chroot(folder.path()).unwrap();
        for capability in [Capability::CAP_DAC_OVERRIDE, Capability::CAP_DAC_READ_SEARCH] {
            caps::drop(None, CapSet::Effective, capability).unwrap();
        }
        assert!(std::fs::read_dir("/").is_err());
        assert!(bpftally::host::has_room() && bpftally::host::are_left());
    });
}

/// A program at a performance event.
fn sampled() -> Folder {
    let source = "DECLARE_MAP(samples, HASH, 64, u32, u64);
        SEC(\"perf_event/type=1,config=0,frequency=9\") int sample(void *context) { return 0; }";
    let folder = Folder::new();
    folder.pair("sampled", &good_yaml("samples"), &compile(source));
    folder
}

/// Who holds every capability is not told to get one.
#[test]
fn a_seccomp_filter_that_refuses_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exporter/refuse.c");
    let refuse = folder.path().join("refuse").display().to_string();
    run("gcc", &["-Wall", "-o", &refuse, source]);
    let check = |call: &str, errno: i32, folder: &Folder, expected: [&str; 2]| {
        let commands = format!("exec {refuse} {call} {errno} \"$0\" \"$@\"");
        let exporter = Exporter::launch_after(&commands, &[&folder.argument()]);
        assert_eq!(exporter.get("/").status, 200);
        let log = exporter.log();
        for expected in expected.iter().chain(&["the seccomp filter that this process runs under"]) {
            assert!(log.contains(expected), "{call} {errno}: {log}");
        }
        // The kernel is not blamed either.
        assert!(!log.contains("CAP_") && !log.contains("takes no programs"), "{call} {errno}: {log}");
    };
    let optional = good();
    let yaml = good_yaml("good_total") + "programs: {count_calls: {optional: true}}\n";
    optional.file("good.yaml", yaml);
    let because = "no capability is missing, so something else refuses";
    for folder in [&good(), &optional] {
        check("bpf", libc::EPERM, folder, ["code=bpf-refused", because]);
        check("bpf", libc::ENOSYS, folder, ["code=bpf-refused", "if not the kernel (CONFIG_BPF_SYSCALL)"]);
    }
    check("perf_event_open", libc::EPERM, &sampled(), ["code=attach-failed", because]);
    let unknown = "if not the kernel (CONFIG_PERF_EVENTS)";
    check("perf_event_open", libc::ENOSYS, &sampled(), ["code=attach-failed", unknown]);
}

/// Whoever is root there alone has its capabilities, and they do not count.
#[test]
fn the_root_of_a_user_namespace_is_told_that_it_is_none() {
    let folder = good();
    let exporter = Exporter::launch_after("exec unshare -Ur \"$0\" \"$@\"", &[&folder.argument()]);
    let log = exporter.log();
    assert!(log.contains("code=privilege") && log.contains("lives in a user namespace"), "{log}");
    assert!(!log.contains("run as root"), "{log}");
}

/// Signals that its creator held back are held back for it as well.
#[test]
fn sigterm_ends_it_also_when_it_was_held_back() {
    let folder = good();
    let held = "exec env --block-signal=TERM --block-signal=INT --block-signal=HUP \"$0\" \"$@\"";
    let exporter = Exporter::launch_after(held, &[&folder.argument()]);
    let (status, log) = exporter.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}
