//! Real files, real events. What must come is waited for with patience; what must not come
//! is shown by what was noted before a later change, because events keep their order.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use super::debounce::Change;
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Looks come of events alone.
const BY_EVENTS: WatchTiming =
    WatchTiming { quiet: Duration::from_millis(10), bound: NEVER, poll: NEVER, recheck: NEVER };

/// A watcher whose looks are kept.
struct Subject {
    root: tempfile::TempDir,
    watcher: Watcher,
    looks: Receiver<Occasion>,
}

impl Subject {
    /// Follows `<root>/conf`, the configs and objects in it, and `<root>/objects/a.bpf.o`.
    fn new(mode: WatchMode, timing: WatchTiming, prepare: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let (sender, looks) = mpsc::channel();
        let look = move |occasion| {
            let _ = sender.send(occasion);
        };
        let watcher = Watcher::start(mode, timing, look).unwrap();
        let subject = Self { root, watcher, looks };
        subject.follow();
        subject
    }

    fn by_events(prepare: impl FnOnce(&Path)) -> Self {
        let subject = Self::new(WatchMode::Auto, BY_EVENTS, prepare);
        assert_eq!(subject.watcher.manner(), Manner::Events);
        subject
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn follow(&self) -> bool {
        let conf = self.path("conf");
        let mut files = vec![self.path("objects/a.bpf.o")];
        // As for configs, hidden files are none of them.
        let entries = fs::read_dir(&conf).into_iter().flatten().map(|entry| entry.unwrap());
        let seen = entries.filter(|entry| !entry.file_name().as_bytes().starts_with(b"."));
        files.extend(seen.map(|entry| entry.path()));
        self.watcher.follow(&Followed { folders: vec![conf], files })
    }

    /// Does what a caller does at a look: reads all, and follows what it found.
    fn read(&self) -> Vec<(PathBuf, String)> {
        loop {
            let read = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
            let folders = [self.path("conf"), self.path("objects")];
            let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
            let read = entries.filter_map(|entry| read(entry.unwrap().path())).collect();
            if !self.follow() {
                return read;
            }
        }
    }

    /// Waits for a look after which a file holds this; none means that it is gone.
    #[track_caller]
    fn sees(&self, what: &str, file: &str, expected: Option<&str>) {
        loop {
            let look = self.looks.recv_timeout(PATIENCE);
            let read = self.read();
            let found = read.iter().find(|(path, _)| *path == self.path(file)).map(|(_, text)| text.as_str());
            match look {
                Ok(Occasion::Changed) if found == expected => return,
                Ok(_) => {}
                Err(error) => panic!("{what}: {error}; {file} holds {found:?} and not {expected:?}"),
            }
        }
    }

    /// What was noted until now, by a last change that is noted after all others.
    #[track_caller]
    fn noted(&self) -> Vec<Sign> {
        let marker = self.path("conf/marker");
        let end = Sign::Of(fs::canonicalize(self.path("conf")).unwrap().join("marker"), Change::Appeared);
        symlink("nowhere", &marker).unwrap();
        let since = Instant::now();
        loop {
            let noted = self.watcher.shared.signals.lock().noted.clone();
            if let Some(at) = noted.iter().position(|sign| *sign == end) {
                fs::remove_file(&marker).unwrap();
                return noted[..at].to_vec();
            }
            assert!(since.elapsed() < PATIENCE, "the last change was not noted");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes a link point elsewhere in one step.
fn swap(link: &Path, target: impl AsRef<Path>) {
    let new = link.with_file_name("..new");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// Prepares a folder, changes it several times in one way, and wants each change seen.
#[track_caller]
fn check(what: &str, file: &str, prepare: fn(&Path), change: fn(&Path, &str)) {
    let subject = Subject::by_events(prepare);
    for text in ["1", "22", "3", "44"] {
        change(subject.root.path(), text);
        subject.sees(what, file, Some(text));
    }
}

fn plain(root: &Path) {
    write(root.join("conf/a.yaml"), "0");
    write(root.join("objects/a.bpf.o"), "0");
}

#[test]
fn writes_and_renames_are_seen() {
    check("written in place", "conf/a.yaml", plain, |root, text| write(root.join("conf/a.yaml"), text));
    check("written bit by bit", "conf/a.yaml", plain, |root, text| {
        let mut file = File::create(root.join("conf/a.yaml")).unwrap();
        text.bytes().for_each(|byte| file.write_all(&[byte]).unwrap());
    });
    check("renamed into place", "conf/a.yaml", plain, |root, text| {
        write(root.join("conf/.a.yaml.new"), text);
        fs::rename(root.join("conf/.a.yaml.new"), root.join("conf/a.yaml")).unwrap();
    });
    check("renamed into place from elsewhere", "conf/a.yaml", plain, |root, text| {
        write(root.join("new"), text);
        fs::rename(root.join("new"), root.join("conf/a.yaml")).unwrap();
    });
    check("linked", "conf/a.yaml", plain, |root, text| {
        write(root.join("new"), text);
        fs::remove_file(root.join("conf/a.yaml")).unwrap();
        fs::hard_link(root.join("new"), root.join("conf/a.yaml")).unwrap();
        fs::remove_file(root.join("new")).unwrap();
    });
    check("as sed -i does", "conf/a.yaml", plain, |root, text| {
        write(root.join("conf/sedX8mKqz"), text);
        fs::rename(root.join("conf/sedX8mKqz"), root.join("conf/a.yaml")).unwrap();
    });
    check("as vim does", "conf/a.yaml", plain, |root, text| {
        let conf = root.join("conf");
        write(conf.join("4913"), "");
        fs::remove_file(conf.join("4913")).unwrap();
        fs::rename(conf.join("a.yaml"), conf.join("a.yaml~")).unwrap();
        write(conf.join("a.yaml"), text);
        fs::set_permissions(conf.join("a.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(conf.join("a.yaml~")).unwrap();
    });
    check("an object elsewhere", "objects/a.bpf.o", plain, |root, text| {
        write(root.join("objects/a.bpf.o"), text);
    });
}

#[test]
fn links_are_followed_wherever_they_lead() {
    check(
        "as Kubernetes does",
        "conf/a.yaml",
        |root| {
            write(root.join("conf/..0/a.yaml"), "0");
            symlink("..0", root.join("conf/..data")).unwrap();
            symlink("..data/a.yaml", root.join("conf/a.yaml")).unwrap();
        },
        |root, text| {
            let data = root.join("conf/..data");
            let before = fs::read_link(&data).unwrap();
            write(root.join(format!("conf/..{text}/a.yaml")), text);
            swap(&data, format!("..{text}"));
            fs::remove_dir_all(root.join("conf").join(before)).unwrap();
        },
    );
    let releases = |root: &Path| {
        write(root.join("releases/0/a.yaml"), "0");
        symlink("releases/0", root.join("conf")).unwrap();
    };
    check("the folder is a link that is swapped", "conf/a.yaml", releases, |root, text| {
        write(root.join(format!("releases/{text}/a.yaml")), text);
        swap(&root.join("conf"), format!("releases/{text}"));
    });
    check("the folder is a link, its target changes", "conf/a.yaml", releases, |root, text| {
        write(root.join("releases/0/a.yaml"), text);
    });
    check(
        "a link in the middle of a chain is swapped",
        "conf/a.yaml",
        |root| {
            write(root.join("deep/releases/0/etc/a.yaml"), "0");
            symlink(root.join("deep/releases/0"), root.join("deep/current")).unwrap();
            fs::create_dir(root.join("other")).unwrap();
            symlink("../deep/./current/etc", root.join("other/etc")).unwrap();
            symlink("other/../other/etc", root.join("conf")).unwrap();
        },
        |root, text| {
            write(root.join(format!("deep/releases/{text}/etc/a.yaml")), text);
            swap(&root.join("deep/current"), root.join(format!("deep/releases/{text}")));
        },
    );
    let elsewhere = |root: &Path| {
        write(root.join("elsewhere/0"), "0");
        fs::create_dir(root.join("conf")).unwrap();
        symlink("../elsewhere/0", root.join("conf/a.yaml")).unwrap();
    };
    check("a file is a link, its target changes", "conf/a.yaml", elsewhere, |root, text| {
        write(root.join("elsewhere/0"), text);
    });
    check("a file is a link that is swapped", "conf/a.yaml", elsewhere, |root, text| {
        write(root.join("elsewhere").join(text), text);
        swap(&root.join("conf/a.yaml"), format!("../elsewhere/{text}"));
    });
}

#[test]
fn folders_are_followed_across_removal() {
    let nested = |root: &Path| {
        write(root.join("a/b/c/a.yaml"), "0");
        symlink("a/b/c", root.join("conf")).unwrap();
    };
    check("the folder is made anew", "conf/a.yaml", nested, |root, text| {
        fs::remove_dir_all(root.join("a/b/c")).unwrap();
        write(root.join("a/b/c/a.yaml"), text);
    });
    check("its parents are made anew", "conf/a.yaml", nested, |root, text| {
        fs::remove_dir_all(root.join("a")).unwrap();
        write(root.join("a/b/c/a.yaml"), text);
    });
    check("a parent is put aside", "conf/a.yaml", nested, |root, text| {
        fs::rename(root.join("a"), root.join(format!("before{text}"))).unwrap();
        write(root.join("a/b/c/a.yaml"), text);
    });
    check("a parent is exchanged for another", "conf/a.yaml", nested, |root, text| {
        write(root.join("other/c/a.yaml"), text);
        fs::rename(root.join("a/b"), root.join(format!("before{text}"))).unwrap();
        fs::rename(root.join("other"), root.join("a/b")).unwrap();
    });
    check(
        "nothing was there",
        "conf/a.yaml",
        |root| symlink("a/b/c", root.join("conf")).unwrap(),
        |root, text| write(root.join("a/b/c/a.yaml"), text),
    );
    check(
        "a ring of links becomes a folder",
        "conf/a.yaml",
        |root| {
            symlink("a", root.join("conf")).unwrap();
            symlink("conf", root.join("a")).unwrap();
        },
        |root, text| {
            write(root.join("new/a.yaml"), text);
            let _ = fs::rename(root.join("a"), root.join(format!("before{text}")));
            fs::rename(root.join("new"), root.join("a")).unwrap();
        },
    );
}

#[test]
fn every_step_of_a_slow_return_is_seen() {
    let subject = Subject::by_events(|root| write(root.join("a/b/conf/a.yaml"), "0"));
    symlink("a/b/conf", subject.path("conf")).unwrap();
    subject.sees("the link", "conf/a.yaml", Some("0"));
    fs::remove_dir_all(subject.path("a")).unwrap();
    subject.sees("the removal", "conf/a.yaml", None);
    for folder in ["a", "a/b", "a/b/conf"] {
        fs::create_dir(subject.path(folder)).unwrap();
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed), "{folder}");
        subject.read();
    }
    fs::write(subject.path("a/b/conf/a.yaml"), "1").unwrap();
    subject.sees("the file", "conf/a.yaml", Some("1"));
}

#[test]
fn what_is_removed_or_may_not_be_read_is_seen() {
    let subject = Subject::by_events(plain);
    let mode = |mode| fs::set_permissions(subject.path("conf/a.yaml"), fs::Permissions::from_mode(mode));
    mode(0).unwrap();
    assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed));
    fs::remove_file(subject.path("conf/a.yaml")).unwrap();
    subject.sees("a file", "conf/a.yaml", None);
    fs::remove_dir_all(subject.path("objects")).unwrap();
    subject.sees("an object's folder", "objects/a.bpf.o", None);
}

#[test]
fn noise_beside_is_not_noted() {
    let subject = Subject::by_events(|root| {
        plain(root);
        write(root.join("conf/.a.yaml.swp"), "swap");
        write(root.join("objects/b.bpf.o"), "another's");
    });
    // In the folders above.
    write(subject.path("beside"), "x");
    fs::rename(subject.path("beside"), subject.path("besides")).unwrap();
    fs::remove_file(subject.path("besides")).unwrap();
    write(subject.path("folder/conf/a.yaml"), "x");
    fs::remove_dir_all(subject.path("folder")).unwrap();
    // Beside a file that is followed alone.
    write(subject.path("objects/b.bpf.o"), "x");
    // What editors do while a file is only open.
    write(subject.path("conf/.a.yaml.swp"), "more");
    // Reading, one's own above all.
    subject.read();
    assert_eq!(subject.noted(), []);
}

#[test]
fn noise_beside_does_not_wake_the_thread() {
    let root = tempfile::tempdir().unwrap();
    plain(root.path());
    let (sender, looks) = mpsc::channel();
    let look = move |_| {
        let _ = sender.send(rustix::thread::gettid().as_raw_nonzero());
    };
    let watcher = Watcher::start(WatchMode::Auto, BY_EVENTS, look).unwrap();
    watcher.follow(&Followed { folders: vec![root.path().join("conf")], files: Vec::new() });
    let after_a_change = || {
        write(root.path().join("conf/a.yaml"), "1");
        let thread = looks.recv_timeout(PATIENCE).unwrap();
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        assert!(status.starts_with("Name:\twatch\n"), "{status}");
        let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        waits.trim().parse::<u32>().unwrap()
    };
    let before = after_a_change();
    for index in 0..1000 {
        write(root.path().join("beside"), "x");
        fs::rename(root.path().join("beside"), root.path().join(index.to_string())).unwrap();
    }
    let waits = after_a_change() - before;
    assert!(waits < 100, "it slept and woke {waits} times");
}

#[test]
fn many_changes_are_few_looks() {
    let quiet = Duration::from_millis(200);
    let subject = Subject::new(WatchMode::Auto, WatchTiming { quiet, ..BY_EVENTS }, plain);
    let began = Instant::now();
    for index in 0..100 {
        write(subject.path("conf/a.yaml"), &index.to_string());
        write(subject.path(&format!("conf/{index}.yaml")), "");
    }
    let mut looks = 0;
    while fs::exists(subject.path("conf/99.yaml")).unwrap() {
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed));
        looks += 1;
        if fs::read_to_string(subject.path("conf/a.yaml")).unwrap() == "99" {
            fs::remove_file(subject.path("conf/99.yaml")).unwrap();
        }
    }
    // However slow the machine is, looks are apart by the quiet period.
    let most = began.elapsed().as_millis() / quiet.as_millis();
    assert!(looks <= most, "{looks} looks where {most} are possible");
}

#[test]
fn a_half_written_file_is_not_looked_at() {
    let subject = Subject::by_events(plain);
    let mut file = File::create(subject.path("conf/a.yaml")).unwrap();
    file.write_all(b"half").unwrap();
    write(subject.path("conf/b.yaml"), "whole");
    let written = subject.path("conf/a.yaml");
    assert!(subject.noted().contains(&Sign::Of(written, Change::Written)));
    assert_eq!(subject.looks.recv_timeout(10 * BY_EVENTS.quiet), Err(RecvTimeoutError::Timeout));
    file.write_all(b" and half").unwrap();
    drop(file);
    assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed));
    assert_eq!(fs::read_to_string(subject.path("conf/a.yaml")).unwrap(), "half and half");
}

