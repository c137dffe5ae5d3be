//! Files change under a running exporter: what is served follows, nothing is lost, nothing leaks.

/// Every way to change the files of a folder.
mod follow;

/// What is wrong is refused, and the last good one goes on.
mod refuse;

/// Calls, scrapes and reloads at a time.
pub mod fire;

/// Exact counts while everything changes.
mod counts;

/// Variables as sources, and variables that are set while programs run.
mod variables;

/// Maps that follow cgroups.
mod cgroups;

/// The same of events.
mod events;

/// Scrapes that go on meanwhile.
mod isolation;

/// Thousands of reloads, and what they leave behind.
mod storm;

/// Who may load, and whose files are followed.
mod privileges;

/// Folders that are links, volumes, or gone; and the other ways to ask for a look.
mod folders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::exporter::{Answer, Exporter, value_of, values_of};
use crate::common::folder::Folder;
use crate::common::kernel::run;
use crate::exporter::Workload;

/// How long anything that should happen soon may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An exporter that follows a folder.
pub struct Following {
    pub folder: Folder,
    pub exporter: Exporter,
}

impl Following {
    /// Starts one that looks soon after a change, and reloads when it is asked to.
    #[track_caller]
    pub fn start(folder: Folder, flags: &[&str]) -> Self {
        let argument = folder.argument();
        let mut all = vec![argument.as_str(), "--web.enable-lifecycle"];
        if !flags.iter().any(|flag| flag.starts_with("--config.quiet-period=")) {
            all.push("--config.quiet-period=20ms");
        }
        all.extend(flags);
        let exporter = Exporter::launch(&all);
        Self { folder, exporter }
    }

