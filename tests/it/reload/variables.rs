use super::fire::{Calls, Hook, race, turns};
use super::{Following, harmless};
use crate::common::exporter::value_of;
use crate::common::folder::Folder;

/// Variables of every section and type that a metric can show.
const VARIABLES: &str = r#"
    enum mode { OFF, ON = 5, NEGATIVE = -3 };
    struct per_key { u64 calls; s32 balance; u32 low:3, high:5; };
    struct latency { u32 slots[4]; u64 sum; u64 count; };
    u64 calls;
    static volatile u64 hidden_calls;
    u64 own_calls SEC(".bss.own");
    u64 cut_calls SEC(".bss.a_long_name");
    u64 data_calls = 1000;
    s8 negative;
    _Bool flag;
    enum mode mode;
    double ratio = 0.25;
    const volatile float constant = 1.5;
    struct per_key keys[16];
    u64 flat[16];
    struct latency latency;
    u32 odd_start SEC(".data.odd");
    u16 shorts[5] SEC(".data.odd");
    u64 big[20000] SEC(".bss.big");
    static volatile u64 alone SEC(".bss.alone");
    static volatile u32 lone[3] SEC(".bss.alone");
"#;

const COUNT: &str = "
    calls++; hidden_calls++; own_calls++; cut_calls += 2; data_calls++; negative = -7; flag = 1; mode = NEGATIVE;
    keys[key].calls++; keys[key].balance -= 3; keys[key].high = 21; flat[key] += 2; shorts[key & 3] += 3; odd_start = 9;
    latency.slots[key & 3]++; latency.sum += key; latency.count++; big[key * 1000 + 19] += 4;
    alone++; lone[key & 1] += 5;
";

const METRICS: &str = "
metrics:
  counters:
    - {name: calls_total, help: h, global: calls}
    - {name: hidden_total, help: h, global: hidden_calls}
    - {name: own_total, help: h, global: own_calls}
    - {name: cut_total, help: h, global: cut_calls}
    - {name: alone_total, help: h, global: alone}
    - {name: lone_total, help: h, global: lone, labels: [i]}
    - {name: by_key_total, help: h, global: keys, value: calls, labels: [key]}
    - {name: of_one_total, help: h, global: 'keys[3].calls'}
    - {name: of_all_total, help: h, global: keys, value: calls}
    - {name: flat_total, help: h, global: flat, labels: [{name: k, decoders: [{name: static_map, static_map: {3: three, 7: seven}, allow_unknown: true}]}]}
  gauges:
    - {name: data, help: h, global: data_calls}
    - {name: negative, help: h, global: negative}
    - {name: flag, help: h, global: flag}
    - {name: mode, help: h, global: mode}
    - {name: ratio, help: h, global: ratio, scale: 100}
    - {name: constant, help: h, global: constant}
    - {name: balance, help: h, global: keys, value: balance, labels: [key]}
    - {name: lowest, help: h, global: keys, value: balance, reduce: min}
    - {name: high, help: h, global: 'keys[7].high'}
    - {name: shorts, help: h, global: shorts, labels: [key]}
    - {name: big, help: h, global: big, labels: [key]}
  histograms:
    - {name: latency, help: h, global: latency, slots: slots, sum: sum, count: count, bucket_type: linear, bucket_max: 3}
    - {name: slots, help: h, global: latency.slots, bucket: slot, bucket_type: linear, bucket_max: 3}
";