#[test]
fn a_storm_and_a_writer_who_never_closes_are_looked_at_within_the_bound() {
    let timing = WatchTiming { quiet: NEVER, bound: Duration::from_millis(50), ..BY_EVENTS };
    let subject = Subject::new(WatchMode::Auto, timing, plain);
    let began = Instant::now();
    while subject.looks.try_recv().is_err() {
        assert!(began.elapsed() < PATIENCE, "the storm hid every change");
        write(subject.path("conf/a.yaml"), "again");
    }
    let mut file = File::create(subject.path("conf/a.yaml")).unwrap();
    for _ in 0..3 {
        file.write_all(b"and on").unwrap();
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed));
    }
}

#[test]
fn more_events_than_the_kernel_keeps_are_a_look() {
    let subject = Subject::by_events(plain);
    let most: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let (one, other) = (subject.path("conf/one"), subject.path("conf/other"));
    fs::write(&one, "").unwrap();
    {
        // While this is held nobody takes events from the kernel.
        let _state = subject.watcher.shared.signals.lock();
        for _ in 0..most / 2 + 100 {
            fs::rename(&one, &other).unwrap();
            fs::rename(&other, &one).unwrap();
        }
        write(subject.path("conf/a.yaml"), "lost");
    }
    subject.sees("what was lost", "conf/a.yaml", Some("lost"));
    let since = Instant::now();
    while !subject.watcher.shared.signals.lock().noted.contains(&Sign::Lost) {
        assert!(since.elapsed() < PATIENCE, "the kernel had room for all");
        std::thread::sleep(Duration::from_millis(1));
    }
    write(subject.path("conf/a.yaml"), "after");
    subject.sees("what came after", "conf/a.yaml", Some("after"));
}

