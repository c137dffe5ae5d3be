//! Loading test objects, maps of our own making, and namespaces for tests that change the machine.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::bpf::{self, Loaded, MapSource, Method};
use bpftally::host::{Host, Roots};
use bpftally::problem::Problem;
use bpftally::snapshot::{Limits, ReadError, ReadStatistics, Source};
use bpftally::spec::LoadSpec;
use libbpf_rs::{MapFlags, MapHandle, MapType};

use super::objects;

/// The machine that the tests run on.
pub fn host() -> Host {
    Host::new(Roots::default())
}

/// The load spec of an object compiled from C.
#[track_caller]
pub fn load_spec(name: &str, source: &str) -> LoadSpec {
    let object = objects::compile(source);
    let object_bytes = Arc::from(std::fs::read(&object).unwrap());
    LoadSpec { name: name.into(), object, object_bytes, ..LoadSpec::default() }
}

/// Loads an object compiled from C, in `SEC("…")` of which nothing may be wrong.
#[track_caller]
pub fn load(name: &str, source: &str) -> Loaded {
    let loaded = try_load(&load_spec(name, source)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(loaded.problems(), [], "every program attaches");
    loaded
}

/// Loads with the default options.
pub fn try_load(spec: &LoadSpec) -> Result<Loaded, Vec<Problem>> {
    bpf::load(spec, &host(), &bpf::Options::default())
}

/// Limits that a test never meets.
pub fn limits() -> Limits {
    Limits { deadline: Instant::now() + Duration::from_secs(60), max_bytes: usize::MAX }
}

/// A map of our own making.
#[track_caller]
pub fn create_map(kind: MapType, key: u32, value: u32, max_entries: u32, flags: u32) -> MapHandle {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        map_flags: flags,
        ..Default::default()
    };
    MapHandle::create(kind, Some(OsStr::new("test")), key, value, max_entries, &options).unwrap()
}

/// A source that reads a map by a method.
#[track_caller]
pub fn source(map: &impl AsFd, method: Method) -> MapSource {
    MapSource::new(map.as_fd().try_clone_to_owned().unwrap()).unwrap().with_method(method)
}

/// One entry: key and value, with all lanes of it.
pub type Row = (Vec<u8>, Vec<u8>);

/// All entries of a source, in its order.
pub fn try_rows(source: &dyn Source, limits: &Limits) -> Result<(Vec<Row>, ReadStatistics), ReadError> {
    let mut rows = Vec::new();
    let statistics = source.read(limits, &mut |batch| {
        let value = batch.shape.lanes * batch.shape.lane_stride;
        assert_eq!(batch.keys.len(), batch.rows * batch.shape.key_size);
        assert_eq!(batch.values.len(), batch.rows * value);
        let keys = batch.keys.chunks_exact(batch.shape.key_size).map(<[u8]>::to_vec);
        rows.extend(keys.zip(batch.values.chunks_exact(value).map(<[u8]>::to_vec)));
        Ok(())
    })?;
    Ok((rows, statistics))
}

/// All entries of a source, sorted; their number must be the one it tells.
#[track_caller]
pub fn rows(source: &dyn Source) -> Vec<Row> {
    let (mut rows, statistics) = try_rows(source, &limits()).unwrap();
    assert_eq!(statistics.entries, rows.len() as u64);
    rows.sort();
    rows
}

/// The sum over all entries and CPUs of a loaded map with values of 8 bytes.
#[track_caller]
pub fn total(loaded: &Loaded, map: &str) -> u64 {
    let view = loaded.view();
    let source = view.source(map).unwrap_or_else(|| panic!("no map {map}"));
    let words = |value: &Vec<u8>| -> u64 {
        value.chunks_exact(8).map(|lane| u64::from_ne_bytes(lane.try_into().unwrap())).sum()
    };
    rows(source.as_ref()).iter().map(|(_, value)| words(value)).sum()
}

/// Puts a value under a key of a map.
#[track_caller]
pub fn put(map: &impl libbpf_rs::MapCore, key: &[u8], value: &[u8]) {
    map.update(key, value, MapFlags::ANY).unwrap();
}

/// Does something where tracefs is mounted, on a thread with mounts of its own: nothing is left behind.
pub fn with_tracefs<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    apart(true, false, || {
        let path = Path::new("/sys/kernel/tracing");
        if !path.join("events").exists() {
            run("mount", &["-t", "tracefs", "tracefs", "/sys/kernel/tracing"]);
        }
        work()
    })
}

/// Does something where tracefs is not mounted.
pub fn without_tracefs<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    apart(true, false, || {
        for path in ["/sys/kernel/tracing", "/sys/kernel/debug"] {
            while Path::new(path).join("events").exists() || Path::new(path).join("tracing").exists() {
                run("umount", &["-l", path]);
            }
        }
        work()
    })
}

/// Does something where the kernel brings no BTF; the argument is a file that has it.
pub fn without_kernel_btf<T: Send>(work: impl FnOnce(&Path) -> T + Send) -> T {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("vmlinux.btf");
    std::fs::copy("/sys/kernel/btf/vmlinux", &copy).unwrap();
    apart(true, false, || {
        run("mount", &["-t", "tmpfs", "tmpfs", "/sys/kernel/btf"]);
        work(&copy)
    })
}

/// Does something where a BPF file system of its own is mounted; the argument is its path. All that is pinned there
/// goes with it.
pub fn with_bpffs<T: Send>(work: impl FnOnce(&Path) -> T + Send) -> T {
    let folder = tempfile::Builder::new().prefix("bpffs").tempdir().unwrap();
    apart(true, false, || {
        run("mount", &["-t", "bpf", "bpf", folder.path().to_str().unwrap()]);
        work(folder.path())
    })
}

/// Does something on a thread with mounts of its own.
pub fn with_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    apart(true, false, work)
}

/// Does something in a network of its own, whose loopback is up.
pub fn with_network<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    apart(false, true, || {
        run("ip", &["link", "set", "lo", "up"]);
        work()
    })
}

/// Does something on a thread with namespaces of its own, which end with it.
fn apart<T: Send>(mounts: bool, network: bool, work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::UnshareFlags;
    let mut flags = UnshareFlags::empty();
    flags.set(UnshareFlags::NEWNS, mounts);
    flags.set(UnshareFlags::NEWNET, network);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            #[expect(deprecated, reason = "unsafe only for FILES, which is not asked for")]
            rustix::thread::unshare(flags).expect("namespaces need root");
            if mounts {
                run("mount", &["--make-rprivate", "/"]);
            }
            work()
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether the running kernel has this version or a later one.
pub fn kernel_since(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (major, minor)
}

/// Runs a command that must succeed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until no interface of this network has an XDP program. A process that another test starts has
/// the descriptors of our links, too, until it runs its program.
#[track_caller]
pub fn wait_until_no_xdp() {
    let begin = std::time::Instant::now();
    while run("ip", &["link", "show"]).contains("xdp") {
        assert!(begin.elapsed().as_secs() < 60, "an XDP program stays: {}", run("ip", &["link", "show"]));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
