//! The seam to the kernel's buffers of events: streams, their records, and who takes them.

use std::time::Instant;

use super::ReadError;

/// Some records of a buffer, copied out of it in the order in which they came. Of each there is as much as somebody
/// looks at.
#[derive(Debug, Default)]
pub struct Records {
    words: Vec<[u8; WORD]>,
    count: usize,
    /// Bytes of the first one.
    length: usize,
    /// The first word of each, and how many bytes it has. Nobody writes them as long as all are as long as the first.
    places: Vec<(usize, usize)>,
}

/// Records that are all of one length, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'r> {
    /// Bytes of each.
    pub length: usize,
    /// Bytes from one to the next: whole words.
    pub stride: usize,
    bytes: &'r [u8],
}

impl<'r> Rows<'r> {
    /// Each of them, and whatever follows it up to the next word.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        self.bytes.chunks_exact(self.stride)
    }
}

const WORD: usize = size_of::<u64>();

impl Records {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new(), count: 0, length: 0, places: Vec::new() }
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, record: &[u8]) {
        self.place(record.len());
        let (whole, rest) = record.as_chunks();
        self.words.extend_from_slice(whole);
        if !rest.is_empty() {
            let mut last = [0; WORD];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.words.push(last);
        }
    }

    /// Adds a record of so many bytes that comes in words.
    #[inline]
    pub fn push_words(&mut self, words: impl Iterator<Item = u64>, bytes: usize) {
        self.place(bytes);
        self.words.extend(words.map(u64::to_ne_bytes));
    }

    /// Adds records of so many bytes, each of which comes in as many words as that takes; how many they were.
    #[inline]
    pub fn push_rows<const WORDS: usize>(
        &mut self,
        rows: impl Iterator<Item = [u64; WORDS]>,
        bytes: usize,
    ) -> usize {
        self.words.reserve(rows.size_hint().1.unwrap_or(0) * WORDS);
        let mut added = 0;
        for row in rows {
            // A mapped array goes through memory.
            row.iter().for_each(|word| self.words.push(word.to_ne_bytes()));
            added += 1;
        }
        if self.count == 0 {
            self.length = bytes;
        }
        if bytes == self.length && self.places.is_empty() {
            self.count += added;
        } else {
            let first = self.words.len() - added * WORDS;
            (0..added).for_each(|nth| self.place_each(first + nth * WORDS, bytes));
        }
        added
    }

    /// One more, of so many bytes, begins with the next word.
    #[inline]
    fn place(&mut self, bytes: usize) {
        if self.count == 0 {
            self.length = bytes;
        }
        if bytes == self.length && self.places.is_empty() {
            self.count += 1;
        } else {
            self.place_each(self.words.len(), bytes);
        }
    }

    /// One more, of so many bytes, begins with a word; they are not of one length any more.
    #[cold]
    fn place_each(&mut self, first: usize, bytes: usize) {
        if self.places.is_empty() {
            let (length, stride) = (self.length, self.length.div_ceil(WORD));
            self.places.extend((0..self.count).map(|nth| (nth * stride, length)));
        }
        self.places.push((first, bytes));
        self.count += 1;
    }

    /// Forgets all of them, and keeps room for so many bytes at the most.
    pub fn clear(&mut self, keep: usize) {
        self.words.clear();
        self.places.clear();
        self.count = 0;
        self.words.shrink_to(keep / WORD);
        self.places.shrink_to(keep / WORD);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (bytes, stride) = (self.words.as_flattened(), self.length.div_ceil(WORD));
        (0..self.count).map(move |nth| {
            let (first, length) = self.places.get(nth).copied().unwrap_or((nth * stride, self.length));
            bytes.get(first * WORD..).and_then(|from| from.get(..length)).unwrap_or_default()
        })
    }

    /// All of them, if they are of one length and not empty.
    #[must_use]
    pub fn rows(&self) -> Option<Rows<'_>> {
        let stride = self.length.div_ceil(WORD) * WORD;
        let are_rows = self.count > 0 && stride > 0 && self.places.is_empty();
        are_rows.then(|| Rows { length: self.length, stride, bytes: self.words.as_flattened() })
    }
}

/// Why an event is not in a number that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// The buffer had no room for it, which only performance events tell.
    Full,
    /// It was shorter than what is read of it, or its number is one that cannot be added.
    Decode,
    /// It would have been one more series than a metric may have.
    SeriesLimit,
    /// It waited over a restart in a buffer that the object does not have in that form any more.
    Replaced,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::Decode, Self::SeriesLimit, Self::Replaced];

    /// A stable label value for metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "buffer_full",
            Self::Decode => "decode",
            Self::SeriesLimit => "series_limit",
            Self::Replaced => "replaced",
        }
    }
}

/// What the sinks of a stream could not use of some records.
#[derive(Debug, Default)]
pub struct Losses {
    lost: Vec<(Loss, usize)>,
}

impl Losses {
    /// A sink could not use the record at an index.
    pub fn lose(&mut self, record: usize, loss: Loss) {
        self.lost.push((loss, record));
    }

