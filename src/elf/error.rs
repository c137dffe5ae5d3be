//! Why a file is not an object that can be used, and what to do about it.

use std::fmt::{Display, Formatter, Result};

use crate::btf::BtfError;
use crate::problem::{Place, Problem};

/// Why a file is not an object that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The file does not start with ELF's magic.
    NotElf {
        /// Its first bytes, at most 8.
        beginning: Vec<u8>,
        /// What it seems to be instead.
        guess: Guess,
    },
    /// The file ends before what its headers announce.
    Truncated {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// Compiled for another machine than BPF.
    NotBpf {
        /// That machine.
        machine: String,
    },
    /// An ELF file of 32 bits.
    Not64Bit,
    /// Compiled for hosts of the other byte order.
    WrongEndian {
        /// Whether the object is big-endian; this machine is the opposite.
        big: bool,
    },
    /// An executable, a library or a core dump instead of an object.
    NotRelocatable {
        /// ELF's `e_type`.
        kind: u16,
    },
    /// ELF's structures contradict each other.
    Malformed(String),
    /// The symbol table was stripped.
    Stripped,
    /// Without `.BTF`.
    NoBtf,
    /// The `.BTF` section cannot be read.
    BadBtf(#[source] BtfError),
    /// Maps declared by `struct bpf_map_def` in a section `maps`.
    LegacyMaps,
    /// A definition of a map that libbpf refuses.
    Map {
        /// The map.
        map: String,
        /// What is wrong with its definition.
        reason: String,
    },
    /// A program that libbpf refuses before the kernel sees it.
    Program {
        /// The program.
        program: String,
        /// Its section.
        section: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A function or variable that is declared, but neither defined nor marked as the kernel's.
    Undefined(String),
    /// Neither programs nor maps.
    Empty,
}

/// What a file without ELF's magic seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Guess {
    Empty,
    Bitcode,
    LlvmText,
    CSource,
    Yaml,
    Json,
    Html,
    Text,
    GitLfsPointer,
    Compressed(&'static str),
    Archive,
    RawBtf,
    Zeros,
    Unknown,
}

impl ElfError {
    /// A short stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotElf { .. } => "object-not-elf",
            Self::Truncated { .. } => "object-truncated",
            Self::NotBpf { .. } | Self::Not64Bit | Self::NotRelocatable { .. } => "object-not-bpf",
            Self::WrongEndian { .. } => "object-endianness",
            Self::Malformed(_) | Self::Stripped => "object-malformed",
            Self::NoBtf => "object-without-btf",
            Self::BadBtf(_) => "object-bad-btf",
            Self::LegacyMaps => "object-legacy-maps",
            Self::Map { .. } => "object-bad-map",
            Self::Program { .. } => "object-bad-program",
            Self::Undefined(_) => "object-undefined-symbol",
            Self::Empty => "object-empty",
        }
    }

    /// What is wrong, without what to do.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::NotElf { beginning, guess } => not_elf(beginning, *guess),
            Self::Truncated { expected, found } => {
                format!("the object is truncated: its headers announce {expected} bytes, the file has {found}")
            }
            Self::NotBpf { machine } => format!("not an eBPF object: it is compiled for {machine}"),
            Self::Not64Bit => "not an eBPF object: an ELF file of 32 bits, where eBPF has 64".into(),
            Self::WrongEndian { big } => {
                let (object, host) = if *big { ("big", "little") } else { ("little", "big") };
                format!("the object is {object}-endian, this machine is {host}-endian")
            }
            Self::NotRelocatable { kind } => format!(
                "not an object file: {} instead of the output of `clang -c`",
                match kind {
                    2 => "an executable".to_owned(),
                    3 => "a shared library".to_owned(),
                    4 => "a core dump".to_owned(),
                    other => format!("an ELF file of type {other}"),
                }
            ),
            Self::Malformed(reason) => format!("not a sound ELF object: {reason}"),
            Self::Stripped => "the object has no symbol table, so its programs and maps have no names".into(),
            Self::NoBtf => "the object has no BTF (no section `.BTF`), which describes its maps".into(),
            Self::BadBtf(error) => format!("the object's section `.BTF` cannot be read: {error}"),
            Self::LegacyMaps => {
                "the object declares maps by `struct bpf_map_def` in a section `maps`, which libbpf 1.0 gave up"
                    .into()
            }
            Self::Map { map, reason } => format!("the definition of map `{map}` is refused: {reason}"),
            Self::Program { program, section, reason } => {
                format!("program `{program}` in section `{section}` is refused: {reason}")
            }
            Self::Undefined(symbol) => format!(
                "the object uses `{symbol}`, which it does not define and does not declare as the kernel's"
            ),
            Self::Empty => "the object holds neither programs nor maps".into(),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotElf { guess, .. } => guess.help(),
            Self::Truncated { .. } => "copy or compile it again, and replace it by renaming a whole file",
            Self::NotBpf { .. } | Self::Not64Bit => "compile it with `clang -target bpf -g -O2 -c`",
            Self::WrongEndian { big: true } => "compile it with `clang -target bpf` (or bpfel)",
            Self::WrongEndian { big: false } => {
                "compile it with `clang -target bpf` on this machine (or bpfeb)"
            }
            Self::NotRelocatable { .. } => {
                "give the object itself (`.bpf.o`), not a program that was built from it"
            }
            Self::Malformed(_) | Self::BadBtf(_) => "compile it again with clang",
            Self::Stripped => "strip with `llvm-strip -g`, which keeps symbols and BTF",
            Self::NoBtf => {
                "compile it with `clang -g`; when it was stripped, use `llvm-strip -g`, which keeps BTF"
            }
            Self::LegacyMaps => {
                "declare them as `struct { __uint(type, …); __type(key, …); … } name SEC(\".maps\");`"
            }
            Self::Empty => "declare programs by SEC(\"…\") and maps by SEC(\".maps\")",
            Self::Undefined(_) => {
                "define it, declare it `__ksym` or `__kconfig`, or link its object in by `bpftool gen object`"
            }
            Self::Map { .. } | Self::Program { .. } => return None,
        })
    }

    /// The error as a problem at a place.
    #[must_use]
    pub fn problem(&self, mut place: Place) -> Problem {
        match self {
            Self::Map { map, .. } => place.map = Some(map.clone()),
            Self::Program { program, .. } => place.program = Some(program.clone()),
            _ => {}
        }
        let problem = Problem::error(self.code(), place, self.what());
        match self.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// A file without ELF's magic.
    pub(super) fn not_elf(bytes: &[u8]) -> Self {
        let beginning = bytes.get(..8).unwrap_or(bytes).to_vec();
        Self::NotElf { beginning, guess: Guess::of(bytes) }
    }
}

