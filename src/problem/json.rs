//! Problems for machines.

use serde_json::{Map, Value, json};

use super::Problem;

impl Problem {
    /// A JSON object; what is not known is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let place = &self.place;
        let mut object = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(key.to_owned(), value);
            }
        };
        put("severity", Some(json!(self.severity.to_string())));
        put("code", Some(json!(self.code)));
        put("message", Some(json!(self.message)));
        put("config", place.config.as_ref().map(|config| json!(config)));
        put("file", place.file.as_ref().map(|file| json!(file.display().to_string())));
        put("line", place.position.map(|position| json!(position.line)));
        put("column", place.position.map(|position| json!(position.column)));
        put("path", (!place.path.is_empty()).then(|| json!(place.path)));
        put("metric", place.metric.as_ref().map(|metric| json!(metric)));
        put("map", place.map.as_ref().map(|map| json!(map)));
        put("program", place.program.as_ref().map(|program| json!(program)));
        put("expected", self.expected.as_ref().map(|expected| json!(expected)));
        put("found", self.found.as_ref().map(|found| json!(found)));
        put("layout", self.layout.as_ref().map(|layout| json!(layout)));
        put("help", self.help.as_ref().map(|help| json!(help)));
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Place, Position, Problem};

    #[test]
    fn what_is_known_is_a_key() {
        let place = Place {
            file: Some("a.yaml".into()),
            path: "metrics".into(),
            position: Some(Position { line: 2, column: 3 }),
            metric: Some("m".into()),
            ..Place::default()
        };
        assert_eq!(
            Problem::warning("unknown-key", place, "no").help("yes").to_json(),
            json!({"severity": "warning", "code": "unknown-key", "message": "no", "file": "a.yaml",
                   "line": 2, "column": 3, "path": "metrics", "metric": "m", "help": "yes"})
        );
        assert_eq!(
            Problem::error("x", Place::default(), "m").to_json(),
            json!({"severity": "error", "code": "x", "message": "m"})
        );
    }
}
