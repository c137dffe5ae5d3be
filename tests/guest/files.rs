//! The pairs of block devices and files, on a block device of a file in memory: a guest has no other
//! file system.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::common::exporter::Exporter;

const DEVICE: &str = "/dev/loop1";

struct Loop;

impl Loop {
    #[track_caller]
    fn new() -> Self {
        File::create("/tmp/files-image").unwrap().set_len(4 << 20).unwrap();
        assert!(Command::new("losetup").args([DEVICE, "/tmp/files-image"]).status().unwrap().success());
        Self
    }

    fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(DEVICE).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", DEVICE]).status();
        let _ = std::fs::remove_file("/tmp/files-image");
    }
}

#[track_caller]
fn start(names: &str) -> Exporter {
    names.split(',').for_each(|name| crate::matrix::record("compared", name, "true"));
    let names = format!("--config.names={names}");
    Exporter::start(&["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict", &names])
}

/// The value of the device's series with these labels, 0 while there is none.
#[track_caller]
fn value(exporter: &Exporter, family: &str, labels: &[(&str, &str)]) -> f64 {
    let of_device = exporter.values(&format!("ebpf_exporter_{family}")).into_iter().filter(|(found, _)| {
        found["device"] == "loop1" && labels.iter().all(|(name, value)| found[*name] == *value)
    });
    of_device.map(|(_, value)| value).sum()
}

#[test]
fn reads_writes_and_syncs_are_exact() {
    let device = Loop::new();
    let exporter = start("fileio,filesync");
    let mut file = device.open();
    for turn in 0..120 {
        file.write_all(&[7; 1000]).unwrap();
        match turn % 4 {
            0 => file.sync_all().unwrap(),
            2 => file.sync_data().unwrap(),
            _ => {}
        }
    }
    file.seek(SeekFrom::Start(0)).unwrap();
    for turn in 0..90 {
        file.read_exact(&mut [0; 500]).unwrap();
        file.read_exact_at(&mut [0; 100], turn * 1000).unwrap();
        file.write_all_at(&[7; 50], turn * 1000).unwrap();
    }
    for (operation, calls, bytes) in [("write", 210.0, 124_500.0), ("read", 180.0, 54_000.0)] {
        let labels = [("filesystem", "block_device"), ("operation", operation)];
        assert_eq!(value(&exporter, "file_io_latency_seconds_count", &labels), calls, "{operation}");
        assert_eq!(value(&exporter, "file_io_bytes_total", &labels), bytes, "{operation}");
        assert!(value(&exporter, "file_io_latency_seconds_sum", &labels) > 0.0, "{operation}");
    }
    let labels = [("filesystem", "block_device")];
    assert_eq!(value(&exporter, "file_sync_latency_seconds_count", &labels), 60.0);
    assert_eq!(value(&exporter, "file_sync_errors_total", &labels), 0.0);
}

#[test]
fn requests_and_what_is_written_back_are_exact() {
    const PAGES: usize = 200;
    let device = Loop::new();
    let exporter = start("blockio,writeback");
    let before = value(&exporter, "writeback_pages_total", &[]);
    // The flusher looks after what is old, which everything is at once then.
    for name in ["dirty_expire_centisecs", "dirty_writeback_centisecs"] {
        std::fs::write(format!("/proc/sys/vm/{name}"), "10").unwrap();
    }
    let mut file = device.open();
    file.write_all(&vec![7; PAGES * rustix::param::page_size()]).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while value(&exporter, "writeback_pages_total", &[]) - before < PAGES as f64 {
        assert!(std::time::Instant::now() < deadline, "not everything was written back");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(value(&exporter, "writeback_pages_total", &[]) - before, PAGES as f64);

    let write = [("operation", "write")];
    let bytes = value(&exporter, "block_io_size_bytes_sum", &write);
    assert_eq!(bytes, (PAGES * rustix::param::page_size()) as f64);
    let arguments = ["if=/dev/zero", "of=/dev/loop1", "bs=4096", "count=50", "oflag=direct"];
    let requests = value(&exporter, "block_io_size_bytes_count", &write);
    assert!(Command::new("dd").args(arguments).status().unwrap().success());
    assert_eq!(value(&exporter, "block_io_size_bytes_count", &write) - requests, 50.0);
    assert_eq!(value(&exporter, "block_io_size_bytes_sum", &write) - bytes, 50.0 * 4096.0);
    assert_eq!(value(&exporter, "block_io_in_flight", &[]), 0.0);
}
