use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Following, harmless};
use crate::common::exporter::{value_of, values_of};
use crate::common::folder::Folder;
use crate::common::objects::compile;

/// A folder of cgroups of one test's own below the v2 root; removed with all below it.
struct Tree(PathBuf);

impl Tree {
    #[track_caller]
    fn new(name: &str) -> Self {
        let unified = Path::new("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { Path::new("/sys/fs/cgroup") };
        let path = root.join(format!("bpftally-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    #[track_caller]
    fn create(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// A cgroup is busy until the last of its processes is gone.
    #[track_caller]
    fn remove(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = std::fs::remove_dir(self.0.join(name)) {
            assert!(Instant::now() < deadline, "{name}: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The expression for cgroups of this tree whose names begin with a word.
    fn matching(&self, word: &str) -> String {
        format!("{}/{word}", self.0.file_name().unwrap().to_str().unwrap())
    }

    /// Has so many processes execute a program inside of a cgroup, once each.
    #[track_caller]
    fn execute(&self, name: &str, times: u32) {
        let script = format!("echo $$ > {}/cgroup.procs && exec /bin/true", self.0.join(name).display());
        for _ in 0..times {
            assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(entry.path());
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Counts executions of those cgroups that are in the map.
fn by_hash(capacity: u32, flavour: &str) -> Vec<u8> {
    let source = format!(
        r#"struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, {capacity}); __type(key, u64); __type(value, u64); }} meant SEC(".maps");
        u64 executions;
        SEC("raw_tp/sched_process_exec") int on_exec(void *ctx)
        {{
            u64 id = bpf_get_current_cgroup_id();
            {flavour}
            if (bpf_map_lookup_elem(&meant, &id)) __sync_fetch_and_add(&executions, 1);
            return 0;
        }}"#
    );
    std::fs::read(compile(&source)).unwrap()
}

fn by_storage(flavour: &str) -> Vec<u8> {
    let source = format!(
        r#"struct cgroup;
        struct css_set {{ struct cgroup *dfl_cgrp; }} __attribute__((preserve_access_index));
        struct task_struct {{ struct css_set *cgroups; }} __attribute__((preserve_access_index));
        // BPF_MAP_TYPE_CGRP_STORAGE, which headers before Linux 6.2 do not have.
        struct {{ __uint(type, 32); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); }} meant SEC(".maps");
        u64 executions;
        SEC("tp_btf/sched_process_exec") int on_exec(void *ctx)
        {{
            struct task_struct *task = bpf_get_current_task_btf();
            u32 key = 0;
            {flavour}
            u64 *is_meant = bpf_cgrp_storage_get(&meant, task->cgroups->dfl_cgrp, 0, 0);
            if (is_meant && *is_meant == 1) __sync_fetch_and_add(&executions, 1);
            return 0;
        }}"#
    );
    std::fs::read(compile(&source)).unwrap()
}

fn yaml(kind: &str, patterns: &[String]) -> String {
    let shown = match kind {
        "hash" => "\n  gauges: [{name: meant, help: h, labels: [{name: cgroup, decoders: [cgroup]}]}]",
        _ => "",
    };
    format!(
        "cgroup_id_map: {{name: meant, type: {kind}, regexps: {patterns:?}}}\nmetrics:\n  \
         counters: [{{name: executions, help: h, global: executions}}]{shown}\n"
    )
}

const CGROUPS: &str = "ebpf_exporter_cgroup_map_cgroups{config=\"c\",map=\"meant\"}";
const EXECUTIONS: &str = "ebpf_exporter_executions";

fn full(page: &str) -> Option<f64> {
    value_of(page, "ebpf_exporter_cgroup_map_errors_total{config=\"c\",map=\"meant\",reason=\"full\"}")
}

/// Names of the cgroups that the map holds.
fn held(page: &str) -> Vec<String> {
    let name = |labels: &std::collections::BTreeMap<String, String>| {
        labels["cgroup"].rsplit('/').next().unwrap_or_default().to_owned()
    };
    let mut names: Vec<String> =
        values_of(page, "ebpf_exporter_meant").iter().map(|(labels, _)| name(labels)).collect();
    names.sort();
    names
}

/// All that becomes of cgroups and of the config, with exact counts.
#[track_caller]
fn check(kind: &str, build: impl Fn(&str) -> Vec<u8>, flags: &[&str]) {
    let tree = Tree::new(&format!("follow-{kind}-{}", flags.len()));
    tree.create("yes-1");
    tree.create("no-1");
    let folder = Folder::new();
    folder.file("c.bpf.o", build(""));
    folder.file("c.yaml", yaml(kind, &[tree.matching("yes")]));
    let following = Following::start(folder, &[&["--config.watch=off"], flags].concat());
    let check = |expected: f64| assert_eq!(following.exporter.value(EXECUTIONS), Some(expected));
    let has = |count: f64| {
        following.until(&format!("{count} cgroups"), |page| value_of(page, CGROUPS) == Some(count));
    };
    // A page may tell of the map what there was before, if cgroups come or go while it is made.
    let has_these = |names: &[&str]| {
        following.until(&format!("{names:?}"), |page| {
            value_of(page, CGROUPS) == Some(names.len() as f64) && (kind != "hash" || held(page) == names)
        });
    };
    // Those that are there at the start are in the map before anything counts.
    tree.execute("yes-1", 7);
    tree.execute("no-1", 5);
    check(7.0);
    tree.create("yes-2");
    tree.create("no-2");
    has(2.0);
    tree.execute("yes-2", 3);
    tree.execute("no-2", 3);
    check(10.0);
    tree.remove("yes-1");
    has_these(&["yes-2"]);
    // A cgroup of the same path is another one.
    tree.create("yes-1");
    has(2.0);
    tree.execute("yes-1", 1);
    check(11.0);
    // Other cgroups are meant: nothing is loaded, and the map has them and no others.
    let loaded = following.held();
    following.put("c.yaml", yaml(kind, &[tree.matching("no"), tree.matching("yes-2$")]));
    let report = following.reload_well();
    assert!(report.contains("c: settings changed, programs and maps stayed"), "{report}");
    has(3.0);
    tree.execute("yes-1", 2);
    tree.execute("yes-2", 4);
    tree.execute("no-1", 8);
    tree.create("no-3");
    has_these(&["no-1", "no-2", "no-3", "yes-2"]);
    tree.execute("no-3", 16);
    check(39.0);
    assert_eq!(following.held().programs, loaded.programs, "nothing was loaded");
    // Without the key the map is empty.
    following.put("c.yaml", yaml(kind, &[]).replace("cgroup_id_map", "x-cgroup_id_map"));
    following.reload_well();
    for name in ["no-1", "yes-1", "yes-2"] {
        tree.execute(name, 1);
    }
    let page = following.exporter.page();
    assert_eq!((value_of(&page, EXECUTIONS), value_of(&page, CGROUPS)), (Some(39.0), None));
    assert_eq!(held(&page), [""; 0]);
    following.put("c.yaml", yaml(kind, &[tree.matching("yes")]));
    following.reload_well();
    tree.execute("yes-1", 1);
    check(40.0);
    assert_eq!(full(&following.exporter.page()), Some(0.0));
}

#[test]
fn a_hash_holds_the_cgroups_that_match() {
    check("hash", |flavour| by_hash(64, flavour), &[]);
}

#[test]
fn a_storage_holds_the_cgroups_that_match() {
    check("cgrp_storage", by_storage, &[]);
}

/// The map's descriptor is enough, whatever else was given up.
#[test]
fn capabilities_are_not_needed_for_it() {
    check("hash", |flavour| by_hash(64, flavour), &["--capabilities.keep=none"]);
    check("cgrp_storage", by_storage, &["--capabilities.keep=none"]);
}

/// A map that goes on with another object is followed on, with what the new config means.
#[test]
fn another_object_follows_on() {
    for (kind, build) in [
        ("hash", &(|flavour: &str| by_hash(64, flavour)) as &dyn Fn(&str) -> Vec<u8>),
        ("cgrp_storage", &by_storage),
    ] {
        let tree = Tree::new(&format!("object-{kind}"));
        tree.create("yes-1");
        tree.create("no-1");
        let folder = Folder::new();
        folder.file("c.bpf.o", build(""));
        folder.file("c.yaml", yaml(kind, &[tree.matching("yes")]));
        let following = Following::start(folder, &["--config.watch=off"]);
        tree.execute("yes-1", 2);
        following.put("c.bpf.o", build(&harmless(1)));
        following.put("c.yaml", yaml(kind, &[tree.matching("no")]));
        let report = following.reload_well();
        assert!(report.contains("c: object replaced"), "{report}");
        tree.execute("yes-1", 4);
        tree.execute("no-1", 8);
        assert_eq!(following.exporter.value(EXECUTIONS), Some(10.0), "{kind}");
        tree.create("no-2");
        following.until("the new one", |page| value_of(page, CGROUPS) == Some(2.0));
        tree.execute("no-2", 16);
        assert_eq!(following.exporter.value(EXECUTIONS), Some(26.0), "{kind}");
        // A map that goes on without being followed is empty.
        following.put("c.bpf.o", build(&harmless(2)));
        following.put("c.yaml", yaml(kind, &[]).replace("cgroup_id_map", "x-cgroup_id_map"));
        let report = following.reload_well();
        assert!(report.contains("c: object replaced"), "{report}");
        tree.execute("no-2", 32);
        assert_eq!(following.exporter.value(EXECUTIONS), Some(26.0), "{kind}");
        assert_eq!(following.exporter.value(CGROUPS), None);
    }
}

#[test]
fn a_map_that_is_full_is_said_and_takes_others_when_it_can() {
    let tree = Tree::new("full");
    tree.create("yes-1");
    let folder = Folder::new();
    folder.file("c.bpf.o", by_hash(2, ""));
    folder.file("c.yaml", yaml("hash", &[tree.matching("yes")]));
    let following = Following::start(folder, &["--config.watch=off"]);
    tree.create("yes-2");
    tree.create("yes-3");
    // A page tells of the map what there was before, if the cgroups come while it is made.
    following.until("one is refused", |page| full(page) == Some(1.0) && held(page) == ["yes-1", "yes-2"]);
    following.until_logged(&["level=warn", "the map is full", "yes-3", "max_entries"]);
    tree.remove("yes-1");
    let page = following.until("it has its place", |page| held(page) == ["yes-2", "yes-3"]);
    assert_eq!(value_of(&page, CGROUPS), Some(2.0));
}

/// Where no tree of cgroup v2 can be watched, it is walked, and that is said.
#[test]
fn a_tree_that_cannot_be_watched_is_walked() {
    let plain = tempfile::tempdir().unwrap();
    let make = |name: &str| std::fs::create_dir(plain.path().join(name)).unwrap();
    make("yes-1");
    make("no-1");
    let folder = Folder::new();
    folder.file("c.bpf.o", by_hash(64, ""));
    folder.file("c.yaml", yaml("hash", &["^/sys/fs/cgroup/yes".to_owned()]));
    let root = format!("--path.cgroupfs={}", plain.path().display());
    let following = Following::start(folder, &["--config.watch=off", &root]);
    let page = following.exporter.page();
    assert_eq!((value_of(&page, CGROUPS), held(&page)), (Some(1.0), vec!["yes-1".to_owned()]));
    following.until_logged(&["level=warn", "their tree is walked every few seconds"]);
    make("yes-2");
    following.until("the new one", |page| held(page) == ["yes-1", "yes-2"]);
    std::fs::remove_dir(plain.path().join("yes-1")).unwrap();
    following.until("the old one is gone", |page| value_of(page, CGROUPS) == Some(1.0));
}

/// Cgroups come and go faster than anybody looks; in the end the map is right.
#[test]
fn a_storm_of_cgroups_leaves_the_map_right() {
    let tree = Tree::new("storm");
    let folder = Folder::new();
    folder.file("c.bpf.o", by_hash(4096, ""));
    folder.file("c.yaml", yaml("hash", &[tree.matching("yes")]));
    let following = Following::start(folder, &["--config.watch=off"]);
    for round in 0..20 {
        for number in 0..20 {
            tree.create(&format!("yes-{number}"));
        }
        for number in 0..20 {
            if round < 19 || number >= 7 {
                tree.remove(&format!("yes-{number}"));
            }
        }
    }
    let page = following
        .until("seven are left", |page| value_of(page, CGROUPS) == Some(7.0) && held(page).len() == 7);
    assert_eq!(held(&page), (0..7).map(|number| format!("yes-{number}")).collect::<Vec<_>>());
    assert_eq!(full(&page), Some(0.0));
}
