//! What a look at the files led to.

use std::fmt;
use std::time::Duration;

use crate::problem::Problem;

/// What became of one config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, and at work.
    Added,
    /// Its object was replaced; so many of its maps went on.
    Replaced {
        /// Maps that kept their entries.
        carried: usize,
        /// Maps that began anew.
        fresh: usize,
    },
    /// Its numbers mean something else now; programs and maps stayed.
    Viewed,
    /// Variables were set, or other cgroups are followed, while its programs ran; its numbers may mean something else, too.
    Set,
    /// It has another name; programs and maps stayed.
    Moved {
        /// Its name before.
        from: String,
    },
    /// It is gone.
    Removed,
    /// What its files say now is not at work; what was there before is, if anything was.
    Refused {
        /// Whether the last good one goes on.
        goes_on: bool,
        /// Why.
        problems: Vec<Problem>,
    },
}

/// What a look at the files led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By config, in the order of names. What stayed as it is has no entry.
    pub changes: Vec<(String, Change)>,
    /// What concerns no config, such as a folder that cannot be read.
    pub problems: Vec<Problem>,
    /// Whether those problems were told before.
    pub is_known: bool,
    /// Problems of the configs that changed, and did not cost them.
    pub remarks: Vec<Problem>,
    /// How many configs are served now.
    pub serving: usize,
    /// When to look once more, because something may be about to come back.
    pub look_again: Option<Duration>,
}

impl Report {
    /// Whether everything that the files say is at work.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let refused = |change: &(String, Change)| matches!(change.1, Change::Refused { .. });
        !self.problems.iter().any(Problem::is_error) && !self.changes.iter().any(refused)
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_empty()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => out.write_str("added"),
            Self::Replaced { carried, fresh: 0 } => write!(out, "object replaced, {carried} maps go on"),
            Self::Replaced { carried, fresh } => {
                write!(out, "object replaced, {carried} maps go on and {fresh} begin anew")
            }
            Self::Viewed => out.write_str("metrics changed, programs and maps stayed"),
            Self::Set => out.write_str("settings changed, programs and maps stayed"),
            Self::Moved { from } => write!(out, "renamed from {from}, programs and maps stayed"),
            Self::Removed => out.write_str("removed"),
            Self::Refused { goes_on: true, .. } => out.write_str("refused, the last good one goes on"),
            Self::Refused { goes_on: false, .. } => out.write_str("refused"),
        }
    }
}

/// For people who asked for the reload: a line for each config, and the problems below.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(out, "nothing changed")?;
        }
        for (config, change) in &self.changes {
            writeln!(out, "{config}: {change}")?;
            if let Change::Refused { problems, .. } = change {
                for problem in problems {
                    writeln!(out, "{problem}")?;
                }
            }
        }
        for problem in self.problems.iter().chain(&self.remarks) {
            writeln!(out, "{problem}")?;
        }
        let plural = if self.serving == 1 { "" } else { "s" };
        writeln!(out, "serving {} config{plural}", self.serving)
    }
}
