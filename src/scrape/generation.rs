//! What is live: all views, and one plan per family name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::losses::{self, PlannedLoss};
use super::plan::{FamilyPlan, PlannedSource, Planner};
use crate::problem::{Problem, Severity};
use crate::snapshot::{ProgramVerdict, View};
use crate::spec::{MapExpiry, MetricKind, ViewSpec};

/// One loaded config.
#[derive(Clone)]
pub struct Member {
    /// What its numbers mean.
    pub view_spec: ViewSpec,
    /// What can be read of it.
    pub view: View,
}

/// How one config of the folder fares, loaded or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigState {
    /// The config's name.
    pub name: String,
    /// Whether nobody wrote it: it was drafted from its object.
    pub drafted: bool,
    /// Whether it is loaded and served.
    pub loaded: bool,
    /// How many of its problems are warnings.
    pub warnings: usize,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What became of its programs, as far as that is known.
    pub programs: Vec<ProgramVerdict>,
    /// Of a loaded config, why what its files say now is not what is served.
    pub refused: Vec<Problem>,
    /// The file of the object that is loaded.
    pub object: Option<PathBuf>,
    /// SHA-256 of the file that is served, as hex digits.
    pub config_sha256: Option<String>,
    /// SHA-256 of the object that is loaded, as hex digits.
    pub object_sha256: Option<String>,
    /// How its reloads went.
    pub reloads: Reloads,
    /// Maps that others loaded, with their path and whether they are there.
    pub pins: Vec<(String, String, bool)>,
}

/// How the reloads of a config went. Its first load is the last success until there is another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// Whether what its files say is at work.
    pub is_last_good: bool,
    /// When that began.
    pub last_success: Option<SystemTime>,
}

/// All that a scrape can see. It is replaced as a whole.
#[derive(Default)]
pub struct Generation {
    pub(super) sources: Vec<PlannedSource>,
    /// In the order of the page: by name.
    pub(super) families: Vec<FamilyPlan>,
    views: Vec<View>,
    configs: Vec<ConfigState>,
    problems: Vec<Problem>,
    pub(super) losses: Vec<PlannedLoss>,
    /// When entries are taken out of maps, by config and map.
    expiries: BTreeMap<(String, String), Duration>,
}

impl Generation {
    /// Plans a generation of configs whose families are settled: metrics that share a name have
    /// the same shape. Metrics whose map is not what their spec says are left out, and the state
    /// of their config says so.
    #[must_use]
    pub fn plan(members: Vec<Member>, mut configs: Vec<ConfigState>) -> Self {
        let mut problems = Vec::new();
        let mut planner = Planner::default();
        for (config, member) in members.iter().enumerate() {
            for metric in &member.view_spec.metrics {
                if let Err(problem) = planner.add(&member.view, metric) {
                    problems.push((config, *problem));
                }
            }
        }
        for (config, problem) in problems {
            let name = members.get(config).map(|member| member.view.config.as_str()).unwrap_or_default();
            state_of(&mut configs, name).complain(problem);
        }
        for member in &members {
            state_of(&mut configs, &member.view.config);
        }
        configs.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        let (sources, families) = planner.finish();
        let expiries = members.iter().flat_map(|member| {
            let of = |expiry: &MapExpiry| ((member.view.config.clone(), expiry.map.clone()), expiry.after);
            member.view_spec.expiries.iter().map(of).collect::<Vec<_>>()
        });
        let expiries = expiries.collect();
        let losses = losses::plan(&members);
        let views = members.into_iter().map(|member| member.view).collect();
        Self { sources, families, views, configs, problems: Vec::new(), losses, expiries }
    }

    /// The same with what is wrong with no config in particular.
    #[must_use]
    pub fn with_problems(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }

    /// What is wrong with no config in particular.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What of a config's metrics cannot be read from what was loaded for it.
    #[must_use]
    pub fn unfit(member: &Member) -> Vec<Problem> {
        let mut planner = Planner::default();
        let problems =
            member.view_spec.metrics.iter().filter_map(|metric| planner.add(&member.view, metric).err());
        problems.map(|problem| *problem).collect()
    }

    /// Every config of the folder, by name, with its problems.
    #[must_use]
    pub fn configs(&self) -> &[ConfigState] {
        &self.configs
    }

    /// How many metrics a config contributes.
    #[must_use]
    pub fn metric_count(&self, config: &str) -> usize {
        let contributors = self.families.iter().flat_map(|family| &family.contributors);
        contributors.filter(|contributor| contributor.config == config).count()
    }

    /// After how long without a change entries of a map are taken out.
    pub(super) fn expire(&self, config: &str, map: &str) -> Option<Duration> {
        self.expiries.get(&(config.to_owned(), map.to_owned())).copied()
    }

    /// Whether a metric is read from a map.
    pub(super) fn is_scraped(&self, config: &str, map: &str) -> bool {
        self.sources.iter().any(|source| source.config == config && source.map == map)
    }

    /// Whether a config has a metric of this name, or one that writes it.
    pub(super) fn writes(&self, name: &str) -> bool {
        let writes = |family: &FamilyPlan| {
            let rest = name.strip_prefix(family.name.as_str());
            rest == Some("")
                || (matches!(family.kind, MetricKind::Histogram(_))
                    && matches!(rest, Some("_bucket" | "_sum" | "_count")))
        };
        self.families.iter().any(writes)
    }

    /// What can be seen of each loaded config.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }
}

/// A loaded config whose state nobody told is a loaded config without problems.
fn state_of<'a>(configs: &'a mut Vec<ConfigState>, name: &str) -> &'a mut ConfigState {
    let index = configs.iter().position(|config| config.name == name).unwrap_or_else(|| {
        configs.push(ConfigState { name: name.to_owned(), loaded: true, ..ConfigState::default() });
        configs.len() - 1
    });
    &mut configs[index]
}

impl ConfigState {
    /// Adds a problem, unless it is known.
    fn complain(&mut self, problem: Problem) {
        if self.problems.contains(&problem) {
            return;
        }
        if problem.severity == Severity::Warning {
            self.warnings += 1;
        }
        self.problems.push(problem);
    }
}

/// The place where the live generation is exchanged.
#[derive(Default)]
pub struct Live {
    generation: RwLock<Arc<Generation>>,
}

impl Live {
    /// Begins with a generation.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self { generation: RwLock::new(Arc::new(generation)) }
    }

    /// The generation that is live now.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes another generation live and gives back the old one, which scrapes in flight may still hold.
    pub fn swap(&self, generation: Generation) -> Arc<Generation> {
        let mut live = self.generation.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut live, Arc::new(generation))
    }
}
