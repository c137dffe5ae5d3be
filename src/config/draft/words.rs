//! Words as YAML takes them for text, and names that are allowed.

/// Text in quotes, with everything escaped that YAML would take for something else.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04x}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A path or a name: bare when it can be taken for nothing else.
pub(super) fn bare(text: &str) -> String {
    const MEANINGS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !MEANINGS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
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
    let rest = last.strip_prefix("pad").or_else(|| last.strip_prefix("padding"));
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        || matches!(last, "padding" | "reserved" | "unused" | "opaque")
        || path == "lock.val"
}
