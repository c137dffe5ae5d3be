//! Whether a hash's batches can begin at any bucket, proved on a small map of our own.
//!
//! That the token is a bucket's number is how the kernel does it, not what it promises.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::elf::MapKind;
use crate::snapshot::{Batch, Limits, ReadError};

use super::{MapSource, Scratch, batch, pieces};

/// The kinds that are hashes.
const HASHES: [MapKind; 4] =
    [MapKind::HASH, MapKind::PERCPU_HASH, MapKind::LRU_HASH, MapKind::LRU_PERCPU_HASH];

/// The map has as many buckets as this, and fewer keys, so that a hash that drops old ones keeps them.
const CAPACITY: u32 = 512;
const KEYS: u32 = 200;

/// Into how many pieces it is cut, and how many entries a call asks for.
const CUTS: [(u32, usize); 2] = [(2, 64), (4, 32)];

/// Whether it was proved for a kind of map on the running kernel.
pub(super) fn holds(kind: MapKind) -> bool {
    static PROVED: [OnceLock<bool>; HASHES.len()] = [const { OnceLock::new() }; HASHES.len()];
    let place = HASHES.iter().position(|hash| *hash == kind);
    let proved = place.and_then(|place| PROVED.get(place));
    proved.is_some_and(|proved| {
        *proved.get_or_init(|| {
            let outcome = prove(kind);
            tracing::debug!(?kind, ?outcome, "whether several threads can read such a map");
            outcome.unwrap_or(false)
        })
    })
}

/// Reads a map by pieces, with a seam between each two, and compares.
fn prove(kind: MapKind) -> io::Result<bool> {
    let map = fill(kind).map_err(io::Error::other)?;
    let source = MapSource::by_one_thread(map.as_fd().try_clone_to_owned()?)?;
    let limits = Limits { deadline: Instant::now() + Duration::from_secs(1), max_bytes: usize::MAX };
    let mut scratch = Scratch::default();
    let mut whole = Vec::new();
    let read = batch::read(&source, &limits, &mut scratch, &mut collect(&mut whole));
    let is_whole = read.map_err(io::Error::other)?.is_some();
    whole.sort_unstable();
    let mut holds = is_whole && whole.iter().copied().eq(0..KEYS);
    for (pieces, rows) in CUTS {
        let starts = (0..pieces).map(|piece| piece * (CAPACITY / pieces)).collect();
        let mut by_pieces = Vec::new();
        let read = {
            let push = &mut collect(&mut by_pieces);
            pieces::read_backwards(&source, &limits, starts, rows, &mut scratch, push)
        };
        by_pieces.sort_unstable();
        holds &= read.is_ok() && by_pieces == whole;
    }
    Ok(holds)
}

fn fill(kind: MapKind) -> libbpf_rs::Result<MapHandle> {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let kind = MapType::from(kind.0);
    let map = MapHandle::create(kind, Some(OsStr::new("bpftally_proof")), 4, 8, CAPACITY, &options)?;
    let cpus = libbpf_rs::num_possible_cpus()?;
    for key in 0..KEYS {
        let (key, value) = (key.to_ne_bytes(), u64::from(key).to_ne_bytes());
        if kind.is_percpu() {
            map.update_percpu(&key, &vec![value.to_vec(); cpus], MapFlags::ANY)?;
        } else {
            map.update(&key, &value, MapFlags::ANY)?;
        }
    }
    Ok(map)
}

fn collect(keys: &mut Vec<u32>) -> impl FnMut(Batch<'_>) -> Result<(), ReadError> + Send {
    |batch| {
        let numbers = batch.keys.as_chunks::<4>().0.iter().map(|key| u32::from_ne_bytes(*key));
        keys.extend(numbers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_are_no_hashes() {
        assert!(!holds(MapKind::ARRAY) && !holds(MapKind::LPM_TRIE));
    }
}
