//! Functions, tracepoints and symbols of the kernel that programs name.

use std::collections::BTreeSet;

use super::{Kernel, Subject, essential};
use crate::btf::{Kind, TypeId};
use crate::config::suggest;
use crate::elf::{ExternKind, ProgramInfo, SectionKind};
use crate::host::{MOST_FUNCTIONS, Pattern, pattern_of_functions};
use crate::problem::Problem;
use crate::spec::Attach;

pub(super) fn advise(subject: &Subject<'_>, kernel: &Kernel, programs: &[&ProgramInfo]) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        programs.iter().filter_map(|program| missing_target(subject, kernel, program)).collect();
    problems.extend(missing_externs(subject, kernel));
    problems
}

/// Tracepoints that somebody makes while the kernel runs, or that are none: its types do not have them. Those of
/// `perf probe` are in `probe`, and in one for each file.
const MADE: [&str; 9] = [
    "ftrace",
    "kprobes",
    "uprobes",
    "eprobes",
    "fprobes",
    "tracepoints",
    "synthetic",
    "user_events",
    "probe",
];

/// What the functions of system calls begin with, on the architectures that there are. Of one without arguments x86 has
/// the last one alone: the others are further names of it.
const CALLS: [&str; 5] = ["__x64_sys_", "__arm64_sys_", "__se_sys_", "sys_", "__do_sys_"];

/// What a section's target is in the kernel's types.
struct Wanted<'t> {
    what: &'static str,
    /// The part of the target that is its name.
    name: &'t str,
    /// What stands before that name in the types: one of these.
    prefixes: &'static [&'static str],
    kind: Kind,
    /// Whether a module that is not loaded may have it.
    may_be_elsewhere: bool,
    /// Whether the kernel attaches it without a look at its types, so that they may have none of this sort at all: before
    /// Linux 5.5, or where they were tailored to an object.
    without_types: bool,
}

fn wanted<'t>(section: &SectionKind, target: &'t str) -> Option<Wanted<'t>> {
    let name = target.rsplit(':').next().unwrap_or(target);
    let one = |what, prefixes, kind| Wanted {
        what,
        name,
        prefixes,
        kind,
        may_be_elsewhere: false,
        without_types: false,
    };
    let call = || Wanted { without_types: true, ..one("system call", &CALLS, Kind::Func) };
    let tracepoint = || one("tracepoint", &["btf_trace_"], Kind::Typedef);
    Some(match section.prefix() {
        "tracepoint" | "tp" => match target.split_once('/')? {
            (category, _) if MADE.contains(&category) || category.starts_with("probe_") => return None,
            ("syscalls", traced) => {
                let name = traced.strip_prefix("sys_enter_").or_else(|| traced.strip_prefix("sys_exit_"))?;
                Wanted { name, ..call() }
            }
            (_, name) => Wanted { name, may_be_elsewhere: true, without_types: true, ..tracepoint() },
        },
        "ksyscall" | "kretsyscall" => call(),
        "raw_tp" | "raw_tracepoint" | "raw_tp.w" | "raw_tracepoint.w" => {
            Wanted { without_types: true, ..tracepoint() }
        }
        "tp_btf" => tracepoint(),
        "fentry" | "fexit" | "fmod_ret" | "fsession" | "fentry.s" | "fexit.s" | "fmod_ret.s"
        | "fsession.s" => one("function", &[""], Kind::Func),
        "lsm" | "lsm.s" | "lsm_cgroup" => one("LSM hook", &["bpf_lsm_"], Kind::Func),
        "iter" | "iter.s" => one("iterator", &["bpf_iter_"], Kind::Func),
        _ => return None,
    })
}

