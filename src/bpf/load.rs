//! From checked bytes to programs and maps in the kernel, of which none is attached yet.

use std::ffi::OsStr;
use std::path::Path;

use libbpf_rs::{Object, ObjectBuilder, OpenObject, ProgramType};

use crate::elf::SectionKind;
use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::LoadSpec;

use super::explain::{self, Failure, Machine, OpenProgramFacts};
use super::select::{Candidate, Selection};
use super::{Options, attach, globals, kconfig, kernel_types, log, maps, operations, possible, raw};

/// Opens and loads a config's object; nothing is attached yet. What `selection` says is not decided anew.
/// `adapt` may change the object before the load.
///
/// Of a program that is optional or has a next alternative a refused load is no problem: it is
/// switched off and the rest is loaded again, each time with one program less.
///
/// # Errors
/// Why it cannot be loaded: nothing of it is in the kernel then.
pub(super) fn into_kernel(
    spec: &LoadSpec,
    host: &Host,
    options: &Options,
    mut selection: Option<Selection>,
    adapt: &impl Fn(&mut OpenObject) -> Result<(), Vec<Problem>>,
) -> Result<(Object, Selection), Vec<Problem>> {
    if options.debug {
        log::want_debug();
    }
    loop {
        let (result, log) = log::capture(|| {
            kernel_types::loading(|| open_and_load(spec, host, options, &mut selection, adapt))
        });
        for reason in log.reasons() {
            tracing::debug!(config = spec.name, "libbpf: {reason}");
        }
        let mut known = selection.unwrap_or_default();
        match result {
            Ok(object) => return Ok((object, known)),
            Err(Stopped::Known(problems)) => return Err(problems),
            Err(Stopped::Failed(failure)) => {
                let problem = explain::failure(&failure, &log, spec, &Machine::look(host));
                let problem = known.because_of_its_kind(problem, spec, host);
                let failed = blamed(&problem, &known).ok_or_else(|| vec![known.after_others(problem)])?;
                give_up(spec, &mut known, vec![failed]);
            }
        }
        selection = Some(known);
    }
}

impl Selection {
    /// Adds to a refusal what its program's kind of section has to say: that the kernel does not know it, or that
    /// it is for others to load.
    fn because_of_its_kind(&self, problem: Problem, spec: &LoadSpec, host: &Host) -> Problem {
        let wanted =
            |section: &str| problem.place.program.as_deref().is_none_or(|own| self.has(own, section));
        let sections = self.sections().filter(|(name, section)| self.is_wanted(name) && wanted(section));
        let reasons = sections.filter_map(|(name, section)| {
            let setting = spec.programs.iter().find(|setting| setting.name == name);
            let attach = setting.and_then(|setting| setting.attach.as_ref());
            if let Err(reason) = possible::hook(section, attach, host) {
                return Some(format!("`{name}`: {reason}"));
            }
            // Of the kinds that others attach, this one does not even load without them.
            let kind = SectionKind::of(section).filter(|kind| kind.program_type == "ext")?;
            kind.why_elsewhere().map(|why| format!("`{name}`: {why}"))
        });
        match reasons.collect::<Vec<_>>().join("; ") {
            reasons if reasons.is_empty() => problem,
            reasons => problem.help(reasons),
        }
    }
}

impl Selection {
    /// Adds to what is wrong with an alternative why those before it were left out: that may be what can be helped.
    pub(super) fn after_others(&self, mut problem: Problem) -> Problem {
        let Some(name) = &problem.place.program else { return problem };
        let others: Vec<String> =
            self.given_up_before(name).map(|(other, reason)| format!("`{other}` ({reason})")).collect();
        if !others.is_empty() {
            problem.message =
                format!("{}; `choose` came to `{name}` after {}", problem.message, others.join(", "));
        }
        problem
    }
}

/// A program and why it failed.
pub(super) type FailedProgram = (String, String);

/// The program that a load failed over, if the config is whole without it. A capability that is
/// missing is nothing that this machine does not support.
fn blamed(problem: &Problem, selection: &Selection) -> Option<FailedProgram> {
    let name = problem.place.program.as_ref()?;
    let is_its_own = problem.place.map.is_none() && problem.code != "privilege";
    let may_go = selection.is_wanted(name) && (selection.is_optional(name) || selection.has_next(name));
    (is_its_own && may_go).then(|| (name.clone(), problem.message.clone()))
}

/// Leaves programs out of the next try.
pub(super) fn give_up(spec: &LoadSpec, selection: &mut Selection, failed: Vec<FailedProgram>) {
    for (program, reason) in failed {
        tracing::info!(config = spec.name, program, reason, "left out");
        selection.give_up(&program, reason);
    }
}

enum Stopped {
    Known(Vec<Problem>),
    Failed(Failure),
}

