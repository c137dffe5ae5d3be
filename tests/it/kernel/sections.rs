//! Every kind of section that libbpf knows: attached by its name, at the place that a config says, or refused with the
//! reason.
#![expect(unsafe_code, reason = "libbpf is asked what it takes sections for")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

use bpftally::bpf;
use bpftally::elf::SectionKind;
use bpftally::host::{CgroupPattern, Pattern};
use bpftally::spec::{
    Attach, Binaries, Cgroups, Direction, Netfilter, PerfEvent, Sample, Tc, TcMode, Uprobe, Xdp, XdpMode,
};

use super::places::placed;
use crate::common::kernel::{host, with_network, with_tracefs};

/// What becomes of a program of one kind.
enum Expected {
    /// By the section alone.
    BySection,
    /// At this place.
    At(Attach),
    /// Not: the problem has this text.
    Elsewhere(&'static str),
    /// As this kernel has it: attached, or refused with one of these texts.
    IfThere(&'static [&'static str]),
}

use Expected::{At, BySection, Elsewhere, IfThere};

fn cgroup() -> Expected {
    At(Attach::Cgroup(Cgroups { paths: vec![CgroupPattern::new("/")], direction: None }))
}

fn directed(direction: Direction) -> Expected {
    At(Attach::Cgroup(Cgroups { paths: vec![CgroupPattern::new("/")], direction: Some(direction) }))
}

fn loopback() -> Vec<Pattern> {
    vec![Pattern::new("lo")]
}

fn tc(direction: Direction, mode: TcMode) -> Expected {
    At(Attach::Tc(Tc { interfaces: loopback(), direction, mode }))
}

fn xdp() -> Expected {
    At(Attach::Xdp(Xdp { interfaces: loopback(), mode: XdpMode::Generic }))
}

fn own_function() -> Expected {
    let files = vec![std::env::current_exe().unwrap().display().to_string()];
    let binaries = Binaries { files, roots: Vec::new(), process: None };
    At(Attach::Uprobe(Uprobe { binaries, function: "post_attach_mark".to_owned(), offset: 0 }))
}

fn socks() -> Expected {
    At(Attach::Sockmap("sockets".to_owned()))
}

const KPROBES: Expected = IfThere(&["kprobes", "CONFIG_FPROBE", "came with Linux"]);
const FUNCTIONS: Expected = IfThere(&["some kernels refuse fentry", "does not have it"]);

const SESSIONS: Expected =
    IfThere(&["does not attach by trace_fsession, which came with Linux 7.0", "some kernels refuse fentry"]);

/// Each kind as a section with its target, and what a program of it may return.
fn all() -> Vec<(&'static str, i32, Expected)> {
    let mut all = tracing();
    all.extend(network());
    all.extend(cgroups());
    all
}

