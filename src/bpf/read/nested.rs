//! Maps of maps: the inner ones are read one after another, each entry by the outer key and the inner one.
//!
//! Looked up by user space, a map of maps gives ids. Descriptors are kept by id from read to read, because the
//! kernel gives no id twice while somebody holds its map; what no key leads to any more is closed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::elf::MapKind;
use crate::snapshot::{Batch, Limits, ReadError, ReadStatistics, Shape, Source};
use crate::spec::NestedMap;

use super::super::opener::MapOpener;
use super::{MapSource, Method, Push, in_time, raw, refused};

const OPEN: &str = "opening an inner map by its id";
const LOOKUP: &str = "looking up which map a key leads to";

/// Descriptors that are kept of one map of maps. What is beyond is opened at each read.
const MOST_KEPT: usize = 512;

/// So often a key may lead to another map while the one that it led to is being opened.
const TRIES: u32 = 16;

/// Bytes of an id.
const ID: usize = size_of::<u32>();

/// A map of maps with a descriptor of its own.
#[derive(Debug)]
pub(in crate::bpf) struct NestedSource {
    outer: MapSource,
    /// The kind of the inner maps.
    kind: MapKind,
    /// The shape of an inner map's entries.
    inner: Shape,
    opener: Option<MapOpener>,
    /// Inner maps by their ids.
    open: Mutex<HashMap<u32, Arc<MapSource>>>,
    /// How many entries the last read found.
    found: AtomicUsize,
}

impl NestedSource {
    /// A source that reads what the maps hold that the map behind a descriptor holds.
    ///
    /// # Errors
    /// When the descriptor is not one of a map.
    pub(in crate::bpf) fn new(
        map: OwnedFd,
        declared: &NestedMap,
        opener: Option<MapOpener>,
    ) -> io::Result<Self> {
        let outer = MapSource::of_any_kind(map)?;
        // A batch of an array ends at the first index that holds no map, on kernels before 6.14.
        let method = if outer.kind == MapKind::HASH_OF_MAPS { Method::Batch } else { Method::PerKey };
        let kind = MapKind(declared.kind);
        let value_size = declared.value_size as usize;
        let (lanes, lane_stride) = super::lanes(kind, value_size)?;
        let inner = Shape { key_size: declared.key_size as usize, value_size, lanes, lane_stride };
        let (open, found) = (Mutex::default(), AtomicUsize::new(0));
        Ok(Self { outer: outer.with_method(method), kind, inner, opener, open, found })
    }

    /// The outer keys, one after another, and the id of the map that each leads to.
    fn list(&self, limits: &Limits) -> Result<(Vec<u8>, Vec<u32>), ReadError> {
        let (mut keys, mut ids) = (Vec::new(), Vec::new());
        self.outer.read(limits, &mut |batch| {
            keys.extend_from_slice(batch.keys);
            ids.extend(batch.values.as_chunks().0.iter().copied().map(u32::from_ne_bytes));
            let held = keys.len() + ids.len() * ID;
            if held > limits.max_bytes { Err(ReadError::TooLarge(limits.max_bytes)) } else { Ok(()) }
        })?;
        Ok((keys, ids))
    }

    /// Closes what no key leads to.
    fn close_others(&self, ids: &[u32]) {
        let there: HashSet<u32> = ids.iter().copied().collect();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|id, _| there.contains(id));
    }

    /// The map that a key leads to; none when it leads nowhere any more.
    fn inner(&self, key: &[u8], listed: u32) -> Result<Option<Arc<MapSource>>, ReadError> {
        let mut id = listed;
        for _ in 0..TRIES {
            if let Some(known) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
                return Ok(Some(Arc::clone(known)));
            }
            let opened = match &self.opener {
                Some(opener) => opener.open(id),
                None => raw::map_by_id(id),
            };
            match opened {
                Ok(map) => return self.opened(id, map).map(Some),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(not_opened(&error)),
            }
            // It is gone: another one may have taken its place.
            let mut value = [0; ID];
            let entry = (self.outer.shape.key_size, ID);
            let is_there = raw::lookup(self.outer.map.as_fd(), key, &mut value, entry);
            if !is_there.map_err(|error| refused(LOOKUP, &error))? {
                return Ok(None);
            }
            id = u32::from_ne_bytes(value);
        }
        Err(ReadError::Unstable)
    }

    fn opened(&self, id: u32, map: OwnedFd) -> Result<Arc<MapSource>, ReadError> {
        let inner = MapSource::by_one_thread(map).map_err(|error| refused(OPEN, &error))?;
        if inner.kind != self.kind || inner.shape != self.inner {
            return Err(ReadError::Shape);
        }
        let inner = Arc::new(inner);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() < MOST_KEPT {
            open.insert(id, Arc::clone(&inner));
        }
        Ok(inner)
    }
}

/// Why an inner map could not be opened.
fn not_opened(error: &io::Error) -> ReadError {
    match error.raw_os_error() {
        Some(errno @ libc::EPERM) => {
            let message = format!("{error}; the kernel wants CAP_SYS_ADMIN for that: keep it");
            ReadError::Kernel { operation: OPEN, message, errno }
        }
        Some(errno @ (libc::EMFILE | libc::ENFILE)) => {
            let message = format!("{error}; each inner map takes a descriptor: raise LimitNOFILE");
            ReadError::Kernel { operation: OPEN, message, errno }
        }
        _ => refused(OPEN, error),
    }
}

impl Source for NestedSource {
    fn shape(&self) -> Shape {
        Shape { key_size: self.outer.shape.key_size + self.inner.key_size, ..self.inner }
    }

    /// Each inner map has its own.
    fn max_entries(&self) -> Option<u64> {
        None
    }

    fn read(&self, limits: &Limits, push: Push<'_>) -> Result<ReadStatistics, ReadError> {
        let (keys, ids) = self.list(limits)?;
        self.close_others(&ids);
        let (shape, outer_size) = (self.shape(), self.outer.shape.key_size);
        let mut statistics = ReadStatistics::default();
        let mut both = Vec::new();
        for (key, id) in keys.chunks_exact(outer_size.max(1)).zip(ids) {
            in_time(limits)?;
            let Some(inner) = self.inner(key, id)? else {
                statistics.vanished += 1;
                continue;
            };
            let read = inner.read(limits, &mut |batch| {
                both.clear();
                for own in batch.keys.chunks_exact(batch.shape.key_size.max(1)) {
                    both.extend_from_slice(key);
                    both.extend_from_slice(own);
                }
                push(Batch { shape, rows: batch.rows, keys: &both, values: batch.values })
            })?;
            statistics.entries += read.entries;
            statistics.vanished += read.vanished;
        }
        self.found.store(usize::try_from(statistics.entries).unwrap_or(usize::MAX), Ordering::Relaxed);
        Ok(statistics)
    }

    fn expected_entries(&self) -> usize {
        self.found.load(Ordering::Relaxed)
    }
}
