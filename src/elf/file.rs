//! The ELF file around an object: headers, sections, symbols, relocations.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym};

use super::ElfError;

const HEADER_LENGTH: u64 = 64;
const EM_BPF: u16 = 247;

/// How often each byte of the file may be part of a section: compilers make it so once.
const MAX_OVERLAP: u64 = 4;

/// Bytes of a symbol's name: the kernel's limit for names, as symbols can share a name of megabytes.
const MAX_NAME: usize = 512;

/// The sections and symbols of a whole object.
pub(super) struct File<'a> {
    pub(super) sections: Vec<Section<'a>>,
    pub(super) symbols: Vec<Symbol<'a>>,
}

/// A section; of `.bss` there are no bytes.
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    pub(super) data: &'a [u8],
    pub(super) size: u64,
    pub(super) executable: bool,
    /// Of relocations, the section that they change.
    relocates: Option<usize>,
}

/// A symbol.
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    /// The index of its section; 0 when it lies in none.
    pub(super) section: usize,
    /// Whether another object or the kernel should define it.
    pub(super) is_wanted: bool,
    pub(super) is_function: bool,
    pub(super) is_variable: bool,
    pub(super) is_local: bool,
    pub(super) is_weak: bool,
    pub(super) value: u64,
    pub(super) size: u64,
}

/// A relocation.
pub(super) struct Relocation {
    /// The byte of the section that it changes.
    pub(super) offset: u64,
    /// The index of the symbol whose address it needs.
    pub(super) symbol: usize,
}

impl<'a> File<'a> {
    /// Reads the frame of an object, and makes sure that all of it is there.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let (header, endian) = check_header(bytes)?;
        check_whole(header, endian, bytes)?;
        let table = header.sections(endian, bytes).map_err(malformed)?;
        if table.is_empty() {
            return Err(ElfError::Malformed("it has no sections".to_owned()));
        }
        let sections = table.iter().map(|section| read_section(&table, section, endian, bytes));
        let sections = sections.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { sections, symbols: read_symbols(&table, endian, bytes)? })
    }

    /// The section with a name.
    pub(super) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Relocations of a section, by its index.
    pub(super) fn relocations(&self, index: usize) -> Vec<Relocation> {
        let tables = self.sections.iter().filter(|section| section.relocates == Some(index));
        tables.flat_map(|table| table.data.chunks_exact(16)).filter_map(read_relocation).collect()
    }
}