fn open_and_load(
    spec: &LoadSpec,
    host: &Host,
    options: &Options,
    selection: &mut Option<Selection>,
    adapt: &impl Fn(&mut OpenObject) -> Result<(), Vec<Problem>>,
) -> Result<Object, Stopped> {
    let mut builder = ObjectBuilder::default();
    let opening = |error: libbpf_rs::Error| Stopped::Failed(Failure::Open(explain::errno_of(&error)));
    builder.name(&spec.name).map_err(opening)?;
    if let Some(path) = &options.btf_path {
        readable(path, spec).map_err(|problem| Stopped::Known(vec![*problem]))?;
        builder.btf_custom_path(path).map_err(opening)?;
    }
    if let Some(root) = &options.pin_root {
        builder.pin_root_path(root).map_err(opening)?;
    }
    let kernel_options = kconfig::text(spec, host).map_err(|problem| Stopped::Known(vec![*problem]))?;
    let mut object = match &kernel_options {
        None => builder.open_memory(&spec.object_bytes).map_err(opening)?,
        Some(text) => raw::open_with_kernel_configuration(&builder, &spec.object_bytes, text)
            .map_err(|error| Stopped::Failed(Failure::Open(error.raw_os_error().unwrap_or_default())))?,
    };
    attach::set_types(&mut object);
    let selection = selection.get_or_insert_with(|| select(spec, host, &object));
    for mut program in object.progs_mut() {
        let wanted = selection.is_wanted(&program.name().to_string_lossy());
        program.set_autoload(wanted);
    }
    attach::set_functions(&mut object, spec).map_err(|failed| no_function(spec, failed))?;
    maps::set_options(&mut object, spec).map_err(Stopped::Known)?;
    globals::set_values(&mut object, spec).map_err(Stopped::Known)?;
    globals::set_addresses(&mut object, spec, host).map_err(Stopped::Known)?;
    adapt(&mut object).map_err(Stopped::Known)?;
    maps::make_mappable(&mut object);
    let (programs, linked) = (facts(&object), operations::linked(&object));
    let btf_path = options.btf_path.clone();
    object.load().map_err(|error| {
        Stopped::Failed(Failure::Load { errno: explain::errno_of(&error), programs, linked, btf_path })
    })
}

/// A program's function or tracepoint is not in the kernel's BTF.
fn no_function(spec: &LoadSpec, (program, target, errno): (String, String, i32)) -> Stopped {
    let message = format!("`{program}` cannot be loaded for `{target}`: the kernel's BTF does not have it");
    let place = Place {
        config: Some(spec.name.clone()),
        path: format!("programs.{program}.attach"),
        program: Some(program),
        ..Place::default()
    };
    let problem = Problem::error("attach-target", place, message)
        .expected("a function, tracepoint or LSM hook of the running kernel or of a loaded module")
        .found(explain::errno_text(errno))
        .help("`bpftool btf dump file /sys/kernel/btf/vmlinux` lists them; `optional: true` leaves the program out");
    Stopped::Known(vec![problem])
}

fn readable(path: &Path, spec: &LoadSpec) -> Result<(), Box<Problem>> {
    // A pipe would be waited for, a device read for ever.
    let opened = std::fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => std::fs::File::open(path).map(drop),
        false => Err(std::io::Error::other("not a file")),
    });
    opened.map_err(|error| {
        let place = Place { config: Some(spec.name.clone()), ..Place::default() };
        let message = format!("the kernel's BTF cannot be read from {}", path.display());
        Problem::error("btf-path", place, message)
            .expected("a file of raw BTF, or an ELF file with a .BTF section")
            .found(error.to_string())
            .help("correct --btf.path, or leave it out on kernels that have /sys/kernel/btf/vmlinux")
            .into()
    })
}

fn facts(object: &OpenObject) -> Vec<OpenProgramFacts> {
    object
        .progs()
        .filter(|program| program.autoload())
        .map(|program| OpenProgramFacts {
            name: program.name().to_string_lossy().into_owned(),
            section: program.section().to_string_lossy().into_owned(),
            kind: program.prog_type(),
        })
        .collect()
}

/// What is to be loaded by the config, and by what this machine can do.
fn select(spec: &LoadSpec, host: &Host, object: &OpenObject) -> Selection {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let candidate = |program: libbpf_rs::OpenProgram<'_>| Candidate {
        name: text(program.name()),
        section: text(program.section()).trim_start_matches('?').to_owned(),
        autoload: program.autoload(),
    };
    let mut selection = Selection::new(spec, object.progs().map(candidate).collect());
    selection.foresee(|candidate| {
        let mut programs = object.progs();
        let program = programs.find(|program| *program.name() == *candidate.name);
        let kind = program.map_or(ProgramType::Unspec, |program| program.prog_type());
        let setting = spec.programs.iter().find(|setting| setting.name == candidate.name);
        let attach = setting.and_then(|setting| setting.attach.as_ref());
        let section = attach::effective_section(&candidate.section, attach);
        let outcome = possible::hook(&candidate.section, attach, host)
            .and_then(|()| possible::possible(&section, kind, host));
        if let Err(reason) = &outcome {
            tracing::info!(config = spec.name, program = candidate.name, reason, "left out");
        }
        outcome
    });
    selection
}
