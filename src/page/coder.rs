//! Coding a page while it is made, chunk after chunk.

use std::io;

use bytes::Bytes;

use super::Coding;
use super::gzip::GzipStream;
use super::zstd::ZstdStream;

/// A coding under way.
pub struct Coder(Under);

enum Under {
    Identity,
    Gzip(GzipStream),
    Zstd(ZstdStream),
}

impl Coder {
    /// A page that has not begun.
    ///
    /// # Errors
    /// When there is no memory for its tables.
    pub fn new(coding: Coding) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Identity => Under::Identity,
            Coding::Gzip => Under::Gzip(GzipStream::default()),
            Coding::Zstd => Under::Zstd(ZstdStream::new()?),
        }))
    }

    /// Takes the chunks that follow, and gives what is ready of all that were taken.
    ///
    /// # Errors
    /// When they cannot be coded; then the page cannot go on.
    pub fn push(&mut self, plain: &[Bytes]) -> io::Result<Vec<Bytes>> {
        let mut packed = Vec::new();
        match &mut self.0 {
            Under::Identity => packed.extend_from_slice(plain),
            Under::Gzip(stream) => stream.push(plain.to_vec(), &mut packed)?,
            Under::Zstd(stream) => stream.push(plain, &mut packed)?,
        }
        Ok(packed)
    }

    /// What is left when there is no more to come.
    ///
    /// # Errors
    /// As [`Coder::push`].
    pub fn finish(&mut self) -> io::Result<Vec<Bytes>> {
        let mut packed = Vec::new();
        match &mut self.0 {
            Under::Identity => {}
            Under::Gzip(stream) => stream.finish(&mut packed)?,
            Under::Zstd(stream) => stream.finish(&mut packed)?,
        }
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(coding: Coding, packed: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Identity => packed.to_vec(),
            Coding::Gzip => {
                let mut plain = Vec::new();
                let mut decoder = flate2::bufread::GzDecoder::new(packed);
                decoder.read_to_end(&mut plain).unwrap();
                assert!(decoder.into_inner().is_empty(), "there is one member");
                plain
            }
            Coding::Zstd => ::zstd::stream::decode_all(packed).unwrap(),
        }
    }

    #[test]
    fn what_comes_out_piece_by_piece_is_the_page() {
        #[track_caller]
        fn check(coding: Coding, chunks: u32) {
            let mut number = 0u32;
            let mut text = || {
                number += 1;
                let lines = (0..4000)
                    .map(|line| format!("line {}\n", (number * 4000 + line).wrapping_mul(2_654_435_761)));
                Bytes::from(lines.collect::<String>())
            };
            let plain: Vec<Bytes> = (0..chunks).map(|_| text()).collect();
            let mut coder = Coder::new(coding).unwrap();
            let (mut packed, mut early) = (Vec::new(), 0);
            for pair in plain.chunks(2) {
                packed.extend(coder.push(pair).unwrap());
                early = packed.len();
            }
            packed.extend(coder.finish().unwrap());
            assert!(chunks < 100 || early > 1, "{coding:?}: nothing came before the end");
            assert!(decoded(coding, &packed.concat()) == plain.concat(), "{coding:?}");
        }
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            for chunks in [0, 1, 7, 200] {
                check(coding, chunks);
            }
        }
    }
}
