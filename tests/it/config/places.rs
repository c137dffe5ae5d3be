//! `attach`: what it means, and what is said when it cannot be.

use std::sync::OnceLock;

use bpftally::config::{Checked, ConfigFile, check_text};
use bpftally::host::{CgroupPattern, Pattern};
use bpftally::spec::{
    Attach, Binaries, Cgroups, Direction, Netfilter, Netkit, PerfEvent, Sample, Tc, TcMode, Uprobe, Usdt,
    Xdp, XdpMode,
};

use super::{brief, options};
use crate::common::objects::Object;

const SOURCE: &str = r#"
SEC("cgroup/skb") int skb(void *context) { return 1; }
SEC("cgroup_skb/ingress") int skb_in(void *context) { return 1; }
SEC("cgroup/connect4") int connect(void *context) { return 1; }
SEC("raw_tp/sched_switch") int raw(void *context) { return 0; }
SEC("xdp") int packets(void *context) { return 2; }
SEC("xdp/devmap") int xdp_map(void *context) { return 2; }
SEC("tc") int queued(void *context) { return -1; }
SEC("tcx/egress") int tcx_out(void *context) { return -1; }
SEC("netkit/peer") int peer(void *context) { return -1; }
SEC("perf_event") int event(void *context) { return 0; }
SEC("uprobe") int user(void *context) { return 0; }
SEC("uprobe.multi") int many(void *context) { return 0; }
SEC("usdt") int own(void *context) { return 0; }
SEC("kprobe") int kernel(void *context) { return 0; }
SEC("ksyscall") int call(void *context) { return 0; }
SEC("kprobe.multi") int all(void *context) { return 0; }
SEC("fentry/do_exit") int entry(void *context) { return 0; }
SEC("tp_btf/sched_switch") int typed(void *context) { return 0; }
SEC("tracepoint/sched/sched_switch") int traced(void *context) { return 0; }
SEC("sk_lookup") int lookup(void *context) { return 1; }
SEC("netfilter") int hooked(void *context) { return 1; }
SEC("socket") int filter(void *context) { return 0; }
SEC("sk_msg") int message(void *context) { return 1; }
SEC("sk_skb") int unsaid(void *context) { return 1; }
struct { __uint(type, BPF_MAP_TYPE_SOCKHASH); __uint(max_entries, 8); __type(key, u32); __type(value, u32); } sockets SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u32); } others SEC(".maps");
SEC("odd/section") int odd(void *context) { return 0; }
"#;

