//! The supervisor against a kernel that writes down what is asked of it, and fails where it is told to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::ReadConfig;
use super::super::samples::{config, error, following, lost, setting, warning};
use super::*;
use crate::problem::Place;
use crate::reload::kernel::Moved;
use crate::scrape::{Live, Settings};
use crate::snapshot::fixture::Literal;
use crate::snapshot::{
    NamedSource, NamedStream, ProgramStatus, ProgramVerdict, Programs, ReadError, Sink, Stream, StreamCounts,
    Verdict, View,
};
use crate::spec::{Amount, EventSpec, GlobalPatch, LoadSpec};

/// What the kernel holds, and what was asked of it.
#[derive(Default)]
struct State {
    log: Vec<String>,
    /// Of each config, the objects whose programs are attached.
    attached: Vec<(String, String)>,
    /// Objects in the kernel, attached or not.
    alive: usize,
    /// The number of the operation that fails, counted from 1.
    fails_at: Option<usize>,
    operations: usize,
    /// Loading ends once this name was loaded.
    stops_at: Option<&'static str>,
    /// Buffers by their names.
    streams: Vec<(String, Arc<dyn Stream>)>,
    /// What the next looks for places find; none when places neither come nor go.
    moves: Option<Vec<Moved>>,
    /// The generation that is live, to see when it changes.
    live: Option<Arc<Live>>,
}

/// A kernel of which copies share the state.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<State>>);

/// An object in the kernel.
struct Object {
    name: String,
    version: String,
    kernel: Recorder,
}

struct NoPrograms;

impl Programs for NoPrograms {
    fn programs(&self) -> Vec<ProgramStatus> {
        Vec::new()
    }
}

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an operation down; an error when it is the one that fails.
    fn may(&self, what: String, name: &str) -> Result<(), Vec<Problem>> {
        let mut state = self.state();
        state.operations += 1;
        let fails = state.fails_at == Some(state.operations) || name.contains("bad");
        state.log.push(if fails { format!("{what} fails") } else { what });
        let place = Place { config: Some(name.to_owned()), ..Place::default() };
        if fails { Err(vec![Problem::error("refused", place, "no")]) } else { Ok(()) }
    }

    fn state_operations(&self) -> usize {
        self.state().operations
    }

    fn object(&self, name: &str, version: &str) -> Object {
        self.state().alive += 1;
        Object { name: name.to_owned(), version: version.to_owned(), kernel: self.clone() }
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    /// What is attached, by config.
    fn attached(&self) -> Vec<String> {
        let mut attached: Vec<String> =
            self.state().attached.iter().map(|(name, version)| format!("{name} {version}")).collect();
        attached.sort();
        attached
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let mut state = self.kernel.state();
        state.alive -= 1;
        let own = (self.name.clone(), self.version.clone());
        state.attached.retain(|attached| *attached != own);
    }
}

/// A buffer that writes down what is done with it.
struct Listened {
    name: String,
    kernel: Recorder,
}

impl Stream for Listened {
    fn connect(&self, sinks: Vec<Box<dyn Sink>>) -> Result<(), String> {
        self.kernel.state().log.push(format!("connect {} to {}", self.name, sinks.len()));
        Ok(())
    }

    fn drain(&self, _deadline: Instant) -> Result<(), ReadError> {
        self.kernel.state().log.push(format!("drain {}", self.name));
        if self.name.contains("slow") { Err(ReadError::Late) } else { Ok(()) }
    }

    fn counts(&self) -> StreamCounts {
        StreamCounts::default()
    }

    fn unread(&self) -> Option<u64> {
        None
    }
}

fn version(spec: &LoadSpec) -> String {
    String::from_utf8(spec.object_bytes.to_vec()).unwrap()
}

fn view(name: &str) -> View {
    let source = Arc::new(Literal::from_numbers([(0, 1)]));
    let sources = vec![NamedSource { map: "counts".to_owned(), source }];
    View {
        config: name.to_owned(),
        sources,
        streams: Vec::new(),
        programs: Arc::new(NoPrograms),
        cgroups: Arc::default(),
    }
}

