//! `kstack`: a kernel stack as lines of symbols.

use std::sync::Arc;

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value};
use crate::host::{Host, Symbol};

pub(super) const ENTRY: Entry = Entry {
    name: "kstack",
    summary: "Kernel addresses of 8 bytes each, up to the first zero, as lines of the symbols they lie in; \
              `??` for a frame without one.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct Kstack {
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    match kind {
        Kind::Field(size) if size == 0 || !size.is_multiple_of(8) => {
            Err(BuildError::field_size("kstack", size, "a multiple of 8 bytes"))
        }
        _ => Ok((Box::new(Kstack { host: Arc::clone(host) }), Kind::Text)),
    }
}

impl Kstack {
    fn push_frame(&self, address: u64, out: &mut Vec<u8>) {
        match self.host.symbol_around(address) {
            Symbol::Named(name) => out.extend_from_slice(name.as_bytes()),
            // Where addresses are hidden, any name would be an arbitrary one.
            Symbol::Unknown | Symbol::Hidden => out.extend_from_slice(b"??"),
        }
    }
}

impl Decode for Kstack {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let stack = match value {
            Value::Bytes(bytes) => bytes,
            Value::Unsigned(number) => &number.to_ne_bytes(),
            Value::Signed(number) => &number.to_ne_bytes(),
        };
        let (frames, rest) = stack.as_chunks::<8>();
        for (index, frame) in frames.iter().enumerate() {
            let address = u64::from_ne_bytes(*frame);
            if address == 0 {
                return Ok(Decoded::Text);
            }
            if index > 0 {
                out.push(b'\n');
            }
            self.push_frame(address, out);
        }
        if rest.is_empty() { Ok(Decoded::Text) } else { Err(DecodeError::Size(stack.len())) }
    }

    /// Two addresses lie in one symbol, and modules come and go.
    fn traits(&self) -> Traits {
        Traits::symbols()
    }
}
