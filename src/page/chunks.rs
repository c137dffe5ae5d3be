//! A page as a list of buffers: it grows without ever being moved.

use bytes::Bytes;

/// Bytes after which a chunk is closed.
pub const CHUNK: usize = 64 * 1024;
/// Room for the last line of a chunk, so that it seldom has to grow.
const SLACK: usize = 2 * 1024;

/// What was written so far.
#[derive(Debug, Default)]
pub struct Chunks {
    closed: Vec<Bytes>,
    closed_bytes: usize,
    open: Vec<u8>,
}

impl Chunks {
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
        let full = std::mem::replace(&mut self.open, Vec::with_capacity(CHUNK + SLACK));
        self.closed.push(Bytes::from(full));
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
        if !self.open.is_empty() {
            self.closed.push(Bytes::from(std::mem::take(&mut self.open)));
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

    #[test]
    fn chunks_are_what_was_written() {
        let mut chunks = Chunks::default();
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
    }
}
