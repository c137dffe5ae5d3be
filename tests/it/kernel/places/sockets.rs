//! Sockets of a map: what they send and receive.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

use bpftally::bpf::{self, Attaching};
use bpftally::spec::{Attach, LoadSpec, MapDefinition};
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::{load_placed, placed};
use crate::common::kernel::{host, total, with_network};

fn source(name: &str, kind: &str, more: &str) -> String {
    format!(
        r#"
struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 8); __type(key, u32); __type(value, u32); }} {name} SEC(".maps");
struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} sent SEC(".maps");
struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} received SEC(".maps");
SEC("sk_msg") int on_message(struct sk_msg_md *message)
{{
    u32 zero = 0;
    u64 *value = bpf_map_lookup_elem(&sent, &zero);
    if (value) __sync_fetch_and_add(value, message->size);
    return SK_PASS;
}}
SEC("sk_skb/stream_verdict") int on_packet(struct __sk_buff *packet)
{{
    u32 zero = 0;
    u64 *value = bpf_map_lookup_elem(&received, &zero);
    if (value) __sync_fetch_and_add(value, packet->len);
    return SK_PASS;
}}
{more}"#
    )
}

fn places(map: &str) -> Vec<(&'static str, Attach)> {
    ["on_message", "on_packet"].map(|program| (program, Attach::Sockmap(map.to_owned()))).to_vec()
}

/// Both ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn hold(map: &str, key: u32, socket: &TcpStream) {
    let own = |info: &libbpf_rs::query::MapInfo| info.name.to_str() == Some(map);
    let id = MapInfoIter::default().filter(own).map(|info| info.id).max().unwrap();
    let map = MapHandle::from_map_id(id).unwrap();
    map.update(&key.to_ne_bytes(), &socket.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY).unwrap();
}

fn exchange((client, server): &mut (TcpStream, TcpStream), times: usize) {
    for _ in 0..times {
        client.write_all(&[7; 100]).unwrap();
        server.read_exact(&mut [0; 100]).unwrap();
        server.write_all(&[8; 30]).unwrap();
        client.read_exact(&mut [0; 30]).unwrap();
    }
}

#[test]
fn programs_see_what_sockets_of_a_map_send_and_receive() {
    with_network(|| {
        for (map, kind) in [("places_sockets", "SOCKMAP"), ("places_sockhash", "SOCKHASH")] {
            let loaded = load_placed(&source(map, kind, ""), &places(map));
            let mut ends = connection();
            exchange(&mut ends, 3);
            assert_eq!((total(&loaded, "sent"), total(&loaded, "received")), (0, 0), "not in the map yet");
            hold(map, 1, &ends.0);
            exchange(&mut ends, 10);
            assert_eq!((total(&loaded, "sent"), total(&loaded, "received")), (1000, 300), "{kind}");
            loaded.retire();
            exchange(&mut ends, 1);
        }
    });
}

/// The map goes on with its sockets, and each message is counted once.
#[test]
fn sockets_stay_over_a_reload() {
    with_network(|| {
        let map = "places_reload";
        let (host, options) = (host(), bpf::Options::default());
        let go_on = ["sent", "received", map];
        let carried =
            go_on.map(|name| MapDefinition { name: name.into(), ..MapDefinition::default() }).to_vec();
        let spec = |more: &str| LoadSpec {
            carried: carried.clone(),
            ..placed("places", &source(map, "SOCKMAP", more), &places(map))
        };
        let mut old = bpf::load(&spec(""), &host, &options).unwrap();
        assert_eq!(old.problems(), []);
        let mut ends = connection();
        hold(map, 0, &ends.0);
        exchange(&mut ends, 5);
        let prepared = bpf::prepare(&spec("int another_object;"), &host, &options, Some(&old)).unwrap();
        let new = prepared.commit(&host, &options, Attaching::Strictly, Some(&mut old)).unwrap();
        old.retire();
        exchange(&mut ends, 5);
        assert_eq!((total(&new, "sent"), total(&new, "received")), (1000, 300));
        new.retire();
    });
}
