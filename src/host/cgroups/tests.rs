//! Trees of plain folders stand in for cgroups; `tests/it/host.rs` has real ones.

use std::path::Path;

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    roots: Roots,
    clock: Clock,
    cgroups: Cgroups,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { cgroupfs: folder.path().into(), ..Roots::default() };
        let clock = Clock::manual();
        Self { folder, roots, clock: clock.clone(), cgroups: Cgroups::new(clock) }
    }

    fn create(&self, name: &str) -> u64 {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        inode(&path)
    }

    #[track_caller]
    fn check(&mut self, id: u64, expected: Option<&str>) {
        assert_eq!(self.cgroups.path(&self.roots, id).as_deref(), expected, "id {id}");
    }
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_references_monitor_vectors() {
    let mut fixture = Fixture::new();
    let before = fixture.create("before");
    fixture.check(before, Some("/sys/fs/cgroup/before"));
    fixture.check(88_888_888_888, None);
    for number in 0..20 {
        let name = format!("single{number}");
        let id = fixture.create(&name);
        fixture.check(id, Some(&format!("/sys/fs/cgroup/{name}")));
    }
    let ids: Vec<_> = (0..20).map(|number| fixture.create(&format!("burst/{number}"))).collect();
    for (number, id) in ids.into_iter().enumerate() {
        fixture.check(id, Some(&format!("/sys/fs/cgroup/burst/{number}")));
    }
}

#[test]
fn a_path_made_again_has_two_ids() {
    let mut fixture = Fixture::new();
    let (path, other) = (fixture.folder.path().join("a"), fixture.folder.path().join("b"));
    let first = fixture.create("a");
    fixture.check(first, Some("/sys/fs/cgroup/a"));
    // Moved and not removed, so that the file system cannot give the same number at once.
    std::fs::rename(&path, &other).unwrap();
    let second = fixture.create("a");
    std::fs::remove_dir(&other).unwrap();
    fixture.check(second, Some("/sys/fs/cgroup/a"));
    fixture.check(first, Some("/sys/fs/cgroup/a"));
}

#[test]
fn a_storm_of_unknown_ids_walks_a_few_times() {
    let mut fixture = Fixture::new();
    fixture.create("a");
    for id in 0..100_000 {
        fixture.check(u64::MAX - id, None);
    }
    assert!(fixture.cgroups.walks() <= 8, "{} walks", fixture.cgroups.walks());
    fixture.clock.advance(SECOND * 3);
    let id = fixture.create("b");
    fixture.check(id, Some("/sys/fs/cgroup/b"));
}

#[test]
fn an_unknown_id_does_not_stay_unknown_for_ever() {
    let mut fixture = Fixture::new();
    let path = fixture.folder.path().join("away");
    let outside = tempfile::tempdir_in(fixture.folder.path().parent().unwrap()).unwrap();
    let id = inode(outside.path());
    fixture.check(id, None);
    std::fs::rename(outside.path(), &path).unwrap();
    fixture.check(id, None);
    fixture.clock.advance(SECOND * 29);
    fixture.check(id, None);
    fixture.clock.advance(SECOND);
    fixture.check(id, Some("/sys/fs/cgroup/away"));
}

#[test]
fn a_renamed_cgroup_is_seen_after_a_while() {
    let mut fixture = Fixture::new();
    let id = fixture.create("old");
    fixture.check(id, Some("/sys/fs/cgroup/old"));
    std::fs::rename(fixture.folder.path().join("old"), fixture.folder.path().join("new")).unwrap();
    fixture.clock.advance(SECOND * 4);
    fixture.check(id, Some("/sys/fs/cgroup/old"));
    fixture.clock.advance(SECOND);
    fixture.check(id, Some("/sys/fs/cgroup/new"));
}

#[test]
fn the_last_name_of_what_is_gone_stays() {
    let mut fixture = Fixture::new();
    let ids: Vec<_> = (0..100).map(|number| (number, fixture.create(&format!("gone{number}")))).collect();
    fixture.check(ids[0].1, Some("/sys/fs/cgroup/gone0"));
    for (number, _) in &ids {
        std::fs::remove_dir(fixture.folder.path().join(format!("gone{number}"))).unwrap();
    }
    for _ in 0..100 {
        fixture.clock.advance(SECOND * 60);
        fixture.check(1, None);
        for (number, id) in &ids {
            fixture.check(*id, Some(&format!("/sys/fs/cgroup/gone{number}")));
        }
    }
    assert!(fixture.cgroups.gone.len() <= 100);
}

#[test]
fn a_root_that_vanishes_keeps_the_names() {
    let mut fixture = Fixture::new();
    let id = fixture.create("a");
    fixture.check(id, Some("/sys/fs/cgroup/a"));
    std::fs::remove_dir_all(fixture.folder.path()).unwrap();
    fixture.clock.advance(SECOND * 60);
    fixture.check(7, None);
    fixture.check(id, Some("/sys/fs/cgroup/a"));
}
