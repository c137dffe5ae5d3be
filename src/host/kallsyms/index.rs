//! The symbols of one reading, packed: 12 bytes a symbol and the names' text.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

/// No symbol's name comes near this; what is longer is no symbol.
const LONGEST_LINE: u64 = 4096;

/// Ten times the symbols of a large kernel with all its modules.
const MOST_SYMBOLS: usize = 4_000_000;

/// Symbols by address.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Ascending; aliases in the file's order.
    addresses: Vec<u64>,
    /// Where each symbol's name begins in `names`.
    offsets: Vec<u32>,
    /// The names in the file's order, a line feed before each and one after the last.
    names: Vec<u8>,
}

/// A symbol found at or before an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// Where it starts.
    pub(super) address: u64,
    /// Its name, with `\t[module]` where it has one.
    name: &'a [u8],
    /// Whether it can never change its meaning: it belongs to the kernel itself, and so does the one after it.
    pub(super) certain: bool,
}

impl Found<'_> {
    pub(super) fn text(&self) -> Arc<str> {
        String::from_utf8_lossy(self.name).into()
    }
}

impl Index {
    /// Reads a file in pieces: it is larger than what is kept of it.
    pub(super) fn read(file: impl Read) -> io::Result<Self> {
        Self::parse(&mut BufReader::with_capacity(64 << 10, file))
    }

    /// Reads lines of `address type name`, where the name may go on with `\t[module]`. Other lines are passed over.
    pub(super) fn parse(lines: &mut impl BufRead) -> io::Result<Self> {
        let mut symbols: Vec<(u64, u32)> = Vec::new();
        let mut names = vec![b'\n'];
        let mut line = Vec::new();
        while symbols.len() < MOST_SYMBOLS {
            line.clear();
            if lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let Some((address, name)) = parse_line(&line) else { continue };
            let Ok(offset) = u32::try_from(names.len()) else { break };
            symbols.push((address, offset));
            names.extend_from_slice(name);
            names.push(b'\n');
        }
        // The kernel's own symbols come sorted, which a stable sort notices; modules follow in any order.
        symbols.sort_by_key(|&(address, _)| address);
        names.shrink_to_fit();
        let (addresses, offsets) = symbols.into_iter().unzip();
        Ok(Self { addresses, offsets, names })
    }

    /// Whether all addresses are zero, which is how the kernel hides them, or there are none.
    pub(super) fn is_hidden(&self) -> bool {
        self.addresses.last().is_none_or(|&highest| highest == 0)
    }

    /// The symbol at or nearest before an address. Of several at one address it is
    /// the last of the file, as with the reference: series carry these names.
    pub(super) fn around(&self, address: u64) -> Option<Found<'_>> {
        let after = self.addresses.partition_point(|&other| other <= address);
        let at = after.checked_sub(1)?;
        let name = self.name(at)?;
        let certain = !is_of_module(name) && self.name(after).is_some_and(|next| !is_of_module(next));
        Some(Found { address: *self.addresses.get(at)?, name, certain })
    }

    /// The symbol that starts at an address.
    pub(super) fn at(&self, address: u64) -> Option<Found<'_>> {
        let found = self.around(address).filter(|found| found.address == address)?;
        Some(Found { certain: !is_of_module(found.name), ..found })
    }

    /// The address of the first symbol of this name in the file, in the kernel or in a module.
    pub(super) fn address(&self, name: &str) -> Option<u64> {
        if name.is_empty() || name.contains(['\n', '\t']) {
            return None;
        }
        let wanted = format!("\n{name}");
        let start = memchr::memmem::find_iter(&self.names, wanted.as_bytes())
            .find(|start| matches!(self.names.get(start + wanted.len()), Some(b'\n' | b'\t')))?;
        let offset = u32::try_from(start + 1).ok()?;
        let at = self.offsets.iter().position(|&other| other == offset)?;
        self.addresses.get(at).copied()
    }

    fn name(&self, at: usize) -> Option<&[u8]> {
        let rest = self.names.get(usize::try_from(*self.offsets.get(at)?).ok()?..)?;
        rest.get(..memchr::memchr(b'\n', rest)?)
    }
}

fn is_of_module(name: &[u8]) -> bool {
    name.last() == Some(&b']')
}

