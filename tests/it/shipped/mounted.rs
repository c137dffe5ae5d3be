//! A file system of ext4, for the pairs that look at one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use super::block::LoopDevice;
use super::{make_ext4, run};
use crate::common::exporter::Exporter;

/// A file system of its own, on a device of its own.
pub struct Mounted {
    pub folder: tempfile::TempDir,
    pub device: LoopDevice,
}

impl Mounted {
    #[track_caller]
    pub fn new() -> Self {
        let device = LoopDevice::new(32 << 20);
        make_ext4(&device.path);
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "ext4"]).arg(&device.path).arg(folder.path()));
        Self { folder, device }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

/// The series of a family that are a device's, by their other labels.
#[track_caller]
pub fn of_device(exporter: &Exporter, device: &LoopDevice, family: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (mut labels, value) in exporter.values(&format!("ebpf_exporter_{family}")) {
        if labels.remove("device") == Some(device.name()) {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            found.insert(labels.join(","), value);
        }
    }
    found
}
