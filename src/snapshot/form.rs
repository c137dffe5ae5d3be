//! Whether keys have the form in which different ones are shown as different.
//!
//! Seen while a batch is copied, when its keys are in the nearest cache, sixteen bytes of a key at a time and without a
//! branch for a key: nearly all text is ASCII, and what is not is looked at a second time.

use std::ops::Range;

/// Bytes that are looked at together.
const WINDOW: usize = size_of::<u128>();

const ONES: u128 = u128::MAX / 255;
/// The highest bit of each byte, and all others.
const HIGH: u128 = ONES << 7;
const LOW: u128 = !HIGH;

/// What must hold of a key: text is valid UTF-8 up to the first NUL and zeros after it, and bits that nothing shows
/// are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyForm {
    key_size: usize,
    texts: Vec<Range<usize>>,
    /// Of each byte, the bits that must be zero.
    zeros: Vec<u8>,
    windows: Vec<Window>,
}

/// What must hold of some bytes of a key that follow each other, the first one in the lowest bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    at: usize,
    /// Bits that are not set in keys of this form; of text those that ASCII does not have.
    unset: u128,
    /// The highest bit of each byte of text that has a neighbour in the same text behind it.
    followed: u128,
}

impl KeyForm {
    /// The form of keys of so many bytes, of which some are text and of which `zeros` names the bits of each byte
    /// that must be zero.
    #[must_use]
    pub fn new(key_size: usize, texts: Vec<Range<usize>>, zeros: Vec<u8>) -> Self {
        let mut form = Self { key_size, texts, zeros, windows: Vec::new() };
        form.windows = form.windows();
        form
    }

    /// Whether every key has it.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.windows.is_empty()
    }

    /// Whether all of some keys have it, which lie one behind the other.
    #[must_use]
    pub fn is_of_all(&self, keys: &[u8]) -> bool {
        let keys = keys.chunks_exact(self.key_size.max(1));
        let doubts = match self.windows.as_slice() {
            [] => return true,
            [window] => keys.clone().fold(0, |doubts, key| doubts | window.doubts(key)),
            _ => keys.clone().fold(0, |doubts, key| doubts | self.doubts(key)),
        };
        doubts == 0 || keys.into_iter().all(|key| self.doubts(key) == 0 || self.is_of(key))
    }

    /// Bits that are not as those of a key with nothing but ASCII.
    fn doubts(&self, key: &[u8]) -> u128 {
        self.windows.iter().fold(0, |doubts, window| doubts | window.doubts(key))
    }

    /// Whether a key has it, whatever its text is.
    fn is_of(&self, key: &[u8]) -> bool {
        self.texts.iter().all(|range| key.get(range.clone()).is_some_and(is_text))
            && self.zeros.iter().zip(key).all(|(zeros, byte)| zeros & byte == 0)
    }

    /// As few windows as hold every byte that matters, each together with the one behind it.
    fn windows(&self) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        for at in 0..self.key_size {
            let mut unset = self.zeros.get(at).copied().unwrap_or(0);
            if self.is_text(at) {
                unset |= 0x80;
            }
            let is_followed = self.texts.iter().any(|text| text.contains(&at) && at + 1 < text.end);
            if unset != 0 {
                let length = if is_followed { 2 } else { 1 };
                self.window(&mut windows, at, length).require(at, unset, is_followed);
            }
        }
        windows
    }

    fn is_text(&self, at: usize) -> bool {
        self.texts.iter().any(|text| text.contains(&at))
    }

    /// The last window if it holds some bytes, or a new one.
    fn window<'w>(&self, windows: &'w mut Vec<Window>, at: usize, length: usize) -> &'w mut Window {
        if windows.last().is_none_or(|last| at + length > last.at + WINDOW) {
            windows.push(Window { at: at.min(self.key_size.saturating_sub(WINDOW)), ..Window::default() });
        }
        let last = windows.len() - 1;
        &mut windows[last]
    }
}

impl Window {
    fn require(&mut self, at: usize, unset: u8, is_followed: bool) {
        let shift = (at - self.at) * 8;
        self.unset |= u128::from(unset) << shift;
        self.followed |= u128::from(is_followed) << (shift + 7);
    }

    /// Bits that should not be set, and bytes of text that are zero and not the last thing in it.
    #[inline]
    fn doubts(&self, key: &[u8]) -> u128 {
        let bytes = match key.get(self.at..).and_then(|from| from.first_chunk()) {
            Some(bytes) => u128::from_le_bytes(*bytes),
            None => short(key),
        };
        let used = ((bytes & LOW) + LOW) | bytes;
        (bytes & self.unset) | ((used >> 8) & !used & self.followed)
    }
}

/// A key that is shorter than a window, zeros behind it.
#[inline]
fn short(key: &[u8]) -> u128 {
    // What lies in the middle is in both halves.
    if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        let behind = (key.len().min(WINDOW) - 8) * 8;
        return u128::from(u64::from_le_bytes(*first)) | (u128::from(u64::from_le_bytes(*last)) << behind);
    }
    if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        let behind = (key.len() - 4) * 8;
        return u128::from(u32::from_le_bytes(*first)) | (u128::from(u32::from_le_bytes(*last)) << behind);
    }
    key.iter().rev().fold(0, |bytes, byte| (bytes << 8) | u128::from(*byte))
}

