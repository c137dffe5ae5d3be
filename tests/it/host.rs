//! Real cgroups, interfaces, devices and symbols.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bpftally::host::{Clock, Host, Roots, Symbol};

use crate::common::opened::Opened;

/// A folder of cgroups of this test's own below the v2 root; removed with all below it.
struct Cgroups(PathBuf);

impl Cgroups {
    fn new(name: &str) -> Self {
        let unified = Path::new("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { Path::new("/sys/fs/cgroup") };
        let path = root.join(format!("bpftally-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn create(&self, name: &str) -> (u64, PathBuf) {
        let path = self.0.join(name);
        std::fs::create_dir(&path).unwrap();
        (inode(&path), path)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// The files of a cgroup cannot be removed, so its folders are, from below.
fn remove(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(path);
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

fn host() -> Host {
    Host::new(Roots::default())
}

#[track_caller]
fn check(host: &Host, id: u64, expected: &Path) {
    assert_eq!(host.cgroup_path(id).as_deref(), expected.to_str());
}

/// Walks over the tree may take a share of the time only: on a slow machine a new name may take some.
#[track_caller]
fn check_soon(host: &Host, id: u64, expected: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.cgroup_path(id).as_deref() != expected.to_str() {
        assert!(Instant::now() < deadline, "{} is not known", expected.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn cgroups_are_known_as_soon_as_they_are_made() {
    let cgroups = Cgroups::new("made");
    let (before, path) = cgroups.create("before");
    let host = host();
    check(&host, before, &path);
    assert_eq!(host.cgroup_path(88_888_888_888), None);
    for number in 0..20 {
        let (id, path) = cgroups.create(&format!("single{number}"));
        check_soon(&host, id, &path);
    }
    let burst: Vec<_> = (0..20).map(|number| cgroups.create(&format!("burst{number}"))).collect();
    for (id, path) in burst {
        check_soon(&host, id, &path);
    }
}

#[test]
fn a_cgroup_made_again_is_another_one_with_the_same_path() {
    let cgroups = Cgroups::new("again");
    let host = host();
    let (first, path) = cgroups.create("again");
    check(&host, first, &path);
    std::fs::remove_dir(&path).unwrap();
    let (second, path) = cgroups.create("again");
    assert_ne!(first, second);
    check(&host, second, &path);
    check(&host, first, &path);
    std::fs::remove_dir(&path).unwrap();
    let (_, other) = cgroups.create("other");
    check(&host, inode(&other), &other);
    check(&host, second, &path);
    check(&host, first, &path);
}

#[test]
fn a_cgroup_that_nobody_asked_about_while_it_lived_has_its_name() {
    let cgroups = Cgroups::new("brief");
    let host = host();
    host.watch_cgroups();
    // The thread reads the tree that was there before it.
    std::thread::sleep(Duration::from_millis(500));
    let gone: Vec<_> = (0..300)
        .map(|number| {
            let path = cgroups.create(&format!("parent{number}")).1.join("child");
            std::fs::create_dir(&path).unwrap();
            (inode(&path), path)
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    gone.iter().for_each(|(_, path)| remove(path.parent().unwrap()));
    for (id, path) in &gone {
        check(&host, *id, path);
    }
    assert!(host.cgroup_walks() <= 1, "what is gone is no reason to walk");
}

#[test]
fn cgroup2_is_found_wherever_it_is_mounted() {
    let cgroups = Cgroups::new("elsewhere");
    let (id, path) = cgroups.create("a");
    let host = Host::new(Roots { cgroupfs: "/nonexistent".into(), ..Roots::default() });
    check(&host, id, &path);
}

#[test]
fn another_name_of_the_root_is_printed_as_on_the_host() {
    let cgroups = Cgroups::new("renamed");
    let (id, path) = cgroups.create("a");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/sys/fs", folder.path().join("fs")).unwrap();
    let host = Host::new(Roots { cgroupfs: folder.path().join("fs/cgroup"), ..Roots::default() });
    check(&host, id, &path);
}

/// A v1 hierarchy without controllers, mounted for one test.
struct NamedHierarchy {
    path: PathBuf,
    name: String,
}

impl NamedHierarchy {
    fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        std::fs::create_dir(&path).unwrap();
        let hierarchy = Self { path, name: format!("name=bpftally-{name}-{}", std::process::id()) };
        assert!(hierarchy.mount(), "mounting a v1 hierarchy");
        hierarchy
    }

    fn mount(&self) -> bool {
        let options = format!("none,{}", self.name);
        let mut mount = Command::new("mount");
        mount.args(["-t", "cgroup", "-o", &options, "cgroup"]).arg(&self.path);
        mount.status().is_ok_and(|status| status.success())
    }

    fn is_left(&self) -> bool {
        std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|list| list.contains(&self.name))
    }
}

impl Drop for NamedHierarchy {
    fn drop(&mut self) {
        remove(&self.path);
        let unmount = || Command::new("umount").arg(&self.path).status();
        let _ = unmount();
        // Removed cgroups are freed a moment later, and a hierarchy that still has some outlives its mount.
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(100));
            if !self.is_left() || !self.mount() {
                return;
            }
            let _ = unmount();
        }
    }
}

#[test]
fn ids_of_v1_hierarchies_are_answered_where_they_have_one_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let cgroupfs = folder.path().join("cgroup");
    std::fs::create_dir(&cgroupfs).unwrap();
    let roots = Roots { cgroupfs: cgroupfs.clone(), procfs: folder.path().into(), ..Roots::default() };
    let (first, second) = (NamedHierarchy::new(&cgroupfs, "first"), NamedHierarchy::new(&cgroupfs, "second"));
    let create = |path: PathBuf| {
        std::fs::create_dir(&path).unwrap();
        inode(&path)
    };
    let same = create(first.path.join("same"));
    assert_eq!(create(second.path.join("same")), same, "both count alike from their beginning");
    let twofold = create(first.path.join("one"));
    assert_eq!(create(second.path.join("two")), twofold);
    let single = create(first.path.join("one/below"));

    let clock = Clock::manual();
    let host = Host::with_clock(roots, clock.clone());
    assert_eq!(host.cgroup_path(same).as_deref(), Some("/sys/fs/cgroup/first/same"));
    assert_eq!(host.cgroup_path(twofold), None);
    assert_eq!(host.cgroup_path(single).as_deref(), Some("/sys/fs/cgroup/first/one/below"));

    std::fs::rename(first.path.join("one"), first.path.join("renamed")).unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(host.cgroup_path(single).as_deref(), Some("/sys/fs/cgroup/first/renamed/below"));
}

#[test]
fn the_watch_ends_with_the_host() {
    let watches = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "cgroup-watch").count()
    };
    let wait_until = |condition: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(20), "{} threads watch", watches());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // More than the other tests have at the same time.
    let hosts: Vec<_> = (0..40).map(|_| host()).collect();
    hosts.iter().for_each(Host::watch_cgroups);
    wait_until(&|| watches() >= 40);
    drop(hosts);
    wait_until(&|| watches() < 40);
}

#[test]
fn unknown_ids_are_cheap() {
    let host = host();
    let started = Instant::now();
    for id in 0..1000 {
        assert_eq!(host.cgroup_path(u64::MAX - id), None);
    }
    assert!(host.cgroup_walks() <= 12, "{} walks", host.cgroup_walks());
    assert!(started.elapsed() < Duration::from_secs(30), "took {:?}", started.elapsed());
}

#[test]
fn cgroups_that_come_and_go_meanwhile_do_no_harm() {
    let cgroups = Cgroups::new("churn");
    let (id, path) = cgroups.create("stable");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let churning = cgroups.0.join("churning");
                std::fs::create_dir_all(churning.join("below")).unwrap();
                remove(&churning);
            }
        });
        for _ in 0..50 {
            check(&host(), id, &path);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Interfaces that are removed when the test ends, however it ends.
struct Dummy(String);

impl Drop for Dummy {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).status();
    }
}

