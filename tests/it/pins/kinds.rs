//! Each kind of place at which programs stay at work while the exporter is away, and those at which they cannot.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::eventually;
use super::kept::{MAP, SERIES, YAML, are_loaded, body, crash, end, files, programs};
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::{self, run};
use crate::kernel::operations;
use crate::reload::fire::{Calls, Hook};

/// What is done so many times, each of which the program counts once.
type Fire<'a> = dyn Fn(u64) + Sync + 'a;

/// A program, where it is attached, and what it counts.
struct Kind<'a> {
    name: &'a str,
    /// A line of the config that says the place, if the section does not.
    attach: String,
    source: String,
    fire: &'a Fire<'a>,
}

impl Kind<'_> {
    fn write(&self, folder: &Folder) {
        let programs = match self.attach.as_str() {
            "" => String::new(),
            attach => format!("programs: {{count_it: {{attach: {attach}}}}}\n"),
        };
        folder.compiled_pair("m", &format!("{programs}{YAML}"), &self.source);
    }
}

/// A program that counts under the key 7 what `only` lets pass.
fn source(section: &str, context: &str, only: &str, result: i32) -> String {
    format!(
        "{MAP} u64 all;
         static __always_inline void count(void) {{ u32 key = 7; {} }}
         SEC(\"{section}\") int count_it({context}) {{ {only} count(); return {result}; }}",
        body("")
    )
}

/// Packets over the loopback interface, each of which has arrived before the next one leaves.
struct Packets {
    receiver: UdpSocket,
    sender: UdpSocket,
}

impl Packets {
    fn new(address: &str) -> Self {
        let [receiver, sender] = [(); 2].map(|()| UdpSocket::bind((address, 0)).unwrap());
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { receiver, sender }
    }

    fn send(&self, times: u64) {
        for _ in 0..times {
            self.sender.send_to(b"counted", self.receiver.local_addr().unwrap()).unwrap();
            self.receiver.recv(&mut [0; 16]).unwrap();
        }
    }

    /// C that returns from programs which see another packet. Where an IPv4 header begins is told.
    fn only_of(&self, load: &str, start: u32, otherwise: i32) -> String {
        let port = self.receiver.local_addr().unwrap().port().to_be();
        format!(
            "u8 protocol = 0; u16 port = 0;
             if ({load}(context, {}, &protocol, 1) || protocol != 17 || {load}(context, {}, &port, 2) || port != {port})
                 return {otherwise};",
            start + 9,
            start + 22,
        )
    }
}

/// A process that calls a function as often as it is told.
struct Caller {
    binary: String,
    process: Mutex<(Child, BufReader<std::process::ChildStdout>)>,
}

const CALLER: &str = r#"
#include <stdio.h>
__attribute__((noinline)) int kept_function(int x) { __asm__ volatile(""); return x + 1; }
int main(void)
{
    for (int times; scanf("%d", &times) == 1;) {
        for (int i = 0; i < times; i++)
            kept_function(i);
        puts("done");
        fflush(stdout);
    }
    return 0;
}
"#;

impl Caller {
    fn new(folder: &Path) -> Self {
        let (source, binary) = (folder.join("caller.c"), folder.join("caller"));
        std::fs::write(&source, CALLER).unwrap();
        run("clang", &["-O1", "-o", binary.to_str().unwrap(), source.to_str().unwrap()]);
        let mut child = Command::new(&binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { binary: binary.display().to_string(), process: Mutex::new((child, answers)) }
    }

    fn call(&self, times: u64) {
        let mut process = self.process.lock().unwrap();
        writeln!(process.0.stdin.as_mut().unwrap(), "{times}").unwrap();
        let mut line = String::new();
        process.1.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap();
        drop(process.0.stdin.take());
        process.0.wait().unwrap();
    }
}

/// While something is done all the time, the exporter ends and begins, by signals and by crashes: each time counts once.
/// `meanwhile` is done while it is away for the first time.
#[track_caller]
fn check(kind: &Kind, bpffs: &Path, meanwhile: impl Fn()) {
    let folder = Folder::new();
    kind.write(&folder);
    let pin_path = format!("--bpf.pin-path={}", bpffs.join("kept").display());
    let flags = [&*folder.argument(), &pin_path, "--config.strict"];
    let (stop, fired) = (AtomicBool::new(false), AtomicU64::new(0));
    let exporter = Exporter::start(&flags);
    let before = programs(&exporter);
    assert_eq!(before.len(), 1, "{}", kind.name);
    std::thread::scope(|scope| {
        // Ends the other thread when this one fails, too.
        let ending = Ending(&stop);
        let firing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                (kind.fire)(10);
                fired.fetch_add(10, Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let wait = || {
            let goal = fired.load(Ordering::Relaxed) + 100;
            eventually("it goes on", || fired.load(Ordering::Relaxed) > goal || firing.is_finished());
        };
        wait();
        crash(&exporter);
        drop(exporter);
        meanwhile();
        wait();
        for _ in 0..2 {
            let exporter = Exporter::start(&flags);
            wait();
            let log = exporter.log();
            assert_eq!(programs(&exporter), before, "{}: the same program is at work: {log}", kind.name);
            assert!(!log.contains("attached anew by each start"), "{}: {log}", kind.name);
            let (status, log) = exporter.stop();
            assert!(status.success() && !log.contains("level=warn"), "{}: {log}", kind.name);
            wait();
        }
        drop(ending);
    });
    let exporter = Exporter::start(&flags);
    let counted = exporter.value(SERIES).unwrap();
    assert_eq!(counted, fired.load(Ordering::Relaxed) as f64, "{}: {}", kind.name, exporter.log());
    exporter.stop();
    assert!(are_loaded(&before), "{}", kind.name);
    run("rm", &["-r", bpffs.join("kept").to_str().unwrap()]);
    eventually("`rm -r` ends it", || !are_loaded(&before));
    leaves_nothing(kind, &folder, bpffs);
}

/// Without the flag nothing outlives the exporter, however it ends.
#[track_caller]
fn leaves_nothing(kind: &Kind, folder: &Folder, bpffs: &Path) {
    for crashes in [false, true] {
        let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
        let loaded = programs(&exporter);
        (kind.fire)(3);
        assert_eq!(exporter.value(SERIES), Some(3.0), "{}: {}", kind.name, exporter.log());
        end(exporter, crashes);
        eventually("nothing stays", || !are_loaded(&loaded));
        assert!(!bpffs.join("kept").exists(), "{}: {:?}", kind.name, files(bpffs));
    }
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_restart_neither_misses_nor_doubles_a_call() {
    kernel::with_tracefs(|| {
        kernel::with_bpffs(|bpffs| {
            for hook in Hook::ALL {
                let calls = Calls::new();
                let source = calls.source(hook, &format!("{MAP} u64 all;"), &body(""));
                let fire = |times| calls.fire(7, times);
                check(&Kind { name: hook.section, attach: String::new(), source, fire: &fire }, bpffs, || ());
            }
        });
    });
}

#[test]
fn a_restart_neither_misses_nor_doubles_a_call_of_a_function_of_user_space() {
    kernel::with_bpffs(|bpffs| {
        let folder = tempfile::tempdir().unwrap();
        let caller = Caller::new(folder.path());
        for section in ["uprobe", "uretprobe", "uprobe.multi", "uretprobe.multi"] {
            let attach = format!("{{uprobe: {{binary: {}, function: kept_function}}}}", caller.binary);
            let source = source(section, "void *context", "", 0);
            check(&Kind { name: section, attach, source, fire: &|times| caller.call(times) }, bpffs, || ());
        }
        // Its file is found by another path.
        let pattern = folder.path().join("calle?");
        let attach = format!("{{uprobe: {{binary: \"{}\", function: kept_function}}}}", pattern.display());
        let kind = Kind {
            name: "a file with another name",
            attach,
            source: source("uprobe", "void *context", "", 0),
            fire: &|times| caller.call(times),
        };
        check(&kind, bpffs, || std::fs::rename(&caller.binary, folder.path().join("calleR")).unwrap());
    });
}

const XDP: &str = "u8 *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    if (data + 42 > end || data[12] != 8 || data[13] || data[23] != 17 || *(u16 *)(data + 36) != PORT)
        return XDP_PASS;";

#[test]
fn a_restart_neither_misses_nor_doubles_a_packet() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            let (packets, packets6) = (Packets::new("127.0.0.1"), Packets::new("::1"));
            let port = packets.receiver.local_addr().unwrap().port();
            let xdp = XDP.replace("PORT", &port.to_be().to_string());
            let whole = packets.only_of("bpf_skb_load_bytes", 14, -1);
            let inner = packets.only_of("bpf_skb_load_bytes", 0, 1);
            let skb = "struct __sk_buff *context";
            let (send, send6) = (|times| packets.send(times), |times| packets6.send(times));
            let check = |name, attach: &str, source, fire: &Fire| {
                check(&Kind { name, attach: attach.to_owned(), source, fire }, bpffs, || ());
            };
            let tcx = |direction| format!("{{tc: {{interface: lo, direction: {direction}, mode: tcx}}}}");
            let named = |port: u16| format!("if (context->user_port != {}) return 1;", port.to_be());
            let lookup = format!("if (context->local_port != {port}) return 1;");
            let connect = |times| {
                for _ in 0..times {
                    UdpSocket::bind("127.0.0.1:0").unwrap().connect(("127.0.0.1", port)).unwrap();
                }
            };
            check("xdp", "{xdp: {interface: lo}}", source("xdp", "struct xdp_md *context", &xdp, 2), &send);
            check("tcx ingress", &tcx("ingress"), source("tc", skb, &whole, -1), &send);
            check("tcx egress", &tcx("egress"), source("tc", skb, &whole, -1), &send);
            for section in ["cgroup_skb/ingress", "cgroup_skb/egress"] {
                check(section, "", source(section, skb, &inner, 1), &send);
            }
            let connects = source("cgroup/connect4", "struct bpf_sock_addr *context", &named(port), 1);
            check("cgroup/connect4", "{cgroup: {path: /}}", connects, &connect);
            check("sk_lookup", "", source("sk_lookup", "struct bpf_sk_lookup *context", &lookup, 1), &send);
            // Nobody else speaks IPv6 here.
            let netfilter = source("netfilter", "struct bpf_nf_ctx *context", "", 1);
            check("netfilter", "{netfilter: {family: ipv6, hook: input}}", netfilter, &send6);
        });
    });
}

