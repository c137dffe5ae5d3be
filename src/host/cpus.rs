//! Which CPUs there are and could be.

use std::io;
use std::path::Path;

use super::file::read_at_most;

/// More CPUs than any kernel is built for.
const MOST_CPUS: usize = 65_536;

/// Reads a list of CPUs such as `devices/system/cpu/possible` below `/sys`.
///
/// # Errors
/// When the file cannot be read or is no list of CPUs.
pub(super) fn read(sysfs: &Path, name: &str) -> io::Result<Vec<u32>> {
    let path = sysfs.join("devices/system/cpu").join(name);
    let bytes = read_at_most(&path, 1 << 20)?;
    let text = String::from_utf8_lossy(&bytes);
    parse(&text).ok_or_else(|| {
        let found: String = text.chars().take(80).collect();
        let message = format!("reading {}: expected a list such as 0-3,5, found {found:?}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The numbers in a list such as `0-3,5`, in the order written; none when it is no such list.
fn parse(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let count = usize::try_from(last.checked_sub(first)?).ok()?;
        if count >= MOST_CPUS - cpus.len() {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&[u32]>) {
        assert_eq!(parse(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn lists_of_cpus() {
        check("0\n", Some(&[0]));
        check("0-3\n", Some(&[0, 1, 2, 3]));
        check("0-1,4,6-7", Some(&[0, 1, 4, 6, 7]));
        check("", None);
        check("3-1", None);
        check("0-", None);
        check("a", None);
        check("0-4294967295", None);
        check("0-65534,0-65534", None);
        check(&vec!["0-9"; 10_000].join(","), None);
    }
}
