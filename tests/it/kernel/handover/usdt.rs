use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bpftally::bpf::{Attaching, Loaded};
use bpftally::spec::LoadSpec;

use super::{begin, hand_over, maps, numbers, refused, spec};
use crate::kernel::retire::{are_gone, links};

/// Two probes whose argument is at another place each: 11 in one register, 22 in another.
const TARGET: &str = r#"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
static atomic_int stop;
#define PROBE(name, place, constraint, value) { \
    int argument = value; \
    __asm__ volatile("990: nop\n\t.pushsection .note.stapsdt,\"\",\"note\"\n\t.balign 4\n\t" \
        ".4byte 992f-991f, 994f-993f, 3\n\t991: .asciz \"stapsdt\"\n\t992: .balign 4\n\t993: .8byte 990b, 0, 0\n\t" \
        ".asciz \"bpftally\"\n\t.asciz \"" #name "\"\n\t.asciz \"-4@" place "\"\n\t994: .balign 4\n\t.popsection" \
        : : constraint(argument)); }
static void *work(void *count)
{
    do { // A thread that starts after the stop fires once all the same: no run is without an event.
        PROBE(one, ONE_PLACE, ONE_CONSTRAINT, 11)
        PROBE(two, TWO_PLACE, TWO_CONSTRAINT, 22)
        ++*(unsigned long *)count;
    } while (!stop);
    return 0;
}
int main(void)
{
    pthread_t threads[3];
    unsigned long counts[3] = {0};
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], 0, work, &counts[i]);
    getchar();
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], 0);
    printf("%lu\n", counts[0] + counts[1] + counts[2]);
    return 0;
}
"#;

fn build(folder: &Path) -> String {
    let (source, target) = (folder.join("target.c"), folder.join("target"));
    std::fs::write(&source, TARGET).unwrap();
    let places = ["%%eax", "\"a\"", "%%ecx", "\"c\""];
    let define = |(name, value): (&str, &str)| match name.ends_with("PLACE") {
        true => format!("-D{name}=\"{value}\""),
        false => format!("-D{name}={value}"),
    };
    let names = ["ONE_PLACE", "ONE_CONSTRAINT", "TWO_PLACE", "TWO_CONSTRAINT"];
    let status = Command::new("clang")
        .args(["-O1", "-pthread", "-o"])
        .arg(&target)
        .arg(&source)
        .args(names.into_iter().zip(places).map(define))
        .status()
        .unwrap();
    assert!(status.success());
    target.display().to_string()
}

/// Programs for the probes in this order: each counts under its number and argument, as `111` for one with 11.
fn reader(target: &str, probes: &[&str], more: &str) -> LoadSpec {
    let number = |probe: &str| if probe == "one" { 1 } else { 2 };
    let programs: String = probes
        .iter()
        .map(|probe| {
            let key = number(probe) * 100;
            format!("SEC(\"usdt/{target}:bpftally:{probe}\") int {probe}(struct pt_regs *ctx) {{ return count(ctx, {key}); }}\n")
        })
        .collect();
    let source = format!(
        r#"
        #include <stdbool.h>
        #include <asm/ptrace.h>
        #include <bpf/usdt.bpf.h>
        struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, u32); __type(value, u64); }} counts SEC(".maps");
        static __always_inline int count(struct pt_regs *ctx, u32 key)
        {{
            long argument = 0;
            bpf_usdt_arg(ctx, 0, &argument);
            key += (u32)argument % 100;
            u64 one = 1, *slot = bpf_map_lookup_elem(&counts, &key);
            if (slot || (bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST) && (slot = bpf_map_lookup_elem(&counts, &key))))
                __sync_fetch_and_add(slot, 1);
            return 0;
        }}
        {programs}
        {more}"#
    );
    spec(&source, "")
}

/// Runs the target while `work` does; how often each probe fired.
fn during(target: &str, work: impl FnOnce()) -> u64 {
    let mut child = Command::new(target).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn counts(running: &Loaded) -> BTreeMap<u32, u64> {
    numbers(running, "counts")
}

#[test]
fn probes_miss_nothing_and_read_their_own_arguments() {
    const HANDOVERS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let target = build(folder.path());
    // The other way round libbpf gives them other numbers.
    let specs = [reader(&target, &["one", "two"], ""), reader(&target, &["two", "one"], "")];
    let mut running = begin(&specs[0]);
    let map = maps(&running)["counts"];
    let fired = during(&target, || {
        for turn in 1..=HANDOVERS {
            let old = links(&[&running], 2);
            hand_over(&mut running, &specs[turn % 2]);
            are_gone(&old);
            assert_eq!((running.carried(), maps(&running)["counts"]), (&["counts".to_owned()][..], map));
        }
    });
    let counts = counts(&running);
    println!("usdt: {fired} events of each probe, {counts:?} counted in {HANDOVERS} handovers");
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&111, &222], "each with its own argument: {counts:?}");
    assert!(counts.values().all(|count| (fired..=2 * fired).contains(count)), "{counts:?}");
}

#[test]
fn probes_that_are_put_back_read_their_own_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let target = build(folder.path());
    let mut running = begin(&reader(&target, &["one", "two"], ""));
    let wrong = r#"SEC("xdp/no-such-if") int wrong(struct xdp_md *ctx) { return XDP_PASS; }"#;
    for probes in [&["two"][..], &["two", "one"]] {
        refused(&mut running, &reader(&target, probes, wrong), Attaching::Strictly);
        let before = counts(&running);
        let fired = during(&target, || ());
        let now = counts(&running);
        for key in [111, 222] {
            assert_eq!(now[&key], before.get(&key).copied().unwrap_or(0) + fired, "{before:?} {now:?}");
        }
        assert_eq!(now.len(), 2, "{now:?}");
    }
}
