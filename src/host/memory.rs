//! How much memory there is.

use std::path::Path;

use super::file;

/// `/proc/meminfo` has some 60 lines.
const MOST: u64 = 64 << 10;

/// Bytes of all memory, from `meminfo`.
pub(super) fn total(procfs: &Path) -> Option<u64> {
    let bytes = file::read_at_most(&procfs.join("meminfo"), MOST).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("meminfo"), text).unwrap();
        assert_eq!(total(folder.path()), expected, "{text}");
    }

    #[test]
    fn the_total_is_read() {
        check("MemTotal:        1024 kB\nMemFree: 5 kB\n", Some(1 << 20));
        check("MemFree: 5 kB\n", None);
        check("MemTotal: lots\n", None);
        check("MemTotal: 18446744073709551615 kB\n", None);
        assert_eq!(total(Path::new("/no/such/proc")), None);
    }
}
