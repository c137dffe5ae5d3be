//! Whether a regular expression can match a number at all.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use super::parse;

/// Whether some number written in decimal digits can match. When in doubt it can: places in the text
/// (`^`, `\b`) are not looked at, and neither is what is nested very deep or cannot be parsed.
#[must_use]
pub fn can_match_number(pattern: &str) -> bool {
    parse::parse(pattern).map_or(true, |parsed| parsed.height > super::SHALLOW || can_be_digits(&parsed.hir))
}

/// Whether something that it matches is made of digits and minus signs.
fn can_be_digits(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-'),
        HirKind::Class(class) => has_digit(class),
        HirKind::Repetition(repetition) => repetition.min == 0 || can_be_digits(&repetition.sub),
        HirKind::Capture(capture) => can_be_digits(&capture.sub),
        HirKind::Concat(parts) => parts.iter().all(can_be_digits),
        HirKind::Alternation(parts) => parts.iter().any(can_be_digits),
    }
}

fn has_digit(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => {
            let digits =
                ['0'..='9', '-'..='-'].map(|range| ClassUnicodeRange::new(*range.start(), *range.end()));
            let mut common = ClassUnicode::new(digits);
            common.intersect(class);
            !common.ranges().is_empty()
        }
        Class::Bytes(class) => {
            let digits =
                [b'0'..=b'9', b'-'..=b'-'].map(|range| ClassBytesRange::new(*range.start(), *range.end()));
            let mut common = ClassBytes::new(digits);
            common.intersect(class);
            !common.ranges().is_empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: bool) {
        assert_eq!(can_match_number(pattern), expected, "{pattern}");
    }

    #[test]
    fn what_wants_letters_never_matches() {
        for pattern in ["kworker", "^sys.*d$", "[a-z]+", "(nginx|envoy)", "a{2}", r"\d+ms", r"(?i)K\d"] {
            check(pattern, false);
        }
    }

    #[test]
    fn what_can_be_digits_may_match() {
        for pattern in ["", ".*", r"^\d+$", "^1?[0-9]$", "a*", "(x|2)", "-1", "[^a-z]", r"^(kworker)?\d", "("]
        {
            check(pattern, true);
        }
    }
}
