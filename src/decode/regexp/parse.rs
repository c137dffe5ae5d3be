//! RE2 syntax, as Go reads it, to a syntax tree for the engine.
//!
//! Written after the grammar in Go's package regexp/syntax, with its limits and
//! its names for what is wrong, so that a pattern means here what it means there.
//! Nothing recurses: groups are kept on a stack of their own.

mod brackets;
mod escape;
mod tree;

use regex_syntax::hir::{Class, ClassUnicode, Hir, Look, Repetition};

use super::class;
use tree::{Frame, Node};

/// Times that anything may be repeated, nested repetitions multiplied.
const MAX_REPEAT: u32 = 1000;

/// Levels of a syntax tree.
const MAX_HEIGHT: u32 = 1000;

/// A pattern that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub hir: Hir,
    /// Capture groups, without the whole match.
    pub groups: usize,
    /// Levels of the tree.
    pub height: u32,
}

/// What is wrong, and the part of the pattern where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: `{part}`")]
pub(super) struct SyntaxError {
    pub what: &'static str,
    pub part: String,
}

/// Reads a pattern.
pub(super) fn parse(pattern: &str) -> Result<Parsed, SyntaxError> {
    let mut parser = Parser {
        pattern,
        rest: pattern,
        flags: Flags::default(),
        frames: vec![Frame::default()],
        groups: 0,
        last_repeat: None,
    };
    while !parser.rest.is_empty() {
        parser.step()?;
    }
    match (parser.frames.pop(), parser.frames.is_empty()) {
        (Some(frame), true) => {
            let node = frame.close();
            parser.check_height(&node)?;
            Ok(Parsed { hir: node.hir, groups: parser.groups, height: node.height })
        }
        _ => Err(error("missing closing )", pattern)),
    }
}

fn error(what: &'static str, part: &str) -> SyntaxError {
    SyntaxError { what, part: part.to_owned() }
}

/// The part of `from` that comes before `after`, its end.
fn until<'a>(from: &'a str, after: &str) -> &'a str {
    from.len().checked_sub(after.len()).and_then(|end| from.get(..end)).unwrap_or(from)
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

struct Parser<'a> {
    pattern: &'a str,
    /// What is still to be read.
    rest: &'a str,
    flags: Flags,
    /// The open groups, the whole pattern first.
    frames: Vec<Frame>,
    groups: usize,
    /// From the repetition operator that was read last, when nothing was read since.
    last_repeat: Option<&'a str>,
}

impl<'a> Parser<'a> {
    fn step(&mut self) -> Result<(), SyntaxError> {
        let before = self.rest;
        let Some(first) = self.next() else { return Ok(()) };
        let last_repeat = self.last_repeat.take();
        match first {
            '(' if self.rest.starts_with('?') => self.perl_group(before),
            '(' => self.open(true, self.flags),
            '|' => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.end_alternative();
                }
                Ok(())
            }
            ')' => self.close(),
            '^' if self.flags.multi_line => self.push_look(Look::StartLF),
            '^' => self.push_look(Look::Start),
            '$' if self.flags.multi_line => self.push_look(Look::EndLF),
            '$' => self.push_look(Look::End),
            '.' => self.push_dot(),
            '[' => self.class(before),
            '*' => self.repeat(before, 0, None, false, last_repeat),
            '+' => self.repeat(before, 1, None, false, last_repeat),
            '?' => self.repeat(before, 0, Some(1), false, last_repeat),
            '{' => self.brace(before, last_repeat),
            '\\' => self.escape(before),
            literal => self.push_literal(u32::from(literal)),
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    fn push(&mut self, node: Node) {
        if let Some(frame) = self.frames.last_mut() {
            frame.sequence.push(node);
        }
    }

    fn push_look(&mut self, look: Look) -> Result<(), SyntaxError> {
        self.push(Node::leaf(Hir::look(look)));
        Ok(())
    }

    fn push_dot(&mut self) -> Result<(), SyntaxError> {
        let mut class = ClassUnicode::empty();
        if !self.flags.dot_newline {
            class = class::range(u32::from('\n'), u32::from('\n'));
        }
        class.negate();
        self.push_class(class)
    }

    fn push_literal(&mut self, literal: u32) -> Result<(), SyntaxError> {
        let mut class = class::range(literal, literal);
        self.fold(&mut class);
        self.push_class(class)
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), SyntaxError> {
        self.push(Node::leaf(Hir::class(Class::Unicode(class))));
        Ok(())
    }

