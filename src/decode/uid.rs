//! `uid`: the name of a user.

use std::sync::Arc;

use super::{Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number::Numbers};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "uid",
    summary: "The name of a user by number; the number itself when the host knows no name.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct Uid {
    numbers: Numbers,
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    let numbers = Numbers::of("uid", kind)?;
    Ok((Box::new(Uid { numbers, host: Arc::clone(host) }), Kind::Text))
}

impl Decode for Uid {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let number = self.numbers.read(value)?;
        if let Some(name) = u32::try_from(number).ok().and_then(|uid| self.host.user_name(uid)) {
            out.extend_from_slice(name.as_bytes());
            return Ok(Decoded::Text);
        }
        match u64::try_from(number) {
            Ok(number) => Ok(Decoded::Unsigned(number)),
            Err(_) => i64::try_from(number).map(Decoded::Signed).map_err(|_| DecodeError::NotANumber),
        }
    }

    /// Two numbers can have one name, and users come and go.
    fn traits(&self) -> Traits {
        Traits::named(false)
    }
}
