//! Programs at the places that their config names, on the running kernel.

/// Hooks of cgroups: where they are attached and what they see.
mod cgroups;

/// XDP, tc and netkit: network interfaces.
pub mod interfaces;

/// Performance events of CPUs.
mod events;

/// Every kind, again and again: nothing is left.
mod again;

/// Sockets, lookups and netfilter.
mod network;

/// Sockets of maps.
mod sockets;

/// Probes of user space, tracepoints, functions of the kernel.
mod probes;

mod wire;

use bpftally::bpf::{self, Loaded};
use bpftally::spec::{Attach, LoadSpec, ProgramSetting};

use crate::common::kernel::{host, load_spec};

/// The load spec of an object of which some programs have a place.
#[track_caller]
pub fn placed(name: &str, source: &str, places: &[(&str, Attach)]) -> LoadSpec {
    let setting = |(program, attach): &(&str, Attach)| ProgramSetting {
        name: (*program).to_owned(),
        attach: Some(attach.clone()),
        ..ProgramSetting::default()
    };
    LoadSpec { programs: places.iter().map(setting).collect(), ..load_spec(name, source) }
}

/// Loads it; nothing may be wrong.
#[track_caller]
pub fn load_placed(source: &str, places: &[(&str, Attach)]) -> Loaded {
    let loaded = bpf::load(&placed("places", source, places), &host(), &bpf::Options::default());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(loaded.problems(), [], "every program attaches");
    loaded
}
