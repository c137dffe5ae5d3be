//! The pairs of the network, against workloads in a network namespace and a control group of their
//! own: whatever else this machine sends and receives is counted elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::workloads::{Group, check_events, since};
use super::{LEFT_OUT, assert_held, compile, count, hold, run, start};
use crate::common::exporter::Exporter;

static WORKLOAD: LazyLock<PathBuf> = LazyLock::new(|| compile("shipped-network", include_str!("network.c")));

impl Group {
    #[track_caller]
    fn network(&self, what: &str, times: u32) -> BTreeMap<String, f64> {
        self.run(&WORKLOAD, &[what, &times.to_string()])
    }

    /// The same by `ipv6`, or by IPv4 to listeners of IPv6 (`both`).
    #[track_caller]
    fn network_by(&self, family: &str, what: &str, times: u32) -> BTreeMap<String, f64> {
        self.run(&WORKLOAD, &[what, &times.to_string(), family])
    }
}

/// Drops by filters have no control group: one test at a time causes them.
fn alone_with_filters() -> MutexGuard<'static, ()> {
    static FILTERS: Mutex<()> = Mutex::new(());
    FILTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something for each metric of these pairs, for the test that wants a series of all.
pub fn exercise() {
    let _alone = alone_with_filters();
    let group = Group::new();
    for what in ["connects", "refused", "given-up", "lost", "resets", "traffic", "drops"] {
        group.network(what, 2);
    }
    group.network("slow-receiver", 50);
}

#[test]
fn connects_and_accepts_are_exact() {
    let exporter = start("tcpconnections");
    let group = Group::new();
    let state = |state: &str| {
        count(&exporter, &format!("ebpf_exporter_tcp_state_changes_total{{state=\"{state}\"}}"))
    };
    let (established, listens) = (state("established"), state("listen"));
    let begin = std::time::Instant::now();
    let kernel = group.network("connects", 200);
    let took = begin.elapsed().as_secs_f64();

    assert_eq!((kernel["TcpActiveOpens"], kernel["TcpPassiveOpens"]), (200.0, 200.0));
    let check = |what: &str, counted: f64| check_events(what, "tcp_set_state", counted, 200.0);
    check("connects", group.sum(&exporter, "tcp_connect_latency_seconds_count"));
    let accepts = group.sum(&exporter, "tcp_accepts_total");
    check("accepts", accepts);
    let waits = group.sum(&exporter, "tcp_accept_latency_seconds_count");
    check_events("waits to be accepted", "accept_", waits, accepts);
    let seconds = group.sum(&exporter, "tcp_connect_latency_seconds_sum");
    assert!(0.0 < seconds && seconds <= took, "{seconds} s of connects in {took} s");
    assert_eq!(group.sum(&exporter, "tcp_connect_failures_total"), 0.0);
    // Others may do the same meanwhile.
    assert!(state("established") - established >= 390.0 && state("listen") - listens >= 1.0);
}

#[test]
fn connections_wait_until_they_are_accepted() {
    let exporter = start("tcpconnections");
    let group = Group::new();
    let begin = std::time::Instant::now();
    group.network("late-accepts", 40);
    let took = begin.elapsed().as_secs_f64();
    let waits = group.sum(&exporter, "tcp_accept_latency_seconds_count");
    check_events("waits to be accepted", "accept_", waits, group.sum(&exporter, "tcp_accepts_total"));
    // Each for 5 ms at the least, and for nothing in a bucket below.
    let seconds = group.sum(&exporter, "tcp_accept_latency_seconds_sum");
    assert!(waits > 30.0 && (waits * 0.005..=took).contains(&seconds), "{seconds} s for {waits} in {took} s");
    let short = group.series(&exporter, "tcp_accept_latency_seconds_bucket");
    assert_eq!(short["le=0.004194304"], 0.0, "{short:?}");
}

#[test]
fn connects_that_fail_are_counted_by_their_error() {
    #[track_caller]
    fn check(what: &str, times: u32, error: &str) {
        let exporter = start("tcpconnections");
        let group = Group::new();
        group.network(what, times);
        let failures = group.series(&exporter, "tcp_connect_failures_total");
        let counted = failures.get(&format!("error={error}")).copied().unwrap_or_default();
        check_events(what, "tcp_set_state", counted, times.into());
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert_eq!(group.sum(&exporter, "tcp_connect_latency_seconds_count"), 0.0);
    }
    let _alone = alone_with_filters();
    check("refused", 100, "ECONNREFUSED");
    check("unanswered", 20, "ETIMEDOUT");
    check("given-up", 20, "none");
}

