use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bpftally::bpf::{Attaching, Loaded};
use bpftally::spec::{LoadSpec, ProgramSetting, XdpMode};

use super::{
    at_work, begin, hand_over, maps, programs, programs_are_gone, refused, spec, try_hand_over, wait_for,
};
use crate::common::kernel::{run, total, with_network};
use crate::kernel::places::interfaces::xdp;
use crate::kernel::retire::links;

const HANDOVERS: u32 = 20;
const THREADS: u64 = 3;

/// Counts packets of UDP over IPv4 in `SEC(…)`; nothing else comes from us.
fn counter(section: &str, name: &str) -> LoadSpec {
    let source = r#"
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } packets SEC(".maps");
        SEC("SECTION")
        int NAME(struct xdp_md *ctx)
        {
            u8 *data = (void *)(long)ctx->data;
            if (data + 24 > (u8 *)(long)ctx->data_end || data[12] != 8 || data[13] != 0 || data[23] != 17)
                return XDP_PASS;
            u32 zero = 0;
            u64 *slot = bpf_map_lookup_elem(&packets, &zero);
            if (slot)
                __sync_fetch_and_add(slot, 1);
            return XDP_PASS;
        }"#;
    spec(&source.replace("SECTION", section).replace("NAME", name), "")
}

/// One socket for each thread, so that each packet is waited for before the next one: no queue overflows.
fn receivers(address: &str) -> Vec<UdpSocket> {
    (0..THREADS).map(|_| UdpSocket::bind((address, 0)).unwrap()).collect()
}

/// Packets run while `work` does; how many there were. `within` lends a thread the socket to send from.
fn with_packets<T>(
    receivers: &[UdpSocket],
    within: impl Fn(&dyn Fn(&UdpSocket)) + Sync,
    work: impl FnOnce() -> T,
) -> (T, u64) {
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for receiver in receivers {
            let (stop, sent, within) = (&stop, &sent, &within);
            scope.spawn(move || {
                within(&|socket: &UdpSocket| {
                    while !stop.load(Ordering::Relaxed) {
                        socket.send_to(b"counted", receiver.local_addr().unwrap()).unwrap();
                        receiver.recv(&mut [0; 16]).unwrap();
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
        work()
    });
    (result, sent.into_inner())
}

/// Every packet is counted once, however often the program is exchanged: the link stays the same.
#[track_caller]
fn exchange(what: &str, specs: &[LoadSpec], running: &mut Loaded) {
    let [link] = links(&[running], 1)[..] else { unreachable!() };
    let map = maps(running);
    for turn in 0..HANDOVERS {
        let old = programs(running);
        hand_over(running, &specs[turn as usize % specs.len()]);
        assert_eq!(links(&[running], 1), [link], "{what}: the same link");
        assert_eq!(maps(running), map);
        assert_ne!(programs(running), old);
    }
}

#[test]
fn on_loopback_no_packet_is_missed_or_counted_twice() {
    with_network(|| {
        let specs = [
            counter("xdp/lo", "count"),
            counter("xdp/lo", "renamed"),
            counter("xdp.frags/lo", "count"),
            counter("xdp.frags/lo", "other"),
        ];
        let mut running = begin(&specs[0]);
        let receivers = receivers("127.0.0.1");
        let within = |send: &dyn Fn(&UdpSocket)| send(&UdpSocket::bind("127.0.0.1:0").unwrap());
        let ((), sent) = with_packets(&receivers, within, || exchange("lo", &specs, &mut running));
        println!(
            "xdp on loopback: {sent} packets, {} counted in {HANDOVERS} handovers",
            total(&running, "packets")
        );
        assert_eq!(total(&running, "packets"), sent);
        running.retire();
        assert!(!run("ip", &["link", "show", "lo"]).contains("xdp"), "detached");
    });
}

/// A pair of interfaces, the other end of which is in a network of its own with the address 192.0.2.2.
fn with_pair(mtu: &str, work: impl FnOnce(&(dyn Fn(&dyn Fn(&UdpSocket)) + Sync)) + Send) {
    with_network(|| {
        let (ready, is_ready) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let (set_up, is_set_up) = mpsc::channel::<()>();
        let (give, sockets) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                with_network(move || {
                    ready.send(rustix::thread::gettid().as_raw_nonzero().to_string()).unwrap();
                    is_set_up.recv().unwrap();
                    run("ip", &["address", "add", "192.0.2.2/24", "dev", "far"]);
                    run("ip", &["link", "set", "far", "up"]);
                    for _ in 0..THREADS {
                        give.send(UdpSocket::bind("192.0.2.2:0").unwrap()).unwrap();
                    }
                    // The network is there as long as this thread.
                    let _ = finished.recv();
                });
            });
            let thread = is_ready.recv().unwrap();
            let command = format!("link add near mtu {mtu} type veth peer name far mtu {mtu} netns {thread}");
            run("ip", &command.split(' ').collect::<Vec<_>>());
            run("ip", &["address", "add", "192.0.2.1/24", "dev", "near"]);
            run("ip", &["link", "set", "near", "up"]);
            set_up.send(()).unwrap();
            let sockets: Vec<UdpSocket> = sockets.iter().take(THREADS as usize).collect();
            let sockets = std::sync::Mutex::new(sockets);
            work(&|send: &dyn Fn(&UdpSocket)| {
                let socket = sockets.lock().unwrap().pop().unwrap();
                send(&socket);
                sockets.lock().unwrap().push(socket);
            });
            drop(finish);
        });
    });
}

