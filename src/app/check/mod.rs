//! `bpftally check`: all that is wrong with configs and their objects, without serving them.

mod report;
mod targets;

use std::cell::OnceCell;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use self::report::{ConfigReport, Report};
use self::targets::Folder;
use crate::bpf;
use crate::cli::CheckOptions;
use crate::config::advise::{self, Kernel};
use crate::config::{self, ConfigFile};
use crate::host::{Host, Roots};
use crate::problem::{Problem, Severity};
use crate::spec::Spec;

/// Something is wrong with what was checked.
const PROBLEMS: u8 = 1;

/// The command itself makes no sense.
const WRONG_USAGE: u8 = 2;

/// Checks what the options name and tells on standard output what is wrong.
///
/// # Errors
/// When the report cannot be written.
pub fn check(options: &CheckOptions) -> anyhow::Result<ExitCode> {
    let checker = Checker::new(options);
    let folders = match checker.usable().and_then(|()| targets::collect(&options.paths)) {
        Ok(folders) => folders,
        Err(message) => {
            writeln!(std::io::stderr(), "error: {message}")?;
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let report = Report { configs: folders.into_iter().flat_map(|folder| checker.folder(folder)).collect() };
    match std::io::stdout().lock().write_all(report.render(options.format).as_bytes()) {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    let tolerated = if options.strict { Severity::Note } else { Severity::Warning };
    let is_good = report.worst().is_none_or(|worst| worst <= tolerated);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(PROBLEMS) })
}

struct Checker<'a> {
    options: &'a CheckOptions,
    how: config::Options,
    /// CPUs that the machine can have.
    cpus: usize,
    /// The kernel that the objects are meant for; none where its types are not to be had.
    kernel: OnceCell<Option<Kernel>>,
}

impl<'a> Checker<'a> {
    fn new(options: &'a CheckOptions) -> Self {
        let host = Arc::new(
            Host::new(Roots::default())
                .with_kernel_btf(options.btf.clone())
                .with_kernel_configuration(options.kconfig.clone())
                .with_pins(Arc::new(bpf::Pins::default())),
        );
        let cpus = host.possible_cpus().map_or(1, |cpus| cpus.len());
        let how = config::Options {
            namespace: options.namespace.clone(),
            max_series: options.max_series,
            object_dir: options.object_dir.clone(),
            host,
            insecure: config::Insecure::Allowed,
        };
        Self { options, how, cpus, kernel: OnceCell::new() }
    }

    /// Whether what the options name can be used.
    fn usable(&self) -> Result<(), String> {
        if let Some(path) = &self.options.btf {
            let found = self.how.host.kernel_types();
            found.map_err(|error| {
                format!("--btf={}: the kernel's types cannot be read: {error}", path.display())
            })?;
        }
        if let Some(path) = &self.options.kconfig {
            let found = self.how.host.kernel_build();
            found.map_err(|error| {
                format!("--kconfig={}: the kernel's configuration cannot be used: {error}", path.display())
            })?;
        }
        Ok(())
    }

    /// Checks the configs of a folder, each by itself and all with each other.
    fn folder(&self, folder: Folder) -> Vec<ConfigReport> {
        let (mut specs, mut reports): (Vec<Option<Spec>>, Vec<ConfigReport>) =
            folder.files.iter().map(|file| self.config(file)).unzip();
        let mut all: Vec<Spec> = specs.iter_mut().filter_map(Option::take).collect();
        let conflicts = config::settle_families(&mut all);
        // What is refused without the kernel would be refused again by it.
        let is_good = |spec: &&Spec| reports.iter().any(|report| report.is_loadable(&spec.load.name));
        let loaded = if self.options.load { self.load(all.iter().filter(is_good)) } else { Vec::new() };
        let late = folder.problems.into_iter().chain(conflicts).chain(loaded);
        for problem in late {
            report::add(&mut reports, problem);
        }
        reports.iter_mut().for_each(ConfigReport::settle);
        reports
    }

    /// Its types are read when the first object asks for them.
    fn kernel(&self) -> Option<&Kernel> {
        let read = || {
            let types = self.how.host.kernel_types().ok()?;
            let name = match &self.options.btf {
                Some(path) => format!("the kernel of {}", path.display()),
                None => "the running kernel".to_owned(),
            };
            let kernel = Kernel::new(types, name.clone(), self.options.btf.is_some());
            let (name, given) = match &self.options.kconfig {
                Some(path) if self.options.btf.is_none() => {
                    (format!("the kernel of {}", path.display()), true)
                }
                Some(_) => (name, true),
                // The running kernel's says nothing of another one.
                None if self.options.btf.is_some() => return Some(kernel),
                None => (name, false),
            };
            Some(match self.how.host.kernel_build() {
                Ok(build) => kernel.built(build, name, given),
                Err(_) => kernel,
            })
        };
        self.kernel.get_or_init(read).as_ref()
    }

    fn config(&self, file: &ConfigFile) -> (Option<Spec>, ConfigReport) {
        let mut examined = config::examine(file, &self.how);
        let spec = examined.checked.spec.take();
        let mut report = ConfigReport::new(file, examined.text, examined.checked.problems);
        if let Some((path, info)) = &mut examined.object {
            if let Some(spec) = &spec {
                advise::apply_settings(info, &spec.load);
            }
            let subject = advise::Subject {
                file,
                object: path,
                info,
                spec: spec.as_ref(),
                cpus: self.cpus,
                kernel: self.kernel(),
            };
            report.advice = advise::advise(&subject);
            report.needs = spec.is_some().then(|| advise::needs(&subject));
        }
        (spec, report)
    }

    /// Has the kernel load every object; a note for each program that it takes, and what it refuses.
    fn load<'s>(&self, specs: impl Iterator<Item = &'s Spec>) -> Vec<Problem> {
        let options = bpf::Options { btf_path: self.options.btf.clone(), ..bpf::Options::default() };
        let load = |spec: &Spec| match bpf::verify(&spec.load, &self.how.host, &options) {
            Ok(programs) => programs.iter().map(|program| report::verified(&spec.load, program)).collect(),
            Err(problems) => problems,
        };
        specs.flat_map(load).collect()
    }
}