    /// How many records were lost for each reason, each once whatever the number of sinks; then none are.
    pub fn settle(&mut self, mut count: impl FnMut(Loss, u64)) {
        self.lost.sort_unstable();
        self.lost.dedup();
        for same in self.lost.chunk_by(|one, other| one.0 == other.0) {
            if let Some((loss, _)) = same.first() {
                count(*loss, same.len() as u64);
            }
        }
        self.lost.clear();
    }
}

/// Takes the records of a stream.
pub trait Sink: Send {
    /// How many bytes of a record it looks at; it gets no more.
    fn needs(&self) -> usize;

    /// Takes some records, each of which it gets once. It is also called when there are none, so that it can do
    /// what is due.
    fn record(&mut self, records: &Records, now: Instant, losses: &mut Losses);
}

/// What happened to the events of a stream so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// How many came.
    pub events: u64,
    /// How many were lost, by the reason.
    pub lost: Vec<(Loss, u64)>,
}

/// A buffer that programs write events to, and whose only reader we are.
pub trait Stream: Send + Sync {
    /// From now on these get each record, and those before get none. Until it is called for the first time, records
    /// wait in the buffer.
    ///
    /// # Errors
    /// When the buffer cannot be listened to. Records are read at scrapes only, then.
    fn connect(&self, sinks: Vec<Box<dyn Sink>>) -> Result<(), String>;

    /// Gives its sinks every record that can be had now.
    ///
    /// # Errors
    /// When that takes too long.
    fn drain(&self, deadline: Instant) -> Result<(), ReadError>;

    /// What happened so far.
    fn counts(&self) -> StreamCounts;

    /// Bytes that wait in the buffer, where that is known.
    fn unread(&self) -> Option<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_were_put_in() {
        let mut records = Records::default();
        let all: [&[u8]; 4] = [b"one", b"", b"three", b"4"];
        for _ in 0..2 {
            all.iter().for_each(|record| records.push(record));
            assert_eq!((records.iter().collect::<Vec<_>>(), records.len()), (all.to_vec(), 4));
            assert!(records.rows().is_none(), "they are of several lengths");
            records.clear(2);
            assert!(records.is_empty() && records.iter().next().is_none() && records.rows().is_none());
        }
        let words = |text: &[u8; 16]| {
            text.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect::<Vec<_>>()
        };
        records.push_words(words(b"0123456789abcdef").into_iter(), 11);
        records.push(b"x");
        records.push_words(words(b"0123456789abcdef").into_iter(), 16);
        assert_eq!(records.iter().collect::<Vec<_>>(), [&b"0123456789a"[..], b"x", b"0123456789abcdef"]);
    }

    #[test]
    fn records_of_one_length_are_rows() {
        let mut records = Records::default();
        let rows = |records: &Records| {
            records
                .rows()
                .map(|rows| (rows.length, rows.stride, rows.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()))
        };
        for nth in 1..=3usize {
            records.push(&[nth.to_ne_bytes()[0]; 3]);
            let padded = |nth: usize| [[nth.to_ne_bytes()[0]; 3].as_slice(), &[0; 5]].concat();
            assert_eq!(rows(&records), Some((3, 8, (1..=nth).map(padded).collect())));
        }
        records.push(b"four");
        assert_eq!(rows(&records), None);
        let all: [&[u8]; 5] = [&[1; 3], &[2; 3], &[3; 3], b"four", &[5; 3]];
        records.push(&[5; 3]);
        assert_eq!(records.iter().collect::<Vec<_>>(), all);
        assert_eq!(records.push_rows([[6u64.to_le()], [7u64.to_le()]].into_iter(), 1), 2);
        assert_eq!(records.iter().skip(4).collect::<Vec<_>>(), [&[5; 3][..], &[6], &[7]]);
        records.clear(0);
        assert_eq!(records.push_rows([[1, 2], [3, 4], [5, 6]].into_iter(), 11), 3);
        let words = |one: u64, other: u64| [one.to_ne_bytes(), other.to_ne_bytes()].concat();
        assert_eq!(rows(&records), Some((11, 16, vec![words(1, 2), words(3, 4), words(5, 6)])));
        assert_eq!(records.push_rows(std::iter::empty::<[u64; 0]>(), 0), 0);
        assert_eq!(records.len(), 3);
        records.clear(0);
        (0..3).for_each(|_| records.push(b""));
        assert_eq!((rows(&records), records.len(), records.iter().count()), (None, 3, 3));
    }

    #[test]
    fn a_record_is_lost_once_for_each_reason() {
        let mut losses = Losses::default();
        for (record, loss) in [
            (3, Loss::Decode),
            (1, Loss::SeriesLimit),
            (3, Loss::Decode),
            (4, Loss::Decode),
            (3, Loss::SeriesLimit),
        ] {
            losses.lose(record, loss);
        }
        let mut counted = Vec::new();
        losses.settle(|loss, count| counted.push((loss.reason(), count)));
        assert_eq!(counted, [("decode", 2), ("series_limit", 2)]);
        losses.settle(|_, _| panic!("they were counted"));
    }
}
