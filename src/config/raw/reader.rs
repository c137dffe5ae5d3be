//! Typed reading of nodes, with every problem collected.

use std::time::Duration;

use super::Found;
use crate::config::duration;
use crate::config::findings::{Findings, Spot};
use crate::config::yaml::{Kind, Node, Scalar, scalar};
use crate::problem::{Place, Problem};

/// Reads nodes and keeps what is wrong with them.
pub(crate) struct Reader {
    findings: Findings,
    /// How many things of later versions were met.
    pub(super) later: usize,
    /// Whether keys that nobody knows stand where those should be that a config cannot do without.
    pub(super) is_misnamed: bool,
}

impl Reader {
    /// A reader for the config at a place (its name and file).
    pub(crate) fn new(place: Place) -> Self {
        Self { findings: Findings::new(place), later: 0, is_misnamed: false }
    }

    /// What was wrong.
    pub(crate) fn into_findings(self) -> Findings {
        self.findings
    }

    /// How many problems there are so far, and how many errors.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.findings.len(), self.findings.errors())
    }

    /// Says that the problems since a mark cost one metric; whether an error is among them.
    pub(super) fn blame(&mut self, mark: (usize, usize), metric: &str) -> bool {
        self.findings.blame(mark.0, metric);
        self.findings.errors() > mark.1
    }

    /// Whether one more warning would be told.
    pub(super) fn tells_warnings(&self) -> bool {
        self.findings.tells_warnings()
    }

    /// Keeps a problem at a spot.
    pub(crate) fn report(&mut self, spot: &Spot, problem: Problem) {
        self.findings.report(spot, problem);
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

    /// A duration; a bare number counts nanoseconds, as in Go.
    pub(crate) fn duration(&mut self, node: &Node, path: &str) -> Option<Found<Duration>> {
        self.typed(node, path, "a duration such as 30s or 1h30m", |scalar| match scalar::integer(scalar) {
            Some(nanoseconds) => u64::try_from(nanoseconds).ok().map(Duration::from_nanos),
            None => duration::parse(&scalar.text),
        })
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

    /// The items of a list that has so many at most; none of a longer one, which is said.
    pub(super) fn list_of<'n>(&mut self, node: &'n Node, path: &str, what: &str, most: usize) -> &'n [Node] {
        let items = self.list(node, path, what).unwrap_or_default();
        if items.len() <= most {
            return items;
        }
        let name = path.rsplit('.').next().unwrap_or(path);
        let problem = Problem::error("too-large", Place::default(), format!("`{name}` has too many items"));
        self.report(
            &spot(node, path),
            problem.expected(format!("{most} at most")).found(items.len().to_string()),
        );
        &[]
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, path: &str, what: &str) -> Vec<Found<String>> {
        let items = self.list(node, path, what).unwrap_or_default();
        items.iter().enumerate().filter_map(|(i, item)| self.text(item, &format!("{path}[{i}]"))).collect()
    }

    /// Says that a node is of another type than its field.
    pub(crate) fn wrong_type(&mut self, node: &Node, path: &str, expected: &str) {
        let at = spot(node, path);
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
        self.report(&at, problem);
    }

    fn typed<T>(
        &mut self,
        node: &Node,
        path: &str,
        expected: &str,
        read: impl FnOnce(&Scalar) -> Option<T>,
    ) -> Option<Found<T>> {
        match node.scalar().and_then(read) {
            Some(value) => Some(Found { value, spot: spot(node, path) }),
            None => {
                self.wrong_type(node, path, expected);
                None
            }
        }
    }
}

/// Where a node stands.
pub(super) fn spot(node: &Node, path: &str) -> Spot {
    let position = first_scalar(node).and_then(|scalar| scalar.position);
    let container = node.scalar().is_none().then_some(node.id);
    Spot { path: path.to_owned(), position, container }
}

/// The first scalar inside a node.
fn first_scalar(node: &Node) -> Option<&Scalar> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar),
        Kind::Sequence(items) => items.iter().find_map(first_scalar),
        Kind::Mapping(entries) => entries.iter().find_map(|entry| first_scalar(&entry.key)),
    }
}