/// An interface that gets another name while the exporter is away.
#[test]
fn an_interface_that_was_renamed_is_the_same() {
    kernel::with_bpffs(|bpffs| {
        for (name, attach, section, context, start) in [
            ("xdp", "{xdp: {interface: \"lo*\"}}", "xdp", "struct xdp_md *context", None),
            (
                "tcx",
                "{tc: {interface: \"lo*\", direction: ingress, mode: tcx}}",
                "tc",
                "struct __sk_buff *context",
                Some(14),
            ),
        ] {
            kernel::with_network(|| {
                let packets = Packets::new("127.0.0.1");
                let port = packets.receiver.local_addr().unwrap().port();
                let (only, result) = match start {
                    Some(start) => (packets.only_of("bpf_skb_load_bytes", start, -1), -1),
                    None => (XDP.replace("PORT", &port.to_be().to_string()), 2),
                };
                let (attach, source) = (attach.to_owned(), source(section, context, &only, result));
                let rename = || drop(run("ip", &["link", "set", "lo", "name", "lo-renamed"]));
                check(&Kind { name, attach, source, fire: &|times| packets.send(times) }, bpffs, rename);
            });
        }
    });
}

/// Of an XDP program in another mode the old one is in the way, and a name of a program is another program.
#[test]
fn what_is_in_the_way_of_a_place_goes() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            run("ip", &["link", "add", "kept-near", "type", "veth", "peer", "name", "kept-far"]);
            let folder = Folder::new();
            let pin_path = format!("--bpf.pin-path={}", bpffs.join("kept").display());
            let flags = [&*folder.argument(), &pin_path, "--config.strict"];
            let mut old = std::collections::BTreeSet::new();
            for (mode, name) in [("native", "one"), ("generic", "one"), ("native", "two"), ("native", "two")]
            {
                let source = source("xdp", "struct xdp_md *context", "", 2).replace("count_it", name);
                let place = format!("{{xdp: {{interface: kept-near, mode: {mode}}}}}");
                folder.compiled_pair(
                    "m",
                    &format!("programs: {{{name}: {{attach: {place}}}}}\n{YAML}"),
                    &source,
                );
                let exporter = Exporter::start(&flags);
                let now = programs(&exporter);
                let link = run("ip", &["-d", "link", "show", "kept-near"]);
                let shown = if mode == "native" { "xdp " } else { "xdpgeneric " };
                assert!(link.contains(shown) && link.contains(&format!(" name {name} ")), "{mode}: {link}");
                let stays = old == now || old.is_empty();
                eventually("the old one is gone", || stays || !are_loaded(&old));
                let (status, log) = exporter.stop();
                assert!(status.success() && !log.contains("level=warn"), "{mode}, {name}: {log}");
                old = now;
            }
        });
    });
}

