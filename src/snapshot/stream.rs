//! The seam to the kernel's buffers of events: streams, their records, and who takes them.

use std::time::Instant;

use super::ReadError;

/// Some records of a buffer, copied out of it in the order in which they came. Of each there is as much as somebody
/// looks at.
#[derive(Debug, Default)]
pub struct Records {
    words: Vec<[u8; 8]>,
    /// The first word of each, and how many bytes it has.
    places: Vec<(usize, usize)>,
}

impl Records {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new(), places: Vec::new() }
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, record: &[u8]) {
        self.places.push((self.words.len(), record.len()));
        let (whole, rest) = record.as_chunks();
        self.words.extend_from_slice(whole);
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.words.push(last);
        }
    }

    /// Adds a record of so many bytes that comes in words.
    #[inline]
    pub fn push_words(&mut self, words: impl Iterator<Item = u64>, bytes: usize) {
        self.places.push((self.words.len(), bytes));
        self.words.extend(words.map(u64::to_ne_bytes));
    }

    /// Forgets all of them, and keeps room for so many bytes at the most.
    pub fn clear(&mut self, keep: usize) {
        self.words.clear();
        self.places.clear();
        self.words.shrink_to(keep / size_of::<u64>());
        self.places.shrink_to(keep / size_of::<u64>());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.words.as_flattened();
        self.places.iter().map(move |(first, length)| {
            bytes.get(first * 8..).and_then(|from| from.get(..*length)).unwrap_or_default()
        })
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
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Full, Self::Decode, Self::SeriesLimit];

    /// A stable label value for metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "buffer_full",
            Self::Decode => "decode",
            Self::SeriesLimit => "series_limit",
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
            records.clear(2);
            assert!(records.is_empty() && records.iter().next().is_none());
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
