//! Owns everything that is loaded, and brings to work what the files say.

mod events;
mod jobs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::difference::{Accepted, Rules, Standing, Step, difference};
use super::found::Found;
use super::kernel::{Kernel, Started};
use super::report::{Change, Report};
use super::unit::{Running, Unit};
use crate::events::Tallies;
use crate::problem::Problem;
use crate::scrape::{Generation, Handover, Member, Replaced, Scraper};
use crate::snapshot::View;
use crate::spec::{MetricKind, MetricSpec, Spec};
use events::Goals;
use jobs::Job;

/// A config whose file is missing goes on for so long: editors and tools that unpack archives take a
/// file away before they bring it back.
const GRACE: Duration = Duration::from_secs(1);

/// How long the last read of maps that are given up may take.
const LAST_READ: Duration = Duration::from_secs(10);

/// Places are looked for so often.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looking for places takes one part in so many of the time, at most.
const SHARE: u32 = 20;

/// When and why the files are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What the clock on the wall says.
    pub time: SystemTime,
    /// The same for measuring.
    pub instant: Instant,
    /// Somebody asked for it: what failed is tried again, and what is missing is gone.
    pub is_asked_for: bool,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now(is_asked_for: bool) -> Self {
        Self { time: SystemTime::now(), instant: Instant::now(), is_asked_for }
    }
}

/// Owns everything that is loaded.
pub struct Supervisor<K: Kernel> {
    kernel: K,
    scraper: Arc<Scraper>,
    units: BTreeMap<String, Unit<K::Loaded>>,
    problems: Vec<Problem>,
    is_strict: bool,
}

/// What one look led to, while it is being carried out.
struct Turn<L> {
    moment: Moment,
    is_reload: bool,
    changes: BTreeMap<String, Change>,
    remarks: Vec<Problem>,
    handover: Handover,
    retired: Vec<L>,
}

impl<K: Kernel> Supervisor<K> {
    /// Loads every config that can be, each on its own, and publishes the generation. At the start a wrong
    /// metric costs only itself.
    pub fn start(kernel: K, found: Found, scraper: Arc<Scraper>) -> Self {
        let mut supervisor =
            Self { kernel, scraper, units: BTreeMap::new(), problems: Vec::new(), is_strict: false };
        supervisor.take_in(found, Moment::now(true), false);
        supervisor
    }

    /// From now on no problem is tolerated in what is brought to work (`--config.strict`).
    pub fn be_strict(&mut self) {
        self.is_strict = true;
    }

    /// Brings to work what the files say, where that is better than what is at work.
    pub fn reload(&mut self, found: Found, moment: Moment) -> Report {
        self.take_in(found, moment, true)
    }

    /// It cannot be told which configs there are: all go on.
    pub fn refuse(&mut self, problems: Vec<Problem>) -> Report {
        let is_known = self.problems == problems;
        if !is_known {
            self.problems.clone_from(&problems);
            self.publish(&Handover::default());
        }
        Report { problems, is_known, serving: self.serving(), ..Report::default() }
    }

    /// Looks whether scrapes can read what is at work, and publishes what is found.
    pub fn probe(&mut self) -> Vec<Problem> {
        let mut found = Vec::new();
        for running in self.units.values_mut().filter_map(|unit| unit.running.as_mut()) {
            let mut problems = self.kernel.probe(&running.view);
            problems.retain(|problem| running.spec.view.is_about(problem));
            running.problems.extend(problems.iter().cloned());
            found.extend(problems);
        }
        if !found.is_empty() {
            self.publish(&Handover::default());
        }
        found
    }

    /// Looks for places that have come or are gone; when to look again, if there can be any.
    pub fn follow(&mut self) -> Option<Duration> {
        let began = Instant::now();
        let (mut has_changed, mut is_needed) = (false, false);
        for running in self.units.values_mut().filter_map(|unit| unit.running.as_mut()) {
            if !self.kernel.follows(&running.loaded) {
                continue;
            }
            is_needed = true;
            let Some(mut moved) = self.kernel.follow(&mut running.loaded) else { continue };
            has_changed = true;
            moved.view.config.clone_from(&running.view.config);
            running.problems.retain(|problem| !moved.before.contains(problem));
            running.problems.extend(moved.problems);
            running.view = running.tallies.complete(&moved.view);
            (running.bare, running.programs) = (moved.view, moved.programs);
        }
        if has_changed {
            self.publish(&Handover::default());
        }
        is_needed.then(|| LOOK_EVERY.max(began.elapsed().saturating_mul(SHARE)))
    }

