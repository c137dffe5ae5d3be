//! `static_map`: names that the config gives.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Params, Traits, Value, number, text,
};

pub(super) const ENTRY: Entry = Entry {
    name: "static_map",
    summary: "Replaces a value by the text that `static_map` gives for it; else `unknown:VALUE`, or the value \
              itself with `allow_unknown`.",
    build: |params, kind, _| build(params, kind),
};

#[derive(Debug)]
struct StaticMap {
    texts: HashMap<Box<[u8]>, Box<[u8]>>,
    /// The same names by the value of their keys, rising.
    numbers: Vec<(i128, Box<[u8]>)>,
    /// Every name, in the order written.
    names: Vec<Vec<u8>>,
    allow_unknown: bool,
    /// Whether bytes are a field, not text.
    field: bool,
    injective: Injective,
}

fn build(params: &Params, kind: Kind) -> Built {
    let Some(pairs) = &params.static_map else {
        return Ok((Box::new(Empty), Kind::Text));
    };
    // A key that is written twice means its last value, as in the reference.
    let by_key: HashMap<&str, &str> = pairs.iter().map(|(key, name)| (key.as_str(), name.as_str())).collect();
    let map = StaticMap {
        numbers: by_value(pairs, &by_key),
        names: names(pairs, &by_key),
        injective: injective(&by_key, params.allow_unknown, kind),
        texts: by_key.iter().map(|(key, name)| (key.as_bytes().into(), name.as_bytes().into())).collect(),
        allow_unknown: params.allow_unknown,
        field: matches!(kind, Kind::Field(_)),
    };
    Ok((Box::new(map), Kind::Text))
}

impl StaticMap {
    fn name(&self, value: Value<'_>) -> Option<&[u8]> {
        let bytes = match value {
            Value::Bytes(bytes) => bytes,
            Value::Unsigned(number) => return self.name_of(i128::from(number)),
            Value::Signed(number) => return self.name_of(i128::from(number)),
        };
        if let Some(name) = self.texts.get(bytes) {
            return Some(name);
        }
        if !self.field {
            return None;
        }
        // The reference compares a raw field as it is, NULs and all, which hardly ever hits:
        // what is tried here besides would have been unknown there.
        self.texts
            .get(text::before_nul(bytes))
            .map(AsRef::as_ref)
            .or_else(|| self.name_of(i128::from(number::unsigned(bytes).ok()?)))
    }

    fn name_of(&self, number: i128) -> Option<&[u8]> {
        let index = self.numbers.binary_search_by_key(&number, |(key, _)| *key).ok()?;
        self.numbers.get(index).map(|(_, name)| name.as_ref())
    }
}

impl Decode for StaticMap {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        if let Some(name) = self.name(value) {
            out.extend_from_slice(name);
            return Ok(Decoded::Text);
        }
        if !self.allow_unknown {
            out.extend_from_slice(b"unknown:");
        }
        match value {
            Value::Unsigned(number) if self.allow_unknown => return Ok(Decoded::Unsigned(number)),
            Value::Signed(number) if self.allow_unknown => return Ok(Decoded::Signed(number)),
            value => out.extend_from_slice(text::of(value, &mut text::Digits::new())),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }

    fn texts(&self) -> Option<Vec<Vec<u8>>> {
        Some(self.names.clone())
    }
}

/// A `static_map` without its parameter, which the reference serves with this text.
#[derive(Debug)]
struct Empty;

impl Decode for Empty {
    fn decode(&self, _: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        out.extend_from_slice(b"empty mapping");
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }

    fn texts(&self) -> Option<Vec<Vec<u8>>> {
        Some(vec![b"empty mapping".to_vec()])
    }
}

/// The names that keys have, each once.
fn names(pairs: &[(String, String)], by_key: &HashMap<&str, &str>) -> Vec<Vec<u8>> {
    let mut seen = HashSet::new();
    let last = |(key, _): &(String, String)| by_key.get(key.as_str()).copied();
    pairs
        .iter()
        .filter_map(last)
        .filter(|name| seen.insert(*name))
        .map(|name| name.as_bytes().to_vec())
        .collect()
}

/// Names by number: a key that is the number's decimal text comes before `0x10` and the like,
/// and of several of those the last.
fn by_value(pairs: &[(String, String)], by_key: &HashMap<&str, &str>) -> Vec<(i128, Box<[u8]>)> {
    let mut names: HashMap<i128, &str> = HashMap::new();
    for (key, name) in pairs {
        if let Some(number) = number::parse_yaml(key) {
            names.insert(number, name);
        }
    }
    let mut numbers: Vec<_> = names
        .into_iter()
        .map(|(number, name)| {
            let exact = by_key.get(number.to_string().as_str());
            (number, exact.unwrap_or(&name).as_bytes().into())
        })
        .collect();
    numbers.sort_unstable_by_key(|(number, _)| *number);
    numbers
}

/// Different inputs give different texts when no two keys share a name and no name looks like
/// what an unknown input becomes.
fn injective(by_key: &HashMap<&str, &str>, allow_unknown: bool, kind: Kind) -> Injective {
    let distinct = by_key.values().collect::<BTreeSet<_>>().len() == by_key.len();
    let like_unknown = |name: &str| match (allow_unknown, kind) {
        (false, _) => name.starts_with("unknown:"),
        (true, Kind::Number | Kind::Signed) => name.parse::<i128>().is_ok(),
        (true, _) => true,
    };
    match kind {
        // A field is matched in three ways, which can meet.
        Kind::Field(_) => Injective::Never,
        _ if distinct && !by_key.values().any(|name| like_unknown(name)) => Injective::Always,
        _ => Injective::Never,
    }
}
