//! Events that wait in ring buffers while the exporter is away.

use super::kept::end;
use crate::common::exporter::{Exporter, value_of};
use crate::common::folder::Folder;
use crate::common::kernel;
use crate::reload::fire::{Calls, Hook};

const SEEN: &str = "ebpf_exporter_seen_total{key=\"7\"}";

/// What becomes of events that were written by one object when another one is there.
struct Change {
    name: &'static str,
    /// What differs in the object.
    members: &'static str,
    more: &'static str,
    yaml: &'static str,
    /// How many of a hundred come to be read; the others are told.
    read: f64,
}

const MEMBERS: &str = "u32 key; u64 size;";
const YAML: &str =
    "metrics: {counters: [{name: seen_total, help: h, ringbuf: events, type: event, labels: [key]}]}\n";
const NO_BUFFER: &str = "metrics: {counters: [{name: all_total, help: h, global: all}]}\n";

fn write(folder: &Folder, calls: Calls, change: &Change) {
    let maps = format!(
        "struct event {{ {} }};
         const struct event *unused_event __attribute__((unused));
         u64 all; int step = 1;
         struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); }} events SEC(\".maps\");",
        change.members
    );
    let body = format!(
        "struct event event = {{ .key = key, .size = 3 }};
         __sync_fetch_and_add(&all, 1);
         bpf_ringbuf_output(&events, &event, sizeof(event), 0); {}",
        change.more
    );
    folder.pair("m", change.yaml, &calls.object(Hook::RAW, &maps, &body));
}

/// A hundred events are written while nobody is there to read them, after some that were read.
#[track_caller]
fn check(change: &Change, crashes: bool) {
    kernel::with_bpffs(|bpffs| {
        let (calls, folder) = (Calls::new(), Folder::new());
        let flags = [
            &*folder.argument(),
            &format!("--bpf.pin-path={}", bpffs.join("kept").display()),
            "--config.strict",
        ];
        let what = format!("{}, {crashes}", change.name);
        let same = Change { members: MEMBERS, more: "", yaml: YAML, ..*change };
        write(&folder, calls, &same);
        let exporter = Exporter::start(&flags);
        calls.fire(7, 30);
        assert_eq!(exporter.value(SEEN), Some(30.0), "{what}: {}", exporter.log());
        end(exporter, crashes);
        calls.fire(7, 100);
        write(&folder, calls, change);
        let exporter = Exporter::start(&flags);
        let (page, log) = (exporter.page(), exporter.log());
        let lost = 100.0 - change.read;
        let said = format!(" events={lost}\n");
        assert_eq!(log.contains("events are lost"), lost > 0.0, "{what}: {log}");
        assert!(lost == 0.0 || log.contains(&said), "{what}: {log}");
        if change.yaml == NO_BUFFER {
            return;
        }
        let labels = "config=\"m\",reason=\"replaced\",source=\"events\"";
        let told = value_of(&page, &format!("ebpf_exporter_events_lost_total{{{labels}}}"));
        assert_eq!(told, Some(lost), "{what}: {page}");
        assert_eq!(value_of(&page, SEEN), Some(change.read).filter(|read| *read > 0.0), "{what}: {log}");
        // The new program's are read, and none is lost any more.
        calls.fire(7, 20);
        let page = exporter.page();
        assert_eq!(value_of(&page, SEEN), Some(change.read + 20.0), "{what}: {log}");
        assert_eq!(
            value_of(&page, &format!("ebpf_exporter_events_lost_total{{{labels}}}")),
            Some(lost),
            "{what}"
        );
    });
}

/// An array of performance events ends with the exporter: what is written meanwhile the kernel refuses, and the program
/// counts that.
#[test]
fn what_an_array_refuses_meanwhile_is_told_by_its_program() {
    kernel::with_bpffs(|bpffs| {
        let (calls, folder) = (Calls::new(), Folder::new());
        let maps = format!(
            "struct event {{ {MEMBERS} }};
             const struct event *unused_event __attribute__((unused));
             struct event_losses {{ u64 refused; }};
             struct event_losses events_losses;
             struct {{ __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); }}
                 events SEC(\".maps\");"
        );
        let body = "struct event event = { .key = key, .size = 3 };
             if (bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event)))
                 __sync_fetch_and_add(&events_losses.refused, 1);";
        let yaml = YAML.replace("ringbuf: events", "perf_event_array: true, map: events");
        folder.pair("m", &yaml, &calls.object(Hook::RAW, &maps, body));
        let flags = [&*folder.argument(), &format!("--bpf.pin-path={}", bpffs.join("kept").display())];
        let refused = "ebpf_exporter_events_lost_total{config=\"m\",reason=\"refused\",source=\"events\"}";
        let mut lost = 0.0;
        for crashes in [false, true, false] {
            let exporter = Exporter::start(&flags);
            calls.fire(7, 30);
            let page = exporter.page();
            assert_eq!(value_of(&page, SEEN), Some(30.0), "{}", exporter.log());
            assert_eq!(value_of(&page, refused), Some(lost), "{}", exporter.log());
            end(exporter, crashes);
            calls.fire(7, 100);
            lost += 100.0;
        }
    });
}

#[test]
fn events_that_waited_over_a_restart_are_read_or_told() {
    let same = Change { name: "the same object", members: MEMBERS, more: "", yaml: YAML, read: 100.0 };
    for change in [
        Change { ..same },
        Change { name: "another program", more: "step = 2;", ..same },
        Change { name: "another struct", members: "u64 size; u32 pad; u32 key;", read: 0.0, ..same },
        Change { name: "no buffer", more: "step = 2;", yaml: NO_BUFFER, read: 0.0, ..same },
    ] {
        for crashes in [false, true] {
            check(&change, crashes);
        }
    }
}