#[test]
fn retransmits_are_those_of_the_kernel() {
    let _alone = alone_with_filters();
    let exporter = start("tcpretransmits");
    let group = Group::new();
    let kernel = group.network("lost", 3)["TcpRetransSegs"];
    let states = group.series(&exporter, "tcp_retransmits_total");
    assert!(kernel >= 5.0 && states["state=established"] >= 3.0, "{kernel}: {states:?}");
    assert!(states["state=syn_sent"] >= 1.0 && states["state=new_syn_recv"] >= 1.0, "{states:?}");
    check_events("retransmits", "tcp_retransmit_", states.values().sum(), kernel);
}

#[test]
fn resets_are_exact() {
    let exporter = start("tcpresets");
    let group = Group::new();
    let no_socket = || -> f64 {
        let sent = exporter.values("ebpf_exporter_tcp_resets_sent_total");
        sent.iter().filter(|(labels, _)| labels["reason"] == "no_socket").map(|(_, count)| count).sum()
    };
    let before = no_socket();
    let kernel = group.network("resets", 70);
    group.network("refused", 30);

    assert_eq!(kernel["TcpOutRsts"], 70.0);
    check_events("sent", "tcp_send_reset", group.sum(&exporter, "tcp_resets_sent_total"), 70.0);
    let received = group.series(&exporter, "tcp_resets_received_total");
    check_events("of connections", "tcp_receive_reset", received["state=established"], 70.0);
    check_events("of connects", "tcp_receive_reset", received["state=syn_sent"], 30.0);
    assert_eq!(received.len(), 2, "{received:?}");
    // Others may be refused meanwhile. Before, resets without a socket were no event.
    assert!(!since(6, 10) || no_socket() - before >= 29.0);
}

#[test]
fn round_trips_are_those_of_the_connection() {
    #[track_caller]
    fn check(exporter: &Exporter, work: impl Fn(&Group) -> BTreeMap<String, f64>) {
        let group = Group::new();
        let known = work(&group);
        let counted = group.series(exporter, "tcp_round_trip_time_seconds_count");
        let (shown, segments) = (counted["path=local"], known["segments"]);
        assert!(shown <= segments, "{shown} of {segments}");
        // Some are left out by the kernel of this machine, which does not count them.
        check_events("segments", "tcp_probe", (shown + segments * LEFT_OUT).min(segments), segments);
        assert_eq!(counted.len(), 1, "{counted:?}");
        // The kernel's own numbers of the same connection, in microseconds, never were outside of these.
        let mean = group.sum(exporter, "tcp_round_trip_time_seconds_sum") / counted["path=local"] * 1e6;
        assert!(known["least_rtt"] <= mean && mean <= known["most_rtt"], "{mean}: {known:?}");
        // An acknowledgement is delayed by 40 ms.
        let slow = group.series(exporter, "tcp_round_trip_time_seconds_bucket");
        assert!(slow["le=0.008388608,path=local"] < counted["path=local"], "{slow:?}");
    }
    let exporter = start("tcprtt");
    check(&exporter, |group| group.network("slow-acknowledgements", 30));
    check(&exporter, |group| group.network_by("ipv6", "slow-acknowledgements", 30));
}

#[test]
fn bytes_of_sockets_are_exact() {
    const TIMES: f64 = 50.0;
    #[track_caller]
    fn check(exporter: &Exporter, group: &Group, program: &str) {
        for (protocol, calls, bytes) in
            [("tcp", TIMES, 3000.0), ("udp", TIMES * 2.0, 700.0), ("unix", TIMES * 3.0, 90.0)]
        {
            // The functions that stand in before know only the protocols of the Internet.
            if protocol == "unix" && !since(6, 3) {
                continue;
            }
            let of = |family: &str| group.series(exporter, family)[&format!("protocol={protocol}")];
            for (calls_family, bytes_family) in [
                ("socket_sends_total", "socket_sent_bytes_total"),
                ("socket_receives_total", "socket_received_bytes_total"),
            ] {
                check_events(calls_family, program, of(calls_family), calls);
                // What was not shown is missing in both.
                assert_eq!(of(bytes_family), of(calls_family) * bytes, "{protocol}: {bytes_family}");
            }
        }
    }
    let exporter = start("socketbytes");
    let (ipv4, ipv6) = (Group::new(), Group::new());
    ipv4.network("traffic", TIMES as u32);
    check(&exporter, &ipv4, "socket_");
    ipv6.network_by("ipv6", "traffic", TIMES as u32);
    check(&exporter, &ipv6, "ipv6_socket_");
}