    fn fold(&self, class: &mut ClassUnicode) {
        if self.flags.fold_case {
            class.case_fold_simple();
        }
    }

    /// Opens a group in which `flags` hold.
    fn open(&mut self, captures: bool, flags: Flags) -> Result<(), SyntaxError> {
        let capture = if captures {
            self.groups += 1;
            Some(u32::try_from(self.groups).map_err(|_| error("expression too large", self.pattern))?)
        } else {
            None
        };
        self.frames.push(Frame { capture, outside: self.flags, ..Frame::default() });
        self.flags = flags;
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        if self.frames.len() < 2 {
            return Err(error("unexpected )", self.pattern));
        }
        if let Some(frame) = self.frames.pop() {
            self.flags = frame.outside;
            let node = frame.close();
            self.check_height(&node)?;
            self.push(node);
        }
        Ok(())
    }

    fn check_height(&self, node: &Node) -> Result<(), SyntaxError> {
        if node.height > MAX_HEIGHT {
            return Err(error("expression nests too deeply", self.pattern));
        }
        Ok(())
    }

    /// Everything that starts with `(?`: flags, groups that do not capture, named groups.
    fn perl_group(&mut self, before: &'a str) -> Result<(), SyntaxError> {
        if let Some(named) = before.strip_prefix("(?P<").or_else(|| before.strip_prefix("(?<")) {
            return self.named_group(before, named);
        }
        self.next();
        let mut flags = self.flags;
        let mut on = true;
        let mut saw_flag = false;
        while let Some(letter) = self.next() {
            match letter {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    saw_flag = false;
                    continue;
                }
                ':' if on || saw_flag => return self.open(false, flags),
                ')' if on || saw_flag => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            saw_flag = true;
        }
        Err(error("invalid or unsupported Perl syntax", until(before, self.rest)))
    }

    fn named_group(&mut self, before: &'a str, named: &'a str) -> Result<(), SyntaxError> {
        let Some((name, rest)) = named.split_once('>') else {
            return Err(error("invalid named capture", before));
        };
        if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
            return Err(error("invalid named capture", until(before, rest)));
        }
        self.rest = rest;
        self.open(true, self.flags)
    }

    /// Repeats what was read last; `counted` for `{n,m}`.
    fn repeat(
        &mut self,
        before: &'a str,
        min: u32,
        max: Option<u32>,
        counted: bool,
        last_repeat: Option<&'a str>,
    ) -> Result<(), SyntaxError> {
        let mut greedy = !self.flags.swap_greed;
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return Err(error("invalid nested repetition operator", until(last, self.rest)));
        }
        let operator = until(before, self.rest);
        let Some(node) = self.frames.last_mut().and_then(|frame| frame.sequence.pop()) else {
            return Err(error("missing argument to repetition operator", operator));
        };
        let mut weight = node.weight;
        if counted {
            // Zero times anything is nothing, however often that is repeated inside.
            weight = match max {
                Some(0) => 1,
                Some(max) => weight.saturating_mul(max),
                None => weight.saturating_mul(min.max(1)),
            };
            if weight > MAX_REPEAT && min.max(max.unwrap_or(0)) >= 2 {
                return Err(error("invalid repeat count", operator));
            }
        }
        let sub = Box::new(node.hir);
        let repeated = Node {
            hir: Hir::repetition(Repetition { min, max, greedy, sub }),
            height: node.height + 1,
            weight,
        };
        self.check_height(&repeated)?;
        self.push(repeated);
        self.last_repeat = Some(before);
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else makes the brace a literal.
    fn brace(&mut self, before: &'a str, last_repeat: Option<&'a str>) -> Result<(), SyntaxError> {
        let Some((min, max, rest)) = counts(self.rest) else {
            return self.push_literal(u32::from('{'));
        };
        self.rest = rest;
        let largest = max.unwrap_or(min).max(min);
        if largest > MAX_REPEAT || max.is_some_and(|max| min > max) {
            return Err(error("invalid repeat count", until(before, rest)));
        }
        self.repeat(before, min, max, true, last_repeat)
    }
}

/// The counts of a repetition and what follows its closing brace.
fn counts(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (min, rest) = count(text)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, Some(min), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, None, rest));
    }
    let (max, rest) = count(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

/// A decimal number without leading zeros; one too large for any use is the largest there is.
fn count(text: &str) -> Option<(u32, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
