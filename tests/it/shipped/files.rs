//! The pairs of block devices and files, against devices and file systems of their own.
//!
//! Other tests have devices at the same time, and the kernel gives the name of one that is gone to the next. So who
//! compares whole counts has the device before the exporter starts.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::mounted::{Mounted, of_device};
use super::workloads::{Group, check_events};
use super::{BLOCK, Children, LoopDevice, eventually, run, start};

fn read_write(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// Something for each metric of these pairs, for the test that wants a series of all.
pub fn exercise() {
    let mounted = Mounted::new();
    let mut file = read_write(&mounted.file("some"));
    file.write_all(&[1; 4096]).unwrap();
    file.sync_all().unwrap();
    file.write_all(&[1; 4096]).unwrap();
    run(Command::new("sync").arg("-f").arg(mounted.folder.path()));
    refused_by(&LoopDevice::too_large(1 << 20));
    throttled(&mounted, &Group::new());
}

#[test]
fn reads_and_writes_of_files_are_exact() {
    let mounted = Mounted::new();
    let exporter = start("fileio");
    let mut file = read_write(&mounted.file("data"));
    for _ in 0..300 {
        file.write_all(&[7; 1000]).unwrap();
    }
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut buffer = [0; 500];
    for _ in 0..100 {
        file.read_exact(&mut buffer).unwrap();
    }
    // What is no file of a device does not count as one.
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&buffer).unwrap();
    reader.read_exact(&mut buffer).unwrap();

    let calls = of_device(&exporter, &mounted.device, "file_io_latency_seconds_count");
    let bytes = of_device(&exporter, &mounted.device, "file_io_bytes_total");
    for (operation, times, size) in [("write", 300.0, 1000.0), ("read", 100.0, 500.0)] {
        let labels = format!("filesystem=ext4,operation={operation}");
        check_events(operation, &format!("{operation}_call_begins"), calls[&labels], times);
        assert_eq!(bytes[&labels], calls[&labels] * size, "{operation}: {bytes:?}");
    }
    let seconds = of_device(&exporter, &mounted.device, "file_io_latency_seconds_sum");
    assert!(seconds.values().all(|seconds| *seconds > 0.0), "{seconds:?}");
    let anonymous = exporter.values("ebpf_exporter_file_io_latency_seconds_count");
    assert!(anonymous.iter().all(|(labels, _)| labels["filesystem"] != "pipefs"), "{anonymous:?}");
}

#[test]
fn syncs_of_files_are_exact() {
    // Who makes a file system syncs, too.
    let mounted = Mounted::new();
    let exporter = start("filesync");
    let mut file = read_write(&mounted.file("data"));
    let begin = std::time::Instant::now();
    for turn in 0..80 {
        file.write_all(b"x").unwrap();
        if turn % 2 == 0 { file.sync_all() } else { file.sync_data() }.unwrap();
    }
    let took = begin.elapsed().as_secs_f64();
    let syncs = of_device(&exporter, &mounted.device, "file_sync_latency_seconds_count");
    check_events("syncs", "sync_call_begins", syncs["filesystem=ext4"], 80.0);
    assert_eq!(syncs.len(), 1, "{syncs:?}");
    let seconds = of_device(&exporter, &mounted.device, "file_sync_latency_seconds_sum")["filesystem=ext4"];
    assert!(0.0 < seconds && seconds <= took, "{seconds} s of syncs in {took} s");
}

/// Writes where there is no room below the device, which only the sync can say; returns how often it did.
fn refused_by(device: &LoopDevice) -> f64 {
    let mut file = read_write(&device.path);
    let mut refused = 0.0;
    // Of a large request the device takes what it can, and says that it was all.
    for (from, bytes) in [(SeekFrom::Start(0), 1 << 20), (SeekFrom::End(-4096), 4096)] {
        file.seek(from).unwrap();
        file.write_all(&vec![1; bytes]).unwrap();
        if let Err(error) = file.sync_all() {
            assert_eq!(error.raw_os_error(), Some(5), "{error}");
            refused += 1.0;
        }
    }
    assert!(refused > 0.0);
    refused
}

#[test]
fn syncs_that_fail_are_counted_by_their_error() {
    let device = LoopDevice::too_large(1 << 20);
    let exporter = start("filesync");
    let refused = refused_by(&device);
    let errors = of_device(&exporter, &device, "file_sync_errors_total");
    assert_eq!(errors, [("error=EIO,filesystem=block_device".to_owned(), refused)].into());
}

