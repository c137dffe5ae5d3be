//! `pci_device`: a PCI device.

use std::sync::Arc;

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, pci::Pci, text};
use crate::host::{Host, PciIds};

pub(super) const ENTRY: Entry = Entry {
    name: "pci_device",
    summary: "The name of a PCI device by `vendor << 16 | device`.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct PciDevice(Pci);

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    Ok((Box::new(PciDevice(Pci::new("pci_device", kind, host)?)), Kind::Text))
}

impl Decode for PciDevice {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        self.0.decode(value, out, write)
    }

    /// The database gives one name to several numbers.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }
}

fn write(ids: &PciIds, number: i128, out: &mut Vec<u8>) {
    match u32::try_from(number).ok().and_then(|pair| device(ids, pair)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"unknown pci device: 0x");
            text::push_padded_hex(out, number, 4);
        }
    }
}

fn device(ids: &PciIds, pair: u32) -> Option<&str> {
    let vendor = u16::try_from(pair >> 16).ok()?;
    let device = u16::try_from(pair & 0xffff).ok()?;
    ids.device(vendor, device)
}