fn tracing() -> Vec<(&'static str, i32, Expected)> {
    let event = PerfEvent { kind: 1, config: 3, sample: Sample::Period(1_000_000) };
    vec![
        ("kprobe/do_exit", 0, KPROBES),
        ("kretprobe/do_exit", 0, KPROBES),
        ("kprobe.multi/do_exit", 0, KPROBES),
        ("kretprobe.multi/do_exit", 0, KPROBES),
        ("kprobe.session/do_exit", 0, KPROBES),
        ("ksyscall/getppid", 0, KPROBES),
        ("kretsyscall/getppid", 0, KPROBES),
        ("uprobe//proc/self/exe:post_attach_mark", 0, BySection),
        ("uprobe.s//proc/self/exe:post_attach_mark", 0, BySection),
        ("uretprobe//proc/self/exe:post_attach_mark", 0, BySection),
        ("uretprobe.s//proc/self/exe:post_attach_mark", 0, BySection),
        ("uprobe", 0, own_function()),
        ("uprobe.multi//proc/self/exe:post_attach_m*", 0, BySection),
        ("uretprobe.multi//proc/self/exe:post_attach_m*", 0, BySection),
        ("uprobe.session//proc/self/exe:post_attach_m*", 0, BySection),
        ("uprobe.multi.s//proc/self/exe:post_attach_m*", 0, BySection),
        ("uretprobe.multi.s//proc/self/exe:post_attach_m*", 0, BySection),
        ("uprobe.session.s//proc/self/exe:post_attach_m*", 0, BySection),
        ("usdt//proc/self/exe:no:probe", 0, Elsewhere("usdt.bpf.h")),
        ("usdt.s//proc/self/exe:no:probe", 0, Elsewhere("usdt.bpf.h")),
        ("tracepoint/sched/sched_process_exec", 0, BySection),
        ("tp/sched/sched_process_exec", 0, BySection),
        ("raw_tracepoint/sched_process_exec", 0, BySection),
        ("raw_tp/sched_process_exec", 0, BySection),
        ("raw_tracepoint.w/sched_process_exec", 0, BySection),
        ("raw_tp.w/sched_process_exec", 0, BySection),
        ("tp_btf/sched_process_exec", 0, BySection),
        ("fentry/do_exit", 0, FUNCTIONS),
        ("fexit/do_exit", 0, FUNCTIONS),
        ("fmod_ret/do_exit", 0, FUNCTIONS),
        ("fentry.s/do_exit", 0, FUNCTIONS),
        ("fexit.s/do_exit", 0, FUNCTIONS),
        ("fmod_ret.s/do_exit", 0, FUNCTIONS),
        ("fsession/do_exit", 0, SESSIONS),
        ("fsession.s/do_exit", 0, SESSIONS),
        ("freplace/anything", 0, Elsewhere("a program that is loaded already")),
        ("lsm/file_open", 0, FUNCTIONS),
        ("lsm.s/file_open", 0, FUNCTIONS),
        ("iter/bpf_map", 0, BySection),
        ("iter.s/task", 0, BySection),
        ("syscall", 0, Elsewhere("a process calls it")),
        ("perf_event", 0, At(Attach::PerfEvent(event))),
        ("lirc_mode2", 0, IfThere(&["infrared receiver", "not supported", "kind", "CONFIG"])),
    ]
}

fn network() -> Vec<(&'static str, i32, Expected)> {
    let hook = Netfilter { family: 2, hook: 1, priority: 9 };
    vec![
        ("socket", 0, At(Attach::Socket(loopback()))),
        ("sk_reuseport", 1, Elsewhere("SO_ATTACH_REUSEPORT_EBPF")),
        ("sk_reuseport/migrate", 1, Elsewhere("SO_ATTACH_REUSEPORT_EBPF")),
        ("tc/ingress", -1, tc(Direction::Ingress, TcMode::Tcx)),
        ("tc/egress", -1, tc(Direction::Egress, TcMode::Auto)),
        ("tcx/ingress", -1, tc(Direction::Ingress, TcMode::Classic)),
        ("tcx/egress", -1, tc(Direction::Egress, TcMode::Tcx)),
        ("tc", -1, tc(Direction::Ingress, TcMode::Classic)),
        ("classifier", -1, tc(Direction::Egress, TcMode::Classic)),
        ("action", -1, Elsewhere("SEC(\"tc\") sees the same packets")),
        ("netkit/primary", -1, Elsewhere("has no attachment by section name")),
        ("netkit/peer", -1, Elsewhere("has no attachment by section name")),
        ("xdp.frags/devmap", 2, Elsewhere("devmap or cpumap")),
        ("xdp/devmap", 2, Elsewhere("devmap or cpumap")),
        ("xdp.frags/cpumap", 2, Elsewhere("devmap or cpumap")),
        ("xdp/cpumap", 2, Elsewhere("devmap or cpumap")),
        ("xdp.frags", 2, xdp()),
        ("xdp", 2, xdp()),
        ("lwt_in", 0, Elsewhere("belongs to a route")),
        ("lwt_out", 0, Elsewhere("belongs to a route")),
        ("lwt_xmit", 0, Elsewhere("belongs to a route")),
        ("lwt_seg6local", 0, IfThere(&["belongs to a route", "kind", "not supported"])),
        ("sk_skb/stream_parser", 1, socks()),
        ("sk_skb/stream_verdict", 1, socks()),
        ("sk_skb/verdict", 1, socks()),
        ("sk_skb", 1, Elsewhere("SEC(\"sk_skb/stream_verdict\")")),
        ("sk_msg", 1, socks()),
        ("flow_dissector", 0, BySection),
        ("sk_lookup", 1, BySection),
        ("netfilter", 1, At(Attach::Netfilter(hook))),
        ("sockops", 1, cgroup()),
        ("struct_ops/ssthresh", 0, Elsewhere("struct_ops")),
        ("struct_ops.s/ssthresh", 0, Elsewhere("struct_ops")),
    ]
}

