//! Following files where that takes root to arrange: mounts, limits, lost capabilities.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use bpftally::app::privileges;
use bpftally::cli::{self, Request};
use bpftally::reload::{Followed, Manner, Occasion, WatchMode, WatchTiming, Watcher};

use crate::common::kernel::{run, with_mounts};

const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 3600);
const SOON: Duration = Duration::from_millis(20);

/// Looks come of events alone.
const BY_EVENTS: WatchTiming = WatchTiming { quiet: SOON, bound: NEVER, poll: NEVER, recheck: NEVER };

fn start(timing: WatchTiming, folder: &Path, files: &[PathBuf]) -> (Watcher, Receiver<Occasion>) {
    let (sender, looks) = mpsc::channel();
    let look = move |occasion| {
        let _ = sender.send(occasion);
    };
    let watcher = Watcher::start(WatchMode::Auto, timing, look).unwrap();
    watcher.follow(&Followed { folders: vec![folder.to_owned()], files: files.to_vec() });
    (watcher, looks)
}

/// Waits for a look for this reason, whatever other looks come before.
#[track_caller]
fn wait_for(occasion: Occasion, looks: &Receiver<Occasion>) {
    let since = Instant::now();
    while looks.recv_timeout(PATIENCE).unwrap() != occasion {
        assert!(since.elapsed() < PATIENCE, "there was no look because of {occasion:?}");
    }
}

#[track_caller]
fn mount(arguments: &[&str], from: &Path, to: &Path) {
    run("mount", &[arguments, &[from.to_str().unwrap(), to.to_str().unwrap()]].concat());
}

#[test]
fn changes_behind_a_bind_mount_are_seen() {
    with_mounts(|| {
        let root = tempfile::tempdir().unwrap();
        let (origin, conf) = (root.path().join("origin"), root.path().join("conf"));
        for folder in [&origin, &conf] {
            fs::create_dir(folder).unwrap();
        }
        mount(&["--bind"], &origin, &conf);
        let (watcher, looks) = start(BY_EVENTS, &conf, &[]);
        for text in ["1", "2"] {
            fs::write(origin.join("a.yaml"), text).unwrap();
            wait_for(Occasion::Changed, &looks);
        }
        assert_eq!(watcher.manner(), Manner::Events);
    });
}

#[test]
fn changes_of_a_file_that_is_mounted_are_seen() {
    with_mounts(|| {
        let root = tempfile::tempdir().unwrap();
        let conf = root.path().join("conf");
        fs::create_dir(&conf).unwrap();
        let (origin, file) = (root.path().join("origin.yaml"), conf.join("a.yaml"));
        for path in [&origin, &file] {
            fs::write(path, "").unwrap();
        }
        mount(&["--bind"], &origin, &file);
        let (_watcher, looks) = start(BY_EVENTS, &conf, &[file]);
        // Its directory is the origin's, which is not followed.
        for text in ["1", "2"] {
            fs::write(&origin, text).unwrap();
            wait_for(Occasion::Changed, &looks);
        }
    });
}

#[test]
fn what_is_mounted_over_a_folder_is_followed_after_a_recheck() {
    with_mounts(|| {
        let root = tempfile::tempdir().unwrap();
        let (other, conf) = (root.path().join("other"), root.path().join("conf"));
        for folder in [&other, &conf] {
            fs::create_dir(folder).unwrap();
        }
        let (_watcher, looks) = start(WatchTiming { recheck: SOON, ..BY_EVENTS }, &conf, &[]);
        let rechecked = || {
            // The first may have begun before.
            looks.try_iter().for_each(drop);
            (0..2).for_each(|_| wait_for(Occasion::Recheck, &looks));
        };
        mount(&["--bind"], &other, &conf);
        rechecked();
        fs::write(other.join("a.yaml"), "1").unwrap();
        wait_for(Occasion::Changed, &looks);
        run("umount", &[conf.to_str().unwrap()]);
        rechecked();
        fs::write(conf.join("a.yaml"), "2").unwrap();
        wait_for(Occasion::Changed, &looks);
    });
}

