//! Configs that get another name, or go, while programs and maps are kept.

use std::path::{Path, PathBuf};

use super::eventually;
use super::kept::{MAP, SERIES, YAML, are_loaded, body, crash, end, files, programs};
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::{self, run};
use crate::reload::fire::{Calls, Hook};

/// What is counted in a variable, whose map libbpf names by the config.
const STEPS: &str = "ebpf_exporter_steps_total";

/// A folder with an object, and configs of it.
struct Renamed {
    calls: Calls,
    folder: Folder,
    kept: PathBuf,
    flags: Vec<String>,
}

impl Renamed {
    fn new(calls: Calls, bpffs: &Path) -> Self {
        let (folder, kept) = (Folder::new(), bpffs.join("kept"));
        let flags = vec![
            folder.argument(),
            format!("--bpf.pin-path={}", kept.display()),
            "--web.enable-lifecycle".to_owned(),
            "--config.watch=off".to_owned(),
        ];
        let renamed = Self { calls, folder, kept, flags };
        renamed.object("");
        renamed.config("m");
        renamed
    }

    fn object(&self, more: &str) {
        let counting = format!("__sync_fetch_and_add(&steps, 1); {more}");
        let maps = format!("{MAP} u64 all, steps; int step = 1;");
        let object = self.calls.object(Hook::RAW, &maps, &body(&counting));
        std::fs::copy(object, self.folder.path().join("counting.bpf.o")).unwrap();
    }

    fn config(&self, name: &str) {
        let metrics = YAML.replace("counters: [", "counters: [{name: steps_total, help: h, global: steps}, ");
        self.folder.file(&format!("{name}.yaml"), format!("object: counting.bpf.o\n{metrics}"));
    }

    fn rename(&self, from: &str, to: &str) {
        let path = |name: &str| self.folder.path().join(format!("{name}.yaml"));
        std::fs::rename(path(from), path(to)).unwrap();
    }