fn parse_line(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut fields = line.strip_suffix(b"\n").unwrap_or(line).split(|&byte| byte == b' ');
    let (address, _kind, name) = (fields.next()?, fields.next()?, fields.next()?);
    let address = u64::from_str_radix(std::str::from_utf8(address).ok()?, 16).ok()?;
    (!name.is_empty()).then_some((address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0000000000000004 T one\n0000000000000006 T two\naa D jiffies\n10 t aliased\n10 T alias\n\
                        ff t inside\t[mod]\nfa t other\t[mod]\n12 t one\nzz T bad\n13 T\n14\n\n15 T \n+16 t plus\n";

    fn index(text: &[u8]) -> Index {
        Index::parse(&mut &*text).unwrap()
    }

    #[track_caller]
    fn check(address: u64, at: Option<&str>, around: Option<(&str, bool)>) {
        let index = index(TEXT.as_bytes());
        assert_eq!(index.at(address).map(|found| found.text()).as_deref(), at, "at {address:#x}");
        let found = index.around(address).map(|found| (found.text(), found.certain));
        assert_eq!(found.as_ref().map(|(name, certain)| (&**name, *certain)), around, "around {address:#x}");
    }

    #[test]
    fn symbols_by_address() {
        check(0, None, None);
        check(3, None, None);
        check(4, Some("one"), Some(("one", true)));
        check(5, None, Some(("one", true)));
        check(6, Some("two"), Some(("two", true)));
        check(0x10, Some("alias"), Some(("alias", true)));
        check(0xaa, Some("jiffies"), Some(("jiffies", false)));
        check(0xab, None, Some(("jiffies", false)));
        check(0xfa, Some("other\t[mod]"), Some(("other\t[mod]", false)));
        check(0xff, Some("inside\t[mod]"), Some(("inside\t[mod]", false)));
        check(u64::MAX, None, Some(("inside\t[mod]", false)));
    }

    #[track_caller]
    fn check_address(name: &str, expected: Option<u64>) {
        assert_eq!(index(TEXT.as_bytes()).address(name), expected, "{name:?}");
    }

    #[test]
    fn addresses_by_name() {
        check_address("one", Some(4));
        check_address("jiffies", Some(0xaa));
        check_address("aliased", Some(0x10));
        check_address("alias", Some(0x10));
        check_address("inside", Some(0xff));
        check_address("nside", None);
        check_address("insid", None);
        check_address("", None);
        check_address("[mod]", None);
        check_address("one\ntwo", None);
    }

    #[test]
    fn hidden_addresses() {
        assert!(index(b"").is_hidden());
        assert!(index(b"garbage\n").is_hidden());
        assert!(index(b"0 T one\n0 T two\n").is_hidden());
        assert!(!index(b"0 A percpu\n1 T two\n").is_hidden());
    }

    #[test]
    fn no_bytes_harm_it() {
        let long = [b"10 T ".as_slice(), &[b'x'; 10_000], b"\n20 T after\n"].concat();
        assert_eq!(index(&long).at(0x20).unwrap().text().as_ref(), "after");
        assert_eq!(index(b"10 T \xff\xfe\n").at(0x10).unwrap().text().as_ref(), "\u{fffd}\u{fffd}");
        assert_eq!(index(b"10 T no_line_feed").at(0x10).unwrap().text().as_ref(), "no_line_feed");
        assert!(index(&[0; 10_000]).is_hidden());
        assert!(index(b"ffffffffffffffffffff T long\n").is_hidden());
    }
    proptest::proptest! {
        /// Lines in any order are found as a plain search finds them.
        #[test]
        fn any_lines_are_found(symbols in proptest::collection::vec((0_u64..50, "[a-z]{1,3}"), 0..40), at in 0_u64..60) {
            let text: String = symbols.iter().map(|(address, name)| format!("{address:x} t {name}\n")).collect();
            let index = index(text.as_bytes());
            let before = symbols.iter().filter(|(address, _)| *address <= at);
            let nearest = before.max_by_key(|(address, _)| *address);
            let found = index.around(at).map(|found| (found.address, found.text().to_string()));
            proptest::prop_assert_eq!(found.as_ref(), nearest);
            for (_, name) in &symbols {
                let first = symbols.iter().find(|(_, other)| other == name).map(|(address, _)| *address);
                proptest::prop_assert_eq!(index.address(name), first);
            }
        }
    }
}
