//! Taking an entry out: `BPF_MAP_LOOKUP_AND_DELETE_ELEM`, which hashes have since Linux 5.14.
//!
//! Deleting what was looked up before would lose what is counted between the two; this gives the
//! last value with the deletion.

use std::os::fd::AsFd;

use crate::snapshot::{ReadError, Taken};

use super::{MapSource, raw, refused};

const OPERATION: &str = "taking an entry out of the map (since Linux 5.14)";

/// Takes an entry out if it still has the value that it is expected to have, which is looked at as late as
/// possible; `last` is what it had in the end.
pub(super) fn take(
    source: &MapSource,
    key: &[u8],
    expected: &[u8],
    last: &mut Vec<u8>,
) -> Result<Taken, ReadError> {
    let entry = source.entry();
    let map = source.map.as_fd();
    last.clear();
    last.resize(entry.1, 0);
    let failed = |error| refused(OPERATION, &error);
    if !raw::lookup(map, key, last, entry).map_err(failed)? {
        return Ok(Taken::Gone);
    }
    if last != expected {
        return Ok(Taken::Changed);
    }
    let is_out = raw::lookup_and_delete(map, key, last, entry).map_err(failed)?;
    Ok(if is_out { Taken::Out } else { Taken::Gone })
}
