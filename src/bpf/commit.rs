//! From an object in the kernel to programs at work, in the place of those of its predecessor.

use std::sync::Arc;

use libbpf_rs::{OpenObject, ProgramMut};

use crate::host::{Host, Modules};
use crate::problem::{Place, Problem};
use crate::snapshot::{CgroupTally, NamedSource, View};
use crate::spec::LoadSpec;

use super::attach::{AttachError, Attached, Target, Wanted};
use super::cgroups::Following;
use super::exchange::{Attachment, Hooks, Planned, PutBack, exchange};
use super::follow::{Follower, MOST_PLACES};
use super::given_up::GivenUp;
use super::judge::{Failure, judge};
use super::keep::{Keep, Kept};
use super::left::{Left, Links};
use super::load::{FailedProgram, give_up, into_kernel};
use super::loaded::{Attachments, Detaching, Held, Loaded, OpenBuffer};
use super::object::{LoadedObject, MapNames};
use super::operations::{self, Operations};
use super::pinning::{self, NewPins};
use super::programs::ProgramTable;
use super::seen::{buffers, sources};
use super::select::Selection;
use super::shared::SharedMap;
use super::{Options, attach, carry, cgroups, explain, pins, raw};

/// An object in the kernel of which nothing is attached yet.
pub struct Prepared {
    spec: LoadSpec,
    selection: Selection,
    buffers: Vec<OpenBuffer>,
    sources: Vec<NamedSource>,
    /// Maps that are the predecessor's.
    carried: Vec<String>,
    /// How the map of cgroups fares: counted on from the predecessor.
    tally: Arc<CgroupTally>,
    /// Maps that others loaded.
    pinned: Vec<NamedSource>,
    /// Maps that others may have, too.
    shares: Vec<Arc<SharedMap>>,
    /// Where it is kept over restarts, and what was left by an exporter before this one.
    keep: Option<(Arc<Keep>, Option<Left>)>,
    object: LoadedObject,
    new_pins: NewPins,
}

/// What a program that does not attach costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attaching {
    /// Itself, as at the start; but nothing that is at work is given up for what does not work.
    AsFarAsPossible,
    /// Everything (`--config.strict`).
    Strictly,
}

/// Loads a config's object and attaches its programs.
///
/// A program that cannot be attached costs only itself: see [`Loaded::problems`]. Of one that is
/// optional or has a next alternative neither that nor a refused load is a problem: it is switched
/// off and the rest is loaded again, each time with one program less.
///
/// # Errors
/// Why the config cannot be loaded: nothing of it is in the kernel then.
pub fn load(spec: &LoadSpec, host: &Host, options: &Options) -> Result<Loaded, Vec<Problem>> {
    prepare(spec, host, options, None)?.commit(host, options, Attaching::AsFarAsPossible, None)
}

/// Loads a config's object beside what is running, with those of its maps that both define alike.
///
/// # Errors
/// Why it cannot be loaded. What is running is as it was.
pub fn prepare(
    spec: &LoadSpec,
    host: &Host,
    options: &Options,
    running: Option<&Loaded>,
) -> Result<Prepared, Vec<Problem>> {
    Prepared::new(spec, host, options, running, None)
}

impl Prepared {
    fn new(
        spec: &LoadSpec,
        host: &Host,
        options: &Options,
        running: Option<&Loaded>,
        selection: Option<Selection>,
    ) -> Result<Self, Vec<Problem>> {
        let new_pins = std::cell::RefCell::new(NewPins::default());
        let sharing = std::cell::RefCell::new(options.shared.begin(spec));
        let keep = options.keep.as_ref().filter(|_| spec.has_object());
        let left = std::cell::RefCell::new(
            keep.filter(|_| running.is_none()).map(|keep| Left::new(keep.folders(spec))),
        );
        let names = std::cell::RefCell::new(MapNames::default());
        let adapt = |object: &mut OpenObject| {
            let known = MapNames::of(object);
            if let Some(running) = running {
                carry::hand_over(object, spec, running);
            }
            if let Some(left) = &mut *left.borrow_mut() {
                left.take_maps(object, &known, spec);
            }
            // A load that is tried again makes them again.
            new_pins.take();
            new_pins.replace(pinning::look(object, &known, spec)?);
            sharing.borrow_mut().take(object, &known, spec, running)?;
            names.replace(known);
            Ok(())
        };
        let (object, selection) = match spec.has_object() {
            true => {
                let (object, selection) = into_kernel(spec, host, options, selection, &adapt)?;
                (LoadedObject::new(object, names.into_inner()), selection)
            }
            false => (LoadedObject::default(), Selection::default()),
        };
        let shares = sharing.into_inner().offer(&object, spec);
        let new_pins = new_pins.into_inner();
        let carried = running.map(|running| carry::carried(&object, running)).unwrap_or_default();
        let sources = sources(spec, options, &object);
        let buffers = buffers(spec, &object, &carried, running)?;
        let tally = running.map(|running| Arc::clone(&running.tally)).unwrap_or_default();
        let (spec, pinned) = (spec.clone(), pins::sources(spec));
        let keep = keep.map(|keep| (Arc::clone(keep), left.into_inner()));
        Ok(Self { keep, spec, selection, buffers, sources, carried, tally, pinned, shares, object, new_pins })
    }

