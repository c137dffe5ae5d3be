//! The log: one line an event, to stderr, as logfmt or JSON.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{LogFormat, LogLevel, LogOptions};

/// Begins the log of this process.
///
/// # Errors
/// When it was begun before.
pub fn begin(options: LogOptions) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_max_level(filter(options.level))
        .with_writer(std::io::stderr)
        // Complaining about a closed stderr on stderr panics.
        .log_internal_errors(false)
        .event_format(Lines { format: options.format, timestamps: options.timestamps })
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let reason = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(place, reason, "a bug: a thread panicked; please report it");
    }));
    Ok(())
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// How a line looks.
struct Lines {
    format: LogFormat,
    timestamps: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line { text: String::with_capacity(256), format: self.format };
        if self.timestamps {
            let mut time = String::with_capacity(32);
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            line.add("time", &time, Shape::Text);
        }
        line.add("level", level(event.metadata().level()), Shape::Text);
        event.record(&mut Message(&mut line));
        event.record(&mut Others(&mut line));
        line.end();
        writer.write_str(&line.text)
    }
}

fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Whether a value may stand without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Plain,
}

/// A line under construction.
struct Line {
    text: String,
    format: LogFormat,
}

impl Line {
    fn add(&mut self, name: &str, value: &str, shape: Shape) {
        let first = self.text.is_empty();
        match self.format {
            LogFormat::Json => {
                self.text.push(if first { '{' } else { ',' });
                quote(&mut self.text, name);
                self.text.push(':');
                match shape {
                    Shape::Text => quote(&mut self.text, value),
                    Shape::Plain => self.text.push_str(value),
                }
            }
            LogFormat::Logfmt => {
                if !first {
                    self.text.push(' ');
                }
                self.text.push_str(name);
                self.text.push('=');
                if shape == Shape::Plain || is_plain(value) {
                    self.text.push_str(value);
                } else {
                    quote(&mut self.text, value);
                }
            }
        }
    }

    fn end(&mut self) {
        self.text.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
    }
}

/// Whether logfmt needs no quotes around it.
fn is_plain(value: &str) -> bool {
    let ends_value = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, '"' | '=' | '\\')
    };
    !value.is_empty() && !value.contains(ends_value)
}

/// Quotes as JSON does, which logfmt's readers take as well: an event stays one line.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_control() => {
                // Every control character is below U+10000; writing to a string cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Takes the message alone: it stands before the fields.
struct Message<'a>(&'a mut Line);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.add("msg", &format!("{value:?}"), Shape::Text);
        }
    }
}

/// Takes everything but the message.
struct Others<'a>(&'a mut Line);

impl Others<'_> {
    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.0.add(field.name(), &value.to_string(), Shape::Plain);
    }
}

impl Visit for Others<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for NaN and the infinities.
        let shape = if value.is_finite() { Shape::Plain } else { Shape::Text };
        self.0.add(field.name(), &value.to_string(), shape);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.0.add(field.name(), value, Shape::Text);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            self.0.add(field.name(), &format!("{value:?}"), Shape::Text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, timestamps: bool, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(filter(LogLevel::Info))
            .with_writer(move || writer.clone())
            .event_format(Lines { format, timestamps })
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn event() {
        let nothing = "";
        tracing::warn!(config = "bio \"x\"", count = 3, rate = 0.5, ok = true, kind = ?Some(1), nothing, "two\nlines");
        tracing::debug!("too light");
    }

    #[test]
    fn logfmt_is_one_line_with_quotes_where_needed() {
        let expected = "level=warn msg=\"two\\nlines\" config=\"bio \\\"x\\\"\" count=3 rate=0.5 ok=true \
                        kind=Some(1) nothing=\"\"\n";
        assert_eq!(logged(LogFormat::Logfmt, false, event), expected);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = logged(LogFormat::Json, false, event);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({"level": "warn", "msg": "two\nlines", "config": "bio \"x\"", "count": 3,
            "rate": 0.5, "ok": true, "kind": "Some(1)", "nothing": ""});
        assert_eq!(value, expected);
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn timestamps_come_first_and_can_be_left_out() {
        assert!(logged(LogFormat::Logfmt, true, event).starts_with("time=20"));
        assert!(logged(LogFormat::Json, true, event).starts_with("{\"time\":\"20"));
    }

    #[test]
    fn controls_and_odd_floats_stay_valid_json() {
        let line = logged(LogFormat::Json, false, || {
            tracing::info!(bytes = "\u{0}\u{1b}\u{7f}\u{85}", nan = f64::NAN, "odd");
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["bytes"], "\u{0}\u{1b}\u{7f}\u{85}");
        assert_eq!(value["nan"], "NaN");
    }
}
