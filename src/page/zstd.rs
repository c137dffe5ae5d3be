//! The zstd coding: three quarters of gzip's time for two thirds of its bytes.

use std::io::{self, Write};

use ::zstd::stream::write::Encoder;
use bytes::Bytes;

use super::Chunks;

/// Above this, time rises faster than size falls.
const LEVEL: i32 = 1;

/// Compresses a page into one frame; none when that fails.
#[must_use]
pub fn zstd(plain: &[Bytes]) -> Option<Vec<Bytes>> {
    pack(plain).ok()
}

fn pack(plain: &[Bytes]) -> io::Result<Vec<Bytes>> {
    let mut encoder = Encoder::new(Chunks::default(), LEVEL)?;
    let size = plain.iter().map(|chunk| chunk.len() as u64).sum();
    // Small pages need small tables only; and the reader learns how much is to come.
    encoder.set_pledged_src_size(Some(size))?;
    for chunk in plain {
        encoder.write_all(chunk)?;
    }
    Ok(encoder.finish()?.finish())
}

/// A page that is compressed while it is made.
pub(super) struct ZstdStream(Encoder<'static, Chunks>);

impl ZstdStream {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Encoder::new(Chunks::default(), LEVEL)?))
    }

    /// Takes chunks; what is ready comes out.
    pub(super) fn push(&mut self, plain: &[Bytes], packed: &mut Vec<Bytes>) -> io::Result<()> {
        for chunk in plain {
            self.0.write_all(chunk)?;
        }
        packed.append(&mut self.0.get_mut().take_closed());
        Ok(())
    }

    /// The rest of the frame.
    pub(super) fn finish(&mut self, packed: &mut Vec<Bytes>) -> io::Result<()> {
        self.0.do_finish()?;
        packed.append(&mut std::mem::take(self.0.get_mut()).finish());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plain: &[Bytes]) {
        let packed = zstd(plain).unwrap().concat();
        assert!(::zstd::stream::decode_all(&packed[..]).unwrap() == plain.concat());
        assert!(packed.len() < plain.concat().len() / 10 + 64);
    }

    #[test]
    fn what_comes_out_unpacks_to_what_went_in() {
        let text = |n: u32| Bytes::from(format!("{n} some text\n").repeat(5000));
        check(&[]);
        check(&[Bytes::new()]);
        check(&[text(1), Bytes::new(), text(2)]);
        check(&(0..200).map(text).collect::<Vec<_>>());
    }
}
