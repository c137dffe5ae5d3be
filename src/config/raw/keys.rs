//! What mappings may hold: the tables that readers go by and that the JSON Schema is made of.

use super::later::Later;

/// What a mapping may hold.
pub(crate) struct Keys {
    /// What the mapping is, for messages.
    pub(crate) what: &'static str,
    /// One as it could be written.
    pub(crate) example: &'static str,
    /// Its keys, in groups that mappings share.
    pub(crate) known: &'static [&'static [Key]],
    /// Keys of a later version: they would change the meaning, so they are refused.
    pub(super) later: &'static [Later],
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What it is, in a line for editors.
    pub(crate) about: &'static str,
    pub(crate) required: bool,
    /// The key that may be there instead of a required one.
    pub(crate) instead: Option<&'static str>,
}

/// What a value looks like.
pub(crate) enum Shape {
    /// Any scalar, as it is written.
    Text,
    /// One of these texts, each with what it is.
    Choice(fn() -> Vec<(&'static str, &'static str)>),
    Boolean,
    /// A whole number.
    Integer,
    /// A whole number, 0 or more.
    Size,
    Number,
    /// `1h30m`, or nanoseconds.
    Duration,
    /// A mapping from scalars to scalars.
    Texts,
    /// Any mapping.
    Anything,
    List(&'static Shape),
    /// A text, or a list of texts.
    TextOrTexts,
    Mapping(&'static Keys),
    /// A mapping from names to such mappings.
    Named(&'static Keys),
    /// Such a mapping, or a text that stands for the shortest one.
    TextOr(&'static Keys),
}

impl Key {
    /// A key that may be left out.
    pub(super) const fn new(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, about, required: false, instead: None }
    }

    /// A key that must be there.
    pub(super) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, shape, about, required: true, instead: None }
    }

    /// The same where another key will do as well.
    pub(super) const fn or(mut self, other: &'static str) -> Self {
        self.instead = Some(other);
        self
    }
}

impl Keys {
    /// All keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.known.iter().copied().flatten()
    }

    /// Whether a name is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all().any(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::{Reader, TOP, config};
    use crate::config::yaml;
    use crate::problem::Place;

    /// Every table, each with the text of a config around one of its mappings: `@` is where a key goes.
    fn tables() -> Vec<(&'static Keys, String)> {
        let mut tables = Vec::new();
        collect(&TOP, "@", &mut tables);
        assert_eq!(
            tables.len(),
            27,
            "the file, metrics, three groups, labels and decoders: of counters alone, programs, `attach` and its \
             kinds, maps, the map of cgroups, tracing, spans"
        );
        tables
    }

    fn collect(keys: &'static Keys, around: &str, tables: &mut Vec<(&'static Keys, String)>) {
        if tables.iter().any(|(known, _)| known.what == keys.what) {
            return;
        }
        tables.push((keys, around.to_owned()));
        for key in keys.all() {
            let (inner, around) = match &key.shape {
                Shape::Mapping(inner) => (inner, around.replace('@', &format!("{}: {{@}}", key.name))),
                Shape::Named(inner) => (inner, around.replace('@', &format!("{}: {{x: {{@}}}}", key.name))),
                Shape::List(Shape::Mapping(inner) | Shape::TextOr(inner)) => {
                    (inner, around.replace('@', &format!("{}: [{{@}}]", key.name)))
                }
                _ => continue,
            };
            collect(inner, &around, tables);
        }
    }

    /// A value that is of no type that the key can have.
    fn wrong(shape: &Shape) -> &'static str {
        match shape {
            // A list of programs is a config of the reference's first version, which has a problem of its own.
            Shape::Named(_) => "x",
            Shape::Texts | Shape::Anything | Shape::Mapping(_) => "[x]",
            Shape::List(_) => "{x: y}",
            _ => "[[x]]",
        }
    }

    fn complaints(text: &str) -> usize {
        let document = yaml::read(text).unwrap();
        let mut reader = Reader::new(Place::default());
        config(&mut reader, &document.root.unwrap());
        reader.into_findings().settle(text).iter().filter(|problem| problem.code == "wrong-type").count()
    }

    #[test]
    fn every_key_of_a_table_is_read() {
        for (keys, around) in tables() {
            for key in keys.all() {
                let text =
                    format!("{{{}}}", around.replace('@', &format!("{}: {}", key.name, wrong(&key.shape))));
                assert!(complaints(&text) > 0, "`{}` of {} is not read: {text}", key.name, keys.what);
            }
        }
    }

    #[test]
    fn keys_are_told_apart_and_described() {
        for (keys, _) in tables() {
            let mut names: Vec<_> = keys.all().map(|key| key.name).collect();
            names.extend(keys.later.iter().map(|later| later.key));
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", keys.what);
            assert!(
                keys.all().all(|key| !key.about.is_empty() && !key.about.ends_with('.')),
                "{}",
                keys.what
            );
        }
    }
}