impl Display for ElfError {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        out.write_str(&self.what())?;
        match self.help() {
            Some(help) => write!(out, "; {help}"),
            None => Ok(()),
        }
    }
}

fn not_elf(beginning: &[u8], guess: Guess) -> String {
    if beginning.is_empty() {
        return "not an ELF file: it is empty".to_owned();
    }
    let hex: Vec<String> = beginning.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut message = format!("not an ELF file: it begins with {}", hex.join(" "));
    if beginning.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        message += &format!(" (\"{}\")", String::from_utf8_lossy(beginning).escape_debug());
    }
    match guess.name() {
        Some(name) => format!("{message}, which looks like {name}"),
        None => message,
    }
}

/// The bytes as text, when that is what they are; the last letter may be cut off.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    (!text.contains(control)).then_some(text)
}

impl Guess {
    fn of(bytes: &[u8]) -> Self {
        const MAGICS: [(&[u8], Guess); 13] = [
            (b"BC\xc0\xde", Guess::Bitcode),
            (b"\xde\xc0\x17\x0b", Guess::Bitcode),
            (b"\x1f\x8b", Guess::Compressed("gzip")),
            (b"\x28\xb5\x2f\xfd", Guess::Compressed("zstd")),
            (b"\xfd7zXZ\0", Guess::Compressed("xz")),
            (b"BZh", Guess::Compressed("bzip2")),
            (b"PK\x03\x04", Guess::Compressed("zip")),
            (b"!<arch>\n", Guess::Archive),
            (b"\x9f\xeb", Guess::RawBtf),
            (b"\xeb\x9f", Guess::RawBtf),
            (b"version https://git-lfs", Guess::GitLfsPointer),
            (b"; ModuleID", Guess::LlvmText),
            (b"<", Guess::Html),
        ];
        if bytes.is_empty() {
            return Self::Empty;
        }
        if let Some((_, guess)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return *guess;
        }
        let head = bytes.get(..4096).unwrap_or(bytes);
        if head.iter().all(|byte| *byte == 0) {
            return Self::Zeros;
        }
        match readable(head) {
            Some(text) => Self::of_text(text),
            None => Self::Unknown,
        }
    }

    fn of_text(text: &str) -> Self {
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines().any(|line| line.starts_with("#include") || line.starts_with("SEC(")) {
            return Self::CSource;
        }
        match lines().find(|line| !line.starts_with('#')) {
            Some(first) if first.starts_with('{') => Self::Json,
            Some(first) if first == "---" || first.ends_with(':') || first.contains(": ") => Self::Yaml,
            _ => Self::Text,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Bitcode => "LLVM bitcode",
            Self::LlvmText => "LLVM's text",
            Self::CSource => "C source",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Html => "a web page",
            Self::Text => "text",
            Self::GitLfsPointer => "a pointer of Git LFS instead of the file",
            Self::Compressed(by) => by,
            Self::Archive => "a static library",
            Self::RawBtf => "BTF without its object",
            Self::Zeros => "zeros: the file's content was lost",
            Self::Empty | Self::Unknown => return None,
        })
    }

    fn help(self) -> &'static str {
        match self {
            Self::Bitcode | Self::LlvmText => "compile it without -emit-llvm and -flto",
            Self::CSource => "compile it with `clang -target bpf -g -O2 -c`, and name the object",
            Self::Yaml | Self::Json => "name the compiled object (`.bpf.o`) here, not a configuration",
            Self::GitLfsPointer => "fetch the file itself with `git lfs pull`",
            Self::Compressed(_) => "decompress it first",
            Self::Archive => "name one object of it",
            Self::Empty | Self::Zeros => "compile or copy it again, and replace it by renaming a whole file",
            Self::Html | Self::Text | Self::RawBtf | Self::Unknown => {
                "an object is the output of `clang -target bpf -g -O2 -c`"
            }
        }
    }
}
