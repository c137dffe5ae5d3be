//! `majorminor`: the name of a block device.

use std::sync::Arc;

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number, text};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "majorminor",
    summary: "The name of a block device by its dev_t (the first 4 bytes, as user space encodes it); \
              `unknown:MAJOR:MINOR` when there is none.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct MajorMinor {
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    match kind {
        Kind::Field(size @ 0..=3) => Err(BuildError::field_size("majorminor", size, "4 bytes")),
        _ => Ok((Box::new(MajorMinor { host: Arc::clone(host) }), Kind::Text)),
    }
}

impl Decode for MajorMinor {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let device = match value {
            Value::Bytes(bytes) => u32::from_ne_bytes(number::first(bytes)?),
            Value::Unsigned(number) => u32::try_from(number).map_err(|_| DecodeError::NotANumber)?,
            Value::Signed(number) => u32::try_from(number).map_err(|_| DecodeError::NotANumber)?,
        };
        let major = (device >> 8) & 0xfff;
        let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
        match self.host.block_device(major, minor) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => {
                text::push_unknown(out, "unknown:", i128::from(major));
                text::push_unknown(out, ":", i128::from(minor));
            }
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::named(false)
    }
}
