//! A page as a list of buffers: it grows without ever being moved.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes after which a chunk is closed.
pub const CHUNK: usize = 64 * 1024;
/// Room for the last line of a chunk, so that it seldom has to grow.
const SLACK: usize = 2 * 1024;

/// Buffers that are kept for the next page: 2 MiB, which need not be given back.
const MOST_KEPT: usize = 32;

/// Buffers of chunks that were sent. The next page is written into them: memory that is warm, and
/// that the kernel need not clear again.
#[derive(Debug, Default)]
pub struct Pool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    fn take(&self) -> Vec<u8> {
        let kept = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(CHUNK + SLACK))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        // One that had to grow for a long line, or has no memory, is not worth keeping.
        if buffers.len() < MOST_KEPT && buffer.capacity() == CHUNK + SLACK {
            buffers.push(buffer);
        }
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

/// What was written so far.
#[derive(Debug, Default)]
pub struct Chunks {
    /// Where buffers come from and go back to, when they are to be used again.
    pool: Option<Arc<Pool>>,
    closed: Vec<Bytes>,
    closed_bytes: usize,
    open: Vec<u8>,
}

impl Chunks {
    /// Nothing yet; what will be written is written into buffers of a pool.
    #[must_use]
    pub fn pooled(pool: Arc<Pool>) -> Self {
        let open = pool.take();
        Self { pool: Some(pool), open, ..Self::default() }
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

    /// The chunks, in order; none is empty.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bytes> {
        let open = std::mem::take(&mut self.open);
        match &self.pool {
            Some(pool) if open.is_empty() => pool.give(open),
            None if open.is_empty() => {}
            _ => self.push(open),
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

    #[test]
    fn buffers_are_used_again_and_few_are_kept() {
        let pool = Arc::new(Pool::default());
        let kept = || pool.buffers.lock().unwrap().len();
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
        assert!(many.len() * count > MOST_KEPT);
        drop((again, many));
        assert_eq!(kept(), MOST_KEPT);
        assert!(Chunks::pooled(Arc::clone(&pool)).finish().is_empty());
        assert_eq!(kept(), MOST_KEPT);
    }
}
