//! YAML to spec: the files of a folder, what they say, and whether it fits their objects.
//!
//! Three steps, each of which tells everything that it finds: `yaml` makes a tree of
//! the text, `raw` makes typed data of the tree, `check` holds it against the object.
//! A problem of the file or the object costs the config, one of a metric that metric.
//! What the reference serves is never refused; what it silently tolerates is a warning.
//! `docs/config.md` describes the keys.

pub mod advise;
mod architecture;
mod check;
mod discover;
mod draft;
pub mod duration;
mod files;
mod findings;
mod origin;
mod raw;
mod rights;
mod schema;
mod suggest;
mod yaml;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use architecture::of_file as architecture_of;
pub use check::{is_namespace, settle_families, settle_in_order};
pub use discover::{ConfigFile, Discovered, discover, without_config};
pub use draft::draft;
pub use origin::Origin;
pub use rights::Insecure;
pub use schema::schema;

use self::findings::{Findings, Spot};
use crate::btf::Btf;
use crate::elf::ObjectInfo;
use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::{FromPin, LoadSpec, MetricSpec, Spec, ViewSpec};

/// What every config is read with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The prefix of metric names for configs without a `namespace`; empty for none.
    pub namespace: String,
    /// How many label sets a metric may have that does not say it; as many as there are when it is not given.
    pub max_series: Option<usize>,
    /// Where objects are looked for after the config's own folder.
    pub object_dir: Option<PathBuf>,
    /// The machine's names for decoders, and the running kernel's types for enums.
    pub host: Arc<Host>,
    /// What becomes of files that others can change.
    pub insecure: Insecure,
}

/// A config that was read and checked.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What can be served; none when the config as a whole is lost.
    pub spec: Option<Spec>,
    /// Everything that is wrong, warnings too, in the order of the file.
    pub problems: Vec<Problem>,
}

/// An object that was read.
#[derive(Clone, Copy, Debug)]
pub struct ObjectFile<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its bytes, which will be loaded.
    pub bytes: &'a Arc<[u8]>,
    /// What it says of itself.
    pub info: &'a ObjectInfo,
}

/// A config that was read, with what it was read from.
#[derive(Debug, Default)]
pub struct Examined {
    /// What can be served, and what is wrong.
    pub checked: Checked,
    /// The file's text; none when it could not be read as such.
    pub text: Option<String>,
    /// The object's file and what it says of itself; none when it could not be read.
    pub object: Option<(PathBuf, ObjectInfo)>,
    /// What it was read from.
    pub origin: Origin,
}

/// Reads a config with its object and checks the one against the other.
#[must_use]
pub fn read(file: &ConfigFile, options: &Options) -> Checked {
    examine(file, options).checked
}

/// The same for those who want to look at text, object and files, too.
#[must_use]
pub fn examine(file: &ConfigFile, options: &Options) -> Examined {
    let mut examined = Examined::default();
    examined.checked = examine_into(file, options, &mut examined);
    examined.checked.problems = sorted(std::mem::take(&mut examined.checked.problems));
    examined
}

