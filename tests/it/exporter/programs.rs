use super::{Workload, good_yaml};
use crate::common::exporter::{Exporter, run, value_of};
use crate::common::folder::Folder;

/// A counter `m` in a map of 64 entries, whose program counts under a key that is a global, beside
/// programs that cannot work anywhere.
fn folder(calls: Workload) -> Folder {
    let folder = Folder::new();
    let maps = r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
        const volatile u32 slot = 1;
        SEC("raw_tp/no_such_tracepoint") int newest(void *ctx) { return 0; }
        SEC("kprobe/no_such_function_here") int probe(void *ctx) { return 0; }
        SEC("?raw_tp/sys_exit") int unused(void *ctx) { return 0; }
    "#;
    let body = "u32 key = slot; increment_map(&m, &key, 1);";
    let settings = "globals: {slot: 42}\nmaps: {m: {max_entries: 5}}\nprograms: {probe: {optional: true}}\n\
        choose: [[newest, count_calls]]\n";
    folder.pair("chosen", &(settings.to_owned() + &good_yaml("m")), &calls.object(maps, body));
    folder
}

#[test]
fn verdicts_globals_and_capacities_are_on_the_page() {
    let calls = Workload::new();
    let folder = folder(calls);
    let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
    calls.fire(123);
    let page = exporter.page();
    assert_eq!(value_of(&page, "ebpf_exporter_m{slot=\"42\"}"), Some(123.0), "{page}");
    let map = "ebpf_exporter_map_max_entries{config=\"chosen\",map=\"m\"}";
    assert_eq!(value_of(&page, map), Some(5.0), "{page}");
    for (program, verdict) in [
        ("newest", "unsupported"),
        ("probe", "unsupported"),
        ("unused", "disabled"),
        ("count_calls", "attached"),
    ] {
        let series = format!(
            "ebpf_exporter_program_verdict{{config=\"chosen\",program=\"{program}\",verdict=\"{verdict}\"}}"
        );
        assert_eq!(value_of(&page, &series), Some(1.0), "{series} in {page}");
    }
    assert_eq!(page.matches("ebpf_exporter_ebpf_program_attached{").count(), 1, "{page}");
    let landing = exporter.get("/").text();
    for text in [
        "<code>newest</code>: unsupported here (this kernel has no raw tracepoint `no_such_tracepoint`)",
        "<code>count_calls</code>: attached</li>",
        "<code>unused</code>: disabled",
        "class=\"serving\"",
    ] {
        assert!(landing.contains(text), "{text} in {landing}");
    }
}

#[test]
fn strict_tolerates_what_is_unsupported_and_not_what_is_broken() {
    let calls = Workload::new();
    let folder = folder(calls);
    let (code, log) = run(&["--config.check", "--config.strict", &folder.argument()]);
    assert_eq!(code, Some(0), "{log}");
    let path = folder.path().join("chosen.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, yaml.replace("optional: true", "optional: false")).unwrap();
    let (code, log) = run(&["--config.check", "--config.strict", &folder.argument()]);
    assert_eq!(code, Some(2), "{log}");
    let exporter = Exporter::start(&[&folder.argument()]);
    let broken = "ebpf_exporter_program_verdict{config=\"chosen\",program=\"probe\",verdict=\"broken\"}";
    assert_eq!(exporter.value(broken), Some(1.0), "{}", exporter.page());
    assert!(exporter.get("/").text().contains("<li class=\"failed\"><code>probe</code>: broken"));
}

/// A config that the verifier refuses names the program on its page.
#[test]
fn a_config_that_is_not_loaded_has_its_broken_program_too() {
    let folder = Folder::new();
    let object = crate::common::objects::compile(
        r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
        SEC("raw_tp/sys_enter") int wild(void *ctx) { return *(volatile u64 *)bpf_ktime_get_ns(); }
        "#,
    );
    folder.pair("wild", &good_yaml("m"), &object);
    let exporter = Exporter::launch(&[&folder.argument()]);
    let broken = "ebpf_exporter_program_verdict{config=\"wild\",program=\"wild\",verdict=\"broken\"}";
    assert_eq!(exporter.value(broken), Some(1.0), "{}", exporter.page());
}
