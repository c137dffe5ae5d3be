//! The JSON Schema of configs, with which editors complete and validate.
//!
//! It is made of the tables that the reader goes by, so that the two cannot differ. Where
//! YAML 1.1, which configs are read as, has more ways to write a value than the YAML of
//! editors, those are texts there, and allowed.

use serde_json::{Map, Value, json};

use super::raw::{Key, Keys, Shape, TOP};

/// Numbers that only YAML 1.1 takes for numbers: `0b1`, `1_000`.
const OLD_INTEGER: &str = "^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9]+_[0-9_]*)$";

/// The schema as indented text with a line's end.
#[must_use]
pub fn schema() -> String {
    let mut definitions = Map::new();
    let Value::Object(mut root) = mapping(&TOP, &mut definitions) else { return String::new() };
    root.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    root.insert("title".into(), "A config of bpftally".into());
    root.insert("definitions".into(), definitions.into());
    format!("{:#}\n", Value::Object(root))
}

fn mapping(keys: &Keys, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        keys.all().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    let required: Vec<&str> = keys.all().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        // The user's own keys, often a home for anchors; and merges, for validators that do not do them.
        "patternProperties": {"^x-": true, "^<<$": true},
        "additionalProperties": false,
    });
    // What is merged in is not seen by every validator.
    if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
        let instead = keys.all().filter_map(|key| key.instead).map(|key| json!({"required": [key]}));
        let mut ways = vec![json!({"required": required})];
        ways.extend(instead.chain([json!({"required": ["<<"]})]));
        schema.insert("anyOf".into(), ways.into());
    }
    schema
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = of(&key.shape, definitions);
    if !key.required {
        schema = or_nothing(schema);
    }
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), key.about.into());
    }
    schema
}

fn of(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text => json!({"type": ["string", "number", "boolean"]}),
        Shape::Choice(choices) => {
            let choices =
                choices().into_iter().map(|(name, about)| json!({"const": name, "description": about}));
            json!({"anyOf": choices.collect::<Vec<_>>()})
        }
        Shape::Boolean => {
            let words = ["yes", "no", "on", "off", "y", "n"].into_iter();
            let words: Vec<String> =
                words.flat_map(|word| [word.to_owned(), capital(word), word.to_uppercase()]).collect();
            json!({"anyOf": [{"type": "boolean"}, {"enum": words}]})
        }
        Shape::Integer => json!({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": OLD_INTEGER}]}),
        Shape::Size => {
            json!({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": OLD_INTEGER}]})
        }
        Shape::Number => json!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": OLD_INTEGER}]}),
        Shape::Duration => json!({"type": ["string", "number"]}),
        Shape::Texts => {
            json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}})
        }
        Shape::Anything => json!({"type": "object"}),
        Shape::TextOrTexts => {
            let text = json!({"type": ["string", "number", "boolean"]});
            json!({"anyOf": [text, {"type": "array", "items": text}]})
        }
        Shape::List(item) => json!({"type": "array", "items": of(item, definitions)}),
        Shape::Named(keys) => {
            json!({"type": "object", "additionalProperties": of(&Shape::Mapping(keys), definitions)})
        }
        Shape::TextOr(keys) => {
            json!({"anyOf": [{"type": "string"}, of(&Shape::Mapping(keys), definitions)]})
        }
        Shape::Mapping(keys) => {
            let name = keys.what.trim_start_matches("a ").trim_matches('`');
            if !definitions.contains_key(name) {
                let definition = mapping(keys, definitions);
                definitions.insert(name.to_owned(), definition);
            }
            // Beside a reference nothing else counts, so it stands alone.
            json!({"allOf": [{"$ref": format!("#/definitions/{name}")}]})
        }
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}

/// Nothing is 0, false, the empty text or the empty list.
fn or_nothing(schema: Value) -> Value {
    match schema {
        Value::Object(mut schema) => {
            match schema.get_mut("type") {
                Some(Value::Array(types)) => types.push("null".into()),
                Some(kind) => *kind = json!([kind.clone(), "null"]),
                None => match schema.get_mut("anyOf") {
                    Some(Value::Array(any)) => any.push(json!({"type": "null"})),
                    _ => return json!({"anyOf": [Value::Object(schema), {"type": "null"}]}),
                },
            }
            Value::Object(schema)
        }
        other => other,
    }
}
