//! `regexp`: publishes only what matches.
//!
//! Patterns are RE2 syntax as Go's package regexp has it, because that is what
//! configs are written in. Rust's own syntax differs in what users do meet
//! (`\d` beyond ASCII, literal braces, `\Q..\E`, `&&` in a class), so `parse` reads
//! the pattern and hands the engine a syntax tree; no pattern text is rewritten.

mod class;
mod numbers;
mod parse;
#[cfg(test)]
mod vectors;

use std::ops::Range;

use regex_automata::meta;
use regex_syntax::hir::Hir;

use super::{
    BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Params, Traits, Value, text,
};

pub use numbers::can_match_number;

pub(super) const ENTRY: Entry = Entry {
    name: "regexp",
    summary: "Publishes only what matches one of `regexps` (RE2 syntax): its first group, or the whole match \
              when it has none.",
    build: |params, _, _| build(params),
};

/// Memory that the compiled patterns of one decoder may take; the reference allows 128 MiB for each.
pub const SIZE_LIMIT: usize = 64 << 20;

/// What is said of a pattern that takes more.
pub(super) const TOO_LARGE: &str = "expression too large";

/// Levels of a syntax tree that any thread's stack holds many times over.
const SHALLOW: u32 = 50;

/// Stack for the deepest tree there can be: a level takes some kilobytes without optimisation.
const DEEP_STACK: usize = 64 << 20;

/// Groups of a pattern for which room is made on the stack.
const GROUPS_ON_STACK: usize = 8;

#[derive(Debug)]
struct Regexp {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    regex: meta::Regex,
    /// Capture groups, without the whole match.
    groups: usize,
}

fn build(params: &Params) -> Built {
    if params.regexps.is_empty() {
        return Err(BuildError {
            code: "no-regexps",
            param: Some(("regexps", None)),
            message: "decoder regexp has no regexps".to_owned(),
            expected: Some("a list of at least one regular expression".to_owned()),
            help: Some("without any, no label set could match and nothing would be published".to_owned()),
        });
    }
    let mut left = SIZE_LIMIT;
    let mut patterns = Vec::with_capacity(params.regexps.len());
    for (index, pattern) in params.regexps.iter().enumerate() {
        let compiled = Pattern::compile(pattern, left).map_err(|why| bad_regexp(index, pattern, &why))?;
        left = left.saturating_sub(compiled.regex.memory_usage());
        patterns.push(compiled);
    }
    Ok((Box::new(Regexp { patterns }), Kind::Text))
}

fn bad_regexp(index: usize, pattern: &str, why: &str) -> BuildError {
    BuildError {
        code: "bad-regexp",
        param: Some(("regexps", Some(index))),
        message: format!("the regular expression {pattern:?} cannot be used: {why}"),
        expected: Some("RE2 syntax, as in Go".to_owned()),
        help: None,
    }
}

/// Patterns of which a text matches one, or none.
#[derive(Debug)]
pub struct Matcher {
    patterns: Vec<Pattern>,
}

impl Matcher {
    /// Compiles patterns in RE2 syntax.
    ///
    /// # Errors
    /// The index of the first that cannot be used, and why.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, (usize, String)> {
        let mut left = SIZE_LIMIT;
        let mut compiled = Vec::new();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let pattern = Pattern::compile(pattern, left).map_err(|why| (index, why))?;
            left = left.saturating_sub(pattern.regex.memory_usage());
            compiled.push(pattern);
        }
        Ok(Self { patterns: compiled })
    }

    /// Whether a text matches one of them, anywhere.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.regex.is_match(text))
    }
}

fn compile(hir: &Hir, limit: usize) -> Result<meta::Regex, String> {
    let config = meta::Config::new().nfa_size_limit(Some(limit));
    meta::Builder::new()
        .configure(config)
        .build_from_hir(hir)
        .map_err(|error| if error.size_limit().is_some() { TOO_LARGE.to_owned() } else { error.to_string() })
}

