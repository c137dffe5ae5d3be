//! One large hash map read by several threads at once.
//!
//! The token of a hash's batches is the number of the bucket to go on from, so a read may begin at
//! any bucket, and buckets are cut into pieces. A call copies whole buckets, one after another,
//! and says where it stopped; which entry came from which bucket it does not say. So the last call
//! of a piece may bring entries of the next one. What makes each key come once all the same:
//!
//! - A key never changes its bucket. Who reads a piece keeps the keys of its first call, its *head*.
//! - The last call of a piece must end inside the head of the next one. Of what it brought, the
//!   keys of that head are dropped.
//! - A key that stays is in the head if its bucket is, and so it is dropped here and told there. A key that
//!   is here and not in the head is not told there: that bucket is read once.
//!
//! A piece that nobody has begun when a call runs into it is read on by that call's thread, without a seam.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::snapshot::{Limits, ReadError, ReadStatistics, SharedPush};

use super::batch::{self, OPERATION, RETRIES, fetch, hand_over, keep_new};
use super::seen::Seen;
use super::{MapSource, Scratch, in_time, refused};

/// Rows of a piece's first call.
const HEAD_ROWS: usize = 512;

/// A seam that is to be met is approached by calls of at least this part of a head.
const TAIL: usize = 4;

/// Fewer rows in a call are not worth a seam.
const LEAST_ROWS: usize = 32;

/// So many pieces for each thread: one that is held up leaves the rest to others.
const PIECES: u32 = 4;

/// A piece has at least so many buckets.
const PIECE: u32 = 2048;

/// How long a head is waited for before the deadline is looked at again.
const PATIENCE: Duration = Duration::from_millis(10);

/// Behind the last bucket.
const END: u64 = u64::MAX;

/// How many buckets a hash of a capacity has.
fn buckets(max_entries: u32) -> u32 {
    max_entries.checked_next_power_of_two().unwrap_or(1 << 31)
}

/// Whether a map of such entries is large enough to be cut.
pub(super) fn is_large(max_entries: u32, rows: usize) -> bool {
    buckets(max_entries) >= PIECE * PIECES && rows >= LEAST_ROWS
}

/// Reads all entries by so many threads.
pub(super) fn read(
    source: &MapSource,
    limits: &Limits,
    threads: usize,
    scratches: &mut Vec<Scratch>,
    push: SharedPush<'_>,
) -> Result<ReadStatistics, ReadError> {
    let buckets = buckets(source.max_entries);
    let wanted = u32::try_from(threads).unwrap_or(u32::MAX).saturating_mul(PIECES);
    let count = wanted.min(buckets / PIECE).max(1);
    let starts = (0..count).map(|piece| piece * (buckets / count)).collect();
    let cut = Cut::new(source, limits, starts, source.rows(), push);
    scratches.resize_with(threads.max(scratches.len()), Scratch::default);
    let (own, others) = scratches.split_at_mut(1);
    let (own, others) = (own.iter_mut(), others.iter_mut().take(threads.saturating_sub(1)));
    std::thread::scope(|scope| {
        for scratch in others {
            // Without another thread this one reads all pieces.
            let worker = std::thread::Builder::new().name("read".to_owned());
            let _ = worker.spawn_scoped(scope, || cut.work(scratch));
        }
        own.for_each(|scratch| cut.work(scratch));
    });
    cut.finish()
}

/// Reads the pieces that begin at the given buckets one by one, the last one first, so that every seam is met.
pub(super) fn read_backwards(
    source: &MapSource,
    limits: &Limits,
    starts: Vec<u32>,
    rows: usize,
    scratch: &mut Scratch,
    push: SharedPush<'_>,
) -> Result<ReadStatistics, ReadError> {
    let count = starts.len();
    let cut = Cut::new(source, limits, starts, rows, push);
    cut.claimed.store(count, Ordering::Relaxed);
    for piece in (0..count).rev() {
        cut.read_from(piece, scratch)?;
    }
    cut.finish()
}

