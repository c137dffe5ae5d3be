//! Problems of one file while it is read and checked, and where they stand.

use super::yaml;
use crate::problem::{Place, Position, Problem};

/// Warnings of one file that are told: the thousandth teaches nothing.
const MAX_WARNINGS: usize = 500;

/// Errors of one file that are told; with more of them the file is none.
const MAX_ERRORS: usize = 5000;

/// Bytes that may be walked to find places again.
const MAX_WALKED: usize = 8 << 20;

/// Where a value stands: its path inside the YAML and its place in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) path: String,
    /// Of a list or mapping, the place of the first text inside.
    pub(crate) position: Option<Position>,
    /// The list or mapping, whose own place is looked up when somebody is told of it.
    pub(crate) container: Option<usize>,
}

/// What is wrong with a file, as far as it was found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The config's name and file.
    pub(crate) place: Place,
    found: Vec<(Problem, Option<usize>)>,
    errors: usize,
    warnings: usize,
}

impl Findings {
    /// Nothing yet of the config at a place.
    pub(crate) fn new(place: Place) -> Self {
        Self { place, found: Vec::new(), errors: 0, warnings: 0 }
    }

    /// Keeps a problem at a spot; of its own place only metric, map and program count.
    pub(crate) fn report(&mut self, spot: &Spot, mut problem: Problem) {
        let (count, limit) = if problem.is_error() {
            (&mut self.errors, MAX_ERRORS)
        } else {
            (&mut self.warnings, MAX_WARNINGS)
        };
        *count += 1;
        if *count > limit {
            return;
        }
        let from = problem.place;
        problem.place = Place {
            path: spot.path.clone(),
            position: spot.position,
            metric: from.metric,
            map: from.map,
            program: from.program,
            ..self.place.clone()
        };
        self.found.push((problem, spot.container));
    }

    /// Whether one more warning would be told.
    pub(crate) fn tells_warnings(&self) -> bool {
        self.warnings < MAX_WARNINGS
    }

    /// Whether so many errors were found that no more is told, and the file is none.
    pub(crate) fn is_full(&self) -> bool {
        self.errors > MAX_ERRORS
    }

    /// How many errors were found.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether the config as a whole is lost.
    pub(crate) fn cost_the_config(&self) -> bool {
        let whole = |(problem, _): &(Problem, _)| problem.is_error() && problem.place.metric.is_none();
        self.is_full() || self.found.iter().any(whole)
    }

    /// How many problems are kept.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Says that the problems from the one with a number on cost one metric.
    pub(crate) fn blame(&mut self, from: usize, metric: &str) {
        for (problem, _) in self.found.iter_mut().skip(from) {
            problem.place.metric = Some(metric.to_owned());
        }
    }

    /// The problems with their places in a text.
    pub(crate) fn settle(self, text: &str) -> Vec<Problem> {
        // Each look-up walks the text again.
        let mut lookups = MAX_WALKED / text.len().max(1);
        let settle = |(mut problem, container): (Problem, Option<usize>)| {
            if let Some(id) = container
                && lookups > 0
            {
                lookups -= 1;
                problem.place.position = yaml::locate(text, id).or(problem.place.position);
            }
            problem
        };
        self.found.into_iter().map(settle).collect()
    }
}
