//! Labels that are too long.

use super::Labels;

/// Stands behind a label that was cut.
const MARK: &str = "…";

/// Bytes that a label may have at the least: a character and the mark.
pub const SHORTEST: usize = 4 + MARK.len();

/// Cuts every label of a list that has more bytes than it may have, between two characters; whether
/// one was cut. With the mark behind it, which shows that this is not all, it is as long as it may be.
pub fn cut_labels(list: &mut Vec<u8>, max: usize, scratch: &mut Vec<u8>) -> bool {
    if Labels::new(list).all(|label| label.len() <= max) {
        return false;
    }
    scratch.clear();
    for label in Labels::new(list) {
        let (kept, mark) = if label.len() <= max { (label, "") } else { (head(label, max), MARK) };
        let length = u32::try_from(kept.len() + mark.len()).unwrap_or(u32::MAX);
        scratch.extend_from_slice(&length.to_ne_bytes());
        scratch.extend_from_slice(kept);
        scratch.extend_from_slice(mark.as_bytes());
    }
    std::mem::swap(list, scratch);
    true
}

/// The beginning of a text that leaves room for the mark.
fn head(text: &[u8], max: usize) -> &[u8] {
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut end = max.saturating_sub(MARK.len());
    while end > 0 && is_inside(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::push_label;

    #[track_caller]
    fn check(labels: &[&str], max: usize, expected: &[&str]) {
        let list = |labels: &[&str]| {
            let mut list = Vec::new();
            for label in labels {
                push_label(&mut list, |out| {
                    out.extend_from_slice(label.as_bytes());
                    Ok::<_, ()>(())
                })
                .unwrap();
            }
            list
        };
        let mut cut = list(labels);
        assert_eq!(cut_labels(&mut cut, max, &mut Vec::new()), labels != expected);
        assert_eq!(cut, list(expected));
    }

    #[test]
    fn labels_are_cut_between_two_characters() {
        check(&["12345678", ""], 8, &["12345678", ""]);
        check(&["123456789", "a"], 8, &["12345…", "a"]);
        check(&["a", "ääääää"], 8, &["a", "ää…"]);
        check(&["ääää"], 8, &["ääää"]);
        check(&["𝄞𝄞𝄞"], SHORTEST, &["𝄞…"]);
        check(&["a𝄞𝄞"], SHORTEST, &["a…"]);
        check(&[], 8, &[]);
    }
}
