use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::{Following, Held, object, programs, until_unloaded};
use crate::common::exporter::value_of;
use crate::common::folder::Folder;
use crate::common::objects::compile;
use crate::exporter::{Workload, good_yaml};

const SERIES: &str = "ebpf_exporter_good{slot=\"7\"}";

/// A good config with what the kernel has of it, and what was counted so far.
struct Good {
    following: Following,
    calls: Workload,
    yaml: String,
    object: Vec<u8>,
    held: Held,
    programs: BTreeSet<u32>,
    counted: f64,
    refused: f64,
}

impl Good {
    #[track_caller]
    fn start(calls: Workload, flags: &[&str]) -> Self {
        let (folder, yaml, path) = (Folder::new(), good_yaml("good"), object(calls, "good", 64, 1));
        folder.pair("good", &yaml, &path);
        let following = Following::start(folder, flags);
        let programs = programs(&following.exporter.page(), "good");
        let (object, held) = (std::fs::read(path).unwrap(), following.held());
        Self { following, calls, yaml, object, held, programs, counted: 0.0, refused: 0.0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.following.folder.path().join(name)
    }

    /// The files say something that was refused: everything goes on, and is said to be outdated.
    #[track_caller]
    fn check_goes_on(&mut self, words: &[&str]) {
        self.refused += 1.0;
        self.following.until_reloaded("good", "failure", self.refused);
        self.calls.fire(10);
        self.counted += 10.0;
        let page = self.following.exporter.page();
        assert_eq!(value_of(&page, SERIES), Some(self.counted), "{page}");
        for (name, value) in [("config_loaded", 1.0), ("config_last_reload_successful", 0.0)] {
            let series = format!("ebpf_exporter_{name}{{config=\"good\"}}");
            assert_eq!(value_of(&page, &series), Some(value), "{series} in {page}");
        }
        assert_eq!(self.following.reloads("good", "failure"), self.refused);
        self.following.check_serves(&page, "good", Some(&self.yaml), &self.object);
        assert_eq!(programs(&page, "good"), self.programs);
        // Of what was tried and refused nothing stays; the kernel frees it a moment later.
        self.following.until("nothing of it stays", |_| self.following.held() == self.held);
        let landing = self.following.exporter.get("/").text();
        assert!(landing.contains("<td>good</td><td class=\"outdated\">outdated</td>"), "{landing}");
        let said = self.following.until_logged(&[&["config=good", "code="], words].concat());
        for word in words {
            assert!(landing.contains(&html(word)), "{word} ({said}) in {landing}");
        }
        self.following.until_logged(&["level=error", "config=good", "refused, the last good one goes on"]);
    }

    /// The files are as they were: nothing had to be loaded for that.
    #[track_caller]
    fn check_recovers(&mut self) {
        self.following.put("good.bpf.o", &self.object);
        self.following.put("good.yaml", &self.yaml);
        let series = "ebpf_exporter_config_last_reload_successful{config=\"good\"}";
        let page = self.following.until("it is good again", |page| value_of(page, series) == Some(1.0));
        assert_eq!(value_of(&page, SERIES), Some(self.counted), "{page}");
        assert_eq!(programs(&page, "good"), self.programs);
        assert_eq!(self.following.held(), self.held);
        let landing = self.following.exporter.get("/").text();
        assert!(landing.contains("<td>good</td><td class=\"serving\">serving</td>"), "{landing}");
    }
}

/// As text stands in HTML.
fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[test]
fn what_cannot_be_is_refused_and_the_last_good_goes_on() {
    let calls = Workload::new();
    let mut good = Good::start(calls, &[]);
    let yaml = good_yaml("good");

    good.following.put("good.yaml", "metrics: [");
    good.check_goes_on(&["good.yaml"]);
    good.check_recovers();
    good.following.put("good.yaml", yaml.replace("name: uint", "name: unit"));
    good.check_goes_on(&["unknown-decoder", "did you mean"]);
    good.check_recovers();
    // At the start such a metric costs itself alone; here nothing that is served is given up for it.
    good.following.put("good.yaml", yaml.clone() + "    - {name: m2, help: h, map: nowhere}\n");
    good.check_goes_on(&["nowhere"]);
    good.check_recovers();
    good.following.put("good.bpf.o", &good.object.clone()[..good.object.len() / 2]);
    good.check_goes_on(&["good.bpf.o"]);
    good.check_recovers();
    good.following.put("good.bpf.o", "no object at all");
    good.check_goes_on(&["good.bpf.o", "ELF"]);
    good.check_recovers();
    let wild = compile(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } good SEC(\".maps\");
         SEC(\"raw_tp/sys_enter\") int wild(void *ctx) { return *(volatile u64 *)bpf_ktime_get_ns(); }",
    );
    good.following.put_object("good", &wild);
    good.check_goes_on(&["wild", "R0 invalid mem access"]);
    good.check_recovers();
    // A program that is at work must not be lost.
    let nowhere = compile(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } good SEC(\".maps\");
         SEC(\"raw_tp/no_such_tracepoint\") int count_calls(void *ctx) { return 0; }",
    );
    good.following.put_object("good", &nowhere);
    good.check_goes_on(&["count_calls", "no_such_tracepoint"]);
    good.check_recovers();
    good.following.remove("good.bpf.o");
    good.check_goes_on(&["missing-object", "good.bpf.o"]);
    good.check_recovers();
    // A directory, and a link that leads nowhere.
    good.following.remove("good.bpf.o");
    std::fs::create_dir(good.path("good.bpf.o")).unwrap();
    good.check_goes_on(&["good.bpf.o"]);
    std::fs::remove_dir(good.path("good.bpf.o")).unwrap();
    good.check_recovers();
}

/// A file that is being written is read when it is whole, or is tried again when it is.
#[test]
fn a_half_written_file_is_read_when_it_is_whole() {
    let calls = Workload::new();
    let mut good = Good::start(calls, &[]);
    let yaml = good_yaml("good").replace("name: slot", "name: place");
    let (first, second) = yaml.split_at(yaml.len() - 12);
    let write = |rest: &str| {
        let mut file = OpenOptions::new().append(true).open(good.path("good.yaml")).unwrap();
        file.write_all(rest.as_bytes()).unwrap();
    };
    // Whoever writes closes it half-way and thinks for a while.
    std::fs::write(good.path("good.yaml"), first).unwrap();
    good.following.until_reloaded("good", "failure", 1.0);
    write(second);
    let series = "ebpf_exporter_good{place=\"7\"}";
    calls.fire(5);
    good.following.until("the whole one", |page| value_of(page, series) == Some(5.0));
    assert_eq!(programs(&good.following.exporter.page(), "good"), good.programs);

    // A writer that keeps the file open is waited for: there is no failure at all.
    let yaml = good_yaml("good").replace("name: slot", "name: where");
    let (first, second) = yaml.split_at(yaml.len() / 2);
    let mut file = OpenOptions::new().write(true).truncate(true).open(good.path("good.yaml")).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    let series = "ebpf_exporter_good{where=\"7\"}";
    good.following.until("the whole one", |page| value_of(page, series) == Some(5.0));
    assert_eq!(good.following.reloads("good", "failure"), 1.0);
    good.refused = 1.0;
}

/// Of two configs that want one name the one that runs has it, until it goes.
#[test]
fn of_two_that_clash_the_running_one_wins() {
    let calls = Workload::new();
    let others = Workload::new();
    let following = Good::start(calls, &[]).following;
    let ids = programs(&following.exporter.page(), "good");
    // Its name comes first, so that a restart would decide otherwise.
    following.put_object("early", &object(others, "good", 64, 1));
    following.put("early.yaml", good_yaml("good").replace("counters", "gauges"));
    let said = following.until_logged(&["level=error", "config=early", "what is running wins"]);
    assert!(said.contains("a restart would give it to `early`"), "{said}");
    calls.fire(4);
    let page = following.exporter.page();
    assert_eq!(value_of(&page, SERIES), Some(4.0), "{page}");
    assert!(page.contains("config_loaded{config=\"early\"} 0"), "{page}");
    assert_eq!(programs(&page, "good"), ids);
    // Nothing changed that would let it pass, so it is not tried again.
    following.put("good.yaml", good_yaml("good").replace("Calls", "The calls"));
    following.until_reloaded("good", "success", 1.0);
    assert_eq!(following.exporter.value("ebpf_exporter_config_loaded{config=\"early\"}"), Some(0.0));

    following.remove("good.yaml");
    following.until("the other one", |page| page.contains("config_loaded{config=\"early\"} 1"));
    until_unloaded(&ids);
    others.fire(3);
    let page = following.exporter.page();
    assert_eq!(value_of(&page, SERIES), Some(3.0), "{page}");
    assert!(page.contains("# TYPE ebpf_exporter_good gauge") && !page.contains("config=\"good\""), "{page}");
}

/// A config that clashes only after a change keeps what it had.
#[test]
fn a_change_that_clashes_with_another_config_is_refused() {
    let calls = Workload::new();
    let others = Workload::new();
    let folder = Folder::new();
    folder.pair("other", &good_yaml("other").replace("counters", "gauges"), &object(others, "other", 64, 1));
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    let following = Following::start(folder, &[]);
    following.put("good.yaml", good_yaml("good").replace("name: good", "name: other\n      map: good"));
    following.until_reloaded("good", "failure", 1.0);
    calls.fire(4);
    others.fire(3);
    let page = following.exporter.page();
    assert_eq!(value_of(&page, SERIES), Some(4.0), "{page}");
    assert_eq!(value_of(&page, "ebpf_exporter_other{slot=\"7\"}"), Some(3.0), "{page}");
    // It passes when the other one is out of the way.
    following.remove("other.yaml");
    let page = following
        .until("the name is free", |page| value_of(page, "ebpf_exporter_other{slot=\"7\"}") == Some(4.0));
    assert!(!page.contains(SERIES), "{page}");
}

/// What failed for reasons that no file tells is tried again by whoever asks.
#[test]
fn a_reload_that_is_asked_for_tries_again() {
    let calls = Workload::new();
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let types = elsewhere.path().join("types");
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    let following = Following::start(folder, &[&format!("--btf.path={}", types.display())]);
    let failed = following.reload();
    assert_eq!(failed.status, 500, "{}", failed.text());
    for words in ["good: refused", "btf-path", "serving 0 configs"] {
        assert!(failed.text().contains(words), "{words} in {}", failed.text());
    }
    std::fs::copy("/sys/kernel/btf/vmlinux", &types).unwrap();
    // The files are the same, so that looking at them changes nothing.
    following.put("good.yaml", good_yaml("good"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(following.exporter.value("ebpf_exporter_config_loaded{config=\"good\"}"), Some(0.0));
    let said = following.reload_well();
    assert!(said.contains("good: added") && said.contains("serving 1 config\n"), "{said}");
    calls.fire(2);
    assert_eq!(following.exporter.value(SERIES), Some(2.0));
    assert!(following.reload_well().contains("nothing changed"));
}

/// `--config.strict` tolerates no problem later either.
#[test]
fn strict_refuses_what_it_would_not_start_with() {
    let calls = Workload::new();
    let mut good = Good::start(calls, &["--config.strict"]);
    good.following.put("good.yaml", good_yaml("good") + "unknown_key: 1\n");
    good.check_goes_on(&["unknown_key"]);
    good.check_recovers();
}
