//! The keys of a mapping as the reference's parser assigns them: in the order of the
//! text, a merge where it stands, the last one winning.

use std::collections::{HashMap, HashSet};

use super::keys::Keys;
use super::later;
use super::reader::{Reader, spot};
use crate::config::findings::Spot;
use crate::config::suggest;
use crate::config::yaml::{Entry, Kind, Node};
use crate::problem::{Place, Problem};

/// One assignment.
pub(super) struct Field<'n> {
    pub(super) key: &'n Node,
    pub(super) name: &'n str,
    pub(super) value: &'n Node,
}

/// What a mapping assigns, as far as it was read.
#[derive(Default)]
struct Collected<'n> {
    fields: Vec<Field<'n>>,
    /// Where each key stands first that did not come in by a merge.
    own: HashMap<&'n str, usize>,
}

impl Reader {
    /// The known fields of a mapping; complains of unknown and duplicate keys. Null has no fields.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, path: &str, keys: &Keys) -> Vec<Field<'n>> {
        let mut fields = self.assignments(node, path, &format!("{}, such as {}", keys.what, keys.example));
        fields.retain(|field| {
            if keys.has(field.name) {
                return true;
            }
            // Keys starting with x- are the user's own, often a home for anchors.
            if !field.name.starts_with("x-") {
                self.unknown(field, path, keys);
            }
            false
        });
        fields
    }

    /// Every assignment of a mapping, merges in their place.
    pub(super) fn assignments<'n>(&mut self, node: &'n Node, path: &str, what: &str) -> Vec<Field<'n>> {
        let mut collected = Collected::default();
        match &node.kind {
            Kind::Mapping(entries) => self.collect(entries, path, false, &mut collected),
            Kind::Scalar(scalar) if scalar.is_null() => {}
            Kind::Scalar(_) | Kind::Sequence(_) => self.wrong_type(node, path, what),
        }
        collected.fields
    }

    fn collect<'n>(&mut self, entries: &'n [Entry], path: &str, merged: bool, into: &mut Collected<'n>) {
        let mut own: HashSet<&str> = HashSet::new();
        for entry in entries {
            let key = &entry.key;
            if key.scalar().is_some_and(|scalar| scalar.plain && scalar.text == "<<") {
                self.merge(&entry.value, path, into);
                continue;
            }
            let Some(name) = key.key_text() else {
                let at = spot(key, path);
                let problem = Problem::error("wrong-type", Place::default(), "a key is not text");
                self.report(&at, problem.expected("text").found(key.describe()));
                continue;
            };
            // What comes in by a merge was complained of where it stands.
            if !own.insert(name) && !merged {
                self.duplicate(key, name, path);
            }
            if !merged {
                into.own.entry(name).or_insert(into.fields.len());
            }
            into.fields.push(Field { key, name, value: &entry.value });
        }
    }

    /// Puts a merged mapping, or a list of them from the last to the first, where its `<<` stands.
    fn merge<'n>(&mut self, node: &'n Node, path: &str, into: &mut Collected<'n>) {
        let before = into.fields.len();
        match &node.kind {
            Kind::Mapping(entries) => self.collect(entries, path, true, into),
            Kind::Sequence(items) => {
                for item in items.iter().rev() {
                    match &item.kind {
                        Kind::Mapping(entries) => self.collect(entries, path, true, into),
                        Kind::Scalar(_) | Kind::Sequence(_) => self.bad_merge(item, path),
                    }
                }
            }
            Kind::Scalar(_) => self.bad_merge(node, path),
        }
        let new = into.fields.get(before..).unwrap_or_default();
        let over = new.iter().filter_map(|field| into.own.get(field.name)).min();
        if let Some(over) = over.and_then(|index| into.fields.get(*index)) {
            let (at, name) = (spot(over.key, &join(path, over.name)), over.name);
            let problem = Problem::warning(
                "merge-overrides",
                Place::default(),
                format!("`{name}` is overridden by the `<<` that follows it"),
            );
            self.report(&at, problem.help("put `<<` before the keys that shall win"));
        }
    }

    fn bad_merge(&mut self, node: &Node, path: &str) {
        let at = spot(node, &join(path, "<<"));
        let problem = Problem::error("bad-merge", Place::default(), "`<<` does not merge a mapping");
        self.report(&at, problem.expected("a mapping or a list of mappings").found(node.describe()));
    }

    fn duplicate(&mut self, key: &Node, name: &str, path: &str) {
        let at = spot(key, &join(path, name));
        let problem = Problem::warning("duplicate-key", Place::default(), format!("`{name}` is given twice"));
        self.report(&at, problem.help("the last one counts: remove the other"));
    }

    fn unknown(&mut self, field: &Field<'_>, path: &str, keys: &Keys) {
        let at = spot(field.key, &join(path, field.name));
        if let Some(later) = keys.later.iter().find(|later| later.key == field.name) {
            self.not_yet(&at, later);
            return;
        }
        let is_told = self.tells_warnings();
        let mut problem = Problem::warning(
            "unknown-key",
            Place::default(),
            format!("unknown key `{}` in {} is ignored", field.name, keys.what),
        );
        let is_misnamed = self.is_misnamed && matches!(path, "" | "metrics");
        if is_misnamed {
            let message =
                format!("unknown key `{}` in {}, and nothing defines metrics", field.name, keys.what);
            problem = Problem::error("unknown-key", Place::default(), message);
            problem.expected = Some(super::top::WANTED.to_owned());
        }
        if is_misnamed && super::top::is_group(field.name) {
            problem.help = Some(format!("metrics: {{{}: [...]}}", field.name));
        } else if is_told {
            problem.help = suggest::help("keys there are", field.name, keys.all().map(|key| key.name));
        }
        self.report(&at, problem);
    }

    /// Says that something comes with a later version.
    pub(super) fn not_yet(&mut self, spot: &Spot, later: &later::Later) {
        let problem = if later.what == later::NO_GAUGE {
            let message = format!("`{}` cannot make a gauge: {}", later.key, later.what);
            Problem::error("event-gauge", Place::default(), message)
        } else {
            let message = format!(
                "`{}` ({}) is not supported by this version, a later one will",
                later.key, later.what
            );
            Problem::error("not-yet-supported", Place::default(), message)
        };
        self.report(spot, problem.help(later.help));
        self.later += 1;
    }
}

/// A path with one more key; a key that would confuse stands in quotes.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let key = if plain { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
