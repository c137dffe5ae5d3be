//! Implementations of whole interfaces of the kernel: a congestion control of TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bpftally::bpf::{self, Attaching, Loaded};
use bpftally::problem::Problem;
use bpftally::snapshot::Verdict;
use bpftally::spec::LoadSpec;

use crate::common::kernel::{host, load_spec, total, with_network};

/// One that counts how often it is asked; its name in the kernel is its own.
pub fn source(name: &str, section: &str, more: &str) -> String {
    format!(
        r#"
struct sock;
struct tcp_congestion_ops {{
    u32 (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
    u32 (*undo_cwnd)(struct sock *sk);
    void (*init)(struct sock *sk);
    char name[16];
}} __attribute__((preserve_access_index));
struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} {name}_calls SEC(".maps");
static __always_inline void count(void)
{{
    u32 zero = 0;
    u64 *value = bpf_map_lookup_elem(&{name}_calls, &zero);
    if (value) __sync_fetch_and_add(value, 1);
}}
SEC("struct_ops") u32 {name}_threshold(u64 *ctx) {{ return 2; }}
SEC("struct_ops") void {name}_avoid(u64 *ctx) {{ }}
SEC("struct_ops") u32 {name}_undo(u64 *ctx) {{ return 10; }}
SEC("struct_ops") void {name}_init(u64 *ctx) {{ count(); }}
SEC("{section}") struct tcp_congestion_ops {name}_ops = {{
    .ssthresh = (void *){name}_threshold, .cong_avoid = (void *){name}_avoid, .undo_cwnd = (void *){name}_undo,
    .init = (void *){name}_init, .name = "{name}",
}};
{more}"#
    )
}

/// Whether sockets can choose it.
fn is_there(name: &str) -> bool {
    let names = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    names.split_whitespace().any(|there| there == name)
}

/// A connection whose client chose it.
fn connect(name: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    rustix::net::sockopt::set_tcp_congestion(&client, name).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"counted").unwrap();
    server.read_exact(&mut [0; 7]).unwrap();
}

/// Whether what was let go of is still held: a process that another test starts has our descriptors, too, until it
/// runs its program.
pub fn is_busy(problem: &Problem) -> bool {
    ["File exists", "Device or resource busy"].iter().any(|busy| problem.message.contains(busy))
}

/// Loads it, and waits for what is still held.
#[track_caller]
pub fn load_once_free(spec: &LoadSpec) -> Loaded {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let loaded = bpf::load(spec, &host(), &bpf::Options::default());
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:#?}"));
        if !loaded.problems().iter().any(is_busy) || Instant::now() > deadline {
            assert_eq!(loaded.problems(), []);
            return loaded;
        }
        loaded.retire();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Puts a successor in the place of another, and waits for what is still held.
#[track_caller]
pub fn hand_over(spec: &LoadSpec, old: &mut Loaded) -> Loaded {
    let (host, options) = (host(), bpf::Options::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let prepared = bpf::prepare(spec, &host, &options, Some(old)).unwrap();
        match prepared.commit(&host, &options, Attaching::Strictly, Some(old)) {
            Ok(new) => return new,
            Err(problems) => {
                let is_late = Instant::now() > deadline;
                assert!(problems.iter().any(is_busy) && !is_late, "{problems:#?}");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn load(name: &str, section: &str) -> Loaded {
    load_once_free(&load_spec("ops", &source(name, section, "")))
}

/// Nobody can choose it any more.
#[track_caller]
fn assert_goes(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_there(name) {
        assert!(Instant::now() < deadline, "{name} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn operations_are_attached_as_a_whole() {
    with_network(|| {
        for section in [".struct_ops.link", ".struct_ops"] {
            let loaded = load("opswhole", section);
            assert!(is_there("opswhole"), "{section}");
            assert_eq!(loaded.link_count(), 1);
            for verdict in loaded.verdicts() {
                assert_eq!((verdict.verdict, verdict.places), (Verdict::Attached, 1), "{verdict:?}");
                assert_eq!(verdict.reason, "as a part of `opswhole_ops`");
            }
            (0..5).for_each(|_| connect("opswhole"));
            assert_eq!(total(&loaded, "opswhole_calls"), 5);
            loaded.retire();
            assert_goes("opswhole");
        }
    });
}

/// Some have wanted a hyphen there.
#[test]
fn a_name_that_the_kernel_does_not_take_is_said() {
    with_network(|| {
        let source = source("opsname", ".struct_ops.link", "").replace("\"opsname\"", "\"ops-name\"");
        let loaded = bpf::load(&load_spec("ops", &source), &host(), &bpf::Options::default()).unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert_eq!((problem.code, problem.place.map.as_deref()), ("attach-failed", Some("opsname_ops")));
        assert!(problem.to_string().contains("names of letters, digits, `_` and `.` only"), "{problem}");
        loaded.retire();
    });
}

/// Of one name the kernel takes one: the old one makes way.
#[test]
fn operations_are_handed_over() {
    with_network(|| {
        let mut old = load("opshand", ".struct_ops.link");
        connect("opshand");
        let spec = load_spec("ops", &source("opshand", ".struct_ops.link", "int another_object;"));
        let new = hand_over(&spec, &mut old);
        assert_eq!(new.problems(), []);
        old.retire();
        assert!(is_there("opshand"));
        connect("opshand");
        assert_eq!(total(&new, "opshand_calls"), 1, "in a map of its own");
        new.retire();
        assert_goes("opshand");
    });
}

/// A successor of which something else cannot be attached leaves the old one at work.
#[test]
fn operations_are_put_back() {
    with_network(|| {
        let wrong = "SEC(\"uprobe//no/such/file:main\") int bad(void *ctx) { return 0; }";
        let spec = load_spec("ops", &source("opsback", ".struct_ops.link", wrong));
        let (host, options) = (host(), bpf::Options::default());
        let deadline = Instant::now() + Duration::from_secs(60);
        let (old, refused) = loop {
            let mut old = load("opsback", ".struct_ops.link");
            let prepared = bpf::prepare(&spec, &host, &options, Some(&old)).unwrap();
            let refused = prepared.commit(&host, &options, Attaching::Strictly, Some(&mut old)).unwrap_err();
            // What one of the two let go of may still be held for the other.
            let is_held = refused.iter().any(is_busy) || old.link_count() == 0;
            if !is_held || Instant::now() > deadline {
                break (old, refused);
            }
            old.retire();
        };
        assert_eq!(refused[0].place.program.as_deref(), Some("bad"), "{refused:#?}");
        assert!(is_there("opsback"));
        assert_eq!(old.link_count(), 1);
        connect("opsback");
        assert_eq!(total(&old, "opsback_calls"), 1);
        old.retire();
        assert_goes("opsback");
    });
}

#[test]
fn a_name_that_is_taken_is_said() {
    with_network(|| {
        let first = load("opstaken", ".struct_ops.link");
        let spec = load_spec("ops", &source("opstaken", ".struct_ops.link", ""));
        let second = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
        let [problem] = second.problems() else { panic!("{:#?}", second.problems()) };
        assert_eq!((problem.code, problem.place.map.as_deref()), ("attach-failed", Some("opstaken_ops")));
        assert!(problem.to_string().contains("others of this name are registered"), "{problem}");
        assert!(second.verdicts().iter().all(|verdict| verdict.verdict == Verdict::Broken));
        second.retire();
        assert!(is_there("opstaken"));
        first.retire();
    });
}
