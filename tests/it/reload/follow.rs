use std::collections::BTreeSet;

use super::{Following, object, programs, until_unloaded};
use crate::common::exporter::{value_of, values_of};
use crate::common::folder::Folder;
use crate::exporter::{Workload, good_yaml};

const SERIES: &str = "ebpf_exporter_good{slot=\"7\"}";

/// A folder with one good config, followed.
#[track_caller]
fn good(calls: Workload, flags: &[&str]) -> Following {
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    Following::start(folder, flags)
}

/// The links and programs and maps of a config that runs alone.
fn ids(following: &Following) -> (super::Held, BTreeSet<u32>) {
    (following.held(), programs(&following.exporter.page(), "good"))
}

#[test]
fn a_config_that_comes_is_served_and_one_that_goes_is_not() {
    let calls = Workload::new();
    let others = Workload::new();
    let following = good(calls, &[]);
    let before = ids(&following);
    calls.fire(10);
    // First its object, which alone is nothing.
    following.put_object("other", &object(others, "other", 64, 1));
    following.put("other.yaml", good_yaml("other"));
    following.until("the other one", |page| page.contains("config_loaded{config=\"other\"} 1"));
    others.fire(5);
    let page = following.until("its series", |page| page.contains("ebpf_exporter_other{slot=\"7\"} 5"));
    assert_eq!(value_of(&page, SERIES), Some(10.0), "{page}");
    assert_eq!(following.reloads("other", "success"), 1.0);
    let others_programs = programs(&page, "other");
    assert!(others_programs.iter().all(|id| following.held().programs.contains(id)));

    following.remove("other.yaml");
    let page = following.until("nothing of it is left", |page| {
        !page.contains("\"other\"") && !page.contains("ebpf_exporter_other{")
    });
    until_unloaded(&others_programs);
    assert_eq!(value_of(&page, SERIES), Some(10.0), "{page}");
    // What did not change was not touched in any way.
    assert_eq!(ids(&following), before);
    assert_eq!(following.reloads("good", "success"), 0.0);
    following.until_logged(&["config=other", "added"]);
    following.until_logged(&["config=other", "removed"]);
}

/// Names, help, labels and decoders are the exporter's own business: the kernel is left alone.
#[test]
fn a_view_changes_while_programs_and_maps_stay() {
    let calls = Workload::new();
    let following = good(calls, &[]);
    let before = ids(&following);
    calls.fire(10);
    let yaml = good_yaml("good");
    let check = |changed: &str, series: &str, help: &str, times: f64| {
        following.put("good.yaml", changed);
        let page = following.until(series, |page| value_of(page, series) == Some(times));
        assert!(page.contains(help), "{help} in {page}");
        assert_eq!(ids(&following), before);
        let object = std::fs::read(following.folder.path().join("good.bpf.o")).unwrap();
        following.check_serves(&page, "good", Some(changed), &object);
    };
    let labelled = yaml.replace("name: slot", "name: place");
    check(&labelled, "ebpf_exporter_good{place=\"7\"}", "Calls counted", 10.0);
    let decoded = yaml.replace("- name: uint", "- name: hex");
    check(&decoded, "ebpf_exporter_good{slot=\"07000000\"}", "Calls counted", 10.0);
    let helped = yaml.replace("Calls counted", "Calls that were counted");
    check(&helped, SERIES, "# HELP ebpf_exporter_good Calls that were counted", 10.0);
    calls.fire(3);
    let renamed = yaml.replace("name: good", "name: better_total\n      map: good");
    check(&renamed, "ebpf_exporter_better_total{slot=\"7\"}", "Calls counted", 13.0);
    assert_eq!(following.reloads("good", "success"), 4.0);
    following.until_logged(&["config=good", "metrics changed, programs and maps stayed"]);
}

/// Other programs, the same map: the counts go on.
#[test]
fn another_object_counts_on() {
    let calls = Workload::new();
    let following = good(calls, &[]);
    let (held, before) = ids(&following);
    calls.fire(10);
    let second = object(calls, "good", 64, 2);
    following.put_object("good", &second);
    let page = following.until_reloaded("good", "success", 1.0);
    assert_eq!(value_of(&page, SERIES), Some(10.0), "{page}");
    following.check_serves(&page, "good", Some(&good_yaml("good")), &std::fs::read(second).unwrap());
    until_unloaded(&before);
    let (now, after) = ids(&following);
    assert!(before.is_disjoint(&after));
    assert_eq!(now.maps, held.maps, "the map is the same one");
    calls.fire(7);
    assert_eq!(following.exporter.value(SERIES), Some(17.0));
    following.until_logged(&["config=good", "object replaced, 1 maps go on"]);
}

