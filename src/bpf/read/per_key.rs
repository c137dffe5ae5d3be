//! Key by key: `BPF_MAP_GET_NEXT_KEY`, then `BPF_MAP_LOOKUP_ELEM`.
//!
//! The kernel answers "the next key after this one" with the map's first key when this one
//! has vanished meanwhile. So keys already met are remembered, and after such a return to the
//! start the walk goes on from the last key that is still there, instead of over all again.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use crate::snapshot::{Limits, ReadError, ReadStatistics};

use super::batch::{grow, hand_over};
use super::seen::Seen;
use super::{MapSource, Method, Push, SCANS, Scratch, in_time, raw, refused};

const NEXT: &str = "asking the map for its next key";
const LOOKUP: &str = "looking a key of the map up";

/// So many keys of the way are remembered for going on after a return to the start.
const TRAIL: usize = 32;

/// The deadline is looked at once in so many keys.
const STRIDE: u64 = 256;

pub(super) fn read(
    source: &MapSource,
    limits: &Limits,
    scratch: &mut Scratch,
    push: Push<'_>,
) -> Result<ReadStatistics, ReadError> {
    let (key, value) = source.entry();
    let rows = source.rows();
    let room = |error| refused(LOOKUP, &error);
    grow(&mut scratch.keys, rows, key).map_err(room)?;
    grow(&mut scratch.values, rows, value).map_err(room)?;
    let unsteady = source.is_unsteady(Method::PerKey);
    let mut scan = Scan {
        source,
        rows,
        filled: 0,
        pushed: unsteady.then(|| Seen::new(key)),
        statistics: ReadStatistics::default(),
    };
    for _ in 0..if unsteady { SCANS } else { 1 } {
        let before = scan.statistics.entries;
        scan.run(limits, scratch, push)?;
        if scan.statistics.entries == before {
            break;
        }
    }
    Ok(scan.statistics)
}

struct Scan<'a> {
    source: &'a MapSource,
    /// Entries to push at once, and how many wait for it.
    rows: usize,
    filled: usize,
    /// Keys that were pushed, where a scan has to be repeated.
    pushed: Option<Seen>,
    statistics: ReadStatistics,
}

impl Scan<'_> {
    /// Walks the map from its start to its end.
    fn run(&mut self, limits: &Limits, scratch: &mut Scratch, push: Push<'_>) -> Result<(), ReadError> {
        let mut walk = Walk::new(self.source);
        while walk.advance(limits)? {
            if self.pushed.as_ref().is_some_and(|pushed| pushed.contains(&walk.current)) {
                continue;
            }
            if !self.copy(&walk.current, scratch)? {
                self.statistics.vanished += 1;
                continue;
            }
            if let Some(pushed) = &mut self.pushed {
                pushed.insert(&walk.current);
            }
            self.statistics.entries += 1;
            self.filled += 1;
            if self.filled == self.rows {
                self.flush(scratch, push)?;
            }
        }
        self.flush(scratch, push)
    }

    /// Copies an entry behind those that wait; false when it has vanished.
    fn copy(&self, from: &[u8], scratch: &mut Scratch) -> Result<bool, ReadError> {
        let (key, value) = self.source.entry();
        let (keys, values) = (self.filled * key, self.filled * value);
        let short = || refused(LOOKUP, &std::io::Error::from_raw_os_error(libc::ENOMEM));
        let room = scratch.values.get_mut(values..values + value).ok_or_else(short)?;
        let found = raw::lookup(self.source.map.as_fd(), from, room, (key, value));
        scratch.keys.get_mut(keys..keys + key).ok_or_else(short)?.copy_from_slice(from);
        found.map_err(|error| refused(LOOKUP, &error))
    }

    fn flush(&mut self, scratch: &Scratch, push: Push<'_>) -> Result<(), ReadError> {
        let rows = std::mem::take(&mut self.filled);
        hand_over(self.source, scratch, rows, push)
    }
}

/// A walk over a map's keys that meets each once.
struct Walk<'a> {
    source: &'a MapSource,
    current: Vec<u8>,
    next: Vec<u8>,
    started: bool,
    seen: Option<Seen>,
    trail: VecDeque<Vec<u8>>,
    steps: u64,
    keys: u64,
}

impl<'a> Walk<'a> {
    fn new(source: &'a MapSource) -> Self {
        let size = source.shape.key_size;
        Self {
            source,
            current: vec![0; size],
            next: vec![0; size],
            started: false,
            seen: source.is_unsteady(Method::PerKey).then(|| Seen::new(size)),
            trail: VecDeque::new(),
            steps: 0,
            keys: 0,
        }
    }

    /// Goes on to a key not met before; false when there is none.
    fn advance(&mut self, limits: &Limits) -> Result<bool, ReadError> {
        let from = std::mem::take(&mut self.current);
        let more = self.step(self.started.then_some(from.as_slice()), limits);
        self.current = from;
        let mut more = more?;
        if self.is_known(more) {
            more = self.go_on_from_the_trail(limits)?;
        }
        // No key of the trail is there any more: over the known ones again, which are only skipped.
        while self.is_known(more) {
            let from = self.next.clone();
            more = self.step(Some(&from), limits)?;
        }
        if !more {
            return Ok(false);
        }
        self.arrive()
    }

    fn is_known(&self, more: bool) -> bool {
        more && self.seen.as_ref().is_some_and(|seen| seen.contains(&self.next))
    }

    /// Asks each key of the trail, the latest first, what comes after it, until that is a new key
    /// or the end. A key of the trail that vanished too answers with the first key, a known one.
    fn go_on_from_the_trail(&mut self, limits: &Limits) -> Result<bool, ReadError> {
        // Its latest key is the one that was asked already.
        for index in (0..self.trail.len().saturating_sub(1)).rev() {
            let Some(from) = self.trail.get(index).cloned() else { break };
            let more = self.step(Some(&from), limits)?;
            if !self.is_known(more) {
                return Ok(more);
            }
        }
        Ok(true)
    }

    fn step(&mut self, from: Option<&[u8]>, limits: &Limits) -> Result<bool, ReadError> {
        if self.steps.is_multiple_of(STRIDE) {
            in_time(limits)?;
        }
        self.steps += 1;
        // Every new key may cost a whole trail of questions, and some walks over known keys.
        if self.steps > self.source.bound().saturating_mul(TRAIL as u64) {
            return Err(ReadError::Unstable);
        }
        raw::next_key(self.source.map.as_fd(), from, &mut self.next, self.source.shape.key_size)
            .map_err(|error| refused(NEXT, &error))
    }

    fn arrive(&mut self) -> Result<bool, ReadError> {
        std::mem::swap(&mut self.current, &mut self.next);
        self.started = true;
        self.keys += 1;
        if self.keys > self.source.bound() {
            return Err(ReadError::Unstable);
        }
        if let Some(seen) = &mut self.seen {
            seen.insert(&self.current);
            let mut oldest = if self.trail.len() < TRAIL {
                Vec::new()
            } else {
                self.trail.pop_front().unwrap_or_default()
            };
            oldest.clear();
            oldest.extend_from_slice(&self.current);
            self.trail.push_back(oldest);
        }
        Ok(true)
    }
}
