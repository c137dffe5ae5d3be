use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Workload, good_yaml};
use crate::common::exporter::{Exporter, run, value_of};
use crate::common::folder::Folder;
use crate::common::opened::Opened;

fn good_folder(calls: Workload) -> Folder {
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good_total"), &calls.good_object("good_total"));
    folder
}

/// Ids of the programs that a page shows.
fn program_ids(page: &str) -> Vec<u32> {
    let info = crate::common::exporter::values_of(page, "ebpf_exporter_ebpf_program_info");
    info.iter().map(|(labels, _)| labels["id"].parse().unwrap()).collect()
}

fn is_loaded(id: u32) -> bool {
    libbpf_rs::query::ProgInfoIter::default().any(|program| program.id == id)
}

#[track_caller]
fn assert_unloaded(ids: &[u32]) {
    // The kernel frees programs a moment after their last reference is gone.
    let deadline = Instant::now() + Duration::from_secs(20);
    while ids.iter().any(|id| is_loaded(*id)) {
        assert!(Instant::now() < deadline, "programs {ids:?} are still loaded");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sigterm_detaches_everything() {
    for signal in ["TERM", "INT"] {
        let folder = good_folder(Workload::new());
        let exporter = Exporter::start(&[&folder.argument()]);
        let ids = program_ids(&exporter.page());
        assert!(!ids.is_empty() && ids.iter().all(|id| is_loaded(*id)));
        let _ = Command::new("kill").arg(format!("-{signal}")).arg(exporter.pid().to_string()).status();
        let (status, log) = exporter.stop();
        assert_eq!(status.code(), Some(0), "SIG{signal}: {log}");
        assert_unloaded(&ids);
    }
}

#[test]
fn sighup_does_not_end_it() {
    let calls = Workload::new();
    let folder = good_folder(calls);
    let exporter = Exporter::start(&[&folder.argument()]);
    let _ = Command::new("kill").arg("-HUP").arg(exporter.pid().to_string()).status();
    calls.fire(9);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(exporter.value("ebpf_exporter_good_total{slot=\"7\"}"), Some(9.0));
}

/// A config that counts calls by the address of a function of the kernel.
fn symbols_folder(calls: Workload) -> Folder {
    let folder = Folder::new();
    let object = calls.object(
        r#"
        extern const void schedule __ksym;
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, u64); __type(value, u64); } where_total SEC(".maps");
        "#,
        "u64 key = (u64)&schedule, one = 1; bpf_map_update_elem(&where_total, &key, &one, BPF_ANY);",
    );
    let yaml = "metrics:\n  counters:\n    - name: where_total\n      help: Addresses\n      \
                labels: [{name: function, size: 8, decoders: [{name: ksym}]}]\n";
    folder.pair("symbols", yaml, &object);
    folder
}

/// How often a process has the list of symbols open.
fn lists_of_symbols(exporter: &Exporter) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", exporter.pid())).unwrap();
    let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target == Path::new("/proc/kallsyms")).count()
}

