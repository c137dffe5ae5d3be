//! Typed reading of nodes, with every problem collected.

use super::Found;
use crate::config::yaml::{Document, Kind, Node, Scalar, scalar};
use crate::problem::{Place, Position, Problem};

/// Lists and mappings whose position is looked up: each look-up walks the text again.
const MAX_LOOKUPS: usize = 50;

/// Problems of one file that are told: the thousandth teaches nothing.
const MAX_PROBLEMS: usize = 500;

/// Where a value stands: its path inside the YAML and its place in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) path: String,
    pub(crate) position: Option<Position>,
}

/// Reads a document and keeps what is wrong with it.
pub(crate) struct Reader<'d> {
    document: &'d Document<'d>,
    place: Place,
    problems: Vec<Problem>,
    lookups: usize,
    errors: usize,
}

impl<'d> Reader<'d> {
    /// A reader for a config at a place (its name and file).
    pub(crate) fn new(document: &'d Document<'d>, place: Place) -> Self {
        Self { document, place, problems: Vec::new(), lookups: 0, errors: 0 }
    }

    /// What was wrong.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// How many problems there are so far, to be given to [`Self::blame`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.problems.len(), self.errors)
    }

    /// Says that the problems since a mark cost one metric; whether an error is among them.
    pub(crate) fn blame(&mut self, mark: (usize, usize), metric: &str) -> bool {
        for problem in self.problems.iter_mut().skip(mark.0) {
            problem.place.metric = Some(metric.to_owned());
        }
        self.errors > mark.1
    }

    /// Where a node stands.
    pub(crate) fn spot(&mut self, node: &Node, path: &str) -> Spot {
        let position = match &node.kind {
            Kind::Scalar(_) => self.document.position(node),
            Kind::Sequence(_) | Kind::Mapping(_) if self.lookups < MAX_LOOKUPS => {
                self.lookups += 1;
                self.document.position(node)
            }
            Kind::Sequence(_) | Kind::Mapping(_) => {
                first_scalar(node).and_then(|node| self.document.position(node))
            }
        };
        Spot { path: path.to_owned(), position }
    }

    /// Keeps a problem, with the place that a spot says.
    pub(crate) fn report(&mut self, spot: &Spot, problem: Problem) {
        self.errors += usize::from(problem.is_error());
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(at(&self.place, spot, problem));
        }
    }

    /// Text for a text field: anything that is not a list or a mapping, as it was written.
    pub(crate) fn text(&mut self, node: &Node, path: &str) -> Option<Found<String>> {
        self.typed(node, path, "text", |scalar| {
            Some(if scalar.is_null() { String::new() } else { scalar.text.clone() })
        })
    }

    /// A boolean as YAML 1.1 has them.
    pub(crate) fn boolean(&mut self, node: &Node, path: &str) -> Option<Found<bool>> {
        self.typed(node, path, "a boolean such as true or false", scalar::boolean)
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, node: &Node, path: &str) -> Option<Found<i64>> {
        self.typed(node, path, "a whole number", scalar::integer)
    }

    /// A number of bytes.
    pub(crate) fn size(&mut self, node: &Node, path: &str) -> Option<Found<usize>> {
        self.typed(node, path, "a number of bytes, 0 or more", |scalar| {
            usize::try_from(scalar::integer(scalar)?).ok()
        })
    }

    /// A number.
    pub(crate) fn float(&mut self, node: &Node, path: &str) -> Option<Found<f64>> {
        self.typed(node, path, "a number", scalar::float)
    }

    /// The items of a list; null is an empty one.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, path: &str, what: &str) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::Sequence(items) => Some(items),
            Kind::Scalar(scalar) if scalar.is_null() => Some(&[]),
            Kind::Scalar(_) | Kind::Mapping(_) => {
                self.wrong_type(node, path, &format!("a list of {what}"));
                None
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, path: &str, what: &str) -> Vec<Found<String>> {
        let items = self.list(node, path, what).unwrap_or_default();
        items.iter().enumerate().filter_map(|(i, item)| self.text(item, &format!("{path}[{i}]"))).collect()
    }

    /// Says that a node is of another type than its field.
    pub(crate) fn wrong_type(&mut self, node: &Node, path: &str, expected: &str) {
        let spot = self.spot(node, path);
        let name = path.rsplit('.').next().unwrap_or(path);
        let message = match name {
            "" => "the file does not hold a config".to_owned(),
            name => format!("`{name}` has the wrong type"),
        };
        let mut problem =
            Problem::error("wrong-type", Place::default(), message).expected(expected).found(node.describe());
        if node.scalar().is_some_and(|scalar| !scalar.plain && !expected.starts_with("a list")) {
            problem =
                problem.help("what stands in quotes, or has a tag of its own, is text: write it without");
        }
        self.report(&spot, problem);
    }

    fn typed<T>(
        &mut self,
        node: &Node,
        path: &str,
        expected: &str,
        read: impl FnOnce(&Scalar) -> Option<T>,
    ) -> Option<Found<T>> {
        match node.scalar().and_then(read) {
            Some(value) => Some(Found { value, spot: self.spot(node, path) }),
            None => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }
}

/// A problem at a spot of a file.
pub(crate) fn at(place: &Place, spot: &Spot, mut problem: Problem) -> Problem {
    let from = problem.place;
    problem.place = Place {
        path: spot.path.clone(),
        position: spot.position,
        metric: from.metric,
        map: from.map,
        program: from.program,
        ..place.clone()
    };
    problem
}

/// The first scalar inside a node.
fn first_scalar(node: &Node) -> Option<&Node> {
    match &node.kind {
        Kind::Scalar(_) => Some(node),
        Kind::Sequence(items) => items.iter().find_map(first_scalar),
        Kind::Mapping(entries) => entries.iter().find_map(|entry| first_scalar(&entry.key)),
    }
}
