//! Words as YAML takes them for text, and names that are allowed.

/// Text in quotes, with everything escaped that YAML would take for something else.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if is_told_apart(letter) => quoted += &format!("\\u{:04x}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// What YAML does not allow as it is, or takes for the end of a line.
fn is_told_apart(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Text for a comment, which must not end before the text does.
pub(super) fn commented(text: &str) -> String {
    text.chars()
        .map(|letter| if is_told_apart(letter) { letter.escape_unicode().to_string() } else { letter.into() })
        .collect()
}

/// A path or a name: bare when it can be taken for nothing else.
pub(super) fn bare(text: &str) -> String {
    const MEANINGS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !MEANINGS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A name that a metric can have: of what is no identifier only the letters, digits and underscores.
pub(super) fn metric_name(wanted: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_good =
        wanted.bytes().all(fits) && wanted.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_good { wanted.to_owned() } else { name(wanted) }
}

/// A path as a part of a name: `a.b[1].c` is `a_b_1_c`.
pub(super) fn name(path: &str) -> String {
    let mut name = String::new();
    for letter in path.chars() {
        match letter {
            '.' | '[' => name.push('_'),
            letter if letter.is_ascii_alphanumeric() || letter == '_' => name.push(letter),
            _ => {}
        }
    }
    let trimmed = name.trim_matches('_');
    if trimmed.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("index_{trimmed}");
    }
    if trimmed.is_empty() { "value".to_owned() } else { trimmed.to_owned() }
}

/// The last member of a path, without its index.
pub(super) fn leaf(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or_default();
    last.split('[').next().unwrap_or_default()
}

/// Whether the last member of a path is there for the layout's sake, or for the kernel alone.
pub(super) fn is_filler(path: &str) -> bool {
    let last = leaf(path).trim_start_matches('_');
    let numbered = last.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('_');
    matches!(numbered, "pad" | "padding" | "reserved" | "rsvd" | "unused")
        || last == "opaque"
        || path == "lock.val"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_whatever_a_name_has() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(quoted(text), expected);
        }
        check("a \"b\" \\c", r#""a \"b\" \\c""#);
        check("a\nb\u{85}", r#""a\u000ab\u0085""#);
        check("\u{feff}\u{2028}\u{2029}\u{fffe}\u{ffff}", r#""\ufeff\u2028\u2029\ufffe\uffff""#);
        check("größe \u{1f41d}", "\"größe \u{1f41d}\"");
    }

    #[test]
    fn comments_do_not_end_before_their_text() {
        assert_eq!(commented("a\nb: c\u{2028}d"), r"a\u{a}b: c\u{2028}d");
        assert_eq!(commented("struct größe"), "struct größe");
    }

    #[test]
    fn metrics_get_names_that_they_can_have() {
        #[track_caller]
        fn check(wanted: &str, expected: &str) {
            assert_eq!(metric_name(wanted), expected);
        }
        for name in ["calls", "__calls", "Calls_2_"] {
            check(name, name);
        }
        check("a@b.c", "ab_c");
        check("2nd", "index_2nd");
        check("größe", "gre");
        check("\n", "value");
    }
}
