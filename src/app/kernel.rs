//! The real kernel behind the supervisor's trait.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use caps::Capability;

use super::privileges;
use crate::bpf::{self, Attaching, Loaded, MapOpener, Prepared};
use crate::cli::{Keep, KeptCapability, Options};
use crate::host::{Host, Reserve};
use crate::problem::{Place, Problem};
use crate::reload::{Found, Kernel, Moved, Started};
use crate::snapshot::View;
use crate::spec::{GlobalPatch, LoadSpec};

/// Loads through libbpf.
pub struct BpfKernel {
    options: bpf::Options,
    host: Arc<Host>,
    stop: Arc<AtomicBool>,
    keep: Keep,
    /// Whether capabilities were given up.
    is_reduced: Arc<AtomicBool>,
    /// Descriptors that are kept while objects are loaded.
    reserve: Mutex<Weak<Reserve>>,
}

/// Gives back what only loads and checks ask for: the kernel's types, and libbpf's copy of them, are megabytes.
pub fn forget_load(host: &Host) {
    host.release_kernel_types();
    bpf::give_memory_back();
}

impl BpfKernel {
    /// The kernel as the command line wants it used; nothing more is loaded once `stop` is true.
    pub fn new(options: &Options, host: Arc<Host>, stop: Arc<AtomicBool>) -> Self {
        Self {
            options: bpf::Options {
                btf_path: options.btf.clone(),
                pin_root: Some(options.pin_root.clone()),
                debug: options.debug,
                opener: opener(&options.keep),
                ..bpf::Options::default()
            },
            host,
            stop,
            keep: options.keep.clone(),
            reserve: Mutex::default(),
            is_reduced: Arc::default(),
        }
    }

    /// The same that keeps programs and maps over restarts; nothing is kept of configs that are not there any more.
    pub fn with_keep(mut self, keep: Option<Arc<bpf::Keep>>, found: &Found) -> Self {
        if let Some(keep) = &keep {
            let configs = found.configs.iter();
            let named = configs.map(|config| (&*config.name, config.spec.as_ref().map(|spec| &spec.load)));
            keep.sweep(&named.collect::<Vec<_>>());
        }
        self.options.keep = keep;
        self
    }

    /// True once the capabilities that are not kept were given up.
    pub fn reduced_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_reduced)
    }

    /// Has a thread keep a map in step with cgroups, where one is to be. It has the rights that reading takes,
    /// before anybody looks at what threads have.
    fn follow(&self, loaded: &mut Loaded) -> Result<(), String> {
        let Some(follower) = loaded.take_follower() else { return Ok(()) };
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let keep = privileges::for_reading(&self.keep);
        let work = move || {
            let reduced = privileges::reduce_this_thread(&keep).map_err(|error| error.to_string());
            let is_good = reduced.is_ok();
            let _ = tell.send(reduced);
            if is_good {
                follower.run();
            }
        };
        std::thread::Builder::new()
            .name("cgroup-map".into())
            .spawn(work)
            .map_err(|error| format!("its thread cannot start: {error}"))?;
        told.recv().unwrap_or_else(|_| Err("its thread ended".to_owned()))
    }

    /// Descriptors that all who load cannot take; one reserve for all that do at once.
    pub fn reserve(&self) -> Arc<Reserve> {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        reserve.upgrade().unwrap_or_else(|| {
            let taken = Arc::new(Reserve::take());
            *reserve = Arc::downgrade(&taken);
            taken
        })
    }

    fn is_reduced(&self) -> bool {
        self.keep != Keep::All && self.is_reduced.load(Ordering::Relaxed)
    }
}

/// What opens inner maps for threads that serve scrapes, when the capability for it stays. It has no other.
fn opener(keep: &Keep) -> Option<MapOpener> {
    let Keep::Only(kept) = keep else { return None };
    let own = kept.get(&KeptCapability(Capability::CAP_SYS_ADMIN)).copied()?;
    let (opener, opening) = MapOpener::new();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let work = move || {
        let reduced = privileges::reduce_this_thread(&Keep::Only(BTreeSet::from([own])));
        // Told before anybody looks at what threads have.
        let _ = tell.send(());
        match reduced {
            Ok(()) => opening.run(),
            Err(error) => tracing::warn!(%error, "inner maps cannot be opened"),
        }
    };
    let thread = std::thread::Builder::new().name("inner-maps".into()).spawn(work);
    thread.inspect_err(|error| tracing::warn!(%error, "inner maps cannot be opened")).ok()?;
    let _ = told.recv();
    Some(opener)
}