#[test]
fn variables_are_read_exactly() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file("v.bpf.o", std::fs::read(calls.object(Hook::RAW, VARIABLES, COUNT)).unwrap());
    folder.file("v.yaml", METRICS);
    let following = Following::start(folder, &["--config.watch=off"]);
    calls.fire(3, 500);
    calls.fire(7, 41);
    let page = following.exporter.page();
    for (series, expected) in [
        ("calls_total", 541.0),
        ("hidden_total", 541.0),
        ("own_total", 541.0),
        ("cut_total", 1082.0),
        // libbpf makes no memory to map of a section without a variable that others can name.
        ("alone_total", 541.0),
        ("lone_total{i=\"1\"}", 2705.0),
        ("lone_total{i=\"2\"}", 0.0),
        ("by_key_total{key=\"3\"}", 500.0),
        ("by_key_total{key=\"7\"}", 41.0),
        ("by_key_total{key=\"15\"}", 0.0),
        ("of_one_total", 500.0),
        ("of_all_total", 541.0),
        ("flat_total{k=\"three\"}", 1000.0),
        ("flat_total{k=\"seven\"}", 82.0),
        ("data", 1541.0),
        ("negative", -7.0),
        ("flag", 1.0),
        ("mode", -3.0),
        ("ratio", 25.0),
        ("constant", 1.5),
        ("balance{key=\"3\"}", -1500.0),
        ("lowest", -1500.0),
        ("high", 21.0),
        ("shorts{key=\"3\"}", f64::from(541 * 3)),
        ("shorts{key=\"4\"}", 0.0),
        ("big{key=\"3019\"}", 2000.0),
        ("big{key=\"7019\"}", 164.0),
        ("big{key=\"19999\"}", 0.0),
        ("latency_sum", f64::from(500 * 3 + 41 * 7)),
        ("latency_count", 541.0),
        ("latency_bucket{le=\"3\"}", 541.0),
        ("latency_bucket{le=\"2\"}", 0.0),
        ("slots_bucket{le=\"3\"}", 541.0),
    ] {
        assert_eq!(value_of(&page, &format!("ebpf_exporter_{series}")), Some(expected), "{series}\n");
    }
    // A variable is no map that could be full.
    assert!(!page.contains("map=\".bss\""), "{page}");
}

const SETTINGS: &str = "
    u64 counted;
    u64 beside;
    u32 step = 1;
    struct { u32 low:3, high:5; } bits;
    u64 initial = 5;
    const volatile u64 factor = 1;
";

const STEP: &str = "
    __sync_fetch_and_add(&counted, step * factor);
    __sync_fetch_and_add(&beside, 1);
    bits.high = 17;
";

const SHOWN: &str = "metrics:
  counters:
    - {name: counted, help: h, global: counted}
    - {name: beside, help: h, global: beside}
  gauges:
    - {name: step, help: h, global: step}
    - {name: low, help: h, global: bits.low}
    - {name: high, help: h, global: bits.high}
    - {name: initial, help: h, global: initial}
";

/// Programs run, and change other variables of the section, while one is set time and again.
#[test]
fn a_variable_is_set_under_running_programs() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file("v.bpf.o", std::fs::read(calls.object(Hook::RAW, SETTINGS, STEP)).unwrap());
    let yaml = |turn: u32| format!("globals: {{bits.low: {}}}\n{SHOWN}", turn % 8);
    folder.file("v.yaml", yaml(0));
    let following = Following::start(folder, &["--config.watch=off"]);
    calls.fire(7, 1);
    let held = following.held();
    let all = ["ebpf_exporter_counted", "ebpf_exporter_beside"];
    let race = race(&following, calls, 7, &all, turns(30, 200), |turn| {
        following.put("v.yaml", yaml(turn + 1));
    });
    let page = following.exporter.page();
    let of = |name: &str| value_of(&page, &format!("ebpf_exporter_{name}"));
    let fired = Some((race.fired + 1) as f64);
    assert_eq!((of("counted"), of("beside"), of("high")), (fired, fired, Some(17.0)), "{race:?}");
    assert_eq!(following.held(), held, "nothing was loaded");
}