/// Whether bytes are UTF-8 up to the first NUL, and zeros from there on.
fn is_text(text: &[u8]) -> bool {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let (text, tail) = text.split_at(end);
    std::str::from_utf8(text).is_ok() && tail.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BYTES: [u8; 10] = [0, 1, 2, b'a', b'z', 0x7f, 0x80, 0xc3, 0xa4, 0xff];

    /// A key `{u32 number; char text[size]; u8 bits; u8 padding[3]}`, of whose bits three are shown.
    fn form(size: usize) -> KeyForm {
        let mut zeros = vec![0; 4 + size];
        zeros.extend([0xf8, 0xff, 0xff, 0xff]);
        let text = 4..4 + size;
        KeyForm::new(8 + size, vec![text], zeros)
    }

    #[track_caller]
    fn check(text: &[u8], rest: [u8; 4], expected: bool) {
        let key = [&[0xff; 4][..], text, &rest].concat();
        let good = [&[0xff; 4][..], &vec![0; text.len()], &[7, 0, 0, 0]].concat();
        let form = form(text.len());
        assert_eq!(form.is_of_all(&key), expected, "{text:?} {rest:?}");
        // Wherever it is among others.
        for place in 0..4 {
            let mut keys = good.repeat(3);
            keys.splice(place * good.len()..place * good.len(), key.iter().copied());
            assert_eq!(form.is_of_all(&keys), expected, "{text:?} {rest:?} at {place}");
        }
    }

    #[test]
    fn text_is_utf8_with_zeros_behind_it() {
        check(b"", [0; 4], true);
        check(b"a", [0; 4], true);
        check(b"\0", [0; 4], true);
        check(b"ab\0\0", [0; 4], true);
        check(b"abcdefghijklmnop", [0; 4], true);
        check(b"abcdefghijklmnopqrstuvwxyz012345", [0; 4], true);
        check("gr\u{fc}n\0\0\0\0\0\0\0\0\0\0\0".as_bytes(), [0; 4], true);
        check("sixteen bytes: \u{20ac}".as_bytes(), [0; 4], true);
        check(b"\xff\0\0\0", [0; 4], false);
        check(b"caf\xc3\0\0\0\0", [0; 4], false);
        check(b"abcdefghijklmno\xff", [0; 4], false);
        check(b"a\0b\0", [0; 4], false);
        check(b"\0\0\0\x01", [0; 4], false);
        check(b"bash\0\0\0\0\0\0\0\0\0\0\0x", [0; 4], false);
        check(b"abcdefghijklmno\0q\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", [0; 4], false);
        check(b"abcdefghijklmnop\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", [0; 4], false);
        check(b"abcdefghijklmnop\0r\0\0", [0; 4], false);
    }

    #[test]
    fn what_nothing_shows_is_zero() {
        check(b"ab\0\0", [7, 0, 0, 0], true);
        check(b"ab\0\0", [8, 0, 0, 0], false);
        check(b"ab\0\0", [0, 0, 0, 1], false);
        check(b"ab\0\0", [0, 0x80, 0, 0], false);
    }

    #[test]
    fn texts_that_lie_side_by_side_are_apart() {
        let form = KeyForm::new(8, vec![0..4, 4..8], Vec::new());
        assert!(form.is_of_all(b"ab\0\0cd\0\0") && form.is_of_all(b"\0\0\0\0cdef"));
        assert!(!form.is_of_all(b"ab\0xcd\0\0") && !form.is_of_all(b"abcdef\0h"));
        // Half a character each.
        assert!(!form.is_of_all("abc\u{fc}def".as_bytes()));
    }

    #[test]
    fn texts_may_have_bytes_in_common() {
        let form = KeyForm::new(12, vec![0..8, 4..12], Vec::new());
        assert!(form.is_of_all(b"abcdefghijkl") && form.is_of_all(b"abcdef\0\0\0\0\0\0"));
        assert!(!form.is_of_all(b"abcdefg\0x\0\0\0") && !form.is_of_all(b"ab\0\0x\0\0\0\0\0\0\0"));
    }

    #[test]
    fn a_form_without_conditions_asks_nothing() {
        assert!(KeyForm::new(24, Vec::new(), vec![0; 24]).is_any());
        assert!(KeyForm::default().is_any() && KeyForm::default().is_of_all(b"any"));
        assert!(!form(0).is_any());
    }

    proptest! {
        /// Windows tell what a look at each byte does, wherever text lies in a key of any size.
        #[test]
        fn many_bytes_at_a_time_tell_the_same(
            key in vec(prop::sample::select(&BYTES[..]), 1..60),
            (start, length, zeros_from) in (0usize..60, 0usize..60, 0usize..60),
            zeros in vec(prop::sample::select(vec![0u8, 0, 0, 0xff, 0x80, 0x07]), 60),
            repeat in 1usize..4,
        ) {
            let mut key = key;
            let start = start % key.len();
            let text = start..(start + length).min(key.len());
            let mut zeros = zeros;
            zeros.truncate(key.len());
            zeros[text.clone()].fill(0);
            for at in (zeros_from..key.len()).filter(|at| text.contains(at)) {
                key[at] = 0;
            }
            let form = KeyForm::new(key.len(), vec![text.clone()], zeros);
            prop_assert_eq!(form.is_of_all(&key.repeat(repeat)), form.is_of(&key));
            key.iter_mut().for_each(|byte| *byte &= 0x7f);
            prop_assert_eq!(form.doubts(&key) == 0, form.is_of(&key), "ASCII is never looked at twice");
        }
    }
}
