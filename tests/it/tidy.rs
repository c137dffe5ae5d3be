//! The rules of the house, from `docs/architecture.md`, that a grep can hold.

use std::path::{Path, PathBuf};

/// The rooms in the order of `lib.rs`: a room uses only rooms above it.
const ROOMS: &[&str] = &[
    "problem", "btf", "elf", "host", "decode", "series", "snapshot", "spec", "config", "bpf", "events",
    "page", "spans", "scrape", "reload", "server", "cli", "app",
];

/// Who may name a crate; everybody else must not know it.
const CRATES: &[(&str, &[&str])] = &[
    ("libbpf_rs", &["src/bpf/"]),
    ("libbpf_sys", &["src/bpf/"]),
    ("libc::", &["src/bpf/"]),
    ("serde_yaml", &["src/config/yaml/"]),
    ("hyper", &["src/server/"]),
    ("tokio", &["src/server/"]),
    ("prometheus::", &["src/page/", "src/scrape/self_metrics"]),
    ("object::", &["src/elf/"]),
    ("anyhow", &["src/app/", "src/main.rs"]),
    ("clap", &["src/cli/"]),
    ("caps::", &["src/app/", "src/bpf/"]),
    // In `src/app/` this is the name of a module that speaks with systemd.
    ("notify", &["src/reload/watch/notifier.rs", "src/app/"]),
    ("sd_notify", &["src/app/"]),
    ("signal_hook", &["src/app/"]),
    ("flate2", &["src/page/", "src/host/"]),
    ("zstd::stream", &["src/page/"]),
    ("httparse", &["src/spans/http.rs"]),
    ("httpdate", &["src/spans/retry.rs"]),
];

/// Rooms that are given everything: no files, sockets, environment or clock of their own.
const PURE: &[&str] = &["problem", "btf", "elf", "decode", "series", "spec", "events", "page"];

/// Files over 500 lines without their tests, and why that is right.
const LONG: &[(&str, &str)] =
    &[("src/decode/tables/syscalls.rs", "a generated table of two machines' system calls")];

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs"
            || self.path.contains("/tests/")
            || self.text.starts_with("#![cfg(test)]")
            || name.ends_with("_vectors.rs")
    }

    /// The lines that ship: without comments and without the test module at the end.
    fn code(&self) -> Vec<(usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let mut code: Vec<_> = Vec::new();
        let mut tests_begin = false;
        for (number, line) in lines {
            tests_begin |= line.starts_with("#[cfg(test)]");
            if tests_begin && line.trim_start().starts_with("mod ") {
                if line.trim_end().ends_with('{') {
                    break;
                }
                tests_begin = false;
                continue;
            }
            if !line.trim_start().starts_with("//") {
                code.push((number, line));
            }
        }
        code
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

#[track_caller]
fn check(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

/// Every shipped line for which `is_breach` says so.
fn breaches(is_breach: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (number, line) in source.code() {
            if is_breach(source, line) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn lib_lists_the_rooms_in_order() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let listed: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, ROOMS);
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    let found = breaches(|source, line| {
        let Some(own) = ROOMS.iter().position(|room| *room == source.room()) else { return false };
        line.match_indices("crate::").any(|(at, _)| {
            let used: String =
                line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            ROOMS.iter().position(|room| *room == used).is_some_and(|used| used > own)
        })
    });
    check("a room uses only rooms above it", found);
}

#[test]
fn a_crate_is_named_only_where_it_is_confined() {
    for (name, homes) in CRATES {
        let found = breaches(|source, line| {
            let is_named = line.match_indices(name).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + name.len()..].chars().next();
                !before.is_some_and(|c| c.is_alphanumeric() || "_:\"`-".contains(c))
                    && !after.is_some_and(|c| c.is_alphanumeric() || "_\"`-".contains(c))
            });
            is_named && !homes.iter().any(|home| source.path.starts_with(home))
        });
        check(&format!("{name} is named only in {homes:?}"), found);
    }
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let effects = [
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "std::env",
        "Instant::now",
        "SystemTime::now",
        "File::open",
    ];
    let found = breaches(|source, line| {
        PURE.contains(&source.room()) && effects.iter().any(|effect| line.contains(effect))
    });
    check("pure rooms do no input or output and have no clock", found);
}

#[test]
fn unsafe_lives_in_the_bpf_room() {
    let found = breaches(|source, line| {
        (line.contains("unsafe ")
            || line.contains("allow(unsafe_code")
            || line.contains("expect(unsafe_code"))
            && source.room() != "bpf"
    });
    check("unsafe code lives in src/bpf alone", found);
}

#[test]
fn nothing_ends_the_process_or_is_left_unfinished() {
    let words = ["process::exit", "todo!(", "unimplemented!(", "TODO", "FIXME", "XXX", "static mut "];
    let found = breaches(|_, line| words.iter().any(|word| line.contains(word)));
    check("no exit below main, nothing unfinished, no mutable statics", found);
    let marks = sources()
        .iter()
        .flat_map(|source| {
            let marked = source
                .text
                .lines()
                .filter(|line| ["TODO", "FIXME", "XXX"].iter().any(|mark| line.contains(mark)));
            marked.map(|line| format!("{}: {}", source.path, line.trim())).collect::<Vec<_>>()
        })
        .collect();
    check("no unfinished marks in comments", marks);
}

#[test]
fn files_fit_their_one_purpose() {
    let found = sources()
        .iter()
        .filter(|source| !source.is_test() && !LONG.iter().any(|(path, _)| source.path == *path))
        .filter_map(|source| {
            let lines = source.code().len();
            (lines > 500).then(|| format!("{}: {lines} lines", source.path))
        })
        .collect();
    check("a file over 500 lines needs a reason in LONG", found);
}

#[test]
fn every_file_opens_with_its_purpose() {
    let found = sources()
        .iter()
        .filter(|source| !source.is_test() && !source.text.trim_start().starts_with("//!"))
        .map(|source| source.path.clone())
        .collect();
    check("a file opens with a sentence of purpose (//!)", found);
}
