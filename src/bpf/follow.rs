//! Places that come and go while programs are at work: interfaces, cgroups, CPUs, files, functions of modules.
//!
//! They are looked for again and again, by whoever owns what is loaded. Interfaces and cgroups could tell
//! of themselves, each in a way of its own, with a queue that overflows just when many come at once; CPUs
//! and files could not. A look finds what is there, however much was missed before, and is the same for all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libbpf_rs::ProgramMut;

use crate::host::{Host, Modules, are_left};

use super::attach::{self, AttachError, Attached, Functions, Target, Wanted};
use super::exchange::{Attachment, Planned};
use super::explain;
use super::judge::{Failure, judge};
use super::loaded::Loaded;

/// What one look attaches at most: the next one goes on.
const MOST_AT_ONCE: usize = 256;

/// Places of one program: each holds a descriptor.
pub(super) const MOST_PLACES: usize = 4096;

/// A place that refused a program is tried again after so long.
const RETRY: Duration = Duration::from_secs(30);

/// A program whose places come and go.
#[derive(Debug)]
pub(super) struct Follower {
    program: String,
    wanted: Wanted,
    /// What the last look found.
    found: Vec<Target>,
    /// When places that refused it are tried again.
    retry: Instant,
    /// Whether it was said that there are too many places.
    is_full: bool,
    /// Of a program at functions of the kernel, which modules there were when these were looked for.
    modules: Option<Arc<Modules>>,
    /// Whether the next look attaches what the last one had no room for.
    is_unfinished: bool,
}

impl Follower {
    /// `modules` are those that there were before its places were looked for.
    pub(super) fn new(program: String, wanted: Wanted, modules: Option<&Arc<Modules>>) -> Self {
        let modules = modules.cloned();
        let retry = Instant::now() + RETRY;
        Self { program, wanted, found: Vec::new(), retry, is_full: false, modules, is_unfinished: false }
    }

    /// Whether there can be other functions of the kernel than before: lists of them are too long to be read for nothing.
    fn has_other_functions(&self, modules: Option<&Arc<Modules>>) -> bool {
        self.is_unfinished || modules.is_some() && modules != self.modules.as_ref()
    }
}

impl Loaded {
    /// Whether places of its programs come and go.
    #[must_use]
    pub fn follows(&self) -> bool {
        !self.followers.is_empty()
    }

    /// Looks for places: attaches programs to those that have come, and lets go of those that are gone.
    /// Whether anything has changed.
    pub fn follow(&mut self, host: &Host) -> bool {
        if !are_left() {
            return false;
        }
        let mut followers = std::mem::take(&mut self.followers);
        let mut has_changed = false;
        let mut room = MOST_AT_ONCE;
        let names = followers.iter().filter_map(|follower| follower.wanted.functions());
        let names: HashSet<String> = names.map(str::to_owned).collect();
        let modules = if names.is_empty() { None } else { host.modules() };
        let functions = Functions::new(host, names);
        for follower in &mut followers {
            if follower.wanted.functions().is_some() {
                let is_again =
                    Instant::now() >= follower.retry && self.is_refused_somewhere(&follower.program);
                if !is_again && !follower.has_other_functions(modules.as_ref()) {
                    continue;
                }
                has_changed |= self.let_go_of_modules(follower, &functions, modules.as_ref());
            }
            has_changed |= self.follow_one(follower, host, &mut room);
        }
        self.followers = followers;
        if has_changed {
            let held = &self.held;
            let not_kept = self.kept.as_ref().map_or(&[][..], |kept| &kept.not_kept);
            let links = (held.links.held.as_slice(), &held.links.operations);
            let judged = judge(&self.spec, &self.selection, &held.object, links, &self.failures, not_kept);
            (self.programs, self.verdicts) = (judged.programs.into(), judged.verdicts);
            self.problems = judged.problems;
        }
        has_changed
    }

    fn follow_one(&mut self, follower: &mut Follower, host: &Host, room: &mut usize) -> bool {
        let now = Instant::now();
        follower.is_unfinished = false;
        // Functions are looked for when something is otherwise.
        let is_retry = now >= follower.retry || follower.wanted.functions().is_some();
        let targets = follower.wanted.targets(host);
        // Functions that are too many now, or that nobody lists, are no reason to let go of what there is.
        if targets.iter().any(Target::is_untold) {
            return false;
        }
        let is_lost = self.held.links.held.iter().any(|held| is_lost(held, &follower.program));
        if targets == follower.found && !is_retry && !is_lost {
            return false;
        }
        // What others took of descriptors meanwhile, the look could not.
        follower.is_unfinished = !are_left();
        if follower.is_unfinished {
            return false;
        }
        if is_retry {
            follower.retry = now + RETRY;
        }
        let mut has_changed = self.let_go(&follower.program, &targets);
        has_changed |= self.let_go_of_lost(&follower.program);
        let held: HashSet<&Target> = places(&self.held.links.held, &follower.program).collect();
        let failed: HashSet<&Target> = refused(&self.failures, &follower.program).collect();
        let is_new = |target: &&Target| !held.contains(target) && (is_retry || !failed.contains(target));
        let mut new: Vec<Target> = targets.iter().filter(is_new).cloned().collect();
        let most = MOST_PLACES.saturating_sub(held.len());
        if new.len() > most && !follower.is_full {
            follower.is_full = true;
            tracing::warn!(
                config = self.spec.name,
                program = follower.program,
                places = targets.len(),
                "attached to {MOST_PLACES} places, which is the most"
            );
        }
        new.truncate(most);
        // What is left over is found by the next look.
        let is_whole = new.len() <= *room;
        new.truncate(*room);
        *room -= new.len();
        for target in new {
            has_changed |= self.attach_one(&follower.program, target, host);
        }
        follower.is_unfinished = !is_whole;
        follower.found = if is_whole { targets } else { Vec::new() };
        has_changed
    }