impl Kernel for Recorder {
    type Loaded = Object;
    type Prepared = Object;

    fn prepare(&self, spec: &LoadSpec, running: Option<&Object>) -> Result<Object, Vec<Problem>> {
        let beside = running.map(|running| format!(" beside {}", running.version)).unwrap_or_default();
        self.may(format!("prepare {} {}{beside}", spec.name, version(spec)), &spec.name)?;
        Ok(self.object(&spec.name, &version(spec)))
    }

    /// Objects whose version says so have a buffer; that of a carried one is the same stream.
    fn view(&self, prepared: &Object) -> View {
        let mut view = view(&prepared.name);
        if let Some((_, name)) = prepared.version.split_once("buffer-") {
            let mut state = self.state();
            let known =
                state.streams.iter().find(|(known, _)| known == name).map(|(_, stream)| Arc::clone(stream));
            let stream = known.unwrap_or_else(|| {
                let stream: Arc<dyn Stream> =
                    Arc::new(Listened { name: name.to_owned(), kernel: self.clone() });
                state.streams.push((name.to_owned(), Arc::clone(&stream)));
                stream
            });
            view.streams.push(NamedStream { map: "events".to_owned(), stream });
        }
        view
    }

    fn probe(&self, view: &View) -> Vec<Problem> {
        self.may(format!("probe {}", view.config), &view.config).err().unwrap_or_default()
    }

    fn set(&self, loaded: &mut Object, spec: &LoadSpec, changes: &[GlobalPatch]) -> Result<(), String> {
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        self.may(format!("set {} of {}", names.join(" "), loaded.name), &spec.name)
            .map_err(|_| "no".to_owned())
    }

    fn commit(
        &self,
        prepared: Object,
        strictly: bool,
        running: Option<&mut Object>,
    ) -> Result<Started<Object>, Vec<Problem>> {
        let Object { name, version, .. } = &prepared;
        let how = if strictly { " strictly" } else { "" };
        self.may(format!("commit {name} {version}{how}"), name)?;
        let mut state = self.state();
        if let Some(running) = &running {
            let old = (running.name.clone(), running.version.clone());
            state.attached.retain(|attached| *attached != old);
        }
        state.attached.push((name.clone(), version.clone()));
        drop(state);
        let carried = if version.contains("fresh") { Vec::new() } else { vec!["counts".to_owned()] };
        let half = Problem::warning("half", Place { config: Some(name.clone()), ..Place::default() }, "half");
        let view = self.view(&prepared);
        Ok(Started { loaded: prepared, view, problems: vec![half], programs: Vec::new(), carried })
    }

    fn follows(&self, loaded: &Object) -> bool {
        self.state().moves.is_some() && loaded.name == "moving"
    }

    fn follow(&self, _loaded: &mut Object) -> Option<Moved> {
        self.state().moves.as_mut()?.pop()
    }

    fn settle(&self, loaded: &mut Object) {
        self.state().log.push(format!("settle {} {}", loaded.name, loaded.version));
    }

    fn retire(&self, loaded: Vec<Object>) {
        for object in loaded {
            let served = self.state().live.as_ref().map(|live| live.current());
            let is_served =
                served.is_some_and(|live| live.views().iter().any(|view| view.config == object.name));
            let served = if is_served { ", served" } else { "" };
            self.state().log.push(format!("retire {} {}{served}", object.name, object.version));
            drop(object);
        }
    }

    fn goes_on(&self) -> bool {
        let state = self.state();
        !state.stops_at.is_some_and(|name| state.log.iter().any(|line| line.contains(name)))
    }
}

/// A supervisor of a recorder, after its start.
struct Stage {
    kernel: Recorder,
    live: Arc<Live>,
    supervisor: Supervisor<Recorder>,
    now: Instant,
}

