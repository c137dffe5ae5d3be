//! Problems with the line of the file that they stand in, as a compiler shows them.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use super::{Position, Problem};

/// Columns of the screen that a tab takes here, wherever it stands.
const TAB: &str = "    ";

/// Columns of a line that are shown; what is farther from the place is cut off.
const MOST_COLUMNS: usize = 120;

/// Bytes of a text that lines are shown of: nobody wrote a larger one by hand, and each problem counts
/// its lines anew.
const MOST_TEXT: usize = 256 << 10;

/// Characters before the place, and behind it, that this can take: some have no width.
const MOST_CHARACTERS: usize = 4 * MOST_COLUMNS;

impl Problem {
    /// The whole story with the line of the file, whose text is `text`, and a caret below the place.
    /// Without a place in the text it is the story alone.
    #[must_use]
    pub fn with_excerpt(&self, text: Option<&str>) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.head(&mut out);
        if let (Some(position), Some(text)) = (self.place.position, text)
            && let Some(excerpt) = excerpt(text, position)
        {
            out.push('\n');
            out.push_str(&excerpt);
        }
        let _ = self.story(&mut out);
        out
    }
}

/// The line at a place with a caret below; none when the text has no such line, or nothing is in it.
fn excerpt(text: &str, position: Position) -> Option<String> {
    if text.len() > MOST_TEXT {
        return None;
    }
    // YAML breaks lines at a lone carriage return, too.
    let line = lines(text).nth(position.line.checked_sub(1)?)?;
    if line.trim().is_empty() {
        return None;
    }
    // Of a long line only what can be shown is looked at.
    let start = position.column.saturating_sub(1).min(line.chars().count());
    let skipped = start.saturating_sub(MOST_CHARACTERS);
    let start = start - skipped;
    let characters: Vec<char> = line.chars().skip(skipped).take(2 * MOST_CHARACTERS).collect();
    let length = token(characters.get(start..).unwrap_or_default());
    let shown: Vec<String> = characters.iter().map(|character| shown(*character)).collect();
    let columns = |range: std::ops::Range<usize>| -> usize {
        shown.get(range).unwrap_or_default().iter().map(|text| width(text)).sum()
    };
    // A long line is shown around the place.
    let mut first = 0;
    while columns(first..start) > MOST_COLUMNS / 2 && columns(first..shown.len()) > MOST_COLUMNS {
        first += 1;
    }
    let mut last = first;
    while last < shown.len() && columns(first..last + 1) <= MOST_COLUMNS {
        last += 1;
    }
    let (before, after) =
        (if first + skipped > 0 { "…" } else { "" }, if last < shown.len() { "…" } else { "" });
    let number = position.line.to_string();
    let margin = " ".repeat(number.len());
    let body = shown.get(first..last).unwrap_or_default().concat();
    let indent = " ".repeat(columns(first..start) + before.chars().count());
    let end = (start + length).min(last);
    let carets = "^".repeat(columns(start..end).max(1));
    let mut out = String::new();
    let _ = write!(out, " {margin} |\n {number} | {before}{body}{after}\n {margin} | {indent}{carets}");
    Some(out)
}

/// Lines as YAML counts them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) else {
            rest = None;
            return Some(current);
        };
        let (line, tail) = current.split_at(end);
        let broken = if tail.starts_with("\r\n") { 2 } else { tail.chars().next().map_or(0, char::len_utf8) };
        rest = tail.get(broken..);
        Some(line)
    })
}

/// How many characters what stands at the place has: a word, or a text in quotes.
fn token(text: &[char]) -> usize {
    let Some(first) = text.first() else { return 0 };
    match first {
        '"' | '\'' => {
            text.iter().skip(1).position(|character| character == first).map_or(text.len(), |end| end + 2)
        }
        '[' | ']' | '{' | '}' | '-' | '?' | '|' | '>'
            if text.get(1).is_none_or(|next| !next.is_ascii_digit()) =>
        {
            1
        }
        _ => {
            let ends = |index: usize, character: char| {
                let next = text.get(index + 1);
                character.is_whitespace()
                    || matches!(character, ',' | ']' | '}')
                    || (character == ':' && next.is_none_or(|next| next.is_whitespace()))
            };
            let end = text.iter().enumerate().position(|(index, character)| ends(index, *character));
            end.unwrap_or(text.len()).max(1)
        }
    }
}

