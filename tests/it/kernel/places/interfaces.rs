use bpftally::bpf::{self, Loaded};
use bpftally::host::Pattern;
use bpftally::snapshot::Verdict;
use bpftally::spec::{Attach, Direction, Tc, TcMode, Xdp, XdpMode};

use super::wire::with_wire;
use super::{load_placed, placed};
use crate::common::kernel::{host, rows, run, wait_until_no_xdp, with_network};

/// Counts UDP packets over IPv4 by their destination's port, in the order of the network.
const COUNTER: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 65536); __type(key, u16); __type(value, u64); } ports SEC(".maps");
static __always_inline void count(u16 port)
{
    u64 one = 1, *slot = bpf_map_lookup_elem(&ports, &port);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    else
        bpf_map_update_elem(&ports, &port, &one, BPF_NOEXIST);
}
"#;

const XDP: &str = r#"
SEC("xdp") int packets(struct xdp_md *context)
{
    u8 *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    if (data + 42 <= end && data[12] == 8 && data[13] == 0 && data[23] == 17)
        count(*(u16 *)(data + 36));
    return XDP_PASS;
}
"#;

const TC: &str = r#"
SEC("tc") int packets(struct __sk_buff *packet)
{
    u8 protocol = 0;
    u16 port = 0, kind = 0;
    if (bpf_skb_load_bytes(packet, 12, &kind, 2) || kind != 8 || bpf_skb_load_bytes(packet, 23, &protocol, 1)
        || protocol != 17 || bpf_skb_load_bytes(packet, 36, &port, 2))
        return -1;
    count(port);
    return -1;
}
"#;

fn source(program: &str) -> String {
    format!("{COUNTER}{program}")
}

fn names(names: &[&str]) -> Vec<Pattern> {
    names.iter().map(|name| Pattern::new(*name)).collect()
}

pub fn xdp(interfaces: &[&str], mode: XdpMode) -> Attach {
    Attach::Xdp(Xdp { interfaces: names(interfaces), mode })
}

pub fn tc(interfaces: &[&str], direction: Direction, mode: TcMode) -> Attach {
    Attach::Tc(Tc { interfaces: names(interfaces), direction, mode })
}

fn count(loaded: &Loaded, port: u16) -> u64 {
    let view = loaded.view();
    let entries = rows(view.source("ports").unwrap().as_ref());
    let found = entries.iter().find(|(key, _)| *key == port.to_be_bytes());
    found.map_or(0, |(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()))
}

fn link(name: &str) -> String {
    run("ip", &["-d", "link", "show", name])
}

/// One end of a cable; the other one begins with `far-`.
fn add(name: &str) {
    run("ip", &["link", "add", name, "type", "veth", "peer", "name", &format!("far-{name}")]);
}

fn qdiscs() -> usize {
    run("tc", &["qdisc", "show"]).matches("clsact").count()
}

#[test]
fn xdp_sees_what_comes_in_in_every_mode() {
    for (mode, shown) in [(XdpMode::Auto, "xdp"), (XdpMode::Native, "xdp"), (XdpMode::Generic, "xdpgeneric")]
    {
        with_wire(|far| {
            let loaded = load_placed(&source(XDP), &[("packets", xdp(&["near0"], mode))]);
            assert!(link("near0").contains(&format!("{shown} ")), "{mode:?}: {}", link("near0"));
            assert_eq!(count(&loaded, far.send(50)), 50, "{mode:?}");
            assert_eq!(count(&loaded, far.receive(50)), 0, "{mode:?}: it sees nothing that goes out");
            loaded.retire();
            wait_until_no_xdp();
        });
    }
}

/// What a driver does not take as its interface is, the network stack does.
#[test]
fn a_driver_that_takes_no_packets_so_large_is_passed_by() {
    with_network(|| {
        add("large0");
        for name in ["large0", "far-large0"] {
            run("ip", &["link", "set", name, "mtu", "9000"]);
        }
        let load = |mode| {
            let spec = placed("places", &source(XDP), &[("packets", xdp(&["large0"], mode))]);
            bpf::load(&spec, &host(), &bpf::Options::default()).unwrap()
        };
        let loaded = load(XdpMode::Auto);
        assert_eq!(loaded.problems(), []);
        assert!(link("large0").contains("xdpgeneric "), "{}", link("large0"));
        loaded.retire();
        wait_until_no_xdp();
        let loaded = load(XdpMode::Native);
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert!(problem.help.as_deref().unwrap_or_default().contains("a large MTU"), "{problem:#?}");
    });
}