#[test]
fn datagrams_that_find_no_room_are_exact() {
    const SENT: u32 = 300;
    let exporter = start("udpdrops");
    let group = Group::new();
    let known = group.network("slow-receiver", SENT);
    let dropped = f64::from(SENT) - known["received"];
    assert!(dropped > 0.0 && known["UdpRcvbufErrors"] == dropped, "{known:?}");
    let drops = group.series(&exporter, "udp_receive_drops_total");
    check_events("drops", "udp_dropped", drops["reason=buffer_full"], dropped);
    assert_eq!(drops.len(), 1, "{drops:?}");
}

/// What was dropped because the queue of a listener was full; the program follows a function of the
/// kernel, which not every kernel allows.
#[test]
fn connections_that_find_the_queue_full_are_exact() {
    #[track_caller]
    fn check(exporter: &Exporter, work: impl Fn(&Group) -> BTreeMap<String, f64>) {
        let group = Group::new();
        let kernel = work(&group)["TcpExtListenOverflows"];
        assert!(kernel >= 18.0, "{kernel}");
        let overflows = group.series(exporter, "tcp_listen_overflows_total");
        let attached = exporter.values("ebpf_exporter_ebpf_program_attached");
        if attached.iter().all(|(_, attached)| *attached == 0.0) {
            assert_eq!(overflows.len(), 0, "{overflows:?}");
        } else {
            assert_eq!(overflows, [("port=7000".to_owned(), kernel)].into());
        }
    }
    let exporter = start("listenqueue");
    check(&exporter, |group| group.network("overflow", 20));
    check(&exporter, |group| group.network_by("ipv6", "overflow", 20));
    check(&exporter, |group| group.network_by("both", "overflow", 20));
}

/// Of all machines' traffic only this has wrong checksums and filters that let nothing in.
#[test]
fn packets_that_are_dropped_are_exact() {
    const DROPS: u32 = 150;
    let _alone = alone_with_filters();
    let exporter = start("packetdrops");
    let of = |reason: &str| {
        let series = format!("ebpf_exporter_packet_drops_total{{protocol=\"ipv4\",reason=\"{reason}\"}}");
        count(&exporter, &series)
    };
    let all = ["udp_csum", "socket_filter", "not_specified"];
    let before = all.map(of);
    let kernel = Group::new().network("drops", DROPS);
    let [checksums, filters, without_reason] = std::array::from_fn(|index| of(all[index]) - before[index]);
    assert_eq!(kernel["UdpInCsumErrors"], f64::from(DROPS));
    if since(5, 17) {
        check_events("checksums", "kfree_skb", checksums, DROPS.into());
        check_events("filters", "kfree_skb", filters, DROPS.into());
    } else {
        // Without reasons, what is left in the queue of a socket at its end is a drop, too: here of the raw one.
        assert!((450.0..=500.0).contains(&without_reason), "{without_reason} drops");
        assert_eq!((checksums, filters), (0.0, 0.0));
    }
}

/// What the kernel took in on all CPUs: of a device that merges packets before it counts them the
/// poll knows more, which its interface does, too.
#[test]
fn polls_take_what_the_kernel_processed() {
    const PACKETS: u32 = 2000;
    let exporter = start("napi");
    let page = || -> f64 {
        exporter.values("ebpf_exporter_napi_packets_total").iter().map(|(_, packets)| packets).sum()
    };
    let processed = || -> f64 {
        let text = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
        let numbers = text.lines().map(|line| line.split(' ').next().unwrap());
        numbers.map(|number| u64::from_str_radix(number, 16).unwrap() as f64).sum()
    };
    let received = || -> f64 {
        let output = run(std::process::Command::new("cat").arg("/proc/net/dev")).stdout;
        let text = String::from_utf8(output).unwrap();
        let lines = text.lines().skip(2).filter_map(|line| line.split_once(':'));
        let packets = lines.filter(|(name, _)| name.trim() != "lo");
        packets.map(|(_, numbers)| numbers.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()).sum()
    };
    let merged_before = received();
    let first = hold(processed, page);
    Group::new().network("slow-receiver", PACKETS);
    let second = hold(processed, page);
    // A poll in flight on each CPU is in one of the numbers only, with 64 packets at most.
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    let merged = received() - merged_before;
    assert_held("packets", &first, &second, 64.0 * cpus + merged);
    assert!(second.page - first.page >= f64::from(PACKETS) - 64.0 * cpus);
    let polls: f64 = exporter.values("ebpf_exporter_napi_polls_total").iter().map(|(_, polls)| polls).sum();
    let exhausted = exporter.values("ebpf_exporter_napi_budget_exhausted_total");
    assert!(polls > 0.0 && exhausted.iter().map(|(_, count)| count).sum::<f64>() <= polls);
}
