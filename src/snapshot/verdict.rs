//! What became of each program of a config.

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is loaded and attached.
    Attached,
    /// It is loaded, and what it is to be attached to is not there yet.
    Waiting,
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
            Self::Attached | Self::Waiting | Self::Broken | Self::Disabled => self.word(),
        }
    }

    /// The words for it, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Waiting => "waiting",
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
    /// Why, as one line; empty where nothing is to be said.
    pub reason: String,
    /// At how many places it is attached.
    pub places: usize,
}

impl ProgramVerdict {
    /// A verdict with its reason.
    #[must_use]
    pub fn new(program: impl Into<String>, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { program: program.into(), verdict, reason: reason.into(), places: 0 }
    }

    /// The same with the number of places that it is attached to.
    #[must_use]
    pub fn at(self, places: usize) -> Self {
        Self { places, ..self }
    }
}
