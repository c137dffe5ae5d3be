//! "Did you mean": the closest of the names there are.

/// Letters of what was written: a longer text was never meant to be a name, and comparing takes time
/// and memory for each letter of the one with each of the other.
const MAX_LETTERS: usize = 256;

/// The name that was probably meant, when one is close.
pub(crate) fn closest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if found.len() > MAX_LETTERS {
        return None;
    }
    names
        .into_iter()
        .filter(|name| is_near(found, name))
        .map(|name| (distance(found, name), name))
        .filter(|(distance, name)| *distance <= allowed(found, name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean ...?`, or the names there are when none is close and they are few.
pub(crate) fn help<'a>(
    what: &str,
    found: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(name) = closest(found, names.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names: Vec<&str> = names.into_iter().take(33).collect();
    match names.len() {
        0 => None,
        1..=32 => Some(format!("{what}: {}", names.join(", "))),
        _ => Some(format!("{what}: {}, ...", names[..32].join(", "))),
    }
}

/// What a path could go on with behind something of a type that has no members by name.
pub(crate) fn instead(within: &str) -> String {
    let length = within.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match length.and_then(|(length, _)| length.parse::<u64>().ok()) {
        Some(1) => "the index 0".to_owned(),
        Some(length @ 2..) => format!("an index from 0 to {}", length - 1),
        _ => format!("nothing behind it: a `{within}` has no members"),
    }
}

fn distance(found: &str, name: &str) -> usize {
    strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase())
}

/// Whether the lengths alone leave room for a close name: each letter that one has more is a difference.
fn is_near(found: &str, name: &str) -> bool {
    name.len() <= 2 * MAX_LETTERS
        && found.chars().count().abs_diff(name.chars().count()) <= allowed(found, name)
}

/// A third of the longer name may differ, but a name must never be made of others' letters alone.
fn allowed(found: &str, name: &str) -> usize {
    let longer = found.chars().count().max(name.chars().count());
    (longer / 3).max(1).min(longer.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_have_indices_and_numbers_nothing() {
        assert_eq!(instead("const volatile pid_t[4]"), "an index from 0 to 3");
        assert_eq!(instead("u8[2][3]"), "an index from 0 to 1");
        assert_eq!(instead("char[1]"), "the index 0");
        assert_eq!(instead("unsigned int"), "nothing behind it: a `unsigned int` has no members");
        assert_eq!(instead("u8[0]"), "nothing behind it: a `u8[0]` has no members");
    }

    #[track_caller]
    fn check(found: &str, expected: Option<&str>) {
        assert_eq!(closest(found, ["name", "help", "labels", "bucket_type", "cpu"]), expected, "{found:?}");
    }

    #[test]
    fn close_names_are_suggested() {
        check("lables", Some("labels"));
        check("label", Some("labels"));
        check("Name", Some("name"));
        check("bucket-type", Some("bucket_type"));
        check("halp", Some("help"));
    }

    #[test]
    fn far_ones_are_not() {
        for found in ["", "x", "description", "interval"] {
            check(found, None);
        }
    }

    /// Comparing these would take terabytes.
    #[test]
    fn a_long_text_is_no_name() {
        let long = "a".repeat(4 << 20);
        let longer = format!("{long}b");
        assert_eq!(closest(&long, [longer.as_str()]), None);
        assert_eq!(closest("aaaa", [longer.as_str(), "aaab"]), Some("aaab"));
    }

    #[test]
    fn without_a_close_one_the_few_are_listed() {
        assert_eq!(help("maps there are", "zzz", ["a", "bb"]).as_deref(), Some("maps there are: a, bb"));
        assert_eq!(help("maps there are", "zzz", []), None);
    }
}
