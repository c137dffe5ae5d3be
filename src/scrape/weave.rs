//! The exporter's own families among the users', in the order of names.

use bytes::Bytes;

use crate::page::Chunks;

/// Puts each of `own` where its name belongs between the families that begin at `marks`.
/// Chunks are cut, not copied.
pub(super) fn weave(page: Chunks, marks: &[(String, usize)], mut own: Vec<(String, Bytes)>) -> Vec<Bytes> {
    own.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    let end = page.len();
    let mut rest = page.finish().into_iter();
    let mut current = rest.next();
    let mut woven = Vec::new();
    let mut at = 0;
    let mut copy_until = |until: usize, woven: &mut Vec<Bytes>| {
        while at < until {
            let Some(chunk) = current.as_mut() else { return };
            let part = chunk.split_to(chunk.len().min(until - at));
            at += part.len();
            woven.push(part);
            if chunk.is_empty() {
                current = rest.next();
            }
        }
    };
    for (name, family) in own {
        let next = marks.partition_point(|(other, _)| *other < name);
        copy_until(marks.get(next).map_or(end, |(_, offset)| *offset), &mut woven);
        woven.push(family);
    }
    copy_until(end, &mut woven);
    woven
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_in_the_order_of_names() {
        #[track_caller]
        fn check(users: &[(&str, usize)], own: &[&str], expected: &str) {
            let mut page = Chunks::default();
            let mut marks = Vec::new();
            for (name, repeat) in users {
                marks.push(((*name).to_owned(), page.len()));
                for _ in 0..*repeat {
                    page.open().extend_from_slice(name.as_bytes());
                    page.close_when_full();
                }
            }
            let own = own.iter().map(|name| ((*name).to_owned(), Bytes::from((*name).to_owned()))).collect();
            let woven = weave(page, &marks, own).concat();
            assert!(woven == expected.as_bytes(), "{}", woven.len());
        }
        check(&[("b", 1), ("d", 2)], &["e", "a", "c"], "abcdde");
        check(&[], &["b", "a"], "ab");
        check(&[("a", 1), ("b", 0), ("c", 1)], &["bb"], "abbc");
        check(&[("a", 1)], &[], "a");
        check(
            &[("a", 100_000), ("c", 100_000)],
            &["b"],
            &format!("{}b{}", "a".repeat(100_000), "c".repeat(100_000)),
        );
    }
}