/// A new object and a YAML file that needs it come one after the other, in either order.
#[test]
fn a_pair_that_changes_together_is_followed_as_one() {
    let calls = Workload::new();
    let following = good(calls, &["--config.quiet-period=300ms"]);
    calls.fire(10);
    for (turn, map) in [(0, "better"), (1, "best")] {
        let (yaml, object) = (good_yaml(map), object(calls, map, 64, 1));
        if turn == 0 {
            following.put("good.yaml", &yaml);
            following.put_object("good", &object);
        } else {
            following.put_object("good", &object);
            following.put("good.yaml", &yaml);
        }
        following.until_reloaded("good", "success", f64::from(turn) + 1.0);
        calls.fire(3);
        let page = following.exporter.page();
        assert_eq!(value_of(&page, &format!("ebpf_exporter_{map}{{slot=\"7\"}}")), Some(3.0), "{page}");
        assert!(!page.contains(SERIES), "{page}");
    }
}

/// The name of its file is the config's name, and no more than that.
#[test]
fn a_renamed_config_goes_on() {
    let calls = Workload::new();
    let following = good(calls, &[]);
    let (held, before) = ids(&following);
    calls.fire(10);
    let path = following.folder.path();
    std::fs::rename(path.join("good.bpf.o"), path.join("new.bpf.o")).unwrap();
    std::fs::rename(path.join("good.yaml"), path.join("new.yaml")).unwrap();
    let page = following.until("the new name", |page| {
        page.contains("config_loaded{config=\"new\"} 1") && !page.contains("config=\"good\"")
    });
    assert_eq!(value_of(&page, SERIES), Some(10.0), "{page}");
    assert_eq!(programs(&page, "new"), before);
    assert_eq!(following.held(), held);
    calls.fire(1);
    assert_eq!(following.exporter.value(SERIES), Some(11.0));
    following.until_logged(&["config=new", "renamed from good, programs and maps stayed"]);
}

/// Only those that are named are followed, and one may come later.
#[test]
fn named_configs_are_followed() {
    let calls = Workload::new();
    let others = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    folder.pair("ignored", &good_yaml("ignored"), &object(calls, "ignored", 64, 1));
    let following = Following::start(folder, &["--config.names=good,later"]);
    let page = following.exporter.page();
    assert!(page.contains("config_loaded{config=\"later\"} 0") && !page.contains("ignored"), "{page}");
    following.put_object("later", &object(others, "later", 64, 1));
    following.put("later.yaml", good_yaml("later"));
    following.until("the later one", |page| page.contains("config_loaded{config=\"later\"} 1"));
    others.fire(4);
    assert_eq!(following.exporter.value("ebpf_exporter_later{slot=\"7\"}"), Some(4.0));
    let ids = programs(&following.exporter.page(), "later");
    following.remove("later.yaml");
    following.until("it is gone", |page| !page.contains("ebpf_exporter_later"));
    until_unloaded(&ids);
    assert!(!following.exporter.page().contains("ignored"));
}

/// Objects without a config are served as they come, and go on when somebody writes their config.
#[test]
fn drafted_configs_are_followed() {
    let calls = Workload::new();
    let folder = Folder::new();
    let following = Following::start(folder, &["--config.auto"]);
    following.put_object("good", &object(calls, "good", 64, 1));
    following.until("the drafted one", |page| page.contains("config_loaded{config=\"good\"} 1"));
    calls.fire(6);
    let page = following.exporter.page();
    let drafted = page.lines().find(|line| line.starts_with("ebpf_exporter_good") && line.ends_with(" 6"));
    assert!(drafted.is_some(), "{page}");
    let (held, before) = ids(&following);
    following.check_serves(&page, "good", None, &std::fs::read(object(calls, "good", 64, 1)).unwrap());
    assert!(following.exporter.get("/").text().contains("drafted"));

    let yaml = good_yaml("good").replace("name: slot", "name: place");
    following.put("good.yaml", &yaml);
    let series = "ebpf_exporter_good{place=\"7\"}";
    following.until("the written one", |page| value_of(page, series) == Some(6.0));
    assert_eq!(ids(&following), (held, before.clone()));
    assert!(!following.exporter.get("/").text().contains("drafted"));

    following.remove("good.yaml");
    following.until("the drafted one again", |page| !page.contains(series) && page.contains(" 6\n"));
    assert_eq!(programs(&following.exporter.page(), "good"), before);
    following.remove("good.bpf.o");
    following.until("nothing", |page| !page.contains("ebpf_exporter_good"));
    until_unloaded(&before);
}

