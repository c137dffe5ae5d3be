//! `SEC("perf_event/type=T,config=C,frequency=F")`: a performance event of all threads on each CPU.
//!
//! With `period=P` in place of the frequency the program runs at every P-th event, at 1 at each one.

use std::fmt::{Display, Formatter};
use std::os::fd::{AsRawFd, IntoRawFd};

use libbpf_rs::{OpenProgramMut, ProgramMut, ProgramType};

use crate::bpf::explain::errno_of;
use crate::bpf::raw;
use crate::host::Host;
use crate::spec::{PerfEvent, Sample};

use super::{AttachError, Attached, Missing, Target, refused, refused_by_kernel};

const EXPECTED: &str = "perf_event/type=<number>,config=<number>,frequency=<number> (or period=<number>)";

/// An event on one CPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    event: PerfEvent,
    cpu: u32,
}

impl Display for At {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let PerfEvent { kind, config, .. } = self.event;
        write!(out, "`perf_event` (type {kind}, config {config}) on CPU {}", self.cpu)
    }
}

pub(super) fn is_section(section: &str) -> bool {
    section.trim_start_matches('?').starts_with("perf_event/")
}

pub(super) fn set_type(program: &mut OpenProgramMut<'_>) {
    program.set_prog_type(ProgramType::PerfEvent);
}

/// The event that a section describes.
pub(super) fn wanted(section: &str) -> Result<PerfEvent, Missing> {
    let section = section.trim_start_matches('?');
    let refused = |message| Missing::Section { section: section.to_owned(), expected: EXPECTED, message };
    parse(section).map_err(refused)
}

/// The CPUs that are online; the first one where the kernel does not tell.
pub(super) fn targets(event: &PerfEvent, host: &Host) -> Vec<Target> {
    let cpus = host.online_cpus().unwrap_or_else(|_| vec![0]);
    cpus.into_iter().map(|cpu| Target::PerfEvent(At { event: *event, cpu })).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let descriptor = raw::open_perf_event(&at.event, at.cpu).map_err(|error| refused_by_kernel(&error))?;
    match program.attach_perf_event(descriptor.as_raw_fd()) {
        Ok(link) => {
            // The link closes it from now on.
            let _ = descriptor.into_raw_fd();
            Ok(Attached::Link(link))
        }
        Err(error) => Err(refused(errno_of(&error))),
    }
}

fn parse(section: &str) -> Result<PerfEvent, String> {
    let parameters = section.trim_start_matches('?').strip_prefix("perf_event/").unwrap_or_default();
    let (mut kind, mut config, mut frequency, mut period) = (None, None, None, None);
    for parameter in parameters.split(',') {
        let (key, value) =
            parameter.split_once('=').ok_or_else(|| format!("`{parameter}` is not a key and a value"))?;
        let slot = match key {
            "type" => &mut kind,
            "config" => &mut config,
            "frequency" => &mut frequency,
            "period" => &mut period,
            _ => return Err(format!("`{key}` is not a key known here")),
        };
        let number = number(value).ok_or_else(|| format!("`{value}` of `{key}` is not a number"))?;
        if slot.replace(number).is_some() {
            return Err(format!("`{key}` stands there twice"));
        }
    }
    let missing = |key: &str| format!("`{key}` is missing");
    let kind = u32::try_from(kind.ok_or_else(|| missing("type"))?);
    Ok(PerfEvent {
        kind: kind.map_err(|_| "`type` does not fit into 32 bits".to_owned())?,
        config: config.ok_or_else(|| missing("config"))?,
        sample: match (frequency, period) {
            (Some(frequency), None) => Sample::Frequency(frequency),
            (None, Some(period)) => Sample::Period(period),
            (None, None) => return Err(missing("frequency")),
            (Some(_), Some(_)) => return Err("`frequency` and `period` exclude each other".to_owned()),
        },
    })
}

fn number(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, expected: Result<(u32, u64, Sample), &str>) {
        let event = parse(section).map(|event| (event.kind, event.config, event.sample));
        assert_eq!(event, expected.map_err(str::to_owned), "{section}");
    }

    #[test]
    fn a_section_describes_an_event() {
        check("perf_event/type=0,config=3,frequency=99", Ok((0, 3, Sample::Frequency(99))));
        check("?perf_event/frequency=1,type=4,config=0x1c2", Ok((4, 0x1c2, Sample::Frequency(1))));
        check("perf_event/type=0,config=3", Err("`frequency` is missing"));
        check("perf_event/config=3,frequency=1", Err("`type` is missing"));
        check("perf_event/", Err("`` is not a key and a value"));
        check("perf_event/type=1,config=5,period=1", Ok((1, 5, Sample::Period(1))));
        check("perf_event/type=0,config=3,often=99", Err("`often` is not a key known here"));
        let both = "perf_event/type=0,config=3,period=1,frequency=1";
        check(both, Err("`frequency` and `period` exclude each other"));
        check("perf_event/type=0,type=0", Err("`type` stands there twice"));
        check("perf_event/type=-1,config=0,frequency=1", Err("`-1` of `type` is not a number"));
        check("perf_event/type=4294967296,config=0,frequency=1", Err("`type` does not fit into 32 bits"));
    }
}