fn ip(arguments: &[&str]) {
    let status =
        Command::new("ip").args(arguments).status().expect("ip is needed (apt-get install iproute2)");
    assert!(status.success(), "ip {arguments:?}: {status}");
}

#[test]
fn a_renamed_interface_is_seen_after_a_while() {
    let number = std::process::id() % 100_000;
    let (old, peer, new) = (format!("bto{number}"), format!("btp{number}"), format!("btn{number}"));
    ip(&["link", "add", &old, "type", "veth", "peer", "name", &peer]);
    let mut dummy = Dummy(old.clone());
    let index = std::fs::read_to_string(format!("/sys/class/net/{old}/ifindex")).unwrap();
    let index = index.trim().parse().unwrap();

    let clock = Clock::manual();
    let host = Host::with_clock(Roots::default(), clock.clone());
    assert_eq!(host.interface_name(index).as_deref(), Some(&*old));
    ip(&["link", "set", &old, "name", &new]);
    dummy.0 = new.clone();
    clock.advance(Duration::from_secs(4));
    assert_eq!(host.interface_name(index).as_deref(), Some(&*old));
    clock.advance(Duration::from_secs(1));
    assert_eq!(host.interface_name(index).as_deref(), Some(&*new));
    drop(dummy);
    clock.advance(Duration::from_secs(5));
    assert_eq!(host.interface_name(index), None);
}

#[test]
fn every_partition_has_its_name() {
    let table = std::fs::read_to_string("/proc/partitions").unwrap();
    let host = host();
    let mut checked = 0;
    for line in table.lines().skip(2) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (major, minor) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        assert_eq!(host.block_device(major, minor).as_deref(), Some(fields[3]));
        checked += 1;
    }
    assert!(checked > 0, "{table}");
}

#[test]
fn the_kernels_own_symbols() {
    let host = host();
    let started = Instant::now();
    let address = host.symbol_address("schedule").unwrap().expect("every kernel has it");
    let Symbol::Named(name) = host.symbol_around(address + 1) else {
        panic!("no symbol around {address:#x}")
    };
    let Symbol::Named(same) = host.symbol_at(address) else { panic!("no symbol at {address:#x}") };
    assert_eq!(name, same);
    assert_eq!(host.symbol_address("no_such_symbol_anywhere").unwrap(), None);
    assert_eq!(host.symbol_at(address + 1), Symbol::Unknown);
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
}

