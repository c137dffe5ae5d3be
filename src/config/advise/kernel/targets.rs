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

/// What a section's target is in the kernel's types.
fn wanted(section: &SectionKind, target: &str) -> Option<(&'static str, String, Kind)> {
    let bare = target.rsplit(':').next().unwrap_or(target);
    Some(match section.prefix() {
        "tp_btf" | "raw_tp" | "raw_tracepoint" | "raw_tp.w" | "raw_tracepoint.w" => {
            ("tracepoint", format!("btf_trace_{bare}"), Kind::Typedef)
        }
        "fentry" | "fexit" | "fmod_ret" | "fsession" | "fentry.s" | "fexit.s" | "fmod_ret.s"
        | "fsession.s" => ("function", bare.to_owned(), Kind::Func),
        "lsm" | "lsm.s" | "lsm_cgroup" => ("LSM hook", format!("bpf_lsm_{bare}"), Kind::Func),
        "iter" | "iter.s" => ("iterator", format!("bpf_iter_{bare}"), Kind::Func),
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
    let (what, name, kind) = wanted(&section, target)?;
    if kernel.has(&name, kind) {
        return None;
    }
    let message = format!("{} has no {what} `{target}`, where `{}` attaches", kernel.name, program.name);
    let mut problem = kernel.lacks("missing-target", subject.program_place(&program.name), message);
    let prefix = name.strip_suffix(target).unwrap_or_default().to_owned();
    let names = kernel.by_name.keys().filter_map(|known| known.strip_prefix(&prefix));
    problem.help = suggest::closest(target, names)
        .filter(|_| !prefix.is_empty())
        .map(|name| format!("did you mean `{name}`?"))
        .or_else(|| {
            Some(format!("use one that it has, or switch the program off with SEC(\"?{}\")", program.section))
        });
    Some(problem)
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
