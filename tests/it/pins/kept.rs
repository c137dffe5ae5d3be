//! Programs and maps that stay at work while the exporter is away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libbpf_rs::query::ProgInfoIter;

use super::eventually;
use crate::common::exporter::{Exporter, run};
use crate::common::folder::Folder;
use crate::common::kernel;
use crate::exporter::{Workload, good_yaml};
use crate::reload::fire::{Calls, Hook};

pub const SERIES: &str = "ebpf_exporter_m{k=\"7\"}";
pub const YAML: &str =
    "metrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}]}]}]}\n";
pub const MAP: &str = "\n#include \"maps.bpf.h\"\nstruct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(\".maps\");";

/// Counts in a map and in a variable.
pub fn body(more: &str) -> String {
    format!("__sync_fetch_and_add(&all, 1); increment_map(&m, &key, 1); {more}")
}

fn object(calls: Calls, hook: Hook, more: &str) -> PathBuf {
    calls.object(hook, &format!("{MAP} u64 all; int step = 1;"), &body(more))
}

/// Ends an exporter as a crash does.
pub fn crash(exporter: &Exporter) {
    kernel::run("kill", &["-9", &exporter.pid().to_string()]);
}

/// An exporter that crashes, or ends as it is told to.
pub fn end(exporter: Exporter, crashes: bool) {
    if crashes {
        crash(&exporter);
        drop(exporter);
    } else {
        exporter.stop();
    }
}

/// The kernel's numbers of the programs of a config.
pub fn programs(exporter: &Exporter) -> BTreeSet<String> {
    let found = exporter.values("ebpf_exporter_ebpf_program_info");
    found.iter().map(|(labels, _)| labels["id"].clone()).collect()
}

pub fn are_loaded(programs: &BTreeSet<String>) -> bool {
    ProgInfoIter::default().any(|program| programs.contains(&program.id.to_string()))
}

/// Everything below a folder, by path.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(files(&entry.path()));
    }
    found.sort();
    found
}

/// While nobody looked the object became another one: counts go on, and of the old programs none stays.
#[test]
fn another_object_takes_over_from_what_was_left() {
    kernel::with_tracefs(|| {
        kernel::with_bpffs(|bpffs| {
            let calls = Calls::new();
            let (folder, kept) = (Folder::new(), bpffs.join("kept"));
            let flags = [
                &*folder.argument(),
                &format!("--bpf.pin-path={}", kept.display()),
                "--web.enable-lifecycle",
                "--config.watch=off",
            ];
            let mut expected = 0.0;
            let mut fire = || {
                calls.fire(7, 10);
                expected += 10.0;
                expected
            };
            let mut old = BTreeSet::new();
            for (turn, more) in ["", "step = 2;", "step = 3;"].into_iter().enumerate() {
                folder.pair("m", YAML, &object(calls, Hook::RAW, more));
                let exporter = Exporter::start(&flags);
                let expected = fire();
                assert_eq!(exporter.value(SERIES), Some(expected), "{turn}: {}", exporter.log());
                eventually("the old ones are gone", || !are_loaded(&old));
                // The same by a reload, after which a crash finds the new one.
                folder.pair("m", YAML, &object(calls, Hook::RAW, &format!("{more} step += 5;")));
                let answer =
                    exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                assert_eq!(answer.status, 200);
                let expected = fire();
                assert_eq!(exporter.value(SERIES), Some(expected), "{turn}: {}", exporter.log());
                crash(&exporter);
                drop(exporter);
                fire();
                let exporter = Exporter::start(&flags);
                let expected = fire();
                assert_eq!(exporter.value(SERIES), Some(expected), "{turn}: {}", exporter.log());
                old = programs(&exporter);
                assert_eq!(
                    files(&kept.join("m")).iter().filter(|file| file.is_dir()).count(),
                    1,
                    "{:?}",
                    files(&kept)
                );
                exporter.stop();
                fire();
            }
        });
    });
}

