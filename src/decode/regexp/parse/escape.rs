//! What a backslash starts.

use regex_syntax::hir::{ClassUnicode, Look};

use super::{Parser, SyntaxError, error, until};
use crate::decode::regexp::class;

impl<'a> Parser<'a> {
    /// What a backslash outside of brackets starts.
    pub(super) fn escape(&mut self, before: &'a str) -> Result<(), SyntaxError> {
        let after = self.rest;
        match self.next() {
            Some('A') => return self.push_look(Look::Start),
            Some('z') => return self.push_look(Look::End),
            Some('b') => return self.push_look(Look::WordAscii),
            Some('B') => return self.push_look(Look::WordAsciiNegate),
            Some('Q') => return self.quoted(),
            _ => self.rest = after,
        }
        match self.escaped_class(before)? {
            Some(class) => self.push_class(class),
            None => {
                let literal = self.escaped_char(before)?;
                self.push_literal(literal)
            }
        }
    }

    /// `\Q...\E`: every character as it stands.
    pub(super) fn quoted(&mut self) -> Result<(), SyntaxError> {
        let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        quoted.chars().try_for_each(|literal| self.push_literal(u32::from(literal)))
    }

    /// `\d`, `\pN`, `\p{Greek}` and the like behind a backslash; nothing is read when it is none of these.
    pub(super) fn escaped_class(&mut self, before: &'a str) -> Result<Option<ClassUnicode>, SyntaxError> {
        let after = self.rest;
        match self.next() {
            Some(letter @ ('p' | 'P')) => self.unicode_class(before, letter == 'P').map(Some),
            Some(letter) => match class::perl(letter.to_ascii_lowercase()) {
                Some(mut class) => {
                    // Folded before it is negated: \W must not match what folds to a word character.
                    self.fold(&mut class);
                    if letter.is_ascii_uppercase() {
                        class.negate();
                    }
                    Ok(Some(class))
                }
                None => {
                    self.rest = after;
                    Ok(None)
                }
            },
            None => Ok(None),
        }
    }

    pub(super) fn unicode_class(
        &mut self,
        before: &'a str,
        negated: bool,
    ) -> Result<ClassUnicode, SyntaxError> {
        let name = match self.rest.strip_prefix('{') {
            Some(braced) => {
                let (name, rest) =
                    braced.split_once('}').ok_or_else(|| error("invalid character class range", before))?;
                self.rest = rest;
                name
            }
            None => {
                let from = self.rest;
                self.next();
                until(from, self.rest)
            }
        };
        let (name, inverted) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let mut class = class::unicode(name)
            .ok_or_else(|| error("invalid character class range", until(before, self.rest)))?;
        self.fold(&mut class);
        if negated != inverted {
            class.negate();
        }
        Ok(class)
    }

    /// One character behind a backslash, inside of brackets or outside.
    pub(super) fn escaped_char(&mut self, before: &'a str) -> Result<u32, SyntaxError> {
        let Some(first) = self.next() else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        let found = match first {
            // A single digit but 0 would refer to a group, which RE2 does not have.
            '1'..='7' if !self.rest.starts_with(|c| matches!(c, '0'..='7')) => None,
            '0'..='7' => Some(self.octal(first)),
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        found.ok_or_else(|| error("invalid escape sequence", until(before, self.rest)))
    }

    /// Up to three octal digits, of which the first was read.
    pub(super) fn octal(&mut self, first: char) -> u32 {
        let mut number = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            number = number * 8 + digit;
            self.next();
        }
        number
    }

    /// `\x7F` or `\x{10FFFF}`, from behind the x.
    pub(super) fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.next()?;
        if first != '{' {
            let high = first.to_digit(16);
            let low = self.next().and_then(|c| c.to_digit(16));
            return Some(high? * 16 + low?);
        }
        let mut number = None;
        loop {
            match self.next()? {
                '}' => return number,
                digit => {
                    let next = number.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    if next > u32::from(char::MAX) {
                        return None;
                    }
                    number = Some(next);
                }
            }
        }
    }
}