#[test]
fn pages_that_are_written_back_are_exact() {
    const PAGES: usize = 700;
    let exporter = start("writeback");
    let mounted = Mounted::new();
    let sync = || run(Command::new("sync").arg("-f").arg(mounted.folder.path()));
    let pages = || of_device(&exporter, &mounted.device, "writeback_pages_total").values().sum::<f64>();
    let mut file = read_write(&mounted.file("data"));
    // Whatever a new file system has to write is written.
    sync();
    let before = pages();
    file.write_all(&vec![7; PAGES * rustix::param::page_size()]).unwrap();
    sync();
    // Blocks of the file system itself may follow, of which a file of this size has a few.
    let written = pages() - before;
    let most = PAGES as f64 + 64.0;
    assert!((PAGES as f64..=most).contains(&written), "{written} pages were written back");
    let seconds = of_device(&exporter, &mounted.device, "writeback_latency_seconds_sum");
    assert!(seconds[""] > 0.0, "{seconds:?}");
}

/// Writes many times what a device that is strict about it may have dirty.
fn throttled(mounted: &Mounted, group: &Group) {
    let numbers = run(Command::new("mountpoint").arg("-d").arg(mounted.folder.path())).stdout;
    let numbers = String::from_utf8(numbers).unwrap();
    let limits = Path::new("/sys/class/bdi").join(numbers.trim());
    std::fs::write(limits.join("strict_limit"), "1").unwrap();
    std::fs::write(limits.join("max_bytes"), "1048576").unwrap();
    let to = format!("of={}", mounted.file("much").display());
    group.run(Path::new("dd"), &["if=/dev/zero", &to, "bs=64k", "count=200", "status=none"]);
}

#[test]
fn whoever_writes_too_fast_pauses() {
    let exporter = start("writeback");
    let mounted = Mounted::new();
    let (fast, idle) = (Group::new(), Group::new());
    throttled(&mounted, &fast);
    idle.run(Path::new("true"), &[]);
    let pauses = fast.sum(&exporter, "writeback_throttles_total");
    // 64 KiB are looked at, at the least, between two pauses.
    assert!((1.0..=200.0).contains(&pauses), "{pauses} pauses");
    assert_eq!(idle.sum(&exporter, "writeback_throttles_total"), 0.0);
}

#[test]
fn sizes_of_block_requests_are_exact() {
    let device = LoopDevice::new(4 << 20);
    let exporter = start("blockio");
    let of = |suffix: &str, operation: &str| {
        let found = of_device(&exporter, &device, &format!("block_io_size_bytes{suffix}"));
        found.get(&format!("operation={operation}")).copied().unwrap_or_default()
    };
    // Who looks at a new device (udev does) is done when nothing changes any more.
    let mut last = -1.0;
    eventually("the new device is left alone", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::mem::replace(&mut last, of("_count", "read")) == of("_count", "read")
    });
    let (reads, bytes) = (of("_count", "read"), of("_sum", "read"));
    device.read(400);
    device.write(120);
    let (reads, bytes) = (of("_count", "read") - reads, of("_sum", "read") - bytes);
    check_events("reads", "block_io_issue", reads, 400.0);
    assert_eq!(bytes, reads * BLOCK as f64);
    check_events("writes", "block_io_issue", of("_count", "write"), 120.0);

    let buckets = of_device(&exporter, &device, "block_io_size_bytes_bucket");
    assert_eq!(buckets["le=2048,operation=write"], 0.0);
    assert_eq!(buckets["le=4096,operation=write"], of("_count", "write"));
    let in_flight = of_device(&exporter, &device, "block_io_in_flight");
    assert!(in_flight.values().all(|requests| *requests == 0.0), "{in_flight:?}");
}

/// A device whose file lies on a frozen file system can serve nothing that is written.
#[test]
fn requests_in_flight_are_those_that_the_device_has() {
    const WRITES: usize = 7;
    struct Frozen<'a>(&'a Path);
    impl Drop for Frozen<'_> {
        fn drop(&mut self) {
            let _ = Command::new("fsfreeze").arg("--unfreeze").arg(self.0).status();
        }
    }
    let exporter = start("blockio");
    let below = Mounted::new();
    let file = below.file("disk");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let device = LoopDevice::over(&file);
    let in_flight = || -> f64 { of_device(&exporter, &device, "block_io_in_flight").values().sum() };
    eventually("the new device is left alone", || in_flight() == 0.0);

    run(Command::new("fsfreeze").arg("--freeze").arg(below.folder.path()));
    let frozen = Frozen(below.folder.path());
    let write = |block: usize| -> Child {
        let mut write = Command::new("dd");
        write.args(["if=/dev/zero", "oflag=direct", "bs=4096", "count=1", "status=none"]);
        write.arg(format!("seek={}", block * 2)).arg(format!("of={}", device.path.display()));
        write.stdin(Stdio::null()).spawn().unwrap()
    };
    let mut writes = Children((0..WRITES).map(write).collect());
    eventually("every write waits", || in_flight() == WRITES as f64);
    drop(frozen);
    assert!(writes.0.iter_mut().all(|write| write.wait().unwrap().success()));
    eventually("every write is done", || in_flight() == 0.0);
}
