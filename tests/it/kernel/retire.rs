use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use bpftally::bpf::{Loaded, retire_all};
use libbpf_rs::query::LinkInfoIter;

use crate::common::kernel::{load, rows, with_tracefs};

/// The kernel's links that hold programs of these, of which there must be so many.
#[track_caller]
pub fn links(all: &[&Loaded], count: usize) -> Vec<u32> {
    let programs: HashSet<u32> =
        all.iter().flat_map(|loaded| loaded.view().programs.programs()).map(|program| program.id).collect();
    let mut ids = Vec::new();
    // Listing ends early when a link of another test goes meanwhile.
    for _ in 0..1000 {
        ids = LinkInfoIter::default()
            .filter(|link| programs.contains(&link.prog_id))
            .map(|link| link.id)
            .collect();
        if ids.len() == count {
            return ids;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} links instead of {count}", ids.len());
}

/// The kernel must have none of these links.
#[track_caller]
pub fn are_gone(ids: &[u32]) {
    let mut left = Vec::new();
    // Another test that lists links holds each for a moment.
    for _ in 0..1000 {
        let now: HashSet<u32> = LinkInfoIter::default().map(|link| link.id).collect();
        left = ids.iter().copied().filter(|id| now.contains(id)).collect();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("links {left:?} are still there");
}

/// Many programs of the kinds that take long to detach.
fn many(kind: &str, count: usize) -> String {
    (0..count)
        .map(|number| format!("SEC(\"{kind}\") int program_{number}(void *ctx) {{ return 0; }}\n"))
        .collect()
}

#[track_caller]
fn check(source: &str, count: usize) -> Duration {
    with_tracefs(|| {
        let loaded = load("many", source);
        assert_eq!(loaded.link_count(), count);
        let ids = links(&[&loaded], count);
        let began = Instant::now();
        loaded.retire();
        let took = began.elapsed();
        are_gone(&ids);
        took
    })
}

#[test]
fn links_of_every_kind_are_gone_when_a_config_is_retired() {
    check(&many("tracepoint/sched/sched_process_exit", 3), 3);
    check(&many("raw_tp/sched_process_exit", 3), 3);
    check(&many("tp_btf/sched_process_exit", 3), 3);
    check(&many("uprobe//proc/self/exe:post_attach_mark", 3), 3);
}

#[test]
fn many_links_are_detached_in_little_more_than_the_time_of_one() {
    let (one, forty) = (
        check(&many("tracepoint/sched/sched_process_exit", 1), 1),
        check(&many("tracepoint/sched/sched_process_exit", 40), 40),
    );
    assert!(forty < one * 20 + Duration::from_millis(300), "one: {one:?}, forty: {forty:?}");
}

#[test]
fn many_configs_are_retired_together() {
    with_tracefs(|| {
        let source = many("tracepoint/sched/sched_process_fork", 4);
        let all: Vec<Loaded> = (0..6).map(|number| load(&format!("config_{number}"), &source)).collect();
        let ids = links(&all.iter().collect::<Vec<_>>(), 24);
        retire_all(all);
        are_gone(&ids);
    });
}

#[test]
fn dropping_without_retiring_detaches_too() {
    with_tracefs(|| {
        let loaded = load("dropped", &many("tracepoint/sched/sched_process_fork", 2));
        let ids = links(&[&loaded], 2);
        drop(loaded);
        are_gone(&ids);
    });
}

/// A program with two statically defined probes, by the notes that tools look for; no header is needed.
const TARGET: &str = r#"
#define PROBE(name) __asm__ volatile( \
    "990: nop\n" \
    ".pushsection .note.stapsdt,\"\",\"note\"\n" \
    ".balign 4\n" \
    ".4byte 992f-991f, 994f-993f, 3\n" \
    "991: .asciz \"stapsdt\"\n" \
    "992: .balign 4\n" \
    "993: .8byte 990b\n" \
    ".8byte _.stapsdt.base\n" \
    ".8byte 0\n" \
    ".asciz \"bpftally\"\n" \
    ".asciz \"" #name "\"\n" \
    ".asciz \"\"\n" \
    "994: .balign 4\n" \
    ".popsection\n")
__asm__(
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
    ".weak _.stapsdt.base\n"
    ".hidden _.stapsdt.base\n"
    "_.stapsdt.base: .space 1\n"
    ".size _.stapsdt.base, 1\n"
    ".popsection\n");
int main(void)
{
    for (int i = 0; i < 1000; i++) {
        PROBE(one);
        if (i % 10 == 0)
            PROBE(two);
    }
    return 0;
}
"#;

/// Probes of user space share the object's USDT manager: detached one after another, before the object.
#[test]
fn usdt_probes_count_and_are_detached_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("target.c"), folder.path().join("target"));
    std::fs::write(&source, TARGET).unwrap();
    let status = Command::new("clang").args(["-O1", "-o"]).arg(&target).arg(&source).status().unwrap();
    assert!(status.success());
    let probes = [("one", 4), ("two", 4)];
    let programs: String = probes
        .iter()
        .flat_map(|(probe, count)| (0..*count).map(move |number| (probe, number)))
        .map(|(probe, number)| {
            let path = target.display();
            format!("SEC(\"usdt/{path}:bpftally:{probe}\") int {probe}_{number}(void *ctx) {{ return count(\"{probe}\"[1] == 'n'); }}\n")
        })
        .collect();
    let source = format!(
        r#"
        #include <stdbool.h>
        #include <asm/ptrace.h>
        #include <bpf/usdt.bpf.h>
        struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, u32); __type(value, u64); }} counts SEC(".maps");
        static __always_inline int count(u32 slot)
        {{
            u64 *value = bpf_map_lookup_elem(&counts, &slot);
            if (value)
                __sync_fetch_and_add(value, 1);
            return 0;
        }}
        {programs}"#
    );
    for _ in 0..3 {
        let loaded = load("usdt", &source);
        assert_eq!(loaded.link_count(), 8);
        assert!(Command::new(&target).status().unwrap().success());
        let view = loaded.view();
        let counts: Vec<u64> = rows(view.source("counts").unwrap().as_ref())
            .iter()
            .map(|(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()))
            .collect();
        assert_eq!(counts, [4 * 100, 4 * 1000]);
        let ids = links(&[&loaded], 8);
        loaded.retire();
        are_gone(&ids);
    }
}