#[test]
fn interfaces_are_chosen_by_patterns_once_each() {
    with_network(|| {
        for name in ["one0", "one1", "two0"] {
            add(name);
        }
        for (interfaces, expected) in [
            (&["one*"][..], 2),
            (&["one?", "one0", "o*"], 2),
            (&["two0", "lo"], 2),
            (&["*"], 7),
            (&["none*"], 0),
        ] {
            let loaded = load_placed(&source(XDP), &[("packets", xdp(interfaces, XdpMode::Generic))]);
            assert_eq!(loaded.link_count(), expected, "{interfaces:?}");
            let verdict = &loaded.verdicts()[0];
            assert_eq!(verdict.places, expected);
            let word = if expected == 0 { Verdict::Waiting } else { Verdict::Attached };
            assert_eq!(verdict.verdict, word, "{interfaces:?}");
            loaded.retire();
            wait_until_no_xdp();
        }
    });
}

#[test]
fn interfaces_that_come_are_followed_and_those_that_go_forgotten() {
    with_network(|| {
        let host = host();
        let mut loaded = load_placed(
            &source(&format!("{XDP}{}", TC.replace("packets", "other"))),
            &[
                ("packets", xdp(&["late*"], XdpMode::Generic)),
                ("other", tc(&["late*"], Direction::Ingress, TcMode::Auto)),
            ],
        );
        assert!(loaded.follows() && !loaded.follow(&host));
        for (number, name) in ["late0", "late1"].into_iter().enumerate() {
            add(name);
            assert!(loaded.follow(&host) && !loaded.follow(&host));
            assert_eq!(loaded.link_count(), 2 * (number + 1));
        }
        assert_eq!(loaded.verdicts()[0].reason, "at 2 places");
        run("ip", &["link", "delete", "late0"]);
        assert!(loaded.follow(&host));
        assert_eq!((loaded.link_count(), loaded.verdicts()[1].places), (2, 1));
        // One of the same name is another one.
        run("ip", &["link", "delete", "late1"]);
        add("late1");
        assert!(loaded.follow(&host));
        assert!(link("late1").contains("xdpgeneric"));
        run("ip", &["link", "delete", "late1"]);
        assert!(loaded.follow(&host));
        assert_eq!((loaded.link_count(), loaded.verdicts()[0].verdict), (0, Verdict::Waiting));
        assert_eq!(loaded.problems(), []);
    });
}

/// An interface that is named and not there is a problem until it comes.
#[test]
fn an_interface_that_is_missing_is_waited_for() {
    with_network(|| {
        add("here0");
        let spec = placed("places", &source(XDP), &[("packets", xdp(&["hree0"], XdpMode::Generic))]);
        let mut loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert_eq!(problem.help.as_deref(), Some("did you mean `here0`?"));
        assert_eq!(loaded.verdicts()[0].verdict, Verdict::Broken);
        add("hree0");
        assert!(loaded.follow(&host()));
        assert_eq!((loaded.problems(), loaded.link_count()), (&[][..], 1));
        run("ip", &["link", "delete", "hree0"]);
        assert!(loaded.follow(&host()));
        assert_eq!((loaded.problems().len(), loaded.link_count()), (1, 0));
    });
}

#[test]
fn an_interface_that_is_taken_costs_that_place_alone() {
    with_network(|| {
        for name in ["one0", "one1"] {
            add(name);
        }
        let first = load_placed(&source(XDP), &[("packets", xdp(&["one0"], XdpMode::Generic))]);
        let spec = placed("places", &source(XDP), &[("packets", xdp(&["one*"], XdpMode::Generic))]);
        let mut second = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
        let [problem] = second.problems() else { panic!("{:#?}", second.problems()) };
        assert!(problem.message.contains("the interface `one0`"), "{problem:#?}");
        assert!(problem.help.as_deref().unwrap().contains("another XDP program"), "{problem:#?}");
        assert_eq!((second.link_count(), second.verdicts()[0].verdict), (1, Verdict::Attached));
        assert!(!second.follow(&host()), "it is said once");
        drop(first);
    });
}

#[test]
fn tc_sees_both_directions_by_links_and_by_filters() {
    for mode in [TcMode::Auto, TcMode::Tcx, TcMode::Classic] {
        with_wire(|far| {
            let source = source(&format!("{TC}{}", TC.replace("packets", "other")));
            let loaded = load_placed(
                &source,
                &[
                    ("packets", tc(&["near0"], Direction::Ingress, mode)),
                    ("other", tc(&["near0"], Direction::Egress, mode)),
                ],
            );
            assert_eq!(qdiscs(), usize::from(mode == TcMode::Classic), "{mode:?}");
            assert_eq!(count(&loaded, far.send(30)), 30, "{mode:?}");
            assert_eq!(count(&loaded, far.receive(20)), 20, "{mode:?}");
            loaded.retire();
            assert_eq!(qdiscs(), 0, "{mode:?}");
        });
    }
}

