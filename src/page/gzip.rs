//! The gzip coding, at the level where time and size meet, on all cores.
//!
//! A long page is cut into pieces that are deflated independently of each other, by as many
//! threads as there are CPUs. What they make is one stream all the same, not several members:
//! each piece ends at a byte, with a flush, and the next one refers to nothing before it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes after which a piece ends: enough that what the next one cannot refer to costs next to nothing.
const PIECE: usize = 256 * 1024;
/// Room for what comes out of one call.
const ROOM: usize = 4 * 1024;
/// More threads than this gain nothing worth their stacks.
const MOST_THREADS: usize = 4;
/// Pieces that are deflated at a time of a page that is not there yet as a whole.
const BATCH: usize = 8;
/// RFC 1952: deflated, no name and no time, the fastest level, any system.
const HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// RFC 1951: a last block that holds nothing.
const END: [u8; 2] = [3, 0];

/// Compresses a page; none when that fails. Level 1: the next one saves three tenths of the bytes
/// and takes half as much time again.
#[must_use]
pub fn gzip(plain: &[Bytes]) -> Option<Vec<Bytes>> {
    let mut stream = GzipStream::default();
    let mut packed = Vec::new();
    stream.deflate(plain, &mut packed).ok()?;
    stream.end(&mut packed);
    Some(packed)
}

/// A page that is compressed while it is made.
#[derive(Debug, Default)]
pub(super) struct GzipStream {
    /// Chunks that wait until there are enough of them for all cores.
    waiting: Vec<Bytes>,
    has_begun: bool,
    crc: Crc,
}

impl GzipStream {
    /// Takes chunks; those that are ready come out.
    pub(super) fn push(&mut self, plain: Vec<Bytes>, packed: &mut Vec<Bytes>) -> io::Result<()> {
        self.waiting.extend(plain);
        if self.waiting.iter().map(Bytes::len).sum::<usize>() < PIECE * BATCH {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.deflate(&waiting, packed)
    }

    /// The rest of the stream.
    pub(super) fn finish(&mut self, packed: &mut Vec<Bytes>) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.deflate(&waiting, packed)?;
        self.end(packed);
        Ok(())
    }

    fn deflate(&mut self, plain: &[Bytes], packed: &mut Vec<Bytes>) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_begun, true) {
            packed.push(Bytes::from_static(HEAD));
        }
        let pieces = pieces(plain);
        let threads = match pieces.len() {
            0 | 1 => 1,
            pieces => {
                std::thread::available_parallelism().map_or(1, usize::from).min(pieces).min(MOST_THREADS)
            }
        };
        for piece in deflate_all(&pieces, threads) {
            let piece = piece?;
            self.crc.combine(&piece.crc);
            packed.push(piece.deflated);
        }
        Ok(())
    }

    fn end(&self, packed: &mut Vec<Bytes>) {
        let mut tail = END.to_vec();
        tail.extend(self.crc.sum().to_le_bytes());
        tail.extend(self.crc.amount().to_le_bytes());
        packed.push(tail.into());
    }
}

/// What became of a piece.
struct Piece {
    deflated: Bytes,
    crc: Crc,
}

/// The page in parts of about the same size.
fn pieces(plain: &[Bytes]) -> Vec<&[Bytes]> {
    let mut size = 0;
    let is_part_of_piece = |chunk: &Bytes, _: &Bytes| {
        size += chunk.len();
        let goes_on = size < PIECE;
        if !goes_on {
            size = 0;
        }
        goes_on
    };
    plain.chunk_by(is_part_of_piece).collect()
}

/// Deflates pieces on so many threads, this one among them; in their order.
fn deflate_all(pieces: &[&[Bytes]], threads: usize) -> Vec<io::Result<Piece>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(pieces.len()));
    let work = || {
        let mut deflater = Compress::new(Compression::fast(), false);
        while let Some((index, piece)) = take(pieces, &next) {
            let piece = deflate(piece, &mut deflater);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, piece));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does all of it.
            let _ = std::thread::Builder::new().name("gzip".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, piece)| piece).collect()
}

fn take<'a>(pieces: &[&'a [Bytes]], next: &AtomicUsize) -> Option<(usize, &'a [Bytes])> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    pieces.get(index).map(|piece| (index, *piece))
}

/// Deflates a piece up to a byte's end. `flate2`'s own writer is no help: its flush forgets what it was asked for
/// when the last block is longer than its buffer.
fn deflate(piece: &[Bytes], deflater: &mut Compress) -> io::Result<Piece> {
    deflater.reset();
    let mut crc = Crc::new();
    let mut deflated = Vec::with_capacity(PIECE / 2);
    for chunk in piece {
        crc.update(chunk);
        let mut rest: &[u8] = chunk;
        while !rest.is_empty() {
            let before = deflater.total_in();
            deflater.compress_vec(rest, roomy(&mut deflated), FlushCompress::None)?;
            let taken = usize::try_from(deflater.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
    loop {
        deflater.compress_vec(&[], roomy(&mut deflated), FlushCompress::Sync)?;
        // As long as it fills all the room, there is more to come.
        if deflated.len() < deflated.capacity() {
            return Ok(Piece { deflated: deflated.into(), crc });
        }
    }
}

/// A buffer with room for a good part of a block.
fn roomy(buffer: &mut Vec<u8>) -> &mut Vec<u8> {
    if buffer.capacity() - buffer.len() < ROOM {
        buffer.reserve(PIECE / 4);
    }
    buffer
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// One member and nothing behind it gives back the page.
    #[track_caller]
    fn check(plain: &[Bytes], pieces_expected: usize) {
        assert_eq!(pieces(plain).len(), pieces_expected);
        let packed = gzip(plain).unwrap().concat();
        let mut unpacked = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(decoder.into_inner().is_empty(), "there is one member");
        assert!(unpacked == plain.concat());
    }

    #[test]
    fn what_comes_out_unpacks_to_what_went_in() {
        let text = |n: u32| Bytes::from(format!("{n} some text\n").repeat(5000));
        check(&[], 0);
        check(&[Bytes::new()], 1);
        check(&[Bytes::from_static(b"a")], 1);
        check(&[text(1), Bytes::new(), text(2)], 1);
        check(&(0..40).map(text).collect::<Vec<_>>(), 8);
        let long = Bytes::from(text(7).repeat(20));
        check(&[long.clone(), text(1), long], 2);
    }

    #[test]
    fn what_does_not_pack_well_comes_out_too() {
        let line = |n: u32| format!("{:x} {}\n", n.wrapping_mul(2_654_435_761), n.wrapping_mul(40_503));
        let chunk = |n: u32| Bytes::from((0..3_000).map(|row| line(n * 3_000 + row)).collect::<String>());
        for chunks in [1u16, 2, 3, 40] {
            let plain: Vec<Bytes> = (0..u32::from(chunks)).map(chunk).collect();
            let pieces = pieces(&plain).len();
            check(&plain, pieces);
            assert!(gzip(&plain).unwrap().concat().len() > plain.concat().len() / 4);
        }
    }

    #[test]
    fn pieces_come_in_their_order_whatever_the_threads() {
        let plain: Vec<Bytes> = (0..200u32).map(|n| Bytes::from(n.to_string().repeat(30_000))).collect();
        let expected = gzip(&plain).unwrap().concat();
        for threads in 1..6 {
            let pieces = deflate_all(&pieces(&plain), threads);
            let deflated: Vec<Bytes> = pieces.into_iter().map(|piece| piece.unwrap().deflated).collect();
            let deflated = deflated.concat();
            assert!(expected[HEAD.len()..].starts_with(&deflated), "{threads} threads");
        }
    }
}
