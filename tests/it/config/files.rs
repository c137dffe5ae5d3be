use std::fs;
use std::path::Path;

use bpftally::config::{discover, read};

use super::*;

const TEXT: &str = "metrics: {counters: [{name: array, help: h}]}";

fn folder(yaml: &[u8], object: Option<&[u8]>) -> (tempfile::TempDir, ConfigFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.yaml");
    fs::write(&path, yaml).unwrap();
    if let Some(object) = object {
        fs::write(dir.path().join("x.bpf.o"), object).unwrap();
    }
    (dir, ConfigFile::new(path))
}

/// Reading gives these problems; returns the files that they are of.
#[track_caller]
fn check(yaml: &[u8], object: Option<&[u8]>, expected: &[&str]) -> Vec<PathBuf> {
    let (_dir, file) = folder(yaml, object);
    let checked = read(&file, &options());
    assert_eq!(brief(&checked.problems), expected, "{:#?}", checked.problems);
    assert!(checked.spec.is_none());
    assert!(checked.problems.iter().all(|problem| problem.place.config.as_deref() == Some("x")));
    checked.problems.into_iter().filter_map(|problem| problem.place.file).collect()
}

#[test]
fn a_folder_of_pairs() {
    let (dir, file) = folder(TEXT.as_bytes(), Some(&object().bytes));
    let found = discover(dir.path(), &[]).unwrap();
    assert_eq!(found.configs, std::slice::from_ref(&file));
    let checked = read(&file, &options());
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    let spec = checked.spec.unwrap();
    assert_eq!(spec.load.object, dir.path().join("x.bpf.o"));
    assert_eq!(spec.load.object_bytes, object().bytes);
    assert_eq!(spec.view.metrics[0].family, "ebpf_exporter_array");
}

#[test]
fn texts_may_begin_with_a_mark() {
    let (_dir, file) = folder(format!("\u{feff}{TEXT}").as_bytes(), Some(&object().bytes));
    let checked = read(&file, &options());
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
}

#[test]
fn the_object_may_be_named() {
    let (dir, file) = folder(format!("object: sub/other.o\n{TEXT}").as_bytes(), None);
    assert_eq!(brief(&read(&file, &options()).problems), ["missing-object 1:9"]);
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/other.o"), &object().bytes).unwrap();
    assert_eq!(read(&file, &options()).spec.unwrap().load.object, dir.path().join("sub/other.o"));
}

#[test]
fn problems_of_the_object_cost_the_config() {
    check(TEXT.as_bytes(), None, &["missing-object -"]);
    let files = check(TEXT.as_bytes(), Some(b"no elf at all"), &["object-not-elf -"]);
    assert!(files[0].ends_with("x.bpf.o"), "{files:?}");
    check(TEXT.as_bytes(), Some(&object().bytes[..5000]), &["object-truncated -"]);
    check(TEXT.as_bytes(), Some(b""), &["object-not-elf -"]);
}

#[test]
fn problems_of_text_and_object_are_told_together() {
    check(
        b"metrics: {counters: [{name: [a], help: h}]}\nversion: 3\n",
        None,
        &["wrong-type 1:29 (metrics.counters[0])", "?unknown-key 2:1", "missing-object -"],
    );
}

#[test]
fn files_that_are_none() {
    check(b"metrics: \xff", Some(&object().bytes), &["not-utf8 1:10"]);
    let gone = ConfigFile::new(Path::new("/nowhere/x.yaml"));
    assert_eq!(brief(&read(&gone, &options()).problems), ["unreadable -"]);
}
