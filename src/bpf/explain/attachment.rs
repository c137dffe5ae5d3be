//! Why a program is not attached.

use std::path::Path;

use libbpf_rs::Program;

use crate::bpf::attach::{AttachError, Missing, Target, section, tracefs};
use crate::bpf::exchange::Planned;
use crate::elf::SectionKind;
use crate::host::{CgroupPattern, Host, MOST_FUNCTIONS, Pattern};
use crate::problem::{Place, Problem};
use crate::spec::LoadSpec;

use super::binary::{self, Reason, Wanted};
use super::machine::Machine;
use super::{errno_text, exhausted, words};

/// Explains why a program is not attached. It costs only the program.
pub(in crate::bpf) fn attachment(
    error: AttachError,
    spec: &LoadSpec,
    planned: &Planned<Target>,
    program: &Program<'_>,
    host: &Host,
) -> Problem {
    let name = &planned.program;
    let place = Place {
        config: Some(spec.name.clone()),
        file: Some(spec.object.clone()),
        program: Some(name.clone()),
        ..Place::default()
    };
    let section = section(program);
    let failed = |reason: String| {
        Problem::error(
            "attach-failed",
            place.clone(),
            format!("`{name}` is not attached to {}: {reason}", planned.place),
        )
    };
    match error {
        AttachError::NoPlace => {
            let message = format!(
                "`{name}` is not attached: its section `{section}` has no attachment by section name"
            );
            let problem = Problem::error("not-attachable", place.clone(), message);
            match SectionKind::of(&section).and_then(|kind| kind.why_elsewhere()) {
                Some(why) => problem.found(why).help(
                    "mark a program that others attach with SEC(\"?...\"), or switch it off (`programs`)",
                ),
                None => problem.help(
                    "name the place in the section, such as SEC(\"tracepoint/sched/sched_switch\"), or in the config \
                     (`attach`), or mark a program that shall not be attached with SEC(\"?...\")",
                ),
            }
        }
        AttachError::Missing(Missing::Section { section, expected, message }) => {
            failed(message).expected(expected).found(section)
        }
        AttachError::Missing(Missing::Interface(interface)) => {
            let problem = failed("there is no such network interface here".to_owned());
            // Of a kind that this kernel does not have there can be none.
            if let Some(later) = came_later(&section, &Machine::look(host)) {
                return problem.help(later);
            }
            let names = host.interface_names();
            let names = names.iter().map(String::as_str);
            match suggest(&interface, names) {
                Some(name) => problem.help(format!("did you mean `{name}`?")),
                None => problem.help("interfaces are those of the exporter's own network namespace"),
            }
        }
        AttachError::Missing(Missing::Cgroup(path)) => {
            let problem = failed("there is no such cgroup".to_owned());
            let names = host.cgroups_beside(&CgroupPattern::new(&path));
            match suggest(&path, names.iter().map(String::as_str)) {
                Some(name) => problem.help(format!("did you mean `{name}`?")),
                None => problem
                    .help("paths begin at the root of the cgroup2 hierarchy: `systemd-cgls` shows them"),
            }
        }
        AttachError::Missing(Missing::Functions { pattern, count }) => {
            no_functions(failed, &pattern, count, host)
        }
        AttachError::Missing(Missing::Map(_)) => failed("the object has no such map".to_owned())
            .expected("a map of the kind sockmap or sockhash, which no `maps` leaves out"),
        AttachError::Missing(Missing::File(_)) => failed("there is no such file".to_owned())
            .help("paths are the exporter's own; `root: \"/proc/*/root\"` looks in containers as well"),
        AttachError::Missing(Missing::Cgroup2) => failed("cgroup2 is not mounted".to_owned())
            .expected(
                "the cgroup2 hierarchy at --path.cgroupfs, in `unified` below it, or in /proc/self/mountinfo",
            )
            .help("mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"),
        AttachError::OnlyIngress(interface) => {
            failed("somebody's qdisc `ingress` is there, which sees nothing of what goes out".to_owned())
                .expected("the qdisc `clsact`, or none, for which one is made")
                .help(format!(
                    "let who made it make `clsact` instead, which takes the same filters (`tc qdisc show dev {interface}`)"
                ))
        }
        AttachError::Refused { errno, log } => {
            let said = words(&log, errno);
            // An object that cannot have probes has to be told so, whatever the file has.
            let is_of_object = errno == libc::ESRCH && section.starts_with("usdt");
            if let Some(reason) = in_a_file(&planned.place, &section).filter(|_| !is_of_object) {
                return failed(reason.message).found(said).help(reason.help);
            }
            let kernel = Kernel { tracefs: tracefs(), kprobes: kprobes(), machine: Machine::look(host) };
            let section = match &planned.place {
                // As if the section said what the config says.
                Target::Kprobe(name) | Target::Tracepoint(name) => {
                    format!("{}/{name}", section.split('/').next().unwrap_or_default())
                }
                _ => section,
            };
            let help = advice(&section, errno, program, &kernel);
            let help = beside_others(&planned.place, errno, program, &kernel).or(help);
            // Of programs that are left out for others the message alone is shown.
            let note = kernel.machine.lockdown_note();
            let is_locked = !note.is_empty() && help.as_ref().is_some_and(|help| help.ends_with(&note));
            let reason = if is_locked { errno_text(errno) + &note } else { errno_text(errno) };
            let problem = failed(reason).found(said);
            match help {
                Some(help) => problem.help(help.strip_suffix(&note).unwrap_or(&help)),
                None => problem,
            }
        }
    }
}

