use std::path::{Path, PathBuf};
use std::process::Command;

use bpftally::bpf;
use bpftally::host::CgroupPattern;
use bpftally::spec::{Attach, Cgroups, Direction};

use super::{load_placed, placed};
use crate::common::kernel::{host, load, rows, run, total, with_bpffs};
use crate::common::objects;

/// Counts calls of connect(2) for IPv4.
const CONNECTS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } connects SEC(".maps");
SEC("cgroup/connect4")
int connects4(struct bpf_sock_addr *context)
{
    u32 zero = 0;
    u64 *slot = bpf_map_lookup_elem(&connects, &zero);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    return 1;
}
"#;

/// Counts UDP packets over IPv4 by their destination's port, in the order of the network.
const PACKETS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 65536); __type(key, u16); __type(value, u64); } ports SEC(".maps");
SEC("SECTION")
int packets(struct __sk_buff *packet)
{
    u8 protocol = 0;
    u16 port = 0;
    u64 one = 1, *slot;
    if (bpf_skb_load_bytes(packet, 9, &protocol, 1) || protocol != 17 || bpf_skb_load_bytes(packet, 22, &port, 2))
        return 1;
    slot = bpf_map_lookup_elem(&ports, &port);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    else
        bpf_map_update_elem(&ports, &port, &one, BPF_NOEXIST);
    return 1;
}
"#;

/// A cgroup of a test's own below the root of cgroup2; removed with all below it.
pub struct Cgroup {
    path: PathBuf,
    name: String,
}