/// A character as it is shown: nothing of a file may move the cursor.
fn shown(character: char) -> String {
    match character {
        '\t' => TAB.to_owned(),
        _ if character.is_control() || is_invisible(character) => character.escape_default().to_string(),
        _ => character.to_string(),
    }
}

/// Characters that turn the direction of the text around, or show nothing.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Position, Problem};
    use super::MOST_TEXT;

    #[track_caller]
    fn check(text: &str, line: usize, column: usize, expected: &[&str]) {
        let place = Place { position: Some(Position { line, column }), ..Place::default() };
        let told = Problem::error("x", place, "m").help("h").with_excerpt(Some(text));
        let told: Vec<&str> = told.lines().collect();
        let excerpt = &told[1..told.len() - 1];
        assert_eq!(excerpt, expected, "{told:#?}");
    }

    #[test]
    fn the_caret_stands_below_the_word() {
        check("a: 1\nmap: hash_44, x\n", 2, 6, &["   |", " 2 | map: hash_44, x", "   |      ^^^^^^^"]);
        check("{name: a}", 1, 8, &["   |", " 1 | {name: a}", "   |        ^"]);
        check("a: \"two words\" # x", 1, 4, &["   |", " 1 | a: \"two words\" # x", "   |    ^^^^^^^^^^^"]);
        check("a: -12", 1, 4, &["   |", " 1 | a: -12", "   |    ^^^"]);
        check("  - name: x", 1, 3, &["   |", " 1 |   - name: x", "   |   ^"]);
        check("lables: []", 1, 1, &["   |", " 1 | lables: []", "   | ^^^^^^"]);
    }

    #[test]
    fn tabs_and_wide_characters_keep_it_there() {
        check("\ta: b", 1, 5, &["   |", " 1 |     a: b", "   |        ^"]);
        check("名前: 値, b", 1, 5, &["   |", " 1 | 名前: 値, b", "   |       ^^"]);
        check("e\u{301}: b", 1, 5, &["   |", " 1 | e\u{301}: b", "   |    ^"]);
    }

    #[test]
    fn nothing_in_a_line_moves_the_cursor() {
        check("a\u{1b}[31m: b", 1, 9, &["   |", " 1 | a\\u{1b}[31m: b", "   |              ^"]);
        check("\u{202e}a: b", 1, 5, &["   |", " 1 | \\u{202e}a: b", "   |            ^"]);
    }

    #[test]
    fn lines_are_those_of_yaml() {
        check("a: 1\r\nb: 2\rc: 3", 3, 4, &["   |", " 3 | c: 3", "   |    ^"]);
        check("a: 1\r\nb: 2\rc: 3", 2, 4, &["   |", " 2 | b: 2", "   |    ^"]);
    }

    #[test]
    fn long_lines_are_shown_around_the_place() {
        let text = format!("{}: here{}", "k".repeat(300), " ".repeat(3) + &"v".repeat(300));
        let place = Place { position: Some(Position { line: 1, column: 303 }), ..Place::default() };
        let told = Problem::error("x", place, "m").with_excerpt(Some(&text));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[2].contains("…") && lines[2].ends_with('…'), "{told}");
        let (body, carets) = (lines[2].chars().collect::<Vec<_>>(), lines[3]);
        let at = carets.find('^').unwrap();
        assert_eq!(body[at..at + 4].iter().collect::<String>(), "here", "{told}");
        assert!(carets.ends_with("^^^^"), "{told}");
    }

    /// Adding up the columns from each character to the place took the square of the line's length.
    #[test]
    fn far_along_a_line_it_is_found_in_time() {
        let text = format!("[{}here]", "a, ".repeat(80_000));
        let place = Place { position: Some(Position { line: 1, column: 240_002 }), ..Place::default() };
        let told = Problem::error("x", place.clone(), "m").with_excerpt(Some(&text));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[2].starts_with(" 1 | …") && lines[2].ends_with("a, here]"), "{told}");
        assert!(lines[3].ends_with("^^^^"), "{told}");
        let larger = format!("{text}\n{}", "#".repeat(MOST_TEXT));
        assert_eq!(Problem::error("x", place, "m").with_excerpt(Some(&larger)), "-:1:240002: error[x]: m");
    }

    #[test]
    fn without_such_a_line_there_is_the_story_alone() {
        check("a: 1\n", 2, 1, &[]);
        check("a: 1\n", 9, 1, &[]);
        check("", 1, 1, &[]);
        assert_eq!(
            Problem::error("x", Place::default(), "m").with_excerpt(Some("a")),
            "-: error[x]: m",
            "there is no place"
        );
    }
}
