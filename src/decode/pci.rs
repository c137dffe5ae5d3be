//! What the four decoders of PCI numbers share.

use std::sync::Arc;

use super::{BuildError, DecodeError, Decoded, Kind, Value, number::Numbers};
use crate::host::{Host, PciIds};

/// A number and the database to look it up in.
#[derive(Debug)]
pub(super) struct Pci {
    numbers: Numbers,
    host: Arc<Host>,
}

impl Pci {
    pub(super) fn new(decoder: &str, kind: Kind, host: &Arc<Host>) -> Result<Self, BuildError> {
        Ok(Self { numbers: Numbers::of(decoder, kind)?, host: Arc::clone(host) })
    }

    /// Hands number and database on; a host without the database is said in the label, as the reference does.
    pub(super) fn decode(
        &self,
        value: Value<'_>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&PciIds, i128, &mut Vec<u8>),
    ) -> Result<Decoded, DecodeError> {
        match self.host.pci_ids() {
            Some(ids) => write(&ids, self.numbers.read(value)?, out),
            None => out.extend_from_slice(b"missing pci.ids db"),
        }
        Ok(Decoded::Text)
    }
}
