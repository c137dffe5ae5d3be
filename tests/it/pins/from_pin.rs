//! Maps that somebody else loaded, pinned, takes away and pins anew.

use libbpf_rs::MapType;

use super::{Owner, eventually};
use crate::common::exporter::{Exporter, run};
use crate::common::folder::Folder;
use crate::common::kernel::{create_map, put, with_bpffs};
use crate::exporter::{Workload, good_yaml};

const FLOWS: &str = "
enum direction { INGRESS, EGRESS };
struct key { u16 port; u8 direction_padding[2]; enum direction direction; };
struct value { u64 packets; u64 bytes; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct key); __type(value, struct value); } flows SEC(\".maps\");
SEC(\"raw_tp/sys_enter\") int idle(void *context) { return 0; }
";

/// The key and the value as the source lays them out.
fn flow(port: u16, direction: u32, packets: u64, bytes: u64) -> ([u8; 8], [u8; 16]) {
    let (mut key, mut value) = ([0; 8], [0; 16]);
    key[..2].copy_from_slice(&port.to_ne_bytes());
    key[4..].copy_from_slice(&direction.to_ne_bytes());
    value[..8].copy_from_slice(&packets.to_ne_bytes());
    value[8..].copy_from_slice(&bytes.to_ne_bytes());
    (key, value)
}

fn owner(flows: &[(u16, u32, u64, u64)]) -> Owner {
    let owner = Owner::load(FLOWS);
    for (port, direction, packets, bytes) in flows {
        let (key, value) = flow(*port, *direction, *packets, *bytes);
        owner.put("flows", &key, &value);
    }
    owner
}

fn yaml(pin: &std::path::Path) -> String {
    format!(
        "maps: {{theirs: {{from_pin: {}}}}}\nmetrics:\n  counters:\n    \
         - {{name: packets_total, help: h, map: theirs, value: packets, labels: [port, direction]}}\n    \
         - {{name: bytes_total, help: h, map: theirs, value: bytes, labels: [port, direction]}}\n",
        pin.display()
    )
}

const PACKETS: &str = "ebpf_exporter_packets_total{direction=\"EGRESS\",port=\"443\"}";
const BYTES: &str = "ebpf_exporter_bytes_total{direction=\"EGRESS\",port=\"443\"}";

#[test]
fn yaml_alone_reads_a_map_by_the_names_of_its_members() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("flows");
        let mut owner = owner(&[(443, 1, 10, 1500), (53, 0, 2, 90)]);
        owner.pin("flows", &pin);
        let folder = Folder::new();
        folder.file("flows.yaml", yaml(&pin));
        let file = folder.path().join("flows.yaml").display().to_string();
        let (code, text) = run(&["check", "--strict", &file]);
        assert_eq!(code, Some(0), "{text}");
        let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
        assert_eq!((exporter.value(PACKETS), exporter.value(BYTES)), (Some(10.0), Some(1500.0)));
        let dns = "ebpf_exporter_bytes_total{direction=\"INGRESS\",port=\"53\"}";
        assert_eq!(exporter.value(dns), Some(90.0));
        // What its owner counts on is seen by the next scrape.
        let (key, value) = flow(443, 1, 11, 1600);
        owner.put("flows", &key, &value);
        assert_eq!((exporter.value(PACKETS), exporter.value(BYTES)), (Some(11.0), Some(1600.0)));
        let (status, log) = exporter.stop();
        assert!(status.success() && !log.contains("level=warn"), "{log}");
        assert!(pin.exists(), "it is not ours");
    });
}

