//! Problems as text: for people, for one line of a log, for GitHub's annotations.

use std::fmt::{self, Display, Formatter, Write};

use super::{Place, Problem, Severity};

impl Display for Severity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Display for Place {
    /// `file:line:column`, or as much of it as is known.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.config) {
            (Some(file), _) => write!(f, "{}", OneLine(&file.display().to_string()))?,
            (None, Some(config)) => write!(f, "config {}", OneLine(config))?,
            (None, None) => f.write_str("-")?,
        }
        if let Some(position) = self.position {
            write!(f, ":{}:{}", position.line, position.column)?;
        }
        Ok(())
    }
}

impl Display for Problem {
    /// One line; with `{:#}` the whole story over several lines.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if f.alternate() { self.long(f) } else { self.short(f) }
    }
}

impl Problem {
    /// The workflow command that makes GitHub show the problem beside the line.
    #[must_use]
    pub fn to_github(&self) -> String {
        let mut properties = Vec::new();
        if let Some(file) = &self.place.file {
            properties.push(format!("file={}", escape_property(&file.display().to_string())));
        }
        if let Some(position) = self.place.position {
            properties.push(format!("line={},col={}", position.line, position.column));
        }
        properties.push(format!("title={}", escape_property(self.code)));
        let mut message = self.message.clone();
        for (label, text) in self.details() {
            let _ = write!(message, "\n{label}: {text}");
        }
        let command =
            if self.severity == Severity::Note { "notice".to_owned() } else { self.severity.to_string() };
        format!("::{command} {}::{}", properties.join(","), escape_message(&message))
    }

    fn long(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.story(f)
    }

    /// Place, code and message.
    pub(super) fn head(&self, f: &mut impl Write) -> fmt::Result {
        write!(f, "{}: {}[{}]: {}", self.place, self.severity, self.code, OneLine(&self.message))
    }

    /// What follows the message, each on a line of its own.
    pub(super) fn story(&self, f: &mut impl Write) -> fmt::Result {
        for (label, text) in self.details() {
            write!(f, "\n  {label}: ")?;
            for (number, line) in text.lines().enumerate() {
                if number > 0 {
                    write!(f, "\n    ")?;
                }
                write!(f, "{}", OneLine(line))?;
            }
        }
        Ok(())
    }

    fn short(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}]: ", self.place, self.severity, self.code)?;
        if !self.place.path.is_empty() {
            write!(f, "{}: ", OneLine(&self.place.path))?;
        }
        write!(f, "{}", OneLine(&self.message))?;
        let layout = self.layout.as_ref().map(|layout| {
            let lines: Vec<&str> = layout.lines().map(str::trim).collect();
            lines.join(" ")
        });
        let details =
            [("expected ", &self.expected), ("found ", &self.found), ("in ", &layout), ("", &self.help)];
        for (label, text) in details {
            if let Some(text) = text {
                write!(f, "; {label}{}", OneLine(text))?;
            }
        }
        Ok(())
    }

    /// What follows the message, each with its label.
    fn details(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let path = (!self.place.path.is_empty()).then_some(self.place.path.as_str());
        [
            ("at", path),
            ("map", self.place.map.as_deref()),
            ("program", self.place.program.as_deref()),
            ("expected", self.expected.as_deref()),
            ("found", self.found.as_deref()),
            ("layout", self.layout.as_deref()),
            ("help", self.help.as_deref()),
        ]
        .into_iter()
        .filter_map(|(label, text)| text.map(|text| (label, text)))
    }
}

/// Text that cannot break out of its line: users' names may hold anything.
pub(super) struct OneLine<'a>(pub(super) &'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

fn escape_message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Position, Problem};

    fn full() -> Problem {
        let place = Place {
            config: Some("tcp".into()),
            file: Some("/etc/tcp.yaml".into()),
            path: "metrics.counters[0].labels[1].size".into(),
            position: Some(Position { line: 12, column: 9 }),
            ..Place::default()
        };
        Problem::error("wrong-type", place, "`size` is not a number")
            .expected("a number of bytes")
            .found("the text \"four\"")
            .help("write 4")
    }

    #[test]
    fn the_long_form_tells_everything_line_by_line() {
        assert_eq!(
            format!("{:#}", full()),
            "/etc/tcp.yaml:12:9: error[wrong-type]: `size` is not a number\n  \
             at: metrics.counters[0].labels[1].size\n  expected: a number of bytes\n  \
             found: the text \"four\"\n  help: write 4"
        );
    }

    #[test]
    fn the_short_form_is_one_line() {
        assert_eq!(
            full().to_string(),
            "/etc/tcp.yaml:12:9: error[wrong-type]: metrics.counters[0].labels[1].size: `size` is not a number; \
             expected a number of bytes; found the text \"four\"; write 4"
        );
    }

    #[test]
    fn text_cannot_forge_a_second_line() {
        let problem = Problem::warning("x", Place::default(), "one\ntwo\u{1b}[31m").help("a\r\nb");
        assert_eq!(problem.to_string(), "-: warning[x]: one\\ntwo\\u{1b}[31m; a\\r\\nb");
        assert_eq!(format!("{problem:#}").lines().count(), 3);
    }

    #[test]
    fn without_a_file_the_config_is_the_place() {
        let place = Place { config: Some("tcp".into()), program: Some("probe".into()), ..Place::default() };
        let problem = Problem::error("attach", place, "not attached");
        assert_eq!(problem.to_string(), "config tcp: error[attach]: not attached");
        assert_eq!(format!("{problem:#}"), "config tcp: error[attach]: not attached\n  program: probe");
    }

    #[test]
    fn github_gets_file_line_and_escapes() {
        let mut problem = full();
        problem.place.file = Some("a,b:c.yaml".into());
        problem.message = "100%\nsure".into();
        problem.expected = None;
        problem.found = None;
        problem.help = None;
        assert_eq!(
            problem.to_github(),
            "::error file=a%2Cb%3Ac.yaml,line=12,col=9,title=wrong-type::100%25%0Asure%0A\
             at: metrics.counters[0].labels[1].size"
        );
    }
}
