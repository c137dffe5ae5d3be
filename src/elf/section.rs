//! The types inside any ELF file: a kernel's `vmlinux` has them as objects do.

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};

/// The section `.BTF` of an ELF file of 64 bits for whatever machine; none when there is none to read.
#[must_use]
pub fn btf_section(bytes: &[u8]) -> Option<&[u8]> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let table = header.sections(endian, bytes).ok()?;
    let (_, section) = table.section_by_name(endian, b".BTF")?;
    section.data(endian, bytes).ok().filter(|data| !data.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_has_no_types() {
        for bytes in [&b""[..], b"\x7fELF", b"not an ELF file", &[0x7f; 4096]] {
            assert_eq!(btf_section(bytes), None);
        }
    }
}