/// What is wrong with a file of machine code, or with what is looked for in it.
fn in_a_file(place: &Target, section: &str) -> Option<Reason> {
    match place {
        Target::Uprobe(at) => {
            let (path, function) = at.parts();
            binary::look(path, Wanted::Function(function))
        }
        Target::Usdt(at) => {
            let (path, provider, name) = at.parts();
            binary::look(path, Wanted::Probe(provider, name))
        }
        Target::Section(_) => {
            let (kind, target) = section.split_once('/')?;
            let (rest, last) = target.rsplit_once(':')?;
            match (kind, rest.rsplit_once(':')) {
                ("usdt", Some((path, provider))) => {
                    binary::look(Path::new(path), Wanted::Probe(provider, last))
                }
                _ if kind.starts_with("uprobe") || kind.starts_with("uretprobe") => {
                    let function = last.split('+').next().unwrap_or(last);
                    binary::look(Path::new(rest), Wanted::Function(function))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// That a program of others is at a cgroup whose owner wants no other beside it: the kernel says that it is not permitted.
fn beside_others(place: &Target, errno: i32, program: &Program<'_>, kernel: &Kernel) -> Option<String> {
    let needed = kernel.machine.needed(std::iter::once(program.prog_type()));
    let may = kernel.machine.missing(&needed).is_empty();
    (may && errno == libc::EPERM && matches!(place, Target::Cgroup(_))).then(|| {
        "a program is attached to this cgroup or to one above it, by somebody who wants no other beside it (without \
         BPF_F_ALLOW_MULTI): `bpftool cgroup tree` names it"
            .to_owned()
    })
}

/// A pattern of functions of which there are none or too many, or nobody knows.
fn no_functions(
    failed: impl Fn(String) -> Problem,
    pattern: &str,
    count: Option<usize>,
    host: &Host,
) -> Problem {
    match count {
        Some(0) => {
            let problem = failed("no function of this kernel that takes probes matches".to_owned());
            let names = host.select_functions(&Pattern::new("*")).unwrap_or_default();
            match suggest(&pattern.replace(['*', '?'], ""), names.iter().map(|function| &*function.name)) {
                Some(name) => problem.help(format!("the closest one is `{name}`")),
                None => problem.help("/sys/kernel/tracing/available_filter_functions has their names"),
            }
        }
        Some(count) => failed(format!("{count} functions of this kernel match it"))
            .expected(format!("at most {MOST_FUNCTIONS}, each of which has a probe of its own"))
            .help(
                "a narrower pattern, or SEC(\"kprobe.multi\"), which takes any number at once (since Linux 5.18)",
            ),
        None => failed("the kernel's functions cannot be listed".to_owned())
            .expected("available_filter_functions in tracefs, or /proc/kallsyms"),
    }
}

/// The name that was probably meant.
pub(super) fn suggest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(found, name);
    names.max_by(|one, other| likeness(one).total_cmp(&likeness(other))).filter(|name| likeness(name) > 0.8)
}

struct Kernel {
    tracefs: Option<&'static str>,
    kprobes: bool,
    machine: Machine,
}

fn kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}

fn advice(section: &str, errno: i32, program: &Program<'_>, kernel: &Kernel) -> Option<String> {
    if matches!(errno, libc::EPERM | libc::EACCES) {
        let needed = kernel.machine.needed(std::iter::once(program.prog_type()));
        return Some(permission(errno, &needed, &kernel.machine));
    }
    if errno == libc::ENOSYS {
        return Some(kernel.machine.unknown_call("CONFIG_PERF_EVENTS"));
    }
    if let Some(help) = exhausted(errno) {
        return Some(help.to_owned());
    }
    let kind = section.split('/').next().unwrap_or_default();
    let target = section.split_once('/').map_or("", |(_, target)| target);
    if let Some(unknown) = unknown_kind(kind, errno, &kernel.machine) {
        return Some(unknown);
    }
    if let Some(later) = came_later(section, &kernel.machine) {
        return Some(later);
    }
    match kind {
        "tracepoint" | "tp" => tracepoint(target, kernel),
        "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" | "kprobe.multi" | "kretprobe.multi"
        | "kprobe.session" => Some(kprobe(target, kernel)),
        "raw_tracepoint" | "raw_tp" | "raw_tracepoint.w" | "raw_tp.w" if errno == libc::ENOENT => {
            Some(format!("this kernel has no raw tracepoint `{target}`"))
        }
        "perf_event" => Some(perf_event(errno).to_owned()),
        "xdp" | "xdp.frags" if errno == libc::EOPNOTSUPP => {
            Some("the interface's driver does no XDP: `mode: generic` works everywhere".to_owned())
        }
        "xdp" | "xdp.frags" if matches!(errno, libc::EBUSY | libc::EEXIST) => {
            Some("another XDP program is attached to the interface: `ip link show` names it".to_owned())
        }
        // Which one it is is the driver's secret.
        "xdp" | "xdp.frags" if !matches!(errno, libc::ENODEV | libc::ENOENT) => Some(
            "the interface's driver does no XDP as the interface is now (a large MTU, which SEC(\"xdp.frags\") may \
             take; too few queues; LRO): `mode: generic` works everywhere"
                .to_owned(),
        ),
        "tc" | "tcx" | "classifier" if errno == libc::EINVAL => Some(format!(
            "`mode: tcx` came with Linux 6.6, and this is {}; `mode: classic` works everywhere",
            kernel.machine.release
        )),
        "netkit" => Some(
            "the interface has to be the end on the host of a netkit pair, which Linux has since 6.7".to_owned(),
        ),
        "netfilter" if matches!(errno, libc::EBUSY | libc::EEXIST) => {
            Some("another program has this hook and priority: `priority` takes another number".to_owned())
        }
        "usdt" | "usdt.s" if errno == libc::ESRCH => {
            Some("include <bpf/usdt.bpf.h> in the C source and rebuild the object".to_owned())
        }
        _ if kind.starts_with("uprobe") || kind.starts_with("uretprobe") || kind.starts_with("usdt") => {
            Some(user_space(errno).to_owned())
        }
        _ if errno == libc::EOPNOTSUPP || errno == libc::EINVAL => {
            Some(format!("Linux {} may not know this way of attaching", kernel.machine.release))
        }
        _ => None,
    }
}

/// Ways to attach to many functions at once came late, and not every kernel is built with them.
/// A kernel that knows one says of a function that is missing something else than this.
fn unknown_kind(kind: &str, errno: i32, machine: &Machine) -> Option<String> {
    let (since, instead) = match kind {
        "kprobe.multi" => ((5, 18), "kprobe"),
        "kretprobe.multi" => ((5, 18), "kretprobe"),
        "kprobe.session" => ((6, 10), "kprobe"),
        "uprobe.multi" | "uprobe.multi.s" => ((6, 6), "uprobe"),
        "uretprobe.multi" | "uretprobe.multi.s" => ((6, 6), "uretprobe"),
        "uprobe.session" | "uprobe.session.s" => ((6, 13), "uprobe"),
        _ => return None,
    };
    let advice = match instead {
        "uprobe" | "uretprobe" => {
            format!("SEC(\"{instead}/...\") attaches to one function on older kernels too")
        }
        _ => format!(
            "SEC(\"{instead}\") takes patterns of `attach`, too, up to {MOST_FUNCTIONS} functions, on older kernels as well"
        ),
    };
    if machine.version() < since {
        let ((major, minor), release) = (since, &machine.release);
        return Some(format!("`{kind}` came with Linux {major}.{minor}, and this is {release}: {advice}"));
    }
    (errno == libc::EOPNOTSUPP)
        .then(|| format!("this kernel is built without `{kind}` ({}): {advice}", option_of(kind)))
}

/// The option that a kernel is built with which has a kind of hook.
fn option_of(kind: &str) -> &'static str {
    let options = SectionKind::of(kind).map_or(&[][..], |kind| kind.kernel_options(None));
    options.first().copied().unwrap_or_default()
}

fn kprobe(target: &str, kernel: &Kernel) -> String {
    if !kernel.kprobes {
        return format!("this kernel has no kprobes ({}): use a tracepoint instead", option_of("kprobe"));
    }
    // What libbpf tries beforehand hides that this is the reason.
    if kernel.machine.lockdown.as_deref() == Some("confidentiality") {
        return format!("use a tracepoint instead{}", kernel.machine.lockdown_note());
    }
    format!(
        "look for `{target}` in /proc/kallsyms: the function may have another name on this kernel, be inlined, or \
         lie in a module that is not loaded"
    )
}

/// What is wrong with a place in a file that has the function or probe.
fn user_space(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT => "the file must exist for the exporter: in a container that is below its own root",
        libc::ESRCH => "`pid` is the process's number where the exporter runs, and the process must be there",
        libc::EINVAL => "`offset` must lie in the file's code, at the beginning of an instruction",
        _ => {
            "the file must exist for the exporter (in a container: below its own root) and have the symbol or probe"
        }
    }
}

/// That this kernel cannot know the kind. Those of tc it attaches as filters, in the way of old.
fn came_later(section: &str, machine: &Machine) -> Option<String> {
    let kind = section.split('/').next().unwrap_or_default();
    if matches!(kind, "tc" | "tcx") { None } else { machine.came_later(section) }
}

/// Why it is not permitted. Files of tracefs, which only say where a tracepoint is, are refused by EACCES.
fn permission(errno: i32, needed: &[&'static str], machine: &Machine) -> String {
    let missing = machine.missing(needed);
    if !missing.is_empty() {
        return format!("{} missing: {}", missing.join(", "), machine.privilege_advice());
    }
    let note = machine.lockdown_note();
    if !machine.has_all() {
        let filter = if machine.filtered { ", or a seccomp filter refuses perf_event_open" } else { "" };
        return format!(
            "CAP_SYS_ADMIN may be missing (kernel.perf_event_paranoid), or files in tracefs are not readable{filter}{note}"
        );
    }
    match errno {
        _ if !note.is_empty() => format!("no capability is missing{note}"),
        libc::EPERM => machine.refusal(),
        _ => "files in tracefs are not readable: CAP_DAC_READ_SEARCH may be missing".to_owned(),
    }
}

fn tracepoint(target: &str, kernel: &Kernel) -> Option<String> {
    let Some(tracefs) = kernel.tracefs else {
        return Some(
            "tracefs is not mounted: `mount -t tracefs tracefs /sys/kernel/tracing` (in a container: mount the \
             host's /sys/kernel/tracing there)"
                .to_owned(),
        );
    };
    if !target.contains('/') {
        return Some("a section names category and tracepoint: `tracepoint/<category>/<name>`".to_owned());
    }
    let events = Path::new(tracefs).join("events");
    if events.join(target).exists() {
        return None;
    }
    let missing = format!("this kernel has no tracepoint `{target}`: see {}", events.display());
    Some(match closest(&events, target) {
        Some(other) => format!("{missing}; did you mean `{other}`?"),
        None => missing,
    })
}

/// The tracepoint whose name is most like this one: in the same category, or of the same name in another.
fn closest(events: &Path, target: &str) -> Option<String> {
    let (category, name) = target.split_once('/')?;
    let entries = |path: &Path| -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let likeness = |other: &String| strsim::jaro_winkler(name, other);
    let best = entries(&events.join(category))
        .into_iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
        .filter(|other| likeness(other) > 0.8);
    best.map(|name| format!("{category}/{name}")).or_else(|| {
        let mut elsewhere =
            entries(events).into_iter().filter(|other| events.join(other).join(name).exists());
        elsewhere.next().map(|category| format!("{category}/{name}"))
    })
}

fn perf_event(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV => {
            "this machine has no such event: virtual machines often have no hardware counters; \
             type=1,config=0 (the CPU clock) exists everywhere"
        }
        libc::EINVAL => "the frequency may be above the sysctl kernel.perf_event_max_sample_rate",
        libc::EMFILE => "more descriptors are needed than `ulimit -n` allows: one for each CPU",
        _ => "see perf_event_open(2) for this error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_the_kernel_does_not_know_are_told_from_missing_functions() {
        #[track_caller]
        fn check(kind: &str, errno: i32, release: &str, expected: Option<&str>) {
            let machine = Machine { release: release.into(), ..Machine::default() };
            let advice = unknown_kind(kind, errno, &machine);
            assert_eq!(advice.is_some(), expected.is_some(), "{advice:?}");
            assert!(advice.unwrap_or_default().contains(expected.unwrap_or_default()), "{kind} {release}");
        }
        let old = Some("came with Linux 5.18, and this is 5.10.0-46-amd64: SEC(\"kprobe\") takes patterns");
        check("kprobe.multi", libc::EINVAL, "5.10.0-46-amd64", old);
        check("kretprobe.multi", libc::EINVAL, "5.15.0", Some("SEC(\"kretprobe\") takes patterns"));
        check("kprobe.multi", libc::EOPNOTSUPP, "6.1.0-56-amd64", Some("CONFIG_FPROBE"));
        check("kprobe.multi", libc::EINVAL, "6.12.1", None);
        check("kprobe.multi", libc::ESRCH, "6.12.1", None);
        check("kprobe.session", libc::EINVAL, "6.1.0", Some("6.10"));
        check("uprobe.multi.s", libc::EINVAL, "6.1.0", Some("6.6"));
        check("uprobe.session", libc::EINVAL, "6.12.0", Some("6.13"));
        check("kprobe", libc::EOPNOTSUPP, "5.10.0", None);
    }

    #[test]
    fn who_refuses_follows_from_what_the_process_has() {
        use caps::Capability::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN};
        #[track_caller]
        fn check(errno: i32, has: &[caps::Capability], filtered: bool, expected: &str, never: &str) {
            let effective = has.iter().copied().collect();
            let machine = Machine { release: "6.1.0".into(), effective, filtered, ..Machine::default() };
            let said = permission(errno, &["CAP_BPF", "CAP_PERFMON"], &machine);
            assert!(said.contains(expected) && !said.contains(never), "{said}");
        }
        let filter = "no capability is missing, so something else refuses: the seccomp filter";
        check(libc::EPERM, &[CAP_SYS_ADMIN], true, filter, "CAP_");
        check(libc::EPERM, &[CAP_SYS_ADMIN], false, "a security module such as SELinux", "CAP_");
        check(libc::EACCES, &[CAP_SYS_ADMIN], true, "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN");
        check(libc::EPERM, &[CAP_BPF], true, "CAP_PERFMON missing", "seccomp");
        let few = [CAP_BPF, CAP_PERFMON];
        check(libc::EPERM, &few, true, "tracefs are not readable, or a seccomp filter", "locked");
        check(libc::EPERM, &few, false, "CAP_SYS_ADMIN may be missing", "seccomp");
    }

    #[test]
    fn a_tracepoint_like_the_missing_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["sched/sched_switch", "sched/sched_wakeup", "block/block_rq_issue"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let check = |target: &str, expected: Option<&str>| {
            assert_eq!(closest(folder.path(), target).as_deref(), expected, "{target}");
        };
        check("sched/sched_swich", Some("sched/sched_switch"));
        check("sched/block_rq_issue", Some("block/block_rq_issue"));
        check("sched/zzz", None);
        check("nowhere/at_all", None);
        check("sched", None);
    }
}
