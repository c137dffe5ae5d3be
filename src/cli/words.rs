//! Kingpin's manners before clap sees the words: `@file`, and `--no-` before a switch.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Files may name files; this deep.
const DEPTH: usize = 8;

/// The switches, which `--no-` negates.
const SWITCHES: [&str; 4] = ["config.check", "config.strict", "debug", "log.no-timestamps"];

/// Puts in the words of files, and writes negated switches as `--switch=false`.
///
/// # Errors
/// A sentence, when a file cannot be read.
pub(super) fn expanded(words: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut all = Vec::new();
    for word in words {
        take(word, DEPTH, &mut all)?;
    }
    Ok(all)
}

fn take(word: OsString, depth: usize, all: &mut Vec<OsString>) -> Result<(), String> {
    let Some(text) = word.to_str() else {
        all.push(word);
        return Ok(());
    };
    if let Some(file) = text.strip_prefix('@') {
        return take_file(Path::new(file), depth, all);
    }
    let switch =
        text.strip_prefix("--no-").and_then(|name| SWITCHES.into_iter().find(|switch| *switch == name));
    all.push(switch.map_or(word, |switch| format!("--{switch}=false").into()));
    Ok(())
}

/// Each line is one word, as it stands; empty lines and those with `#` first are left out.
fn take_file(file: &Path, depth: usize, all: &mut Vec<OsString>) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("error: @{}: files name files more than {DEPTH} deep\n", file.display()));
    };
    let text = fs::read_to_string(file)
        .map_err(|error| format!("error: @{}: the words in it cannot be read: {error}\n", file.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(OsString::from).try_for_each(|line| take(line, depth, all))
}