/// A qdisc that somebody else made, or has filters in, is left alone.
#[test]
fn qdiscs_of_others_stay() {
    with_network(|| {
        add("one0");
        add("two0");
        run("tc", &["qdisc", "add", "dev", "one0", "clsact"]);
        let load = |direction| {
            let place = tc(&["one0", "two0"], direction, TcMode::Classic);
            load_placed(&source(TC), &[("packets", place)])
        };
        let (first, second) = (load(Direction::Egress), load(Direction::Ingress));
        assert_eq!(qdiscs(), 2);
        let filters = |direction| run("tc", &["filter", "show", "dev", "two0", direction]);
        first.retire();
        assert_eq!((qdiscs(), filters("egress").as_str()), (2, ""));
        assert!(filters("ingress").contains("packets"), "{}", filters("ingress"));
        second.retire();
        assert_eq!(qdiscs(), 1, "the one that was there before");
        assert_eq!(run("tc", &["filter", "show", "dev", "one0", "ingress"]), "");
    });
}

/// The qdisc `ingress` would take a filter for what goes out, and run it for what comes in.
#[test]
fn a_qdisc_for_what_comes_in_sees_nothing_that_goes_out() {
    with_network(|| {
        add("one0");
        run("tc", &["qdisc", "add", "dev", "one0", "ingress"]);
        let source = source(&format!("{TC}{}", TC.replace("packets", "other")));
        let place = |direction| tc(&["one0"], direction, TcMode::Classic);
        let places = [("packets", place(Direction::Ingress)), ("other", place(Direction::Egress))];
        let loaded =
            bpf::load(&placed("places", &source, &places), &host(), &bpf::Options::default()).unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert!(problem.message.contains("qdisc `ingress`"), "{problem:#?}");
        assert_eq!((problem.place.program.as_deref(), loaded.link_count()), (Some("other"), 1));
        loaded.retire();
        assert!(run("tc", &["qdisc", "show", "dev", "one0"]).contains("qdisc ingress"), "it is not ours");
    });
}

/// Nobody is told when somebody takes off the qdisc with all that is in it.
#[test]
fn filters_that_others_took_off_are_attached_anew() {
    with_wire(|far| {
        let load = || {
            let place = tc(&["near0"], Direction::Ingress, TcMode::Classic);
            load_placed(&source(TC), &[("packets", place)])
        };
        let mut first = load();
        let before = count(&first, far.send(10));
        run("tc", &["qdisc", "delete", "dev", "near0", "clsact"]);
        assert_eq!((before, count(&first, far.send(10))), (10, 0));
        assert!(first.follow(&host()) && !first.follow(&host()));
        assert_eq!((count(&first, far.send(10)), first.link_count()), (10, 1));
        // One of somebody else at the very place is not taken for it.
        run("tc", &["qdisc", "delete", "dev", "near0", "clsact"]);
        let second = load();
        first.retire();
        assert_eq!(count(&second, far.send(10)), 10);
        second.retire();
        assert_eq!(qdiscs(), 0);
    });
}

/// Places that stay are handed over exactly, those that come are added: not one packet is missed or counted twice.
#[test]
fn a_reload_hands_over_place_by_place() {
    for mode in [TcMode::Tcx, TcMode::Classic] {
        with_wire(|far| {
            let spec = |interfaces: &[&str]| {
                let place = tc(interfaces, Direction::Ingress, mode);
                placed("places", &source(TC), &[("packets", place)])
            };
            let (host, options) = (host(), bpf::Options::default());
            let mut old = bpf::load(&spec(&["near0"]), &host, &options).unwrap();
            let before = run("tc", &["filter", "show", "dev", "near0", "ingress"]);
            let prepared = bpf::prepare(&spec(&["near0", "lo"]), &host, &options, Some(&old)).unwrap();
            let new = prepared.commit(&host, &options, bpf::Attaching::Strictly, Some(&mut old)).unwrap();
            assert_eq!(old.link_count(), 0, "all of it was handed over");
            old.retire();
            assert_eq!(new.link_count(), 2);
            assert_eq!(count(&new, far.send(25)), 25, "{mode:?}");
            let after = run("tc", &["filter", "show", "dev", "near0", "ingress"]);
            let handles = |text: &str| text.matches("handle 0x1").count();
            assert_eq!(handles(&before), handles(&after), "{before}{after}");
            new.retire();
            assert_eq!(qdiscs(), 0);
        });
    }
}

#[test]
fn netkit_asks_for_interfaces_of_its_kind() {
    with_network(|| {
        add("one0");
        let program = r#"SEC("netkit/primary") int packets(struct __sk_buff *packet) { return -1; }"#;
        let place = Attach::Netkit(bpftally::spec::Netkit { interfaces: names(&["one0"]) });
        let loaded =
            bpf::load(&placed("places", program, &[("packets", place)]), &host(), &bpf::Options::default());
        let loaded = loaded.unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert!(problem.help.as_deref().unwrap_or_default().contains("netkit"), "{problem:#?}");
    });
}
