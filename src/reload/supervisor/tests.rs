use std::sync::{Arc, Mutex};

use super::*;
use crate::problem::Place;
use crate::snapshot::{ProgramStatus, Programs};
use crate::spec::ViewSpec;

/// A kernel that writes down what is asked of it, and refuses names with `bad` in them.
#[derive(Default)]
struct Recorder {
    log: Arc<Mutex<Vec<String>>>,
    /// Loading ends once this name was loaded.
    stops_at: Option<&'static str>,
}

/// Something loaded; says when it is let go, and what was being served then.
struct Token {
    name: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(format!("retire {}", self.name));
    }
}

struct NoPrograms;

impl Programs for NoPrograms {
    fn programs(&self) -> Vec<ProgramStatus> {
        Vec::new()
    }
}

fn problem(code: &'static str) -> Problem {
    Problem::error(code, Place::default(), "it is wrong")
}

impl Kernel for Recorder {
    type Loaded = Token;

    fn load(&self, spec: &LoadSpec) -> Result<Started<Token>, Vec<Problem>> {
        self.log.lock().unwrap().push(format!("load {}", spec.name));
        if spec.name.contains("bad") {
            return Err(vec![problem("refused")]);
        }
        let view = View { config: spec.name.clone(), sources: Vec::new(), programs: Arc::new(NoPrograms) };
        let loaded = Token { name: spec.name.clone(), log: Arc::clone(&self.log) };
        Ok(Started { loaded, view, problems: vec![problem("half")], programs: Vec::new() })
    }

    fn goes_on(&self) -> bool {
        let log = self.log.lock().unwrap();
        !self.stops_at.is_some_and(|name| log.iter().any(|line| line.ends_with(name)))
    }

    fn retire(&self, loaded: Vec<Token>) {
        drop(loaded);
    }
}

fn config(name: &str, has_spec: bool, problems: Vec<Problem>) -> ReadConfig {
    let load = LoadSpec {
        name: name.into(),
        object: "x.bpf.o".into(),
        object_bytes: Arc::from(Vec::new()),
        ..LoadSpec::default()
    };
    let view = ViewSpec { name: name.into(), metrics: Vec::new() };
    ReadConfig { name: name.into(), spec: has_spec.then_some(Spec { load, view }), problems, drafted: false }
}

/// Names, whether they were loaded, and the codes of their problems.
fn states(live: &Live) -> Vec<(String, bool, Vec<&'static str>)> {
    let generation = live.current();
    let states = generation.configs().iter();
    states
        .map(|state| {
            let codes = state.problems.iter().map(|problem| problem.code).collect();
            (state.name.clone(), state.loaded, codes)
        })
        .collect()
}

#[test]
fn each_config_costs_only_itself() {
    let (kernel, live) = (Recorder::default(), Arc::new(Live::default()));
    let log = Arc::clone(&kernel.log);
    let configs = vec![
        config("a", true, Vec::new()),
        config("bad", true, Vec::new()),
        config("c", false, vec![problem("yaml")]),
        config("d", true, vec![problem("metric")]),
        config("e", true, Vec::new()),
    ];
    let supervisor = Supervisor::start(kernel, configs, Arc::clone(&live));
    let expected = [
        ("a", true, vec!["half"]),
        ("bad", false, vec!["refused"]),
        ("c", false, vec!["yaml"]),
        // Every metric of it was refused: loading it would cost and show nothing.
        ("d", false, vec!["metric"]),
        ("e", true, vec!["half"]),
    ];
    assert_eq!(states(&live), expected.map(|(name, loaded, codes)| (name.to_owned(), loaded, codes)));
    let mut loads = log.lock().unwrap().clone();
    loads.sort();
    assert_eq!(loads, ["load a", "load bad", "load e"]);
    assert_eq!(supervisor.loaded().iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["a", "e"]);
}

#[test]
fn a_scrape_under_way_keeps_nothing_loaded() {
    let (kernel, live) = (Recorder::default(), Arc::new(Live::default()));
    let log = Arc::clone(&kernel.log);
    let supervisor = Supervisor::start(kernel, vec![config("a", true, Vec::new())], Arc::clone(&live));
    let held = live.current();
    supervisor.retire();
    assert_eq!(log.lock().unwrap().as_slice(), ["load a", "retire a"]);
    assert_eq!(held.configs().len(), 1, "the scrape still sees its own generation");
    assert!(states(&live).is_empty());
}

#[test]
fn many_configs_keep_their_order() {
    let (kernel, live) = (Recorder::default(), Arc::new(Live::default()));
    let log = Arc::clone(&kernel.log);
    let names: Vec<String> = (0..100).map(|number| format!("config{number:03}")).collect();
    let configs = names.iter().map(|name| config(name, true, Vec::new())).collect();
    let supervisor = Supervisor::start(kernel, configs, live);
    assert_eq!(log.lock().unwrap().len(), 100);
    assert!(supervisor.loaded().iter().map(|token| &token.name).eq(&names));
}

#[test]
fn nothing_more_is_loaded_when_the_process_is_to_end() {
    let kernel = Recorder { stops_at: Some("config010"), ..Recorder::default() };
    let log = Arc::clone(&kernel.log);
    let names = (0..1000).map(|number| format!("config{number:03}"));
    let configs = names.map(|name| config(&name, true, Vec::new())).collect();
    let supervisor = Supervisor::start(kernel, configs, Arc::default());
    let loaded = supervisor.loaded().len();
    assert!((1..=11 + MAX_LOADERS).contains(&loaded), "{loaded} were loaded");
    supervisor.retire();
    let retired = log.lock().unwrap().iter().filter(|line| line.starts_with("retire")).count();
    assert_eq!(retired, loaded);
}
