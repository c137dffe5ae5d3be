//! What is said of the configs after they were loaded, and whether that is good enough.

use crate::problem::{Problem, Severity};
use crate::scrape::Generation;

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
            Severity::Note => tracing::info!(config, code, "{}", problem),
        }
    }
}