/// It is waited for, goes on with the next one, and nothing else of the config or of others is lost meanwhile.
#[test]
fn a_pin_that_comes_and_goes_is_followed() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("flows");
        let folder = Folder::new();
        folder.file("flows.yaml", yaml(&pin));
        let calls = Workload::new();
        let own = good_yaml("own")
            .replace("metrics:\n", &format!("maps: {{theirs: {{from_pin: {}}}}}\nmetrics:\n", pin.display()));
        let gauges =
            "  gauges:\n    - {name: theirs_packets, help: h, map: theirs, value: packets, labels: [port]}\n";
        folder.pair("own", &(own + gauges), &calls.good_object("own"));
        let exporter = Exporter::start(&[&folder.argument(), "--config.watch=off"]);
        let there = format!(
            "ebpf_exporter_map_from_pin{{config=\"flows\",map=\"theirs\",path=\"{}\"}}",
            pin.display()
        );
        let page = exporter.page();
        let value = |page: &str, series: &str| crate::common::exporter::value_of(page, series);
        assert_eq!(value(&page, &there), Some(0.0), "{page}");
        assert!(!page.contains("ebpf_exporter_packets_total"), "{page}");
        assert_eq!(value(&page, "ebpf_exporter_config_loaded{config=\"flows\"}"), Some(1.0));
        let landing = exporter.get("/").text();
        assert!(
            landing.contains("is waited for") && landing.contains(&pin.display().to_string()),
            "{landing}"
        );
        calls.fire(3);
        let own = "ebpf_exporter_own{slot=\"7\"}";
        assert_eq!(exporter.value(own), Some(3.0));

        let mut first = owner(&[(443, 1, 10, 1500)]);
        first.pin("flows", &pin);
        eventually("it comes", || {
            exporter.value(PACKETS) == Some(10.0) && exporter.value(&there) == Some(1.0)
        });
        eventually("in the other config, too", || {
            exporter.value("ebpf_exporter_theirs_packets{port=\"443\"}") == Some(10.0)
        });
        assert!(!exporter.get("/").text().contains("is waited for"));

        // Another one takes its place, as when its owner is restarted.
        let mut second = owner(&[(443, 1, 1, 7), (80, 1, 2, 3)]);
        second.pin("flows", &bpffs.join("next"));
        std::fs::rename(bpffs.join("next"), &pin).unwrap();
        drop(first);
        eventually("it is the new one", || exporter.value(BYTES) == Some(7.0));
        assert_eq!(exporter.value("ebpf_exporter_bytes_total{direction=\"EGRESS\",port=\"80\"}"), Some(3.0));

        std::fs::remove_file(&pin).unwrap();
        eventually("it is gone", || exporter.value(&there) == Some(0.0));
        assert_eq!(exporter.value(BYTES), None);
        calls.fire(4);
        let page = exporter.page();
        assert_eq!(value(&page, own), Some(7.0), "what the config counts itself went on: {page}");
        assert_eq!(value(&page, "ebpf_exporter_config_loaded{config=\"own\"}"), Some(1.0));

        // One of another layout takes its place: what can be read of it is.
        let mut other = Owner::load(&FLOWS.replace("u64 bytes;", "u64 octets;"));
        other.pin("flows", &pin);
        let (key, value) = flow(443, 1, 5, 5);
        other.put("flows", &key, &value);
        eventually("its log says why", || exporter.log().contains("bytes"));
        assert_eq!(exporter.value(BYTES), None);
    });
}

#[test]
fn a_map_without_types_is_read_by_position() {
    with_bpffs(|bpffs| {
        let pin = bpffs.join("plain");
        let mut map = create_map(MapType::Hash, 4, 8, 8, 0);
        put(&map, &7_u32.to_ne_bytes(), &42_u64.to_ne_bytes());
        map.pin(&pin).unwrap();
        let folder = Folder::new();
        let with_map = good_yaml("plain")
            .replace("metrics:\n", &format!("maps: {{plain: {{from_pin: {}}}}}\nmetrics:\n", pin.display()));
        folder.file("plain.yaml", with_map);
        let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
        assert_eq!(exporter.value("ebpf_exporter_plain{slot=\"7\"}"), Some(42.0));
    });
}

/// What is pinned may be no map at all, and a name of a member may be wrong.
#[test]
fn what_cannot_be_read_is_told() {
    with_bpffs(|bpffs| {
        let program = bpffs.join("program");
        let mut object = Owner::load(FLOWS);
        object.object.progs_mut().next().unwrap().pin(&program).unwrap();
        let flows = bpffs.join("flows");
        object.pin("flows", &flows);
        let folder = Folder::new();
        let check = |text: String, parts: &[&str]| {
            let file = folder.file("x.yaml", text).display().to_string();
            let (_, text) = run(&["check", &file]);
            assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
        };
        check(yaml(&program), &["pin-missing", "no map", "is waited for"]);
        check(yaml(&bpffs.join("none")), &["pin-missing", "bpftool map list"]);
        check(yaml(&folder.path().join("plain")), &["pin-missing"]);
        std::fs::write(folder.path().join("plain"), "").unwrap();
        check(yaml(&folder.path().join("plain")), &["pin-missing", "mount -t bpf"]);
        check(yaml(&flows).replace("value: bytes", "value: byte"), &["byte", "bytes"]);
    });
}
