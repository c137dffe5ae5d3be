//! `ksym`: the kernel symbol at an address.

use std::sync::Arc;

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number, text};
use crate::host::{Host, Symbol};

pub(super) const ENTRY: Entry = Entry {
    name: "ksym",
    summary: "The kernel symbol that starts at an address of 8 bytes; `unknown_addr:0x...` when there is none.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct Ksym {
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    match kind {
        Kind::Field(size @ 0..=7) => Err(BuildError::field_size("ksym", size, "8 bytes")),
        _ => Ok((Box::new(Ksym { host: Arc::clone(host) }), Kind::Text)),
    }
}

impl Decode for Ksym {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let address = match value {
            Value::Bytes(bytes) => u64::from_ne_bytes(number::first(bytes)?),
            Value::Unsigned(number) => number,
            Value::Signed(number) => number.cast_unsigned(),
        };
        match self.host.symbol_at(address) {
            Symbol::Named(name) => out.extend_from_slice(name.as_bytes()),
            Symbol::Unknown | Symbol::Hidden => {
                out.extend_from_slice(b"unknown_addr:0x");
                text::push_padded_hex(out, i128::from(address), 1);
            }
        }
        Ok(Decoded::Text)
    }

    /// Static functions share names, and modules come and go.
    fn traits(&self) -> Traits {
        Traits::symbols()
    }
}
