//! The JSON Schema: the committed copy, and that what is served is valid by it.

use bpftally::config::schema;
use regex_automata::meta::Regex;
use serde_json::Value;

use crate::docs::examples;

#[test]
fn the_committed_copy_is_up_to_date() {
    let copy =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json")).unwrap();
    assert_eq!(copy, schema(), "bpftally schema > docs/config.schema.json");
}

/// Whether a value is valid, as far as our schema goes; a keyword that is not known here is a failure.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(rules) = schema else { return schema == &Value::Bool(true) };
    let valid = |schema: &Value| is_valid(root, schema, value);
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "definitions" | "patternProperties" => true,
        "$ref" => valid(root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap()),
        "allOf" => rule.as_array().unwrap().iter().all(valid),
        "anyOf" => rule.as_array().unwrap().iter().any(valid),
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "type" => match rule {
            Value::Array(types) => types.iter().any(|name| is_of(value, name)),
            name => is_of(value, name),
        },
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "pattern" => {
            value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
        }
        "required" => value.as_object().is_none_or(|found| {
            rule.as_array().unwrap().iter().all(|name| found.contains_key(name.as_str().unwrap()))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(root, rule, item))),
        "properties" => value.as_object().is_none_or(|found| {
            found.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| is_valid(root, schema, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|found| {
            let is_other = |key: &&String| {
                rules.get("properties").is_none_or(|known| known.get(key.as_str()).is_none())
                    && !(rules.contains_key("patternProperties") && (key.starts_with("x-") || *key == "<<"))
            };
            found.keys().filter(is_other).all(|key| is_valid(root, rule, &found[key.as_str()]))
        }),
        other => panic!("the keyword {other} is not known to this test"),
    })
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the type {other} is not known to this test"),
    }
}

/// A YAML text as JSON, its keys as text, as editors see it.
pub fn json(yaml: &str) -> Value {
    fn convert(value: serde_yaml::Value) -> Value {
        match value {
            serde_yaml::Value::Mapping(mapping) => {
                let text = |key: serde_yaml::Value| match key {
                    serde_yaml::Value::String(text) => text,
                    other => serde_yaml::to_string(&other).unwrap().trim().to_owned(),
                };
                mapping.into_iter().map(|(key, value)| (text(key), convert(value))).collect()
            }
            serde_yaml::Value::Sequence(items) => items.into_iter().map(convert).collect(),
            serde_yaml::Value::Tagged(tagged) => convert(tagged.value),
            other => serde_json::to_value(other).unwrap(),
        }
    }
    convert(serde_yaml::from_str(yaml).unwrap())
}

#[track_caller]
fn check(yaml: &str, expected: bool) {
    let root: Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(is_valid(&root, &root, &json(yaml)), expected, "{yaml}");
}

#[test]
fn what_is_documented_and_shipped_is_valid() {
    for example in examples() {
        check(&example.yaml, true);
    }
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/configs")).unwrap() {
        check(&std::fs::read_to_string(entry.unwrap().path()).unwrap(), true);
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn values_may_be_written_as_configs_may_write_them() {
    let metric =
        |more: &str| format!("metrics: {{histograms: [{{name: h, help: 1.5, bucket_type: exp2, {more}}}]}}");
    for more in [
        "bucket_max: 0b11",
        "bucket_max: 1_000",
        "bucket_max: ~",
        "scale: .5",
        "zero: yes",
        "zero: 'Off'",
        "map: 404",
        "x-note: [anything]",
        "labels: [{<<: {size: 4}, name: a, decoders: [{name: uint}]}]",
        "labels: [{name: a, size: 0x10, decoders: [{name: static_map, static_map: {0: ~, 0x1: b, c: true}}]}]",
    ] {
        check(&metric(more), true);
    }
    for text in ["metrics:\n", "metrics: {counters: }", "metrics: {counters: []}\nkaddrs:\n"] {
        check(text, !text.ends_with("metrics:\n"));
    }
}

#[test]
fn mistakes_are_found() {
    for text in [
        "{}",
        "[]",
        "metrics: {counter: []}",
        "metrics: {counters: {}}",
        "metrics: {counters: [{name: a}]}",
        "metrics: {counters: [{name: a, help: h, bucket_type: exp2}]}",
        "metrics: {histograms: [{name: a, help: h}]}",
        "metrics: {histograms: [{name: a, help: h, bucket_type: exp3}]}",
        "metrics: {gauges: [{name: a, help: h, reduce: median}]}",
        "metrics: {gauges: [{name: a, help: h, zero: maybe}]}",
        "metrics: {gauges: [{name: a, help: h, labels: [{name: l, size: '4', decoders: [{name: uint}]}]}]}",
        "metrics: {gauges: [{name: a, help: h, labels: [{name: l, size: -4, decoders: [{name: uint}]}]}]}",
        "metrics: {gauges: [{name: a, help: h, labels: [{name: l, size: 4, decoders: [{name: unit}]}]}]}",
        "metrics: {gauges: [{name: a, help: h, labels: [{name: l, size: 4, decoders: [[uint]]}]}]}",
        "metrics: {gauges: [{name: a, help: h, labels: [{name: l, size: 4, decoders: [{name: regexp, regexps: a}]}]}]}",
    ] {
        check(text, false);
    }
}