impl Stage {
    fn start(kernel: Recorder, configs: Vec<ReadConfig>) -> Self {
        let live = Arc::new(Live::default());
        kernel.state().live = Some(Arc::clone(&live));
        let scraper = Arc::new(Scraper::new(Arc::clone(&live), Settings::default()));
        let supervisor = Supervisor::start(kernel.clone(), found(configs), scraper);
        Self { kernel, live, supervisor, now: Instant::now() }
    }

    /// Looks at files that say this, a second after the last look.
    fn look(&mut self, configs: Vec<ReadConfig>) -> Report {
        self.now += Duration::from_secs(1);
        self.look_now(configs, false)
    }

    fn look_now(&mut self, configs: Vec<ReadConfig>, is_asked_for: bool) -> Report {
        let moment = Moment { time: SystemTime::now(), instant: self.now, is_asked_for };
        self.supervisor.reload(found(configs), moment)
    }

    /// By config: whether it is loaded, problems, and why what the files say is not at work.
    fn states(&self) -> Vec<String> {
        let codes = |problems: &[Problem]| {
            let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
            codes.join(" ")
        };
        let generation = self.live.current();
        let state = |state: &crate::scrape::ConfigState| {
            let loaded = if state.loaded { "up" } else { "down" };
            format!("{} {loaded} [{}] [{}]", state.name, codes(&state.problems), codes(&state.refused))
        };
        generation.configs().iter().map(state).collect()
    }
}

fn found(mut configs: Vec<ReadConfig>) -> Found {
    configs.sort_by(|one, other| one.name.cmp(&other.name));
    Found { configs, problems: Vec::new() }
}

/// A config with a metric of its own name.
fn good(name: &str, object: &str) -> ReadConfig {
    config(name, object, &[(name, "help")], Vec::new())
}

fn changes(report: &Report) -> Vec<String> {
    report.changes.iter().map(|(name, change)| format!("{name}: {change}")).collect()
}

#[test]
fn at_the_start_each_config_costs_only_itself() {
    let configs = vec![
        good("a", "1"),
        good("bad", "1"),
        lost("c"),
        config("d", "1", &[], vec![error("d", Some("m"))]),
        config("e", "1", &[("e", "help")], vec![warning("e"), error("e", Some("m"))]),
    ];
    let stage = Stage::start(Recorder::default(), configs);
    let expected = [
        "a up [half] []",
        "bad down [refused] []",
        "c down [wrong] []",
        // Every metric of it was refused: loading it would cost and show nothing.
        "d down [wrong] []",
        "e up [odd wrong half] []",
    ];
    assert_eq!(stage.states(), expected);
    assert_eq!(stage.kernel.attached(), ["a 1", "e 1"]);
    assert_eq!((stage.supervisor.serving(), stage.kernel.state().alive), (2, 2));
}

#[test]
fn a_scrape_under_way_keeps_nothing_loaded() {
    let stage = Stage::start(Recorder::default(), vec![good("a", "1")]);
    let held = stage.live.current();
    stage.supervisor.retire();
    assert_eq!(stage.kernel.state().alive, 0);
    assert_eq!(held.configs().len(), 1, "the scrape still sees its own generation");
    assert!(stage.live.current().configs().is_empty());
}

#[test]
fn nothing_more_is_loaded_when_the_process_is_to_end() {
    let kernel = Recorder::default();
    kernel.state().stops_at = Some("config010");
    let configs = (0..1000).map(|number| good(&format!("config{number:03}"), "1")).collect();
    let stage = Stage::start(kernel, configs);
    let loaded = stage.supervisor.serving();
    assert!((1..=11 + 8).contains(&loaded), "{loaded} were loaded");
    stage.supervisor.retire();
    assert_eq!(stage.kernel.state().alive, 0);
}