/// The list of symbols is opened while the process may still see their addresses, and read when a label shows one.
#[test]
fn kernel_symbols_have_names_whatever_privilege_is_kept() {
    let calls = Workload::new();
    let folder = symbols_folder(calls);
    for keep in ["all", "none", "cap_bpf,cap_syslog"] {
        let exporter = Exporter::start(&[&folder.argument(), &format!("--capabilities.keep={keep}")]);
        assert_eq!(lists_of_symbols(&exporter), 1, "{keep}");
        calls.fire(1);
        for _ in 0..2 {
            let page = exporter.page();
            let schedule = value_of(&page, r#"ebpf_exporter_where_total{function="schedule"}"#);
            assert_eq!(schedule, Some(1.0), "{keep}: {page}");
        }
    }
}

#[test]
fn the_list_of_symbols_is_opened_for_labels_that_show_them_alone() {
    let machine = tempfile::tempdir().unwrap();
    std::fs::write(machine.path().join("kallsyms"), "0000000000000010 T one\n").unwrap();
    let opened = Opened::watch(machine.path(), &["kallsyms"]);
    let calls = Workload::new();
    let procfs = format!("--path.procfs={}", machine.path().display());
    for keep in ["all", "none"] {
        let folder = good_folder(calls);
        let exporter =
            Exporter::start(&[&folder.argument(), &procfs, &format!("--capabilities.keep={keep}")]);
        calls.fire(1);
        assert_eq!(exporter.value("ebpf_exporter_good_total{slot=\"7\"}"), Some(1.0));
        assert_eq!((opened.take(), lists_of_symbols(&exporter)), (vec![], 0), "{keep}");
    }
}

/// Every thread gives up what is not kept, and reading goes on.
#[test]
fn capabilities_are_dropped_on_every_thread() {
    let calls = Workload::new();
    let folder = good_folder(calls);
    let check = |keep: &str, expected: u64| {
        let exporter = Exporter::start(&[&folder.argument(), &format!("--capabilities.keep={keep}")]);
        calls.fire(10);
        assert_eq!(exporter.value("ebpf_exporter_good_total{slot=\"7\"}"), Some(10.0));
        let threads = std::fs::read_dir(format!("/proc/{}/task", exporter.pid())).unwrap();
        let mut seen = 0;
        for thread in threads {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            for field in ["CapPrm:", "CapEff:"] {
                let line = status.lines().find(|line| line.starts_with(field)).unwrap();
                let bits = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
                assert_eq!(bits & !expected, 0, "--capabilities.keep={keep}: {line}");
                seen += 1;
            }
        }
        assert!(seen >= 4, "more than one thread was looked at");
    };
    check("none", 0);
    // CAP_SYSLOG is 34 and CAP_BPF is 39.
    check("cap_syslog,cap_bpf", (1 << 34) | (1 << 39));
}

#[test]
fn check_and_strict_have_exit_codes() {
    let folder = good_folder(Workload::new());
    let check = |arguments: &[&str], code: i32, words: &str| {
        let mut all = vec![folder.argument()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (status, said) = run(&all);
        assert_eq!(status, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    check(&["--config.check"], 0, "");
    check(&["--config.check", "--config.strict"], 0, "");
    check(&["--config.names=good,absent", "--config.check"], 2, "absent");
    check(&["--config.chek"], 2, "--config.check");
    check(&["--capabilities.keep=cap_nonsense"], 2, "cap_nonsense");
    check(&["--web.listen-address=nonsense"], 2, "nonsense");
    folder.file("warned.yaml", good_yaml("good_total") + "unknown_key: 1\nobject: good.bpf.o\n");
    check(&["--config.check"], 0, "unknown_key");
    check(&["--config.check", "--config.strict"], 2, "unknown_key");
    check(&["--config.strict"], 2, "unknown_key");
    folder.file("bad.yaml", "metrics: [");
    check(&["--config.check"], 2, "bad.yaml");
}

#[test]
fn a_missing_folder_is_wrong_usage() {
    let (status, said) = run(&["--config.dir=/no/such/folder"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("/no/such/folder"), "{said}");
}

#[test]
fn a_taken_port_is_said() {
    let folder = good_folder(Workload::new());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (status, said) = run(&[&folder.argument(), &format!("--web.listen-address={address}")]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
}

/// systemd's protocol: status lines, READY, STOPPING.
#[test]
fn systemd_is_notified() {
    let folder = good_folder(Workload::new());
    let socket = folder.path().join("notify");
    let receiver = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bpftally"))
        .args([&folder.argument(), "--web.listen-address=127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &socket)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut receive_until = |word: &str| {
        let mut buffer = [0; 4096];
        while !said.contains(word) {
            let length = receiver
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("no {word} after `{said}`: {error}"));
            said += &String::from_utf8_lossy(&buffer[..length]);
            said.push('\n');
        }
    };
    receive_until("READY=1");
    let _ = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
    receive_until("RELOADING=1");
    receive_until("MONOTONIC_USEC=");
    receive_until("STATUS=serving 1 config");
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    receive_until("STOPPING=1");
    assert!(child.wait().unwrap().success());
    assert!(said.contains("STATUS="), "{said}");
}

/// Nothing stays behind in bpffs, and the page's descriptors do not leak from scrape to scrape.
#[test]
fn scrapes_leak_no_descriptors() {
    let folder = good_folder(Workload::new());
    let exporter = Exporter::start(&[&folder.argument()]);
    let count =
        || std::fs::read_dir(Path::new("/proc").join(exporter.pid().to_string()).join("fd")).unwrap().count();
    let page = exporter.page();
    assert!(value_of(&page, "process_open_fds").is_some(), "{page}");
    let before = count();
    for _ in 0..50 {
        exporter.page();
    }
    assert!(count() <= before + 3, "{before} descriptors became {}", count());
}
