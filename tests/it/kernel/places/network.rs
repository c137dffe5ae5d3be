use bpftally::bpf;
use bpftally::host::Pattern;
use bpftally::spec::{Attach, Netfilter};

use super::wire::with_wire;
use super::{load_placed, placed};
use crate::common::kernel::{host, load, total, with_network};

const COUNT: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } seen SEC(".maps");
static __always_inline int count(int result)
{
    u32 zero = 0;
    u64 *slot = bpf_map_lookup_elem(&seen, &zero);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    return result;
}
"#;

fn source(program: &str) -> String {
    format!("{COUNT}{program}")
}

/// Sends packets over the loopback interface, each of which looks its socket up.
fn send(times: u32) {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..times {
        sender.send_to(b"counted", receiver.local_addr().unwrap()).unwrap();
        receiver.recv(&mut [0; 16]).unwrap();
    }
}

pub const LOOKUP: &str = r#"SEC("sk_lookup") int lookup(struct bpf_sk_lookup *context) { return count(1); }"#;

#[test]
fn lookups_of_sockets_are_counted_in_a_network_namespace() {
    with_network(|| {
        let loaded = load("lookup", &source(LOOKUP));
        send(25);
        assert_eq!(total(&loaded, "seen"), 25);
        assert!(!loaded.follows(), "the exporter's own namespace stays");
    });
    with_network(|| {
        let own = std::fs::canonicalize("/proc/thread-self").unwrap().join("ns/net");
        let place = Attach::Netns(vec![own.display().to_string()]);
        let loaded = load_placed(&source(LOOKUP), &[("lookup", place)]);
        send(5);
        assert_eq!((total(&loaded, "seen"), loaded.link_count()), (5, 1));
    });
}

pub fn hook(hook: i32, priority: i32) -> Attach {
    Attach::Netfilter(Netfilter { family: 2, hook, priority })
}

#[test]
fn hooks_of_netfilter_see_packets() {
    with_network(|| {
        let program = r#"SEC("netfilter") int hooked(struct bpf_nf_ctx *context) { return count(1); }"#;
        // What comes in to this machine, and what goes out: over the loopback interface the same packets.
        for (number, expected) in [(1, 20), (3, 20), (2, 0)] {
            let loaded = load_placed(&source(program), &[("hooked", hook(number, 0))]);
            send(20);
            assert_eq!(total(&loaded, "seen"), expected, "hook {number}");
            let spec = placed("places", &source(program), &[("hooked", hook(number, 0))]);
            let second = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
            let [problem] = second.problems() else { panic!("{:#?}", second.problems()) };
            assert!(problem.help.as_deref().unwrap_or_default().contains("`priority`"), "{problem:#?}");
        }
    });
}

#[test]
fn socket_filters_see_packets_both_ways() {
    with_wire(|far| {
        let program = r#"
        SEC("socket") int filter(struct __sk_buff *packet)
        {
            u8 protocol = 0;
            u16 kind = 0;
            if (bpf_skb_load_bytes(packet, 12, &kind, 2) || kind != 8 || bpf_skb_load_bytes(packet, 23, &protocol, 1))
                return 0;
            return protocol == 17 ? count(0) : 0;
        }"#;
        let place = Attach::Socket(vec![Pattern::new("near0")]);
        let loaded = load_placed(&source(program), &[("filter", place)]);
        far.send(15);
        far.receive(10);
        assert_eq!(total(&loaded, "seen"), 25);
        loaded.retire();
    });
}