    /// Lets go of places of a program that are gone, and forgets that they refused it.
    fn let_go(&mut self, program: &str, targets: &[Target]) -> bool {
        let there: HashSet<&Target> = targets.iter().collect();
        let is_gone = |planned: &str, place: &Target| planned == program && !there.contains(place);
        let links = &mut self.held.links;
        let (gone, held) =
            links.held.drain(..).partition::<Vec<_>, _>(|held| is_gone(&held.program, &held.place));
        links.held = held;
        let count = self.failures.len();
        self.failures.retain(|failure| !is_gone(&failure.planned.program, &failure.planned.place));
        let has_changed = !gone.is_empty() || self.failures.len() != count;
        for attachment in gone {
            tracing::info!(config = self.spec.name, program, place = %attachment.place, "gone");
            if let Some(rest) = attachment.link.detach() {
                links.detaching.begin(rest);
            }
        }
        has_changed
    }

    /// Whether a place that is there refused a program.
    fn is_refused_somewhere(&self, program: &str) -> bool {
        refused(&self.failures, program).any(|place| !place.is_missing())
    }

    /// Lets go of functions that went with their modules, also of those that are there again: the kernel took the probes off.
    fn let_go_of_modules(
        &mut self,
        follower: &mut Follower,
        functions: &Functions<'_>,
        modules: Option<&Arc<Modules>>,
    ) -> bool {
        let Some(now) = modules else { return false };
        let Some(before) = follower.modules.replace(Arc::clone(now)) else { return false };
        let held: Vec<Target> = places(&self.held.links.held, &follower.program).cloned().collect();
        let gone = follower.wanted.gone(&held, functions, &before, now);
        if gone.is_empty() {
            return false;
        }
        let failed = refused(&self.failures, &follower.program);
        let stay = held.iter().filter(|place| !gone.contains(place)).chain(failed).cloned();
        let stay: Vec<Target> = stay.collect();
        self.let_go(&follower.program, &stay)
    }

    /// Lets go of what others took off its place, so that the program is attached there anew.
    fn let_go_of_lost(&mut self, program: &str) -> bool {
        let lost: Vec<_> = self.held.links.held.extract_if(.., |held| is_lost(held, program)).collect();
        for attachment in &lost {
            let place = &attachment.place;
            tracing::warn!(config = self.spec.name, program, %place, "taken off by others; it is attached anew");
        }
        !lost.is_empty()
    }

    /// Attaches a program to one more place. What failed before is said once.
    fn attach_one(&mut self, program: &str, place: Target, host: &Host) -> bool {
        let planned = Planned { program: program.to_owned(), place };
        let map = planned.place.map(&self.held.object);
        let mut programs = self.held.object.progs_mut();
        let Some(found) = programs.find(|found| found.name().to_str() == Some(program)) else { return false };
        let before = self.failures.iter().position(|failure| failure.planned == planned);
        let outcome = attach::attach(&found, &planned.place, map);
        match outcome {
            Ok(link) => {
                let Planned { program, place } = planned;
                tracing::info!(config = self.spec.name, program, %place, "attached");
                let link = match &mut self.kept {
                    Some(kept) => kept.pin(link, &program, &place),
                    None => link,
                };
                self.held.links.held.push(Attachment { program, place, link });
                if let Some(before) = before {
                    self.failures.remove(before);
                }
                true
            }
            Err(error) if error.is_gone(&planned.place) => false,
            Err(_) if before.is_some() => false,
            Err(error) => {
                let problem = self.explained(error, &planned, &found, host);
                tracing::warn!(config = self.spec.name, program, code = problem.code, "{problem}");
                self.failures.push(Failure { planned, problem });
                true
            }
        }
    }

    fn explained(
        &self,
        error: AttachError,
        planned: &Planned<Target>,
        program: &ProgramMut<'_>,
        host: &Host,
    ) -> crate::problem::Problem {
        explain::attachment(error, &self.spec, planned, program, host)
    }
}

/// Whether others took a program off its place.
fn is_lost(held: &Attachment<Attached, Target>, program: &str) -> bool {
    held.program == program && !held.link.is_at_work()
}

fn places<'a>(
    held: &'a [Attachment<Attached, Target>],
    program: &'a str,
) -> impl Iterator<Item = &'a Target> {
    held.iter().filter(move |held| held.program == program).map(|held| &held.place)
}

/// Places that refused a program.
fn refused<'a>(failures: &'a [Failure], program: &'a str) -> impl Iterator<Item = &'a Target> {
    let planned = failures.iter().map(|failure| &failure.planned);
    planned.filter(move |planned| planned.program == program).map(|planned| &planned.place)
}
