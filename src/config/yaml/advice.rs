//! What to do about what the parser says.

/// Words of the parser, and what they come from most of the time.
const ADVICE: [(&str, &str); 11] = [
    (
        "cannot start any token",
        "indent with spaces; text that starts with @, ` or % needs quotes; | and > stand outside of [] and {} only",
    ),
    ("tab character", "indent with spaces: YAML takes no tabs there"),
    ("unexpected end of stream", "close the quote that is opened here"),
    (
        "did not find expected ',' or",
        "close what is opened, and put commas between; text with brackets, braces or commas in it needs quotes",
    ),
    (
        "mapping values are not allowed",
        "text with `: ` in it needs quotes; an item of a list begins with `- `, with a space behind; keys that belong \
         together begin in the same column",
    ),
    ("could not find expected ':'", "a key ends with a colon and a space, such as `map: name`"),
    (
        "did not find expected '-' indicator",
        "items of one list begin in the same column, and so do the keys of one mapping",
    ),
    (
        "did not find expected key",
        "keys of one mapping begin in the same column; a bracket or a quote may be closed twice",
    ),
    ("alphabetic or numeric character", "text that begins with * or & needs quotes"),
    ("unknown anchor", "`*name` repeats what `&name` marks before it; text that begins with * needs quotes"),
    (
        "unknown escape character",
        "a backslash in double quotes begins an escape: write two, or use single quotes",
    ),
];

/// What to do about a message of the parser.
pub(crate) fn advice(message: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(words, _)| message.contains(words)).map(|(_, advice)| *advice)
}
