//! Keeps a map in step with the cgroups whose path matches: `cgroup_id_map`.
//!
//! Only that map is ever written. Its first content is complete before any program is attached.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::host::{Cgroup, CgroupFollower, CgroupFollowing, CgroupListener, Host};
use crate::problem::{Place, Problem};
use crate::snapshot::{CgroupCounts, CgroupTally};
use crate::spec::{CgroupMap, CgroupMapKind, LoadSpec};

use super::explain::{errno_of, errno_text};
use super::object::LoadedObject;

/// The value of each entry.
const MEANT: u64 = 1;

/// A map that follows cgroups.
pub(super) struct Following {
    following: CgroupFollowing,
    /// What tells of changes, until somebody runs it.
    follower: Option<CgroupFollower>,
}

impl Following {
    /// Puts all cgroups that match into the map of a config that has one.
    ///
    /// # Errors
    /// When there is no such map, or it cannot be followed what becomes of them.
    pub(super) fn start(
        spec: &LoadSpec,
        object: &LoadedObject,
        host: &Host,
        tally: &Arc<CgroupTally>,
    ) -> Result<Option<Self>, Box<Problem>> {
        let Some(wanted) = &spec.cgroups else { return Ok(None) };
        let place = Place {
            config: Some(spec.name.clone()),
            path: "cgroup_id_map".into(),
            map: Some(wanted.map.clone()),
            ..Place::default()
        };
        let failed = |reason: String| {
            let message = format!("the map `{}` cannot follow cgroups: {reason}", wanted.map);
            Box::new(Problem::error("cgroup-map", place.clone(), message).expected("a map and a descriptor"))
        };
        let map = object.map(&wanted.map);
        let map = map.ok_or_else(|| failed("libbpf finds no map of this name".to_owned()))?;
        let map = MapHandle::try_from(&map).map_err(|error| failed(errno_text(errno_of(&error))))?;
        let writer = Writer {
            config: spec.name.clone(),
            wanted: wanted.clone(),
            map,
            tally: Arc::clone(tally),
            members: HashMap::new(),
            refused: BTreeMap::new(),
        };
        let (follower, following) =
            host.follow_cgroups(Box::new(writer)).map_err(|error| failed(error.to_string()))?;
        if !follower.is_watched() {
            tracing::warn!(
                config = spec.name,
                map = wanted.map,
                "cgroups cannot be watched here: their tree is walked every few seconds, and the map is late by as much"
            );
        }
        Ok(Some(Self { following, follower: Some(follower) }))
    }

    /// What is to be run by a thread of its own as long as the map follows; none when one runs it.
    pub(super) fn take_follower(&mut self) -> Option<CgroupFollower> {
        self.follower.take()
    }

    /// Puts right what others may have written.
    pub(super) fn again(&self) {
        self.following.again();
    }

    /// Follows no more, and takes all that is in the map out of it.
    fn take_back(self) {
        if let Some(mut listener) = self.following.end() {
            listener.all(&mut std::iter::empty());
        }
    }
}

/// Lets go of what followed until now, when what takes its place has begun. A map that nothing follows any more
/// is emptied: programs may go on with it.
pub(super) fn hand_over(
    old: Option<Following>,
    new: Option<&Following>,
    before: &LoadSpec,
    after: &LoadSpec,
    tally: &CgroupTally,
) {
    let map = |spec: &LoadSpec| spec.cgroups.as_ref().map(|cgroups| cgroups.map.clone());
    match old {
        Some(old) if map(before) != map(after) => old.take_back(),
        old => drop(old),
    }
    match new {
        // The other one may have written to the same map until now.
        Some(new) => new.again(),
        None => tally.update(|counts| *counts = CgroupCounts::default()),
    }
}

/// Writes the map.
struct Writer {
    config: String,
    wanted: CgroupMap,
    map: MapHandle,
    tally: Arc<CgroupTally>,
    /// What is in the map.
    members: HashMap<u64, Cgroup>,
    /// What should be, and could not be put there.
    refused: BTreeMap<u64, Cgroup>,
}

impl CgroupListener for Writer {
    fn appeared(&mut self, cgroup: &Cgroup) {
        if self.wanted.matcher.is_match(&cgroup.path) {
            self.put(cgroup);
            self.count();
        }
    }

    fn vanished(&mut self, id: u64) {
        self.refused.remove(&id);
        let Some(cgroup) = self.members.remove(&id) else { return };
        // The storage of a cgroup goes with it.
        if self.wanted.kind == CgroupMapKind::Hash {
            self.delete(&cgroup);
        }
        // There is room now for one that was refused.
        if let Some((_, next)) = self.refused.pop_first() {
            self.put(&next);
        }
        self.count();
    }

