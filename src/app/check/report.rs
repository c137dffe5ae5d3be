//! What was found, for people, for programs, for GitHub.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::PathBuf;

use crate::bpf::Verified;
use crate::cli::Format;
use crate::config::ConfigFile;
use crate::config::advise::Needs;
use crate::problem::{Place, Problem, Severity};
use crate::spec::LoadSpec;

/// The comment that allows what follows it.
const ALLOW: &str = "# check: allow ";

/// Everything that was found.
pub(super) struct Report {
    pub(super) configs: Vec<ConfigReport>,
}

/// What was found of one config, or of what is none.
#[derive(Debug, Default)]
pub(super) struct ConfigReport {
    name: Option<String>,
    file: Option<PathBuf>,
    text: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// What could be better.
    pub(super) advice: Vec<Problem>,
    pub(super) needs: Option<Needs>,
}

impl ConfigReport {
    pub(super) fn new(file: &ConfigFile, text: Option<String>, problems: Vec<Problem>) -> Self {
        Self {
            name: Some(file.name.clone()),
            file: Some(file.path.clone()),
            text,
            problems,
            ..Self::default()
        }
    }

    /// Puts the problems into the order of the file, and drops what only follows from others
    /// and what the file itself allows.
    pub(super) fn settle(&mut self) {
        let mut problems = std::mem::take(&mut self.problems);
        let mut advice = std::mem::take(&mut self.advice);
        // A metric that another one took the name of wants no advice.
        let errors = problems.iter().filter(|problem| problem.is_error());
        let lost: HashSet<String> = errors.map(|problem| problem.place.path.clone()).collect();
        let is_lost = |path: &str| {
            let beginnings = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
            beginnings.filter_map(|end| path.get(..end)).any(|path| !path.is_empty() && lost.contains(path))
        };
        advice.retain(|problem| !is_lost(&problem.place.path));
        problems.append(&mut advice);
        let allowances = self.allowances();
        problems.retain(|problem| problem.is_error() || !self.allows(&allowances, problem));
        self.problems = problems;
        let is_consequence = |problem: &Problem| problem.code == "no-metric-left";
        if self.problems.iter().any(|problem| problem.is_error() && !is_consequence(problem)) {
            self.problems.retain(|problem| !is_consequence(problem));
        }
        self.problems.sort_by_key(|problem| {
            problem.place.position.map_or((true, None), |position| (false, Some(position)))
        });
    }

    /// Lines with a comment that allows something, `# check: allow <code>`, by their number, and what it allows.
    fn allowances(&self) -> HashMap<usize, String> {
        let text = self.text.as_deref().unwrap_or_default();
        let of_line = |(index, line): (usize, &str)| {
            let (_, allowed) = line.split_once(ALLOW)?;
            Some((index + 1, allowed.to_owned()))
        };
        // Most texts have none, and nothing but a search is made of them.
        let lines = if text.contains(ALLOW) { text } else { "" }.lines();
        lines.enumerate().filter_map(of_line).collect()
    }

    /// Whether a comment on the problem's line says that it is meant.
    fn allows(&self, allowances: &HashMap<usize, String>, problem: &Problem) -> bool {
        let position = problem.place.position.filter(|_| problem.place.file == self.file);
        let Some(allowed) = position.and_then(|position| allowances.get(&position.line)) else {
            return false;
        };
        // What follows in brackets or behind a dash is the reason.
        let codes = allowed.split([' ', ',']).filter(|code| !code.is_empty());
        codes.take_while(|code| !code.starts_with(['(', '-'])).any(|code| code == problem.code)
    }

    /// Whether it is of this config, and nothing speaks against loading its object.
    pub(super) fn is_loadable(&self, name: &str) -> bool {
        let against = |problem: &Problem| problem.is_error() && problem.place.metric.is_none();
        self.name.as_deref() == Some(name) && !self.problems.iter().chain(&self.advice).any(against)
    }

    /// The text that a problem's position counts in.
    fn text_of(&self, problem: &Problem) -> Option<&str> {
        self.text.as_deref().filter(|_| problem.place.file == self.file)
    }
}

/// Adds a problem to the config that it names.
pub(super) fn add(reports: &mut Vec<ConfigReport>, problem: Problem) {
    let of = reports.iter_mut().find(|report| report.name.is_some() && report.name == problem.place.config);
    match of {
        Some(report) => report.problems.push(problem),
        None => reports.push(ConfigReport { problems: vec![problem], ..ConfigReport::default() }),
    }
}

/// That the verifier let a program pass.
pub(super) fn verified(spec: &LoadSpec, verified: &Verified) -> Problem {
    let place = Place {
        config: Some(spec.name.clone()),
        file: Some(spec.object.clone()),
        program: Some(verified.program.clone()),
        ..Place::default()
    };
    let message = match verified.instructions {
        Some(count) => format!("the verifier went through {count} instructions of `{}`", verified.program),
        None => format!("the verifier let `{}` pass", verified.program),
    };
    Problem::note("verified", place, message)
}

impl Report {
    /// The worst of what was found.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.problems().map(|problem| problem.severity).max()
    }

    /// The whole report as text.
    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Human => self.human(),
            Format::Json => self.json(),
            Format::Github => self.problems().map(|problem| problem.to_github() + "\n").collect(),
        }
    }

    fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.configs.iter().flat_map(|config| &config.problems)
    }

    fn json(&self) -> String {
        let all: Vec<_> = self.problems().map(Problem::to_json).collect();
        format!("{:#}\n", serde_json::Value::Array(all))
    }

    fn human(&self) -> String {
        let mut out = String::new();
        for config in &self.configs {
            for problem in &config.problems {
                out.push_str(&problem.with_excerpt(config.text_of(problem)));
                out.push_str("\n\n");
            }
        }
        // Writing to a string cannot fail.
        for config in &self.configs {
            if let (Some(name), Some(needs)) = (&config.name, &config.needs) {
                let _ = writeln!(out, "{name}: {needs}");
            }
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    fn summary(&self) -> String {
        let of = |severity| self.problems().filter(|problem| problem.severity == severity).count();
        let checked = count(self.configs.iter().filter(|config| config.name.is_some()).count(), "config");
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        let found: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| count(number, what))
            .collect();
        let found = if found.is_empty() { "nothing is wrong".to_owned() } else { found.join(", ") };
        format!("{checked} checked: {found}")
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
