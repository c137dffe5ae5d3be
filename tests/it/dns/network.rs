#![expect(unsafe_code, reason = "extension headers have no safe interface")]

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc;

use super::counts::ask_stream;
use super::{LOCAL, LOCAL_6, Observer};
use crate::common::dns::{A, Client, Server, query};
use crate::common::kernel::{load_spec, run, total, try_load, with_network};

/// Something to do where `far` is another host with a server at each of two addresses.
fn with_far_host(work: impl FnOnce(&Server, &Server) + Send) {
    with_network(|| {
        let (tell, told) = mpsc::channel();
        let (set_up, is_set_up) = mpsc::channel::<()>();
        let (give, servers) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                with_network(move || {
                    tell.send(rustix::thread::gettid().as_raw_nonzero().to_string()).unwrap();
                    is_set_up.recv().unwrap();
                    up("far", "192.0.2.2/24", "2001:db8::2/64");
                    let server = Server::start("192.0.2.2".parse().unwrap());
                    let other = ("2001:db8::2".parse::<IpAddr>().unwrap(), server.address.port());
                    give.send((server, Server::at(other.into()))).unwrap();
                    // The network is there as long as this thread.
                    let _ = finished.recv();
                });
            });
            let thread = told.recv().unwrap();
            let link = format!("link add near mtu 1280 type veth peer name far mtu 1280 netns {thread}");
            run("ip", &link.split(' ').collect::<Vec<_>>());
            up("near", "192.0.2.1/24", "2001:db8::1/64");
            set_up.send(()).unwrap();
            let (server, server_6) = servers.recv().unwrap();
            work(&server, &server_6);
            drop((server, server_6, finish));
        });
    });
}

fn up(interface: &str, address: &str, address_6: &str) {
    run("ip", &["address", "add", address, "dev", interface]);
    run("ip", &["address", "add", address_6, "dev", interface, "nodad"]);
    run("ip", &["link", "set", interface, "up"]);
}

/// Each message has two sockets on this machine, one in each network: it counts once for each of them.
#[test]
fn between_hosts_both_ends_count_and_fragments_are_whole() {
    with_far_host(|server, server_6| {
        let observer = Observer::of(server);
        for server in [server, server_6] {
            let client = Client::new(server.address);
            for id in 0..30 {
                client.ask(&query(id, "www.example.com", A));
                // 4000 bytes come in four fragments.
                client.ask(&query(id, "large.example.com", A));
            }
            let mut stream = TcpStream::connect(server.address).unwrap();
            for id in 0..20 {
                ask_stream(&mut stream, &query(id, "www.example.com", A));
                ask_stream(&mut stream, &query(id, "large.example.com", A));
            }
        }
        let page = observer.page();
        let small = query(0, "www.example.com", A).len() as f64;
        for (protocol, times) in [("udp", 60.0), ("tcp", 40.0)] {
            for role in ["client", "server"] {
                let side = format!("protocol=\"{protocol}\",role=\"{role}\"");
                let of = |family: &str, more: &str| page.value(&format!("{family}{{{side}{more}}}"));
                assert_eq!(of("queries_total", ",type=\"A\""), 2.0 * times, "{side}");
                assert_eq!(of("response_latency_seconds_count", ""), 2.0 * times, "{side}");
                let side = format!("protocol=\"{protocol}\",rcode=\"NOERROR\",role=\"{role}\"");
                let bytes = page.value(&format!("response_bytes_total{{{side},type=\"A\"}}"));
                assert_eq!(bytes, times * (4000.0 + small), "{side}");
            }
        }
        assert_eq!(page.sum("queries_total"), 400.0);
        assert_eq!(page.sum("malformed_total"), 0.0);
        page.assert_adds_up();
    });
}

/// Headers of IPv6 that stand before UDP: options for each hop, and for the destination.
#[test]
fn extension_headers_are_passed_over() {
    let receiver = UdpSocket::bind((LOCAL_6, 0)).unwrap();
    let address = receiver.local_addr().unwrap();
    let observer = Observer::of_port(address.port());
    let sender = UdpSocket::bind((LOCAL_6, 0)).unwrap();
    // The next header is filled in by the kernel; the rest is padding.
    let options: [(i32, &[u8]); 2] = [
        (libc::IPV6_HOPOPTS, &[0, 0, 1, 4, 0, 0, 0, 0]),
        (libc::IPV6_DSTOPTS, &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (number, (option, header)) in (1_u16..).zip(options) {
        // SAFETY: the kernel copies as many bytes as it is told there are.
        let result = unsafe {
            libc::setsockopt(
                sender.as_raw_fd(),
                libc::IPPROTO_IPV6,
                option,
                header.as_ptr().cast(),
                header.len() as u32,
            )
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        sender.send_to(&query(number, "www.example.com", A), address).unwrap();
        let page = observer.page();
        assert_eq!(page.sum("queries_total"), f64::from(number));
        assert_eq!(page.sum("malformed_total"), 0.0);
    }
}

/// Loses every other segment with a query on its way to the server.
const LOSES: &str = r#"
const volatile u16 port = PORT;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } seen SEC(".maps");
SEC("cgroup_skb/ingress") int lose(struct __sk_buff *skb)
{
    u8 ip[24];
    u32 zero = 0;
    u64 *count = bpf_map_lookup_elem(&seen, &zero);
    if (!count || bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)) || ip[0] != 0x45 || ip[9] != 6)
        return 1;
    if (((ip[22] << 8) | ip[23]) != port || skb->len < 20 + 20 + 14)
        return 1;
    return __sync_fetch_and_add(count, 1) & 1;
}
"#;

#[test]
fn what_tcp_sends_again_does_not_count_again() {
    const QUERIES: u16 = 10;
    let server = Server::start(LOCAL);
    let observer = Observer::of(&server);
    let source = LOSES.replace("PORT", &server.address.port().to_string());
    // At the root of cgroup2, because nothing else is said.
    let loses = try_load(&load_spec("loses", &source)).unwrap();
    assert_eq!(loses.problems(), []);
    let mut stream = TcpStream::connect(server.address).unwrap();
    for id in 0..QUERIES {
        ask_stream(&mut stream, &query(id, "www.example.com", A));
    }
    assert!(total(&loses, "seen") >= 2 * u64::from(QUERIES), "each was sent twice");
    loses.retire();
    let page = observer.page();
    assert_eq!(page.sum("queries_total"), f64::from(QUERIES));
    assert_eq!(page.sum("response_latency_seconds_count"), f64::from(QUERIES));
    assert_eq!(page.sum("queries_unanswered_total"), 0.0);
    page.assert_adds_up();
}

/// From the port of servers to itself, as old resolvers ask: the flag says which of the two it is.
#[test]
fn both_ports_may_be_the_servers() {
    with_far_host(|server, _| {
        let observer = Observer::of(server);
        let local: SocketAddr = (IpAddr::from([192, 0, 2, 1]), server.address.port()).into();
        let socket = UdpSocket::bind(local).unwrap();
        socket.send_to(&query(1, "www.example.com", A), server.address).unwrap();
        socket.recv(&mut [0; 512]).unwrap();
        let page = observer.page();
        for role in ["client", "server"] {
            let side = format!("protocol=\"udp\",role=\"{role}\"");
            assert_eq!(page.value(&format!("queries_total{{{side},type=\"A\"}}")), 1.0, "{role}");
            assert_eq!(page.value(&format!("response_latency_seconds_count{{{side}}}")), 1.0, "{role}");
        }
        assert_eq!(page.sum("malformed_total"), 0.0);
        page.assert_adds_up();
    });
}
