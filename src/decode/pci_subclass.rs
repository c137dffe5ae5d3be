//! `pci_subclass`: the subclass of a PCI device.

use std::sync::Arc;

use super::{
    Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, pci::Pci, pci_class, text,
};
use crate::host::{Host, PciIds};

pub(super) const ENTRY: Entry = Entry {
    name: "pci_subclass",
    summary: "The name of a PCI subclass by `class << 8 | subclass`.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct PciSubclass(Pci);

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    Ok((Box::new(PciSubclass(Pci::new("pci_subclass", kind, host)?)), Kind::Text))
}

impl Decode for PciSubclass {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        self.0.decode(value, out, write)
    }

    /// The database gives one name to several numbers.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }
}

fn write(ids: &PciIds, number: i128, out: &mut Vec<u8>) {
    let class = number >> 8;
    let subclass = number & 0xff;
    let Some(known) = u8::try_from(class).ok().filter(|class| ids.class(*class).is_some()) else {
        return pci_class::push_unknown(out, class);
    };
    match u8::try_from(subclass).ok().and_then(|subclass| ids.subclass(known, subclass)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"unknown pci subclass: 0x");
            text::push_padded_hex(out, subclass, 2);
            out.extend_from_slice(b" (class 0x");
            text::push_padded_hex(out, class, 2);
            out.push(b')');
        }
    }
}
