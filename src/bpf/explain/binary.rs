//! Why there is no place in a file of machine code: what libbpf and the kernel say of it is seldom the reason.

use std::fs::File;
use std::path::Path;

use crate::elf::Executable;
use crate::host::Pattern;

use super::attachment::suggest;

/// What is looked for in a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// A function, or with `*` and `?` any that matches; an empty name is none.
    Function(&'a str),
    /// A probe: its provider, and its name.
    Probe(&'a str, &'a str),
}

/// What is wrong, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) message: String,
    pub(super) help: String,
}

/// What is wrong with a file, or with what is looked for in it; none where all seems right.
pub(super) fn look(path: &Path, wanted: Wanted<'_>) -> Option<Reason> {
    let reason = |message: String, help: &str| Some(Reason { message, help: help.to_owned() });
    let Some(file) = Executable::parse(File::open(path).ok()?) else {
        return reason(
            "it is no ELF file".to_owned(),
            "a script runs in its interpreter, whose file has to be named (`file -L` shows what a file is)",
        );
    };
    if let Some(other) = &file.foreign {
        return reason(
            format!("it is an ELF file for {other}, and this machine is {}", std::env::consts::ARCH),
            "such a file runs here by an emulator alone, where probes do not reach it",
        );
    }
    match wanted {
        Wanted::Function("") => None,
        Wanted::Function(name) => no_function(&file, name),
        Wanted::Probe(provider, name) => no_probe(&file, provider, name),
    }
}

fn no_function(file: &Executable, name: &str) -> Option<Reason> {
    // A version may stand behind it.
    let plain = name.split('@').next().unwrap_or(name);
    let pattern = Pattern::new(plain);
    // It may be one of those that were not kept.
    if file.has_more || file.symbols.iter().any(|name| pattern.matches(name)) {
        return None;
    }
    if file.indirect.contains(plain) {
        return Some(Reason {
            message: format!(
                "`{plain}` has no code of its own: the start of a program takes one of several functions"
            ),
            help: "name the one that this machine takes, if it has a symbol (`nm`), or its place by `offset`"
                .to_owned(),
        });
    }
    let message = match pattern.is_exact() {
        true => format!("it has no function `{plain}`"),
        false => format!("none of its functions matches `{plain}`"),
    };
    let names = file.symbols.iter().map(String::as_str);
    let help = if file.symbols.is_empty() {
        "it has no symbols at all (stripped): `offset` names a place by its bytes from the file's beginning on"
            .to_owned()
    } else if let Some(name) = suggest(&plain.replace(['*', '?'], ""), names) {
        format!("did you mean `{name}`?")
    } else if plain.contains("::") || plain.contains('(') {
        "names are those of the linker, as `nm` shows them without `-C`: C++ and Rust have longer ones there"
            .to_owned()
    } else if file.is_whole {
        "`nm` and `nm -D` show its functions: this one may be inlined, or another file's".to_owned()
    } else {
        "it is stripped, so that it has the names of what it exports alone: `nm -D` shows them; `offset` names a place by its \
         bytes from the file's beginning on"
            .to_owned()
    };
    Some(Reason { message, help })
}

fn no_probe(file: &Executable, provider: &str, name: &str) -> Option<Reason> {
    let wanted = format!("{provider}:{name}");
    if file.probes.contains(&wanted) {
        return None;
    }
    let help = if file.probes.is_empty() {
        "it has no probes at all: it was built without them".to_owned()
    } else if let Some(closest) = suggest(&wanted, file.probes.iter().map(String::as_str)) {
        format!("did you mean `{closest}`?")
    } else {
        "`readelf -n` shows its probes".to_owned()
    };
    Some(Reason { message: format!("it has no probe `{wanted}`"), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a program with very many functions not all are known.
    #[test]
    fn what_was_not_looked_for_is_not_said_to_be_missing() {
        let mut file = Executable::parse(File::open(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(no_function(&file, "mian").is_some());
        file.indirect.insert("mian".to_owned());
        assert!(no_function(&file, "mian").unwrap().message.contains("one of several"));
        file.has_more = true;
        assert_eq!(no_function(&file, "mian"), None);
    }

    #[test]
    fn the_reason_is_found_in_the_file() {
        #[track_caller]
        fn check(path: &Path, wanted: Wanted<'_>, expected: Option<(&str, &str)>) {
            let found = look(path, wanted);
            assert_eq!(found.is_some(), expected.is_some(), "{wanted:?}: {found:?}");
            if let (Some(found), Some((message, help))) = (found, expected) {
                assert!(
                    found.message.contains(message) && found.help.contains(help),
                    "{wanted:?}: {found:?}"
                );
            }
        }
        let own = std::env::current_exe().unwrap();
        check(&own, Wanted::Function("main"), None);
        check(&own, Wanted::Function("main@@VERSION_1"), None);
        check(&own, Wanted::Function("mai*"), None);
        check(&own, Wanted::Function(""), None);
        check(&own, Wanted::Function("mian"), Some(("it has no function `mian`", "did you mean `main`?")));
        check(&own, Wanted::Function("zz::q(int)"), Some(("`zz::q(int)`", "without `-C`")));
        check(&own, Wanted::Probe("none", "of_them"), Some(("it has no probe `none:of_them`", "")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        check(&path, Wanted::Function("main"), Some(("it is no ELF file", "a script")));
        let mut bytes = std::fs::read(&own).unwrap();
        // The machine of an ELF file.
        bytes[18..20].copy_from_slice(&40_u16.to_ne_bytes());
        std::fs::write(&path, bytes).unwrap();
        check(&path, Wanted::Function("main"), Some(("an ELF file for Arm,", "emulator")));
        check(&folder.path().join("none"), Wanted::Function("main"), None);
    }
}
