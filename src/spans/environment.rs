//! OpenTelemetry's variables of the environment, as far as they concern spans.
//!
//! What cannot be read is warned of and counts as not given, as OpenTelemetry wants it. What would send
//! spans to nowhere, or in a way that is not built in, is refused: then no span is exported.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use super::endpoint::{Endpoint, EndpointError};
use super::otlp::Resource;
use super::pairs::pairs;

/// Where collectors listen, which is the reference's default, too.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// The service's name as the reference has it.
const DEFAULT_SERVICE: &str = "ebpf_exporter";
/// A queue beyond this would be memory without use.
const MOST_QUEUED: usize = 1_000_000;
/// Headers that the request needs for itself.
const OWN_HEADERS: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "expect",
];

/// How spans are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where they go.
    pub endpoint: Endpoint,
    /// Headers beside the request's own.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether requests are packed.
    pub gzip: bool,
    /// How many spans may wait.
    pub queue: usize,
    /// How many of them go with one request.
    pub batch: usize,
    /// How long they wait at most for others.
    pub delay: Duration,
    /// How long a batch is tried again, all requests together.
    pub patience: Duration,
    pub(super) resource: Resource,
}

/// What the environment wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Spans go to a collector, when a config has any.
    Export(Box<Settings>),
    /// No spans are wanted, by this variable.
    Off(&'static str),
    /// What is wanted is not possible.
    Refused(Refusal),
}

/// A variable that asks for what is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The variable.
    pub variable: &'static str,
    /// What it says.
    pub value: String,
    /// What is wrong with it and what to do.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: {}", self.variable, self.value, self.reason)
    }
}

/// What the environment wants, and what could not be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What it wants.
    pub choice: Choice,
    /// Variables that count as not given, and why.
    pub warnings: Vec<String>,
}

/// Reads the variables through `get`.
pub fn read_environment(get: &dyn Fn(&str) -> Option<OsString>) -> Environment {
    let mut variables = Variables { get, warnings: Vec::new() };
    let choice = choice(&mut variables).unwrap_or_else(Choice::Refused);
    Environment { choice, warnings: variables.warnings }
}

fn choice(variables: &mut Variables<'_>) -> Result<Choice, Refusal> {
    if variables.boolean("OTEL_SDK_DISABLED") {
        return Ok(Choice::Off("OTEL_SDK_DISABLED"));
    }
    if let Some(exporter) = variables.text("OTEL_TRACES_EXPORTER") {
        match exporter.to_ascii_lowercase().as_str() {
            "otlp" => {}
            "none" => return Ok(Choice::Off("OTEL_TRACES_EXPORTER")),
            _ => {
                let reason = "the exporters there are: otlp, none".to_owned();
                return Err(Refusal { variable: "OTEL_TRACES_EXPORTER", value: exporter, reason });
            }
        }
    }
    protocol(variables)?;
    let endpoint = endpoint(variables)?;
    let queue = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048).min(MOST_QUEUED);
    Ok(Choice::Export(Box::new(Settings {
        endpoint,
        headers: headers(variables),
        timeout: variables.milliseconds(
            &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
            Duration::from_secs(10),
        ),
        gzip: compression(variables)?,
        queue,
        batch: variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).min(queue),
        delay: variables.milliseconds(&["OTEL_BSP_SCHEDULE_DELAY"], Duration::from_secs(5)),
        patience: variables.milliseconds(&["OTEL_BSP_EXPORT_TIMEOUT"], Duration::from_secs(30)),
        resource: resource(variables),
    })))
}

fn protocol(variables: &mut Variables<'_>) -> Result<(), Refusal> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let Some((variable, value)) = variables.first(&names) else { return Ok(()) };
    let reason = match value.to_ascii_lowercase().as_str() {
        "http/protobuf" => return Ok(()),
        "grpc" => {
            "gRPC is not built in: set it to http/protobuf, which collectors take on port 4318 instead of 4317"
        }
        "http/json" => "JSON is not built in: set it to http/protobuf, which the same port takes",
        _ => "the protocol there is: http/protobuf",
    };
    Err(Refusal { variable, value, reason: reason.to_owned() })
}

