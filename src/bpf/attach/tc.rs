//! tc: packets of network interfaces, by tcx links (since Linux 6.6), else by filters of a clsact qdisc.
//!
//! A tcx link is gone when its descriptor is closed. A filter has to be taken off, and so has the qdisc if it
//! was made for it and nobody else uses it: [`Filter`] does that when it is dropped. After a crash nobody does, so
//! that it goes on counting in maps that outlive the exporter; it is noted beside them for the next one.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use libbpf_rs::{Program, ProgramMut};

use crate::bpf::keep::Pin;
use crate::bpf::log;
use crate::bpf::raw::{self, FilterPlace, LinkTarget};
use crate::host::{Host, Interface};
use crate::spec::{Direction, Tc, TcMode};

use super::{AttachError, Attached, Missing, Target, filters, refused, refused_by_kernel};

/// One interface, and a direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    interface: Interface,
    direction: Direction,
    mode: TcMode,
}

impl At {
    pub(super) fn interface(&self) -> &str {
        &self.interface.name
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        format!("{} {:?} {:?}", self.interface.index, self.direction, self.mode)
    }
}

pub(super) fn targets(wanted: &Tc, host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_interfaces(&wanted.interfaces);
    let at = |interface| Target::Tc(At { interface, direction: wanted.direction, mode: wanted.mode });
    let missing = missing.into_iter().map(|name| Target::Missing(Missing::Interface(name)));
    found.into_iter().map(at).chain(missing).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    if at.mode != TcMode::Classic {
        match tcx(program, at) {
            // This is how older kernels answer.
            Err(AttachError::Refused { errno: libc::EINVAL, .. }) if at.mode == TcMode::Auto => {}
            outcome => return outcome,
        }
    }
    Filter::attach(program, at).map(Attached::Filter)
}

fn tcx(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let hook = match at.direction {
        Direction::Ingress => libbpf_sys::BPF_TCX_INGRESS,
        Direction::Egress => libbpf_sys::BPF_TCX_EGRESS,
    };
    let link = raw::create_link(program, LinkTarget::Interface(at.interface.index), hook, 0)
        .map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Own { link, is_exact: true, is_quick: true })
}

/// The clsact qdiscs that this process made, by network namespace and interface.
static MADE: LazyLock<Mutex<HashSet<(u64, i32)>>> = LazyLock::new(Mutex::default);

fn made() -> MutexGuard<'static, HashSet<(u64, i32)>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Words of notes: a direction, and whose qdisc it is.
const INGRESS: &str = "ingress";
const MADE_FOR_IT: &str = "made-for-it";

/// A filter of a clsact qdisc.
#[derive(Debug)]
pub(in crate::bpf) struct Filter {
    place: FilterPlace,
    /// The number of its program, by which it is told from somebody else's at the same place.
    program: u32,
    /// The note of it, which goes with it.
    note: Option<Pin>,
}

impl Filter {
    fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Self, AttachError> {
        let interface = i32::try_from(at.interface.index).map_err(|_| refused(libc::ENODEV))?;
        // Held until the filter is there, lest another thread finds the qdisc empty.
        let mut made = made();
        let is_ingress = at.direction == Direction::Ingress;
        if raw::create_clsact(interface).map_err(|error| refused_by_kernel(&error))? {
            made.insert((namespace(), interface));
        } else if !is_ingress && filters::is_of_ingress_alone(interface) {
            // The kernel would take the filter, and run it for what comes in.
            return Err(AttachError::OnlyIngress(at.interface.name.clone()));
        }
        // The kernel gives it numbers of its own.
        let place = FilterPlace { interface, is_ingress, handle: 0, priority: 0 };
        let (place, program) = raw::set_filter(program, place, false).map_err(|error| {
            remove_unused(&mut made, interface);
            refused_by_kernel(&error)
        })?;
        Ok(Self { place, program, note: None })
    }

    /// Whether it is there. Whoever takes off the qdisc takes it off as well, and nobody is told.
    pub(super) fn is_there(&self) -> bool {
        let (found, _) = log::capture(|| raw::program_of_filter(self.place));
        found.is_ok_and(|found| found == self.program)
    }

    /// The filter that a note tells of, if it is still there: that is known by its program's number.
    pub(in crate::bpf) fn of_note(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let interface = words.next()?.parse().ok()?;
        let is_ingress = words.next()? == INGRESS;
        let (handle, priority) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let place = FilterPlace { interface, is_ingress, handle, priority };
        let program: u32 = words.next()?.parse().ok()?;
        let (found, _) = log::capture(|| raw::program_of_filter(place));
        if found.ok()? != program {
            return None;
        }
        if words.next()? == MADE_FOR_IT {
            made().insert((namespace(), interface));
        }
        Some(Self { place, program, note: None })
    }

    /// What [`Filter::of_note`] reads.
    pub(in crate::bpf) fn text(&self) -> Option<String> {
        let Self { place: FilterPlace { interface, is_ingress, handle, priority }, program, .. } = *self;
        let direction = if is_ingress { INGRESS } else { "egress" };
        let qdisc = if made().contains(&(namespace(), interface)) { MADE_FOR_IT } else { "others'" };
        self.is_there().then(|| format!("{interface} {direction} {handle} {priority} {program} {qdisc}"))
    }

    pub(in crate::bpf) fn note(&self) -> Option<&Pin> {
        self.note.as_ref()
    }

    pub(in crate::bpf) fn set_note(&mut self, note: Option<Pin>) {
        self.note = note;
    }

    /// Puts another program into its place, at once.
    pub(super) fn update(&mut self, program: &Program<'_>) -> Result<(), AttachError> {
        let set = raw::set_filter(program, self.place, true);
        (self.place, self.program) = set.map_err(|error| refused_by_kernel(&error))?;
        Ok(())
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        let interface = self.place.interface;
        let mut made = made();
        // The interface may be gone, and all with it; or the qdisc alone, and another one has somebody else's filter there.
        let is_off = self.is_there() && log::capture(|| raw::remove_filter(self.place)).0.is_ok();
        if !is_off {
            tracing::debug!(interface, "a filter was gone before it was taken off");
        }
        remove_unused(&mut made, interface);
    }
}

/// Removes the qdisc of an interface if it was made by us and nobody uses it.
fn remove_unused(made: &mut HashSet<(u64, i32)>, interface: i32) {
    let key = (namespace(), interface);
    if !made.contains(&key) || filters::are_there(interface) {
        return;
    }
    made.remove(&key);
    let (result, _) = log::capture(|| raw::remove_clsact(interface));
    if let Err(error) = result {
        tracing::debug!(interface, %error, "a qdisc was gone before it was removed");
    }
}

/// The network namespace of the calling thread.
fn namespace() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").map_or(0, |found| found.ino())
}
