//! YAML text as a tree that keeps what the text said.
//!
//! Scalars keep their text as written (`010`, `1.50`, `yes`), mappings keep their
//! keys in order with duplicates and `<<`, and every node knows its line and column.
//! What a scalar *means* depends on the field that it is for: [`scalar`] says how
//! the reference's parser would see it. Only [`read`](mod@read) names `serde_yaml`.

mod advice;
mod read;
pub(crate) mod scalar;

use crate::problem::Position;

pub(crate) use advice::advice;
pub(crate) use read::{Refused, locate, read};

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number in the order of the text, aliases expanded: [`locate`] finds it again by it.
    pub(crate) id: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Node,
    pub(crate) value: Node,
}

/// A scalar's text and whether it was written plainly: a quoted one is text whatever it looks like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
    pub(crate) position: Option<Position>,
}

impl Scalar {
    /// `~`, `null` or nothing at all, which sets a field to its zero value.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// The scalar, when it is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// A key as text; none when it is a list or a mapping.
    pub(crate) fn key_text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// The node in words, for "found".
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Sequence(items) => format!("a list of {}", items.len()),
            Kind::Mapping(entries) => format!("a mapping of {} keys", entries.len()),
            Kind::Scalar(scalar) => scalar.describe(),
        }
    }
}

impl Scalar {
    /// The scalar in words, for "found".
    pub(crate) fn describe(&self) -> String {
        use scalar::Resolved;
        let mut text: String = self.text.chars().take(40).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        match scalar::resolve(self) {
            Resolved::Null => "nothing".to_owned(),
            Resolved::Bool(_) => format!("the boolean {text}"),
            Resolved::Int(_) => format!("the number {text}"),
            Resolved::Float(_) => format!("the number {text}"),
            Resolved::Timestamp => format!("the date {text}"),
            Resolved::Text => format!("the text {text:?}"),
        }
    }
}

/// The first document of a text.
#[derive(Debug)]
pub(crate) struct Document {
    /// None for a text without any content.
    pub(crate) root: Option<Node>,
    /// Whether the text goes on after the first document, which nobody reads.
    pub(crate) more: bool,
}