/// A variable that was set in place, and a config that went away.
#[test]
fn what_is_kept_follows_the_configs() {
    kernel::with_bpffs(|bpffs| {
        let calls = Calls::new();
        let (folder, kept) = (Folder::new(), bpffs.join("kept"));
        let text = |step: u32| {
            format!(
                "globals: {{step: {step}}}\n{}",
                YAML.replace("counters: [", "counters: [{name: steps_total, help: h, global: steps}, ")
            )
        };
        let counting = calls.object(
            Hook::RAW,
            &format!("{MAP} u64 all, steps; int step = 1;"),
            &body("__sync_fetch_and_add(&steps, step);"),
        );
        folder.pair("m", &text(2), &counting);
        let flags = [
            &*folder.argument(),
            &format!("--bpf.pin-path={}", kept.display()),
            "--web.enable-lifecycle",
            "--config.watch=off",
        ];
        let exporter = Exporter::start(&flags);
        calls.fire(7, 10);
        folder.file("m.yaml", text(5));
        let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200);
        let before = programs(&exporter);
        calls.fire(7, 10);
        exporter.stop();
        calls.fire(7, 10);
        let exporter = Exporter::start(&flags);
        assert_eq!(programs(&exporter), before, "{}", exporter.log());
        assert_eq!(exporter.value("ebpf_exporter_steps_total"), Some(120.0));
        assert_eq!(exporter.value(SERIES), Some(30.0));
        exporter.stop();
        std::fs::remove_file(folder.path().join("m.yaml")).unwrap();
        let other = Workload::new();
        folder.pair("own", &good_yaml("own"), &other.good_object("own"));
        let exporter = Exporter::start(&flags);
        eventually("it is gone with its config", || !are_loaded(&before));
        assert!(!kept.join("m").exists() && kept.join("own").exists(), "{:?}", files(&kept));
        // And while the exporter runs.
        let own = programs(&exporter);
        std::fs::remove_file(folder.path().join("own.yaml")).unwrap();
        let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200);
        eventually("it is gone, too", || !are_loaded(&own));
        assert_eq!(files(&kept), Vec::<PathBuf>::new());
    });
}

/// A socket filter is no link: it is attached anew, its map goes on, and that is said.
#[test]
fn what_cannot_be_kept_is_said() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            let folder = Folder::new();
            // The exporter's own pages go over the same interface, by TCP.
            let count = body("").replace("__sync_fetch_and_add(&all, 1);", "");
            let source = format!(
                "{MAP} SEC(\"socket\") int seen(struct __sk_buff *packet) {{ u32 key = 7; u8 protocol = 0;
                 bpf_skb_load_bytes(packet, 23, &protocol, 1); if (protocol != 17) return 0; {count} return 0; }}"
            );
            let yaml = format!("programs: {{seen: {{attach: {{socket: {{interface: lo}}}}}}}}\n{YAML}");
            folder.compiled_pair("m", &yaml, &source);
            let flags = [&*folder.argument(), &format!("--bpf.pin-path={}", bpffs.join("kept").display())];
            let ping = || {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            };
            let exporter = Exporter::start(&flags);
            ping();
            eventually("it counts", || exporter.value(SERIES).is_some());
            assert!(
                exporter.get("/").text().contains("attached anew by each start"),
                "{}",
                exporter.get("/").text()
            );
            assert!(exporter.log().contains("attached anew by each start"), "{}", exporter.log());
            // A packet is seen on its way out and on its way in.
            eventually("both ways", || exporter.value(SERIES) == Some(2.0));
            let before = 2.0;
            exporter.stop();
            let exporter = Exporter::start(&flags);
            assert_eq!(exporter.value(SERIES), Some(before));
            ping();
            eventually("it counts on", || exporter.value(SERIES).unwrap() > before);
        });
    });
}

#[test]
fn a_folder_is_one_exporters() {
    kernel::with_bpffs(|bpffs| {
        let calls = Workload::new();
        let folder = Folder::new();
        folder.pair("own", &good_yaml("own"), &calls.good_object("own"));
        let flag = |path: &Path| format!("--bpf.pin-path={}", path.display());
        let path = bpffs.join("kept");
        let _first = Exporter::start(&[&folder.argument(), &flag(&path)]);
        let (code, text) = run(&[&folder.argument(), "--web.listen-address=127.0.0.1:0", &flag(&path)]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("another exporter has it"), "{text}");
        let (code, text) =
            run(&[&folder.argument(), "--web.listen-address=127.0.0.1:0", &flag(folder.path())]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("mount -t bpf bpf /sys/fs/bpf"), "{text}");
    });
}