/// What is done for each kind of change, in which order.
#[track_caller]
fn check(before: Vec<ReadConfig>, after: Vec<ReadConfig>, log: &[&str], states: &[&str]) {
    let mut stage = Stage::start(Recorder::default(), before);
    stage.kernel.log();
    stage.look(after.clone());
    // What is missing is gone at the second look.
    stage.look(after.clone());
    assert_eq!(stage.kernel.log(), log);
    let again = stage.look(after);
    assert!(again.is_empty() && stage.kernel.log().is_empty(), "there is nothing left to do");
    assert_eq!(stage.states(), states);
}

#[test]
fn variables_are_set_in_place_where_that_is_possible() {
    let files = |byte: u8| setting(good("a", "1"), &[(".data", byte)]);
    check(vec![files(1)], vec![files(2)], &["set in.data of a"], &["a up [] []"]);
    // Where it is not, the object is loaded again beside the one that runs.
    let kernel = Recorder::default();
    let mut stage = Stage::start(kernel.clone(), vec![files(1)]);
    kernel.log();
    kernel.state().fails_at = Some(kernel.state_operations() + 1);
    let report = stage.look(vec![files(2)]);
    assert_eq!(changes(&report), ["a: object replaced, 1 maps go on"]);
    let expected =
        ["set in.data of a fails", "prepare a 1 beside 1", "probe a", "commit a 1", "retire a 1, served"];
    assert_eq!(kernel.log(), expected);
    // The one that was set is the one that is at work.
    assert!(stage.look(vec![files(2)]).is_empty() && kernel.log().is_empty());
    assert_eq!(changes(&stage.look(vec![files(3)])), ["a: settings changed, programs and maps stayed"]);
}

/// Nothing is loaded for other cgroups, and nothing is asked of the kernel for the same ones.
#[test]
fn other_cgroups_are_followed_in_place() {
    let files = |pattern: &str| following(good("a", "1"), pattern);
    check(vec![files("x")], vec![files("y")], &["set  of a"], &["a up [] []"]);
    check(vec![files("x")], vec![good("a", "1")], &["set  of a"], &["a up [] []"]);
    check(vec![files("x")], vec![setting(files("x"), &[])], &[], &["a up [] []"]);
}

#[test]
fn only_what_differs_is_done() {
    let (a, b) = (good("a", "1"), good("b", "1"));
    check(vec![a.clone(), b.clone()], vec![a.clone(), b.clone()], &[], &["a up [half] []", "b up [half] []"]);
    // A view alone does not touch the kernel.
    check(
        vec![a.clone()],
        vec![config("a", "1", &[("a", "other")], vec![])],
        &[],
        // What was said of programs is kept only when it names one.
        &["a up [] []"],
    );
    check(
        vec![a.clone()],
        vec![good("a", "2")],
        &["prepare a 2 beside 1", "probe a", "commit a 2", "retire a 1, served"],
        &["a up [half] []"],
    );
    check(
        vec![a.clone()],
        vec![good("a", "fresh 2")],
        &["prepare a fresh 2 beside 1", "probe a", "commit a fresh 2", "settle a 1", "retire a 1, served"],
        &["a up [half] []"],
    );
    check(
        vec![a.clone()],
        vec![a.clone(), b.clone()],
        &["prepare b 1", "commit b 1"],
        &["a up [half] []", "b up [half] []"],
    );
    check(vec![a.clone(), b.clone()], vec![a.clone()], &["retire b 1"], &["a up [half] []"]);
    check(vec![a.clone()], vec![config("b", "1", &[("a", "help")], vec![])], &[], &["b up [] []"]);
    check(
        vec![a.clone()],
        vec![good("bad", "2")],
        &["prepare bad 2 fails", "retire a 1"],
        &["bad down [refused] []"],
    );
    check(vec![a.clone()], vec![lost("a")], &[], &["a up [half] [wrong]"]);
    check(vec![], vec![lost("a")], &[], &["a down [wrong] []"]);
}

