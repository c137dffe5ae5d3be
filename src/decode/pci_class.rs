//! `pci_class`: the class of a PCI device.

use std::sync::Arc;

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, pci::Pci, text};
use crate::host::{Host, PciIds};

pub(super) const ENTRY: Entry = Entry {
    name: "pci_class",
    summary: "The name of a PCI class by number.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct PciClass(Pci);

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    Ok((Box::new(PciClass(Pci::new("pci_class", kind, host)?)), Kind::Text))
}

impl Decode for PciClass {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        self.0.decode(value, out, write)
    }

    /// The database gives one name to several numbers.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }
}

fn write(ids: &PciIds, number: i128, out: &mut Vec<u8>) {
    match u8::try_from(number).ok().and_then(|class| ids.class(class)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => push_unknown(out, number),
    }
}

/// Also what `pci_subclass` says when it does not even know the class.
pub(super) fn push_unknown(out: &mut Vec<u8>, class: i128) {
    out.extend_from_slice(b"unknown pci class: 0x");
    text::push_padded_hex(out, class, 2);
}