#[test]
fn what_is_made_anew_is_watched_anew_even_if_it_looks_the_same() {
    let vanished = |path: &Path| Sign::Of(path.to_owned(), Change::Vanished);
    let signs: [&dyn Fn(&Path) -> Sign; 3] =
        [&vanished, &|path| vanished(path.parent().unwrap()), &|_| Sign::Lost];
    for sign in signs {
        let subject = Subject::by_events(plain);
        let conf = fs::canonicalize(subject.path("conf")).unwrap();
        // As when a folder is removed and another gets the number of its inode.
        lock(&subject.watcher.shared.targets).watched.as_mut().unwrap().forget_as_the_kernel_does(&conf);
        subject.watcher.shared.signals.note(sign(&conf), Instant::now());
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Changed));
        write(subject.path("conf/a.yaml"), "1");
        subject.sees("a change", "conf/a.yaml", Some("1"));
    }
}

#[test]
fn following_says_whether_anything_is_new() {
    let subject = Subject::by_events(|root| {
        plain(root);
        write(root.join("elsewhere/b.bpf.o"), "");
    });
    assert!(!subject.follow(), "the same again");
    let folders = vec![subject.path("conf")];
    let files = vec![subject.path("elsewhere/b.bpf.o")];
    assert!(subject.watcher.follow(&Followed { folders, files }));
    // What is no longer followed is no longer noted.
    write(subject.path("objects/a.bpf.o"), "");
    assert_eq!(subject.noted(), []);
    assert!(subject.watcher.follow(&Followed::default()));
    assert!(!subject.watcher.follow(&Followed::default()));
}

