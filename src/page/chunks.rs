//! A page as a list of buffers: it grows without ever being moved.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// Bytes after which a chunk is closed.
pub const CHUNK: usize = 64 * 1024;
/// Room for the last line of a chunk, so that it seldom has to grow.
const SLACK: usize = 2 * 1024;

/// Buffers that are kept whatever the last page was: 2 MiB, which need not be given back.
const ALWAYS_KEPT: usize = 32;
/// More are not kept: 16 MiB.
const MOST_KEPT: usize = 256;

/// Buffers of chunks that were sent, as many as the last page had. The next page is written into them: memory
/// that is warm, and that the kernel need not clear again. Threads share it, where an allocator keeps some for each.
#[derive(Debug)]
pub struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    most: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { buffers: Vec::new(), most: ALWAYS_KEPT }) }
    }
}

impl Pool {
    fn take(&self) -> Vec<u8> {
        self.kept().buffers.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK + SLACK))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.kept();
        // One that had to grow for a long line, or has no memory, is not worth keeping.
        if kept.buffers.len() < kept.most && buffer.capacity() == CHUNK + SLACK {
            kept.buffers.push(buffer);
        }
    }

    /// Learns how many buffers a page had.
    fn expect(&self, buffers: usize) {
        let mut kept = self.kept();
        kept.most = buffers.clamp(ALWAYS_KEPT, MOST_KEPT);
        let most = kept.most;
        kept.buffers.truncate(most);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk whose buffer goes back when the last part of it was sent.
struct Lent {
    buffer: Vec<u8>,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

/// Where a page goes that is too long to be held as a whole.
pub trait Outlet: Send {
    /// Takes the chunks that follow, as soon as there is room for them; false when nobody wants any more.
    fn take(&mut self, chunks: Vec<Bytes>) -> bool;

    /// That was all of it. Without this call the page has broken off.
    fn end(&mut self);

    /// How long it had to wait for room.
    fn waited(&self) -> Duration;
}

impl fmt::Debug for dyn Outlet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outlet")
    }
}

/// What was written so far.
#[derive(Debug, Default)]
pub struct Chunks {
    /// Where buffers come from and go back to, when they are to be used again.
    pool: Option<Arc<Pool>>,
    closed: Vec<Bytes>,
    closed_bytes: usize,
    open: Vec<u8>,
    /// Bytes that are held, and where everything goes when there are more.
    outlet: Option<(usize, Box<dyn Outlet>)>,
    flows: bool,
    is_unwanted: bool,
}

impl Chunks {
    /// Nothing yet; what will be written is written into buffers of a pool.
    #[must_use]
    pub fn pooled(pool: Arc<Pool>) -> Self {
        let open = pool.take();
        Self { pool: Some(pool), open, ..Self::default() }
    }

    /// The same, but what goes beyond so many bytes is not held: all of it goes to the outlet then.
    #[must_use]
    pub fn with_outlet(self, most: usize, outlet: Box<dyn Outlet>) -> Self {
        Self { outlet: Some((most, outlet)), ..self }
    }

    /// Whether chunks go to the outlet.
    #[must_use]
    pub fn flows(&self) -> bool {
        self.flows
    }

