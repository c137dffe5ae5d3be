use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::{Following, object, programs, put};
use crate::common::exporter::{Exporter, value_of};
use crate::common::folder::Folder;
use crate::common::kernel::{run, with_tracefs};
use crate::exporter::{Workload, good_yaml};

const SERIES: &str = "ebpf_exporter_good{slot=\"7\"}";

const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;
const SYSLOG: u64 = 1 << 34;
const DAC_READ_SEARCH: u64 = 1 << 2;

fn good(calls: Workload) -> Folder {
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    folder
}

/// Permitted and effective capabilities of a process' threads by their names.
fn capabilities(process: u32) -> BTreeMap<String, u64> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A worker may end meanwhile.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        let bits = |name: &str| u64::from_str_radix(field(name), 16).unwrap();
        *threads.entry(field("Name:").to_owned()).or_default() |= bits("CapPrm:") | bits("CapEff:");
    }
    threads
}

#[test]
fn without_capabilities_views_change_and_objects_do_not() {
    let calls = Workload::new();
    let following = Following::start(good(calls), &["--capabilities.keep=none"]);
    calls.fire(10);
    let ids = programs(&following.exporter.page(), "good");
    following.put("good.yaml", good_yaml("good").replace("name: slot", "name: place"));
    let series = "ebpf_exporter_good{place=\"7\"}";
    following.until("the view", |page| value_of(page, series) == Some(10.0));
    following.put_object("good", &object(calls, "good", 64, 2));
    following.until_reloaded("good", "failure", 1.0);
    let said = following.until_logged(&["level=error", "config=good", "code=privilege"]);
    assert!(
        said.contains("the exporter gave up the rights to do it") && said.contains("--capabilities.keep"),
        "{said}"
    );
    calls.fire(1);
    let page = following.exporter.page();
    assert_eq!(value_of(&page, series), Some(11.0), "{page}");
    assert_eq!(programs(&page, "good"), ids);
    // A new one cannot be loaded either, and one can be removed.
    following.put_object("new", &object(calls, "new", 64, 1));
    following.put("new.yaml", good_yaml("new"));
    following.until_logged(&["level=error", "config=new", "code=privilege"]);
    following.remove("good.yaml");
    following.until("it is gone", |page| !page.contains("config=\"good\""));
    super::until_unloaded(&ids);
    assert!(capabilities(following.exporter.pid()).values().all(|held| *held == 0));
}

/// The least that reloads take, and who of the threads has it.
#[test]
fn the_supervisor_alone_keeps_what_loading_takes() {
    let check = |keep: &str, kept: u64, flags: &str| {
        let calls = Workload::new();
        let folder = good(calls);
        let argument = folder.argument();
        let keep = format!("--capabilities.keep={keep}");
        let all = [&argument, &keep, "--web.enable-lifecycle", "--config.quiet-period=20ms"];
        let commands = if flags.is_empty() {
            String::new()
        } else {
            format!(
                "exec setpriv --bounding-set={flags} --inh-caps={flags} --ambient-caps={flags} \"$0\" \"$@\""
            )
        };
        let following = Following { exporter: Exporter::launch_after(&commands, &all), folder };
        calls.fire(10);
        following.put_object("good", &object(calls, "good", 64, 2));
        following.until_reloaded("good", "success", 1.0);
        calls.fire(5);
        assert_eq!(following.exporter.value(SERIES), Some(15.0), "{}", following.exporter.log());
        let reading = kept & (BPF | SYSLOG | DAC_READ_SEARCH);
        let has_more = |(thread, held): (&String, &u64)| thread != "supervisor" && held & !reading != 0;
        // Those that it has detach and load for it have what it has, and end with the reload.
        following.until("the supervisor is alone", |_| {
            !capabilities(following.exporter.pid()).iter().any(has_more)
        });
        let threads = capabilities(following.exporter.pid());
        assert_eq!(threads["supervisor"], kept, "{threads:?}");
        assert!(threads.contains_key("http-worker"), "{threads:?}");
    };
    check("cap_bpf,cap_perfmon", BPF | PERFMON, "");
    check("cap_bpf,cap_perfmon", BPF | PERFMON, "-all,+bpf,+perfmon");
    check("cap_bpf,cap_perfmon,cap_syslog,cap_dac_read_search", BPF | PERFMON | SYSLOG | DAC_READ_SEARCH, "");
}

