use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bpftally::config::{ConfigFile, Insecure, check_text};
use bpftally::spec::{Attach, LoadSpec};

use super::{begin, hand_over, spec};
use crate::common::kernel::{host, total, try_load};
use crate::common::objects::Object;
use crate::kernel::retire::links;

/// A program that counts what is sent to a UDP port, attached to a control group.
fn counting(port: u16, name: &str, group: &str) -> LoadSpec {
    let source = format!(
        r#"
struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} sent SEC(".maps");
SEC("cgroup_skb/egress") int {name}(struct __sk_buff *skb)
{{
    u16 port = 0;
    u32 zero = 0;
    u64 *slot = bpf_map_lookup_elem(&sent, &zero);
    if (slot && !bpf_skb_load_bytes(skb, 22, &port, 2) && port == {})
        __sync_fetch_and_add(slot, 1);
    return 1;
}}
"#,
        port.to_be()
    );
    spec(&source, &format!("programs: {{{name}: {{attach: {{cgroup: {group}}}}}}}"))
}

/// A socket, and the port that it sends to.
fn sender() -> (UdpSocket, UdpSocket, u16) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    sender.connect(address).unwrap();
    (sender, receiver, address.port())
}

#[test]
fn at_the_root_every_packet_counts_once_through_handovers_and_none_afterwards() {
    let (sender, _receiver, port) = sender();
    // Left out, empty, and written are the same place.
    let specs = ["{}", "", "{path: /}"].map(|group| counting(port, "count", group));
    let mut running = begin(&specs[0]);
    let link = links(&[&running], 1);
    let stop = AtomicBool::new(false);
    let sent: u64 = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                sender.send(b"counted").unwrap();
                sent += 1;
            }
            sent
        });
        for turn in 0..15 {
            hand_over(&mut running, &specs[turn % specs.len()]);
            assert_eq!(links(&[&running], 1), link, "the link stays");
        }
        stop.store(true, Ordering::Relaxed);
        sending.join().unwrap()
    });
    assert_eq!(total(&running, "sent"), sent);
    let view = running.view();
    running.retire();
    sender.send(b"not counted").unwrap();
    let rows = crate::common::kernel::rows(view.source("sent").unwrap().as_ref());
    assert_eq!(rows[0].1, sent.to_ne_bytes());
}

#[test]
fn a_group_sees_its_own_sockets_alone_and_a_program_moves_between_groups() {
    let (sender, _receiver, port) = sender();
    let root = host().cgroup_root().expect("cgroup v2 is mounted");
    let name = format!("bpftally-attach-{}", std::process::id());
    std::fs::create_dir(root.join(&name)).unwrap();
    let mut running = begin(&counting(port, "count", &format!("{{path: /{name}}}")));
    sender.send(b"from elsewhere").unwrap();
    assert_eq!(total(&running, "sent"), 0, "the socket is in another group");
    hand_over(&mut running, &counting(port, "count", "{path: /}"));
    sender.send(b"counted").unwrap();
    assert_eq!(total(&running, "sent"), 1);
    hand_over(&mut running, &counting(port, "count", &format!("{{path: /{name}}}")));
    sender.send(b"from elsewhere").unwrap();
    assert_eq!(total(&running, "sent"), 1);
    running.retire();
    std::fs::remove_dir(root.join(&name)).unwrap();
}

#[test]
fn what_has_no_group_says_so() {
    let mut spec = counting(9, "count", "{path: /no/such/group}");
    let loaded = try_load(&spec).unwrap();
    let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
    assert_eq!(problem.code, "attach-failed", "{problem:#?}");
    assert!(problem.message.contains("/no/such/group"), "{problem:#?}");
    assert!(problem.help.as_ref().unwrap().contains("the cgroup2 hierarchy"), "{problem:#?}");
    // Without a word of the config it is the root.
    spec.programs.clear();
    let loaded = try_load(&spec).unwrap();
    assert_eq!((loaded.problems(), loaded.link_count()), (&[][..], 1));
}

#[test]
fn only_paths_below_the_root_name_a_group() {
    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let object = Object::of("SEC(\"cgroup_skb/egress\") int count(void *ctx) { return 1; }");
        let options = bpftally::config::Options {
            namespace: String::new(),
            object_dir: None,
            host: Arc::new(host()),
            insecure: Insecure::Allowed,
            max_series: None,
        };
        let text = format!(
            "programs: {{count: {{attach: {{cgroup: {{path: {path}}}}}}}}}\nmetrics: {{counters: []}}\n"
        );
        let checked = check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options);
        let attach = checked.spec.and_then(|spec| spec.load.programs[0].attach.clone());
        let group = attach.map(|attach| match attach {
            Attach::Cgroup(cgroups) => cgroups.paths[0].text().to_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(group.as_deref(), expected, "{path}: {:#?}", checked.problems);
        assert_eq!(
            checked.problems.iter().any(|problem| problem.code == "attach-option"),
            expected.is_none(),
            "{path}"
        );
    }
    check("/", Some("/"));
    check("", Some("/"));
    check("/system.slice/a..b", Some("/system.slice/a..b"));
    for path in ["system.slice", "\"\"", "/..", "/a/../../b"] {
        check(path, None);
    }
}