fn missing_target(subject: &Subject<'_>, kernel: &Kernel, program: &ProgramInfo) -> Option<Problem> {
    let section = SectionKind::of(&program.section)?;
    let by_config = subject.attach(program).and_then(Attach::target);
    let target = by_config.or_else(|| section.target(&program.section))?;
    if let Some(pattern) = pattern_of_functions(&program.section, target) {
        return matching(subject, kernel, program, &pattern);
    }
    let wanted = wanted(&section, target)?;
    let has = |prefix: &&str| kernel.has(&format!("{prefix}{}", wanted.name), wanted.kind);
    if wanted.prefixes.iter().any(has) {
        return None;
    }
    // Names without a prefix are those of all types that there are.
    let is_kind =
        |id: &TypeId| kernel.types.btf().type_by_id(*id).is_ok_and(|found| found.kind() == wanted.kind);
    let known = kernel.by_name.iter().filter(|(_, ids)| ids.iter().any(is_kind)).map(|(name, _)| &**name);
    let behind = |known| wanted.prefixes.iter().find_map(|prefix| str::strip_prefix(known, prefix));
    let mut known = known.filter_map(behind).peekable();
    if wanted.without_types && known.peek().is_none() {
        return None;
    }
    let message = format!(
        "{} has no {} `{}`, where `{}` attaches",
        kernel.name, wanted.what, wanted.name, program.name
    );
    let place = subject.program_place(&program.name);
    let problem = if wanted.may_be_elsewhere {
        Problem::warning("missing-target", place, message)
    } else {
        kernel.lacks("missing-target", place, message)
    };
    let closest = suggest::closest(wanted.name, known);
    let help = match closest {
        Some(name) => format!("did you mean `{name}`?"),
        None if wanted.may_be_elsewhere => format!(
            "load the module that has it, or correct the name: `ls /sys/kernel/tracing/events` shows them; `{}` may be \
             optional",
            program.name
        ),
        None => format!("use one that it has, or switch the program off with SEC(\"?{}\")", program.section),
    };
    Some(problem.help(help))
}

/// Of a pattern of functions it has none, or more than a program is attached to. Not all that the types describe take
/// probes, so that more is a guess.
fn matching(
    subject: &Subject<'_>,
    kernel: &Kernel,
    program: &ProgramInfo,
    pattern: &Pattern,
) -> Option<Problem> {
    let target = pattern.text();
    // The index alone: what it does not have is looked for in all types, once for each name.
    let is_function =
        |id: &TypeId| kernel.types.btf().type_by_id(*id).is_ok_and(|found| found.kind() == Kind::Func);
    let functions =
        || kernel.by_name.iter().filter(|(_, ids)| ids.iter().any(is_function)).map(|(name, _)| &**name);
    let place = || subject.program_place(&program.name);
    match functions().filter(|name| pattern.matches(name)).count() {
        0 => {
            let name = &program.name;
            let message =
                format!("{} has no function that matches `{target}`, where `{name}` attaches", kernel.name);
            let bare = target.replace(['*', '?'], "");
            let closest = suggest::closest(&bare, functions());
            let problem = kernel.lacks("missing-target", place(), message);
            Some(match closest {
                Some(closest) => problem.help(format!("the closest one is `{closest}`")),
                None => problem.help("correct the pattern, or mark the program `optional: true`"),
            })
        }
        count if count > MOST_FUNCTIONS => {
            let message = format!("{} has {count} functions that match `{target}`", kernel.name);
            let problem = Problem::warning("many-targets", place(), message);
            let problem = problem.expected(format!("at most {MOST_FUNCTIONS} for `{}`", program.section));
            Some(problem.help("a narrower pattern, or SEC(\"kprobe.multi\"), which takes any number at once"))
        }
        _ => None,
    }
}

/// Functions and variables that libbpf looks for in the kernel's types, but for weak ones.
fn missing_externs(subject: &Subject<'_>, kernel: &Kernel) -> Vec<Problem> {
    let mut told = BTreeSet::new();
    let externs = subject.info.externs.iter().filter(|wanted| !wanted.weak);
    let missing = externs.filter_map(|wanted| {
        let name = essential(&wanted.name);
        let (what, kind) = match wanted.kind {
            ExternKind::KernelFunction => ("function", Kind::Func),
            ExternKind::KernelVariable => ("variable", Kind::Var),
            ExternKind::Kconfig | ExternKind::KernelSymbol => return None,
        };
        if kernel.has(name, kind) || !told.insert(name) {
            return None;
        }
        let message = format!("{} has no {what} `{name}`, which the object wants", kernel.name);
        let problem = kernel.lacks("missing-symbol", subject.object_place(), message);
        Some(problem.help("declare it __weak in the C source and ask bpf_ksym_exists() before it is used"))
    });
    missing.collect()
}