    fn start(&self) -> Exporter {
        Exporter::start(&self.flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(&self, exporter: &Exporter, expected: f64) {
        let found = [SERIES, STEPS].map(|series| exporter.value(series));
        assert_eq!(found, [Some(expected); 2], "{}", exporter.log());
    }

    /// Below which configs something is kept.
    fn configs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.kept).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

#[track_caller]
fn reload(exporter: &Exporter) {
    let answer = exporter.request("POST /-/reload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_config_that_was_renamed_meanwhile_goes_on() {
    kernel::with_bpffs(|bpffs| {
        let renamed = Renamed::new(Calls::new(), bpffs);
        let mut exporter = renamed.start();
        let before = programs(&exporter);
        let mut expected = 0.0;
        let mut fire = || {
            renamed.calls.fire(7, 10);
            expected += 10.0;
            expected
        };
        fire();
        for (crashes, from, to) in
            [(false, "m", "other"), (true, "other", "with.dots"), (false, "with.dots", "m")]
        {
            end(exporter, crashes);
            renamed.rename(from, to);
            fire();
            exporter = renamed.start();
            assert_eq!(programs(&exporter), before, "{to}: {}", exporter.log());
            renamed.check(&exporter, fire());
            let said = "renamed: it goes on with what was kept under another name";
            assert!(exporter.log().contains(said), "{}", exporter.log());
            assert_eq!(renamed.configs(), [to.replace('.', "+2e")]);
        }
    });
}

#[test]
fn a_config_that_is_renamed_while_it_runs_is_found_by_the_next_start() {
    kernel::with_bpffs(|bpffs| {
        let renamed = Renamed::new(Calls::new(), bpffs);
        let mut exporter = renamed.start();
        let before = programs(&exporter);
        let mut expected = 0.0;
        for (from, to, crashes) in [("m", "other", true), ("other", "more", false)] {
            renamed.calls.fire(7, 10);
            renamed.rename(from, to);
            reload(&exporter);
            assert_eq!(renamed.configs(), [to], "{}", exporter.log());
            assert_eq!(programs(&exporter), before, "{}", exporter.log());
            end(exporter, crashes);
            renamed.calls.fire(7, 10);
            exporter = renamed.start();
            assert_eq!(programs(&exporter), before, "{to}: {}", exporter.log());
            expected += 20.0;
            renamed.check(&exporter, expected);
        }
        // Under its new name it goes as any other, while it runs and afterwards.
        renamed.rename("more", "last");
        reload(&exporter);
        std::fs::remove_file(renamed.folder.path().join("last.yaml")).unwrap();
        reload(&exporter);
        eventually("it is gone", || !are_loaded(&before));
        assert_eq!(files(&renamed.kept), Vec::<PathBuf>::new());
    });
}

/// What was kept is one config's, although two may have been meant.
#[test]
fn what_was_kept_goes_to_one_config_alone() {
    kernel::with_bpffs(|bpffs| {
        let renamed = Renamed::new(Calls::new(), bpffs);
        let exporter = renamed.start();
        let before = programs(&exporter);
        renamed.calls.fire(7, 10);
        exporter.stop();
        renamed.rename("m", "b");
        let other =
            "object: counting.bpf.o\nmetrics: {counters: [{name: own_total, help: h, global: steps}]}\n";
        renamed.folder.file("c.yaml", other);
        let exporter = renamed.start();
        renamed.check(&exporter, 10.0);
        assert_eq!(exporter.value("ebpf_exporter_own_total"), Some(0.0), "{}", exporter.log());
        let now = programs(&exporter);
        assert!(now.len() == 2 && now.is_superset(&before), "{before:?} {now:?}");
        let mut configs = renamed.configs();
        configs.sort();
        assert_eq!(configs, ["b", "c"]);
    });
}

/// Another object under another name is another config: nothing stays of the old one, and that is said.
#[test]
fn nothing_stays_of_a_config_that_is_another_one_now() {
    kernel::with_bpffs(|bpffs| {
        let renamed = Renamed::new(Calls::new(), bpffs);
        let exporter = renamed.start();
        let before = programs(&exporter);
        renamed.calls.fire(7, 10);
        crash(&exporter);
        drop(exporter);
        renamed.rename("m", "other");
        renamed.object("step = 2;");
        let exporter = renamed.start();
        eventually("the old one is gone", || !are_loaded(&before));
        renamed.calls.fire(7, 10);
        renamed.check(&exporter, 10.0);
        let said =
            format!("removed: there is no such config any more\" path={}", renamed.kept.join("m").display());
        assert!(exporter.log().contains(&said), "{}", exporter.log());
        assert_eq!(renamed.configs(), ["other"]);
    });
}

/// A filter that a crash has left goes with its config, too, although it is no link.
#[test]
fn a_filter_goes_with_its_config() {
    kernel::with_bpffs(|bpffs| {
        kernel::with_network(|| {
            let folder = Folder::new();
            let source = format!("{MAP} SEC(\"tc\") int seen(struct __sk_buff *packet) {{ return -1; }}");
            let place = "{tc: {interface: lo, direction: ingress, mode: classic}}";
            folder.compiled_pair("m", &format!("programs: {{seen: {{attach: {place}}}}}\n{YAML}"), &source);
            let kept = bpffs.join("kept");
            let flags = [&*folder.argument(), &format!("--bpf.pin-path={}", kept.display())];
            let filters = || run("tc", &["filter", "show", "dev", "lo", "ingress"]);
            let exporter = Exporter::start(&flags);
            crash(&exporter);
            drop(exporter);
            assert_eq!(filters().matches("direct-action").count(), 1, "{}", filters());
            folder.compiled_pair(
                "other",
                "metrics: {counters: []}\n",
                &source.replace("\"tc\"", "\"socket\""),
            );
            std::fs::remove_file(folder.path().join("m.yaml")).unwrap();
            let _exporter = Exporter::launch(&flags);
            assert_eq!(filters(), "");
            assert!(!run("tc", &["qdisc", "show"]).contains("clsact"));
        });
    });
}