fn checked(program: &str, attach: &str) -> Checked {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    let object = OBJECT.get_or_init(|| Object::of(SOURCE));
    let text = format!("programs: {{{program}: {{attach: {attach}}}}}\nmetrics: {{counters: []}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options())
}

#[track_caller]
fn good(program: &str, attach: &str, expected: Attach) {
    let checked = checked(program, attach);
    assert_eq!(brief(&checked.problems), [""; 0], "{attach}: {:#?}", checked.problems);
    let settings = checked.spec.unwrap().load.programs;
    assert_eq!(settings[0].attach, Some(expected), "{attach}");
}

/// One problem of this code, with all these texts in what it says.
#[track_caller]
fn bad(program: &str, attach: &str, code: &str, texts: &[&str]) {
    let checked = checked(program, attach);
    let [problem] = checked.problems.as_slice() else { panic!("{attach}: {:#?}", checked.problems) };
    assert_eq!(problem.code, code, "{attach}: {problem:#?}");
    assert!(problem.place.position.is_some() && checked.spec.is_none(), "{attach}: {problem:#?}");
    for text in texts {
        assert!(problem.to_string().contains(text), "{attach}: {text} is not in {problem}");
    }
}

#[test]
fn a_kind_has_to_fit_the_program() {
    bad("connect", "{}", "attach-kind", &["does not name one kind", "`cgroup`", "0"]);
    bad("connect", "{x-mine: 1, cgroup: 5}", "wrong-type", &["cgroup"]);
    bad("connect", "5", "wrong-type", &["attach"]);
    bad(
        "raw",
        "{cgroup: {path: /}}",
        "attach-kind",
        &["`raw` is a program of the type raw_tracepoint", "`tracepoint`"],
    );
    bad("odd", "{cgroup: {path: /}}", "attach-kind", &["`odd` is a program of the type unknown"]);
}

#[test]
fn maps_of_sockets() {
    good("message", "{sockmap: {map: sockets}}", Attach::Sockmap("sockets".to_owned()));
    bad("message", "{sockmap: {}}", "attach-option", &["lacks `map`", "the sockmap or sockhash"]);
    bad(
        "message",
        "{sockmap: {map: socket}}",
        "attach-option",
        &["no map of sockets `socket`", "did you mean `sockets`?"],
    );
    bad(
        "message",
        "{sockmap: {map: others}}",
        "attach-option",
        &["found hash", "maps of sockets there are: sockets"],
    );
    bad("unsaid", "{sockmap: {map: sockets}}", "attach-kind", &["does not say which hook it is for"]);
    bad("xdp_map", "{xdp: {interface: lo}}", "attach-kind", &["who fills the map names it there"]);
}

#[test]
fn cgroups() {
    let cgroups = |paths: &[&str], direction| {
        Attach::Cgroup(Cgroups {
            paths: paths.iter().map(|path| CgroupPattern::new(path)).collect(),
            direction,
        })
    };
    good("connect", "{cgroup: {path: /a/*}}", cgroups(&["/a/*"], None));
    good("connect", "{cgroup: {path: [/, /b]}}", cgroups(&["/", "/b"], None));
    good("connect", "{cgroup: {}}", cgroups(&["/"], None));
    good("connect", "{cgroup: }", cgroups(&["/"], None));
    good("skb", "{cgroup: {path: /, direction: egress}}", cgroups(&["/"], Some(Direction::Egress)));
    good("skb_in", "{cgroup: {path: /}}", cgroups(&["/"], Some(Direction::Ingress)));
    bad("connect", "{cgroup: {path: ''}}", "attach-option", &["a path from the root"]);
    bad("connect", "{cgroup: {path: [/, system.slice]}}", "attach-option", &["found \"system.slice\""]);
    bad("connect", "{cgroup: {path: /a/../b}}", "attach-option", &["a path from the root"]);
    bad("connect", "{cgroup: {path: {a: b}}}", "wrong-type", &["path"]);
    bad("connect", "{cgroup: {path: /, direction: ingress}}", "attach-option", &["`direction`", "none"]);
    bad("skb", "{cgroup: {path: /}}", "attach-option", &["lacks `direction`"]);
    bad("skb", "{cgroup: {path: /, direction: egres}}", "attach-option", &["did you mean `egress`?"]);
    bad("skb_in", "{cgroup: {path: /, direction: egress}}", "attach-option", &["the other direction"]);
}

fn names(names: &[&str]) -> Vec<Pattern> {
    names.iter().map(|name| Pattern::new(*name)).collect()
}

#[test]
fn interfaces() {
    let xdp = |interfaces: &[&str], mode| Attach::Xdp(Xdp { interfaces: names(interfaces), mode });
    good("packets", "{xdp: {interface: eth0}}", xdp(&["eth0"], XdpMode::Auto));
    good("packets", "{xdp: {interface: all, mode: generic}}", xdp(&["*"], XdpMode::Generic));
    good(
        "packets",
        "{xdp: {interface: [eth0, \"veth*\"], mode: native}}",
        xdp(&["eth0", "veth*"], XdpMode::Native),
    );
    bad("packets", "{xdp: {}}", "attach-option", &["lacks `interface`"]);
    bad(
        "packets",
        "{xdp: {interface: a-name-of-sixteen}}",
        "attach-option",
        &["no network interface has this name"],
    );
    bad("packets", "{xdp: {interface: eth0/1}}", "attach-option", &["no network interface has this name"]);
    bad(
        "packets",
        "{xdp: {interface: lo, mode: driver}}",
        "attach-option",
        &["`auto` or `native` or `generic`"],
    );
    bad("packets", "{tc: {interface: lo}}", "attach-kind", &["type xdp", "`xdp`"]);
    bad("xdp_map", "{xdp: {interface: lo}}", "attach-kind", &["type xdp"]);
    let tc = |direction, mode| Attach::Tc(Tc { interfaces: names(&["lo"]), direction, mode });
    good("queued", "{tc: {interface: lo, direction: ingress}}", tc(Direction::Ingress, TcMode::Auto));
    good(
        "queued",
        "{tc: {interface: lo, direction: egress, mode: classic}}",
        tc(Direction::Egress, TcMode::Classic),
    );
    good("tcx_out", "{tc: {interface: lo, mode: tcx}}", tc(Direction::Egress, TcMode::Tcx));
    bad("queued", "{tc: {interface: lo}}", "attach-option", &["lacks `direction`"]);
    bad("tcx_out", "{tc: {interface: lo, direction: ingress}}", "attach-option", &["the other direction"]);
    bad("queued", "{netkit: {interface: lo}}", "attach-kind", &["`tc`"]);
    good("peer", "{netkit: {interface: nk0}}", Attach::Netkit(Netkit { interfaces: names(&["nk0"]) }));
    bad("peer", "{tc: {interface: lo}}", "attach-kind", &["`netkit`"]);
}

#[test]
fn perf_events() {
    let event = |kind, config, sample| Attach::PerfEvent(PerfEvent { kind, config, sample });
    good("event", "{perf_event: {event: cpu-clock, frequency: 99}}", event(1, 0, Sample::Frequency(99)));
    good("event", "{perf_event: {event: page-faults-maj, period: 1}}", event(1, 6, Sample::Period(1)));
    good("event", "{perf_event: {event: cache-misses, period: 1000}}", event(0, 3, Sample::Period(1000)));
    good("event", "{perf_event: {type: 4, config: 0x1c2, period: 5}}", event(4, 0x1c2, Sample::Period(5)));
    bad("event", "{perf_event: {frequency: 99}}", "attach-option", &["lacks `event`"]);
    bad("event", "{perf_event: {type: 1, frequency: 99}}", "attach-option", &["both `type` and `config`"]);
    bad(
        "event",
        "{perf_event: {event: cpu-clok, period: 1}}",
        "attach-option",
        &["did you mean `cpu-clock`?"],
    );
    bad("event", "{perf_event: {event: cs, type: 1, period: 1}}", "attach-option", &["either `event`"]);
    bad("event", "{perf_event: {type: -1, config: 0, period: 1}}", "attach-option", &["32 bits"]);
    bad("event", "{perf_event: {type: 1, config: -1, period: 1}}", "attach-option", &["0 or more"]);
    bad("event", "{perf_event: {event: cs}}", "attach-option", &["lacks `frequency`"]);
    bad("event", "{perf_event: {event: cs, period: 0}}", "attach-option", &["1 or more", "0"]);
    bad(
        "event",
        "{perf_event: {event: cs, period: 1, frequency: 1}}",
        "attach-option",
        &["either `frequency`"],
    );
}

#[test]
fn probes() {
    let binaries = |files: &[&str], roots: &[&str], process| Binaries {
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        roots: roots.iter().map(|root| (*root).to_owned()).collect(),
        process,
    };
    let uprobe = |binaries, function: &str, offset| {
        Attach::Uprobe(Uprobe { binaries, function: function.into(), offset })
    };
    let libc = || binaries(&["libc.so.6"], &[], None);
    good("user", "{uprobe: {binary: libc.so.6, function: malloc}}", uprobe(libc(), "malloc", 0));
    good("user", "{uprobe: {binary: libc.so.6, function: malloc, offset: 4}}", uprobe(libc(), "malloc", 4));
    good("user", "{uprobe: {binary: libc.so.6, offset: 0x1000}}", uprobe(libc(), "", 4096));
    good(
        "many",
        "{uprobe: {binary: [/a/*, b], root: \"/proc/*/root\", pid: 7, function: SSL_*}}",
        uprobe(binaries(&["/a/*", "b"], &["/proc/*/root"], Some(7)), "SSL_*", 0),
    );
    bad("user", "{uprobe: {function: malloc}}", "attach-option", &["lacks `binary`"]);
    bad("user", "{uprobe: {binary: /a}}", "attach-option", &["lacks `function`"]);
    bad("user", "{uprobe: {binary: /a, function: f, pid: 0}}", "attach-option", &["the number of a process"]);
    bad("user", "{uprobe: {binary: /a, function: f, root: here}}", "attach-option", &["/proc/*/root"]);
    bad("user", "{uprobe: {binary: /a, function: f, offset: -1}}", "wrong-type", &["offset"]);
    bad(
        "many",
        "{uprobe: {binary: /a, function: f, offset: 1}}",
        "attach-option",
        &["attached to functions"],
    );
    bad("user", "{usdt: {binary: /a, provider: p, probe: n}}", "attach-kind", &["`uprobe`"]);
    let usdt = Usdt { binaries: libc(), provider: "libc".into(), name: "setjmp".into() };
    good("own", "{usdt: {binary: libc.so.6, provider: libc, probe: setjmp}}", Attach::Usdt(usdt));
    bad("own", "{usdt: {binary: libc.so.6, provider: libc}}", "attach-option", &["lacks `probe`"]);
    bad("own", "{usdt: {binary: libc.so.6, probe: x}}", "attach-option", &["lacks `provider`"]);
    good("kernel", "{kprobe: {function: do_exit}}", Attach::Kprobe("do_exit".into()));
    good("all", "{kprobe: {function: \"tcp_*\"}}", Attach::Kprobe("tcp_*".into()));
    good("kernel", "{kprobe: {function: \"tcp_*\"}}", Attach::Kprobe("tcp_*".into()));
    good("call", "{kprobe: {function: openat}}", Attach::Kprobe("openat".into()));
    bad("call", "{kprobe: {function: \"open*\"}}", "attach-option", &["one system call"]);
    bad("kernel", "{kprobe: {}}", "attach-option", &["lacks `function`"]);
    good("entry", "{function: {name: do_exit}}", Attach::Function("do_exit".into()));
    bad("entry", "{kprobe: {function: do_exit}}", "attach-kind", &["`function`"]);
    bad("entry", "{function: {name: ''}}", "attach-option", &["lacks `name`"]);
}

#[test]
fn tracepoints() {
    let tracepoint = |name: &str| Attach::Tracepoint(name.to_owned());
    good("raw", "{tracepoint: {name: sched_switch}}", tracepoint("sched_switch"));
    good("typed", "{tracepoint: {name: sched_switch}}", tracepoint("sched_switch"));
    good("traced", "{tracepoint: {name: sched/sched_switch}}", tracepoint("sched/sched_switch"));
    bad("traced", "{tracepoint: {name: sched_switch}}", "attach-option", &["category and name"]);
    bad("traced", "{tracepoint: {name: a/b/c}}", "attach-option", &["category and name"]);
    bad("raw", "{tracepoint: {name: sched/sched_switch}}", "attach-option", &["without its category"]);
}

#[test]
fn network() {
    good("lookup", "{netns: {path: /run/netns/*}}", Attach::Netns(vec!["/run/netns/*".into()]));
    bad("lookup", "{netns: {path: blue}}", "attach-option", &["an absolute path"]);
    bad("lookup", "{netns: {}}", "attach-option", &["lacks `path`"]);
    let netfilter = |priority| Attach::Netfilter(Netfilter { family: 10, hook: 4, priority });
    good("hooked", "{netfilter: {family: ipv6, hook: postrouting}}", netfilter(0));
    good("hooked", "{netfilter: {family: ipv6, hook: postrouting, priority: -5}}", netfilter(-5));
    bad("hooked", "{netfilter: {family: ipv4}}", "attach-option", &["lacks `hook`", "prerouting"]);
    bad("hooked", "{netfilter: {hook: input}}", "attach-option", &["lacks `family`"]);
    bad("hooked", "{netfilter: {family: ipv4, hook: inputt}}", "attach-option", &["did you mean `input`?"]);
    bad(
        "hooked",
        "{netfilter: {family: ipv4, hook: input, priority: 2147483647}}",
        "attach-option",
        &["`priority`"],
    );
    good("filter", "{socket: {interface: eth0}}", Attach::Socket(names(&["eth0"])));
    bad("filter", "{xdp: {interface: eth0}}", "attach-kind", &["`socket`"]);
}