/// The engine recurses down the tree: a deep one gets a stack that is sure to hold it.
fn compile_deep(hir: &Hir, limit: usize) -> Result<meta::Regex, String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(DEEP_STACK)
            .spawn_scoped(scope, || compile(hir, limit))
            .map_err(|error| format!("no thread could be started to compile it: {error}"))?
            .join()
            .unwrap_or_else(|_| Err("it could not be compiled".to_owned()))
    })
}

impl Pattern {
    fn compile(pattern: &str, limit: usize) -> Result<Self, String> {
        let parsed = parse::parse(pattern).map_err(|error| error.to_string())?;
        let regex = if parsed.height <= SHALLOW {
            compile(&parsed.hir, limit)
        } else {
            compile_deep(&parsed.hir, limit)
        }?;
        Ok(Self { regex, groups: parsed.groups })
    }

    /// What it makes of a text: its first group that takes part, else nothing at all; the whole match
    /// when there are no groups. (The reference lets patterns with two groups or more never match.)
    fn find(&self, text: &str) -> Option<Range<usize>> {
        if self.groups == 0 {
            return self.regex.find(text).map(|found| found.range());
        }
        let needed = (self.groups + 1) * 2;
        let mut on_stack = [None; (GROUPS_ON_STACK + 1) * 2];
        let mut on_heap = Vec::new();
        let slots = match on_stack.get_mut(..needed) {
            Some(slots) => slots,
            None => {
                on_heap.resize(needed, None);
                on_heap.as_mut_slice()
            }
        };
        self.regex.search_slots(&text.into(), slots)?;
        let (pairs, _) = slots.as_chunks::<2>();
        let group = pairs.iter().skip(1).find_map(|pair| match pair {
            [Some(start), Some(end)] => Some(start.get()..end.get()),
            _ => None,
        });
        Some(group.unwrap_or(0..0))
    }
}

impl Regexp {
    fn find(&self, text: &str) -> Option<Range<usize>> {
        self.patterns.iter().find_map(|pattern| pattern.find(text))
    }

    /// Go sees each byte that is not UTF-8 as one U+FFFD. The text with these in their place stands
    /// at the end of `out` for the moment; what comes back are places in `bytes`.
    fn find_in_bytes(&self, bytes: &[u8], out: &mut Vec<u8>) -> Option<Range<usize>> {
        let mark = out.len();
        for chunk in bytes.utf8_chunks() {
            out.extend_from_slice(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                out.extend_from_slice(REPLACEMENT.as_bytes());
            }
        }
        let found = out
            .get(mark..)
            .and_then(|replaced| std::str::from_utf8(replaced).ok())
            .and_then(|replaced| self.find(replaced));
        out.truncate(mark);
        found.map(|range| original(bytes, range.start)..original(bytes, range.end))
    }
}

const REPLACEMENT: &str = "\u{fffd}";

/// The place in `bytes` of a place in the text that stands for them.
fn original(bytes: &[u8], place: usize) -> usize {
    let mut before = 0;
    let mut left = place;
    for chunk in bytes.utf8_chunks() {
        if left <= chunk.valid().len() {
            return before + left;
        }
        left -= chunk.valid().len();
        before += chunk.valid().len();
        let replaced = chunk.invalid().len() * REPLACEMENT.len();
        if left <= replaced {
            return before + left / REPLACEMENT.len();
        }
        left -= replaced;
        before += chunk.invalid().len();
    }
    before
}

impl Decode for Regexp {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let mut digits = text::Digits::new();
        let bytes = text::of(value, &mut digits);
        let found = match std::str::from_utf8(bytes) {
            Ok(text) => self.find(text),
            Err(_) => self.find_in_bytes(bytes, out),
        };
        Ok(match found {
            Some(range) => {
                out.extend_from_slice(bytes.get(range).unwrap_or_default());
                Decoded::Text
            }
            None => Decoded::Skip,
        })
    }

    fn traits(&self) -> Traits {
        Traits { injective: Injective::Never, dear: true, volatile: false, symbols: false }
    }

    fn memory(&self) -> usize {
        self.patterns.iter().map(|pattern| pattern.regex.memory_usage()).sum()
    }
}
