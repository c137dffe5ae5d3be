//! `pci_vendor`: the vendor of a PCI device.

use std::sync::Arc;

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, pci::Pci, text};
use crate::host::{Host, PciIds};

pub(super) const ENTRY: Entry = Entry {
    name: "pci_vendor",
    summary: "The name of a PCI vendor by number.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct PciVendor(Pci);

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    Ok((Box::new(PciVendor(Pci::new("pci_vendor", kind, host)?)), Kind::Text))
}

impl Decode for PciVendor {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        self.0.decode(value, out, write)
    }

    /// The database gives one name to several numbers.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }
}

fn write(ids: &PciIds, number: i128, out: &mut Vec<u8>) {
    match u16::try_from(number).ok().and_then(|vendor| ids.vendor(vendor)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"unknown pci vendor: 0x");
            text::push_padded_hex(out, number, 2);
        }
    }
}
