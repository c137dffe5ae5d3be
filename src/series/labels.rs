//! Label sets as lists of texts in one arena.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Garbage that an arena may hold before it is worth compacting.
const WORTH_COMPACTING: usize = 64 * 1024;

/// Distinct lists of label values, each with a small number.
///
/// A list is its values one after another, each with its length before it, so that
/// `["a|b", "c"]` and `["a", "b|c"]` can never be mistaken for each other, whatever is in them.
///
/// Each has a seed of its own for its hash: who chooses labels cannot choose collisions.
#[derive(Debug, Default)]
pub struct LabelSets {
    arena: Vec<u8>,
    spans: Vec<Span>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    garbage: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    length: usize,
}

impl LabelSets {
    /// The number of a list, and whether it is new.
    pub fn intern(&mut self, list: &[u8]) -> (u32, bool) {
        let hash = self.hasher.hash_one(list);
        if let Some(set) = self.find_hashed(list, hash) {
            return (set, false);
        }
        (self.index(list, hash), true)
    }

    /// Appends a list that is certain to be none of those before it, to be looked up by nobody.
    pub(super) fn append(&mut self, list: &[u8]) -> u32 {
        self.put(list)
    }

    /// Appends a list that is certain to be none of those before it, to be looked up later.
    pub fn append_indexed(&mut self, list: &[u8]) {
        self.index(list, self.hasher.hash_one(list));
    }

    fn index(&mut self, list: &[u8], hash: u64) -> u32 {
        let set = self.put(list);
        let (arena, spans, hasher) = (&self.arena, &self.spans, &self.hasher);
        self.table.insert_unique(hash, set, |set| hasher.hash_one(text(arena, spans, *set)));
        set
    }

    /// Forgets all lists; the memory is kept for others.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.spans.clear();
        self.table.clear();
        self.free.clear();
        self.garbage = 0;
    }

    /// Makes room for so many more lists, of so many bytes together.
    pub(super) fn reserve(&mut self, lists: usize, bytes: usize) {
        self.spans.reserve(lists);
        self.arena.reserve(bytes);
    }

    /// Makes room in the table, too.
    pub(super) fn reserve_table(&mut self, lists: usize) {
        let (arena, spans, hasher) = (&self.arena, &self.spans, &self.hasher);
        self.table.reserve(lists, |set| hasher.hash_one(text(arena, spans, *set)));
    }

    /// Bytes of memory that lists are in, tables apart.
    pub(super) fn used(&self) -> usize {
        self.arena.len() + self.spans.len() * size_of::<Span>()
    }

    /// Bytes of memory that there is for lists.
    pub(super) fn held(&self) -> usize {
        self.arena.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Bytes of all lists.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len().saturating_sub(self.garbage)
    }

    fn put(&mut self, list: &[u8]) -> u32 {
        let span = Span { start: self.arena.len(), length: list.len() };
        self.arena.extend_from_slice(list);
        let set = match self.free.pop() {
            Some(set) => set,
            None => {
                self.spans.push(Span::default());
                u32::try_from(self.spans.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.spans.get_mut(set as usize) {
            *place = span;
        }
        set
    }

    /// The number of a list that is there.
    #[must_use]
    pub fn find(&self, list: &[u8]) -> Option<u32> {
        self.find_hashed(list, self.hasher.hash_one(list))
    }

    fn find_hashed(&self, list: &[u8], hash: u64) -> Option<u32> {
        self.table.find(hash, |set| text(&self.arena, &self.spans, *set) == list).copied()
    }

    /// The list behind a number, as it was interned.
    #[must_use]
    pub fn list(&self, set: u32) -> &[u8] {
        text(&self.arena, &self.spans, set)
    }

    /// One more than the largest number ever given at the same time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.spans.len()
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Forgets a list; its number may be given to another.
    pub fn remove(&mut self, set: u32) {
        let hash = self.hasher.hash_one(self.list(set));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == set) {
            entry.remove();
            self.garbage += self.spans.get(set as usize).map_or(0, |span| span.length);
            self.free.push(set);
        }
        if self.garbage > WORTH_COMPACTING && self.garbage > self.arena.len() / 2 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len().saturating_sub(self.garbage));
        for set in &self.table {
            let Some(span) = self.spans.get_mut(*set as usize) else { continue };
            let start = arena.len();
            arena.extend_from_slice(self.arena.get(span.start..span.start + span.length).unwrap_or_default());
            span.start = start;
        }
        self.arena = arena;
        self.garbage = 0;
    }
}

fn text<'a>(arena: &'a [u8], spans: &[Span], set: u32) -> &'a [u8] {
    spans
        .get(set as usize)
        .and_then(|span| arena.get(span.start..span.start + span.length))
        .unwrap_or_default()
}

/// Appends one label's value to a list: `write` appends the raw text and says whether it is to stay.
///
/// Bytes that are not UTF-8 are replaced here, before lists are compared: two texts that
/// would look the same on the page are the same label set.
///
/// # Errors
/// Those of `write`; the list is as it was then.
pub fn push_label<T, E>(
    list: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
) -> Result<T, E> {
    let start = list.len();
    list.extend_from_slice(&[0; 4]);
    let written = write(list);
    if written.is_err() {
        list.truncate(start);
        return written;
    }
    replace_invalid(list, start + 4);
    let length = u32::try_from(list.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = list.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_ne_bytes());
    }
    written
}

