//! That nothing is missing in docs/config.md: neither in its tables nor in its examples.

use std::collections::BTreeSet;

use bpftally::decode::DECODERS;
use bpftally::elf::{MapInfo, MapKind};
use serde_json::Value;

use super::{Example, examples, info, reference};
use crate::config::schema::json;

/// The examples of the reference.
fn own_examples() -> Vec<Example> {
    examples().into_iter().filter(|example| example.place.starts_with("config.md:")).collect()
}

fn schema() -> Value {
    serde_json::from_str(&bpftally::config::schema()).unwrap()
}

/// Words of configs, each with the mapping that it belongs to.
type Words = BTreeSet<(String, String)>;

/// Follows a value through the schema and keeps what of it is used: keys, and texts that are chosen.
/// Without a value everything counts as used.
fn walk(root: &Value, schema: &Value, owner: &str, value: Option<&Value>, found: &mut Words) {
    if let Some(reference) = schema["$ref"].as_str() {
        // Counters, gauges and histograms share most of their keys.
        let owner = match reference.rsplit('/').next().unwrap() {
            "counter" | "gauge" | "histogram" => "a metric",
            owner => owner,
        };
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        walk(root, target, owner, value, found);
    }
    for choice in ["allOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
        walk(root, choice, owner, value, found);
    }
    if let Some(text) = schema["const"].as_str()
        && value.is_none_or(|value| value == text)
    {
        found.insert((owner.to_owned(), format!("a value {text}")));
    }
    let properties = schema["properties"].as_object();
    for (key, schema) in properties.into_iter().flatten() {
        let inner = value.map(|value| value.get(key));
        if inner != Some(None) {
            found.insert((owner.to_owned(), key.clone()));
            walk(root, schema, owner, inner.flatten(), found);
        }
    }
    if schema["items"].is_object() {
        match value {
            None => walk(root, &schema["items"], owner, None, found),
            Some(value) => {
                for item in value.as_array().into_iter().flatten() {
                    walk(root, &schema["items"], owner, Some(item), found);
                }
            }
        }
    }
    if schema["additionalProperties"].is_object() {
        let inner = &schema["additionalProperties"];
        match value {
            None => walk(root, inner, owner, None, found),
            Some(value) => {
                let is_named = |key: &str| properties.is_some_and(|known| known.contains_key(key));
                for (key, item) in value.as_object().into_iter().flatten() {
                    if !is_named(key) {
                        walk(root, inner, owner, Some(item), found);
                    }
                }
            }
        }
    }
}

#[test]
fn every_key_and_choice_is_in_an_example() {
    let root = schema();
    let (mut known, mut used) = (Words::new(), Words::new());
    walk(&root, &root, "the file", None, &mut known);
    for example in own_examples() {
        walk(&root, &root, "the file", Some(&json(&example.yaml)), &mut used);
    }
    known.retain(|(owner, word)| {
        // Decoders may be written as their names alone, and are looked at below.
        let is_decoder = owner == "decoder" && word.starts_with("a value ");
        !is_decoder
    });
    assert!(known.len() > 50, "{known:?}");
    let missing: Vec<_> = known.difference(&used).collect();
    assert!(missing.is_empty(), "no example of docs/config.md has {missing:?}");
}

/// The names of all decoders below a value.
fn decoders(value: &serde_yaml::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::Mapping(mapping) => {
            let list = mapping.get("decoders").and_then(|list| list.as_sequence());
            for decoder in list.into_iter().flatten() {
                let name = decoder.as_str().or_else(|| decoder["name"].as_str()).unwrap();
                found.insert(name.to_owned());
            }
            mapping.values().for_each(|value| decoders(value, found));
        }
        serde_yaml::Value::Sequence(items) => items.iter().for_each(|item| decoders(item, found)),
        _ => {}
    }
}

#[test]
fn every_decoder_is_in_an_example() {
    let mut used = BTreeSet::new();
    own_examples().iter().for_each(|example| decoders(&example.value(), &mut used));
    let known: BTreeSet<String> = DECODERS.iter().map(|decoder| decoder.name.to_owned()).collect();
    assert_eq!(used, known);
}

/// The maps that a config reads, and how it reads their slots.
fn sources(example: &Example, kinds: &mut BTreeSet<u32>, slots: &mut BTreeSet<&str>) {
    let info = info(example.object());
    for metric in super::served::metrics(&example.value()) {
        if !metric.value["global"].is_null() {
            continue;
        }
        let map: Option<&MapInfo> = info.map(&metric.map);
        kinds.insert(map.unwrap_or_else(|| panic!("{}: no map {}", example.place, metric.map)).kind.0);
        if metric.group == "histograms" && metric.value["observe"].is_null() {
            let way = match (&metric.value["slots"], &metric.value["bucket"]) {
                (serde_yaml::Value::Null, serde_yaml::Value::Null) => "the last label",
                (serde_yaml::Value::Null, _) => "a member of the key",
                (slots, _) if slots == "" => "the value",
                _ => "a member of the value",
            };
            slots.insert(way);
        }
    }
}

#[test]
fn every_kind_of_source_is_in_an_example() {
    let (mut kinds, mut slots) = (BTreeSet::new(), BTreeSet::new());
    own_examples().iter().for_each(|example| sources(example, &mut kinds, &mut slots));
    let buffers = [MapKind::RINGBUF.0, MapKind::PERF_EVENT_ARRAY.0];
    let is_source = |kind: &u32| {
        let known = MapKind(*kind);
        known.is_scannable() || known.is_map_in_map() || buffers.contains(kind)
    };
    let readable: BTreeSet<u32> = (0..64).filter(is_source).collect();
    assert_eq!(kinds, readable);
    assert_eq!(slots.len(), 4, "{slots:?}");
}

#[test]
fn every_decoder_is_in_the_table() {
    let page = reference();
    for decoder in DECODERS {
        let row = format!("| `{}` | {} | `", decoder.name, decoder.summary.replace('|', "\\|"));
        assert!(page.contains(&row), "docs/config.md lacks this row:\n{row}");
    }
    let rows = super::served::decoder_rows();
    assert_eq!(rows.len(), DECODERS.len(), "docs/config.md has rows for decoders that are gone");
}

/// Every key of the schema has a row in a table.
#[test]
fn every_key_is_in_a_table() {
    let (mut known, root) = (Words::new(), schema());
    walk(&root, &root, "the file", None, &mut known);
    let page = reference();
    // Lists of metrics are told in one row.
    let elsewhere = ["counters", "gauges", "histograms"];
    for (_, key) in known {
        if !key.starts_with("a value ") && !elsewhere.contains(&key.as_str()) {
            assert!(page.contains(&format!("| `{key}` |")), "docs/config.md has no row for `{key}`");
        }
    }
}
