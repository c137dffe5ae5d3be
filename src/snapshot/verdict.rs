//! What became of each program of a config.

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is loaded and attached.
    Attached,
    /// It cannot work on this machine, and the config is whole without it.
    Unsupported,
    /// It should be at work and is not.
    Broken,
    /// Nobody wanted it: it is switched off, or an alternative of it is at work.
    Disabled,
}

impl Verdict {
    /// The label's value for it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Attached | Self::Broken | Self::Disabled => self.word(),
        }
    }

    /// The words for it, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Unsupported => "unsupported here",
            Self::Broken => "broken",
            Self::Disabled => "disabled",
        }
    }
}

/// One program's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramVerdict {
    /// The program's name in the object.
    pub program: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, as one line; empty where it is attached.
    pub reason: String,
}

impl ProgramVerdict {
    /// A verdict with its reason.
    #[must_use]
    pub fn new(program: impl Into<String>, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { program: program.into(), verdict, reason: reason.into() }
    }
}