/// Who may see addresses is decided when the file is opened.
#[test]
fn symbols_have_names_after_the_privilege_to_see_them_is_gone() {
    use caps::{CapSet, Capability};
    let address = host().symbol_address("schedule").unwrap().expect("every kernel has it");
    let (kept, late) = (host(), host());
    kept.open_symbols().unwrap();
    // Capabilities are the thread's own.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            caps::drop(None, CapSet::Effective, Capability::CAP_SYSLOG).unwrap();
            caps::drop(None, CapSet::Permitted, Capability::CAP_SYSLOG).unwrap();
            assert_eq!(late.symbol_at(address), Symbol::Hidden, "it is opened only now");
            late.open_symbols().unwrap_err();
            for _ in 0..2 {
                let Symbol::Named(name) = kept.symbol_at(address) else {
                    panic!("no symbol at {address:#x}")
                };
                assert_eq!(&*name, "schedule");
                assert_eq!(kept.symbol_address("schedule").unwrap(), Some(address));
            }
        });
    });
}

/// A machine of files: `kallsyms`, `partitions` and the like below one folder.
fn machine() -> (tempfile::TempDir, Vec<&'static str>, Host) {
    const FILES: [(&str, &str); 4] = [
        ("kallsyms", "0000000000000010 T one\n0000000000000020 T two\n"),
        ("partitions", "major minor  #blocks  name\n\n   8        0  1 sda\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("usr/share/misc/pci.ids", "8086  Intel Corporation\nC 01  Mass storage controller\n"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = folder.path().to_owned();
    let roots =
        Roots { procfs: root.clone(), sysfs: root.join("sys"), cgroupfs: root.join("cgroup"), rootfs: root };
    (folder, FILES.iter().map(|(name, _)| *name).collect(), Host::new(roots))
}

#[test]
fn no_file_is_opened_before_a_decoder_asks() {
    use bpftally::decode::{Chain, Params};
    let (folder, names, host) = machine();
    let host = std::sync::Arc::new(host);
    let opened = Opened::watch(folder.path(), &names);
    for (decoder, field, text, file) in [
        ("ksym", &0x10u64.to_ne_bytes()[..], "one", "kallsyms"),
        ("uid", &0u32.to_ne_bytes(), "root", "etc/passwd"),
        ("majorminor", &0x0800u32.to_ne_bytes(), "sda", "partitions"),
        ("pci_vendor", &0x8086u16.to_ne_bytes(), "Intel Corporation", "usr/share/misc/pci.ids"),
    ] {
        let chain = Chain::build(&[(decoder.to_owned(), Params::default())], field.len(), &host).unwrap();
        assert!(opened.take().is_empty(), "{decoder} is built");
        let mut label = Vec::new();
        chain.decode(field, &mut label, &mut Vec::new()).unwrap();
        assert_eq!(String::from_utf8(label).unwrap(), text, "{decoder}");
        assert_eq!(opened.take(), [file], "{decoder} is asked");
    }
    // Some frames of a stack, and what is known of a PCI device, are of files that were read.
    for (decoder, field) in
        [("kstack", &0x20u64.to_ne_bytes()[..]), ("pci_class", &[1]), ("pci_vendor", &[1, 0])]
    {
        let chain = Chain::build(&[(decoder.to_owned(), Params::default())], field.len(), &host).unwrap();
        chain.decode(field, &mut Vec::new(), &mut Vec::new()).unwrap();
        assert!(opened.take().is_empty(), "{decoder}");
    }
}

#[test]
fn the_cpus_of_this_machine() {
    let (possible, online) = (host().possible_cpus().unwrap(), host().online_cpus().unwrap());
    assert_eq!(possible.len(), libbpf_rs::num_possible_cpus().unwrap());
    assert!(online.iter().all(|cpu| possible.contains(cpu)));
    assert!(!online.is_empty());
}

#[test]
fn root_is_a_user() {
    assert_eq!(host().user_name(0).as_deref(), Some("root"));
}

#[test]
fn the_kernels_types_are_read_from_it_and_from_elf_files() {
    use bpftally::btf::Kind;
    let host = super::common::kernel::host();
    assert!(host.kernel_types().unwrap().btf().type_count() > 10_000);
    let has = |name: &str, kind| host.kernel_has_type(name, kind).unwrap();
    assert!(has("do_exit", Kind::Func) && has("btf_trace_sched_switch", Kind::Typedef));
    assert!(!has("no_such_function", Kind::Func));
    host.release_kernel_types();
    assert!(has("do_exit", Kind::Func), "it is read again");
    // An object is an ELF file with types as well.
    let object = super::common::objects::compile(
        "int only_here(void) { return 7; }\nSEC(\"tc\") int p(void *ctx) { return only_here(); }",
    );
    let host = super::common::kernel::host().with_kernel_btf(Some(object));
    assert!(host.kernel_has_type("only_here", Kind::Func).unwrap());
    assert!(!host.kernel_has_type("do_exit", Kind::Func).unwrap());
}
