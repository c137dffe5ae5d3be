//! `/maps` with `--debug`: what every map holds, as raw bytes and numbers.

use std::fmt::Write;
use std::time::Instant;

use crate::scrape::Generation;
use crate::server::Response;
use crate::snapshot::{Batch, Limits, NamedSource, ReadError};

/// Text of one page at most: it is meant for eyes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The page. A map that cannot be read says so in its place.
pub fn response(generation: &Generation, deadline: Instant) -> Response {
    let mut text = String::new();
    for view in generation.views() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "## Config: {}\n", view.config);
        for named in &view.sources {
            let _ = writeln!(text, "### Map: {}\n", named.map);
            push_map(&mut text, named, deadline);
            text.push('\n');
        }
    }
    Response::text(200, text)
}

fn push_map(text: &mut String, named: &NamedSource, deadline: Instant) {
    let begin = text.len();
    let limits = Limits { deadline, max_bytes: MAX_BYTES };
    let result = named.source.read(&limits, &mut |batch| {
        push_batch(text, &batch);
        if text.len() > MAX_BYTES { Err(ReadError::TooLarge(MAX_BYTES)) } else { Ok(()) }
    });
    match result {
        Ok(statistics) => {
            let _ = writeln!(text, "{} entries", statistics.entries);
        }
        Err(error) => {
            text.truncate(begin);
            let _ = writeln!(text, "cannot be read: {error}");
        }
    }
}

/// One line an entry: the key's bytes in hex, then each CPU's value as a number where it fits one.
fn push_batch(text: &mut String, batch: &Batch<'_>) {
    let shape = batch.shape;
    let row_bytes = shape.lanes * shape.lane_stride;
    let keys = batch.keys.chunks_exact(shape.key_size.max(1));
    let rows = batch.values.chunks_exact(row_bytes.max(1));
    for (key, row) in keys.zip(rows).take(batch.rows) {
        push_hex(text, key);
        text.push_str(" ->");
        for lane in row.chunks_exact(shape.lane_stride.max(1)) {
            text.push(' ');
            push_value(text, lane.get(..shape.value_size).unwrap_or(lane));
        }
        text.push('\n');
    }
}

fn push_value(text: &mut String, bytes: &[u8]) {
    let mut wide = [0; 8];
    match (bytes.len(), wide.get_mut(..bytes.len())) {
        (1 | 2 | 4 | 8, Some(part)) => {
            // Only little-endian machines pad a short number behind it.
            part.copy_from_slice(bytes);
            let number = u64::from_le_bytes(wide);
            let number = if cfg!(target_endian = "big") {
                number.swap_bytes() >> (64 - 8 * bytes.len())
            } else {
                number
            };
            let _ = write!(text, "{number}");
        }
        _ => push_hex(text, bytes),
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}