    /// What a scrape may see of it.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            config: self.spec.name.clone(),
            sources: self.sources.iter().chain(&self.pinned).cloned().collect(),
            streams: self.buffers.iter().map(OpenBuffer::stream).collect(),
            programs: Arc::new(ProgramTable::default()),
            cgroups: Arc::clone(&self.tally),
        }
    }

    /// Attaches its programs, and detaches those of `running`, which is to be retired then. Programs that
    /// are being detached may still run until [`Loaded::settle`].
    ///
    /// # Errors
    /// Why not: `running` is as it was then.
    pub fn commit(
        mut self,
        host: &Host,
        options: &Options,
        attaching: Attaching,
        mut running: Option<&mut Loaded>,
    ) -> Result<Loaded, Vec<Problem>> {
        loop {
            match self.attach(host, attaching, running.as_deref_mut()) {
                Ok(loaded) => return Ok(loaded),
                Err(Refused::ForGood(problems)) => return Err(problems),
                Err(Refused::TryWithout { failed, spec, mut selection }) => {
                    give_up(&spec, &mut selection, failed);
                    self = Self::new(&spec, host, options, running.as_deref(), Some(selection))?;
                }
            }
        }
    }

    fn attach(
        mut self,
        host: &Host,
        attaching: Attaching,
        mut running: Option<&mut Loaded>,
    ) -> Result<Loaded, Refused> {
        // Complete before anything counts.
        let following = Following::start(&self.spec, &self.object, host, &self.tally);
        let following = following.map_err(|problem| Refused::ForGood(vec![*problem]))?;
        let operations = self.operations(attaching, running.as_deref_mut())?;
        // Before functions are looked for: one that comes or goes meanwhile is followed then.
        let modules = host.modules();
        let mut planned: Vec<Planned<Target>> =
            self.object.progs_mut().flat_map(|program| planned(&program, &self.spec, host)).collect();
        let (keep, left) = self.keep.take().unzip();
        let mut left = left.flatten();
        let given_up = left.as_ref().map(|left| GivenUp::find(left, &self.object));
        let (mut at_work, mut was_there) =
            left.as_mut().map(|left| left.at_work(&mut planned, host)).unwrap_or_default();
        let kept = keep.as_ref().and_then(|keep| Kept::begin(keep, &self.object, &self.spec));
        let selection = &self.selection;
        let may_go_on = |name: &str, was_attached: bool| {
            let is_bearable = attaching == Attaching::AsFarAsPossible && !was_attached;
            !selection.has_next(name) && (selection.is_optional(name) || is_bearable)
        };
        let (old_object, old) = match running.as_deref_mut() {
            Some(running) => (Some(&mut running.held.object), &mut running.held.links.held),
            None => (None, &mut was_there),
        };
        let mut hooks = KernelHooks {
            new: &mut self.object,
            old: old_object,
            detaching: Detaching::default(),
            kept,
            left,
        };
        let outcome = exchange(&mut hooks, &planned, old, may_go_on);
        let KernelHooks { mut detaching, mut kept, left, .. } = hooks;
        match outcome {
            Ok(mut exchanged) => {
                exchanged.attachments.append(&mut at_work);
                if let Some(kept) = &mut kept {
                    exchanged.attachments = bring(kept, exchanged.attachments);
                }
                left.into_iter().for_each(Left::remove);
                if let Some(given_up) = given_up {
                    let go_on = exchanged.attachments.iter().filter_map(|held| held.link.link_fd());
                    given_up.count(&self.buffers, go_on, &self.spec.name, || detaching.wait());
                }
                if let Some(running) = running {
                    running.held.links.detaching.join(detaching);
                    let old = running.following.take();
                    cgroups::hand_over(old, following.as_ref(), &running.spec, &self.spec, &self.tally);
                }
                let (failures, followers) = self.left_over(host, exchanged.failures, modules.as_ref());
                Ok(self.loaded(exchanged.attachments, (failures, followers), operations, following, kept))
            }
            Err(put_back) => {
                left.iter().for_each(Left::stay);
                drop((at_work, was_there));
                detaching.wait();
                drop((following, operations));
                if let Some(running) = running {
                    running.put_operations_back();
                    running.following.iter().for_each(Following::again);
                }
                Err(self.refused(host, put_back))
            }
        }
    }

    /// Attaches what is no program, in the place of the predecessor's.
    fn operations(
        &mut self,
        attaching: Attaching,
        mut running: Option<&mut Loaded>,
    ) -> Result<Operations, Refused> {
        let old = running.as_deref_mut().map(|running| &mut running.held.links.operations);
        let operations = Operations::attach(&mut self.object, &self.spec, old);
        let is_bearable = attaching == Attaching::AsFarAsPossible && running.is_none();
        if operations.problems().is_empty() || is_bearable {
            return Ok(operations);
        }
        let problems = operations.problems().to_vec();
        drop(operations);
        running.into_iter().for_each(|running| running.put_operations_back());
        Err(Refused::ForGood(problems))
    }

    /// What is at work now.
    fn loaded(
        self,
        attachments: Vec<Attachment<Attached, Target>>,
        (failures, followers): (Vec<Failure>, Vec<Follower>),
        operations: Operations,
        following: Option<Following>,
        kept: Option<Kept>,
    ) -> Loaded {
        let not_kept = kept.as_ref().map_or(&[][..], |kept| &kept.not_kept);
        let held = (attachments.as_slice(), &operations);
        let judged = judge(&self.spec, &self.selection, &self.object, held, &failures, not_kept);
        for failure in &failures {
            let program = &failure.planned.program;
            if self.selection.is_optional(program) {
                tracing::info!(
                    config = self.spec.name,
                    program,
                    reason = failure.problem.message,
                    "left out"
                );
            }
        }
        self.new_pins.keep();
        let links = Attachments { held: attachments, operations, detaching: Detaching::default() };
        let held = Held { links, buffers: self.buffers, maps: self.sources, object: self.object };
        Loaded {
            following,
            spec: self.spec,
            held,
            programs: judged.programs.into(),
            verdicts: judged.verdicts,
            problems: judged.problems,
            selection: self.selection,
            failures,
            followers,
            carried: self.carried,
            pinned: self.pinned,
            shares: self.shares,
            kept,
            tally: self.tally,
        }
    }

    /// Places that refused a program, and programs whose places come and go.
    fn left_over(
        &self,
        host: &Host,
        failures: Vec<(Planned<Target>, AttachError)>,
        modules: Option<&Arc<Modules>>,
    ) -> (Vec<Failure>, Vec<Follower>) {
        let (mut explained, mut followers) = (Vec::new(), Vec::new());
        let mut failures = failures;
        for program in self.object.progs_mut().filter(|program| raw::program_fd(program).is_some()) {
            let name = program.name().to_string_lossy().into_owned();
            while let Some((planned, error)) = take(&mut failures, &name) {
                // What went away meanwhile is no problem.
                if !error.is_gone(&planned.place) {
                    let problem = explain::attachment(error, &self.spec, &planned, &program, host);
                    let problem = self.selection.after_others(problem);
                    explained.push(Failure { planned, problem });
                }
            }
            let wanted = Wanted::of(&program, &self.spec);
            if wanted.follows() {
                followers.push(Follower::new(name, wanted, modules));
            }
        }
        (explained, followers)
    }

    /// Why nothing has changed: there may be another way, by the next alternative.
    fn refused(self, host: &Host, put_back: PutBack<Target, AttachError>) -> Refused {
        let PutBack { mut failures, lost } = put_back;
        let mut problems: Vec<Problem> =
            lost.into_iter().map(|(name, error)| self.lost(&name, &error)).collect();
        let is_final = !problems.is_empty();
        let (mut failed, mut optional) = (Vec::new(), Vec::new());
        for program in self.object.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            let Some((planned, error)) = take(&mut failures, &name) else { continue };
            let problem = explain::attachment(error, &self.spec, &planned, &program, host);
            if self.selection.has_next(&name) {
                failed.push((name, problem.message));
            } else if self.selection.is_optional(&name) {
                optional.push(problem);
            } else {
                problems.push(self.selection.after_others(problem));
            }
        }
        // Each of these may fail, but not all that there is.
        if failed.is_empty() && problems.is_empty() {
            problems = optional;
        }
        if failed.is_empty() || is_final {
            return Refused::ForGood(problems);
        }
        Refused::TryWithout { failed, spec: Box::new(self.spec), selection: self.selection }
    }

    /// A program of the predecessor that is not at work any more.
    fn lost(&self, name: &str, error: &AttachError) -> Problem {
        let config = Some(self.spec.name.clone());
        let place = Place { config, program: Some(name.to_owned()), ..Place::default() };
        Problem::error("not-put-back", place, format!("the program `{name}` could not be attached again"))
            .expected("it to be at work as before the reload, which was given up")
            .found(format!("{error:?}"))
            .help("reload once more, or restart the exporter")
    }
}

