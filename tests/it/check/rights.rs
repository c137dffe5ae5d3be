//! Capabilities that `check` names are those that the kernel asks for, no fewer and no more.

use super::*;

const MAPS: &str = r#"
#include <linux/ip.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 16); __type(key, u32); __type(value, u64); } counts SEC(".maps");
struct slots { u64 slots[16]; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct slots); } hist SEC(".maps");
struct locked { struct bpf_spin_lock lock; u32 next; u64 slots[16]; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct locked); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
static __always_inline void count(u32 key)
{
    u64 *value = bpf_map_lookup_elem(&counts, &key);
    if (value)
        __sync_fetch_and_add(value, 1);
}
static __noinline u8 at(struct __sk_buff *packet, u32 length)
{
    u8 *data = (void *) (long) packet->data, *end = (void *) (long) packet->data_end;
    u8 *place = data + (length & 63);
    return place + 1 > end ? 0 : *place;
}
static long step(u32 index, u64 *sum) { *sum += index; return 0; }
"#;

/// The beginning of what parses a packet.
const PACKET: &str = "u8 *data = (void *) (long) packet->data, *end = (void *) (long) packet->data_end;
    struct iphdr *ip = (void *) (data + 14);
    if ((void *) (ip + 1) > (void *) end) return 0;";

/// Runs `check --load` with nothing but these capabilities.
fn load_with(folder: &Folder, capabilities: &[&str]) -> Outcome {
    let names = capabilities.iter().map(|name| name.trim_start_matches("CAP_").to_lowercase());
    let set = names.fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
    let output = Command::new("setpriv")
        .current_dir(folder.0.path())
        .args([
            &format!("--bounding-set={set}"),
            &format!("--inh-caps={set}"),
            &format!("--ambient-caps={set}"),
        ])
        .args([env!("CARGO_BIN_EXE_bpftally"), "check", "--load", "rights.yaml"])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A program of a section and whether it takes CAP_PERFMON beside CAP_BPF and CAP_NET_ADMIN.
#[track_caller]
fn check(section: &str, body: &str, takes_perfmon: bool) {
    let context = if section == "xdp" { "struct xdp_md" } else { "struct __sk_buff" };
    let source = format!("{MAPS}\nSEC(\"{section}\") int program({context} *packet) {{ {body} return 0; }}");
    let folder = Folder::new(&[]);
    let yaml = "metrics: {counters: [{name: c_total, map: counts, help: h, labels: [{name: key, size: 4, decoders: [uint]}]}]}\n";
    folder.add("rights", yaml, &source);
    let told = folder.check(&["rights.yaml"]).stdout;
    let summary = told.lines().find(|line| line.starts_with("rights: ")).unwrap_or_else(|| panic!("{told}"));
    let expected: &[&str] = if takes_perfmon {
        &["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]
    } else {
        &["CAP_BPF", "CAP_NET_ADMIN"]
    };
    assert!(summary.ends_with(&format!("; {}", expected.join(", "))), "{section} {body}: {summary}");
    let outcome = load_with(&folder, expected);
    assert_eq!(outcome.code, 0, "{section} {body}: {}", outcome.stdout);
    // Where a machine does without the guards against speculation, the verifier asks for less.
    let guards = std::fs::read_to_string("/sys/devices/system/cpu/vulnerabilities/spectre_v1");
    if guards.is_ok_and(|guards| guards.starts_with("Vulnerable")) {
        return;
    }
    for missing in expected {
        // Of these programs the kernel asks for it when they are attached.
        if *missing == "CAP_NET_ADMIN" && section.starts_with("cgroup_skb") {
            continue;
        }
        let rest: Vec<&str> = expected.iter().copied().filter(|name| name != missing).collect();
        let outcome = load_with(&folder, &rest);
        assert_eq!(outcome.code, 1, "{section} {body} without {missing}: {}", outcome.stdout);
        assert!(outcome.stdout.contains(missing), "{section} {body} without {missing}: {}", outcome.stdout);
    }
}

#[test]
fn counting_packets_takes_no_right_to_look_into_the_kernel() {
    check("tc", "count(packet->protocol & 15);", false);
    check(
        "tc",
        "u32 key = 0; u64 *value = bpf_map_lookup_elem(&counts, &key); if (value) *value += packet->len;",
        false,
    );
    check("tc", &format!("{PACKET} count(ip->protocol & 15);"), false);
    check("cgroup_skb/egress", &format!("{PACKET} count(ip->protocol & 15);"), false);
    // What varies may be added to the place of a map's value.
    let slot = "u32 key = 0; struct slots *all = bpf_map_lookup_elem(&hist, &key);
        if (all) __sync_fetch_and_add(&all->slots[packet->len & 15], 1);";
    check("tc", slot, false);
    check(
        "tc",
        "u8 bytes[32] = {}; bpf_skb_load_bytes(packet, 0, bytes, (packet->len & 15) + 1); count(bytes[3] & 15);",
        false,
    );
    check("tc", "struct bpf_sock *socket = packet->sk; if (socket) count(socket->family & 15);", false);
    check("tc", "u64 sum = 0; bpf_loop(10, step, &sum, 0); count(sum & 15);", false);
    check(
        "tc",
        "u32 sum = 0; for (u32 i = 0; i < packet->len && i < 100; i++) sum += i * packet->mark; count(sum & 15);",
        false,
    );
}

#[test]
fn lengths_that_vary_and_the_kernels_memory_take_one() {
    let parse = "u8 *next = (u8 *) ip + ip->ihl * 4; if (next + 4 > end) return 0; count(next[1] & 15);";
    for section in ["tc", "xdp", "cgroup_skb/ingress"] {
        check(section, &format!("{PACKET} {parse}"), true);
    }
    // In a function, too.
    check("tc", "count(at(packet, packet->len) & 15);", true);
    check(
        "tc",
        "long size = (void *) (long) packet->data_end - (void *) (long) packet->data; count(size & 15);",
        true,
    );
    check(
        "tc",
        "volatile u8 bytes[16]; for (int i = 0; i < 16; i++) bytes[i] = i; count(bytes[packet->len & 15] & 15);",
        true,
    );
    let record = "u8 *event = bpf_ringbuf_reserve(&events, 64, 0); if (!event) return 0;
        event[packet->len & 63] = 1; bpf_ringbuf_submit(event, 0);";
    check("tc", record, true);
    // The lock lies where an offset of nothing would lead.
    let locked = "u32 key = 0; struct locked *all = bpf_map_lookup_elem(&ring, &key); if (!all) return 0;
        bpf_spin_lock(&all->lock); all->slots[all->next++ & 15] = packet->len; bpf_spin_unlock(&all->lock);";
    check("tc", locked, true);
    check("tc", "u64 word = 0; bpf_probe_read_kernel(&word, 8, packet); count(word & 15);", true);
    check("tc", "bpf_printk(\"%d\", packet->len);", true);
    check("tc", "count(bpf_get_current_task() & 15);", true);
}
