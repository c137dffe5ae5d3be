//! What a config asks of a machine: lines of the summary.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use super::roles::Roles;
use super::{Subject, series};
use crate::config::architecture_of;
use crate::elf::{ExternKind, Kernel, Need, SectionKind};
use crate::spec::Attach;

/// What a config asks of the machine that serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many metrics it serves.
    pub metrics: usize,
    /// How many kinds of spans it makes.
    pub spans: usize,
    /// Series of all of them, when their maps are full.
    pub series: u64,
    /// Capabilities that loading, attaching and reading take.
    pub capabilities: Vec<&'static str>,
    /// The first kernel that can take what the config cannot do without.
    pub kernel: Option<Kernel>,
    /// The object's file, where it is for this architecture alone.
    pub object: Option<String>,
    /// What asks for which kernel: names by kernel and reason, the newest first.
    pub because: Vec<(Need, Vec<String>)>,
}

/// What serving a config takes.
#[must_use]
pub fn needs(subject: &Subject<'_>) -> Needs {
    let info = subject.info;
    let mut because: BTreeMap<(Kernel, String), Vec<String>> = BTreeMap::new();
    let mut add = |need: Option<Need>, name: &str| {
        if let Some(Need { kernel, why }) = need {
            because.entry((kernel, why)).or_default().push(name.to_owned());
        }
    };
    let roles = Roles::of(subject);
    for program in info.programs.iter().filter(|program| program.autoload) {
        let mut need = info.program_needs(program);
        if let (Some(need), Some(role)) = (&mut need, roles.may_be_missing(program)) {
            need.why += &format!("; {role}");
        }
        add(need, &program.name);
    }
    for map in &info.maps {
        add(map.needs(), &map.name);
    }
    let because: Vec<_> =
        because.into_iter().rev().map(|((kernel, why), names)| (Need { kernel, why }, names)).collect();
    Needs {
        metrics: subject.metrics().len(),
        spans: subject.spec.map_or(0, |spec| spec.view.spans.len()),
        series: series::total(subject),
        capabilities: capabilities(subject),
        kernel: roles.floor(subject),
        object: architecture_of(subject.object)
            .and_then(|_| Some(subject.object.file_name()?.to_string_lossy().into_owned())),
        because,
    }
}

/// Since Linux 5.8; before, all of them are `CAP_SYS_ADMIN`.
fn capabilities(subject: &Subject<'_>) -> Vec<&'static str> {
    let mut needed = vec!["CAP_BPF"];
    let programs = subject.info.programs.iter().filter(|program| program.autoload);
    for program in programs {
        let kind = SectionKind::of(&program.section);
        let is_of = |prefixes: &[&str]| kind.is_some_and(|kind| prefixes.contains(&kind.prefix()));
        let is_free = |kind: &SectionKind| matches!(kind.program_type, "socket_filter" | "syscall");
        if kind.is_some_and(|kind| !kind.traces() && !is_free(&kind)) {
            needed.push("CAP_NET_ADMIN");
        }
        if is_of(&["uprobe", "uretprobe", "uprobe.s", "uretprobe.s"]) {
            // Of all performance events the kernel leaves these to nobody else.
            needed.push("CAP_SYS_ADMIN");
        } else if program.takes_perfmon {
            needed.push("CAP_PERFMON");
        }
    }
    let settings = subject.spec.map_or(&[][..], |spec| &spec.load.programs);
    if settings.iter().any(|set| matches!(set.attach, Some(Attach::Socket(_)))) {
        needed.push("CAP_NET_RAW");
    }
    let addresses = subject.spec.is_some_and(|spec| !spec.load.kaddrs.is_empty() || spec.asks_for_symbols())
        || subject.info.externs.iter().any(|wanted| wanted.kind == ExternKind::KernelSymbol);
    if addresses {
        needed.push("CAP_SYSLOG");
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

impl Display for Needs {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let metrics =
            if self.metrics == 1 { "1 metric".to_owned() } else { format!("{} metrics", self.metrics) };
        write!(out, "{metrics}, at most {} series", series::grouped(self.series))?;
        match self.spans {
            0 => {}
            1 => write!(out, ", 1 kind of spans")?,
            many => write!(out, ", {many} kinds of spans")?,
        }
        write!(out, "; ")?;
        if let Some(kernel) = self.kernel {
            write!(out, "Linux {kernel}; ")?;
        }
        write!(out, "{}", self.capabilities.join(", "))?;
        if let Some(object) = &self.object {
            write!(out, "; by {object}")?;
        }
        for (need, names) in &self.because {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            write!(out, "\n  Linux {}: {} ({})", need.kernel, names.join(", "), need.why)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_when_there_are_any() {
        let mut needs = Needs { metrics: 2, series: 1024, capabilities: vec!["CAP_BPF"], ..Needs::default() };
        for (spans, expected) in [(0, ""), (1, ", 1 kind of spans"), (2, ", 2 kinds of spans")] {
            needs.spans = spans;
            assert_eq!(needs.to_string(), format!("2 metrics, at most 1,024 series{expected}; CAP_BPF"));
        }
    }
}