fn cgroups() -> Vec<(&'static str, i32, Expected)> {
    let mut all = vec![
        ("cgroup_skb/ingress", 1, BySection),
        ("cgroup_skb/egress", 1, BySection),
        ("cgroup/skb", 1, directed(Direction::Ingress)),
        ("lsm_cgroup/socket_bind", 1, FUNCTIONS),
    ];
    let by_section = [
        "sock_create",
        "sock_release",
        "sock",
        "post_bind4",
        "post_bind6",
        "bind4",
        "bind6",
        "connect4",
        "connect6",
        "connect_unix",
        "sendmsg4",
        "sendmsg6",
        "sendmsg_unix",
        "recvmsg4",
        "recvmsg6",
        "recvmsg_unix",
        "getpeername4",
        "getpeername6",
        "getpeername_unix",
        "getsockname4",
        "getsockname6",
        "getsockname_unix",
        "sysctl",
        "getsockopt",
        "setsockopt",
        "dev",
    ];
    let sections = by_section.map(|name| &*format!("cgroup/{name}").leak());
    all.extend(sections.map(|section| (section, 1, BySection)));
    all
}

/// What libbpf takes a section for: the numbers of the type of program and of the way to attach.
fn known(section: &str) -> Option<(u32, u32)> {
    let name = CString::new(section).unwrap();
    let (mut kind, mut attach) = (0, 0);
    // SAFETY: the name is a string of C and both numbers are written only during the call.
    let result =
        unsafe { libbpf_sys::libbpf_prog_type_by_name(name.as_ptr(), &raw mut kind, &raw mut attach) };
    (result == 0).then_some((kind, attach))
}

fn text(name: *const std::ffi::c_char) -> String {
    assert!(!name.is_null());
    // SAFETY: libbpf's names are strings that live for ever.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned()
}

#[test]
fn libbpf_knows_the_same_kinds() {
    for kind in SectionKind::all() {
        let (program, attach) = known(kind.prefix()).unwrap_or_else(|| panic!("{}", kind.prefix()));
        // SAFETY: both calls take a number and give a name or null.
        let (program, attach) = unsafe {
            (libbpf_sys::libbpf_bpf_prog_type_str(program), libbpf_sys::libbpf_bpf_attach_type_str(attach))
        };
        assert_eq!(text(program), kind.program_type, "{}", kind.prefix());
        if let Some(name) = kind.attach_type {
            assert_eq!(text(attach), name, "{}", kind.prefix());
        }
    }
}

/// The problems of a program, as one text; empty when it is attached.
fn outcome(section: &str, result: i32, expected: &Expected) -> String {
    let source = format!(
        "struct {{ __uint(type, BPF_MAP_TYPE_SOCKMAP); __uint(max_entries, 2); __type(key, u32); __type(value, u32); }} sockets SEC(\".maps\");
SEC(\"{section}\") int tried(void *ctx) {{ return {result}; }}"
    );
    let places = match expected {
        At(attach) => vec![("tried", attach.clone())],
        BySection | Elsewhere(_) | IfThere(_) => Vec::new(),
    };
    let problems = match bpf::load(&placed("kind", &source, &places), &host(), &bpf::Options::default()) {
        Ok(loaded) => {
            let is_attached = loaded.verdicts().iter().all(|verdict| verdict.places > 0);
            assert_eq!(loaded.problems().is_empty(), is_attached, "{section}: {:#?}", loaded.verdicts());
            loaded.problems().to_vec()
        }
        Err(problems) => problems,
    };
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_is_attached_or_refused_with_the_reason() {
    let mut tried: BTreeMap<&str, bool> = SectionKind::all().map(|kind| (kind.prefix(), false)).collect();
    let mut wrong = Vec::new();
    with_tracefs(|| {
        with_network(|| {
            for (section, result, expected) in all() {
                let kind = SectionKind::of(section).unwrap();
                tried.insert(kind.prefix(), true);
                let found = outcome(section, result, &expected);
                let is_right = match expected {
                    BySection | At(_) => found.is_empty(),
                    Elsewhere(text) => found.contains(text),
                    IfThere(texts) => found.is_empty() || texts.iter().any(|text| found.contains(text)),
                };
                if !is_right {
                    wrong.push(format!("{section}: {found}"));
                }
            }
        });
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left: Vec<_> = tried.iter().filter(|(_, is_tried)| !**is_tried).collect();
    assert!(left.is_empty(), "kinds without a row: {left:?}");
}