    fn all(&mut self, cgroups: &mut dyn Iterator<Item = &Cgroup>) {
        let (meant, others): (Vec<&Cgroup>, Vec<&Cgroup>) =
            cgroups.partition(|cgroup| self.wanted.matcher.is_match(&cgroup.path));
        let ids: HashSet<u64> = meant.iter().map(|cgroup| cgroup.id).collect();
        self.refused.clear();
        let gone: Vec<u64> = self.members.keys().copied().filter(|id| !ids.contains(id)).collect();
        let mut left: Vec<Cgroup> = gone.iter().filter_map(|id| self.members.remove(id)).collect();
        // What was not put there by this one: the map may be the one of a config before a reload.
        match self.wanted.kind {
            CgroupMapKind::Hash => left.extend(self.strangers(&ids)),
            CgroupMapKind::Storage => left.extend(others.into_iter().cloned()),
        }
        left.iter().for_each(|cgroup| self.delete(cgroup));
        meant.into_iter().for_each(|cgroup| self.put(cgroup));
        self.count();
    }
}

impl Writer {
    /// Keys of the map that are none of these.
    fn strangers(&self, ids: &HashSet<u64>) -> Vec<Cgroup> {
        let id = |key: Vec<u8>| Some(u64::from_ne_bytes(key.try_into().ok()?));
        let keys = self.map.keys().filter_map(id).filter(|id| !ids.contains(id));
        let stranger = |id| Cgroup { id, path: "".into(), folder: Default::default() };
        keys.map(stranger).collect()
    }

    fn put(&mut self, cgroup: &Cgroup) {
        let written = with_key(self.wanted.kind, cgroup, |key| {
            self.map.update(key, &MEANT.to_ne_bytes(), MapFlags::ANY).map_err(|error| errno_of(&error))
        });
        match written {
            Ok(true) => {
                self.members.insert(cgroup.id, cgroup.clone());
            }
            // It is gone already.
            Ok(false) => {}
            Err(errno) => {
                self.fail("put into", cgroup, errno);
                self.refused.insert(cgroup.id, cgroup.clone());
            }
        }
    }

    fn delete(&self, cgroup: &Cgroup) {
        let deleted = with_key(self.wanted.kind, cgroup, |key| {
            match self.map.delete(key).map_err(|error| errno_of(&error)) {
                Err(libc::ENOENT) => Ok(()),
                other => other,
            }
        });
        if let Err(errno) = deleted {
            self.fail("taken out of", cgroup, errno);
        }
    }

    fn fail(&self, what: &str, cgroup: &Cgroup, errno: i32) {
        let is_full = matches!(errno, libc::E2BIG | libc::ENOSPC);
        let reason = if is_full { "full" } else { "kernel" };
        let (config, map) = (&self.config, &self.wanted.map);
        let mut is_first = false;
        self.tally.update(|counts| {
            let errors = counts.errors.entry(reason).or_default();
            is_first = *errors == 0;
            *errors += 1;
        });
        let (path, error) = (&*cgroup.path, errno_text(errno));
        // Thousands of cgroups may be refused for the same reason.
        if is_first && is_full {
            tracing::warn!(%config, %map, path, "the map is full: cgroups are missing from it; raise its max_entries");
        } else if is_first {
            tracing::warn!(%config, %map, path, error, "a cgroup cannot be {what} the map");
        } else {
            tracing::debug!(%config, %map, path, error, "a cgroup cannot be {what} the map");
        }
    }

    fn count(&self) {
        self.tally.update(|counts| {
            counts.map.clone_from(&self.wanted.map);
            counts.cgroups = self.members.len() as u64;
        });
    }
}

/// Does something with the key of a cgroup; false when it is gone.
fn with_key(
    kind: CgroupMapKind,
    cgroup: &Cgroup,
    work: impl FnOnce(&[u8]) -> Result<(), i32>,
) -> Result<bool, i32> {
    match kind {
        CgroupMapKind::Hash => work(&cgroup.id.to_ne_bytes()).map(|()| true),
        CgroupMapKind::Storage => match open(cgroup) {
            Ok(Some(folder)) => work(&folder.as_raw_fd().to_ne_bytes()).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(error.raw_os_error().unwrap_or(libc::EIO)),
        },
    }
}

/// The cgroup's folder; none when it is gone, or another one is in its place.
fn open(cgroup: &Cgroup) -> io::Result<Option<File>> {
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(&cgroup.folder);
    match folder {
        Ok(folder) => Ok((folder.metadata()?.ino() == cgroup.id).then_some(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
