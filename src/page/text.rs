//! Prometheus text 0.0.4.

use std::time::Duration;

use super::{Chunks, push_float};
use crate::decode::{push_decimal, push_signed_decimal};
use crate::series::{Number, replace_invalid};

/// The media type, as the reference names it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Not known.
    Untyped,
}

/// What a family's lines have in common, rendered once.
#[derive(Clone, Debug)]
pub struct Family {
    /// `# HELP` and `# TYPE`.
    head: Vec<u8>,
    /// What stands before each label's value; the first holds the family's name.
    opens: Vec<Frame>,
    /// What stands between the last label's value and the number.
    close: &'static [u8],
    name: String,
    /// For histograms, `le="…"} ` for each bound and for the infinite one.
    bounds: Vec<Frame>,
}

/// Text that is written again and again: in blocks of one size, which are copied without a call.
#[derive(Clone, Debug)]
struct Frame {
    blocks: Vec<[u8; BLOCK]>,
    length: usize,
}

const BLOCK: usize = 32;

impl Frame {
    fn new(text: &[u8]) -> Self {
        let block = |part: &[u8]| {
            let mut block = [0; BLOCK];
            block.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            block
        };
        Self { blocks: text.chunks(BLOCK).map(block).collect(), length: text.len() }
    }

    #[inline]
    fn push_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        for block in &self.blocks {
            out.extend_from_slice(block);
        }
        out.truncate(end);
    }
}

impl Family {
    /// A family of counters or gauges; labels in the order of the page.
    #[must_use]
    pub fn new<'a>(name: &str, help: &str, kind: Type, labels: impl IntoIterator<Item = &'a str>) -> Self {
        let mut opens: Vec<Frame> = Vec::new();
        for label in labels {
            let open =
                if opens.is_empty() { format!("{name}{{{label}=\"") } else { format!("\",{label}=\"") };
            opens.push(Frame::new(open.as_bytes()));
        }
        let close: &[u8] = if opens.is_empty() { b" " } else { b"\"} " };
        if opens.is_empty() {
            opens.push(Frame::new(name.as_bytes()));
        }
        Self { head: head(name, help, kind), opens, close, name: name.to_owned(), bounds: Vec::new() }
    }

    /// A family of histograms with the same bounds. `le` comes after the other labels.
    #[must_use]
    pub fn histogram<'a>(
        name: &str,
        help: &str,
        labels: impl IntoIterator<Item = &'a str>,
        bounds: &[f64],
    ) -> Self {
        let mut family = Self::new("", "", Type::Histogram, labels);
        family.head = head(name, help, Type::Histogram);
        name.clone_into(&mut family.name);
        let le = |bound: f64| {
            let mut text = b"le=\"".to_vec();
            push_float(&mut text, bound);
            text.extend_from_slice(b"\"} ");
            Frame::new(&text)
        };
        family.bounds = bounds.iter().copied().chain([f64::INFINITY]).map(le).collect();
        family
    }

    fn has_labels(&self) -> bool {
        self.close.len() > 1
    }
}

fn head(name: &str, help: &str, kind: Type) -> Vec<u8> {
    let mut head = Vec::new();
    push_head(&mut head, name, help, kind);
    head
}

/// Appends the head of a family.
pub(super) fn push_head(out: &mut Vec<u8>, name: &str, help: &str, kind: Type) {
    let kind = match kind {
        Type::Counter => "counter",
        Type::Gauge => "gauge",
        Type::Histogram => "histogram",
        Type::Untyped => "untyped",
    };
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    for text in ["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", kind, "\n"] {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a row of a family that has too few of them to be worth a [`Family`].
pub(super) fn push_row<'a>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    number: Number,
    scratch: &mut Vec<u8>,
) {
    out.extend_from_slice(name.as_bytes());
    let mut open = b"{";
    for (label, value) in labels {
        out.extend_from_slice(open);
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b"=\"");
        let start = out.len();
        out.extend_from_slice(value.as_bytes());
        escape(out, start, scratch);
        out.push(b'"');
        open = b",";
    }
    out.extend_from_slice(if open == b"{" { b" " } else { b"} " });
    push_number(out, number);
    out.push(b'\n');
}

/// A page in the making.
#[derive(Debug, Default)]
pub struct TextPage {
    chunks: Chunks,
    family: usize,
    row: usize,
    label: usize,
    scratch: Vec<u8>,
    /// What all buckets of a histogram begin with, rendered once.
    bucket: Vec<u8>,
}

impl TextPage {
    /// An empty page, to be written into these chunks.
    #[must_use]
    pub fn over(chunks: Chunks) -> Self {
        Self { chunks, ..Self::default() }
    }

    /// Writes a family's head; its rows must follow.
    pub fn begin_family(&mut self, family: &Family) {
        let out = self.chunks.open();
        self.family = out.len();
        out.extend_from_slice(&family.head);
    }