/// Lets others change a folder, or a file in it.
type Weaken<'a> = &'a dyn Fn(&Path);

/// What others can change is served as it was at the start, and no change of it is followed.
#[test]
fn what_others_can_change_is_not_followed() {
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (writable_yaml, writable_object) = (
        |path: &Path| mode(&path.join("good.yaml"), 0o666),
        |path: &Path| mode(&path.join("good.bpf.o"), 0o664),
    );
    let (writable_folder, foreign) = (
        |path: &Path| mode(path, 0o777),
        |path: &Path| chown(path.join("good.yaml"), Some(12345), None).unwrap(),
    );
    let checks: [(&str, Weaken<'_>); 4] = [
        ("mode 0666", &writable_yaml),
        ("mode 0664", &writable_object),
        ("its folder", &writable_folder),
        ("belongs to the user 12345", &foreign),
    ];
    for (words, weaken) in checks {
        let calls = Workload::new();
        let folder = good(calls);
        weaken(folder.path());
        let following = Following::start(folder, &[]);
        let path = following.folder.path();
        following.until_logged(&["level=warn", "config=good", "code=insecure-permissions", words]);
        calls.fire(10);
        let before = programs(&following.exporter.page(), "good");
        // Written in place, so that owner and mode stay.
        fs::write(path.join("good.bpf.o"), fs::read(object(calls, "good", 64, 2)).unwrap()).unwrap();
        fs::write(path.join("good.yaml"), good_yaml("good").replace("name: slot", "name: place")).unwrap();
        following.until_reloaded("good", "failure", 1.0);
        let said =
            following.until_logged(&["level=error", "config=good", "code=insecure-permissions", words]);
        assert!(said.contains("--config.allow-insecure-permissions"), "{said}");
        let page = following.exporter.page();
        assert_eq!(value_of(&page, SERIES), Some(10.0), "{page}");
        assert_eq!(programs(&page, "good"), before);
        // As soon as they cannot, it is followed.
        mode(path, 0o755);
        for name in ["good.yaml", "good.bpf.o"] {
            chown(path.join(name), Some(0), Some(0)).unwrap();
            mode(&path.join(name), 0o644);
        }
        following
            .until("it is followed", |page| value_of(page, "ebpf_exporter_good{place=\"7\"}") == Some(10.0));
    }
}

#[test]
fn who_allows_it_follows_what_others_can_change() {
    let calls = Workload::new();
    let folder = good(calls);
    let path = folder.path().to_owned();
    let set =
        |name: &str, mode| fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    set("good.yaml", 0o666);
    set("", 0o777);
    let following = Following::start(folder, &["--config.allow-insecure-permissions"]);
    calls.fire(10);
    fs::write(path.join("good.yaml"), good_yaml("good").replace("name: slot", "name: place")).unwrap();
    following.until("the view", |page| value_of(page, "ebpf_exporter_good{place=\"7\"}") == Some(10.0));
    assert!(!following.exporter.log().contains("insecure-permissions"), "{}", following.exporter.log());
}

/// In a sticky folder nobody else can replace a file, and nobody can in one that is mounted read-only.
#[test]
fn folders_for_everybody_are_fine_where_files_are_safe_in_them() {
    let calls = Workload::new();
    let folder = good(calls);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let following = Following::start(folder, &[]);
    calls.fire(10);
    let yaml = good_yaml("good").replace("name: slot", "name: place");
    following.put("good.yaml", &yaml);
    following.until("the view", |page| value_of(page, "ebpf_exporter_good{place=\"7\"}") == Some(10.0));
    assert!(!following.exporter.log().contains("insecure-permissions"), "{}", following.exporter.log());
    drop(following);

    // In mounts of their own, which end with the thread.
    with_tracefs(|| {
        let calls = Workload::new();
        let (folder, seen) = (good(calls), Folder::new());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (from, to) = (folder.path().to_str().unwrap(), seen.path().to_str().unwrap());
        run("mount", &["--bind", from, to]);
        run("mount", &["-o", "remount,bind,ro", to]);
        let following = Following::start(seen, &[]);
        calls.fire(10);
        // Whoever owns the volume writes it elsewhere.
        put(&folder.path().join("good.yaml"), &yaml);
        following.until("the view", |page| value_of(page, "ebpf_exporter_good{place=\"7\"}") == Some(10.0));
        assert!(!following.exporter.log().contains("insecure-permissions"), "{}", following.exporter.log());
    });
}
