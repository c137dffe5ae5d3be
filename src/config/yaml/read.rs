//! From text to the tree, through `serde_yaml`: the only file that names it.
//!
//! Two walks. The first asks for whatever is there and learns the shape, but is told
//! numbers where the text said `010`. The second knows the shape and asks every scalar
//! for its text; each such visit fails on purpose, because `serde_yaml` tells line and
//! column in its errors alone, and goes on behind the scalar it failed at. Its parser
//! is libyaml's, as the reference's is: what one reads the other reads.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use std::fmt;

use super::{Document, Entry, Kind, Node, Scalar};
use crate::problem::Position;

/// Nodes that a document may have after its aliases are expanded: a large real config has a few thousand.
const MAX_NODES: usize = 500_000;

/// Brackets that are open at once; `serde_yaml` ends at 128 levels.
const MAX_OPEN: usize = 1000;

/// Why there is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The text is not YAML.
    #[error("{message}")]
    Syntax { message: String, position: Option<Position> },
    /// Aliases make it too large.
    #[error("aliases make the document larger than {MAX_NODES} values")]
    TooLarge,
}

/// Reads the first document of a text.
pub(crate) fn read(text: &str) -> Result<Document, Refused> {
    if let Some(offset) = too_deep(text) {
        let message = "recursion limit exceeded".to_owned();
        return Err(Refused::Syntax { message, position: Some(place(text, offset)) });
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let first = documents.next();
    let more = documents.next().is_some();
    let Some(first) = first else { return Ok(Document { root: None, more }) };
    let mut walk = Walk { next: 0, target: None };
    let Some(mut root) = Shape(&mut walk).deserialize(first).map_err(|error| walk.refused(&error, text))?
    else {
        return Ok(Document { root: None, more });
    };
    if let Some(again) = serde_yaml::Deserializer::from_str(text).next() {
        fill(&mut root, text, |seed| seed.deserialize(again)).map_err(|error| walk.refused(&error, text))?;
    }
    Ok(Document { root: Some(root), more })
}

/// The position of the node with a number: a walk that fails there.
pub(crate) fn locate(text: &str, id: usize) -> Option<Position> {
    let mut walk = Walk { next: 0, target: Some(id) };
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    position(&Shape(&mut walk).deserialize(document).err()?)
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    let location = error.location()?;
    Some(Position { line: location.line().max(1), column: location.column().max(1) })
}

/// What the first walk knows.
struct Walk {
    /// The number of the next node.
    next: usize,
    /// The node to fail at.
    target: Option<usize>,
}

impl Walk {
    fn enter<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        let id = self.next;
        self.next += 1;
        if self.target == Some(id) || id >= MAX_NODES {
            return Err(E::custom("stop"));
        }
        Ok(id)
    }

    fn refused(&self, error: &serde_yaml::Error, source: &str) -> Refused {
        let text = error.to_string();
        if self.next > MAX_NODES || text.starts_with("repetition limit exceeded") {
            return Refused::TooLarge;
        }
        // The parser gives no place to what it does not even begin to parse.
        let position =
            if text.starts_with("control characters") { forbidden(source) } else { position(error) };
        if let Some((message, position)) = begun(&text, position, source) {
            return Refused::Syntax { message, position: Some(position) };
        }
        let message = if position.is_some() { without_place(&text) } else { text };
        Refused::Syntax { message, position }
    }
}

/// The message and place of what is missed only far behind where it was forgotten: the end of a quote or a bracket at the
/// end of the text, a key's colon at the next one.
fn begun(text: &str, position: Option<Position>, source: &str) -> Option<(String, Position)> {
    let (what, context) = text.split_once(", while ")?;
    let at_end = || position.is_none_or(|position| source.lines().nth(position.line - 1).is_none());
    let is_open = what.starts_with("found unexpected end of stream")
        || (what.starts_with("did not find expected ',' or") && at_end());
    if !is_open && !what.starts_with("could not find expected ':'") {
        return None;
    }
    let (context, place) = context.split_once(" at line ").unwrap_or((context, "1 column 1"));
    let (line, column) = place.split_once(" column ")?;
    let position = Position { line: line.parse().ok()?, column: column.parse().ok()? };
    Some((format!("{}, while {context}", without_place(what)), position))
}

/// A message of the parser without its first "at line 1 column 2": every problem tells its place alike.
fn without_place(text: &str) -> String {
    let Some(start) = [" at line ", " at position "].iter().filter_map(|at| text.find(at)).min() else {
        return text.to_owned();
    };
    let rest = &text[start..];
    let end = rest.find(", ").map_or(text.len(), |end| start + end);
    format!("{}{}", &text[..start], &text[end..])
}

/// The first character that YAML does not allow.
fn forbidden(text: &str) -> Option<Position> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    text.find(|c| !allowed(c)).map(|offset| place(text, offset))
}

fn place(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}

/// Where more brackets are open than anybody nests, wherever they stand: libyaml looks at every open
/// one again for each word that follows.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN
    })
}