    /// Whether nobody wants what else will be written.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.is_unwanted
    }

    /// How long the outlet had to wait.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.outlet.as_ref().map_or(Duration::ZERO, |(_, outlet)| outlet.waited())
    }

    /// The buffer to append to. What was appended before may be cut off until [`Self::close_when_full`] is called.
    pub fn open(&mut self) -> &mut Vec<u8> {
        &mut self.open
    }

    /// Closes the buffer when it is full; to be called where nothing will be cut off any more.
    #[inline]
    pub fn close_when_full(&mut self) {
        if self.open.len() >= CHUNK {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.closed_bytes += self.open.len();
        let next = self.pool.as_ref().map_or_else(|| Vec::with_capacity(CHUNK + SLACK), |pool| pool.take());
        let full = std::mem::replace(&mut self.open, next);
        self.push(full);
    }

    fn push(&mut self, buffer: Vec<u8>) {
        self.closed.push(match &self.pool {
            Some(pool) => Bytes::from_owner(Lent { buffer, pool: Arc::clone(pool) }),
            None => Bytes::from(buffer),
        });
        if let Some((most, outlet)) = &mut self.outlet
            && (self.flows || self.closed_bytes > *most)
        {
            self.flows = true;
            let chunks = std::mem::take(&mut self.closed);
            self.is_unwanted = self.is_unwanted || !outlet.take(chunks);
        }
    }

    /// Takes out the chunks that are full.
    pub fn take_closed(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.closed)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunks, in order; none is empty. There are none of a page that went to its outlet.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bytes> {
        let open = std::mem::take(&mut self.open);
        match &self.pool {
            Some(pool) if open.is_empty() => pool.give(open),
            None if open.is_empty() => {}
            _ => self.push(open),
        }
        if let Some((_, outlet)) = self.outlet.as_mut().filter(|_| self.flows) {
            outlet.end();
        } else if let Some(pool) = &self.pool {
            pool.expect(self.closed.len());
        }
        self.closed
    }
}

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.open.extend_from_slice(bytes);
        self.close_when_full();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_lines(mut chunks: Chunks) -> Vec<Bytes> {
        let mut whole = Vec::new();
        for n in 0..30_000u32 {
            let line = format!("line {n}\n");
            whole.extend_from_slice(line.as_bytes());
            chunks.open().extend_from_slice(line.as_bytes());
            chunks.close_when_full();
        }
        assert_eq!(chunks.len(), whole.len());
        let chunks = chunks.finish();
        assert!(
            chunks.len() > 2 && chunks.iter().all(|chunk| chunk.len() < CHUNK + SLACK && !chunk.is_empty())
        );
        assert_eq!(chunks.concat(), whole);
        chunks
    }

    #[test]
    fn chunks_are_what_was_written() {
        write_lines(Chunks::default());
    }

    /// Keeps what it takes, up to so many bytes.
    struct Kept(Arc<Mutex<(Vec<Bytes>, bool)>>, usize);

    impl Outlet for Kept {
        fn take(&mut self, chunks: Vec<Bytes>) -> bool {
            let mut kept = self.0.lock().unwrap();
            kept.0.extend(chunks);
            kept.0.iter().map(Bytes::len).sum::<usize>() < self.1
        }

        fn end(&mut self) {
            self.0.lock().unwrap().1 = true;
        }

        fn waited(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn what_is_too_much_goes_to_the_outlet() {
        #[track_caller]
        fn check(most: usize, wanted: usize, bytes: usize, flows: bool, is_unwanted: bool) {
            let kept = Arc::new(Mutex::default());
            let outlet = Box::new(Kept(Arc::clone(&kept), wanted));
            let mut chunks = Chunks::pooled(Arc::default()).with_outlet(most, outlet);
            let mut whole = Vec::new();
            while whole.len() < bytes {
                let line = format!("line {}\n", whole.len());
                whole.extend_from_slice(line.as_bytes());
                chunks.open().extend_from_slice(line.as_bytes());
                chunks.close_when_full();
            }
            assert_eq!((chunks.flows(), chunks.is_unwanted()), (flows, is_unwanted));
            let held = chunks.finish();
            let (kept, has_ended) = &*kept.lock().unwrap();
            assert_eq!((held.is_empty(), *has_ended), (flows, flows));
            let told = if flows { kept.concat() } else { held.concat() };
            assert!(whole.starts_with(&told) && (is_unwanted || told.len() == whole.len()));
        }
        check(2 * CHUNK, usize::MAX, CHUNK, false, false);
        check(2 * CHUNK, usize::MAX, 5 * CHUNK, true, false);
        check(2 * CHUNK, 4 * CHUNK, 9 * CHUNK, true, true);
    }

    #[test]
    fn buffers_are_used_again_and_few_are_kept() {
        let pool = Arc::new(Pool::default());
        let kept = || pool.kept().buffers.len();
        let chunks = write_lines(Chunks::pooled(Arc::clone(&pool)));
        let part = chunks[0].slice(10..20);
        let count = chunks.len();
        drop(chunks);
        assert_eq!(kept(), count - 1, "a part of one is still there");
        drop(part);
        assert_eq!(kept(), count);
        let again = write_lines(Chunks::pooled(Arc::clone(&pool)));
        assert_eq!((kept(), again.len()), (0, count));
        let many: Vec<_> = (0..20).map(|_| write_lines(Chunks::pooled(Arc::clone(&pool)))).collect();
        assert!(many.len() * count > ALWAYS_KEPT);
        drop((again, many));
        assert_eq!(kept(), ALWAYS_KEPT);
        assert!(Chunks::pooled(Arc::clone(&pool)).finish().is_empty());
        assert_eq!(kept(), ALWAYS_KEPT);
    }

    #[test]
    fn as_many_are_kept_as_the_last_page_had() {
        #[track_caller]
        fn check(pool: &Arc<Pool>, chunks: usize, expected: usize) {
            let mut page = Chunks::pooled(Arc::clone(pool));
            for _ in 0..chunks {
                page.open().resize(CHUNK, b'x');
                page.close_when_full();
            }
            drop(page.finish());
            assert_eq!(pool.kept().buffers.len(), expected, "{chunks}");
        }
        let pool = Arc::default();
        check(&pool, 3, 4);
        check(&pool, 100, 100);
        check(&pool, 300, MOST_KEPT);
        check(&pool, 50, 50);
        check(&pool, 1, ALWAYS_KEPT);
    }
}
