//! The walk-through in examples/: its files and commands, one after another, in a fresh folder.
//!
//! A block of `c` or `yaml` with a file's name is that file. A block of `console` is commands behind `$ `, with what they
//! print below them: exactly that, and nothing where nothing is shown. `...` is any lines, at the end of a line
//! any text.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::exporter::binary;
use crate::common::folder::Folder;

/// What is asked again until it is as it will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest that one command may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(120);

/// Stands behind what a command printed.
const END: &str = "--- the end of a command ---";

enum Step {
    File { name: String, before: Option<String>, text: String },
    Command { line: usize, command: String, printed: Vec<String> },
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        match info.split_once(' ') {
            None if info == "console" => commands(number + 2, &block, &mut steps),
            Some(("c" | "yaml", file)) => {
                let (name, before) = match file.split_once(" before ") {
                    Some((name, before)) => (name, Some(before.to_owned())),
                    None => (file, None),
                };
                let text = block.join("\n") + "\n";
                steps.push(Step::File { name: name.to_owned(), before, text });
            }
            _ => panic!("line {}: a block that no test looks at: {info}", number + 1),
        }
    }
    steps
}

fn commands(first: usize, block: &[&str], steps: &mut Vec<Step>) {
    let mut continues = false;
    for (index, line) in block.iter().enumerate() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(Step::Command { command, .. })) if continues => {
                command.push('\n');
                command.push_str(line);
            }
            (Some(command), _) => {
                steps.push(Step::Command {
                    line: first + index,
                    command: command.to_owned(),
                    printed: Vec::new(),
                });
            }
            (None, Some(Step::Command { printed, .. })) => printed.push((*line).to_owned()),
            (None, _) => panic!("line {}: a command is expected", first + index),
        }
        continues = line.ends_with('\\');
    }
}

/// One shell for the whole page, which ends with all that it started.
struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn start(home: &Path, tools: &Path) -> Self {
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(root())
            .env("HOME", home)
            .env("PATH", path)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        });
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        Self { child, input, lines }
    }

    /// What a command prints.
    #[track_caller]
    fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.input, "{command}\necho; echo '{END}'").unwrap();
        let deadline = Instant::now() + LONGEST;
        let mut printed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no end: {command}\n{printed:#?}"));
            if line == END {
                // The empty line before the end is ours, and not even one where a last line has no end.
                printed.pop_if(|last: &mut String| last.is_empty());
                return printed;
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Whether these lines are those that are shown.
fn is_as_shown(found: &[String], shown: &[String]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=found.len()).any(|skipped| is_as_shown(&found[skipped..], rest))
        }
        Some((first, rest)) => found.split_first().is_some_and(|(line, lines)| {
            let is_same = match first.strip_suffix("...") {
                Some(start) => line.starts_with(start),
                None => line == first,
            };
            is_same && is_as_shown(lines, rest)
        }),
    }
}

/// Tools in place of those that a test cannot have: the exporter that was built with it, and sudo for root.
fn tools() -> Folder {
    let folder = Folder::new();
    symlink(binary(), folder.path().join("bpftally")).unwrap();
    let sudo = folder.file("sudo", "#!/bin/sh\n[ \"$1\" = -v ] || exec \"$@\"\n");
    std::fs::set_permissions(sudo, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A port that nobody listens on.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

fn write(path: &PathBuf, before: Option<&str>, text: &str) {
    let text = match before {
        None => text.to_owned(),
        Some(before) => {
            let old = std::fs::read_to_string(path).unwrap();
            assert_eq!(old.matches(before).count(), 1, "{before}: {old}");
            old.replace(before, &format!("{text}{before}"))
        }
    };
    // As an editor does.
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

#[test]
fn every_step_of_the_walk_through_does_what_it_says() {
    let page = std::fs::read_to_string(root().join("examples/README.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 30, "{} steps", steps.len());
    let (home, tools, port) = (Folder::new(), tools(), free_port());
    let mut shell = Shell::start(home.path(), tools.path());
    let place = |command: &str| {
        command
            .replace("$BPFTALLY/target/release", &tools.path().display().to_string())
            .replace("9435", &port)
    };
    for step in &steps {
        let (line, command, shown) = match step {
            Step::File { name, before, text } => {
                write(&home.path().join("programs").join(name), before.as_deref(), text);
                continue;
            }
            Step::Command { line, command, printed } => (line, place(command), printed),
        };
        let deadline = Instant::now() + PATIENCE;
        let mut found = shell.run(&command);
        // Numbers come when the exporter has read them.
        while command.starts_with("curl ") && !is_as_shown(&found, shown) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            found = shell.run(&command);
        }
        let log = std::fs::read_to_string(home.path().join("programs/log")).unwrap_or_default();
        assert!(
            is_as_shown(&found, shown),
            "examples/README.md:{line}: {command}\nprints\n{}\nand not\n{}\n{log}",
            found.join("\n"),
            shown.join("\n"),
        );
    }
}

/// The table of the shared headers names all of them, and nothing that they do not have.
#[test]
fn the_shared_headers_are_in_their_table() {
    let folder = root().join("bpf-objects/include");
    let table = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let rows: Vec<(&str, &str)> =
        table.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("`]")).collect();
    let mut headers: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".h"))
        .collect();
    headers.sort();
    let mut named: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    assert_eq!(named, headers);
    for (header, row) in rows {
        let text = std::fs::read_to_string(folder.join(header)).unwrap();
        let gives = row.split(" | ").nth(1).unwrap();
        let words = gives.split('`').skip(1).step_by(2).filter(|word| !word.contains(['.', ' ', ':']));
        let words: Vec<&str> = words.map(|word| word.split('(').next().unwrap()).collect();
        assert!(!words.is_empty(), "{header}: {row}");
        for word in words {
            assert!(text.contains(word), "{header} has no {word}");
        }
    }
}
