//! Programs and libraries of user space: what probes can be attached to in them.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use object::{Architecture, Object, ObjectSection, ObjectSymbol, ReadCache, SymbolKind};

/// The architecture of this machine, as `object` calls it.
const OURS: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 };

/// The sort of probes that are there, and the section that describes them.
const OWNER: &[u8] = b"stapsdt\0";
const NOTES: &str = ".note.stapsdt";

/// The most names of functions that are kept: large programs have millions.
const MOST_NAMES: usize = 200_000;

/// What an ELF file of user space has.
#[derive(Debug)]
pub struct Executable {
    /// The architecture that it is for, when that is not this machine's.
    pub foreign: Option<String>,
    /// The functions that it defines, by the linker's names.
    pub symbols: BTreeSet<String>,
    /// Whether those are all that it defines, and not what it exports alone.
    pub is_whole: bool,
    /// Whether it has more of them than are kept.
    pub has_more: bool,
    /// Functions of which the program's start takes one of several, none of them by this name: `memcpy`, `strlen`.
    pub indirect: BTreeSet<String>,
    /// Its USDT probes, as provider and name: `libc:setjmp`.
    pub probes: BTreeSet<String>,
}

impl Executable {
    /// Reads of a file what is needed, however large it is; none when it is no ELF file.
    pub fn parse(file: impl Read + Seek) -> Option<Self> {
        Self::with_most(file, MOST_NAMES)
    }

    fn with_most(file: impl Read + Seek, most: usize) -> Option<Self> {
        let bytes = ReadCache::new(file);
        let file = object::File::parse(&bytes).ok()?;
        let architecture = file.architecture();
        // Variables have the same sort of names, and no probe finds them.
        let functions = file.symbols().chain(file.dynamic_symbols()).filter(|symbol| {
            symbol.kind() == SymbolKind::Text && !symbol.is_undefined() && symbol.address() != 0
        });
        let (mut symbols, mut indirect, mut has_more) = (BTreeSet::new(), BTreeSet::new(), false);
        for (count, symbol) in functions.enumerate() {
            has_more = count >= most;
            if has_more {
                break;
            }
            let Ok(name) = symbol.name() else { continue };
            // The library says of those that are indirect that they define nothing.
            let names = if symbol.is_definition() { &mut symbols } else { &mut indirect };
            names.insert(name.to_owned());
        }
        let notes = file.section_by_name(NOTES).and_then(|section| section.data().ok());
        Some(Self {
            foreign: (architecture != OURS).then(|| format!("{architecture:?}")),
            symbols,
            is_whole: file.symbols().next().is_some(),
            has_more,
            indirect,
            probes: probes(notes.unwrap_or_default(), if file.is_64() { 8 } else { 4 }),
        })
    }
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
    use std::io::Cursor;

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
    fn an_executable_has_symbols() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let few = Executable::with_most(Cursor::new(&bytes), 10).unwrap();
        assert!(few.symbols.len() <= 10 && few.has_more);
        let own = Executable::parse(Cursor::new(bytes)).unwrap();
        assert!(own.is_whole && own.foreign.is_none() && own.symbols.contains("main"));
        // It is a variable.
        assert!(!own.symbols.contains("_IO_stdin_used") && !own.has_more);
        assert!(Executable::parse(Cursor::new(b"#!/bin/sh\n")).is_none());
    }
}