/// What is to go frees its place before something new wants it, and after what is replaced.
#[test]
fn old_places_are_free_for_new_configs() {
    let before = vec![good("a", "1"), good("b", "1")];
    let mut stage = Stage::start(Recorder::default(), before);
    stage.kernel.log();
    stage.look_now(vec![good("b", "2"), good("c", "3")], true);
    let log = stage.kernel.log();
    let at = |word: &str| {
        log.iter().position(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{word} of {log:?}"))
    };
    assert!(at("commit b 2") < at("retire a 1"));
    assert!(at("retire a 1") < at("commit c 3"));
    assert!(at("commit c 3") < at("retire b 1"));
}

#[test]
fn a_file_that_is_missing_for_a_moment_changes_nothing() {
    let mut stage = Stage::start(Recorder::default(), vec![good("a", "1"), good("b", "1")]);
    stage.kernel.log();
    let report = stage.look(vec![good("a", "1")]);
    assert_eq!((report.is_empty(), report.look_again), (true, Some(GRACE)));
    assert!(stage.look(vec![good("a", "1"), good("b", "1")]).is_empty());
    assert!(stage.kernel.log().is_empty());
    assert_eq!(stage.look(vec![good("a", "1")]).look_again, Some(GRACE), "it is missing anew");
    assert_eq!(changes(&stage.look(vec![good("a", "1")])), ["b: removed"]);
    assert_eq!(stage.kernel.attached(), ["a 1"]);
    // Who asks for it does not wait.
    assert_eq!(changes(&stage.look_now(vec![], true)), ["a: removed"]);
    assert_eq!(stage.kernel.state().alive, 0);
}

/// A config that was asked for by its name is known although its file is missing.
#[test]
fn a_named_config_whose_file_is_gone_is_removed_and_said() {
    let missing = || ReadConfig { is_missing: true, ..lost("a") };
    let mut stage = Stage::start(Recorder::default(), vec![good("a", "1")]);
    assert!(stage.look(vec![missing()]).is_empty());
    assert_eq!(changes(&stage.look(vec![missing()])), ["a: removed"]);
    stage.look(vec![missing()]);
    assert_eq!(stage.states(), ["a down [wrong] []"]);
    stage.look(vec![good("a", "1")]);
    assert_eq!(stage.states(), ["a up [half] []"]);
}

/// Whatever fails, each config is either what it was or what it is to be, and nothing else is in the kernel.
#[test]
fn every_failure_leaves_the_last_good_one() {
    let before = || vec![good("a", "1"), good("b", "1"), good("c", "1"), good("gone", "1")];
    let after = || {
        let viewed = config("c", "1", &[("c", "other")], vec![]);
        vec![good("a", "2"), good("b", "fresh 2"), viewed, good("new", "3")]
    };
    let mut operations = 0;
    for nth in 0.. {
        let mut stage = Stage::start(Recorder::default(), before());
        {
            let mut state = stage.kernel.state();
            state.operations = 0;
            state.fails_at = Some(nth);
        }
        let report = stage.look_now(after(), true);
        let log = stage.kernel.log().join(", ");
        let attached = stage.kernel.attached();
        let of =
            |name: &str| attached.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
        let refused: Vec<&str> = report
            .changes
            .iter()
            .filter(|(_, change)| matches!(change, Change::Refused { .. }))
            .map(|(name, _)| name.as_str())
            .collect();
        for (name, old, new) in
            [("a", &["a 1"][..], "a 2"), ("b", &["b 1"], "b fresh 2"), ("new", &[], "new 3")]
        {
            let expected: Vec<&str> = if refused.contains(&name) { old.to_vec() } else { vec![new] };
            assert_eq!(of(name), expected, "{log}");
        }
        assert_eq!((of("c"), of("gone")), (vec!["c 1".to_owned()], vec![]), "{log}");
        assert_eq!(stage.kernel.state().alive, attached.len(), "{log}");
        let served: Vec<String> =
            stage.live.current().views().iter().map(|view| view.config.clone()).collect();
        let names: Vec<String> =
            attached.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(served, names, "{log}");
        assert_eq!(refused.len(), usize::from(log.contains("fails")), "{log}");
        assert_eq!(report.is_good(), refused.is_empty());
        if nth > 0 && !log.contains("fails") {
            break;
        }
        operations = nth;
        // Asked again, all of it is done.
        stage.kernel.state().fails_at = None;
        stage.look_now(after(), true);
        assert_eq!(stage.kernel.attached(), ["a 2", "b fresh 2", "c 1", "new 3"], "{log}");
    }
    assert!(operations >= 8, "{operations}: three prepared, two probed, three committed");
}

/// What is found is published, and the problems that programs had give way to those that they have.
#[test]
fn places_that_come_are_published() {
    let verdict = |places| ProgramVerdict::new("p", Verdict::Attached, "").at(places);
    let problem = |code| Problem::warning(code, Place::default(), "of a program");
    let moved = |before: &'static str, now: &'static str, places| Moved {
        view: view("another name"),
        before: vec![problem(before)],
        problems: vec![problem(now)],
        programs: vec![verdict(places)],
    };
    let mut stage = Stage::start(Recorder::default(), vec![good("moving", "1"), good("still", "1")]);
    assert_eq!(stage.supervisor.follow(), None, "nothing can move");
    stage.kernel.state().moves = Some(vec![moved("first", "second", 2), moved("none", "first", 1)]);
    for (code, places) in [("first", 1), ("second", 2), ("second", 2)] {
        assert!(stage.supervisor.follow().is_some_and(|wait| wait >= LOOK_EVERY));
        let live = stage.live.current();
        let state = live.configs().iter().find(|config| config.name == "moving").unwrap();
        assert_eq!(state.programs, [verdict(places)]);
        let codes: Vec<&str> = state.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["half", code]);
        assert!(live.views().iter().any(|view| view.config == "moving"), "it goes on under its name");
    }
}

