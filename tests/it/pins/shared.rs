//! One map of several configs.

use bpftally::bpf::{self, Loaded};

use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::{host, total};
use crate::exporter::Workload;

const MAP: &str = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } NAME SEC(\".maps\");";
const BODY: &str = "u32 key = KEY; increment_map(&NAME, &key, 1);";

fn yaml(map: &str, metric: &str) -> String {
    format!(
        "maps: {{{map}: {{shared: both}}}}\nmetrics: {{counters: [{{name: {metric}, map: {map}, help: h, labels: [{{name: k, size: 4, decoders: [{{name: uint}}]}}]}}]}}\n"
    )
}

fn of(text: &str, map: &str, key: u32) -> String {
    text.replace("NAME", map).replace("KEY", &key.to_string())
}

/// Each config counts under a key of its own, and shows both.
#[test]
fn two_configs_have_one_map_whatever_is_reloaded() {
    let first = Workload::new();
    let second = Workload::new();
    let folder = Folder::new();
    let object = |calls: Workload, map: &str, key: u32, more: &str| {
        calls.object(&format!("{}{more}", of(MAP, map, key)), &of(BODY, map, key))
    };
    folder.pair("a", &yaml("mine", "a_total"), &object(first, "mine", 1, ""));
    folder.pair("b", &yaml("other", "b_total"), &object(second, "other", 2, ""));
    let exporter = Exporter::start(&[
        &folder.argument(),
        "--web.enable-lifecycle",
        "--config.watch=off",
        "--config.strict",
    ]);
    let reload = || {
        let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(answer.status, 200, "{}", exporter.log());
    };
    let (mut one, mut two) = (0.0, 0.0);
    let mut check = |what: &str, metrics: &[&str]| {
        first.fire(10);
        second.fire(3);
        one += 10.0;
        two += 3.0;
        for metric in metrics {
            let found = [1, 2].map(|key| exporter.value(&format!("ebpf_exporter_{metric}{{k=\"{key}\"}}")));
            assert_eq!(found, [Some(one), Some(two)], "{what}, {metric}: {}", exporter.log());
        }
    };
    let both = ["a_total", "b_total"];
    check("at the start", &both);
    folder.pair("a", &yaml("mine", "a_total"), &object(first, "mine", 1, "int again;"));
    reload();
    check("one is reloaded", &both);
    folder.pair("b", &yaml("other", "b_total"), &object(second, "other", 2, "int again;"));
    folder.pair("a", &yaml("mine", "a_total"), &object(first, "mine", 1, "int once_more;"));
    reload();
    check("both are", &both);
    let file = folder.path().join("b.yaml");
    std::fs::rename(&file, folder.path().join("b.away")).unwrap();
    reload();
    // Its programs are gone, and what they counted is not.
    first.fire(1);
    assert_eq!(exporter.value("ebpf_exporter_a_total{k=\"2\"}"), Some(9.0));
    assert_eq!(exporter.value("ebpf_exporter_a_total{k=\"1\"}"), Some(31.0));
    std::fs::rename(folder.path().join("b.away"), &file).unwrap();
    reload();
    second.fire(1);
    assert_eq!(exporter.value("ebpf_exporter_b_total{k=\"2\"}"), Some(10.0));
    assert_eq!(exporter.value("ebpf_exporter_b_total{k=\"1\"}"), Some(31.0));
    assert!(!exporter.log().contains("level=warn"), "{}", exporter.log());
}

fn spec(source: &str, config: &str) -> bpftally::spec::LoadSpec {
    let object = crate::common::objects::Object::of(source);
    let options = bpftally::config::Options {
        namespace: String::new(),
        object_dir: None,
        host: std::sync::Arc::new(host()),
        insecure: bpftally::config::Insecure::Allowed,
        max_series: None,
    };
    let file = bpftally::config::ConfigFile::new("/configs/test.yaml");
    let text = format!("{config}\nmetrics: {{counters: []}}\n");
    let checked = bpftally::config::check_text(&file, &text, &object.file(), &options);
    checked.spec.unwrap_or_else(|| panic!("{:#?}", checked.problems)).load
}

const SOURCE: &str = "struct value { u64 packets; u64 bytes; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, struct value); } flows SEC(\".maps\");
SEC(\"raw_tp/sys_enter\") int idle(void *context) { return 0; }";

fn codes(outcome: Result<Loaded, Vec<bpftally::problem::Problem>>) -> Vec<String> {
    let problems = outcome.expect_err("it does not fit");
    problems
        .iter()
        .map(|problem| {
            format!("{} {}", problem.code, problem.message.rsplit_once("it differs in ").unwrap().1)
        })
        .collect()
}

#[test]
fn who_shares_a_map_defines_it_alike() {
    let options = bpf::Options::default();
    let shared = "maps: {flows: {shared: flows}}";
    let first = bpf::load(&spec(SOURCE, shared), &host(), &options).unwrap();
    let larger = SOURCE.replace("u64 bytes;", "u64 bytes; u64 errors;");
    let refused = codes(bpf::load(&spec(&larger, shared), &host(), &options));
    assert_eq!(refused, ["shared-layout value_size", "shared-layout the member `errors` of the value"]);
    // Whoever has it alone may change it.
    let prepared = bpf::prepare(&spec(&larger, shared), &host(), &options, Some(&first)).unwrap();
    let mut first = first;
    let second = prepared.commit(&host(), &options, bpf::Attaching::Strictly, Some(&mut first)).unwrap();
    first.retire();
    let refused = codes(bpf::load(&spec(SOURCE, shared), &host(), &options));
    assert_eq!(refused[0], "shared-layout value_size");
    let third = bpf::load(&spec(&larger, shared), &host(), &options).unwrap();
    assert_eq!(total(&third, "flows"), 0);
    // With two it is theirs.
    let refused = bpf::prepare(&spec(SOURCE, shared), &host(), &options, Some(&second)).err().unwrap();
    assert_eq!(refused[0].code, "shared-layout");
    second.retire();
    third.retire();
    // With the last one it is gone.
    let fresh = bpf::load(&spec(SOURCE, shared), &host(), &options).unwrap();
    // Other tables share nothing.
    let apart = bpf::load(&spec(&larger, shared), &host(), &bpf::Options::default()).unwrap();
    fresh.retire();
    apart.retire();
}

/// A config that shares no longer has a map of its own.
#[test]
fn a_map_that_is_shared_no_longer_is_left_to_the_others() {
    let options = bpf::Options::default();
    let shared = "maps: {flows: {shared: flows}}";
    let first = bpf::load(&spec(SOURCE, shared), &host(), &options).unwrap();
    let mut second = bpf::load(&spec(SOURCE, shared), &host(), &options).unwrap();
    let prepared = bpf::prepare(&spec(SOURCE, ""), &host(), &options, Some(&second)).unwrap();
    let alone = prepared.commit(&host(), &options, bpf::Attaching::Strictly, Some(&mut second)).unwrap();
    assert!(!alone.carried().contains(&"flows".to_owned()));
    let prepared = bpf::prepare(&spec(SOURCE, shared), &host(), &options, Some(&first)).unwrap();
    assert!(
        prepared
            .commit(&host(), &options, bpf::Attaching::Strictly, None)
            .unwrap()
            .carried()
            .contains(&"flows".to_owned())
    );
    for loaded in [first, second, alone] {
        loaded.retire();
    }
}