/// What a piece began with.
#[derive(Debug)]
struct Head {
    keys: Vec<u8>,
    /// The bucket after those it holds.
    reaches: u64,
}

/// A map cut into pieces, and how far they are read.
struct Cut<'a> {
    source: &'a MapSource,
    limits: &'a Limits,
    /// The first bucket of each piece.
    starts: Vec<u32>,
    /// Rows of a call at most.
    rows: usize,
    /// Pieces that somebody reads: these are the first ones.
    claimed: AtomicUsize,
    heads: Mutex<Vec<Option<Arc<Head>>>>,
    arrived: Condvar,
    push: Mutex<SharedPush<'a>>,
    fetched: AtomicU64,
    entries: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<ReadError>>,
}

/// Where the read of a piece stands.
struct Place {
    piece: usize,
    /// The bucket to go on from.
    at: u64,
    /// Entries to ask for.
    rows: usize,
    /// Entries of a bucket did not fit into fewer.
    least: usize,
    entries: usize,
    is_head: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Cut<'a> {
    fn new(
        source: &'a MapSource,
        limits: &'a Limits,
        starts: Vec<u32>,
        rows: usize,
        push: SharedPush<'a>,
    ) -> Self {
        let heads = starts.iter().map(|_| None).collect();
        Self {
            source,
            limits,
            starts,
            rows,
            claimed: AtomicUsize::new(0),
            heads: Mutex::new(heads),
            arrived: Condvar::new(),
            push: Mutex::new(push),
            fetched: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    fn finish(self) -> Result<ReadStatistics, ReadError> {
        let failure = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let entries = self.entries.into_inner();
        failure.map_or(Ok(ReadStatistics { entries, vanished: 0, epoch: 0 }), Err)
    }

    /// Reads pieces as long as there are any.
    fn work(&self, scratch: &mut Scratch) {
        loop {
            let piece = self.claimed.load(Ordering::Relaxed);
            if piece >= self.starts.len() || self.failed.load(Ordering::Relaxed) {
                return;
            }
            if !self.claim(piece) {
                continue;
            }
            if let Err(error) = self.read_from(piece, scratch) {
                lock(&self.failure).get_or_insert(error);
                self.failed.store(true, Ordering::Relaxed);
                self.arrived.notify_all();
                return;
            }
        }
    }

    /// Takes a piece, if it is there and nobody has it.
    fn claim(&self, piece: usize) -> bool {
        piece < self.starts.len()
            && self.claimed.compare_exchange(piece, piece + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The bucket after a piece.
    fn end(&self, piece: usize) -> u64 {
        self.starts.get(piece + 1).map_or(END, |start| u64::from(*start))
    }

    fn read_from(&self, piece: usize, scratch: &mut Scratch) -> Result<(), ReadError> {
        let head_rows = HEAD_ROWS.min(self.rows);
        let start = self.starts.get(piece).copied().unwrap_or_default();
        let least = (head_rows / TAIL).max(1);
        let mut place =
            Place { piece, at: u64::from(start), rows: head_rows, least, entries: 0, is_head: true };
        while !self.failed.load(Ordering::Relaxed) {
            let (count, next) = self.fetch(&mut place, scratch)?;
            if place.is_head {
                self.publish(place.piece, scratch.keys.get(..count * self.source.shape.key_size), next);
                place.is_head = false;
            }
            while next > self.end(place.piece) && self.claim(place.piece + 1) {
                place.piece += 1;
            }
            let end = self.end(place.piece);
            if next <= end {
                self.take(count, count, scratch)?;
                if next == end {
                    return Ok(());
                }
                place.entries += count;
                place.at = next;
                place.rows = self.rows_to(&place, end - u64::from(start), end - next);
            } else if let Some(head) = self.head(place.piece + 1)? {
                if next <= head.reaches.min(self.end(place.piece + 1)) {
                    return self.take_new(count, &head, scratch);
                }
                if place.rows <= place.least {
                    self.source.read_as_one_next();
                    return Err(ReadError::Again);
                }
                place.rows = (place.rows / TAIL).max(place.least);
            }
        }
        Ok(())
    }

    /// The entries of the buckets from a place on, and the bucket after them.
    fn fetch(&self, place: &mut Place, scratch: &mut Scratch) -> Result<(usize, u64), ReadError> {
        let mut retries = 0;
        loop {
            in_time(self.limits)?;
            batch::set_token(scratch, self.source, u32::try_from(place.at).unwrap_or(u32::MAX));
            match fetch(self.source, scratch, place.rows, false) {
                Ok((count, true)) => return Ok((count, END)),
                Ok((count, false)) => {
                    let next = u64::from(batch::token(scratch));
                    if next <= place.at || count == 0 {
                        self.source.read_as_one();
                        return Err(ReadError::Again);
                    }
                    return Ok((count, next));
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    if place.rows as u64 > self.source.bound() {
                        return Err(ReadError::Unstable);
                    }
                    place.rows = place.rows.saturating_mul(2);
                    place.least = place.rows;
                }
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                    retries += 1;
                    if retries > RETRIES {
                        return Err(ReadError::Unstable);
                    }
                }
                Err(error) => return Err(refused(OPERATION, &error)),
            }
        }
    }

    /// How many entries to ask for next: near a seam fewer than are expected before it.
    fn rows_to(&self, place: &Place, whole: u64, left: u64) -> usize {
        let is_seam = self.claimed.load(Ordering::Relaxed) > place.piece + 1;
        if !is_seam || left > END / 2 {
            return self.rows.max(place.least);
        }
        let read = whole.saturating_sub(left).max(1);
        let expected =
            usize::try_from(left.saturating_mul(place.entries as u64) / read).unwrap_or(usize::MAX);
        let rows = if expected > self.rows + self.rows / TAIL { self.rows } else { expected / TAIL * 3 };
        rows.min(self.rows).max(place.least)
    }

    fn publish(&self, piece: usize, keys: Option<&[u8]>, reaches: u64) {
        let head = Head { keys: keys.unwrap_or_default().to_vec(), reaches };
        if let Some(place) = lock(&self.heads).get_mut(piece) {
            *place = Some(Arc::new(head));
        }
        self.arrived.notify_all();
    }

    /// Waits for the head of a piece; none when another thread failed.
    fn head(&self, piece: usize) -> Result<Option<Arc<Head>>, ReadError> {
        let mut heads = lock(&self.heads);
        loop {
            if let Some(Some(head)) = heads.get(piece) {
                return Ok(Some(Arc::clone(head)));
            }
            if self.failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            in_time(self.limits)?;
            let left = self.limits.deadline.saturating_duration_since(Instant::now());
            let wait = self.arrived.wait_timeout(heads, left.min(PATIENCE));
            heads = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take_new(&self, count: usize, head: &Head, scratch: &mut Scratch) -> Result<(), ReadError> {
        let key_size = self.source.shape.key_size;
        let mut seen = Seen::new(key_size);
        for key in head.keys.chunks_exact(key_size.max(1)) {
            seen.insert(key);
        }
        let kept = keep_new(&mut seen, scratch, self.source.entry(), count);
        self.take(count, kept, scratch)
    }

    fn take(&self, fetched: usize, kept: usize, scratch: &Scratch) -> Result<(), ReadError> {
        let all = self.fetched.fetch_add(fetched as u64, Ordering::Relaxed) + fetched as u64;
        if all > self.source.bound() {
            return Err(ReadError::Unstable);
        }
        self.entries.fetch_add(kept as u64, Ordering::Relaxed);
        hand_over(self.source, scratch, kept, &mut **lock(&self.push))
    }
}
