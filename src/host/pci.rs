//! The PCI ID database, as distributions install it.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use super::file::read_at_most;

/// Where distributions put it, below the root file system, in the reference's order.
const PLACES: [&str; 3] = ["usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids", "usr/share/pci.ids"];

/// Twenty times what the database has grown to.
const MOST_BYTES: u64 = 32 << 20;

/// A host without the database is asked again after this time.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// A parsed `pci.ids`: vendors with their devices, classes with their subclasses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PciIds {
    /// All names after one another.
    names: String,
    vendors: HashMap<u16, Range<u32>>,
    devices: HashMap<(u16, u16), Range<u32>>,
    classes: HashMap<u8, Range<u32>>,
    subclasses: HashMap<(u8, u8), Range<u32>>,
}

impl PciIds {
    /// A vendor's name.
    #[must_use]
    pub fn vendor(&self, vendor: u16) -> Option<&str> {
        self.text(self.vendors.get(&vendor))
    }

    /// A device's name.
    #[must_use]
    pub fn device(&self, vendor: u16, device: u16) -> Option<&str> {
        self.text(self.devices.get(&(vendor, device)))
    }

    /// A class's name.
    #[must_use]
    pub fn class(&self, class: u8) -> Option<&str> {
        self.text(self.classes.get(&class))
    }

    /// A subclass's name.
    #[must_use]
    pub fn subclass(&self, class: u8, subclass: u8) -> Option<&str> {
        self.text(self.subclasses.get(&(class, subclass)))
    }

    /// Reads the text of a database; lines that it does not know are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut ids = Self::default();
        let mut parent = Parent::None;
        for line in text.lines() {
            ids.add_line(line, &mut parent);
        }
        ids.names.shrink_to_fit();
        ids
    }

    fn add_line(&mut self, line: &str, parent: &mut Parent) {
        // Two tabs: subsystems and programming interfaces, for which there is no decoder.
        if line.starts_with('#') || line.starts_with("\t\t") || line.trim().is_empty() {
            return;
        }
        if let Some(child) = line.strip_prefix('\t') {
            match *parent {
                Parent::Vendor(vendor) => {
                    if let Some((device, name)) = entry(child, 4) {
                        let name = self.keep(name);
                        self.devices.entry((vendor, device)).or_insert(name);
                    }
                }
                Parent::Class(class) => {
                    if let Some((subclass, name)) = entry(child, 2) {
                        let name = self.keep(name);
                        self.subclasses.entry((class, low(subclass))).or_insert(name);
                    }
                }
                Parent::None => {}
            }
        } else if let Some((class, name)) = line.strip_prefix("C ").and_then(|class| entry(class, 2)) {
            let name = self.keep(name);
            self.classes.entry(low(class)).or_insert(name);
            *parent = Parent::Class(low(class));
        } else if let Some((vendor, name)) = entry(line, 4) {
            let name = self.keep(name);
            self.vendors.entry(vendor).or_insert(name);
            *parent = Parent::Vendor(vendor);
        } else {
            *parent = Parent::None;
        }
    }

    fn keep(&mut self, name: &str) -> Range<u32> {
        // The text was bounded far below 4 GB when it was read.
        let start = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push_str(name);
        start..u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    fn text(&self, range: Option<&Range<u32>>) -> Option<&str> {
        let range = range?;
        self.names.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }
}

/// What an indented line belongs to.
enum Parent {
    None,
    Vendor(u16),
    Class(u8),
}

/// A number of exactly so many hexadecimal digits, two spaces and a name.
fn entry(line: &str, digits: usize) -> Option<(u16, &str)> {
    let (number, name) = line.split_once(' ')?;
    let hexadecimal = number.len() == digits && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = name.trim();
    if !hexadecimal || name.is_empty() {
        return None;
    }
    Some((u16::from_str_radix(number, 16).ok()?, name))
}

fn low(number: u16) -> u8 {
    number.to_le_bytes()[0]
}

/// The database of a host: read when it is first asked for, and kept.
#[derive(Debug, Default)]
pub(super) struct PciDatabase {
    ids: Option<Arc<PciIds>>,
    looked: Option<Duration>,
}