fn examine_into(file: &ConfigFile, options: &Options, examined: &mut Examined) -> Checked {
    let refused = |problems| Checked { spec: None, problems };
    let opened = match files::config(file) {
        Ok(opened) => opened,
        Err(problem) => return refused(vec![*problem]),
    };
    examined.origin.found_config(&opened);
    let mut weak: Vec<Problem> = weak(options, file.place(), &opened).into_iter().collect();
    let text = match files::text(file, &opened.bytes) {
        Ok(text) => text,
        Err(problem) => return refused(vec![*problem]),
    };
    let text = &*examined.text.insert(text);
    let (raw, mut findings) = match parse(file, text) {
        Ok(parsed) => parsed,
        Err(problems) => return refused(problems),
    };
    examined.origin.found_object_name(raw.object.as_ref().map(|found| found.value.as_str()));
    let needs_none = check::Pins::are_in(&raw) && !files::has_object(file, raw.object.as_ref(), options);
    let read_object = |path: PathBuf| {
        let opened = files::object(file, &path)?;
        weak.extend(self::weak(options, files::object_place(file, &path), &opened));
        let bytes = examined.origin.found_object(&path, opened);
        let info = parse_object(file, &path, &bytes)?;
        Ok((path, bytes, info))
    };
    let loaded = match needs_none {
        true => Ok((PathBuf::new(), Arc::from([]), ObjectInfo::of_maps(Vec::new(), Btf::empty()))),
        false => files::find_object(file, raw.object.as_ref(), options).and_then(read_object),
    };
    let mut spec = None;
    let mut problems = match loaded {
        Ok((path, bytes, info)) => {
            let object = ObjectFile { path: &path, bytes: &bytes, info: &info };
            let pins;
            (spec, pins) = checked(file, &raw, &object, options, &mut findings);
            examined.origin.found_pins(needs_none, pins);
            examined.object = (!needs_none).then_some((path, info));
            findings.settle(text)
        }
        Err(problem) => {
            let mut problems = findings.settle(text);
            problems.push(*problem);
            problems
        }
    };
    let spec = spec.filter(|_| !weak.iter().any(Problem::is_error));
    problems.extend(weak);
    Checked { spec, problems }
}

/// What is said of a file that others can change.
fn weak(options: &Options, place: Place, opened: &files::Opened) -> Option<Problem> {
    rights::problem(options.insecure, place, opened.weakness.as_deref()?)
}

/// Reads an object without a config, by the config that is drafted for it.
#[must_use]
pub fn read_drafted(file: &ConfigFile, object: &Path, options: &Options) -> (Checked, Origin) {
    let mut origin = Origin::drafted();
    let mut read = || {
        let opened = files::object(file, object)?;
        let weak = weak(options, files::object_place(file, object), &opened);
        let bytes = origin.found_object(object, opened);
        let info = parse_object(file, object, &bytes)?;
        let name = object.file_name().unwrap_or_default().to_string_lossy();
        let text = draft(&info, &name);
        let mut checked =
            check_text(file, &text, &ObjectFile { path: object, bytes: &bytes, info: &info }, options);
        checked.spec = checked.spec.filter(|_| !weak.as_ref().is_some_and(Problem::is_error));
        checked.problems.extend(weak);
        Ok(checked)
    };
    let checked =
        read().unwrap_or_else(|problem: Box<Problem>| Checked { spec: None, problems: vec![*problem] });
    (checked, origin)
}

/// Checks the text of a config against an object that was read already.
#[must_use]
pub fn check_text(file: &ConfigFile, text: &str, object: &ObjectFile<'_>, options: &Options) -> Checked {
    match parse(file, text) {
        Ok((raw, mut findings)) => {
            let (spec, _) = checked(file, &raw, object, options, &mut findings);
            Checked { spec, problems: sorted(findings.settle(text)) }
        }
        Err(problems) => Checked { spec: None, problems },
    }
}

/// From text to typed data; an error when the text has no structure to go on with.
fn parse(file: &ConfigFile, text: &str) -> Result<(raw::RawConfig, Findings), Vec<Problem>> {
    let document = yaml::read(text).map_err(|refused| vec![refused_problem(file, &refused)])?;
    let mut reader = raw::Reader::new(file.place());
    if document.more {
        let problem = Problem::warning("more-documents", Place::default(), "only the first document is read");
        reader.report(&Spot::default(), problem.help("put each config into a file of its own"));
    }
    let Some(root) = &document.root else {
        let problem = Problem::error("empty-config", Place::default(), "the config is empty");
        reader.report(&Spot::default(), problem.expected("`metrics` with counters, gauges or histograms"));
        return Err(reader.into_findings().settle(text));
    };
    let raw = raw::config(&mut reader, root);
    Ok((raw, reader.into_findings()))
}

fn refused_problem(file: &ConfigFile, refused: &yaml::Refused) -> Problem {
    let mut place = file.place();
    match refused {
        yaml::Refused::Syntax { message, position } => {
            place.position = *position;
            let problem = Problem::error("yaml-syntax", place, format!("not YAML: {message}"));
            Problem { help: yaml::advice(message).map(str::to_owned), ..problem }
        }
        yaml::Refused::TooLarge => Problem::error("alias-bomb", place, refused.to_string())
            .help("write out what the aliases stand for"),
    }
}

