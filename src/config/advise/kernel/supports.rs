//! Kinds of maps and programs, ways to attach, and helpers, by the kernel's own lists of them.

use super::{Kernel, Subject};
use crate::elf::{Helper, MapInfo, Need, ProgramInfo, SectionKind};
use crate::problem::{Place, Problem};
use crate::spec::{Attach, Tc, TcMode};

pub(super) fn advise(subject: &Subject<'_>, kernel: &Kernel, programs: &[&ProgramInfo]) -> Vec<Problem> {
    let info = subject.info;
    // A program that asks which helpers there are does without those that are not.
    let asks = super::core::asked(info).contains("bpf_func_id");
    let maps = info.maps.iter().filter_map(|map| {
        let missing = missing_map(kernel, map)?;
        Some(problem(
            kernel,
            subject.map_place(&map.name),
            &format!("map `{}`", map.name),
            missing,
            map.needs(),
        ))
    });
    let programs = programs.iter().filter_map(|program| {
        let missing = missing_program(kernel, program, subject.attach(program), asks)?;
        let place = subject.program_place(&program.name);
        let needs = info.program_needs(program);
        Some(problem(kernel, place, &format!("program `{}`", program.name), missing, needs))
    });
    maps.chain(programs).collect()
}

fn problem(kernel: &Kernel, place: Place, what: &str, missing: String, needs: Option<Need>) -> Problem {
    let message = format!("the {what} needs {missing}, which {} does not have", kernel.name);
    let problem = kernel.lacks("kernel-too-old", place, message);
    match needs {
        Some(need) => problem.expected(format!("Linux {} or later", need.kernel)),
        None => problem.expected("a later kernel"),
    }
}

fn missing_map(kernel: &Kernel, map: &MapInfo) -> Option<String> {
    let kinds = kernel.enumerators("bpf_map_type")?;
    let is_known =
        kinds.iter().any(|(name, value)| !name.starts_with("__") && *value == i128::from(map.kind.0));
    (!is_known).then(|| format!("maps of the kind {}", map.kind))
}

fn missing_program(
    kernel: &Kernel,
    program: &ProgramInfo,
    setting: Option<&Attach>,
    asks: bool,
) -> Option<String> {
    let section = SectionKind::of(&program.section)?;
    let needed = match setting {
        Some(Attach::Tc(Tc { mode: TcMode::Tcx, .. })) => Some("tcx_ingress"),
        // A filter does as well.
        Some(Attach::Tc(_)) => None,
        _ => section.needed_attach_type(),
    };
    let lacks = |list: &str, name: &str| {
        let known = kernel.enumerators(list);
        known.is_some_and(|known| !known.iter().any(|(known, _)| *known == name))
    };
    if lacks("bpf_prog_type", &format!("BPF_PROG_TYPE_{}", section.program_type.to_uppercase())) {
        return Some(format!("programs of the type {}", section.program_type));
    }
    if let Some(attach) = needed
        && lacks("bpf_attach_type", &format!("BPF_{}", attach.to_uppercase()))
    {
        return Some(format!("attaching by {attach}"));
    }
    missing_helper(kernel, program).filter(|_| !asks).map(|helper| format!("the helper {}", helper.name()))
}

/// A helper that the kernel does not know.
fn missing_helper(kernel: &Kernel, program: &ProgramInfo) -> Option<Helper> {
    let known = kernel.enumerators("bpf_func_id")?;
    let is_known = |number: u32| {
        known.iter().any(|(name, value)| !name.starts_with("__") && *value == i128::from(number))
    };
    program.helpers.iter().copied().find(|number| !is_known(*number)).map(Helper)
}
