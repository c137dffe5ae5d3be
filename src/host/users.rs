//! Users: names by number, from `etc/passwd`.
//!
//! Only the file is read: what LDAP or another directory says would need the
//! C library's modules, which a static binary cannot load.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file::read_at_most;

/// The file is looked at again after this time.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// A file longer than this is not read to its end.
const MOST_BYTES: u64 = 16 << 20;

/// Names of users, as the file gave them last.
#[derive(Debug, Default)]
pub(super) struct Users {
    names: HashMap<u32, Arc<str>>,
    looked: Option<Duration>,
    version: Option<Version>,
}

/// What changes when a file is written or replaced: device, inode, size, time of change in seconds and nanoseconds.
type Version = (u64, u64, u64, i64, i64);

impl Users {
    pub(super) fn name(&mut self, rootfs: &Path, uid: u32, now: Duration) -> Option<Arc<str>> {
        if self.looked.is_none_or(|then| now.saturating_sub(then) >= LOOK_AFTER) {
            self.looked = Some(now);
            self.look(&rootfs.join("etc/passwd"));
        }
        self.names.get(&uid).cloned()
    }

    fn look(&mut self, path: &Path) {
        let version = std::fs::metadata(path)
            .ok()
            .map(|data| (data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()));
        if version.is_some() && version == self.version {
            return;
        }
        // While an editor replaces the file it can be away for a moment: the last names stay.
        if let Ok(bytes) = read_at_most(path, MOST_BYTES) {
            self.names = parse(&String::from_utf8_lossy(&bytes));
            self.version = version;
        }
    }
}

/// `name:password:uid:...`; as for the C library, the first name of a number counts.
fn parse(text: &str) -> HashMap<u32, Arc<str>> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) else { continue };
        if !name.is_empty() && !name.starts_with('#') {
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, uid: u32, expected: Option<&str>) {
        assert_eq!(parse(text).get(&uid).map(|name| &**name), expected);
    }

    #[test]
    fn lines_of_passwd() {
        let text = "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\n#old:x:7:7::/:/\n\
                    bad\n:x:5:5::/:/\nbob:x:-1:0\nann:x:4294967295:0::/:/\n+::::::\nshort:x:9\n";
        check(text, 0, Some("root"));
        check(text, 4_294_967_295, Some("ann"));
        check(text, 9, Some("short"));
        check(text, 5, None);
        check(text, 7, None);
        check("", 0, None);
    }

    #[test]
    fn a_change_is_seen_after_a_while_and_an_absent_file_keeps_the_names() {
        let root = tempfile::tempdir().unwrap();
        let mut users = Users::default();
        let mut name = |uid, now| users.name(root.path(), uid, Duration::from_secs(now));
        assert_eq!(name(0, 0), None);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let passwd = root.path().join("etc/passwd");
        std::fs::write(&passwd, "root:x:0:\n").unwrap();
        assert_eq!(name(0, 4), None);
        assert_eq!(name(0, 5).as_deref(), Some("root"));
        std::fs::write(&passwd, "root:x:0:\nnew:x:1:\n").unwrap();
        assert_eq!(name(1, 9), None);
        assert_eq!(name(1, 10).as_deref(), Some("new"));
        std::fs::remove_file(&passwd).unwrap();
        assert_eq!(name(1, 60).as_deref(), Some("new"));
    }
}
