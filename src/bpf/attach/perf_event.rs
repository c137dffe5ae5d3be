//! `SEC("perf_event/type=T,config=C,frequency=F")`: a performance event of all threads on each CPU.
//!
//! With `period=P` in place of the frequency the program runs at every P-th event, at 1 at each one.

use std::os::fd::{AsRawFd, IntoRawFd};

use libbpf_rs::{OpenProgramMut, ProgramMut, ProgramType};

use crate::bpf::explain::errno_of;
use crate::bpf::raw::{self, Sampling};
use crate::host::Roots;

use super::{AttachError, Attached, refused};

const EXPECTED: &str = "perf_event/type=<number>,config=<number>,frequency=<number> (or period=<number>)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    kind: u32,
    config: u64,
    sampling: Sampling,
}

pub(super) fn is_section(section: &str) -> bool {
    section.trim_start_matches('?').starts_with("perf_event/")
}

pub(super) fn set_type(program: &mut OpenProgramMut<'_>) {
    program.set_prog_type(ProgramType::PerfEvent);
}

pub(super) fn attach(
    program: &ProgramMut<'_>,
    section: &str,
    roots: &Roots,
) -> Result<Attached, AttachError> {
    let event = parse(section).map_err(|message| AttachError::Section { expected: EXPECTED, message })?;
    let mut links = Vec::new();
    for cpu in online_cpus(roots) {
        let descriptor = match raw::open_perf_event(event.kind, event.config, event.sampling, cpu) {
            Ok(descriptor) => descriptor,
            // It went offline since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            Err(error) => return Err(refused(error.raw_os_error().unwrap_or(libc::EIO))),
        };
        match program.attach_perf_event(descriptor.as_raw_fd()) {
            Ok(link) => {
                // The link closes it from now on.
                let _ = descriptor.into_raw_fd();
                links.push(link);
            }
            Err(error) => return Err(refused(errno_of(&error))),
        }
    }
    if links.is_empty() { Err(refused(libc::ENODEV)) } else { Ok(Attached::Links(links)) }
}

fn parse(section: &str) -> Result<Event, String> {
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
    Ok(Event {
        kind: kind.map_err(|_| "`type` does not fit into 32 bits".to_owned())?,
        config: config.ok_or_else(|| missing("config"))?,
        sampling: match (frequency, period) {
            (Some(frequency), None) => Sampling::Frequency(frequency),
            (None, Some(period)) => Sampling::Period(period),
            (None, None) => return Err(missing("frequency")),
            (Some(_), Some(_)) => return Err("`frequency` and `period` exclude each other".to_owned()),
        },
    })
}

fn number(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

/// The CPUs that are online; the first one where the kernel does not tell.
fn online_cpus(roots: &Roots) -> Vec<u32> {
    let list = std::fs::read_to_string(roots.sysfs.join("devices/system/cpu/online")).unwrap_or_default();
    let cpus = cpu_list(list.trim());
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// The CPUs of a list such as `0-3,8`.
fn cpu_list(list: &str) -> Vec<u32> {
    /// No kernel has more, and no file may make us loop for ever.
    const MOST: u32 = 65536;
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            cpus.extend(first..=last.min(MOST));
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, expected: Result<(u32, u64, Sampling), &str>) {
        let event = parse(section).map(|event| (event.kind, event.config, event.sampling));
        assert_eq!(event, expected.map_err(str::to_owned), "{section}");
    }

    #[test]
    fn a_section_describes_an_event() {
        check("perf_event/type=0,config=3,frequency=99", Ok((0, 3, Sampling::Frequency(99))));
        check("?perf_event/frequency=1,type=4,config=0x1c2", Ok((4, 0x1c2, Sampling::Frequency(1))));
        check("perf_event/type=0,config=3", Err("`frequency` is missing"));
        check("perf_event/config=3,frequency=1", Err("`type` is missing"));
        check("perf_event/", Err("`` is not a key and a value"));
        check("perf_event/type=1,config=5,period=1", Ok((1, 5, Sampling::Period(1))));
        check("perf_event/type=0,config=3,often=99", Err("`often` is not a key known here"));
        let both = "perf_event/type=0,config=3,period=1,frequency=1";
        check(both, Err("`frequency` and `period` exclude each other"));
        check("perf_event/type=0,type=0", Err("`type` stands there twice"));
        check("perf_event/type=-1,config=0,frequency=1", Err("`-1` of `type` is not a number"));
        check("perf_event/type=4294967296,config=0,frequency=1", Err("`type` does not fit into 32 bits"));
    }

    #[track_caller]
    fn check_list(list: &str, expected: &[u32]) {
        assert_eq!(cpu_list(list), expected, "{list}");
    }

    #[test]
    fn cpu_lists_have_ranges() {
        check_list("0", &[0]);
        check_list("0-3", &[0, 1, 2, 3]);
        check_list("0,2-3,8", &[0, 2, 3, 8]);
        check_list("", &[]);
        check_list("x-y,4", &[4]);
        check_list("3-1", &[]);
        assert_eq!(cpu_list("0-4294967295").len(), 65537);
    }
}
