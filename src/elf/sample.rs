//! Objects written by hand, for what no compiler writes.

use super::ObjectInfo;
use crate::btf::sample::Sample;

/// `SHT_PROGBITS`, `SHT_SYMTAB`, `SHT_STRTAB`, `SHT_NOBITS`
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;

/// Sections and symbols of an object for this machine.
#[derive(Default)]
pub(crate) struct SampleObject {
    sections: Vec<Section>,
    symbols: Vec<u8>,
    names: Vec<u8>,
}

struct Section {
    name: String,
    kind: u32,
    executable: bool,
    data: Vec<u8>,
    size: u64,
}

impl SampleObject {
    pub(crate) fn new() -> Self {
        Self { sections: Vec::new(), symbols: vec![0; 24], names: vec![0] }
    }

    /// A section with bytes; gives its index.
    pub(crate) fn section(&mut self, name: &str, executable: bool, data: Vec<u8>) -> u16 {
        let size = data.len() as u64;
        self.add(Section { name: name.to_owned(), kind: PROGBITS, executable, data, size })
    }

    /// A section of zeros that take no room.
    pub(crate) fn zeros(&mut self, name: &str, size: u64) -> u16 {
        self.add(Section { name: name.to_owned(), kind: NOBITS, executable: false, data: Vec::new(), size })
    }

    /// A global function.
    pub(crate) fn function(&mut self, name: &str, section: u16, value: u64, size: u64) {
        let offset = self.names.len() as u32;
        self.names.extend(name.bytes().chain([0]));
        self.symbols.extend(offset.to_ne_bytes());
        // STB_GLOBAL and STT_FUNC
        self.symbols.extend([1 << 4 | 2, 0]);
        self.symbols.extend(section.to_ne_bytes());
        self.symbols.extend(value.to_ne_bytes());
        self.symbols.extend(size.to_ne_bytes());
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let (symbols, names) = (std::mem::take(&mut self.symbols), std::mem::take(&mut self.names));
        let table = |name: &str, kind, data: Vec<u8>| {
            let size = data.len() as u64;
            Section { name: name.to_owned(), kind, executable: false, data, size }
        };
        self.add(table(".symtab", SYMTAB, symbols));
        let strings = self.add(table(".strtab", STRTAB, names));
        let mut headings = vec![0];
        let starts: Vec<u32> = self
            .sections
            .iter()
            .map(|section| {
                let start = headings.len() as u32;
                headings.extend(section.name.bytes().chain([0]));
                start
            })
            .collect();
        let headings_start = headings.len() as u32;
        headings.extend(b".shstrtab\0");
        let last = self.add(table(".shstrtab", STRTAB, headings));
        let mut bytes = header(last);
        let mut headers = vec![0; 64];
        for (section, start) in self.sections.iter().zip(starts.into_iter().chain([headings_start])) {
            let link = if section.kind == SYMTAB { u32::from(strings) } else { 0 };
            headers.extend(section.header(start, bytes.len() as u64, link));
            bytes.extend(&section.data);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let place = (bytes.len() as u64).to_ne_bytes();
        bytes[40..48].copy_from_slice(&place);
        bytes.extend(headers);
        bytes
    }

    fn add(&mut self, section: Section) -> u16 {
        self.sections.push(section);
        self.sections.len() as u16
    }
}

impl Section {
    fn header(&self, name: u32, offset: u64, link: u32) -> Vec<u8> {
        let flags: u64 = if self.executable { 4 } else { 0 };
        let entry: u64 = if self.kind == SYMTAB { 24 } else { 0 };
        let mut header: Vec<u8> = [name, self.kind].iter().flat_map(|word| word.to_ne_bytes()).collect();
        header.extend([flags, 0, offset, self.size].iter().flat_map(|word| word.to_ne_bytes()));
        header.extend([link, 0].iter().flat_map(|word| word.to_ne_bytes()));
        header.extend([8, entry].iter().flat_map(|word: &u64| word.to_ne_bytes()));
        header
    }
}

/// An object of many maps that share a value with so many numbers, and of many variables of zeros.
pub(crate) fn shared(maps: u32, numbers: u32, variables: u32, size: u32) -> ObjectInfo {
    let mut types = Sample::new(cfg!(target_endian = "big"));
    // 1 int, 2 int[1], 3 int *, 4 the pointer to the array, 5 the value, 6 the pointer to it,
    // 7 the definition, 8 the bytes of a variable.
    types.integer("int", 4, 1).record("", 3, 0, 0, &[1, 1, 1]).record("", 2, 0, 1, &[]).record(
        "",
        2,
        0,
        2,
        &[],
    );
    let fields: Vec<u32> =
        (0..numbers).flat_map(|index| [types.name(&format!("number_{index}")), 1, 32 * index]).collect();
    types.record("value", 4, numbers, 4 * numbers, &fields).record("", 2, 0, 5, &[]);
    let (kind, entries, key, value) =
        (types.name("type"), types.name("max_entries"), types.name("key"), types.name("value"));
    types.record("", 4, 4, 32, &[kind, 4, 0, entries, 4, 64, key, 3, 128, value, 6, 192]);
    types.record("", 3, 0, 0, &[1, 1, size / 4]);
    for index in 0..maps {
        types.record(&format!("map_{index}"), 14, 0, 7, &[1]);
    }
    for index in 0..variables {
        types.record(&format!("zeros_{index}"), 14, 0, 8, &[1]);
    }
    let entries = |count: u32, first: u32, size: u32| -> Vec<u32> {
        (0..count).flat_map(|index| [first + index, size * index, size]).collect()
    };
    types.record(".maps", 15, maps, 32 * maps, &entries(maps, 9, 32));
    types.record(".bss", 15, variables, size * variables, &entries(variables, 9 + maps, size));
    let mut object = SampleObject::new();
    object.zeros(".maps", (32 * maps).into());
    object.zeros(".bss", (size * variables).into());
    object.section(".BTF", false, types.bytes());
    ObjectInfo::parse(&object.bytes()).unwrap()
}

/// Of 64 bits, relocatable, for BPF.
fn header(names: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02".to_vec();
    bytes.extend([if cfg!(target_endian = "big") { 2 } else { 1 }, 1]);
    bytes.resize(16, 0);
    bytes.extend([1_u16, 247].iter().flat_map(|pair| pair.to_ne_bytes()));
    bytes.extend(1_u32.to_ne_bytes());
    bytes.resize(48, 0);
    bytes.resize(52, 0);
    bytes.extend([64_u16, 0, 0, 64, names + 1, names].iter().flat_map(|pair| pair.to_ne_bytes()));
    bytes
}
