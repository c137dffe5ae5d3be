//! Capabilities that stay once everything is attached (`--capabilities.keep`).
//!
//! The kernel keeps capabilities per thread, and a new thread has its creator's. The supervisor's
//! thread alone keeps all that stays; every other thread keeps of that what reading takes. So the
//! main thread drops before it starts any thread that stays; [`reduce`] then looks at
//! every thread of the process and fails when one was forgotten. A thread that has to
//! start earlier calls [`reduce_this_thread`] itself.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

use crate::cli::Keep;

/// Why capabilities could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// What is to stay is not there.
    #[error(
        "--capabilities.keep names {missing}, which the process does not have: start it with them, or leave them out"
    )]
    NotHeld {
        /// Their names.
        missing: String,
    },
    /// The kernel refused.
    #[error("capabilities cannot be dropped")]
    Refused(#[from] CapsError),
    /// A thread's capabilities could not be looked up.
    #[error("whether all threads dropped their capabilities cannot be known: {path}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread has more than what is to stay.
    #[error("thread {thread} still has {surplus}, which --capabilities.keep does not name")]
    Forgotten {
        /// Its id.
        thread: u32,
        /// Names of what it has too much.
        surplus: String,
    },
}

/// Reduces the calling thread to what reading takes, and makes sure that no other thread of the process
/// has more than what is to stay.
///
/// # Errors
/// When the kernel refuses, or another thread has more than what is to stay.
pub fn reduce(keep: &Keep) -> Result<(), PrivilegeError> {
    reduce_this_thread(&for_reading(keep))?;
    verify(keep)
}

/// Of what is to stay, what threads need that serve scrapes: kernels before 5.19 want `CAP_BPF` for maps,
/// kallsyms wants `CAP_SYSLOG`, and files of others `CAP_DAC_READ_SEARCH`.
#[must_use]
pub fn for_reading(keep: &Keep) -> Keep {
    const READING: [Capability; 3] =
        [Capability::CAP_BPF, Capability::CAP_SYSLOG, Capability::CAP_DAC_READ_SEARCH];
    match keep {
        Keep::All => Keep::All,
        Keep::Only(kept) => {
            Keep::Only(kept.iter().copied().filter(|kept| READING.contains(&kept.0)).collect())
        }
    }
}

/// Whether the calling thread may load programs.
#[must_use]
pub fn may_load() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    has(Capability::CAP_BPF) || has(Capability::CAP_SYS_ADMIN)
}

/// Sets the permitted and effective capabilities of the calling thread to exactly what is to stay;
/// with `all` nothing is changed.
///
/// # Errors
/// When the kernel refuses, or does not have to give what is to stay.
pub fn reduce_this_thread(keep: &Keep) -> Result<(), PrivilegeError> {
    let Keep::Only(kept) = keep else { return Ok(()) };
    let kept: CapsHashSet = kept.iter().map(|kept| kept.0).collect();
    let held = caps::read(None, CapSet::Permitted)?;
    let known = kernel_knows();
    let missing: BTreeSet<String> =
        kept.difference(&held).filter(|capability| known(**capability)).map(name).collect();
    if !missing.is_empty() {
        return Err(PrivilegeError::NotHeld { missing: Vec::from_iter(missing).join(", ") });
    }
    // What an older kernel does not know yet (cap_bpf before 5.8) can neither be kept nor lost.
    let kept = kept.intersection(&held).copied().collect();
    // Effective first: it has to stay within permitted.
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(())
}

/// Makes sure that no thread of this process has a capability beyond what is to stay.
///
/// # Errors
/// When one has, or when that cannot be known.
pub fn verify(keep: &Keep) -> Result<(), PrivilegeError> {
    let Some(mask) = keep.mask() else { return Ok(()) };
    let tasks = PathBuf::from("/proc/self/task");
    let unknown = |path: &PathBuf, source| PrivilegeError::Unknown { path: path.clone(), source };
    for task in fs::read_dir(&tasks).map_err(|source| unknown(&tasks, source))? {
        let task = task.map_err(|source| unknown(&tasks, source))?;
        let path = task.path().join("status");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // The thread ended meanwhile: ENOENT at the open, ESRCH at the read.
            Err(error) if is_gone(&error) => continue,
            Err(source) => return Err(unknown(&path, source)),
        };
        let held = held(&text).ok_or_else(|| unknown(&path, io::ErrorKind::InvalidData.into()))?;
        if held & !mask != 0 {
            let thread = task.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or_default();
            return Err(PrivilegeError::Forgotten { thread, surplus: names(held & !mask) });
        }
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The permitted and effective capabilities in the text of a `status` file.
fn held(status: &str) -> Option<u64> {
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(value.trim(), 16).ok()
    };
    Some(field("CapPrm:")? | field("CapEff:")?)
}

/// Whether the running kernel has a capability; when it does not say, it has all.
fn kernel_knows() -> impl Fn(Capability) -> bool {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse::<u8>().ok());
    move |capability| last.is_none_or(|last| capability.index() <= last)
}

fn name(capability: &Capability) -> String {
    capability.to_string().to_ascii_lowercase()
}

/// Names of bits, also of those that are newer than this program.
fn names(mask: u64) -> String {
    let known: Vec<Capability> = caps::all().into_iter().collect();
    let one = |index: u32| {
        let known = known.iter().find(|capability| u32::from(capability.index()) == index);
        known.map_or_else(|| format!("capability {index}"), name)
    };
    let names: Vec<String> = (0..u64::BITS).filter(|index| mask >> index & 1 == 1).map(one).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_of_a_status_file_count() {
        let status =
            "Name:\tx\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000002\nCapEff:\t0000000000000004\n";
        assert_eq!(held(status), Some(6));
        assert_eq!(held("CapPrm:\t0000000000000002\n"), None);
        assert_eq!(held("CapPrm:\tx\nCapEff:\t0\n"), None);
    }

    #[test]
    fn bits_have_names() {
        assert_eq!(names(1 << 39 | 1), "cap_chown, cap_bpf");
        assert_eq!(names(1 << 63), "capability 63");
        assert_eq!(names(0), "");
    }

    #[test]
    fn keeping_all_changes_nothing() {
        let before = caps::read(None, CapSet::Effective).unwrap();
        reduce(&Keep::All).unwrap();
        assert_eq!(caps::read(None, CapSet::Effective).unwrap(), before);
    }
}
