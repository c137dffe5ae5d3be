//! One decoder of a label's chain: a mapping, or its name alone.

use std::collections::HashMap;

use super::fields::{Field, join};
use super::keys::{Key, Keys, Shape};
use super::reader::spot;
use super::{RawDecoder, Reader};
use crate::config::yaml::{Kind, Node};
use crate::decode::{DECODERS, Params};
use crate::problem::{Place, Problem};

pub(super) const KEYS: Keys = Keys {
    what: "a decoder",
    example: "{name: uint}",
    known: &[&[
        Key::required(
            "name",
            Shape::Choice(decoders),
            "What makes text of the bytes, or of what the decoder before gave",
        ),
        Key::new("static_map", Shape::Texts, "For static_map: values and their names"),
        Key::new(
            "allow_unknown",
            Shape::Boolean,
            "For static_map: what it does not hold is passed on as it is",
        ),
        Key::new("regexps", Shape::List(&Shape::Text), "For regexp: expressions as in Go (RE2)"),
        Key::new("type", Shape::Text, "For enum: the enum's name, or the name of one of its values"),
        Key::new("strip_prefix", Shape::Text, "For enum: what names lose at their beginning"),
        Key::new("strip_suffix", Shape::Text, "For enum: what names lose at their end"),
        Key::new("lower", Shape::Boolean, "For enum: names in lower case"),
    ]],
    later: &[],
};

fn decoders() -> Vec<(&'static str, &'static str)> {
    DECODERS.iter().map(|entry| (entry.name, entry.summary)).collect()
}

pub(super) fn decoder(reader: &mut Reader, node: &Node, path: &str) -> RawDecoder {
    let mark = reader.mark();
    let mut raw = RawDecoder {
        spot: spot(node, path),
        name: None,
        params: Params::default(),
        regexps: Vec::new(),
        spots: Vec::new(),
        broken: false,
    };
    if let Kind::Scalar(scalar) = &node.kind
        && !scalar.is_null()
    {
        raw.name = reader.text(node, path);
        return raw;
    }
    if let Some(name) = name_as_key(node) {
        let problem = Problem::error("missing-name", Place::default(), "a decoder without a `name`");
        let text = name.key_text().unwrap_or_default();
        let how = format!("`{text}` alone, or `{{name: {text}, ...}}`");
        reader.report(&spot(name, path), problem.expected("its name as a value").help(how));
        raw.broken = true;
        return raw;
    }
    let mut known = HashMap::new();
    for field in reader.fields(node, path, &KEYS) {
        let path = join(path, field.name);
        match field.name {
            "name" => raw.name = reader.text(field.value, &path).or(raw.name.take()),
            "allow_unknown" => {
                raw.params.allow_unknown =
                    reader.boolean(field.value, &path).is_some_and(|found| found.value);
            }
            "regexps" => {
                let found = reader.texts(field.value, &path, "regular expressions");
                raw.regexps = found.iter().map(|regexp| regexp.spot.clone()).collect();
                raw.params.regexps = found.into_iter().map(|regexp| regexp.value).collect();
                raw.spots.push(("regexps", spot(field.value, &path)));
            }
            "static_map" => {
                static_map(reader, field.value, &path, &mut raw.params, &mut known);
                raw.spots.push(("static_map", spot(field.value, &path)));
            }
            "lower" => {
                raw.params.lower = reader.boolean(field.value, &path).is_some_and(|found| found.value);
            }
            _ => affix(reader, &mut raw, &field, &path),
        }
    }
    raw.broken = reader.mark().1 > mark.1;
    raw
}

/// The key of a mapping without a `name` that is a decoder's name, as in `{uint: }`.
fn name_as_key(node: &Node) -> Option<&Node> {
    let Kind::Mapping(entries) = &node.kind else { return None };
    let mut keys = entries.iter().map(|entry| &entry.key);
    if keys.clone().any(|key| matches!(key.key_text(), Some("name" | "<<"))) {
        return None;
    }
    let is_name = |key: &&Node| {
        key.key_text().is_some_and(|text| DECODERS.iter().any(|entry| entry.name == text) && !KEYS.has(text))
    };
    keys.find(is_name)
}

/// The texts of an enum.
fn affix(reader: &mut Reader, raw: &mut RawDecoder, field: &Field<'_>, path: &str) {
    let found = reader.text(field.value, path).map(|found| found.value).unwrap_or_default();
    let (param, place) = match field.name {
        "type" => {
            raw.params.type_name = Some(found);
            raw.spots.push(("type", spot(field.value, path)));
            return;
        }
        "strip_prefix" => ("strip_prefix", &mut raw.params.strip_prefix),
        _ => ("strip_suffix", &mut raw.params.strip_suffix),
    };
    *place = found;
    raw.spots.push((param, spot(field.value, path)));
}

/// Adds to the map, as the reference does when a merge brings a second one; null empties it.
/// `known` tells where each key stands in the map.
fn static_map(
    reader: &mut Reader,
    node: &Node,
    path: &str,
    params: &mut Params,
    known: &mut HashMap<String, usize>,
) {
    if node.is_null() {
        params.static_map = None;
        known.clear();
        return;
    }
    let assignments = reader.assignments(node, path, "a mapping from values to names");
    let map = params.static_map.get_or_insert_default();
    for field in assignments {
        // A null key is the empty text there, as in every text field.
        let key = if field.key.is_null() { String::new() } else { field.name.to_owned() };
        let Some(value) = reader.text(field.value, &join(path, field.name)) else { continue };
        match known.get(&key).and_then(|index| map.get_mut(*index)) {
            Some((_, mapped)) => *mapped = value.value,
            None => {
                known.insert(key.clone(), map.len());
                map.push((key, value.value));
            }
        }
    }
    if map.len() > 100_000 {
        let at = spot(node, path);
        let problem = Problem::error("too-large", Place::default(), "`static_map` has too many entries");
        reader.report(&at, problem.expected("100000 at most").found(map.len().to_string()));
    }
}