/// Objects may lie in a folder of their own, which is followed too.
#[test]
fn objects_in_a_folder_of_their_own_are_followed() {
    let calls = Workload::new();
    let (folder, objects) = (Folder::new(), Folder::new());
    folder.file("good.yaml", good_yaml("good"));
    std::fs::copy(object(calls, "good", 64, 1), objects.path().join("good.bpf.o")).unwrap();
    let following = Following::start(folder, &[&format!("--object.dir={}", objects.path().display())]);
    calls.fire(10);
    super::put(&objects.path().join("good.bpf.o"), std::fs::read(object(calls, "good", 64, 2)).unwrap());
    following.until_reloaded("good", "success", 1.0);
    calls.fire(2);
    assert_eq!(following.exporter.value(SERIES), Some(12.0));
    // One beside the config goes before it.
    let third = std::fs::read(object(calls, "good", 64, 3)).unwrap();
    following.put("good.bpf.o", &third);
    let page = following.until_reloaded("good", "success", 2.0);
    following.check_serves(&page, "good", Some(&good_yaml("good")), &third);
    calls.fire(2);
    assert_eq!(following.exporter.value(SERIES), Some(14.0));
}

/// Many changes within the quiet period are one reload.
#[test]
fn a_storm_of_changes_is_one_reload() {
    let calls = Workload::new();
    let following = good(calls, &["--config.quiet-period=1s"]);
    calls.fire(1);
    // The look that follows the start waits for nothing, and is over then.
    following.reload_well();
    let builds = [2, 3].map(|variant| object(calls, "good", 64, variant));
    for variant in 2..22 {
        following.put_object("good", &builds[variant % 2]);
        following.put("good.yaml", good_yaml("good").replace("Calls", &format!("{variant} calls")));
    }
    let page = following.until_reloaded("good", "success", 1.0);
    assert!(page.contains("21 calls counted"), "{page}");
    assert_eq!(following.reloads("good", "success"), 1.0);
    assert_eq!(values_of(&page, "ebpf_exporter_config_loaded").len(), 1);
}

/// The object for this machine's architecture is preferred as soon as it is there, and no longer; those for others are
/// not touched. Its counts go on all the while.
#[test]
fn an_object_for_this_architecture_comes_changes_and_goes() {
    let calls = Workload::new();
    let own = format!("good.{}", std::env::consts::ARCH);
    let by_own = format!("by {own}.bpf.o");
    for flags in [&[][..], &["--config.auto"]] {
        let folder = Folder::new();
        if flags.is_empty() {
            folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
        }
        let following = Following::start(folder, flags);
        following.put_object("good", &object(calls, "good", 64, 1));
        following.put("good.riscv64.bpf.o", "never read");
        following.until("the one for all", |page| page.contains("config_loaded{config=\"good\"} 1"));
        assert!(!following.exporter.get("/").text().contains(&by_own));
        let before = following.reloads("good", "success");
        for (turn, variant) in [(1.0, 2), (2.0, 3)] {
            calls.fire(5);
            following.put_object(&own, &object(calls, "good", 64, variant));
            following.until_reloaded("good", "success", before + turn);
            assert!(following.exporter.get("/").text().contains(&by_own));
        }
        following.remove(&format!("{own}.bpf.o"));
        following.until_reloaded("good", "success", before + 3.0);
        calls.fire(5);
        let page = following.exporter.page();
        assert!(!following.exporter.get("/").text().contains(&by_own));
        let counted = page.lines().find(|line| line.starts_with("ebpf_exporter_good"));
        assert!(counted.is_some_and(|line| line.ends_with(" 15")), "{page}");
        assert!(!page.contains("riscv64"), "{page}");
    }
}
