//! `cgroup`: the path of a cgroup.

use std::sync::Arc;

use super::{Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number::Numbers, text};
use crate::host::Host;

pub(super) const ENTRY: Entry = Entry {
    name: "cgroup",
    summary: "The path of a cgroup below /sys/fs/cgroup by its id; `unknown_cgroup_id:N` when there is none.",
    build: |_, kind, host| build(kind, host),
};

#[derive(Debug)]
struct Cgroup {
    numbers: Numbers,
    host: Arc<Host>,
}

fn build(kind: Kind, host: &Arc<Host>) -> Built {
    let numbers = Numbers::of("cgroup", kind)?;
    Ok((Box::new(Cgroup { numbers, host: Arc::clone(host) }), Kind::Text))
}

impl Decode for Cgroup {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let id = self.numbers.read(value)?;
        match u64::try_from(id).ok().and_then(|id| self.host.cgroup_path(id)) {
            Some(path) => out.extend_from_slice(path.as_bytes()),
            None => text::push_unknown(out, "unknown_cgroup_id:", id),
        }
        Ok(Decoded::Text)
    }

    /// A cgroup that was removed and made again has a new id and the same path.
    fn traits(&self) -> Traits {
        Traits::named(false)
    }
}
