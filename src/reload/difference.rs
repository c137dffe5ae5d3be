//! What has to be done so that what the files say is at work: pure.

use super::found::{Provenance, ReadConfig, Seen};
use crate::config::settle_in_order;
use crate::problem::Problem;
use crate::spec::{LoadSpec, Spec};

/// How a config stands before anything is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    pub(super) name: &'a str,
    /// What is at work of it.
    pub(super) running: Option<&'a Spec>,
    /// What is wrong with what is at work.
    pub(super) problems: &'a [Problem],
    /// What its files said when they were last acted on.
    pub(super) seen: Option<&'a Seen>,
    /// Whether that is at work.
    pub(super) is_current: bool,
    /// Whether it, or a metric of it, was refused for what other configs serve.
    pub(super) is_in_the_way: bool,
    /// Whether its file is missing for good.
    pub(super) is_gone: bool,
}

/// How strict to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// No problem is tolerated (`--config.strict`).
    pub(super) strict: bool,
    /// What was refused is tried again, although its files are the same.
    pub(super) retry: bool,
}

/// What the files say, and what may be at work.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) spec: Spec,
    pub(super) problems: Vec<Problem>,
    pub(super) provenance: Provenance,
    /// Whether a metric of it was refused for what other configs serve.
    pub(super) is_in_the_way: bool,
}

/// What is to be done with a config. One that nothing is to be done with has no step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Load the object, beside what is running of it if anything is.
    Load(Accepted),
    /// Programs and maps stay: only the numbers mean something else, or variables are to be set.
    View(Accepted),
    /// It goes on under another name.
    Move { from: String, to: Accepted },
    /// Nothing is left of it.
    Remove,
    /// What is running goes on.
    Refuse { problems: Vec<Problem>, is_in_the_way: bool },
}

/// A config whose files say something new.
struct Candidate<'a> {
    config: ReadConfig,
    standing: Option<Standing<'a>>,
    verdict: Verdict,
    /// Whether its files say what they said, and only others may have changed.
    is_known: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Accepted,
    Refused { is_in_the_way: bool },
}

/// The steps, in the order of names.
pub(super) fn difference(
    standing: &[Standing<'_>],
    found: Vec<ReadConfig>,
    rules: Rules,
) -> Vec<(String, Step)> {
    let of = |name: &str| standing.iter().copied().find(|standing| standing.name == name);
    let is_there = |name: &str| found.iter().any(|config| config.name == name);
    let missing: Vec<Standing<'_>> =
        standing.iter().filter(|standing| !is_there(standing.name)).copied().collect();
    let (mut candidates, mut unchanged) = (Vec::new(), Vec::new());
    for config in found {
        let standing = of(&config.name);
        if standing.is_some_and(|standing| stays(&standing, &config, rules)) {
            unchanged.push(config);
            continue;
        }
        let verdict = judge(standing.as_ref(), &config, rules);
        let is_known = standing.is_some_and(|standing| is_unchanged(&standing, &config)) && !rules.retry;
        candidates.push(Candidate { config, standing, verdict, is_known });
    }
    // What goes, or goes on under another name, claims nothing any more.
    let is_leaving = |standing: &Standing<'_>| {
        let is_renamed = |candidate: &Candidate<'_>| {
            let spec =
                candidate.config.spec.as_ref().filter(|_| candidate.is_accepted() && !candidate.is_running());
            spec.is_some_and(|spec| is_but_for_its_name(standing, spec))
        };
        let is_missing = missing.iter().any(|missing| missing.name == standing.name);
        standing.is_gone || (is_missing && candidates.iter().any(is_renamed))
    };
    let staying: Vec<Standing<'_>> =
        standing.iter().filter(|standing| !is_leaving(standing)).copied().collect();
    settle(&staying, &mut candidates, &unchanged, rules);
    let mut steps = steps(candidates, missing);
    steps.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    steps
}

/// Whether nothing is to be done with a config.
fn stays(standing: &Standing<'_>, config: &ReadConfig, rules: Rules) -> bool {
    is_unchanged(standing, config) && !standing.is_in_the_way && (standing.is_current || !rules.retry)
}

fn is_unchanged(standing: &Standing<'_>, config: &ReadConfig) -> bool {
    standing.seen == Some(&config.seen())
}

