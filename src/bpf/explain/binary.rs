//! Why there is no place in a file of machine code: what libbpf and the kernel say of it is seldom the reason.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use object::{Architecture, Object, ObjectSection, ObjectSymbol, ReadCache, ReadRef};

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

/// `EM_X86_64` or `EM_AARCH64`, as `object` calls them.
const OURS: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 };

/// The sort of probes that are there, and the section that describes them.
const OWNER: &[u8] = b"stapsdt\0";
const NOTES: &str = ".note.stapsdt";

/// The most names that are looked at for one that is alike.
const MOST_NAMES: usize = 200_000;

/// What is wrong with a file, or with what is looked for in it; none where all seems right.
pub(super) fn look(path: &Path, wanted: Wanted<'_>) -> Option<Reason> {
    let reason = |message: String, help: &str| Some(Reason { message, help: help.to_owned() });
    let file = File::open(path).ok()?;
    let bytes = ReadCache::new(file);
    let Ok(file) = object::File::parse(&bytes) else {
        return reason(
            "it is no ELF file".to_owned(),
            "a script runs in its interpreter, whose file has to be named (`file -L` shows what a file is)",
        );
    };
    if file.architecture() != OURS {
        return reason(
            format!("it is an ELF file for {:?}, and this machine is {OURS:?}", file.architecture()),
            "such a file runs here by an emulator alone, where probes do not reach it",
        );
    }
    match wanted {
        Wanted::Function("") => None,
        Wanted::Function(name) => no_function(&file, name),
        Wanted::Probe(provider, name) => no_probe(&file, provider, name),
    }
}

fn no_function<'d>(file: &object::File<'d, impl ReadRef<'d>>, name: &str) -> Option<Reason> {
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let defined = symbols.filter(|symbol| symbol.is_definition() && symbol.address() != 0);
    let names: BTreeSet<String> =
        defined.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).take(MOST_NAMES).collect();
    // A version may stand behind it.
    let plain = name.split('@').next().unwrap_or(name);
    let pattern = crate::host::Pattern::new(plain);
    if names.iter().any(|name| pattern.matches(name)) {
        return None;
    }
    let message = match pattern.is_exact() {
        true => format!("it has no function `{plain}`"),
        false => format!("none of its functions matches `{plain}`"),
    };
    let help = if names.is_empty() {
        "it has no symbols at all (stripped): `offset` names a place by its bytes from the file's beginning on"
            .to_owned()
    } else if let Some(name) = suggest(&plain.replace(['*', '?'], ""), names.iter().map(String::as_str)) {
        format!("did you mean `{name}`?")
    } else if plain.contains("::") || plain.contains('(') {
        "names are those of the linker, as `nm` shows them without `-C`: C++ and Rust have longer ones there"
            .to_owned()
    } else if file.symbols().next().is_none() {
        "it is stripped, so that it has the names of what it exports alone: `nm -D` shows them; `offset` names a place by its \
         bytes from the file's beginning on"
            .to_owned()
    } else {
        "`nm` and `nm -D` show its functions: this one may be inlined, or another file's".to_owned()
    };
    Some(Reason { message, help })
}

fn no_probe<'d>(file: &object::File<'d, impl ReadRef<'d>>, provider: &str, name: &str) -> Option<Reason> {
    let notes = file.section_by_name(NOTES).and_then(|section| section.data().ok()).unwrap_or_default();
    let probes = probes(notes, if file.is_64() { 8 } else { 4 });
    let wanted = format!("{provider}:{name}");
    if probes.contains(&wanted) {
        return None;
    }
    let help = if probes.is_empty() {
        "it has no probes at all: it was built without them".to_owned()
    } else if let Some(closest) = suggest(&wanted, probes.iter().map(String::as_str)) {
        format!("did you mean `{closest}`?")
    } else {
        "`readelf -n` shows its probes".to_owned()
    };
    Some(Reason { message: format!("it has no probe `{wanted}`"), help })
}

/// The probes that notes describe, as provider and name. Each note has the sizes of two parts, and a number; its
/// second part has three addresses, and three texts.
fn probes(mut notes: &[u8], address: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = || {
        let number = |at: usize| {
            let bytes = notes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(bytes) as usize)
        };
        let owner = 12..12_usize.checked_add(number(0)?)?;
        let start = owner.end.checked_next_multiple_of(4)?;
        let end = start.checked_add(number(4)?)?;
        let is_probe = notes.get(owner)? == OWNER;
        let texts = notes.get(start..end)?.get(3 * address..).unwrap_or_default();
        let mut texts = texts.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        if let (true, Some(provider), Some(name)) = (is_probe, texts.next(), texts.next()) {
            found.insert(format!("{provider}:{name}"));
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
        Some(())
    };
    while next().is_some() {}
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], texts: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [owner.len(), 24 + texts.len(), 3] {
            bytes.extend((number as u32).to_ne_bytes());
        }
        bytes.extend(owner);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend([7; 24]);
        bytes.extend(texts);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn probes_are_read_from_notes() {
        let notes = [
            note(OWNER, b"libc\0setjmp\08@%rdi\0"),
            note(b"GNU\0", b"a\0b\0c\0"),
            note(OWNER, b"python\0line\0\0"),
        ];
        let notes = notes.concat();
        assert_eq!(probes(&notes, 8).into_iter().collect::<Vec<_>>(), ["libc:setjmp", "python:line"]);
        for length in 0..notes.len() {
            let _ = probes(&notes[..length], 8);
        }
        assert!(probes(&[255; 64], 8).is_empty());
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