/// The first walk: shapes and numbers of nodes; scalars remember whether they were told to be text.
struct Shape<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    /// None for a document without any content.
    type Value = Option<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Shape<'_> {
    fn scalar<E: serde::de::Error>(self, plain: bool) -> Result<Option<Node>, E> {
        let id = self.0.enter()?;
        Ok(Some(Node { id, kind: Kind::Scalar(Scalar { plain, ..Scalar::default() }) }))
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Option<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        self.scalar(true)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
        self.scalar(false)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Self::Value, A::Error> {
        // A tag of the user's own, such as `!secret`: what it stands at counts alone.
        let (_, content) = data.variant::<IgnoredAny>()?;
        content.newtype_variant_seed(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let id = self.0.enter()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Shape(&mut *self.0))? {
            items.extend(item);
        }
        Ok(Some(Node { id, kind: Kind::Sequence(items) }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let id = self.0.enter()?;
        let mut entries = Vec::new();
        while let Some(key) = access.next_key_seed(Shape(&mut *self.0))? {
            let value = access.next_value_seed(Shape(&mut *self.0))?;
            entries.extend(key.zip(value).map(|(key, value)| Entry { key, value }));
        }
        Ok(Some(Node { id, kind: Kind::Mapping(entries) }))
    }
}

/// Bytes before a scalar in which its tag is looked for: libyaml takes no longer key on a line.
const NEAR: usize = 1024;

/// What the second walk fails with: no message of `serde_yaml` looks like it.
const STOP: &str = "\u{1}text taken";

/// Lets a seed fill one node, and takes the failure that a scalar ends with for what it is.
fn fill<E: fmt::Display>(
    node: &mut Node,
    text: &str,
    run: impl FnOnce(Fill<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut seen = None;
    let result = run(Fill { node: &mut *node, text, seen: &mut seen });
    let (Kind::Scalar(scalar), Some(seen)) = (&mut node.kind, seen) else { return result };
    let Err(error) = result else { return Ok(()) };
    scalar.position = Some(stopped_at(&error.to_string()));
    scalar.plain |= seen.is_plain(text, scalar.position);
    scalar.text = seen.text;
    Ok(())
}

/// The position that an error of the second walk ends with; the very first is left unsaid.
fn stopped_at(message: &str) -> Position {
    let parse = || {
        let (line, column) =
            message.rsplit_once(STOP)?.1.strip_prefix(" at line ")?.split_once(" column ")?;
        Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
    };
    parse().unwrap_or(Position { line: 1, column: 1 })
}

/// A scalar as the second walk meets it.
struct Seen {
    text: String,
    /// Where the text stands when it stands there as it is, without escapes or folds.
    offset: Option<usize>,
}

impl Seen {
    /// Whether a text-like scalar was written without quotes; `start` is where its tags and anchors begin.
    fn is_plain(&self, text: &str, start: Option<Position>) -> bool {
        let Some(offset) = self.offset else { return false };
        let before = text.get(..offset).unwrap_or_default();
        let after = text.get(offset + self.text.len()..).unwrap_or_default();
        if before.ends_with(['"', '\'']) && after.starts_with(['"', '\'']) {
            return false;
        }
        // A tag such as `!!str` makes text of it. What is far along its line stands in brackets of
        // flow style, because no key in front of it is that long, and is not counted from the line's
        // beginning: with many on one line that would take the square of them.
        let cut = (before.len().saturating_sub(NEAR)..).find(|at| before.is_char_boundary(*at)).unwrap_or(0);
        let near = before.get(cut..).unwrap_or_default();
        let last = memchr::memrchr3(b'!', b'\n', b'\r', near.as_bytes());
        if last.and_then(|at| near.as_bytes().get(at)) != Some(&b'!') {
            return true;
        }
        let line = near.rfind(['\n', '\r']).map(|end| &near[end + 1..]).or((cut == 0).then_some(near));
        let Some(line) = line else { return !is_tagged(near) };
        let column = start.map_or(1, |start| start.column);
        !line.chars().skip(column.saturating_sub(1)).any(|character| character == '!')
    }
}

/// Whether what stands last in flow style before a scalar is a tag of it, perhaps with an anchor behind.
fn is_tagged(before: &str) -> bool {
    let own = before.rsplit([',', '[', '{']).next().unwrap_or_default();
    own.split_whitespace().rev().find(|word| !word.starts_with('&')).is_some_and(|word| word.starts_with('!'))
}

/// The second walk: the shape is known, scalars get their text.
struct Fill<'n, 't> {
    node: &'n mut Node,
    text: &'t str,
    seen: &'n mut Option<Seen>,
}

impl<'de> DeserializeSeed<'de> for Fill<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node.kind {
            Kind::Scalar(_) => deserializer.deserialize_str(self),
            Kind::Sequence(_) => deserializer.deserialize_seq(self),
            Kind::Mapping(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Fill<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the first walk found")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        // The address tells where in the text it stands.
        let offset = text.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        *self.seen = Some(Seen { text: text.to_owned(), offset });
        Err(E::custom(STOP))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        *self.seen = Some(Seen { text: text.to_owned(), offset: None });
        Err(E::custom(STOP))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Kind::Sequence(items) = &mut self.node.kind else { return Err(A::Error::custom("no list")) };
        for item in items {
            fill(item, self.text, |seed| access.next_element_seed(seed).map(|_| ()))?;
        }
        // The end is asked for, so that `serde_yaml` sees that nothing is left.
        access.next_element::<IgnoredAny>().map(|_| ())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Kind::Mapping(entries) = &mut self.node.kind else { return Err(A::Error::custom("no mapping")) };
        for entry in entries {
            fill(&mut entry.key, self.text, |seed| access.next_key_seed(seed).map(|_| ()))?;
            fill(&mut entry.value, self.text, |seed| access.next_value_seed(seed))?;
        }
        access.next_key::<IgnoredAny>().map(|_| ())
    }
}

#[cfg(test)]
mod tests;
