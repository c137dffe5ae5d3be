//! Packets through interfaces, against what the interfaces count themselves.

use std::collections::BTreeMap;

use super::{Held, assert_held, eventually, hold, start, workload};
use crate::common::exporter::{Exporter, values_of};

/// Bytes of the workload's frames, with the header of the link.
const FRAME: f64 = 114.0;

/// What an interface has of a family, by direction, or by direction and protocol.
fn traffic(page: &str, family: &str, interface: &str, by_protocol: bool) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (labels, value) in values_of(page, &format!("ebpf_exporter_interface_{family}_total")) {
        if labels["interface"] == interface {
            let mut key = labels["direction"].clone();
            if by_protocol {
                key = format!("{key} {}", labels["protocol"]);
            }
            *found.entry(key).or_default() += value;
        }
    }
    found
}

/// What an interface says of itself.
#[track_caller]
fn statistic(interface: &str, name: &str) -> f64 {
    let path = format!("/sys/class/net/{interface}/statistics/{name}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().parse().unwrap()
}

/// Whether both programs are at an interface.
fn sees_packets(exporter: &Exporter) -> bool {
    let attached = exporter.values("ebpf_exporter_program_verdict");
    attached.iter().filter(|(labels, _)| labels["verdict"] == "attached").count() == 2
}

/// Sends frames from an interface, and holds what was counted at both ends against that.
#[track_caller]
pub fn check_frames(exporter: &Exporter, from: &str, to: &str, frames: u32) {
    let frames_of = |page: &str, family: &str| {
        [(from, "egress"), (to, "ingress")].map(|(interface, direction)| {
            let all = traffic(page, family, interface, true);
            all.get(&format!("{direction} other_ip")).copied().unwrap_or(0.0)
        })
    };
    let page = exporter.page();
    workload("frames", frames, from);
    let expected = f64::from(frames);
    // The other end takes them in a moment later.
    eventually("all frames have arrived", || {
        frames_of(&exporter.page(), "packets")[1] - frames_of(&page, "packets")[1] >= expected
    });
    let now = exporter.page();
    for (family, each) in [("packets", 1.0), ("bytes", FRAME)] {
        let (before, now) = (frames_of(&page, family), frames_of(&now, family));
        assert_eq!([now[0] - before[0], now[1] - before[1]], [expected * each; 2], "{family}");
    }
}

/// The same between two interfaces, of which each counts what the programs see.
#[track_caller]
pub fn check_all(exporter: &Exporter, from: &str, to: &str, frames: u32) {
    let ends = [(from, "egress", "tx_bytes"), (to, "ingress", "rx_bytes")];
    let read = |(interface, direction, name): (&str, &str, &str)| -> Held<f64> {
        let page =
            || traffic(&exporter.page(), "bytes", interface, false).get(direction).copied().unwrap_or(0.0);
        hold(|| statistic(interface, name), page)
    };
    let before = ends.map(read);
    check_frames(exporter, from, to, frames);
    let after = ends.map(read);
    for (end, (before, after)) in ends.iter().zip(before.iter().zip(&after)) {
        assert_held(&format!("{end:?}"), before, after, 0.0);
    }
}

/// The loopback interface itself counts bytes without the header of the link.
#[test]
fn packets_of_the_loopback_are_seen_on_both_ways() {
    let exporter = start("interfaces");
    if sees_packets(&exporter) {
        check_frames(&exporter, "lo", "lo", 700);
    } else {
        // Neither tcx links nor, without its modules, the clsact qdisc.
        assert!(!super::workloads::since(6, 6), "{}", exporter.page());
    }
}