impl PciDatabase {
    pub(super) fn get(&mut self, rootfs: &Path, now: Duration) -> Option<Arc<PciIds>> {
        if self.ids.is_none() && self.looked.is_none_or(|then| now.saturating_sub(then) >= LOOK_AFTER) {
            self.looked = Some(now);
            self.ids = read(rootfs).map(|text| Arc::new(PciIds::parse(&text)));
        }
        self.ids.clone()
    }
}

/// The text of the first database there is; some distributions compress it.
fn read(rootfs: &Path) -> Option<String> {
    PLACES.iter().find_map(|place| {
        let bytes = read_at_most(&rootfs.join(place), MOST_BYTES)
            .or_else(|_| unpack(&rootfs.join(format!("{place}.gz"))))
            .ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn unpack(path: &Path) -> std::io::Result<Vec<u8>> {
    let packed = read_at_most(path, MOST_BYTES)?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed.as_slice()).take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &str = "# comment\n\n001c  PEAK-System Technik GmbH\n\t0001  PCAN-PCI CAN-Bus controller\n\
        \t\t001c 0004  2 Channel CAN Bus SJC1000\n8086  Intel Corporation\n\
        \t1000  82542 Gigabit Ethernet Controller (Fiber)\n\t\t0e11 b0df  NC6132\n\
        \t10zz  Bad\n\t123  Short\nzzzz  Nobody\n\t1111  Orphan\n8086  Again\n\t1001  82543GC\n\
        C 01  Mass storage controller\n\t00  SCSI storage controller\n\t08  Non-Volatile memory controller\n\
        \t\t02  NVM Express\nC 06  Bridge\n\t00  Host bridge\n\t04  PCI bridge\nffff  Illegal Vendor ID\n";

    #[test]
    fn names_by_number() {
        let ids = PciIds::parse(TEXT);
        assert_eq!(ids.vendor(0x8086), Some("Intel Corporation"));
        assert_eq!(ids.vendor(0x001c), Some("PEAK-System Technik GmbH"));
        assert_eq!(ids.vendor(0xffff), Some("Illegal Vendor ID"));
        assert_eq!(ids.vendor(0xbeef), None);
        assert_eq!(ids.device(0x8086, 0x1000), Some("82542 Gigabit Ethernet Controller (Fiber)"));
        assert_eq!(ids.device(0x8086, 0x1001), Some("82543GC"));
        assert_eq!(ids.device(0x001c, 0x0001), Some("PCAN-PCI CAN-Bus controller"));
        assert_eq!(ids.device(0x8086, 0x1111), None, "a child of a line that is no vendor");
        assert_eq!(ids.class(1), Some("Mass storage controller"));
        assert_eq!(ids.class(0xfd), None);
        assert_eq!(ids.subclass(1, 8), Some("Non-Volatile memory controller"));
        assert_eq!(ids.subclass(6, 0), Some("Host bridge"));
        assert_eq!(ids.subclass(1, 11), None);
        assert_eq!(ids.subclass(0, 8), None);
    }

    #[test]
    fn no_text_harms_it() {
        for text in
            ["", "\t", "\t\t\t", "C ", "C 01", "C zz  x", "\u{fffd}\u{fffd}  x", "8086", "8086 ", "ä086  x"]
        {
            assert_eq!(PciIds::parse(text), PciIds::default(), "{text:?}");
        }
    }

    #[track_caller]
    fn check(place: &str, content: &[u8]) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut database = PciDatabase::default();
        assert_eq!(database.get(root.path(), Duration::ZERO), None);
        std::fs::write(&path, content).unwrap();
        assert_eq!(database.get(root.path(), Duration::from_secs(59)), None);
        let ids = database.get(root.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(ids.vendor(0x8086), Some("Intel Corporation"), "{place}");
    }

    #[test]
    fn it_is_found_where_distributions_put_it() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(TEXT.as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        for place in PLACES {
            check(place, TEXT.as_bytes());
            check(&format!("{place}.gz"), &packed);
        }
    }
}
