//! One config over time: what is at work of it, and how its reloads went.

use std::time::{Instant, SystemTime};

use super::found::{Provenance, Seen};
use crate::events::Tallies;
use crate::problem::{Problem, Severity};
use crate::scrape::{ConfigState, Reloads};
use crate::snapshot::{ProgramVerdict, Verdict, View};
use crate::spec::Spec;

/// What is at work of a config.
pub(super) struct Running<L> {
    pub(super) spec: Spec,
    pub(super) loaded: L,
    /// What the kernel gives, without tallies.
    pub(super) bare: View,
    /// What scrapes see.
    pub(super) view: View,
    /// What its events are counted in.
    pub(super) tallies: Tallies,
    pub(super) problems: Vec<Problem>,
    pub(super) programs: Vec<ProgramVerdict>,
    pub(super) provenance: Provenance,
}

/// A config of the folder.
pub(super) struct Unit<L> {
    pub(super) running: Option<Running<L>>,
    /// What its files said when they were last acted on.
    pub(super) seen: Option<Seen>,
    /// Why what the files say is not at work.
    pub(super) refused: Vec<Problem>,
    /// Whether it, or a metric of it, was refused for what other configs serve: it may pass when those change.
    pub(super) is_in_the_way: bool,
    pub(super) reloads: Reloads,
    /// Since when its file is missing.
    pub(super) missing_since: Option<Instant>,
}

impl<L> Default for Unit<L> {
    fn default() -> Self {
        Self {
            running: None,
            seen: None,
            refused: Vec::new(),
            is_in_the_way: false,
            reloads: Reloads::default(),
            missing_since: None,
        }
    }
}

impl<L> Unit<L> {
    /// What the files say is at work now.
    pub(super) fn succeed(&mut self, now: SystemTime, is_reload: bool) {
        self.refused.clear();
        self.is_in_the_way = false;
        self.reloads.succeeded += u64::from(is_reload);
        self.reloads.is_last_good = true;
        self.reloads.last_success = Some(now);
    }

    /// What the files say is not at work.
    pub(super) fn fail(&mut self, problems: Vec<Problem>, is_reload: bool) {
        self.refused = problems;
        self.reloads.failed += u64::from(is_reload);
        self.reloads.is_last_good = false;
    }

    /// How it fares, for pages and metrics.
    pub(super) fn state(&self, name: &str) -> ConfigState {
        let reloads = self.reloads.clone();
        let name = name.to_owned();
        match &self.running {
            Some(running) => ConfigState {
                name,
                loaded: true,
                warnings: warnings(&running.problems),
                problems: running.problems.clone(),
                programs: running.programs.clone(),
                refused: self.refused.clone(),
                drafted: running.provenance.drafted,
                object: Some(running.spec.load.object.clone()),
                config_sha256: running.provenance.config.clone(),
                object_sha256: running.provenance.object.clone(),
                reloads,
                pins: pins(running),
            },
            None => ConfigState {
                name,
                warnings: warnings(&self.refused),
                problems: self.refused.clone(),
                programs: broken(&self.refused),
                drafted: self.seen.as_ref().is_some_and(Seen::is_drafted),
                reloads,
                ..ConfigState::default()
            },
        }
    }
}

/// Maps that others loaded.
fn pins<L>(running: &Running<L>) -> Vec<(String, String, bool)> {
    let is_there = |map: &str| running.view.source(map).is_some();
    let pins = running.spec.load.pins.iter();
    pins.map(|pin| (pin.map.clone(), pin.path.display().to_string(), is_there(&pin.map))).collect()
}

fn warnings(problems: &[Problem]) -> usize {
    problems.iter().filter(|problem| problem.severity == Severity::Warning).count()
}

/// Of a config that is not loaded, the programs that are known to be why.
fn broken(problems: &[Problem]) -> Vec<ProgramVerdict> {
    let mut verdicts: Vec<ProgramVerdict> = Vec::new();
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        let Some(program) = &problem.place.program else { continue };
        if verdicts.iter().all(|verdict| verdict.program != *program) {
            verdicts.push(ProgramVerdict::new(program, Verdict::Broken, &problem.message));
        }
    }
    verdicts
}