    /// Renames a file with this content into place.
    #[track_caller]
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        put(&self.folder.path().join(name), content)
    }

    /// Puts an object into place.
    #[track_caller]
    pub fn put_object(&self, name: &str, object: &Path) {
        self.put(&format!("{name}.bpf.o"), std::fs::read(object).unwrap());
    }

    #[track_caller]
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// Scrapes until a page is as it is expected to become, and returns that page.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.exporter.page();
            if is_so(&page) {
                return page;
            }
            assert!(Instant::now() < deadline, "never: {what}\n{page}\n{}", self.exporter.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The same of the log.
    #[track_caller]
    pub fn until_logged(&self, words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.exporter.log();
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "never logged: {words:?}\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Scrapes until a config was reloaded that often, with that result, and nothing else is attached any more.
    #[track_caller]
    pub fn until_reloaded(&self, config: &str, result: &str, times: f64) -> String {
        let series = reloads(config, result);
        self.until(&format!("{times} in {series}"), |page| value_of(page, &series) >= Some(times));
        self.until("old programs are gone", |page| all_programs(page) == self.held().programs)
    }

    /// How often a config was reloaded with that result.
    #[track_caller]
    pub fn reloads(&self, config: &str, result: &str) -> f64 {
        self.exporter.value(&reloads(config, result)).unwrap_or_default()
    }

    /// Asks for a reload.
    #[track_caller]
    pub fn reload(&self) -> Answer {
        self.exporter.request(
            "POST /-/reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
    }

    /// Asks for a reload that must go well, and returns what is said of it.
    #[track_caller]
    pub fn reload_well(&self) -> String {
        let answer = self.reload();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Asks by the signal.
    pub fn hang_up(&self) {
        run("kill", &["-HUP", &self.exporter.pid().to_string()]);
    }

    /// What the process holds in the kernel.
    pub fn held(&self) -> Held {
        Held::of(self.exporter.pid())
    }

    /// That the config is served, and what of: digests of its files as `sha256sum` has them.
    #[track_caller]
    pub fn check_serves(&self, page: &str, config: &str, yaml: Option<&str>, object: &[u8]) {
        let info: Vec<_> = values_of(page, "ebpf_exporter_config_info")
            .into_iter()
            .filter(|(labels, _)| labels["config"] == config)
            .collect();
        let [(labels, value)] = info.as_slice() else { panic!("{info:?} of {config} in {page}") };
        assert_eq!(*value, 1.0);
        assert_eq!(labels["config_sha256"], yaml.map(|yaml| sha256(yaml.as_bytes())).unwrap_or_default());
        assert_eq!(labels["object_sha256"], sha256(object));
    }
}

fn reloads(config: &str, result: &str) -> String {
    format!("ebpf_exporter_config_reloads_total{{config=\"{config}\",result=\"{result}\"}}")
}

/// Renames a file with this content into place.
#[track_caller]
pub fn put(path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let hidden = path.with_file_name(format!(".{}.new", path.file_name().unwrap().to_string_lossy()));
    std::fs::write(&hidden, content).unwrap();
    std::fs::rename(&hidden, path).unwrap();
    path.to_owned()
}

/// What `sha256sum` says of content.
pub fn sha256(content: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let said = run("sha256sum", &[file.path().to_str().unwrap()]);
    said.split(' ').next().unwrap().to_owned()
}

/// Objects of the kernel that a process has open, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub programs: BTreeSet<u32>,
    pub maps: BTreeSet<u32>,
    pub links: BTreeSet<u32>,
}

impl Held {
    pub fn of(process: u32) -> Self {
        let mut held = Self::default();
        for entry in std::fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap() {
            // A connection may end meanwhile.
            let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
            let id = |name: &str| -> Option<u32> {
                text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            held.links.extend(id("link_id:"));
            held.programs.extend(id("prog_id:"));
            held.maps.extend(id("map_id:"));
        }
        held
    }
}

/// Ids of all programs that a page shows.
pub fn all_programs(page: &str) -> BTreeSet<u32> {
    let info = values_of(page, "ebpf_exporter_ebpf_program_info");
    info.iter().map(|(labels, _)| labels["id"].parse().unwrap()).collect()
}

/// Ids of the programs of a config that a page shows.
pub fn programs(page: &str, config: &str) -> BTreeSet<u32> {
    let info = values_of(page, "ebpf_exporter_ebpf_program_info");
    info.iter()
        .filter(|(labels, _)| labels["config"] == config)
        .map(|(labels, _)| labels["id"].parse().unwrap())
        .collect()
}

/// Waits until the kernel has none of these programs.
#[track_caller]
pub fn until_unloaded(ids: &BTreeSet<u32>) {
    assert!(!ids.is_empty(), "programs are known");
    let deadline = Instant::now() + PATIENCE;
    let is_loaded = |id: &u32| libbpf_rs::query::ProgInfoIter::default().any(|program| program.id == *id);
    while ids.iter().any(is_loaded) {
        assert!(Instant::now() < deadline, "programs {ids:?} are still loaded");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An object that counts calls in a hash map under 7. Variants differ, and do the same.
#[track_caller]
pub fn object(calls: Workload, map: &str, capacity: u32, variant: u32) -> PathBuf {
    counting(calls, map, "HASH", capacity, variant)
}

/// The same with another kind of hash map.
#[track_caller]
pub fn counting(calls: Workload, map: &str, kind: &str, capacity: u32, variant: u32) -> PathBuf {
    calls.object(
        &format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, {capacity}); __type(key, u32); __type(value, u64); }} {map} SEC(\".maps\");"
        ),
        &format!(
            "{} u32 key = 7; u64 one = 1; u64 *value = bpf_map_lookup_elem(&{map}, &key);
             if (!value) {{ u64 zero = 0; bpf_map_update_elem(&{map}, &key, &zero, BPF_NOEXIST); value = bpf_map_lookup_elem(&{map}, &key); }}
             if (value) __sync_fetch_and_add(value, one);",
            harmless(variant)
        ),
    )
}

/// A statement that is another one for every variant, and does nothing.
pub fn harmless(variant: u32) -> String {
    format!("volatile u32 variant = {variant}; (void)variant;")
}