/// Whether a config by itself may be at work.
fn judge(standing: Option<&Standing<'_>>, config: &ReadConfig, rules: Rules) -> Verdict {
    let refused = Verdict::Refused { is_in_the_way: false };
    let Some(spec) = &config.spec else { return refused };
    // A map that somebody else took away is not this config's mistake, and to go on with what it held would not be true.
    let is_tolerated = |problem: &Problem| problem.code == "pin-missing" && standing.is_some();
    if rules.strict && !config.problems.iter().all(is_tolerated) {
        return refused;
    }
    let mut errors = config.problems.iter().filter(|problem| problem.is_error());
    let is_good = match standing.filter(|standing| standing.running.is_some()) {
        Some(standing) => errors.all(|problem| is_bearable(standing, problem)),
        // Programs whose every metric was refused would cost and show nothing.
        None => !spec.view.is_empty() || errors.next().is_none(),
    };
    if is_good { Verdict::Accepted } else { refused }
}

/// Whether a running config may be replaced by one with this error. What is whole stays whole; where
/// something is wrong already, the rest may change, but no metric that is served is given up.
fn is_bearable(standing: &Standing<'_>, error: &Problem) -> bool {
    let Some(running) = standing.running else { return true };
    let concerns_metrics = |problem: &Problem| problem.is_error() && problem.place.program.is_none();
    let was_whole = !standing.problems.iter().any(concerns_metrics);
    !was_whole && error.place.metric.as_ref().is_some_and(|name| !running.view.serves(name))
}

