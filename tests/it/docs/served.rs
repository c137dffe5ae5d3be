//! Every example on the running kernel, each with an exporter of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::decode::{Chain, Params};

use super::{Example, examples, reference};
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;
use crate::common::kernel;

/// One metric of an example.
pub struct Metric {
    pub group: String,
    pub name: String,
    pub map: String,
    pub value: serde_yaml::Value,
}

/// The metrics of a config.
pub fn metrics(config: &serde_yaml::Value) -> Vec<Metric> {
    let mut found = Vec::new();
    for (group, metrics) in config["metrics"].as_mapping().into_iter().flatten() {
        for value in metrics.as_sequence().into_iter().flatten() {
            let name = value["name"].as_str().unwrap().to_owned();
            let named = value["map"].as_str().or(value["ringbuf"].as_str());
            let map = named.unwrap_or(&name).to_owned();
            found.push(Metric { group: group.as_str().unwrap().to_owned(), name, map, value: value.clone() });
        }
    }
    found
}

/// A piece of pci.ids, and root.
fn host() -> Folder {
    let files = Folder::new();
    for folder in ["etc", "usr/share/misc"] {
        std::fs::create_dir_all(files.path().join(folder)).unwrap();
    }
    files.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    files.file(
        "usr/share/misc/pci.ids",
        "8086  Intel Corporation\n\t1000  82542 Gigabit Ethernet Controller (Fiber)\n\
         C 02  Network controller\n\t00  Ethernet controller\n",
    );
    files
}

/// Serves an example, with every warning an error, until `is_whole` says that all of it is there.
#[track_caller]
fn serve(example: &Example, is_whole: impl Fn(&str) -> bool) -> String {
    let (folder, host) = (example.folder(&example.filled_object()), host());
    let _others = example.others();
    let roots = format!("--path.rootfs={}", host.path().display());
    let exporter = Exporter::start(&[&folder.argument(), &roots, "--config.strict"]);
    assert!(!exporter.log().contains("level=warn"), "{}: {}", example.place, exporter.log());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let page = exporter.page();
        if is_whole(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{}: {page}\n{}", example.place, example.yaml);
        // Some count processes that end, of ten one, and no other may do that now.
        for _ in 0..10 {
            kernel::run("true", &[]);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// In a network with the interfaces that examples name, lest they come into the way of this machine's own.
#[test]
fn every_example_is_served() {
    kernel::with_tracefs(|| {
        kernel::with_network(|| {
            kernel::run("mount", &["-t", "bpf", "bpf", "/sys/fs/bpf"]);
            for name in ["eth0", "ens1f0", "ens1f1"] {
                kernel::run("ip", &["link", "add", name, "type", "veth"]);
            }
            serve_all();
        });
    });
}

fn serve_all() {
    for example in examples() {
        let config = example.value();
        let namespace = config.get("namespace").and_then(|text| text.as_str()).unwrap_or("ebpf_exporter");
        let metrics = metrics(&config);
        let has_spans = config.get("tracing").is_some();
        serve(&example, |page| {
            let spans = page.contains("ebpf_exporter_spans_total{config=\"example\"}");
            spans == has_spans
                && metrics.iter().all(|metric| {
                    let kind = metric.group.trim_end_matches('s');
                    let skipped = format!(
                        "ebpf_exporter_metric_skipped_label_sets_total{{config=\"example\",metric=\"{}\"}}",
                        metric.name
                    );
                    page.contains(&format!("# TYPE {namespace}_{} {kind}\n", metric.name))
                    // What a `regexp` leaves out was read and decoded, too.
                    || value_of(page, &skipped).is_some_and(|skipped| skipped > 0.0)
                })
        });
    }
}

/// The rows of the table of decoders: name, example, and what it becomes.
pub fn decoder_rows() -> Vec<(String, String, String)> {
    let page = reference();
    let (_, table) = page.split_once("| name | what it gives | example |\n| --- | --- | --- |\n").unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let (input, output) = cells.last().unwrap().split_once(" → ").unwrap();
        let text = |cell: &str| cell.trim().trim_matches('`').to_owned();
        (text(cells[0]), text(input), text(output))
    };
    table.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

/// What this machine says where the documentation shows another's.
fn of_this_machine(decoder: &str) -> Option<String> {
    let field: &[u8] = match decoder {
        "cgroup" => &1_u64.to_ne_bytes(),
        "majorminor" => &0x800_u32.to_ne_bytes(),
        _ => return None,
    };
    let steps = [(decoder.to_owned(), Params::default())];
    let chain = Chain::build(&steps, field.len(), &Arc::new(kernel::host())).unwrap();
    let mut text = Vec::new();
    chain.decode(field, &mut text, &mut Vec::new()).unwrap();
    Some(String::from_utf8(text).unwrap())
}

/// Each label says what the comment behind it says.
#[test]
fn types_give_what_their_comments_say() {
    let example = examples().into_iter().find(|example| example.yaml.contains("links_total")).unwrap();
    let page = serve(&example, |page| page.contains("ebpf_exporter_links_total{"));
    let series = values_of(&page, "ebpf_exporter_links_total");
    let [(labels, _)] = series.as_slice() else { panic!("{page}") };
    let name = |label: &str| {
        let label = label.trim().trim_start_matches("- ").trim_start_matches("{name: ");
        label.split(',').next().unwrap().trim().to_owned()
    };
    let lines = example.yaml.lines().filter_map(|line| line.split_once(" # "));
    let expected = lines.map(|(label, text)| (name(label), text.trim().to_owned())).collect();
    assert_eq!(*labels, expected);
}

/// The examples of the table are the members of a key, and its labels say what the table says.
#[test]
fn decoders_give_what_their_table_says() {
    let uses_all = |example: &Example| example.yaml.contains("everything_total");
    let example = examples().into_iter().find(uses_all).unwrap();
    let page = serve(&example, |page| page.contains("ebpf_exporter_everything_total{"));
    let series = values_of(&page, "ebpf_exporter_everything_total");
    let [(labels, _)] = series.as_slice() else { panic!("{page}") };
    let metric = metrics(&example.value()).remove(0);
    for (decoder, input, output) in decoder_rows() {
        let label =
            metric.value["labels"].as_sequence().unwrap().iter().find(|label| label["name"] == *decoder);
        let label = label.unwrap_or_else(|| panic!("no label {decoder}"));
        let member = label["field"].as_str().unwrap_or(&decoder);
        let initial = format!(".{member} = {input},\n");
        assert!(example.c.as_ref().unwrap().contains(&initial), "the C lacks {initial}");
        let expected = of_this_machine(&decoder).unwrap_or_else(|| output.replace("\\n", "\n"));
        assert_eq!(labels[&decoder], expected, "{decoder}");
    }
}
