//! The landing page: what this exporter is, and how each config is.

use std::fmt::{self, Display, Write};

use super::message::Response;

/// How a config is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigState {
    /// All of it is served.
    Serving,
    /// Some of its metrics or programs are missing.
    Degraded,
    /// Its files have changed, and what they say now was refused.
    LastGood,
    /// Nothing of it is served.
    Failed,
}

impl ConfigState {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Degraded => "degraded",
            Self::LastGood => "outdated",
            Self::Failed => "failed",
        }
    }
}

/// One config as the landing page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigStatus {
    /// Its name.
    pub name: String,
    /// Its object's file, where that is not called as the config is; else empty.
    pub object: String,
    /// Whether nobody wrote it: it was drafted from its object.
    pub drafted: bool,
    /// How it is.
    pub state: ConfigState,
    /// How many metrics it serves.
    pub metrics: usize,
    /// How many of its programs are attached.
    pub attached: usize,
    /// How many programs it has.
    pub programs: usize,
    /// What is wrong, rendered for people; may have several lines each.
    pub problems: Vec<String>,
    /// Why what its files say now is not what is served.
    pub refused: Vec<String>,
    /// What became of its programs.
    pub verdicts: Vec<ProgramRow>,
}

/// One program as the landing page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRow {
    /// Its name.
    pub program: String,
    /// What became of it, in a word or two.
    pub verdict: &'static str,
    /// Whether that is as it should be.
    pub is_good: bool,
    /// Why; empty where there is nothing to say.
    pub reason: String,
}

/// Everything the landing page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The exporter's version.
    pub version: String,
    /// Where the metrics are.
    pub telemetry_path: String,
    /// Whether `/maps` is served.
    pub debug: bool,
    /// What `/-/ready` says.
    pub ready: bool,
    /// The configs by name.
    pub configs: Vec<ConfigStatus>,
    /// What is wrong with no config in particular.
    pub problems: Vec<String>,
    /// How spans fare, as a sentence; empty where there are none.
    pub spans: String,
    /// How changes of the files are noticed, as a sentence; empty before they are.
    pub watching: String,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em;border-bottom:1px solid #ccc}\
    pre{margin:.2em 0 .6em;white-space:pre-wrap;font-size:14px}.failed{color:#b00020}.degraded,.outdated{color:#8a5a00}\
    .serving{color:#0a6b2d}";

/// The landing page.
#[must_use]
pub fn landing_page(status: &Status) -> Response {
    let mut html = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = render(&mut html, status);
    Response::new(200, "text/html; charset=utf-8", html)
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
}

fn render(html: &mut String, status: &Status) -> fmt::Result {
    let ready = if status.ready { "ready" } else { "not ready" };
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>bpftally</title>\
         <style>{STYLE}</style></head>\n<body><h1>bpftally</h1>\n<p>Version {}, {ready}.</p>\n<ul>\n",
        Escaped(&status.version)
    )?;
    writeln!(html, "<li><a href=\"{}\">Metrics</a></li>", Href(&status.telemetry_path))?;
    html.push_str(
        "<li><a href=\"/-/healthy\">Health</a></li>\n<li><a href=\"/-/ready\">Readiness</a></li>\n",
    );
    if status.debug {
        html.push_str("<li><a href=\"/maps\">Maps</a></li>\n");
    }
    html.push_str("</ul>\n");
    for sentence in [&status.watching, &status.spans].into_iter().filter(|sentence| !sentence.is_empty()) {
        writeln!(html, "<p>{}</p>", Escaped(sentence))?;
    }
    for problem in &status.problems {
        writeln!(html, "<pre class=\"failed\">{}</pre>", Escaped(problem))?;
    }
    if status.configs.is_empty() {
        html.push_str("<p>There are no configs.</p>\n");
    } else {
        html.push_str(
            "<table>\n<tr><th>Config</th><th>State</th><th>Metrics</th><th>Programs attached</th></tr>\n",
        );
        for config in &status.configs {
            render_config(html, config)?;
        }
        html.push_str("</table>\n");
    }
    html.push_str("</body></html>\n");
    Ok(())
}

fn render_config(html: &mut String, config: &ConfigStatus) -> fmt::Result {
    let state = config.state.word();
    let ConfigStatus { metrics, attached, programs, .. } = config;
    let drafted = if config.drafted { " <small>drafted from its object</small>" } else { "" };
    let object = match config.object.as_str() {
        "" => String::new(),
        object => format!(" <small>by {}</small>", Escaped(object)),
    };
    writeln!(
        html,
        "<tr><td>{}{object}{drafted}</td><td class=\"{state}\">{state}</td><td>{metrics}</td><td>{attached} of {programs}</td></tr>",
        Escaped(&config.name)
    )?;
    if !config.verdicts.is_empty() {
        let count = config.verdicts.len();
        let programs = if count == 1 { "program" } else { "programs" };
        // What is as it should be is folded away.
        let open = if config.verdicts.iter().all(|row| row.is_good) { "" } else { " open" };
        writeln!(
            html,
            "<tr><td></td><td colspan=\"3\"><details{open}><summary>{count} {programs}</summary><ul>"
        )?;
        for row in &config.verdicts {
            let class = if row.is_good { "" } else { " class=\"failed\"" };
            write!(html, "<li{class}><code>{}</code>: {}", Escaped(&row.program), row.verdict)?;
            if !row.reason.is_empty() {
                write!(html, " ({})", Escaped(&row.reason))?;
            }
            html.push_str("</li>\n");
        }
        html.push_str("</ul></details></td></tr>\n");
    }
    if !config.refused.is_empty() {
        html.push_str(
            "<tr><td></td><td colspan=\"3\">The last good version is served, because its files were changed to \
             something that cannot be:",
        );
        for problem in &config.refused {
            write!(html, "<pre class=\"failed\">{}</pre>", Escaped(problem))?;
        }
        html.push_str("</td></tr>\n");
    }
    if !config.problems.is_empty() {
        html.push_str("<tr><td></td><td colspan=\"3\">");
        for problem in &config.problems {
            write!(html, "<pre>{}</pre>", Escaped(problem))?;
        }
        html.push_str("</td></tr>\n");
    }
    Ok(())
}

/// Text that cannot become markup.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                // HTML has no place for control characters, not even escaped.
                '\n' | '\t' => formatter.write_char(character)?,
                control if control.is_control() => formatter.write_char(char::REPLACEMENT_CHARACTER)?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A path as the target of a link: what is not plain in a path is percent-encoded.
struct Href<'a>(&'a str);