/// Lets configs agree on who owns which family: what is running wins, then comes the order of names. Who
/// is refused goes on as it is, which may stand in the way of others: so this is done until nobody is refused.
fn settle(
    staying: &[Standing<'_>],
    candidates: &mut [Candidate<'_>],
    unchanged: &[ReadConfig],
    rules: Rules,
) {
    loop {
        let mut specs = claims(staying, candidates);
        let refused = settle_in_order(&mut specs);
        let told = with_what_a_restart_decides(candidates, unchanged, refused);
        let mut is_again = false;
        for candidate in candidates.iter_mut().filter(|candidate| candidate.is_accepted()) {
            let own =
                told.iter().filter(|problem| problem.place.config.as_ref() == Some(&candidate.config.name));
            let own: Vec<Problem> = own.cloned().collect();
            let is_borne = |problem: &Problem| {
                !rules.strict
                    && (!problem.is_error()
                        || candidate.standing.is_none_or(|standing| is_bearable(&standing, problem)))
            };
            let settled = specs.iter().find(|spec| spec.load.name == candidate.config.name);
            let nothing_left = settled.is_none_or(|spec| spec.view.is_empty());
            if own.iter().all(is_borne) && (own.is_empty() || !nothing_left) {
                continue;
            }
            candidate.verdict = Verdict::Refused { is_in_the_way: true };
            candidate.config.problems.extend(own);
            is_again = true;
        }
        if !is_again {
            return take_over(candidates, specs, &told);
        }
    }
}

/// What every config would serve, those first that win.
fn claims(staying: &[Standing<'_>], candidates: &[Candidate<'_>]) -> Vec<Spec> {
    let accepted = |name: &str| {
        candidates.iter().find(|candidate| candidate.is_accepted() && candidate.config.name == name)
    };
    let mut specs: Vec<Spec> = staying
        .iter()
        .filter(|standing| accepted(standing.name).is_none())
        .filter_map(|standing| standing.running.cloned())
        .collect();
    for is_running in [true, false] {
        let rank = candidates
            .iter()
            .filter(|candidate| candidate.is_accepted() && candidate.is_running() == is_running);
        specs.extend(rank.filter_map(|candidate| candidate.config.spec.clone()));
    }
    specs
}

/// Gives the accepted ones what was left to them.
fn take_over(candidates: &mut [Candidate<'_>], specs: Vec<Spec>, told: &[Problem]) {
    for spec in specs {
        let name = spec.load.name.clone();
        let Some(candidate) =
            candidates.iter_mut().find(|candidate| candidate.is_accepted() && candidate.config.name == name)
        else {
            continue;
        };
        candidate.config.spec = Some(spec);
        let own = told.iter().filter(|problem| problem.place.config.as_ref() == Some(&name));
        candidate.config.problems.extend(own.cloned());
    }
}

/// Adds to problems between configs how they would end if the exporter was started now.
fn with_what_a_restart_decides(
    candidates: &[Candidate<'_>],
    unchanged: &[ReadConfig],
    problems: Vec<Problem>,
) -> Vec<Problem> {
    if problems.is_empty() {
        return problems;
    }
    let files = candidates.iter().map(|candidate| &candidate.config).chain(unchanged);
    let mut specs: Vec<Spec> = files.filter_map(|config| config.spec.clone()).collect();
    specs.sort_unstable_by(|one, other| one.load.name.cmp(&other.load.name));
    let at_restart = settle_in_order(&mut specs);
    let is_same = |one: &Problem, other: &Problem| {
        one.code == other.code
            && one.place.config == other.place.config
            && one.place.metric == other.place.metric
    };
    let tell = |mut problem: Problem| {
        let config = problem.place.config.clone().unwrap_or_default();
        if !at_restart.iter().any(|other| is_same(&problem, other)) {
            let decided = format!(
                "what is running wins; a restart would give it to `{config}`, whose name comes first"
            );
            let help = problem.help.take().map_or(decided.clone(), |help| format!("{help}; {decided}"));
            return problem.help(help);
        }
        problem
    };
    problems.into_iter().map(tell).collect()
}

impl Candidate<'_> {
    fn is_accepted(&self) -> bool {
        self.verdict == Verdict::Accepted
    }

    fn is_running(&self) -> bool {
        self.standing.is_some_and(|standing| standing.running.is_some())
    }

    /// Whether it may serve more or less than it does.
    fn differs(&self) -> bool {
        let families = |spec: &Spec| -> Vec<String> {
            spec.view.metrics.iter().map(|metric| metric.family.clone()).collect()
        };
        let running = self.standing.and_then(|standing| standing.running).map(families);
        self.is_accepted() && running != self.config.spec.as_ref().map(families)
    }
}

/// Whether a problem is over when another config changes.
fn is_between_configs(problem: &Problem) -> bool {
    matches!(problem.code, "metric-conflict" | "metric-collision")
}

/// What is to be done with candidates and with configs whose files are missing.
fn steps(candidates: Vec<Candidate<'_>>, mut missing: Vec<Standing<'_>>) -> Vec<(String, Step)> {
    let mut steps = Vec::new();
    for candidate in candidates {
        if candidate.is_known && !candidate.differs() {
            continue;
        }
        let running = candidate.standing.and_then(|standing| standing.running);
        let ReadConfig { name, spec, problems, provenance, .. } = candidate.config;
        let step = match (candidate.verdict, spec) {
            (Verdict::Accepted, Some(spec)) => {
                let moved = running.is_none().then(|| renamed(&spec, &missing)).flatten();
                let is_in_the_way = problems.iter().any(is_between_configs);
                let accepted = Accepted { spec, problems, provenance, is_in_the_way };
                match (running, moved) {
                    (Some(running), _) if running.load.changes_in_place(&accepted.spec.load).is_some() => {
                        Step::View(accepted)
                    }
                    (_, Some(index)) => {
                        Step::Move { from: missing.swap_remove(index).name.to_owned(), to: accepted }
                    }
                    _ => Step::Load(accepted),
                }
            }
            (Verdict::Refused { is_in_the_way }, _) => Step::Refuse { problems, is_in_the_way },
            (Verdict::Accepted, None) => Step::Refuse { problems, is_in_the_way: false },
        };
        steps.push((name, step));
    }
    let gone = missing.iter().filter(|standing| standing.is_gone);
    steps.extend(gone.map(|standing| (standing.name.to_owned(), Step::Remove)));
    steps
}

/// The config among those without a file that a new one is but for its name.
fn renamed(spec: &Spec, missing: &[Standing<'_>]) -> Option<usize> {
    missing.iter().position(|standing| is_but_for_its_name(standing, spec))
}

fn is_but_for_its_name(standing: &Standing<'_>, spec: &Spec) -> bool {
    standing.running.is_some_and(|running| {
        let load = LoadSpec { name: spec.load.name.clone(), ..running.load.clone() };
        let pins = |load: &LoadSpec| load.pins.iter().map(|pin| pin.path.clone()).collect::<Vec<_>>();
        load.loads_the_same(&spec.load) && pins(&load) == pins(&spec.load)
    })
}

#[cfg(test)]
mod tests;
