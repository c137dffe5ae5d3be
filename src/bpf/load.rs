//! From checked bytes to programs at work in the kernel.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use libbpf_rs::{MapCore, Object, ObjectBuilder, OpenObject};

use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::snapshot::NamedSource;
use crate::spec::LoadSpec;

use super::explain::{self, Failure, Machine, OpenProgramFacts};
use super::loaded::{Attachments, Held, Loaded};
use super::programs::{LoadedProgram, ProgramTable};
use super::read::MapSource;
use super::{Options, attach, globals, log, raw};

/// Loads a config's object and attaches its programs.
///
/// A program that cannot be attached costs only itself: see [`Loaded::problems`].
///
/// # Errors
/// Why the config cannot be loaded: nothing of it is in the kernel then.
pub fn load(spec: &LoadSpec, host: &Host, options: &Options) -> Result<Loaded, Vec<Problem>> {
    let object = into_kernel(spec, host, options, |_| ())?;
    Ok(attach_all(spec, host, object))
}

/// Loads a config's object and attaches nothing; `prepare` may change it before.
///
/// # Errors
/// Why it cannot be loaded.
pub(super) fn into_kernel(
    spec: &LoadSpec,
    host: &Host,
    options: &Options,
    prepare: impl FnOnce(&mut OpenObject),
) -> Result<Object, Vec<Problem>> {
    if options.debug {
        log::want_debug();
    }
    let (result, log) = log::capture(|| open_and_load(spec, host, options, prepare));
    let object = result.map_err(|error| match error {
        Stopped::Known(problems) => problems,
        Stopped::Failed(failure) => vec![explain::failure(&failure, &log, spec, &Machine::look(host))],
    })?;
    for reason in log.reasons() {
        tracing::debug!(config = spec.name, "libbpf: {reason}");
    }
    Ok(object)
}

enum Stopped {
    Known(Vec<Problem>),
    Failed(Failure),
}

fn open_and_load(
    spec: &LoadSpec,
    host: &Host,
    options: &Options,
    prepare: impl FnOnce(&mut OpenObject),
) -> Result<Object, Stopped> {
    let mut builder = ObjectBuilder::default();
    let opening = |error: libbpf_rs::Error| Stopped::Failed(Failure::Open(explain::errno_of(&error)));
    builder.name(&spec.name).map_err(opening)?;
    if let Some(path) = &options.btf_path {
        readable(path, spec).map_err(|problem| Stopped::Known(vec![*problem]))?;
        builder.btf_custom_path(path).map_err(opening)?;
    }
    let mut object = builder.open_memory(&spec.object_bytes).map_err(opening)?;
    attach::set_types(&mut object);
    globals::set_addresses(&mut object, spec, host).map_err(Stopped::Known)?;
    prepare(&mut object);
    let programs = facts(&object);
    let btf_path = options.btf_path.clone();
    object.load().map_err(|error| {
        Stopped::Failed(Failure::Load { errno: explain::errno_of(&error), programs, btf_path })
    })
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

fn attach_all(spec: &LoadSpec, host: &Host, object: Object) -> Loaded {
    let mut attachments = Attachments::default();
    let mut table = ProgramTable::default();
    let (mut unattached, mut problems) = (Vec::new(), Vec::new());
    for program in object.progs_mut() {
        // `SEC("?...")` was not loaded: it is left alone.
        let Some(descriptor) = raw::program_fd(&program) else { continue };
        let name = program.name().to_string_lossy().into_owned();
        let outcome = attach::attach(&program, host);
        let attached = outcome.is_ok();
        match outcome {
            Ok(attached) => attachments.add(attached),
            Err(error) => {
                problems.push(explain::attachment(error, spec, &name, &program, host));
                unattached.push(name.clone());
            }
        }
        match descriptor.try_clone_to_owned() {
            Ok(descriptor) => table.programs.push(LoadedProgram { name, attached, descriptor }),
            Err(error) => tracing::warn!(config = spec.name, program = name, %error, "no statistics of it"),
        }
    }
    let maps = sources(spec, &object);
    let held = Held { links: attachments, maps, object };
    Loaded { name: spec.name.clone(), held, programs: Arc::new(table), unattached, problems }
}

/// Sources for all maps that can be read whole.
fn sources(spec: &LoadSpec, object: &Object) -> Vec<NamedSource> {
    let mut sources = Vec::new();
    for map in object.maps() {
        let name = map.name().to_string_lossy().into_owned();
        match map.as_fd().try_clone_to_owned().and_then(MapSource::new) {
            Ok(source) => sources.push(NamedSource { map: name, source: Arc::new(source) }),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(error) => tracing::warn!(config = spec.name, map = name, %error, "the map cannot be read"),
        }
    }
    sources
}