/// Brings the files of all links to where they are kept now.
fn bring(kept: &mut Kept, attachments: Links) -> Links {
    let bring = |Attachment { program, place, link }: Attachment<Attached, Target>| {
        let link = kept.bring(link, &program, &place);
        Attachment { program, place, link }
    };
    attachments.into_iter().map(bring).collect()
}

/// Why a program is not attached.
enum Refused {
    /// There is no other way.
    ForGood(Vec<Problem>),
    /// These have a next alternative.
    TryWithout { failed: Vec<FailedProgram>, spec: Box<LoadSpec>, selection: Selection },
}

fn take(
    failures: &mut Vec<(Planned<Target>, AttachError)>,
    name: &str,
) -> Option<(Planned<Target>, AttachError)> {
    let index = failures.iter().position(|(failed, _)| failed.program == name)?;
    Some(failures.remove(index))
}

/// What is to be attached of a program; nothing of one that is not loaded.
fn planned(program: &ProgramMut<'_>, spec: &LoadSpec, host: &Host) -> Vec<Planned<Target>> {
    // Operations are attached as a whole.
    if raw::program_fd(program).is_none() || operations::has(program) {
        return Vec::new();
    }
    let name = program.name().to_string_lossy();
    let targets = Wanted::of(program, spec).targets(host);
    targets
        .into_iter()
        .take(MOST_PLACES)
        .map(|place| Planned { program: name.clone().into_owned(), place })
        .collect()
}

