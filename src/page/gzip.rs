//! The gzip coding, at the level where time and size meet.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Chunks;

/// Compresses a page, chunk by chunk. Level 1: higher levels cost a multiple and save a third.
#[must_use]
pub fn gzip(plain: Vec<Bytes>) -> Vec<Bytes> {
    let mut encoder = GzEncoder::new(Chunks::default(), Compression::fast());
    for chunk in plain {
        // Writing to memory cannot fail.
        let _ = encoder.write_all(&chunk);
    }
    encoder.finish().map(Chunks::finish).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_comes_out_unpacks_to_what_went_in() {
        let plain: Vec<Bytes> =
            (0..40u32).map(|n| Bytes::from(format!("{n} some text\n").repeat(5000))).collect();
        let packed = gzip(plain.clone()).concat();
        assert!(packed.len() < plain.concat().len() / 10);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.concat());
    }
}