/// Replaces what is not UTF-8 from `start` on by U+FFFD, once for each invalid sequence.
pub fn replace_invalid(text: &mut Vec<u8>, start: usize) {
    let Some(tail) = text.get(start..) else { return };
    if tail.is_ascii() || std::str::from_utf8(tail).is_ok() {
        return;
    }
    // It is made behind the text, whose place it takes then: nothing is allocated where there is room.
    let end = text.len();
    let mut from = start;
    while let Some(chunk) = text.get(from..end).and_then(|rest| rest.utf8_chunks().next()) {
        let (valid, invalid) = (chunk.valid().len(), chunk.invalid().len());
        text.extend_from_within(from..from + valid);
        if invalid > 0 {
            text.extend_from_slice("\u{fffd}".as_bytes());
        }
        from += valid + invalid;
    }
    text.drain(start..end);
}

/// The values of a list, in order.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Labels<'a> {
    /// Walks a list.
    #[must_use]
    pub fn new(list: &'a [u8]) -> Self {
        Self { rest: list }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (label, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
        self.rest = rest;
        Some(label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(labels: &[&[u8]]) -> Vec<u8> {
        let mut list = Vec::new();
        for label in labels {
            push_label(&mut list, |out| {
                out.extend_from_slice(label);
                Ok::<_, ()>(())
            })
            .unwrap();
        }
        list
    }

    proptest::proptest! {
        /// What is not UTF-8 is replaced where it stands, and what is before it is left alone.
        #[test]
        fn invalid_text_is_replaced_as_the_library_does_it(
            text in proptest::collection::vec(
                proptest::sample::select(vec![0u8, b'a', b'z', 0x80, 0xbf, 0xc3, 0xa4, 0xe2, 0x82, 0xac, 0xf0, 0xff]), 0..20),
        ) {
            let mut list = [b"\xff", text.as_slice()].concat();
            replace_invalid(&mut list, 1);
            proptest::prop_assert_eq!(&list[..1], b"\xff");
            let expected = String::from_utf8_lossy(&text).into_owned().into_bytes();
            proptest::prop_assert_eq!(&list[1..], &expected[..]);
        }
    }

    #[test]
    fn lists_are_compared_as_lists() {
        let mut sets = LabelSets::default();
        assert_eq!(sets.intern(&list(&[b"a|b", b"c"])), (0, true));
        assert_eq!(sets.intern(&list(&[b"a", b"b|c"])), (1, true));
        assert_eq!(sets.intern(&list(&[b"a", b"b|", b"c"])), (2, true));
        assert_eq!(sets.intern(&list(&[b"a|b", b"c"])), (0, false));
        assert_eq!(sets.intern(&list(&[b"a|b\0", b"c"])), (3, true));
        assert_eq!(sets.intern(&[]), (4, true));
        assert_eq!(sets.len(), 5);
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        let mut sets = LabelSets::default();
        assert_eq!(sets.intern(&list(&[b"x\xff"])), (0, true));
        assert_eq!(sets.intern(&list(&[b"x\xfe"])), (0, false));
        assert_eq!(Labels::new(sets.list(0)).collect::<Vec<_>>(), ["x\u{fffd}".as_bytes()]);
    }

    #[test]
    fn a_failed_label_leaves_the_list_alone() {
        let mut whole = list(&[b"a"]);
        let before = whole.clone();
        let failed = push_label(&mut whole, |out| {
            out.extend_from_slice(b"half");
            Err::<(), _>("no")
        });
        assert_eq!((failed, whole), (Err("no"), before));
    }

    #[test]
    fn numbers_are_used_again_and_the_arena_shrinks() {
        let mut sets = LabelSets::default();
        let long = vec![b'x'; 1024];
        for turn in 0..1000u32 {
            let (set, fresh) = sets.intern(&list(&[&long, &turn.to_ne_bytes()]));
            assert!(fresh);
            assert_eq!(Labels::new(sets.list(set)).count(), 2);
            sets.remove(set);
        }
        assert_eq!((sets.len(), sets.capacity()), (0, 1));
        assert!(sets.arena.len() < 2 * WORTH_COMPACTING + 2048, "{}", sets.arena.len());
    }

    #[test]
    fn removing_keeps_the_others() {
        let mut sets = LabelSets::default();
        let lists: Vec<_> = (0..5000u32).map(|n| list(&[&[b'y'; 40], n.to_string().as_bytes()])).collect();
        let numbers: Vec<_> = lists.iter().map(|list| sets.intern(list).0).collect();
        for set in numbers.iter().step_by(2) {
            sets.remove(*set);
        }
        for (index, set) in numbers.iter().enumerate().filter(|(index, _)| index % 2 == 1) {
            assert_eq!(sets.list(*set), lists[index]);
            assert_eq!(sets.intern(&lists[index]), (*set, false));
        }
    }
}