impl Cgroup {
    pub fn new(name: &str) -> Self {
        let unified = Path::new("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { Path::new("/sys/fs/cgroup") };
        let name = format!("/bpftally-{name}-{}", std::process::id());
        let path = root.join(&name[1..]);
        std::fs::create_dir(&path).unwrap();
        Self { path, name }
    }

    pub fn create(&self, name: &str) {
        std::fs::create_dir_all(self.path.join(name)).unwrap();
    }

    /// A path below it, as configs write it.
    pub fn below(&self, name: &str) -> String {
        format!("{}{name}", self.name)
    }

    /// Has a process in a cgroup below it connect so many times, which sends nothing.
    pub fn connect(&self, below: &str, times: u32) {
        let script =
            "echo $$ > $0/cgroup.procs; for i in $(seq $1); do exec 3>/dev/udp/127.0.0.1/9; exec 3>&-; done";
        let folder = self.path.join(below.trim_start_matches('/'));
        let status = Command::new("bash").args(["-c", script]).arg(&folder).arg(times.to_string()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The files of a cgroup cannot be removed, so its folders are, from below.
fn remove(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(path);
}

pub fn at(paths: &[&str]) -> Attach {
    Attach::Cgroup(Cgroups {
        paths: paths.iter().map(|path| CgroupPattern::new(path)).collect(),
        direction: None,
    })
}

/// Sends packets over the loopback interface; the receiver's port.
fn send(times: u32) -> u16 {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..times {
        sender.send_to(b"counted", receiver.local_addr().unwrap()).unwrap();
        receiver.recv(&mut [0; 16]).unwrap();
    }
    receiver.local_addr().unwrap().port()
}

#[track_caller]
fn check_port(loaded: &bpf::Loaded, port: u16, expected: u64) {
    let view = loaded.view();
    let entries = rows(view.source("ports").unwrap().as_ref());
    let found = entries.iter().find(|(key, _)| *key == port.to_be_bytes());
    let count = found.map_or(0, |(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()));
    assert_eq!(count, expected);
}

/// Without a word of the config, a hook of cgroups sees the whole machine.
#[test]
fn sections_of_cgroups_are_attached_to_the_root() {
    for section in ["cgroup_skb/ingress", "cgroup_skb/egress"] {
        let loaded = load("root", &PACKETS.replace("SECTION", section));
        assert_eq!(loaded.link_count(), 1);
        check_port(&loaded, send(50), 50);
    }
}

#[test]
fn a_section_may_leave_the_direction_to_the_config() {
    for direction in [Direction::Ingress, Direction::Egress] {
        let wanted = Cgroups { paths: vec![CgroupPattern::new("/")], direction: Some(direction) };
        let loaded =
            load_placed(&PACKETS.replace("SECTION", "cgroup/skb"), &[("packets", Attach::Cgroup(wanted))]);
        check_port(&loaded, send(20), 20);
    }
}

#[test]
fn a_program_sees_its_cgroup_and_what_is_below() {
    let cgroup = Cgroup::new("one");
    for name in ["a/leaf", "b"] {
        cgroup.create(name);
    }
    let loaded = load_placed(CONNECTS, &[("connects4", at(&[&cgroup.below("/a")]))]);
    cgroup.connect("/a", 5);
    cgroup.connect("/a/leaf", 7);
    cgroup.connect("/b", 11);
    assert_eq!(total(&loaded, "connects"), 12);
    loaded.retire();
}

/// What two patterns match, or one above the other, counts once.
#[test]
fn cgroups_that_match_twice_count_once() {
    let cgroup = Cgroup::new("many");
    for name in ["a/leaf", "b/leaf", "other"] {
        cgroup.create(name);
    }
    let paths = [cgroup.below("/?"), cgroup.below("/**/leaf"), cgroup.below("/a")];
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let loaded = load_placed(CONNECTS, &[("connects4", at(&paths))]);
    assert_eq!(loaded.link_count(), 2, "/a and /b");
    for name in ["/a", "/a/leaf", "/b", "/b/leaf", "/other"] {
        cgroup.connect(name, 3);
    }
    assert_eq!(total(&loaded, "connects"), 12);
}

#[test]
fn every_hook_of_cgroups_is_attached() {
    let sections = [
        "cgroup/sock_create",
        "cgroup/sock_release",
        "cgroup/post_bind4",
        "cgroup/bind4",
        "cgroup/connect6",
        "cgroup/sendmsg4",
        "cgroup/recvmsg4",
        "cgroup/getpeername4",
        "cgroup/getsockname6",
        "cgroup/sysctl",
        "cgroup/getsockopt",
        "cgroup/setsockopt",
        "cgroup/dev",
        "sockops",
    ];
    let program = |(index, section): (usize, &&str)| {
        format!("SEC(\"{section}\") int program_{index}(void *context) {{ return 1; }}\n")
    };
    let source: String = sections.iter().enumerate().map(program).collect();
    let cgroup = Cgroup::new("hooks");
    let names: Vec<String> = (0..sections.len()).map(|index| format!("program_{index}")).collect();
    let places: Vec<(&str, Attach)> =
        names.iter().map(|name| (name.as_str(), at(&[&cgroup.below("")]))).collect();
    let loaded = load_placed(&source, &places);
    assert_eq!(loaded.link_count(), sections.len());
}

#[test]
fn a_cgroup_that_is_not_there_is_named_with_the_closest() {
    let cgroup = Cgroup::new("named");
    cgroup.create("service");
    let spec = placed("places", CONNECTS, &[("connects4", at(&[&cgroup.below("/servce")]))]);
    let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
    let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
    assert_eq!(problem.code, "attach-failed");
    assert!(problem.message.contains(&format!("the cgroup `{}`", cgroup.below("/servce"))), "{problem:#?}");
    let help = format!("did you mean `{}`?", cgroup.below("/service"));
    assert_eq!(problem.help.as_deref(), Some(help.as_str()));
}

/// Somebody's program that wants no other beside it is the reason, not a capability.
#[test]
fn a_cgroup_whose_program_is_alone_is_told_from_what_is_not_permitted() {
    let cgroup = Cgroup::new("alone");
    cgroup.create("below");
    with_bpffs(|folder| {
        let pin = folder.join("alone").display().to_string();
        let object = objects::compile(&PACKETS.replace("SECTION", "cgroup_skb/egress"));
        run("bpftool", &["prog", "load", &object.display().to_string(), &pin]);
        run("bpftool", &["cgroup", "attach", &cgroup.path.display().to_string(), "egress", "pinned", &pin]);
        for name in ["", "/below"] {
            let place = [("packets", at(&[&cgroup.below(name)]))];
            let spec = placed("places", &PACKETS.replace("SECTION", "cgroup_skb/egress"), &place);
            let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
            let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
            let help = problem.help.as_deref().unwrap_or_default();
            assert!(help.contains("BPF_F_ALLOW_MULTI") && !help.contains("CAP_"), "{problem:#?}");
        }
    });
}
