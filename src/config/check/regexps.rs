//! Regular expressions that can never match what reaches them, or take too much room together.

use super::Sink;
use super::decoders::NUMBERS;
use crate::config::raw::RawLabel;
use crate::decode::{SIZE_LIMIT, can_match_number};
use crate::problem::{Place, Problem};

/// Bytes that all expressions of a file may take, which a few letters of some can ask for.
const MAX_PATTERNS: usize = 4 * SIZE_LIMIT;

/// Whether the file's expressions leave room for those of a label, which is said when they do not.
pub(super) fn have_room(sink: &mut Sink<'_>, label: &RawLabel) -> bool {
    let Some(decoder) = label.decoders.iter().find(|decoder| !decoder.params.regexps.is_empty()) else {
        return true;
    };
    if sink.patterns < MAX_PATTERNS {
        return true;
    }
    let message = "the regular expressions before this one take too much memory already";
    let problem = Problem::error("too-large", Place::default(), message)
        .expected(format!("{} MiB at most for all of a file", MAX_PATTERNS >> 20))
        .help("repeat smaller classes, or less often: `\\pL{1000}` alone takes many MiB");
    sink.report(decoder.regexps.first().unwrap_or(&decoder.spot), problem);
    false
}

/// Warns of expressions that a number before them can never match; `before` is the decoder that
/// goes first by the field's type.
pub(super) fn never_match(sink: &mut Sink<'_>, label: &RawLabel, before: Option<&str>) {
    let mut previous = before;
    for decoder in &label.decoders {
        let name = decoder.name.as_ref().map(|name| name.value.as_str());
        if name == Some("regexp") && previous.is_some_and(|previous| NUMBERS.contains(&previous)) {
            for (pattern, spot) in decoder.params.regexps.iter().zip(&decoder.regexps) {
                if !can_match_number(pattern) {
                    let message = format!("`{}` never matches a number", pattern.escape_debug());
                    let problem = Problem::warning("regexp-never-matches", Place::default(), message);
                    sink.report(
                        spot,
                        problem
                            .expected("an expression that digits can match, such as `^1\\d*$`")
                            .found(format!("the decoder before it is `{}`", previous.unwrap_or_default()))
                            .help("for names put a decoder that gives them before it, such as `string`"),
                    );
                }
            }
        }
        previous = name;
    }
}
