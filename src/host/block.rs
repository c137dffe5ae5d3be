//! Block devices: names by major and minor number.
//!
//! `/sys/dev/block/M:m` answers for one device at once and knows those that
//! `/proc/partitions` leaves out (empty loop devices, for one). Where `/sys` is
//! not there to see, `/proc/partitions` is read as the reference does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cache::TtlCache;
use super::file::read_at_most;
use super::pace::Pace;

/// A number can be given to another device: names are looked up again after this time.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// A device that was just plugged in should not stay unknown for long.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// More devices than a machine has in use at a time.
const MOST_REMEMBERED: usize = 8192;

/// A partition table longer than this is not read to its end.
const MOST_BYTES: u64 = 16 << 20;

/// Names of block devices, as they were a moment ago.
#[derive(Debug)]
pub(super) struct BlockDevices {
    names: TtlCache<(u32, u32), Option<Arc<str>>>,
    pace: Pace,
}

impl BlockDevices {
    pub(super) fn new() -> Self {
        // Reading the table costs well under a millisecond; a burst of unknown numbers may cost 20.
        let pace = Pace::new(Duration::from_millis(1), Duration::from_millis(20));
        Self { names: TtlCache::new(MOST_REMEMBERED), pace }
    }

    pub(super) fn name(
        &mut self,
        (sysfs, procfs): (&Path, &Path),
        device: (u32, u32),
        now: Duration,
    ) -> Option<Arc<str>> {
        if let Some(name) = self.names.get(&device, now) {
            return name.clone();
        }
        let name = read_sysfs(sysfs, device).or_else(|| self.read_partitions(procfs, device, now));
        let good_for = if name.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        self.names.insert(device, name.clone(), now + good_for);
        name
    }

    /// Reads the whole table once for all devices in it.
    fn read_partitions(&mut self, procfs: &Path, device: (u32, u32), now: Duration) -> Option<Arc<str>> {
        if !self.pace.allows(now) {
            return None;
        }
        let bytes = read_at_most(&procfs.join("partitions"), MOST_BYTES).unwrap_or_default();
        let mut found = None;
        for (other, name) in parse_partitions(&String::from_utf8_lossy(&bytes)).take(MOST_REMEMBERED / 2) {
            let name: Arc<str> = name.into();
            if other == device {
                found = Some(name.clone());
            }
            self.names.insert(other, Some(name), now + KNOWN_FOR);
        }
        self.pace.pay(now, now, found.is_some());
        found
    }
}

/// The last part of the link's target; where a device's name has a slash, sysfs writes `!`.
fn read_sysfs(sysfs: &Path, (major, minor): (u32, u32)) -> Option<Arc<str>> {
    let target = std::fs::read_link(sysfs.join(format!("dev/block/{major}:{minor}"))).ok()?;
    let name = target.file_name()?.to_string_lossy().replace('!', "/");
    Some(name.into())
}

/// Lines of `major minor #blocks name`; whatever else there is (the heading) is passed over.
fn parse_partitions(text: &str) -> impl Iterator<Item = ((u32, u32), &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (major, minor) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(((major, minor), fields.nth(1)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "major minor  #blocks  name\n\n   8        0  268435456 sda\n   8       16 1 sdb\n\
                         259 0 17 nvme0n1\n104 0 5 cciss/c0d0\n8 x 1 bad\n8 3\n4294967296 0 1 big\n";

    #[track_caller]
    fn check(text: &str, expected: &[((u32, u32), &str)]) {
        assert_eq!(parse_partitions(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn partitions() {
        check(TABLE, &[((8, 0), "sda"), ((8, 16), "sdb"), ((259, 0), "nvme0n1"), ((104, 0), "cciss/c0d0")]);
        check("", &[]);
        check("\0\u{fffd} 1 2 3 4", &[]);
    }

    #[test]
    fn sysfs_is_asked_first_and_partitions_where_it_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        let (sysfs, procfs) = (folder.path().join("sys"), folder.path().join("proc"));
        std::fs::create_dir_all(sysfs.join("dev/block")).unwrap();
        std::fs::create_dir_all(&procfs).unwrap();
        std::fs::write(procfs.join("partitions"), TABLE).unwrap();
        let link =
            |name: &str, target: &str| std::os::unix::fs::symlink(target, sysfs.join("dev/block").join(name));
        link("7:0", "../../devices/virtual/block/loop0").unwrap();
        link("104:0", "../../devices/pci0000:00/block/cciss!c0d0").unwrap();

        let mut devices = BlockDevices::new();
        let mut name = |device, now| devices.name((&sysfs, &procfs), device, Duration::from_secs(now));
        assert_eq!(name((7, 0), 0).as_deref(), Some("loop0"));
        assert_eq!(name((104, 0), 0).as_deref(), Some("cciss/c0d0"));
        assert_eq!(name((8, 0), 0).as_deref(), Some("sda"));
        assert_eq!(name((136, 16), 0), None);

        // A new device is seen soon, a number's new meaning a little later.
        std::fs::write(procfs.join("partitions"), "136 16 1 new\n8 0 1 other\n").unwrap();
        assert_eq!(name((136, 16), 2).as_deref(), Some("new"));
        assert_eq!(name((8, 0), 13).as_deref(), Some("other"));
        std::fs::remove_file(sysfs.join("dev/block/7:0")).unwrap();
        assert_eq!(name((7, 0), 24), None);
    }

    #[test]
    fn many_unknown_numbers_do_not_read_the_table_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (sysfs, procfs) = (folder.path().join("sys"), folder.path().join("proc"));
        let mut devices = BlockDevices::new();
        for minor in 0..1000 {
            assert_eq!(devices.name((&sysfs, &procfs), (300, minor), Duration::ZERO), None);
        }
        std::fs::create_dir_all(&procfs).unwrap();
        std::fs::write(procfs.join("partitions"), "300 1000 1 late\n").unwrap();
        assert_eq!(devices.name((&sysfs, &procfs), (300, 1000), Duration::ZERO), None, "the table was read");
        let later = Duration::from_secs(2);
        assert_eq!(devices.name((&sysfs, &procfs), (300, 1000), later).as_deref(), Some("late"));
    }
}
