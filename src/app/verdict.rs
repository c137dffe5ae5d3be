//! What is said of the configs after they were loaded, and whether that is good enough.

use std::time::{Duration, Instant};

use crate::cli::{Keep, Options};
use crate::problem::{Problem, Severity};
use crate::scrape::Generation;
use crate::snapshot::Limits;

/// How long the first reading of a map after the start may take.
const FIRST_READ: Duration = Duration::from_secs(5);

/// What is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Warnings, and programs that are not attached.
    WhatTheReferenceServes,
    /// No problem of any kind (`--config.strict`).
    Nothing,
}

/// Whether every config is loaded and no problem goes beyond what is tolerated.
pub fn is_good(generation: &Generation, tolerance: Tolerance) -> bool {
    generation.configs().iter().all(|config| {
        config.loaded
            && config.problems.iter().all(|problem| match tolerance {
                Tolerance::Nothing => false,
                // The reference's check passes when a program does not attach; its strict check does not.
                Tolerance::WhatTheReferenceServes => {
                    problem.severity == Severity::Warning || problem.place.program.is_some()
                }
            })
    })
}

/// Logs the problems of every config.
pub fn log_generation(generation: &Generation) {
    for config in generation.configs() {
        log(&config.problems);
    }
}

/// Logs problems, each with its config's name.
pub fn log(problems: &[Problem]) {
    for problem in problems {
        let config = problem.place.config.as_deref().unwrap_or_default();
        let code = problem.code;
        match problem.severity {
            Severity::Error => tracing::error!(config, code, "{}", problem),
            Severity::Warning => tracing::warn!(config, code, "{}", problem),
        }
    }
}

/// Reads each map once with the capabilities that were kept, and explains a refusal: before
/// Linux 5.19 even a reader that holds the descriptor may need CAP_BPF.
pub fn log_unreadable(generation: &Generation, options: &Options) {
    if options.keep == Keep::All {
        return;
    }
    for view in generation.views() {
        for named in &view.sources {
            let limits = Limits { deadline: Instant::now() + FIRST_READ, max_bytes: usize::MAX };
            if let Err(error) = named.source.read(&limits, &mut |_| Ok(())) {
                tracing::error!(
                    config = view.config,
                    map = named.map,
                    "the map cannot be read with the capabilities that were kept: {error}; before Linux 5.19 reading \
                     maps needs CAP_BPF where unprivileged BPF is off: --capabilities.keep=cap_bpf"
                );
            }
        }
    }
}