    /// Takes back the head of a family that turned out to have no rows.
    pub fn abandon_family(&mut self) {
        self.chunks.open().truncate(self.family);
    }

    /// Begins a row of a counter or gauge.
    #[inline]
    pub fn begin_row(&mut self, family: &Family) {
        let out = self.chunks.open();
        self.row = out.len();
        if !family.has_labels() {
            out.extend_from_slice(family.name.as_bytes());
        }
    }

    /// Begins the value of the label with this index; what is appended to the buffer is the raw text.
    #[inline]
    pub fn begin_label(&mut self, family: &Family, index: usize) -> &mut Vec<u8> {
        let out = self.chunks.open();
        if let Some(open) = family.opens.get(index) {
            open.push_to(out);
        }
        self.label = out.len();
        out
    }

    /// Ends the value of a label: whatever was appended, what stands there now is escaped UTF-8.
    #[inline]
    pub fn end_label(&mut self) {
        escape(self.chunks.open(), self.label, &mut self.scratch);
    }

    /// Ends a row with its number.
    #[inline]
    pub fn end_row(&mut self, family: &Family, number: Number) {
        let out = self.chunks.open();
        out.extend_from_slice(family.close);
        push_number(out, number);
        out.push(b'\n');
        self.chunks.close_when_full();
    }

    /// Takes a row back that was begun and not ended.
    pub fn abandon_row(&mut self) {
        self.chunks.open().truncate(self.row);
    }

    /// A whole row from finished texts.
    pub fn row<'a>(&mut self, family: &Family, labels: impl Iterator<Item = &'a [u8]>, number: Number) {
        self.begin_row(family);
        for (index, label) in labels.enumerate() {
            self.begin_label(family, index).extend_from_slice(label);
            self.end_label();
        }
        self.end_row(family, number);
    }

    /// One histogram: `counts` of each bucket, uncumulated, the infinite one last.
    pub fn histogram<'a>(
        &mut self,
        family: &Family,
        labels: impl Iterator<Item = &'a [u8]>,
        counts: impl Iterator<Item = u64>,
        sum: Number,
    ) {
        let Self { chunks, bucket, scratch, .. } = self;
        bucket.clear();
        bucket.extend_from_slice(family.name.as_bytes());
        bucket.extend_from_slice(b"_bucket");
        let labels_at = bucket.len();
        for (label, open) in labels.zip(&family.opens) {
            open.push_to(bucket);
            let start = bucket.len();
            bucket.extend_from_slice(label);
            escape(bucket, start, scratch);
        }
        let labels_end = bucket.len();
        bucket.extend_from_slice(if labels_end == labels_at { b"{" } else { b"\"," });
        let mut total = 0u64;
        for (bound, count) in family.bounds.iter().zip(counts) {
            total = total.wrapping_add(count);
            let out = chunks.open();
            out.extend_from_slice(bucket);
            bound.push_to(out);
            push_number(out, Number::U64(total));
            out.push(b'\n');
            chunks.close_when_full();
        }
        for (suffix, number) in [(&b"_sum"[..], sum), (b"_count", Number::U64(total))] {
            let out = chunks.open();
            out.extend_from_slice(family.name.as_bytes());
            out.extend_from_slice(suffix);
            out.extend_from_slice(bucket.get(labels_at..labels_end).unwrap_or_default());
            out.extend_from_slice(family.close);
            push_number(out, number);
            out.push(b'\n');
            chunks.close_when_full();
        }
    }

    /// Whether nobody wants what else will be written.
    #[inline]
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.chunks.is_unwanted()
    }

    /// How long it had to wait until there was room for it.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.chunks.waited()
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> Chunks {
        self.chunks
    }
}

/// Appends a number: integers exactly, floats as Go does.
#[inline]
fn push_number(out: &mut Vec<u8>, number: Number) {
    match number {
        Number::U64(number) => push_decimal(out, number),
        Number::I64(number) => push_signed_decimal(out, number),
        Number::F64(number) => push_float(out, number),
    }
}

/// Makes the text from `start` on a label's value: valid UTF-8, and `\`, `"` and newlines escaped.
#[inline]
fn escape(out: &mut Vec<u8>, start: usize, scratch: &mut Vec<u8>) {
    if has_special(out.get(start..).unwrap_or_default()) {
        escape_slowly(out, start, scratch);
    }
}

