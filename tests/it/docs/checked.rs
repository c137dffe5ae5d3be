//! `bpftally check` on every block of YAML, as editors and CI see it.

use serde_json::Value;

use super::{Example, examples};
use crate::common::exporter::run;
use crate::common::kernel;

#[test]
fn every_example_is_right() {
    kernel::with_mounts(|| {
        kernel::run("mount", &["-t", "bpf", "bpf", "/sys/fs/bpf"]);
        check_all();
    });
}

fn check_all() {
    let mut wrong = Vec::new();
    for example in examples() {
        let folder = example.folder(&example.object());
        let _others = example.others();
        let file = folder.path().join("example.yaml").display().to_string();
        let (_, text) = run(&["check", "--strict", "--format=json", &file]);
        let found: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        // That devices or cgroups may share a name is no mistake, and what this kernel was built with not the page's.
        let is_wrong =
            |problem: &&Value| problem["code"] != "merged-keys" && problem["code"] != "kernel-option";
        for problem in found.as_array().unwrap().iter().filter(is_wrong) {
            wrong.push(format!("{}: {problem:#}", example.place));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// docs/init.md shows what the command writes for the maps above it.
#[test]
fn what_init_writes_is_shown_as_it_is() {
    let of_init = |example: &Example| example.place.starts_with("init.md:");
    let shown: Vec<Example> = examples().into_iter().filter(of_init).collect();
    assert_eq!(shown.len(), 1);
    let (code, text) = run(&["init", &shown[0].object().display().to_string()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with(&format!("\n{}", shown[0].yaml)), "{text}");
}