fn endpoint(variables: &mut Variables<'_>) -> Result<Endpoint, Refusal> {
    let (variable, value, endpoint): (_, _, Result<Endpoint, EndpointError>) =
        if let Some(value) = variables.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            let endpoint = Endpoint::exactly(&value);
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value, endpoint)
        } else {
            let value = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT");
            let value = value.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
            let endpoint = Endpoint::below(&value);
            ("OTEL_EXPORTER_OTLP_ENDPOINT", value, endpoint)
        };
    endpoint.map_err(|error| {
        // What is refused for its password must not show it.
        let value = if error == EndpointError::Credentials { "http://...@...".to_owned() } else { value };
        Refusal { variable, value, reason: error.to_string() }
    })
}

fn compression(variables: &mut Variables<'_>) -> Result<bool, Refusal> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
    let Some((variable, value)) = variables.first(&names) else { return Ok(false) };
    match value.to_ascii_lowercase().as_str() {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err(Refusal { variable, value, reason: "the compressions there are: gzip, none".to_owned() }),
    }
}

/// Headers that a request can have; values are never logged, because they hold passwords.
fn headers(variables: &mut Variables<'_>) -> Vec<(String, String)> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let Some((variable, value)) = variables.first(&names) else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, value) in variables.pairs(variable, &value) {
        let own = OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
        let is_token =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let is_text = value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        if own {
            variables.warn(variable, &format!("the header `{name}` is the request's own: it is left out"));
        } else if is_token && is_text {
            headers.push((name, value));
        } else {
            variables
                .warn(variable, &format!("{name:?} can be no header, or its value none: it is left out"));
        }
    }
    headers
}

/// `service.name` and the other attributes of what sends the spans.
fn resource(variables: &mut Variables<'_>) -> Resource {
    let given = variables.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let mut attributes = variables.pairs("OTEL_RESOURCE_ATTRIBUTES", &given);
    let at = attributes.iter().position(|(key, _)| key == "service.name");
    let among = at.map(|at| attributes.remove(at).1).filter(|name| !name.is_empty());
    let own = variables.text("OTEL_SERVICE_NAME");
    for (key, value) in [
        ("telemetry.sdk.name", env!("CARGO_PKG_NAME")),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ] {
        if !attributes.iter().any(|(known, _)| known == key) {
            attributes.push((key.to_owned(), value.to_owned()));
        }
    }
    Resource { service: own.or(among).unwrap_or_else(|| DEFAULT_SERVICE.to_owned()), attributes }
}

/// The variables, with what was wrong with them.
struct Variables<'a> {
    get: &'a dyn Fn(&str) -> Option<OsString>,
    warnings: Vec<String>,
}

impl Variables<'_> {
    /// The text of a variable; an empty one counts as not given.
    fn text(&mut self, name: &str) -> Option<String> {
        match (self.get)(name)?.into_string() {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(_) => {
                self.warn(name, "it is not UTF-8: it is ignored");
                None
            }
        }
    }

    /// The first variable that is given, by its name.
    fn first(&mut self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    /// Whether it says true; anything else is false.
    fn boolean(&mut self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        if !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false") {
            self.warn(name, &format!("{text:?} is neither true nor false: it counts as false"));
        }
        text.eq_ignore_ascii_case("true")
    }

    /// A number above 0.
    fn number(&mut self, name: &str, otherwise: usize) -> usize {
        let Some(text) = self.text(name) else { return otherwise };
        text.parse().ok().filter(|number| *number > 0).unwrap_or_else(|| {
            self.warn(name, &format!("{text:?} is not a number above 0: it is {otherwise}"));
            otherwise
        })
    }

    /// The first variable that is given; a day at most.
    fn milliseconds(&mut self, names: &[&'static str], otherwise: Duration) -> Duration {
        let Some((name, text)) = self.first(names) else { return otherwise };
        match text.parse() {
            Ok(number) if (1..=86_400_000).contains(&number) => Duration::from_millis(number),
            _ => {
                let milliseconds = otherwise.as_millis();
                self.warn(name, &format!("{text:?} is not a number of milliseconds: it is {milliseconds}"));
                otherwise
            }
        }
    }

    /// The pairs of a list; none of one that is wrong.
    fn pairs(&mut self, name: &str, list: &str) -> Vec<(String, String)> {
        pairs(list).unwrap_or_else(|error| {
            self.warn(name, &format!("{error}: all of it is ignored"));
            Vec::new()
        })
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.warnings.push(format!("{name}: {what}"));
    }
}

#[cfg(test)]
mod tests;