    /// Ends the serving of numbers and then detaches and closes everything that is not to outlive the exporter.
    pub fn retire(self) {
        self.scraper.live().swap(Generation::default());
        let loaded = self.units.into_values().filter_map(|unit| unit.running);
        self.kernel.leave(loaded.map(|running| running.loaded).collect());
    }

    /// What is loaded, for questions that only its owner can answer.
    pub fn loaded(&self) -> impl Iterator<Item = &K::Loaded> {
        self.units.values().filter_map(|unit| unit.running.as_ref()).map(|running| &running.loaded)
    }

    /// How many configs are served.
    #[must_use]
    pub fn serving(&self) -> usize {
        self.loaded().count()
    }

    fn take_in(&mut self, mut found: Found, moment: Moment, is_reload: bool) -> Report {
        // A config that was asked for by its name and is served: its file went away like any other's.
        found.configs.retain(|config| {
            let is_served = |unit: &Unit<K::Loaded>| unit.running.is_some();
            !config.is_missing || !self.units.get(&config.name).is_some_and(is_served)
        });
        let look_again = self.notice_missing(&found, moment);
        let rules = Rules { strict: self.is_strict, retry: moment.is_asked_for };
        let seen: Vec<_> = found.configs.iter().map(|config| (config.name.clone(), config.seen())).collect();
        let steps = difference(&self.standing(moment), found.configs, rules);
        let is_new_problem = self.problems != found.problems;
        self.problems.clone_from(&found.problems);
        if steps.is_empty() && is_reload && !is_new_problem {
            let problems = if moment.is_asked_for { found.problems } else { Vec::new() };
            return Report { problems, look_again, serving: self.serving(), ..Report::default() };
        }
        for (name, seen) in seen {
            self.units.entry(name).or_default().seen = Some(seen);
        }
        let mut turn = Turn {
            moment,
            is_reload,
            changes: BTreeMap::new(),
            remarks: Vec::new(),
            handover: Handover::default(),
            retired: Vec::new(),
        };
        self.carry_out(steps, &mut turn);
        turn.remarks.extend(self.publish(&turn.handover));
        self.kernel.retire(turn.retired);
        Report {
            changes: turn.changes.into_iter().collect(),
            problems: found.problems,
            is_known: !is_new_problem,
            remarks: turn.remarks,
            serving: self.serving(),
            look_again,
        }
    }

    /// Notes which files are missing; when to look again whether they are back.
    fn notice_missing(&mut self, found: &Found, moment: Moment) -> Option<Duration> {
        let mut look_again = None;
        for (name, unit) in &mut self.units {
            if found.configs.iter().any(|config| config.name == *name) {
                unit.missing_since = None;
                continue;
            }
            let since = *unit.missing_since.get_or_insert(moment.instant);
            if !is_gone(unit, moment) {
                look_again = Some(GRACE.saturating_sub(moment.instant.saturating_duration_since(since)));
            }
        }
        look_again
    }