impl Display for Href<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two slashes at the begin would name another host.
        let path = self.0.strip_prefix("//").map(|rest| ("/.//", rest)).unwrap_or(("", self.0));
        formatter.write_str(path.0)?;
        for byte in path.1.bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                formatter.write_char(byte as char)?;
            } else {
                write!(formatter, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(program: &str, is_good: bool) -> ProgramRow {
        let verdict = if is_good { "disabled" } else { "broken" };
        ProgramRow { program: program.into(), verdict, is_good, reason: format!("why {program}") }
    }

    fn status() -> Status {
        Status {
            version: "1.2.3".into(),
            telemetry_path: "/metrics".into(),
            debug: false,
            ready: true,
            configs: vec![ConfigStatus {
                name: "biolatency".into(),
                object: String::new(),
                drafted: false,
                state: ConfigState::Degraded,
                metrics: 2,
                attached: 1,
                programs: 3,
                problems: vec!["line 3: unknown decoder".into()],
                refused: Vec::new(),
                verdicts: vec![row("old", true), row("new", false)],
            }],
            problems: Vec::new(),
            spans: "Spans go to http://<collector>: 3 came.".into(),
            watching: "Changes of the files are followed: events.".into(),
        }
    }

    fn page(status: &Status) -> String {
        let response = landing_page(status);
        assert_eq!(response.status, 200);
        String::from_utf8(response.chunks.concat()).unwrap()
    }

    #[test]
    fn it_shows_version_links_and_configs() {
        let html = page(&status());
        for part in [
            "Version 1.2.3, ready.",
            "href=\"/metrics\"",
            "<td>biolatency</td>",
            "<p>Changes of the files are followed: events.</p>",
            "<p>Spans go to http://&lt;collector&gt;: 3 came.</p>",
            "degraded",
            "1 of 3",
            "unknown decoder",
            "<details open><summary>2 programs</summary>",
            "<li><code>old</code>: disabled (why old)</li>",
            "<li class=\"failed\"><code>new</code>: broken (why new)</li>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert!(!html.contains("/maps"));
        assert!(!html.contains("drafted"));
        let mut drafted = status();
        drafted.configs[0].drafted = true;
        assert!(page(&drafted).contains("<td>biolatency <small>drafted from its object</small></td>"));
        drafted.configs[0].drafted = false;
        drafted.configs[0].object = "biolatency.x86_64.bpf.o".into();
        assert!(page(&drafted).contains("<td>biolatency <small>by biolatency.x86_64.bpf.o</small></td>"));
        assert!(page(&Status { debug: true, ..status() }).contains("href=\"/maps\""));
        assert!(page(&Status { configs: Vec::new(), ..status() }).contains("There are no configs."));
    }

    #[test]
    fn nothing_becomes_markup() {
        let evil = "<script>'\"&\u{0}\u{1b}[31m";
        let mut status = status();
        status.version = evil.into();
        status.problems = vec![evil.into()];
        status.configs[0].name = evil.into();
        status.configs[0].object = evil.into();
        status.configs[0].problems = vec![evil.into()];
        status.configs[0].verdicts = vec![ProgramRow { reason: evil.into(), ..row(evil, true) }];
        let html = page(&status);
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains('\u{0}') && !html.contains('\u{1b}'), "{html}");
        assert_eq!(html.matches("&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}[31m").count(), 7, "{html}");
    }

    #[test]
    fn links_stay_links_to_this_host() {
        let link = |path: &str| Href(path).to_string();
        assert_eq!(link("/metrics"), "/metrics");
        assert_eq!(link("/a b\"><x>?é"), "/a%20b%22%3E%3Cx%3E%3F%C3%A9");
        assert_eq!(link("//evil.example/x"), "/.//evil.example/x");
    }
}