/// An exporter that crashed while it took over has left files of two objects: what the new one counts is at work then.
#[test]
fn a_crash_while_another_object_takes_over_leaves_nothing_of_the_old_one_at_work() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            let packets = Packets::new("127.0.0.1");
            let only = packets.only_of("bpf_skb_load_bytes", 0, 1);
            let folder = Folder::new();
            let write = |times: u32| {
                let count = "count(); ".repeat(times as usize);
                let source = source("cgroup_skb/ingress", "struct __sk_buff *context", &only, 1);
                folder.compiled_pair(
                    "m",
                    YAML,
                    &source.replace("count(); return", &format!("{count} return")),
                );
            };
            let start = |pins: &str| {
                let pins = bpffs.join(pins);
                let flag = format!("--bpf.pin-path={}", pins.display());
                (Exporter::start(&[&folder.argument(), &flag, "--config.strict"]), pins.join("m"))
            };
            let (old, old_files) = {
                write(1);
                start("kept")
            };
            let old_programs = programs(&old);
            crash(&old);
            let (new, new_files) = {
                write(3);
                start("other")
            };
            crash(&new);
            // As far as it came: its maps are there, and the program at work is the old one.
            let new_folder = std::fs::read_dir(&new_files).unwrap().next().unwrap().unwrap();
            for file in files(&new_folder.path()) {
                if file.file_name().unwrap().to_str().unwrap().starts_with("l_") {
                    std::fs::remove_file(file).unwrap();
                }
            }
            std::fs::rename(new_folder.path(), old_files.join(new_folder.file_name())).unwrap();
            drop((old, new));
            let (exporter, _) = start("kept");
            eventually("the old one is gone", || !are_loaded(&old_programs));
            packets.send(5);
            assert_eq!(exporter.value(SERIES), Some(15.0), "{}", exporter.log());
        });
    });
}