#[test]
fn reloads_are_counted_by_their_result() {
    let mut stage = Stage::start(Recorder::default(), vec![good("a", "1"), good("b", "1")]);
    let counts = |stage: &Stage| {
        let generation = stage.live.current();
        let [a, b] = generation.configs() else { panic!("{:?}", generation.configs()) };
        let of = |state: &crate::scrape::ConfigState| {
            (state.reloads.succeeded, state.reloads.failed, state.reloads.is_last_good)
        };
        (of(a), of(b), a.reloads.last_success)
    };
    let (a, b, started) = counts(&stage);
    assert_eq!((a, b), ((0, 0, true), (0, 0, true)), "the start is no reload");
    stage.look(vec![lost("a"), good("b", "2")]);
    let (a, b, last) = counts(&stage);
    assert_eq!((a, b, last), ((0, 1, false), (1, 0, true), started));
    stage.look(vec![lost("a"), good("b", "2")]);
    assert_eq!(counts(&stage).0, (0, 1, false), "the same again is no other failure");
    stage.look(vec![good("a", "1"), good("b", "2")]);
    let (a, _, last) = counts(&stage);
    assert_eq!(a, (1, 1, true));
    assert!(last > started);
    let generation = stage.live.current();
    assert_eq!(generation.configs()[1].object_sha256.as_deref(), Some("2"));
}

/// A folder that cannot be read says nothing of its configs.
#[test]
fn nothing_is_removed_when_the_folder_cannot_be_read() {
    let mut stage = Stage::start(Recorder::default(), vec![good("a", "1")]);
    stage.kernel.log();
    let report = stage.supervisor.refuse(vec![error("", None)]);
    assert!(!report.is_good() && !report.is_known);
    assert_eq!(stage.live.current().problems().len(), 1);
    assert!(stage.kernel.log().is_empty());
    assert!(stage.supervisor.refuse(vec![error("", None)]).is_known, "and is said once");
    let report = stage.look(vec![good("a", "1")]);
    assert!(report.is_good());
    assert!(stage.live.current().problems().is_empty(), "it is said no longer");
}

