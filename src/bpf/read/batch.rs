//! Many entries with one system call: `BPF_MAP_LOOKUP_BATCH`.
//!
//! libbpf-rs's `lookup_batch` takes the first short batch of a hash for its last one, so the
//! loop is our own: only ENOENT says that the map ended.

use std::io;
use std::mem::swap;
use std::os::fd::AsFd;

use crate::snapshot::{Batch, Limits, ReadError, ReadStatistics, Source};

use super::seen::Seen;
use super::{MapSource, Method, Push, SCANS, Scratch, in_time, raw, refused};

pub(super) const OPERATION: &str = "reading a batch of the map's entries";

/// An entry that vanishes under a scan of Linux before 6.14 ends it with EINTR; asked again it goes on.
pub(super) const RETRIES: u32 = 1000;

/// How often a scan that meets keys again may go round.
const REPEATED_ROUNDS: u64 = 16;

/// Reads all entries; none when the kernel has no such operation for this map (nothing was pushed then).
pub(super) fn read(
    source: &MapSource,
    limits: &Limits,
    scratch: &mut Scratch,
    push: Push<'_>,
) -> Result<Option<ReadStatistics>, ReadError> {
    let mut scan = Scan {
        source,
        rows: source.rows(),
        seen: source.is_unsteady(Method::Batch).then(|| Seen::new(source.shape.key_size)),
        fetched: 0,
        entries: 0,
    };
    let scans = if scan.seen.is_some() { SCANS } else { 1 };
    for _ in 0..scans {
        let before = scan.entries;
        if !scan.run(limits, scratch, push)? {
            return Ok(None);
        }
        if scan.entries == before {
            break;
        }
    }
    Ok(Some(ReadStatistics { entries: scan.entries, vanished: 0, epoch: 0 }))
}

struct Scan<'a> {
    source: &'a MapSource,
    /// Entries to ask for with one call.
    rows: usize,
    /// Keys that were pushed, where scans meet keys again.
    seen: Option<Seen>,
    fetched: u64,
    entries: u64,
}

impl Scan<'_> {
    /// Walks the map from its start to its end; false when the kernel has no such operation.
    fn run(&mut self, limits: &Limits, scratch: &mut Scratch, push: Push<'_>) -> Result<bool, ReadError> {
        let (mut first, mut retries) = (true, 0);
        loop {
            in_time(limits)?;
            match fetch(self.source, scratch, self.rows, first) {
                Ok((count, last)) => {
                    self.take(count, scratch, push)?;
                    if last {
                        return Ok(true);
                    }
                    swap(&mut scratch.token_in, &mut scratch.token_out);
                    (first, retries) = (false, 0);
                }
                // One bucket holds more than the batch. It can never hold more than the map.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    if self.rows as u64 > self.source.bound() {
                        return Err(ReadError::Unstable);
                    }
                    self.rows = self.rows.saturating_mul(2);
                }
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                    retries += 1;
                    if retries > RETRIES {
                        return Err(ReadError::Unstable);
                    }
                }
                Err(error) if first && has_no_batches(&error) => return Ok(false),
                Err(error) => return Err(refused(OPERATION, &error)),
            }
        }
    }

    fn take(&mut self, count: usize, scratch: &mut Scratch, push: Push<'_>) -> Result<(), ReadError> {
        let kept = match &mut self.seen {
            Some(seen) => keep_new(seen, scratch, self.source.entry(), count),
            None => count,
        };
        self.fetched += count as u64;
        self.entries += kept as u64;
        // Where keys repeat, each that vanishes under the scan may send it back to the start.
        let rounds = if self.seen.is_some() { REPEATED_ROUNDS } else { 1 };
        if self.fetched > self.source.bound().saturating_mul(rounds) || self.entries > self.source.bound() {
            return Err(ReadError::Unstable);
        }
        hand_over(self.source, scratch, kept, push)
    }
}

fn has_no_batches(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(raw::ENOTSUPP | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Goes on from a bucket of a hash.
pub(super) fn set_token(scratch: &mut Scratch, source: &MapSource, bucket: u32) {
    make_tokens(scratch, source);
    if let Some(token) = scratch.token_in.first_chunk_mut() {
        *token = bucket.to_ne_bytes();
    }
}

/// The bucket of a hash that comes next.
pub(super) fn token(scratch: &Scratch) -> u32 {
    scratch.token_out.first_chunk().map_or(0, |token| u32::from_ne_bytes(*token))
}

fn make_tokens(scratch: &mut Scratch, source: &MapSource) {
    let token = source.shape.key_size.max(8);
    for buffer in [&mut scratch.token_in, &mut scratch.token_out] {
        if buffer.len() < token {
            buffer.resize(token, 0);
        }
    }
}

/// Fetches entries from the token on; how many, and whether they were the last ones.
pub(super) fn fetch(
    source: &MapSource,
    scratch: &mut Scratch,
    rows: usize,
    first: bool,
) -> io::Result<(usize, bool)> {
    let (key, value) = source.entry();
    make_tokens(scratch, source);
    grow(&mut scratch.keys, rows, key)?;
    grow(&mut scratch.values, rows, value)?;
    let mut buffers = raw::BatchBuffers {
        token_out: &mut scratch.token_out,
        keys: &mut scratch.keys,
        values: &mut scratch.values,
    };
    let token = (!first).then_some(scratch.token_in.as_slice());
    raw::lookup_batch(source.map.as_fd(), token, &mut buffers, rows, (key, value))
}

/// Makes room without aborting the process when there is no memory for it.
pub(super) fn grow(buffer: &mut Vec<u8>, rows: usize, size: usize) -> io::Result<()> {
    let short = || io::Error::from_raw_os_error(libc::ENOMEM);
    let wanted = rows.checked_mul(size).ok_or_else(short)?;
    if buffer.len() < wanted {
        buffer.try_reserve_exact(wanted - buffer.len()).map_err(|_| short())?;
        buffer.resize(wanted, 0);
    }
    Ok(())
}

/// Moves the entries with new keys to the front of the buffers, and tells how many there are.
pub(super) fn keep_new(seen: &mut Seen, scratch: &mut Scratch, entry: (usize, usize), rows: usize) -> usize {
    let (key, value) = entry;
    let mut kept = 0;
    for row in 0..rows {
        if !scratch.keys.get(row * key..(row + 1) * key).is_some_and(|bytes| seen.insert(bytes)) {
            continue;
        }
        if kept != row {
            scratch.keys.copy_within(row * key..(row + 1) * key, kept * key);
            scratch.values.copy_within(row * value..(row + 1) * value, kept * value);
        }
        kept += 1;
    }
    kept
}

/// Pushes the first rows of the buffers.
pub(super) fn hand_over(
    source: &MapSource,
    scratch: &Scratch,
    rows: usize,
    push: Push<'_>,
) -> Result<(), ReadError> {
    let (key, value) = source.entry();
    match (scratch.keys.get(..rows * key), scratch.values.get(..rows * value)) {
        (Some(keys), Some(values)) if rows > 0 => push(Batch { shape: source.shape(), rows, keys, values }),
        _ => Ok(()),
    }
}