/// Objects carry the layout of the `usdt.bpf.h` that they were compiled with: that of libbpf 1.6 and
/// before has 16 bytes for an argument, that of 1.7.0 has 24.
#[test]
fn usdt_arguments_are_read_by_objects_of_either_layout() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("target.c"), folder.path().join("target"));
    // Two signed arguments of 4 bytes, each at a known place.
    let text = r#"
int main(void)
{
    int first = -7, second = 35;
    __asm__ __volatile__("990: nop\n\t.pushsection .note.stapsdt,\"\",\"note\"\n\t.balign 4\n\t"
        ".4byte 992f-991f, 994f-993f, 3\n\t991: .asciz \"stapsdt\"\n\t992: .balign 4\n\t993: .8byte 990b, 0, 0\n\t"
        ".asciz \"bpftally\"\n\t.asciz \"pair\"\n\t.asciz \"" PLACES "\"\n\t994: .balign 4\n\t.popsection"
        : : REGISTERS);
    return 0;
}
"#;
    let (places, registers) = if cfg!(target_arch = "aarch64") {
        ("-4@x9 -4@x10", r#""r"(x9), "r"(x10)"#)
    } else {
        ("-4@%%eax -4@%%ecx", r#""a"(first), "c"(second)"#)
    };
    let declared = if cfg!(target_arch = "aarch64") {
        text.replace(
            "int first = -7, second = 35;",
            "register int x9 __asm__(\"x9\") = -7, x10 __asm__(\"x10\") = 35;",
        )
    } else {
        text.to_owned()
    };
    std::fs::write(
        &source,
        declared.replace("PLACES", &format!("\"{places}\"")).replace("REGISTERS", registers),
    )
    .unwrap();
    let status = Command::new("clang").args(["-O0", "-o"]).arg(&target).arg(&source).status().unwrap();
    assert!(status.success());
    for kind in [
        "u32 kind; s16 register_offset; bool is_signed; u8 shift;",
        "u8 kind; u8 gap; u16 index; u8 reserved; u8 gaps; s16 register_offset; bool is_signed; u8 shift; u8 end[6];",
    ] {
        let loaded = load("usdt_arguments", &usdt_reader(&target.display().to_string(), kind));
        assert!(Command::new(&target).status().unwrap().success());
        let view = loaded.view();
        let values: Vec<i64> = rows(view.source("arguments").unwrap().as_ref())
            .iter()
            .map(|(_, value)| i64::from_ne_bytes(value.as_slice().try_into().unwrap()))
            .collect();
        assert_eq!(values, [-7, 35, 2], "{kind}");
        loaded.retire();
    }
}

/// What `usdt.bpf.h` does, with an argument's description of our choice.
fn usdt_reader(target: &str, kind: &str) -> String {
    format!(
        r#"
        #include <stdbool.h>
        struct argument {{ u64 offset; {kind} }};
        struct probe {{ struct argument arguments[12]; u64 cookie; s16 count; }};
        struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 16); __type(key, int); __type(value, struct probe); }} __bpf_usdt_specs SEC(".maps");
        struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __type(key, long); __type(value, u32); }} __bpf_usdt_ip_to_spec_id SEC(".maps");
        struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); }} arguments SEC(".maps");
        static __always_inline void keep(u32 slot, u64 value)
        {{
            bpf_map_update_elem(&arguments, &slot, &value, BPF_ANY);
        }}
        static __always_inline u64 read(void *ctx, struct argument *argument)
        {{
            u64 value = 0;
            bpf_probe_read_kernel(&value, sizeof(value), ctx + (argument->register_offset & 0x1ff));
            value <<= argument->shift;
            return argument->is_signed ? ((long long)value) >> argument->shift : value >> argument->shift;
        }}
        SEC("usdt/{target}:bpftally:pair")
        int pair(void *ctx)
        {{
            int number = bpf_get_attach_cookie(ctx);
            struct probe *probe = bpf_map_lookup_elem(&__bpf_usdt_specs, &number);
            if (!probe)
                return 0;
            keep(0, read(ctx, &probe->arguments[0]));
            keep(1, read(ctx, &probe->arguments[1]));
            keep(2, probe->count);
            return 0;
        }}
        "#
    )
}
