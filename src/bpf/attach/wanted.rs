//! What programs want: what the config says of where they are attached, or else their sections.

use libbpf_rs::Program;

use crate::host::{Host, Modules};
use crate::spec::{Attach, LoadSpec};

use super::{
    Functions, Missing, Target, cgroup, kprobe, netkit, netns, perf_event, section, socket, tc, uprobe, usdt,
    xdp,
};

/// What a program is to be attached to.
#[derive(Clone, Debug)]
pub(in crate::bpf) struct Wanted {
    section: String,
    attach: Result<Option<Attach>, Missing>,
    attach_type: u32,
}

impl Wanted {
    /// What the config says, or else the section.
    pub(in crate::bpf) fn of(program: &Program<'_>, spec: &LoadSpec) -> Self {
        let section = section(program);
        let name = program.name();
        let setting = spec.programs.iter().find(|setting| name.to_str() == Some(&setting.name));
        let attach = match setting.and_then(|setting| setting.attach.clone()) {
            Some(attach) => Ok(Some(attach)),
            None => by_section(&section),
        };
        Self { section, attach, attach_type: program.attach_type() as u32 }
    }

    /// Whether its places can come and go.
    pub(in crate::bpf) fn follows(&self) -> bool {
        match &self.attach {
            Err(_) => false,
            Ok(Some(Attach::Cgroup(wanted))) => cgroup::follows(wanted),
            Ok(Some(Attach::Netns(paths))) => netns::follows(paths),
            Ok(None | Some(Attach::Kprobe(_))) => self.functions().is_some(),
            Ok(Some(
                Attach::Tracepoint(_) | Attach::Function(_) | Attach::Netfilter(_) | Attach::Sockmap(_),
            )) => false,
            // Interfaces, CPUs, and files that are replaced.
            Ok(Some(_)) => true,
        }
    }

    /// The function of the kernel that it is meant for, or a pattern of some, each of which is a place by itself: they
    /// come and go with modules.
    pub(in crate::bpf) fn functions(&self) -> Option<&str> {
        if !kprobe::is_of_one(&self.section) {
            return None;
        }
        match &self.attach {
            Ok(Some(Attach::Kprobe(function))) => Some(function),
            Ok(None) => kprobe::by_section(&self.section),
            _ => None,
        }
    }

    /// Those of some places whose functions have gone with their modules since, even where they are there again.
    pub(in crate::bpf) fn gone<'a>(
        &self,
        places: &'a [Target],
        functions: &Functions<'_>,
        before: &Modules,
        now: &Modules,
    ) -> Vec<&'a Target> {
        let Some(function) = self.functions().filter(|_| !places.is_empty()) else { return Vec::new() };
        let gone = functions.gone(function, &self.section, before, now);
        let is_gone = |place: &&Target| kprobe::function(place).is_some_and(|name| gone.contains(name));
        places.iter().filter(is_gone).collect()
    }

    /// The places that there are now.
    pub(in crate::bpf) fn targets(&self, host: &Host) -> Vec<Target> {
        match &self.attach {
            Err(missing) => vec![Target::Missing(missing.clone())],
            // A function was set before the load: libbpf attaches it as one of its section.
            Ok(None | Some(Attach::Function(_))) => vec![Target::Section(self.section.clone())],
            Ok(Some(Attach::Cgroup(wanted))) => cgroup::targets(wanted, self.attach_type, host),
            Ok(Some(Attach::Xdp(wanted))) => xdp::targets(wanted, host),
            Ok(Some(Attach::Tc(wanted))) => tc::targets(wanted, host),
            Ok(Some(Attach::Netkit(wanted))) => netkit::targets(wanted, self.attach_type, host),
            Ok(Some(Attach::PerfEvent(wanted))) => perf_event::targets(wanted, host),
            Ok(Some(Attach::Uprobe(wanted))) => uprobe::targets(wanted, host),
            Ok(Some(Attach::Usdt(wanted))) => usdt::targets(wanted, host),
            Ok(Some(Attach::Kprobe(function))) => kprobe::targets(function, &self.section, host),
            // The type of such a program was loaded with its tracepoint.
            Ok(Some(Attach::Tracepoint(_))) if self.section.starts_with("tp_btf") => {
                vec![Target::Section(self.section.clone())]
            }
            Ok(Some(Attach::Tracepoint(name))) => vec![Target::Tracepoint(name.clone())],
            Ok(Some(Attach::Netns(paths))) => netns::targets(paths, self.attach_type, host),
            Ok(Some(Attach::Netfilter(at))) => vec![Target::Netfilter(*at)],
            Ok(Some(Attach::Socket(interfaces))) => socket::targets(interfaces, host),
            Ok(Some(Attach::Sockmap(map))) => vec![Target::Sockmap(map.clone())],
        }
    }
}

/// What a section says that libbpf does not attach.
fn by_section(section: &str) -> Result<Option<Attach>, Missing> {
    if let Some(interface) = xdp::interface(section) {
        return Ok(Some(Attach::Xdp(xdp::one(interface))));
    }
    if perf_event::is_section(section) {
        return perf_event::wanted(section).map(|wanted| Some(Attach::PerfEvent(wanted)));
    }
    if let Some(wanted) = usdt::by_section(section) {
        return wanted.map(|wanted| Some(Attach::Usdt(wanted)));
    }
    let cgroups = || cgroup::by_section(section).map(Attach::Cgroup);
    Ok(netns::by_section(section).map(Attach::Netns).or_else(cgroups))
}