#[test]
fn what_changes_in_globals_takes_effect_and_counts_go_on() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file("v.bpf.o", std::fs::read(calls.object(Hook::RAW, SETTINGS, STEP)).unwrap());
    folder.file("v.yaml", format!("globals: {{step: 2}}\n{SHOWN}"));
    let following = Following::start(folder, &["--config.watch=off"]);
    let held = following.held();
    let check = |globals: &str, change: &str, counted: u64, step: f64, initial: f64| {
        if !globals.is_empty() {
            following.put("v.yaml", format!("globals: {globals}\n{SHOWN}"));
            let report = following.reload_well();
            assert!(report.contains(change), "{globals}: {report}");
        }
        calls.fire(1, 10);
        let page = following.exporter.page();
        let of = |name: &str| value_of(&page, &format!("ebpf_exporter_{name}")).unwrap();
        assert_eq!((of("counted"), of("step"), of("initial")), (counted as f64, step, initial), "{globals}");
    };
    check("", "", 20, 2.0, 5.0);
    let in_place = "v: settings changed, programs and maps stayed";
    check("{step: 3}", in_place, 50, 3.0, 5.0);
    check("{step: 3, initial: 77, bits.low: 4}", in_place, 80, 3.0, 77.0);
    // What is no longer set is as the object has it.
    check("{initial: 77}", in_place, 90, 1.0, 77.0);
    check("{step: 4, bits: {low: 1}}", in_place, 130, 4.0, 5.0);
    assert_eq!(following.held(), held, "nothing was loaded");
    // Programs were verified with their constants: they are loaded anew, and counters go on from what they said.
    check("{step: 4, factor: 10}", "v: object replaced", 130 + 400, 4.0, 5.0);
    check("{step: 5, factor: 10}", in_place, 530 + 500, 5.0, 5.0);
    assert_eq!(following.exporter.value("ebpf_exporter_beside"), Some(70.0));
}

/// A section that cannot be mapped: its variable takes a new load, after which everything is as it should be.
#[test]
fn a_variable_whose_memory_cannot_be_mapped_takes_a_load() {
    let calls = Calls::new();
    let folder = Folder::new();
    let variables = "u64 counted; static volatile u64 step SEC(\".data.alone\") = 1;";
    folder.file("v.bpf.o", std::fs::read(calls.object(Hook::RAW, variables, "counted += step;")).unwrap());
    let yaml = |step: u32| {
        format!(
            "globals: {{step: {step}}}\nmetrics: {{counters: [{{name: counted, help: h, global: counted}}]}}"
        )
    };
    folder.file("v.yaml", yaml(2));
    let following = Following::start(folder, &["--config.watch=off"]);
    calls.fire(1, 10);
    following.put("v.yaml", yaml(5));
    let report = following.reload_well();
    assert!(report.contains("v: object replaced"), "{report}");
    calls.fire(1, 10);
    assert_eq!(following.exporter.value("ebpf_exporter_counted"), Some(70.0));
    let log = following.exporter.log();
    assert!(log.contains("the memory of .data.alone cannot be mapped"), "{log}");
}

/// The variables of a new object begin anew, and their counters do not; gauges show what there is.
#[test]
fn counters_of_variables_go_on_when_the_object_is_replaced() {
    let calls = Calls::new();
    let folder = Folder::new();
    let build = |turn: u32| {
        // The variables lie elsewhere in each build.
        let before = if turn.is_multiple_of(2) { "u64 padding[9];" } else { "" };
        let variables = format!("{before} {VARIABLES}");
        let body = format!(
            "{} {COUNT} {}",
            harmless(turn % 2),
            if before.is_empty() { "" } else { "padding[key & 7]++;" }
        );
        std::fs::read(calls.object(Hook::RAW, &variables, &body)).unwrap()
    };
    folder.file("v.bpf.o", build(0));
    folder.file("v.yaml", METRICS);
    let following = Following::start(folder, &["--config.watch=off"]);
    for turn in 1..=4_u32 {
        calls.fire(3, 100);
        calls.fire(7, 10);
        let page = following.exporter.page();
        let total = f64::from(turn);
        for (series, expected) in [
            ("calls_total", 110.0 * total),
            ("hidden_total", 110.0 * total),
            ("cut_total", 220.0 * total),
            ("by_key_total{key=\"3\"}", 100.0 * total),
            ("by_key_total{key=\"7\"}", 10.0 * total),
            ("by_key_total{key=\"0\"}", 0.0),
            ("of_all_total", 110.0 * total),
            ("flat_total{k=\"three\"}", 200.0 * total),
            ("latency_sum", 370.0 * total),
            ("latency_count", 110.0 * total),
            ("slots_bucket{le=\"3\"}", 110.0 * total),
            ("data", 1110.0),
            ("balance{key=\"3\"}", -300.0),
        ] {
            let found = value_of(&page, &format!("ebpf_exporter_{series}"));
            assert_eq!(found, Some(expected), "{series} after {turn}");
        }
        following.put("v.bpf.o", build(turn));
        let report = following.reload_well();
        assert!(report.contains("v: object replaced"), "{report}");
    }
}