    fn standing(&self, moment: Moment) -> Vec<Standing<'_>> {
        self.units
            .iter()
            .map(|(name, unit)| Standing {
                name,
                running: unit.running.as_ref().map(|running| &running.spec),
                problems: unit.running.as_ref().map_or(&[], |running| running.problems.as_slice()),
                seen: unit.seen.as_ref(),
                is_current: unit.running.is_some() && unit.refused.is_empty(),
                is_in_the_way: unit.is_in_the_way,
                is_gone: unit.missing_since.is_some() && is_gone(unit, moment),
            })
            .collect()
    }

    /// Does what has to be done: views first, because they cannot fail, then successors of what is running.
    /// What is to go goes before something new comes, which may want its place.
    fn carry_out(&mut self, steps: Vec<(String, Step)>, turn: &mut Turn<K::Loaded>) {
        let (mut jobs, mut removed) = (Vec::new(), Vec::new());
        for (name, step) in steps {
            match step {
                Step::Load(accepted) => jobs.push((name, accepted)),
                Step::View(accepted) => {
                    let left = self.view(&name, accepted, turn);
                    jobs.extend(left.map(|accepted| (name, *accepted)));
                }
                Step::Move { from, to } => self.rename(from, name, to, turn),
                Step::Refuse { problems, is_in_the_way } => {
                    self.unit(&name).is_in_the_way = is_in_the_way;
                    self.refuse_one(name, problems, turn);
                }
                Step::Remove => removed.push(name),
            }
        }
        let jobs: Vec<Job<K>> =
            jobs.into_iter().map(|(name, to)| Job::new(self.unit(&name).running.take(), name, to)).collect();
        let mut jobs = jobs::prepare(&self.kernel, jobs);
        // Those of what is running first: none of them wants a place that is about to be free.
        jobs.sort_by_key(|job| job.running.is_none());
        let first_new = jobs.iter().position(|job| job.running.is_none()).unwrap_or(jobs.len());
        let new = jobs.split_off(first_new);
        for job in jobs {
            self.commit(job, turn);
        }
        let mut loaded = Vec::new();
        for name in removed {
            loaded.extend(self.remove(name, turn));
        }
        if new.is_empty() {
            turn.retired.extend(loaded);
        } else {
            self.kernel.retire(loaded);
        }
        for job in new {
            self.commit(job, turn);
        }
    }

    fn unit(&mut self, name: &str) -> &mut Unit<K::Loaded> {
        self.units.entry(name.to_owned()).or_default()
    }

    /// The numbers mean something else, or variables are to be set: programs and maps stay. What takes a
    /// load all the same comes back.
    fn view(&mut self, name: &str, accepted: Accepted, turn: &mut Turn<K::Loaded>) -> Option<Box<Accepted>> {
        let unit = self.units.entry(name.to_owned()).or_default();
        let running = unit.running.as_mut()?;
        let tallies = Tallies::new(&accepted.spec.view, &running.tallies);
        if running.spec.load.pins != accepted.spec.load.pins
            && let Some(mut bare) = self.kernel.open_pins(&mut running.loaded, &accepted.spec.load)
        {
            bare.config.clone_from(&running.bare.config);
            running.bare = bare;
        }
        let view = tallies.complete(&running.bare);
        let member = Member { view_spec: accepted.spec.view.clone(), view: view.clone() };
        let unfit = Generation::unfit(&member);
        if !unfit.is_empty() {
            self.refuse_one(name.to_owned(), unfit, turn);
            return None;
        }
        let load = &accepted.spec.load;
        let changes = running.spec.load.changes_in_place(load).unwrap_or_default();
        let is_set = !changes.is_empty() || running.spec.load.cgroups != load.cgroups;
        if is_set && let Err(reason) = self.kernel.set(&mut running.loaded, load, &changes) {
            tracing::info!(
                config = name,
                reason,
                "what changed cannot be set in place: the object is loaded again"
            );
            return Some(Box::new(accepted));
        }
        turn.remarks.extend(accepted.problems.iter().cloned());
        let (kinds, spans) = (&accepted.spec.view.spans, self.scraper.spans());
        events::connect(&running.bare, &Goals { config: name, tallies: &tallies, kinds, spans });
        turn.handover.replaced.extend(events::replaced(name, &running.tallies, &tallies));
        (running.view, running.tallies) = (view, tallies);
        // What is known of the programs goes on with them.
        let of_programs = running.problems.iter().filter(|problem| problem.place.program.is_some()).cloned();
        running.problems = accepted.problems.into_iter().chain(of_programs.collect::<Vec<_>>()).collect();
        running.spec = accepted.spec;
        running.provenance = accepted.provenance;
        unit.succeed(turn.moment.time, turn.is_reload);
        unit.is_in_the_way = accepted.is_in_the_way;
        let change = if is_set { Change::Set } else { Change::Viewed };
        turn.changes.insert(name.to_owned(), change);
        None
    }

    /// What is at work goes on under another name.
    fn rename(&mut self, from: String, name: String, to: Accepted, turn: &mut Turn<K::Loaded>) {
        let Some(mut running) = self.units.remove(&from).and_then(|unit| unit.running) else { return };
        running.view.config.clone_from(&name);
        running.bare.config.clone_from(&name);
        self.kernel.rename(&mut running.loaded, &to.spec.load);
        self.unit(&name).running = Some(running);
        turn.handover.renamed.push((from.clone(), name.clone()));
        // It differs by its name alone, so nothing is to be set.
        let _ = self.view(&name, to, turn);
        if turn.changes.get(&name) == Some(&Change::Viewed) {
            turn.changes.insert(name, Change::Moved { from });
        }
    }

    /// What the files say is not brought to work.
    fn refuse_one(&mut self, name: String, problems: Vec<Problem>, turn: &mut Turn<K::Loaded>) {
        let is_reload = turn.is_reload;
        let unit = self.unit(&name);
        unit.fail(problems.clone(), is_reload);
        let goes_on = unit.running.is_some();
        turn.changes.insert(name, Change::Refused { goes_on, problems });
    }

    /// Forgets a config; what is to be let go of it.
    fn remove(&mut self, name: String, turn: &mut Turn<K::Loaded>) -> Option<K::Loaded> {
        let unit = self.units.remove(&name)?;
        turn.changes.insert(name, Change::Removed);
        unit.running.map(|running| running.loaded)
    }

    /// Brings what was prepared to work.
    fn commit(&mut self, job: Job<K>, turn: &mut Turn<K::Loaded>) {
        let Job { name, to, mut running, prepared } = job;
        let Accepted { spec, mut problems, provenance, is_in_the_way } = to;
        if prepared.as_ref().is_err_and(Vec::is_empty) {
            // The process is to end: nothing is said of what was not tried.
            self.unit(&name).running = running;
            return;
        }
        let is_strict = self.is_strict;
        let before = running.as_ref().map(|running| running.tallies.clone()).unwrap_or_default();
        let tallies = Tallies::new(&spec.view, &before);
        let spans = Arc::clone(self.scraper.spans());
        let goals = Goals { config: &name, tallies: &tallies, kinds: &spec.view.spans, spans: &spans };
        let outcome = prepared.and_then(|prepared| {
            // Its programs may write events before the last of them is attached.
            events::connect_new(&self.kernel.view(&prepared), running.as_ref(), &goals);
            let loaded = running.as_mut().map(|running| &mut running.loaded);
            self.kernel.commit(prepared, is_strict, loaded)
        });
        let started = match outcome {
            Ok(started) => started,
            Err(failure) => {
                self.unit(&name).running = running;
                problems.extend(failure);
                return self.refuse_one(name, problems, turn);
            }
        };
        let Started { loaded, view: bare, problems: of_programs, programs, carried } = started;
        events::connect(&bare, &goals);
        let change = match running {
            Some(old) => {
                turn.handover.replaced.extend(events::replaced(&name, &old.tallies, &tallies));
                self.hand_over(&name, old, &carried, &bare, turn)
            }
            None => Change::Added,
        };
        let view = tallies.complete(&bare);
        problems.extend(of_programs);
        turn.remarks.extend(problems.iter().cloned());
        let unit = self.unit(&name);
        unit.running = Some(Running { spec, loaded, bare, view, tallies, problems, programs, provenance });
        unit.succeed(turn.moment.time, turn.is_reload);
        unit.is_in_the_way = is_in_the_way;
        turn.changes.insert(name, change);
    }

    /// Sees to the maps of what was replaced: those that are not carried are read a last time, when the
    /// programs that count in them have ended.
    fn hand_over(
        &self,
        name: &str,
        mut old: Running<K::Loaded>,
        carried: &[String],
        next: &View,
        turn: &mut Turn<K::Loaded>,
    ) -> Change {
        let maps = old.bare.sources.iter().map(|source| &source.map);
        let given_up: Vec<String> = maps.filter(|map| !carried.contains(map)).cloned().collect();
        let counted = given_up.iter().filter(|map| counts_in(&old.spec, map));
        turn.handover
            .replaced
            .extend(counted.map(|map| Replaced { config: name.to_owned(), map: map.clone() }));
        let ending = events::ending(&old.bare, next);
        if !ending.is_empty() || given_up.iter().any(|map| counts_in(&old.spec, map)) {
            self.kernel.settle(&mut old.loaded);
        }
        turn.remarks.extend(events::drain(name, &ending, Instant::now() + LAST_READ));
        turn.retired.push(old.loaded);
        let fresh = given_up.iter().filter(|map| !map.contains('.')).count();
        Change::Replaced { carried: carried.len(), fresh }
    }

    /// Makes live what is at work now; what could not be kept of what was counted before.
    fn publish(&self, handover: &Handover) -> Vec<Problem> {
        let running = self.units.values().filter_map(|unit| unit.running.as_ref());
        let members = running
            .map(|running| Member { view_spec: running.spec.view.clone(), view: running.view.clone() })
            .collect();
        let states = self.units.iter().map(|(name, unit)| unit.state(name)).collect();
        let generation = Generation::plan(members, states).with_problems(self.problems.clone());
        let (_, problems) = self.scraper.publish(generation, handover, Instant::now() + LAST_READ);
        problems
    }
}

/// Whether the file of a config is missing for good.
fn is_gone<L>(unit: &Unit<L>, moment: Moment) -> bool {
    let waited = unit.missing_since.map(|since| moment.instant.saturating_duration_since(since));
    moment.is_asked_for || unit.running.is_none() || waited.is_some_and(|waited| waited >= GRACE)
}

/// Whether something that must not fall is read from a map.
fn counts_in(spec: &Spec, map: &str) -> bool {
    let is_read = |metric: &MetricSpec| metric.map == map && metric.kind != MetricKind::Gauge;
    spec.view.metrics.iter().any(is_read) || spec.view.losses.iter().any(|losses| losses.map == map)
}

#[cfg(test)]
mod tests;
