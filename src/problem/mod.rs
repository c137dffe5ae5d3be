//! What is wrong, where, what was expected, what was found, and what to do.
//!
//! One type serves YAML, objects, BTF, loading and attaching, so that every
//! complaint reads alike in the log, on the status page and as JSON. Tests
//! compare `code` and `place`, never prose.
//!
//! `{}` renders one line for a log, `{:#}` the whole story; beside them stand
//! [`Problem::to_json`], [`Problem::to_github`] and, with the line of the file and a
//! caret below it, [`Problem::with_excerpt`].

mod excerpt;
mod json;
mod render;

use std::path::PathBuf;

/// How much a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong. Only `bpftally check` tells it.
    Note,
    /// Tolerated, because the reference serves it; an error under strict.
    Warning,
    /// Costs the metric or the config it belongs to.
    Error,
}

/// A place in a text, counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Where a problem is, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The config's name (the stem of its file).
    pub config: Option<String>,
    /// The file that the position counts in.
    pub file: Option<PathBuf>,
    /// The path inside the YAML, such as `metrics.counters[0].labels[1].size`.
    pub path: String,
    /// Line and column in the file.
    pub position: Option<Position>,
    /// The metric that the problem costs; none when it costs the whole config.
    pub metric: Option<String>,
    /// The BPF map concerned.
    pub map: Option<String>,
    /// The BPF program concerned.
    pub program: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it costs.
    pub severity: Severity,
    /// A short stable name for the kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// Where it is.
    pub place: Place,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What was expected.
    pub expected: Option<String>,
    /// What was found instead.
    pub found: Option<String>,
    /// The struct that it is about with the offsets of its members, where that helps.
    pub layout: Option<String>,
    /// What the user can do.
    pub help: Option<String>,
}

impl Problem {
    /// An error with a message at a place.
    #[must_use]
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, place, message.into())
    }

    /// A warning with a message at a place.
    #[must_use]
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, place, message.into())
    }

    /// A note with a message at a place.
    #[must_use]
    pub fn note(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, place, message.into())
    }

    /// Whether it costs something.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, code: &'static str, place: Place, message: String) -> Self {
        Self { severity, code, place, message, expected: None, found: None, layout: None, help: None }
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Shows the struct that it is about.
    #[must_use]
    pub fn layout(mut self, layout: impl Into<String>) -> Self {
        self.layout = Some(layout.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
