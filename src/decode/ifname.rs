//! `ifname`: the name of a network interface.

use std::sync::Arc;

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number, text};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "ifname",
    summary: "The name of a network interface by its index (the first 4 bytes); `unknown:N` when there is none.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct Ifname {
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    match kind {
        Kind::Field(size @ (0 | 3)) => Err(BuildError::field_size("ifname", size, "4 bytes")),
        _ => Ok((Box::new(Ifname { host: Arc::clone(host) }), Kind::Text)),
    }
}

impl Decode for Ifname {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let index = match value {
            Value::Bytes(short @ ([_] | [_, _])) => i128::from(number::unsigned(short)?),
            Value::Bytes(bytes) => i128::from(u32::from_ne_bytes(number::first(bytes)?)),
            Value::Unsigned(number) => i128::from(number),
            Value::Signed(number) => i128::from(number),
        };
        match u32::try_from(index).ok().and_then(|index| self.host.interface_name(index)) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => text::push_unknown(out, "unknown:", index),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::named(false)
    }
}
