use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use super::{Following, object, programs, until_unloaded};
use crate::common::exporter::{Exporter, value_of};
use crate::common::folder::Folder;
use crate::exporter::{Workload, good_yaml};

const SERIES: &str = "ebpf_exporter_good{slot=\"7\"}";

/// A folder with the good config, its object in this variant and its label of this name.
fn fill(folder: &Path, calls: Workload, variant: u32, label: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(
        folder.join("good.yaml"),
        good_yaml("good").replace("name: slot", &format!("name: {label}")),
    )
    .unwrap();
    std::fs::copy(object(calls, "good", 64, variant), folder.join("good.bpf.o")).unwrap();
}

/// An exporter that follows this path.
#[track_caller]
fn follow(root: Folder, path: &str, flags: &[&str]) -> Following {
    let argument = format!("--config.dir={}", root.path().join(path).display());
    let mut all = vec![argument.as_str(), "--web.enable-lifecycle", "--config.quiet-period=20ms"];
    all.extend(flags);
    Following { exporter: Exporter::launch(&all), folder: root }
}

fn series(label: &str) -> String {
    format!("ebpf_exporter_good{{{label}=\"7\"}}")
}

/// Kubernetes writes a volume anew and swaps a hidden link; the files are links that lead through it.
#[test]
fn a_kubernetes_volume_is_followed() {
    let calls = Workload::new();
    let root = Folder::new();
    let path = root.path().to_owned();
    fill(&path.join("..1"), calls, 1, "slot");
    symlink("..1", path.join("..data")).unwrap();
    for name in ["good.yaml", "good.bpf.o"] {
        symlink(Path::new("..data").join(name), path.join(name)).unwrap();
    }
    let following = follow(root, "", &[]);
    calls.fire(10);
    for turn in 2..5_u32 {
        let label = format!("turn{turn}");
        fill(&path.join(format!("..{turn}")), calls, turn, &label);
        symlink(format!("..{turn}"), path.join("..data_tmp")).unwrap();
        std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        std::fs::remove_dir_all(path.join(format!("..{}", turn - 1))).unwrap();
        following.until(&label, |page| value_of(page, &series(&label)) == Some(10.0));
        assert_eq!(following.reloads("good", "success"), f64::from(turn) - 1.0);
        assert_eq!(following.reloads("good", "failure"), 0.0);
    }
}

/// A deployment is a link to a release.
#[test]
fn a_folder_that_is_a_swapped_link_is_followed() {
    let calls = Workload::new();
    let root = Folder::new();
    let path = root.path().to_owned();
    fill(&path.join("releases/1"), calls, 1, "slot");
    symlink("releases/1", path.join("now")).unwrap();
    let following = follow(root, "now", &[]);
    calls.fire(10);
    for turn in 2..5_u32 {
        let label = format!("turn{turn}");
        fill(&path.join(format!("releases/{turn}")), calls, turn, &label);
        symlink(format!("releases/{turn}"), path.join("next")).unwrap();
        std::fs::rename(path.join("next"), path.join("now")).unwrap();
        following.until(&label, |page| value_of(page, &series(&label)) == Some(10.0));
    }
    // Nobody watches the old ones any more.
    fill(&path.join("releases/1"), calls, 1, "old");
    assert_eq!(following.reloads("good", "success"), 3.0);
    let log = following.exporter.log();
    assert!(!log.contains("level=error") && !log.contains("level=warn"), "{log}");
}

