//! Loads each config on its own and publishes one generation of all that succeeded.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::problem::{Problem, Severity};
use crate::scrape::{ConfigState, Generation, Live, Member};
use crate::snapshot::{ProgramVerdict, Verdict, View};
use crate::spec::{LoadSpec, Spec};

/// Objects are loaded by at most this many threads: each load holds the
/// kernel's parsed BTF (about 30 MB) for its time.
const MAX_LOADERS: usize = 8;

/// The kernel, as the supervisor needs it.
pub trait Kernel: Sync {
    /// What is loaded: programs, links, maps. Dropping it detaches and closes.
    type Loaded: Send;

    /// Loads an object and attaches its programs.
    ///
    /// # Errors
    /// Why nothing of it is loaded.
    fn load(&self, spec: &LoadSpec) -> Result<Started<Self::Loaded>, Vec<Problem>>;

    /// Whether more is to be loaded: not when the process was asked to end meanwhile.
    fn goes_on(&self) -> bool {
        true
    }

    /// Detaches and closes all of these; side by side where that is safe, because one takes long.
    fn retire(&self, loaded: Vec<Self::Loaded>);
}

/// What a load gave.
pub struct Started<T> {
    /// Owned by the supervisor until it retires it.
    pub loaded: T,
    /// What scrapes may see of it.
    pub view: View,
    /// What went wrong without costing the config, such as a program that did not attach.
    pub problems: Vec<Problem>,
    /// What became of its programs.
    pub programs: Vec<ProgramVerdict>,
}

/// A config as it was read: its spec, unless it is wrong as a whole.
pub struct ReadConfig {
    /// Its name: the stem of its file.
    pub name: String,
    /// What it means; none when a problem costs the whole config.
    pub spec: Option<Spec>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
    /// Whether nobody wrote it: it was drafted from its object.
    pub drafted: bool,
}

/// Owns everything that is loaded.
pub struct Supervisor<K: Kernel> {
    kernel: K,
    live: Arc<Live>,
    loaded: Vec<K::Loaded>,
}

impl<K: Kernel> Supervisor<K> {
    /// Loads every config that can be, each on its own, and publishes the generation.
    pub fn start(kernel: K, configs: Vec<ReadConfig>, live: Arc<Live>) -> Self {
        let started = load_all(&kernel, &configs);
        let mut loaded = Vec::new();
        let mut members = Vec::new();
        let mut states = Vec::new();
        for (config, result) in configs.into_iter().zip(started) {
            let ReadConfig { name, spec, mut problems, drafted } = config;
            let (mut is_loaded, mut programs) = (false, None);
            match (result, spec) {
                (Some(Ok(started)), Some(spec)) => {
                    is_loaded = true;
                    problems.extend(started.problems);
                    programs = Some(started.programs);
                    loaded.push(started.loaded);
                    members.push(Member { view_spec: spec.view, view: started.view });
                }
                (Some(Err(failure)), _) => problems.extend(failure),
                (None, _) | (_, None) => {}
            }
            let warnings = problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
            let programs = programs.unwrap_or_else(|| broken(&problems));
            states.push(ConfigState { name, drafted, loaded: is_loaded, warnings, problems, programs });
        }
        live.swap(Generation::plan(members, states));
        Self { kernel, live, loaded }
    }

    /// Ends the serving of numbers and then detaches and closes everything.
    pub fn retire(self) {
        self.live.swap(Generation::default());
        self.kernel.retire(self.loaded);
    }

    /// What is loaded, for questions that only its owner can answer.
    pub fn loaded(&self) -> &[K::Loaded] {
        &self.loaded
    }
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

/// Whether a config is worth loading: programs whose every metric was refused would cost and show nothing.
fn is_loadable(config: &ReadConfig) -> bool {
    config.spec.as_ref().is_some_and(|spec| {
        !spec.view.metrics.is_empty()
            || !config.problems.iter().any(|problem| problem.severity == Severity::Error)
    })
}

type LoadResult<T> = Option<Result<Started<T>, Vec<Problem>>>;

/// Loads on as many threads as there are processors, because most of a load is
/// the parsing of the kernel's BTF. The results are in the configs' order.
fn load_all<K: Kernel>(kernel: &K, configs: &[ReadConfig]) -> Vec<LoadResult<K::Loaded>> {
    let next = AtomicUsize::new(0);
    let slots: Vec<Mutex<LoadResult<K::Loaded>>> = configs.iter().map(|_| Mutex::new(None)).collect();
    let loader = || {
        while let Some((config, slot)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            configs.get(index).zip(slots.get(index))
        } {
            if !kernel.goes_on() {
                break;
            }
            if let Some(spec) = config.spec.as_ref().filter(|_| is_loadable(config)) {
                let result = kernel.load(&spec.load);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(configs.len()).min(MAX_LOADERS) {
            // Without another thread this one loads everything.
            if std::thread::Builder::new().name("load".into()).spawn_scoped(scope, loader).is_err() {
                break;
            }
        }
        loader();
    });
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests;