#[test]
fn without_events_there_is_a_look_every_so_often() {
    let timing = WatchTiming { poll: Duration::from_millis(5), ..BY_EVENTS };
    let subject = Subject::new(WatchMode::Poll, timing, plain);
    assert_eq!(subject.watcher.manner(), Manner::Poll);
    assert!(!subject.follow());
    for _ in 0..3 {
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Recheck));
    }
}

#[test]
fn with_events_there_is_a_slow_look_too() {
    let timing = WatchTiming { recheck: Duration::from_millis(5), ..BY_EVENTS };
    let subject = Subject::new(WatchMode::Auto, timing, plain);
    for _ in 0..3 {
        assert_eq!(subject.looks.recv_timeout(PATIENCE), Ok(Occasion::Recheck));
    }
}

#[test]
fn off_is_no_thread_and_no_look() {
    let timing = WatchTiming { poll: Duration::ZERO, recheck: Duration::ZERO, ..BY_EVENTS };
    let subject = Subject::new(WatchMode::Off, timing, plain);
    assert_eq!(subject.watcher.manner(), Manner::Off);
    assert!(subject.watcher.thread.is_none());
    // What could have called is gone already.
    assert_eq!(subject.looks.recv(), Err(mpsc::RecvError));
}

#[test]
fn dropping_ends_the_threads_and_releases_everything() {
    let Subject { root, watcher, looks } = Subject::by_events(plain);
    assert!(watches(root.path()).is_some());
    drop(watcher);
    assert_eq!(looks.recv(), Err(mpsc::RecvError));
    assert_eq!(watches(root.path()), None);
}