impl Kernel for BpfKernel {
    type Loaded = Loaded;
    type Prepared = Prepared;

    fn prepare(&self, spec: &LoadSpec, running: Option<&Loaded>) -> Result<Prepared, Vec<Problem>> {
        if spec.has_object() && self.is_reduced() && !privileges::may_load() {
            return Err(vec![given_up(spec)]);
        }
        let _reserve = self.reserve();
        bpf::prepare(spec, &self.host, &self.options, running)
    }

    fn view(&self, prepared: &Prepared) -> View {
        prepared.view()
    }

    /// Before Linux 5.19 even a reader that holds the descriptor may need CAP_BPF.
    fn probe(&self, view: &View) -> Vec<Problem> {
        if !self.is_reduced() {
            return view.probe();
        }
        let probe =
            || privileges::reduce_this_thread(&privileges::for_reading(&self.keep)).map(|()| view.probe());
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("probe".into()).spawn_scoped(scope, probe);
            match thread.map(|thread| thread.join()) {
                Ok(Ok(Ok(problems))) => problems,
                outcome => {
                    tracing::warn!(
                        config = view.config,
                        ?outcome,
                        "whether its maps can be read is not known"
                    );
                    Vec::new()
                }
            }
        })
    }

    fn commit(
        &self,
        prepared: Prepared,
        strictly: bool,
        running: Option<&mut Loaded>,
    ) -> Result<Started<Loaded>, Vec<Problem>> {
        let _reserve = self.reserve();
        let attaching = if strictly { Attaching::Strictly } else { Attaching::AsFarAsPossible };
        let mut loaded = prepared.commit(&self.host, &self.options, attaching, running)?;
        let (view, mut problems) = (loaded.view(), loaded.problems().to_vec());
        if let Err(reason) = self.follow(&mut loaded) {
            let place = Place { config: Some(view.config.clone()), ..Place::default() };
            let message = "the map of `cgroup_id_map` does not follow changes of cgroups";
            let problem = Problem::error("cgroup-map", place, message).found(reason);
            problems.push(problem.help("it holds those that matched at the load; reload to try again"));
        }
        let (programs, carried) = (loaded.verdicts().to_vec(), loaded.carried().to_vec());
        Ok(Started { loaded, view, problems, programs, carried })
    }

    fn follows(&self, loaded: &Loaded) -> bool {
        loaded.follows()
    }

    fn follow(&self, loaded: &mut Loaded) -> Option<Moved> {
        let before = loaded.problems().to_vec();
        let has_changed = loaded.follow(&self.host);
        has_changed.then(|| Moved {
            view: loaded.view(),
            before,
            problems: loaded.problems().to_vec(),
            programs: loaded.verdicts().to_vec(),
        })
    }

    fn set(&self, loaded: &mut Loaded, spec: &LoadSpec, changes: &[GlobalPatch]) -> Result<(), String> {
        loaded.set(spec, changes, &self.host)?;
        self.follow(loaded)
    }

    fn rename(&self, loaded: &mut Loaded, spec: &LoadSpec) {
        loaded.rename(spec);
    }

    fn open_pins(&self, loaded: &mut Loaded, spec: &LoadSpec) -> Option<View> {
        loaded.open_pins(spec);
        Some(loaded.view())
    }

    fn settle(&self, loaded: &mut Loaded) {
        loaded.settle();
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn retire(&self, loaded: Vec<Loaded>) {
        bpf::retire_all(loaded);
    }

    fn leave(&self, loaded: Vec<Loaded>) {
        bpf::leave_all(loaded);
    }
}

/// What would be loaded needs rights that are gone.
fn given_up(spec: &LoadSpec) -> Problem {
    let place =
        Place { config: Some(spec.name.clone()), file: Some(spec.object.clone()), ..Place::default() };
    Problem::error(
        "privilege",
        place,
        "the object cannot be loaded: the exporter gave up the rights to do it",
    )
    .expected("cap_bpf among --capabilities.keep, with whatever else its programs need to attach")
    .found("a --capabilities.keep without cap_bpf and cap_sys_admin: only metrics can change")
    .help("restart the exporter to load it, or keep the capabilities (docs/security.md)")
}