/// Everything that the header alone can tell.
fn check_header(bytes: &[u8]) -> Result<(&FileHeader64<Endianness>, Endianness), ElfError> {
    let found = bytes.len() as u64;
    let magic = bytes.get(..4).unwrap_or(bytes);
    if magic.is_empty() || !elf::ELFMAG.starts_with(magic) {
        return Err(ElfError::not_elf(bytes));
    }
    let (Some(class), Some(order), Some(kind), Some(machine)) =
        (bytes.get(4), bytes.get(5), bytes.get(16..18), bytes.get(18..20))
    else {
        return Err(ElfError::Truncated { expected: HEADER_LENGTH, found });
    };
    let big = match order {
        1 => false,
        2 => true,
        other => return Err(ElfError::Malformed(format!("byte order {other} is neither 1 nor 2"))),
    };
    let number = |pair: &[u8]| {
        let pair = <[u8; 2]>::try_from(pair).unwrap_or_default();
        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let (kind, machine) = (number(kind), number(machine));
    // Old LLVM wrote no machine at all, and libbpf takes that.
    if machine != EM_BPF && machine != 0 {
        return Err(ElfError::NotBpf { machine: machine_name(machine) });
    }
    if *class != 2 {
        return Err(ElfError::Not64Bit);
    }
    if big != cfg!(target_endian = "big") {
        return Err(ElfError::WrongEndian { big });
    }
    if kind != 1 {
        return Err(ElfError::NotRelocatable { kind });
    }
    if found < HEADER_LENGTH {
        return Err(ElfError::Truncated { expected: HEADER_LENGTH, found });
    }
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(malformed)?;
    Ok((header, header.endian().map_err(malformed)?))
}

/// Compares what the headers announce with what the file has.
fn check_whole(header: &FileHeader64<Endianness>, endian: Endianness, bytes: &[u8]) -> Result<(), ElfError> {
    let found = bytes.len() as u64;
    let whole = |expected: u64| {
        if expected > found { Err(ElfError::Truncated { expected, found }) } else { Ok(()) }
    };
    let start = header.e_shoff(endian);
    let entry = u64::from(header.e_shentsize(endian));
    whole(start.saturating_add(entry * u64::from(header.e_shnum(endian)).max(1)))?;
    let mut total = 0_u64;
    for section in header.section_headers(endian, bytes).map_err(malformed)? {
        let kind = section.sh_type(endian);
        if kind != elf::SHT_NOBITS && kind != elf::SHT_NULL {
            whole(section.sh_offset(endian).saturating_add(section.sh_size(endian)))?;
            total = total.saturating_add(section.sh_size(endian));
        }
    }
    // Sections may lie on top of each other, but reading all of them must not take many times the file.
    if total > found.saturating_mul(MAX_OVERLAP) {
        return Err(ElfError::Malformed("its sections overlap".to_owned()));
    }
    Ok(())
}

fn read_section<'a>(
    table: &SectionTable<'a, FileHeader64<Endianness>>,
    section: &elf::SectionHeader64<Endianness>,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<Section<'a>, ElfError> {
    let kind = section.sh_type(endian);
    let name =
        if kind == elf::SHT_NULL { &[] } else { table.section_name(endian, section).map_err(malformed)? };
    let data = if kind == elf::SHT_NULL { &[] } else { section.data(endian, bytes).map_err(malformed)? };
    Ok(Section {
        name: utf8(name),
        data,
        size: section.sh_size(endian),
        executable: kind == elf::SHT_PROGBITS && section.sh_flags(endian).contains(elf::SHF_EXECINSTR),
        relocates: (kind == elf::SHT_REL).then(|| section.sh_info(endian) as usize),
    })
}

fn read_symbols<'a>(
    table: &SectionTable<'a, FileHeader64<Endianness>>,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<Vec<Symbol<'a>>, ElfError> {
    let symbols = table.symbols(endian, bytes, elf::SHT_SYMTAB).map_err(malformed)?;
    if symbols.is_empty() {
        return Err(ElfError::Stripped);
    }
    let read = |(index, symbol): (object::SymbolIndex, &'a elf::Sym64<Endianness>)| {
        // The place of absolute and common symbols is no section.
        let section = symbols.symbol_section(endian, symbol, index).ok().flatten();
        let name = symbols.symbol_name(endian, symbol).map_err(malformed)?;
        Ok(Symbol {
            name: utf8(name),
            section: section.map_or(0, |section| section.0),
            is_wanted: symbol.is_undefined(endian)
                && !symbol.is_local()
                && symbol.st_type() == elf::STT_NOTYPE,
            is_function: symbol.st_type() == elf::STT_FUNC,
            is_variable: symbol.st_type() == elf::STT_OBJECT,
            is_local: symbol.st_bind() == elf::STB_LOCAL,
            is_weak: symbol.st_bind() == elf::STB_WEAK,
            value: symbol.st_value(endian),
            size: symbol.st_size(endian),
        })
    };
    symbols.enumerate().map(read).collect()
}

/// The byte order is this machine's: the header was checked.
fn read_relocation(bytes: &[u8]) -> Option<Relocation> {
    let (offset, info) = (bytes.first_chunk::<8>()?, bytes.last_chunk::<8>()?);
    let symbol = usize::try_from(u64::from_ne_bytes(*info) >> 32).ok()?;
    Some(Relocation { offset: u64::from_ne_bytes(*offset), symbol })
}

/// Names that count are identifiers; anything else keeps its readable beginning.
fn utf8(bytes: &[u8]) -> &str {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or(""),
    }
}

fn malformed(error: object::read::Error) -> ElfError {
    ElfError::Malformed(error.to_string())
}

fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        8 => "MIPS",
        20 => "PowerPC",
        21 => "PowerPC64",
        22 => "s390x",
        40 => "ARM",
        62 => "x86-64",
        183 => "aarch64",
        243 => "RISC-V",
        258 => "LoongArch",
        other => return format!("machine {other}"),
    };
    format!("{name}, a host's processor")
}
