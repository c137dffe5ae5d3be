//! The shipped DNS observer against messages whose numbers are known, each of which has to count once.
//!
//! It looks at a port of the test's own, so that what else asks on this machine is not counted.

use std::net::IpAddr;
use std::path::Path;

use crate::common::dns::{Server, with_globals};
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;

/// Messages of every transport, and which numbers they are.
mod counts;

/// Names, and the stream of events that they come in.
mod names;

/// Packets that are no DNS, or hardly.
mod hostile;

/// Between two hosts: fragments, retransmissions, and both ends of one message.
mod network;

/// Segments of TCP.
mod segments;

/// Queries without an answer.
mod unanswered;

pub const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
pub const LOCAL_6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// An exporter with the shipped pair, which looks at one port.
pub struct Observer {
    pub exporter: Exporter,
    folder: Folder,
    port: u16,
}

impl Observer {
    /// With more globals, such as `timeout_ns: 1_000_000`.
    #[track_caller]
    pub fn start(port: u16, globals: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Folder::new();
        let yaml = with_globals(&format!("dns_port: {port}, {globals}"));
        folder.pair("dns", &yaml, &root.join("bpf-objects/dns.bpf.o"));
        let exporter = Exporter::start(&[&folder.argument()]);
        assert_eq!(exporter.value("ebpf_exporter_config_loaded{config=\"dns\"}"), Some(1.0));
        Self { exporter, folder, port }
    }

    /// Changes the globals while it runs, which it sees in its own time.
    pub fn set(&self, globals: &str) {
        self.folder.file("dns.yaml", with_globals(&format!("dns_port: {}, {globals}", self.port)));
    }

    #[track_caller]
    pub fn of(server: &Server) -> Self {
        Self::of_port(server.address.port())
    }

    #[track_caller]
    pub fn of_port(port: u16) -> Self {
        Self::start(port, "")
    }

    /// A page on which every family can be asked for.
    #[track_caller]
    pub fn page(&self) -> Page {
        Page(self.exporter.page())
    }
}

pub struct Page(String);

impl Page {
    /// One series, without the prefix of all; 0 while it does not exist.
    pub fn value(&self, series: &str) -> f64 {
        value_of(&self.0, &format!("ebpf_exporter_dns_{series}")).unwrap_or_default()
    }

    /// The sum over all series of a family.
    pub fn sum(&self, family: &str) -> f64 {
        values_of(&self.0, &format!("ebpf_exporter_dns_{family}")).iter().map(|(_, value)| value).sum()
    }

    /// Every query that was seen has one end, and so has every response.
    #[track_caller]
    pub fn assert_adds_up(&self) {
        let answered = self.sum("response_latency_seconds_count");
        let ends = answered + self.sum("queries_unanswered_total") + self.sum("queries_pending");
        assert_eq!(self.sum("queries_total"), ends, "{}", self.0);
        let responses = answered + self.sum("responses_unmatched_total");
        assert_eq!(self.sum("responses_total"), responses, "{}", self.0);
    }
}