#[test]
fn in_a_driver_no_packet_is_missed_or_counted_twice() {
    with_pair("1500", |within| {
        let specs = [
            counter("xdp/near", "count"),
            counter("xdp/near", "renamed"),
            counter("xdp.frags/near", "count"),
            counter("xdp.frags/near", "renamed"),
        ];
        let mut running = begin(&specs[0]);
        assert!(run("ip", &["link", "show", "near"]).contains("xdp "), "in the driver");
        let receivers = receivers("192.0.2.1");
        let ((), sent) = with_packets(&receivers, within, || exchange("veth", &specs, &mut running));
        println!(
            "xdp on veth: {sent} packets, {} counted in {HANDOVERS} handovers",
            total(&running, "packets")
        );
        assert_eq!(total(&running, "packets"), sent);
    });
}

/// The same that is to be in the driver of `near` and nowhere else.
fn in_driver(section: &str, name: &str) -> LoadSpec {
    let attach = Some(xdp(&["near"], XdpMode::Native));
    let setting = ProgramSetting { name: name.to_owned(), attach, ..ProgramSetting::default() };
    LoadSpec { programs: vec![setting], ..counter(section, name) }
}

/// Packets of this length come in fragments, and drivers refuse programs that do not know them. Whether
/// one would take them where no program is can only be tried: that takes the old one off for a moment.
#[test]
fn a_program_that_the_interface_refuses_leaves_the_old_one() {
    with_pair("9000", |within| {
        let mut running = begin(&in_driver("xdp.frags", "count"));
        let receivers = receivers("192.0.2.1");
        let send = || with_packets(&receivers, within, || std::thread::sleep(Duration::from_millis(50))).1;
        let (first, map) = (send(), maps(&running));
        let wrong = in_driver("xdp", "count");
        let problems = refused(&mut running, &wrong, Attaching::AsFarAsPossible);
        assert_eq!(problems[0].place.program.as_deref(), Some("count"), "{problems:#?}");
        assert_eq!(maps(&running), map);
        let second = send();
        assert_eq!(total(&running, "packets"), first + second, "it goes on");
        hand_over(&mut running, &in_driver("xdp.frags", "other"));
    });
}

#[test]
fn a_program_moves_to_another_interface() {
    with_network(|| {
        for name in ["one", "two"] {
            run("ip", &["link", "add", name, "type", "veth", "peer", "name", &format!("{name}-peer")]);
        }
        let shows = |name: &str| run("ip", &["link", "show", name]).contains("xdp");
        let mut running = begin(&counter("xdp/one", "count"));
        hand_over(&mut running, &counter("xdp/two", "count"));
        assert_eq!((shows("one"), shows("two")), (false, true));
        // An interface that is gone takes its link along: the program's successor is elsewhere.
        run("ip", &["link", "delete", "two"]);
        let old = programs(&running);
        let outcome = try_hand_over(&mut running, &counter("xdp/two", "count"), Attaching::AsFarAsPossible);
        assert!(outcome.unwrap_err()[0].message.contains("two"));
        hand_over(&mut running, &counter("xdp/one", "other"));
        assert_eq!((at_work(&running), shows("one")), (vec!["other"], true));
        programs_are_gone(&old);
        running.retire();
        wait_for("it is detached", || (!shows("one")).then_some(()));
    });
}