#[test]
fn strict_is_told_to_the_kernel() {
    let mut stage = Stage::start(Recorder::default(), vec![]);
    stage.supervisor.be_strict();
    stage.look(vec![good("a", "1")]);
    assert_eq!(stage.kernel.log(), ["prepare a 1", "commit a 1 strictly"]);
}

#[test]
fn what_scrapes_cannot_read_is_said() {
    let mut stage = Stage::start(Recorder::default(), vec![good("a", "1"), good("b", "1")]);
    {
        let mut state = stage.kernel.state();
        state.operations = 0;
        state.fails_at = Some(1);
    }
    assert_eq!(stage.supervisor.probe().len(), 1);
    assert_eq!(stage.states(), ["a up [half refused] []", "b up [half] []"]);
}

/// A config with a counter of the events of its buffer, which has this meaning.
fn of_events(object: &str, meaning: &str) -> ReadConfig {
    let mut config = config("a", object, &[("a", meaning)], Vec::new());
    let spec = config.spec.as_mut().unwrap();
    let metric = spec.view.metrics.first_mut().unwrap();
    metric.map = "events:a".to_owned();
    metric.events = Some(EventSpec {
        buffer: "events".to_owned(),
        conditions: Vec::new(),
        key: Vec::new(),
        most: None,
        rest: false,
        amount: Amount::One,
        flush: None,
        meaning: meaning.to_owned(),
    });
    config
}

/// What is done with buffers, in which order with everything else.
#[track_caller]
fn check_events(after: ReadConfig, log: &[&str], remarks: &[&str]) {
    let mut stage = Stage::start(Recorder::default(), vec![of_events("buffer-one", "x")]);
    let expected = ["prepare a buffer-one", "connect one to 1", "commit a buffer-one", "connect one to 1"];
    assert_eq!(stage.kernel.log(), expected);
    let report = stage.look(vec![after]);
    assert_eq!(stage.kernel.log(), log);
    let codes: Vec<&str> = report.remarks.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, remarks);
}

#[test]
fn buffers_are_listened_to_before_their_programs_and_emptied_after_them() {
    // Only what the numbers mean: other sinks, and the last word of a tally that begins anew.
    check_events(of_events("buffer-one", "y"), &["connect one to 1", "drain one"], &[]);
    // A buffer that goes on has other sinks once the new programs are at work.
    check_events(
        of_events("2 buffer-one", "x"),
        &[
            "prepare a 2 buffer-one beside buffer-one",
            "probe a",
            "commit a 2 buffer-one",
            "connect one to 1",
            "retire a buffer-one, served",
        ],
        &["half"],
    );
    // One that does not is emptied when the old programs have ended.
    check_events(
        of_events("buffer-two", "x"),
        &[
            "prepare a buffer-two beside buffer-one",
            "probe a",
            "connect two to 1",
            "commit a buffer-two",
            "connect two to 1",
            "settle a buffer-one",
            "drain one",
            "retire a buffer-one, served",
        ],
        &["half"],
    );
}

#[test]
fn what_cannot_be_had_of_a_buffer_is_told() {
    let mut stage = Stage::start(Recorder::default(), vec![of_events("buffer-slow", "x")]);
    let report = stage.look(vec![of_events("buffer-two", "x")]);
    let codes: Vec<&str> = report.remarks.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["events-lost", "half"]);
}

/// A successor that is refused has not changed who reads the buffer that goes on.
#[test]
fn a_refused_successor_leaves_the_buffer_alone() {
    let kernel = Recorder::default();
    let mut stage = Stage::start(kernel.clone(), vec![of_events("buffer-one", "x")]);
    stage.kernel.log();
    let operations = kernel.state().operations;
    kernel.state().fails_at = Some(operations + 3);
    stage.look(vec![of_events("2 buffer-one", "y")]);
    let log = stage.kernel.log();
    assert!(log.iter().any(|line| line == "commit a 2 buffer-one fails"), "{log:?}");
    assert!(!log.iter().any(|line| line.starts_with("connect")), "{log:?}");
}