#[test]
fn changes_through_an_overlay_are_seen() {
    with_mounts(|| {
        let root = tempfile::tempdir().unwrap();
        // An overlay cannot be made of folders of another one, as a container's may be.
        run("mount", &["-t", "tmpfs", "tmpfs", root.path().to_str().unwrap()]);
        let path = |name: &str| root.path().join(name);
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("lower/a.yaml"), "0").unwrap();
        let options = ["lower", "upper", "work"].map(|name| format!("{name}dir={}", path(name).display()));
        let options = options.join(",");
        mount(&["-t", "overlay", "-o", &options], Path::new("overlay"), &path("merged"));
        let (watcher, looks) = start(BY_EVENTS, &path("merged"), &[path("merged/a.yaml")]);
        // The first write copies the file up.
        for text in ["1", "2"] {
            fs::write(path("merged/a.yaml"), text).unwrap();
            wait_for(Occasion::Changed, &looks);
        }
        assert_eq!(watcher.manner(), Manner::Events);
    });
}

#[test]
fn no_capabilities_are_needed() {
    let Ok(Request::Serve(options)) = cli::parse(["--capabilities.keep=none".into()]) else { panic!() };
    let root = tempfile::tempdir().unwrap();
    let work = || {
        privileges::reduce_this_thread(&options.keep).unwrap();
        let (watcher, looks) = start(BY_EVENTS, root.path(), &[]);
        fs::write(root.path().join("a.yaml"), "1").unwrap();
        wait_for(Occasion::Changed, &looks);
        assert_eq!(watcher.manner(), Manner::Events);
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

/// The tests of limits run themselves again in a user namespace of their own, which has its own limits.
const CHILD: &str = "BPFTALLY_TEST_WATCH_LIMITS";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs a test again with a limit; what it printed.
#[track_caller]
fn again(test: &str, limit: &str) -> String {
    let script = format!("echo {limit} && exec \"$0\" --exact \"$1\" --nocapture");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-ec", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
    text
}

fn log_to_stdout() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
}

#[test]
fn too_few_watches_mean_polling_until_there_are_more() {
    const LIMIT: &str = "/proc/sys/user/max_inotify_watches";
    if !is_child() {
        let said = again("watch::too_few_watches_mean_polling_until_there_are_more", &format!("2 > {LIMIT}"));
        assert_eq!(said.matches("WARN").count(), 1, "one warning, however often it is tried: {said}");
        assert_eq!(said.matches("are told again").count(), 1, "{said}");
        return;
    }
    log_to_stdout();
    let root = tempfile::tempdir().unwrap();
    let conf = root.path().join("conf");
    fs::create_dir(&conf).unwrap();
    let (watcher, looks) = start(WatchTiming { poll: SOON, ..BY_EVENTS }, &conf, &[]);
    let why = "inotify: no space left on device (fs.inotify.max_user_watches)";
    assert_eq!(watcher.manner(), Manner::PollBecause(why.to_owned()));
    (0..3).for_each(|_| wait_for(Occasion::Recheck, &looks));
    fs::write(LIMIT, "100").unwrap();
    let since = Instant::now();
    while watcher.manner() != Manner::Events {
        assert!(since.elapsed() < PATIENCE);
        wait_for(Occasion::Recheck, &looks);
    }
    fs::write(conf.join("a.yaml"), "1").unwrap();
    wait_for(Occasion::Changed, &looks);
}

#[test]
fn without_inotify_there_is_polling() {
    if !is_child() {
        let said =
            again("watch::without_inotify_there_is_polling", "0 > /proc/sys/user/max_inotify_instances");
        assert_eq!(said.matches("WARN").count(), 1, "{said}");
        return;
    }
    log_to_stdout();
    let root = tempfile::tempdir().unwrap();
    let (watcher, looks) = start(WatchTiming { poll: SOON, ..BY_EVENTS }, root.path(), &[]);
    let why = "inotify: too many open files (fs.inotify.max_user_instances)";
    assert_eq!(watcher.manner(), Manner::PollBecause(why.to_owned()));
    (0..3).for_each(|_| wait_for(Occasion::Recheck, &looks));
}