fn parse_object(file: &ConfigFile, path: &Path, bytes: &[u8]) -> Result<ObjectInfo, Box<Problem>> {
    ObjectInfo::parse(bytes).map_err(|error| Box::new(error.problem(files::object_place(file, path))))
}

/// From typed data to a spec, and the maps that others loaded.
fn checked(
    file: &ConfigFile,
    raw: &raw::RawConfig,
    object: &ObjectFile<'_>,
    options: &Options,
    findings: &mut Findings,
) -> (Option<Spec>, Vec<FromPin>) {
    let mut sink = check::Sink::new(findings);
    let namespace = check::namespace(&mut sink, raw.namespace.as_ref(), &options.namespace);
    let context = check::Context {
        object: object.info,
        own_enums: OnceCell::new(),
        max_series: options.max_series,
        namespace: namespace.as_deref().unwrap_or(&options.namespace),
        host: &options.host,
    };
    let pins = check::Pins::look(&mut sink, raw, object.info, &options.host);
    let maps = check::settings(&context, &mut sink, raw);
    let mut load = LoadSpec {
        name: file.name.clone(),
        object: object.path.to_owned(),
        object_bytes: object.bytes.clone(),
        kaddrs: check::kaddrs(&context, &mut sink, raw),
        globals: check::globals(&context, &mut sink, raw),
        kernel_options: check::kernel_options(&context, &mut sink, raw),
        programs: check::programs(&context, &mut sink, raw),
        choices: check::choices(&context, &mut sink, raw),
        cgroups: check::cgroups(&context, &mut sink, raw),
        carried: check::carried(&context, raw, &maps),
        definitions: check::definitions(&context, &maps),
        nested: check::nested(object.info),
        maps,
        buffers: Vec::new(),
        pins: pins.specs(),
    };
    let (mut metrics, is_waiting) = metrics(&context, &mut sink, raw, &pins);
    check::tell_apart(&mut metrics);
    let spans = check::spans(&context, &mut sink, &raw.spans);
    load.buffers = check::buffers(&context, &mut sink, raw, &metrics, &spans);
    let expiries = check::expiries(&context, &mut sink, raw, &metrics);
    let losses = check::losses(&context);
    let pins = load.pins.clone();
    if findings.cost_the_config() {
        return (None, pins);
    }
    // A config that never had a metric loads its object all the same, one that lost all of them does not.
    let has_any = !raw.metrics.is_empty() || !raw.spans.is_empty();
    if metrics.is_empty() && spans.is_empty() && has_any && !is_waiting {
        let message = match raw.spans.is_empty() {
            true => "none of the config's metrics can be served, so its object is not loaded",
            false => "none of the config's metrics and spans can be served, so its object is not loaded",
        };
        findings.report(&Spot::default(), Problem::error("no-metric-left", Place::default(), message));
        return (None, pins);
    }
    let view = ViewSpec { name: file.name.clone(), metrics, expiries, losses, spans };
    (Some(Spec { load, view }), pins)
}

/// The metrics that can be served, and whether others wait for their map to be pinned.
fn metrics<'a>(
    context: &check::Context<'a>,
    sink: &mut check::Sink<'_>,
    raw: &raw::RawConfig,
    pins: &'a check::Pins,
) -> (Vec<MetricSpec>, bool) {
    let (mut metrics, mut is_waiting) = (Vec::new(), false);
    for metric in &raw.metrics {
        if pins.refuse_events(sink, metric) {
            continue;
        }
        match pins.context(context, metric) {
            None => metrics.extend(check::metric(context, sink, metric)),
            Some(Some(context)) => metrics.extend(check::metric(&context, sink, metric)),
            Some(None) => is_waiting = true,
        }
    }
    (metrics, is_waiting)
}

/// Problems in the order of the file; those without a position go last.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| {
        problem.place.position.map_or((true, None), |position| (false, Some(position)))
    });
    problems
}