/// The kernel's hooks, for the programs of two objects.
struct KernelHooks<'a> {
    new: &'a mut LoadedObject,
    old: Option<&'a mut LoadedObject>,
    detaching: Detaching,
    kept: Option<Kept>,
    left: Option<Left>,
}

impl KernelHooks<'_> {
    fn object(&mut self, is_old: bool) -> Option<&mut LoadedObject> {
        if is_old { self.old.as_deref_mut() } else { Some(self.new) }
    }

    fn attach_one(&mut self, is_old: bool, planned: &Planned<Target>) -> Result<Attached, AttachError> {
        let map = self.object(is_old).and_then(|object| planned.place.map(object));
        self.with(is_old, &planned.program, |program| attach::attach(program, &planned.place, map))
    }

    fn with<T>(
        &mut self,
        is_old: bool,
        name: &str,
        work: impl FnOnce(&ProgramMut<'_>) -> Result<T, AttachError>,
    ) -> Result<T, AttachError> {
        let mut programs = self.object(is_old).into_iter().flat_map(|object| object.progs_mut());
        let program = programs.find(|program| program.name().to_str() == Some(name));
        program.map_or(Err(AttachError::NoPlace), |program| work(&program))
    }
}

impl Hooks for KernelHooks<'_> {
    type Link = Attached;
    type Place = Target;
    type Error = AttachError;

    fn attach(&mut self, planned: &Planned<Target>) -> Result<Attached, AttachError> {
        if self.old.is_some() {
            self.detaching.make_ready();
        }
        let link = match self.attach_one(false, planned) {
            Err(error) if error.is_taken() && self.left.as_mut().is_some_and(Left::make_way) => {
                self.attach_one(false, planned)?
            }
            outcome => outcome?,
        };
        Ok(match &mut self.kept {
            Some(kept) => kept.pin(link, &planned.program, &planned.place),
            None => link,
        })
    }

    fn attach_old(&mut self, planned: &Planned<Target>) -> Result<Attached, AttachError> {
        self.attach_one(true, planned)
    }

    fn is_exact(&self, link: &Attached) -> bool {
        link.is_exact()
    }

    fn update(&mut self, link: &mut Attached, program: &str) -> Result<(), AttachError> {
        self.with(false, program, |program| link.update(program))
    }

    fn update_to_old(&mut self, link: &mut Attached, program: &str) -> Result<(), AttachError> {
        self.with(true, program, |program| link.update(program))
    }

    fn is_taken(&self, error: &AttachError) -> bool {
        error.is_taken()
    }

    fn detach(&mut self, link: Attached) {
        if let Some(rest) = link.detach() {
            self.detaching.begin(rest);
        }
    }

    fn detach_now(&mut self, link: Attached) {
        link.detach_now();
    }

    fn settle(&mut self) {
        self.detaching.wait();
    }
}