#[test]
fn a_look_may_follow_and_may_drop_the_watcher() {
    let root = tempfile::tempdir().unwrap();
    plain(root.path());
    let slot: Arc<Mutex<Option<Watcher>>> = Arc::default();
    let (sender, looks) = mpsc::channel();
    let inner = Arc::clone(&slot);
    let look = move |_| {
        if let Some(watcher) = lock(&inner).take() {
            watcher.follow(&Followed::default());
            drop(watcher);
        }
        let _ = sender.send(());
    };
    let watcher = Watcher::start(WatchMode::Auto, BY_EVENTS, look).unwrap();
    watcher.follow(&Followed { folders: vec![root.path().join("conf")], files: Vec::new() });
    *lock(&slot) = Some(watcher);
    write(root.path().join("conf/a.yaml"), "1");
    assert_eq!(looks.recv_timeout(PATIENCE), Ok(()));
    // The thread ends, and with it the sender.
    assert_eq!(looks.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    assert_eq!(watches(root.path()), None);
}

#[test]
fn nothing_leaks_while_links_are_swapped() {
    let subject = Subject::by_events(|root| {
        plain(root);
        fs::rename(root.join("conf"), root.join("conf0")).unwrap();
        symlink("conf0", root.join("conf")).unwrap();
    });
    let mut before = None;
    for round in 1..=1000 {
        // Most of them stay, so that a watch that is not given back stays too.
        write(subject.path(&format!("conf{round}/deep/a.yaml")), "1");
        swap(&subject.path("conf"), format!("conf{round}/deep"));
        if round % 10 == 0 {
            fs::remove_dir_all(subject.path(&format!("conf{}", round - 1))).unwrap();
        }
        subject.follow();
        if round == 9 {
            subject.read();
            before = watches(subject.root.path());
        }
    }
    assert!(before.is_some());
    let since = Instant::now();
    // A watch that is only now heard to be dead is made anew.
    while watches(subject.root.path()) != before {
        assert!(since.elapsed() < PATIENCE, "{:?} and not {before:?}", watches(subject.root.path()));
        subject.read();
    }
    // And it still works.
    write(subject.path("conf/a.yaml"), "at the end");
    subject.sees("a change", "conf/a.yaml", Some("at the end"));
}

#[test]
fn manners_are_said_in_words() {
    for (manner, text) in [
        (Manner::Events, "events"),
        (Manner::Poll, "polling"),
        (Manner::PollBecause("/a is on nfs".to_owned()), "polling: /a is on nfs"),
        (Manner::Off, "off"),
    ] {
        assert_eq!(manner.to_string(), text);
    }
}

/// How many watches the inotify instance of this process has that watches a directory.
fn watches(path: &Path) -> Option<usize> {
    let found = fs::metadata(path).unwrap();
    let device = rustix::fs::major(found.dev()) << 20 | rustix::fs::minor(found.dev());
    let mark = format!(" ino:{:x} sdev:{device:x} ", found.ino());
    fs::read_dir("/proc/self/fdinfo").unwrap().find_map(|entry| {
        let text = fs::read_to_string(entry.unwrap().path()).ok()?;
        let watches: Vec<&str> = text.lines().filter(|line| line.starts_with("inotify ")).collect();
        watches.iter().any(|line| line.contains(&mark)).then_some(watches.len())
    })
}
