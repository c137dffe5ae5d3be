//! Sets in brackets.

use regex_syntax::hir::ClassUnicode;

use super::{Parser, SyntaxError, error, until};
use crate::decode::regexp::class;

impl<'a> Parser<'a> {
    /// A set in brackets, from behind the opening one.
    pub(super) fn class(&mut self, before: &'a str) -> Result<(), SyntaxError> {
        let negated = match self.rest.strip_prefix('^') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        };
        let mut class = ClassUnicode::empty();
        // A closing bracket right at the start is a member.
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            class.union(&self.class_item(before)?);
        }
        self.next();
        if negated {
            class.negate();
        }
        self.push_class(class)
    }

    /// A named set, a character or a range inside of brackets.
    pub(super) fn class_item(&mut self, whole: &'a str) -> Result<ClassUnicode, SyntaxError> {
        let before = self.rest;
        if let Some(named) = before.strip_prefix("[:")
            && let Some((name, rest)) = named.split_once(":]")
        {
            self.rest = rest;
            return self.posix_class(name, until(before, rest));
        }
        if let Some(rest) = before.strip_prefix('\\') {
            self.rest = rest;
            if let Some(class) = self.escaped_class(before)? {
                return Ok(class);
            }
            self.rest = before;
        }
        let low = self.class_char(whole)?;
        let mut high = low;
        // A hyphen before the closing bracket is a member.
        if let Some(rest) = self.rest.strip_prefix('-')
            && !rest.is_empty()
            && !rest.starts_with(']')
        {
            self.rest = rest;
            high = self.class_char(whole)?;
            if high < low {
                return Err(error("invalid character class range", until(before, self.rest)));
            }
        }
        let mut class = class::range(low, high);
        self.fold(&mut class);
        Ok(class)
    }

    pub(super) fn posix_class(&self, name: &str, part: &str) -> Result<ClassUnicode, SyntaxError> {
        let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let mut class = class::posix(name).ok_or_else(|| error("invalid character class range", part))?;
        self.fold(&mut class);
        if negated {
            class.negate();
        }
        Ok(class)
    }

    pub(super) fn class_char(&mut self, whole: &'a str) -> Result<u32, SyntaxError> {
        let before = self.rest;
        match self.next() {
            None => Err(error("missing closing ]", whole)),
            Some('\\') => self.escaped_char(before),
            Some(c) => Ok(u32::from(c)),
        }
    }
}