/// What is no link ends with the exporter and is attached anew, and its maps go on.
#[test]
fn what_is_no_link_is_attached_anew_and_that_is_said() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            let packets = Packets::new("127.0.0.1");
            let only = packets.only_of("bpf_skb_load_bytes", 14, -1);
            let skb = "struct __sk_buff *context";
            let send = |times| packets.send(times);
            let place =
                |direction: &str| format!("{{tc: {{interface: lo, direction: {direction}, mode: classic}}}}");
            for direction in ["ingress", "egress"] {
                let (attach, source) = (place(direction), source("tc", skb, &only, -1));
                check_anew(&Kind { name: direction, attach, source, fire: &send }, bpffs);
            }
        });
    });
}

/// Operations are attached as a whole, by links that are not kept.
#[test]
fn operations_are_attached_anew_and_that_is_said() {
    kernel::with_bpffs(|bpffs| {
        let folder = Folder::new();
        let source = operations::source("keptops", ".struct_ops.link", "");
        let yaml = "metrics: {counters: [{name: asked, help: h, map: keptops_calls, labels: [{name: k, size: 4, \
                    decoders: [{name: uint}]}]}]}\n";
        folder.compiled_pair("m", yaml, &source);
        let flags = [&*folder.argument(), &format!("--bpf.pin-path={}", bpffs.join("kept").display())];
        let is_there = || {
            let names =
                std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
            names.contains("keptops")
        };
        for _ in 0..2 {
            let exporter = Exporter::start(&flags);
            assert!(is_there(), "{}", exporter.log());
            let text = exporter.get("/").text();
            assert!(text.contains("attached anew by each start: it is a part of operations"), "{text}");
            exporter.stop();
            eventually("it is gone", || !is_there());
        }
    });
}

