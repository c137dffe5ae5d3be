//! Objects that are loaded side by side, before anything changes.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::difference::Accepted;
use super::super::kernel::Kernel;
use super::super::unit::Running;
use crate::events::Tallies;
use crate::problem::Problem;
use crate::scrape::{Generation, Member};

/// Objects are loaded by at most this many threads: each load holds the
/// kernel's parsed BTF (about 30 MB) for its time.
const MAX_LOADERS: usize = 8;

/// A config whose object is to be loaded, or was.
pub(super) struct Job<K: Kernel> {
    pub(super) name: String,
    pub(super) to: Accepted,
    /// What is to be replaced.
    pub(super) running: Option<Running<K::Loaded>>,
    /// Nothing is said of a job that was not done.
    pub(super) prepared: Result<K::Prepared, Vec<Problem>>,
}

impl<K: Kernel> Job<K> {
    pub(super) fn new(running: Option<Running<K::Loaded>>, name: String, to: Accepted) -> Self {
        Self { name, to, running, prepared: Err(Vec::new()) }
    }

    fn prepare(&mut self, kernel: &K) {
        let running = self.running.as_ref().map(|running| &running.loaded);
        let prepared = kernel.prepare(&self.to.spec.load, running);
        self.prepared = prepared.and_then(|prepared| match self.flaws(kernel, &prepared) {
            flaws if flaws.is_empty() => Ok(prepared),
            flaws => Err(flaws),
        });
    }

    /// What is wrong with a successor although it was loaded. Nothing is given up for it; at first
    /// everything that can be served is.
    fn flaws(&self, kernel: &K, prepared: &K::Prepared) -> Vec<Problem> {
        let Some(running) = &self.running else { return Vec::new() };
        let view = Tallies::new(&self.to.spec.view, &running.tallies).complete(&kernel.view(prepared));
        let mut flaws = kernel.probe(&view);
        flaws.retain(|flaw| self.to.spec.view.is_about(flaw));
        flaws.extend(Generation::unfit(&Member { view_spec: self.to.spec.view.clone(), view }));
        flaws
    }
}

/// Loads on as many threads as there are processors, because most of a load is
/// the parsing of the kernel's BTF. The jobs come back in their order.
pub(super) fn prepare<K: Kernel>(kernel: &K, jobs: Vec<Job<K>>) -> Vec<Job<K>> {
    let next = AtomicUsize::new(0);
    let jobs: Vec<Mutex<Job<K>>> = jobs.into_iter().map(Mutex::new).collect();
    let loader = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !kernel.goes_on() {
                break;
            }
            job.lock().unwrap_or_else(PoisonError::into_inner).prepare(kernel);
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(jobs.len()).min(MAX_LOADERS) {
            // Without another thread this one loads everything.
            if std::thread::Builder::new().name("load".into()).spawn_scoped(scope, loader).is_err() {
                break;
            }
        }
        loader();
    });
    jobs.into_iter().map(|job| job.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