/// Whether a text holds a byte that cannot stand in a label's value as it is; eight at a time.
#[inline]
fn has_special(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte of the result is set for zeros (and perhaps above one).
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let special = |word: u64| {
        let of = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        (word | of(b'"') | of(b'\\') | of(b'\n')) & HIGH != 0
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    words.iter().any(|word| special(u64::from_ne_bytes(*word))) || special(u64::from_ne_bytes(last))
}

#[cold]
fn escape_slowly(out: &mut Vec<u8>, start: usize, scratch: &mut Vec<u8>) {
    replace_invalid(out, start);
    scratch.clear();
    scratch.extend_from_slice(out.get(start..).unwrap_or_default());
    out.truncate(start);
    for byte in scratch.iter() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: TextPage) -> String {
        String::from_utf8(page.finish().finish().concat()).unwrap()
    }

    fn rendered(label: &[u8]) -> String {
        let family = Family::new("m", "h", Type::Counter, ["a"]);
        let mut page = TextPage::default();
        page.row(&family, [label].into_iter(), Number::U64(1));
        text(page)
    }

    #[test]
    fn every_byte_can_stand_in_a_label() {
        for byte in 0..=u8::MAX {
            let shown = match byte {
                b'\\' => "\\\\".to_owned(),
                b'"' => "\\\"".to_owned(),
                b'\n' => "\\n".to_owned(),
                0x80.. => "\u{fffd}".to_owned(),
                byte => char::from(byte).to_string(),
            };
            assert_eq!(rendered(&[byte]), format!("m{{a=\"{shown}\"}} 1\n"), "{byte}");
            assert_eq!(rendered(&[b'x', byte, b'y']), format!("m{{a=\"x{shown}y\"}} 1\n"), "{byte}");
        }
    }

    #[test]
    fn text_beyond_ascii_stays_and_what_is_none_is_replaced() {
        #[track_caller]
        fn check(label: &[u8], expected: &str) {
            assert_eq!(rendered(label), format!("m{{a=\"{expected}\"}} 1\n"));
        }
        check("žluťoučký \"kůň\"".as_bytes(), "žluťoučký \\\"kůň\\\"");
        check(b"\xf0\x9f\xa6\x80", "\u{1f980}");
        check(b"\xf0\x9f\xa6|", "\u{fffd}|");
        check(b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}");
        check(b"\xff\n\xfe", "\u{fffd}\\n\u{fffd}");
        check(b"", "");
    }

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for length in 0..20 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'!'; length];
                    text[place] = byte;
                    let expected = matches!(byte, b'"' | b'\\' | b'\n' | 0x80..);
                    assert_eq!(has_special(&text), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn heads_are_escaped() {
        let mut page = TextPage::default();
        page.begin_family(&Family::new("m", "back\\slash \"quoted\"\nline", Type::Gauge, []));
        assert_eq!(text(page), "# HELP m back\\\\slash \"quoted\"\\nline\n# TYPE m gauge\n");
    }

    #[test]
    fn rows_with_and_without_labels() {
        let mut page = TextPage::default();
        let bare = Family::new("bare", "", Type::Counter, []);
        page.row(&bare, std::iter::empty(), Number::U64(u64::MAX));
        page.row(&bare, std::iter::empty(), Number::I64(i64::MIN));
        page.row(&bare, std::iter::empty(), Number::F64(1e6));
        let pair = Family::new("pair", "", Type::Counter, ["a", "b"]);
        page.row(&pair, [&b"1"[..], b""].into_iter(), Number::U64(2));
        assert_eq!(
            text(page),
            "bare 18446744073709551615\nbare -9223372036854775808\nbare 1e+06\npair{a=\"1\",b=\"\"} 2\n"
        );
    }

    #[test]
    fn an_abandoned_row_leaves_nothing() {
        let family = Family::new("m", "h", Type::Counter, ["a", "b"]);
        let mut page = TextPage::default();
        page.row(&family, [&b"1"[..], b"2"].into_iter(), Number::U64(1));
        let before = page.len();
        page.begin_row(&family);
        page.begin_label(&family, 0).extend_from_slice(b"x");
        page.end_label();
        page.begin_label(&family, 1).extend_from_slice(b"half");
        page.abandon_row();
        assert_eq!(page.len(), before);
    }

    #[test]
    fn histograms_are_cumulated_and_le_comes_last() {
        let mut page = TextPage::default();
        let family = Family::histogram("h", "help", ["zone"], &[1e-6, 0.5]);
        page.begin_family(&family);
        page.histogram(&family, [&b"a\"b"[..]].into_iter(), [1, 2, 3].into_iter(), Number::F64(0.25));
        let bare = Family::histogram("g", "", [], &[1.0]);
        page.histogram(&bare, std::iter::empty(), [4, 0].into_iter(), Number::U64(9));
        assert_eq!(
            text(page),
            r#"# HELP h help
# TYPE h histogram
h_bucket{zone="a\"b",le="1e-06"} 1
h_bucket{zone="a\"b",le="0.5"} 3
h_bucket{zone="a\"b",le="+Inf"} 6
h_sum{zone="a\"b"} 0.25
h_count{zone="a\"b"} 6
g_bucket{le="1"} 4
g_bucket{le="+Inf"} 4
g_sum 9
g_count 4
"#
        );
    }
}