/// Without its folder everything goes on; when that is there again it is followed.
#[test]
fn a_folder_that_goes_and_comes_again_is_followed() {
    let calls = Workload::new();
    let root = Folder::new();
    let path = root.path().join("configs");
    fill(&path, calls, 1, "slot");
    let following = follow(root, "configs", &[]);
    let ids = programs(&following.exporter.page(), "good");
    for turn in 1..4 {
        std::fs::remove_dir_all(&path).unwrap();
        following.until("it is said", |_| {
            following.exporter.get("/").text().contains("the folder of configs cannot be read")
        });
        following.until_logged(&["level=error", "config-dir", "the folder of configs cannot be read"]);
        calls.fire(5);
        let page = following.until("it goes on", |page| page.contains("config_loaded{config=\"good\"} 1"));
        assert_eq!(value_of(&page, SERIES), Some(f64::from(turn) * 5.0), "{page}");
        assert_eq!(programs(&page, "good"), ids);
        // Longer than a config is waited for whose file alone is missing.
        std::thread::sleep(Duration::from_millis(1300));
        assert_eq!(programs(&following.exporter.page(), "good"), ids);
        assert_eq!(following.reload().status, 500);
        fill(&path, calls, 1, "slot");
        following.until("the folder is there", |_| {
            !following.exporter.get("/").text().contains("the folder of configs cannot be read")
        });
    }
    assert_eq!(programs(&following.exporter.page(), "good"), ids, "the files are the same");
    fill(&path, calls, 2, "slot");
    following.until_reloaded("good", "success", 1.0);
    until_unloaded(&ids);
    assert_eq!(following.exporter.value(SERIES), Some(15.0));
}

#[test]
fn folders_are_polled() {
    let calls = Workload::new();
    let root = Folder::new();
    let path = root.path().to_owned();
    fill(&path, calls, 1, "slot");
    let following = follow(root, "", &["--config.watch=poll", "--config.poll-interval=100ms"]);
    assert!(following.exporter.get("/").text().contains("Changes of the files are followed: polling."));
    calls.fire(10);
    fill(&path, calls, 2, "other");
    following.until("the other one", |page| value_of(page, &series("other")) == Some(10.0));
}

/// Without watching there is the signal, and the page.
#[test]
fn without_watching_a_reload_is_asked_for() {
    let calls = Workload::new();
    let root = Folder::new();
    let path = root.path().to_owned();
    fill(&path, calls, 1, "slot");
    let following = follow(root, "", &["--config.watch=off"]);
    assert!(
        following
            .exporter
            .get("/")
            .text()
            .contains("Changes of the files are followed when a reload is asked for.")
    );
    calls.fire(10);
    fill(&path, calls, 2, "second");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(following.exporter.value(SERIES), Some(10.0));
    following.hang_up();
    following.until("the second one", |page| value_of(page, &series("second")) == Some(10.0));
    fill(&path, calls, 3, "third");
    let said = following.reload_well();
    assert!(said.contains("good: object replaced, 1 maps go on"), "{said}");
    assert_eq!(following.exporter.value(&series("third")), Some(10.0));
    std::fs::remove_file(path.join("good.yaml")).unwrap();
    assert!(following.reload_well().contains("good: removed"));
    assert_eq!(following.exporter.value(&series("third")), None);
}

#[test]
fn the_page_for_reloads_has_to_be_enabled() {
    let root = Folder::new();
    fill(root.path(), Workload::new(), 1, "slot");
    let exporter = Exporter::start(&[&root.argument()]);
    let ask = |method: &str| {
        let request = format!(
            "{method} /-/reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        exporter.request(&request)
    };
    let refused = ask("POST");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("--web.enable-lifecycle"), "{}", refused.text());
    drop(exporter);

    let following = follow(root, "", &[]);
    let answer = following.exporter.get("/-/reload");
    assert_eq!(answer.status, 405);
    assert!(answer.head.to_ascii_lowercase().contains("allow: post, put"), "{}", answer.head);
    assert!(following.reload_well().contains("nothing changed\nserving 1 config"));
    std::fs::write(following.folder.path().join("good.yaml"), "metrics: [").unwrap();
    let failed = following.reload();
    assert_eq!(failed.status, 500);
    for words in ["good: refused, the last good one goes on", "good.yaml", "serving 1 config"] {
        assert!(failed.text().contains(words), "{words} in {}", failed.text());
    }
    // It is still so, whoever asks.
    assert_eq!(following.reload().status, 500);
}