#[track_caller]
fn check_anew(kind: &Kind, bpffs: &Path) {
    let folder = Folder::new();
    kind.write(&folder);
    let kept = bpffs.join("kept");
    let flags = [&*folder.argument(), &format!("--bpf.pin-path={}", kept.display()), "--config.strict"];
    let filters = || {
        ["ingress", "egress"].map(|direction| run("tc", &["filter", "show", "dev", "lo", direction])).concat()
    };
    let mut expected = 0.0;
    let mut count = |exporter: &Exporter| {
        assert_eq!(
            exporter.value(SERIES),
            Some(expected).filter(|expected| *expected > 0.0),
            "{}",
            kind.name
        );
        (kind.fire)(10);
        expected += 10.0;
        assert_eq!(exporter.value(SERIES), Some(expected), "{}: {}", kind.name, exporter.log());
        let said = "attached anew by each start: what holds it is no link that the kernel can keep";
        assert!(exporter.get("/").text().contains(said), "{}", exporter.get("/").text());
        assert_eq!(filters().matches("direct-action").count(), 1, "{}", filters());
    };
    for ends_by_signal in [true, false, false, true] {
        let exporter = Exporter::start(&flags);
        count(&exporter);
        if ends_by_signal {
            let (status, log) = exporter.stop();
            assert!(status.success() && log.contains("attached anew by each start"), "{}: {log}", kind.name);
            // Nothing is there that counts.
            assert_eq!(filters(), "", "{}", kind.name);
            assert!(!run("tc", &["qdisc", "show"]).contains("clsact"));
            (kind.fire)(5);
        } else {
            crash(&exporter);
        }
    }
    // What crashed is not there any more when another place is meant.
    let exporter = Exporter::start(&flags);
    count(&exporter);
    crash(&exporter);
    drop(exporter);
    let other = Kind {
        attach: "{tc: {interface: lo, direction: ingress, mode: tcx}}".to_owned(),
        source: kind.source.clone(),
        ..*kind
    };
    other.write(&folder);
    let exporter = Exporter::start(&flags);
    assert_eq!(filters(), "", "{}", kind.name);
    (kind.fire)(10);
    assert_eq!(exporter.value(SERIES), Some(expected + 10.0), "{}: {}", kind.name, exporter.log());
    let loaded = programs(&exporter);
    exporter.stop();
    run("rm", &["-r", kept.to_str().unwrap()]);
    eventually("it is gone", || !are_loaded(&loaded));
    assert!(!run("tc", &["qdisc", "show"]).contains("clsact"));
}
