//! What the kernel holds for one config, and how it lets go of it.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::host::{CgroupFollower, Host};
use crate::problem::Problem;
use crate::snapshot::{CgroupTally, NamedSource, NamedStream, ProgramVerdict, Verdict, View};
use crate::spec::{GlobalPatch, LoadSpec};

use super::attach::{Attached, Target};
use super::buffer::Buffer;
use super::cgroups::Following;
use super::exchange::Attachment;
use super::follow::Follower;
use super::judge::Failure;
use super::keep::Kept;
use super::object::LoadedObject;
use super::operations::Operations;
use super::programs::ProgramTable;
use super::select::Selection;
use super::shared::SharedMap;
use super::{cgroups, globals, pins, raw};

/// Object and attachments of one config. The supervisor owns it alone; dropping it detaches.
pub struct Loaded {
    /// The map that follows cgroups: it does so no longer than the programs are there that ask for it.
    pub(super) following: Option<Following>,
    pub(super) spec: LoadSpec,
    pub(super) held: Held<Attachments, Vec<OpenBuffer>, Vec<NamedSource>, LoadedObject>,
    pub(super) programs: Arc<ProgramTable>,
    pub(super) verdicts: Vec<ProgramVerdict>,
    pub(super) problems: Vec<Problem>,
    pub(super) selection: Selection,
    /// Places that refused a program.
    pub(super) failures: Vec<Failure>,
    /// Programs whose places come and go.
    pub(super) followers: Vec<Follower>,
    /// Maps that were its predecessor's.
    pub(super) carried: Vec<String>,
    /// Maps that others loaded.
    pub(super) pinned: Vec<NamedSource>,
    /// Maps that others may have, too.
    pub(super) shares: Vec<Arc<SharedMap>>,
    /// What keeps it over restarts; after what is held, whose files lie there.
    pub(super) kept: Option<Kept>,
    pub(super) tally: Arc<CgroupTally>,
}

/// What is freed field by field, from the top: libbpf frees an object's USDT manager with the
/// object, and a USDT link dropped later would use it; a `struct_ops` link without a link of the
/// kernel's detaches by its map's descriptor. So links go first, then buffers, which nothing writes to any more, then
/// maps, then the object.
pub(super) struct Held<Links, Buffers, Maps, Object> {
    pub(super) links: Links,
    pub(super) buffers: Buffers,
    pub(super) maps: Maps,
    pub(super) object: Object,
}

/// A buffer whose events are read, by the name of its map.
#[derive(Clone, Debug)]
pub(super) struct OpenBuffer {
    pub(super) map: String,
    pub(super) buffer: Arc<Buffer>,
}

impl OpenBuffer {
    /// As scrapes see it.
    pub(super) fn stream(&self) -> NamedStream {
        NamedStream { map: self.map.clone(), stream: Arc::clone(&self.buffer) as _ }
    }
}

/// The links of one object.
#[derive(Debug, Default)]
pub(super) struct Attachments {
    pub(super) held: Vec<Attachment<Attached, Target>>,
    /// What is attached and is no program.
    pub(super) operations: Operations,
    /// What is being detached already.
    pub(super) detaching: Detaching,
}

/// Threads that detach. USDT links use the object, so that it has to live until they are gone.
#[derive(Debug, Default)]
pub(super) struct Detaching {
    threads: Vec<JoinHandle<()>>,
    /// One that waits for what it is to let go of.
    waiting: Option<Sender<Box<dyn Send>>>,
}

impl Detaching {
    /// Has a thread wait for what [`Self::begin`] will be given. On a busy machine a thread that is woken
    /// runs sooner than a new one, by milliseconds in which old and new programs count the same.
    pub(super) fn make_ready(&mut self) {
        if self.waiting.is_some() {
            return;
        }
        let (sender, receiver) = mpsc::channel();
        if self.start(move || drop(receiver.recv())) {
            self.waiting = Some(sender);
        }
    }

    /// Begins to let go of something that takes its time.
    pub(super) fn begin<T: Send + 'static>(&mut self, held: T) {
        match self.waiting.take() {
            // Of a thread that has ended, which none does, the message comes back and is dropped here.
            Some(sender) => drop(sender.send(Box::new(held))),
            // Of a thread that cannot start the closure is dropped here, and what it holds with it.
            None => drop(self.start(move || drop(held))),
        }
    }

    fn start(&mut self, work: impl FnOnce() + Send + 'static) -> bool {
        // What was let go of long ago is of no interest.
        self.threads.retain(|thread| !thread.is_finished());
        let thread = thread::Builder::new().name("detach".into()).spawn(work);
        thread.map(|thread| self.threads.push(thread)).is_ok()
    }

    /// Takes over what another one waits for.
    pub(super) fn join(&mut self, mut other: Self) {
        other.waiting = None;
        self.threads.append(&mut other.threads);
    }

    /// Waits until all of it is gone.
    pub(super) fn wait(&mut self) {
        self.waiting = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Detaching waits for the kernel's RCU (66 to 93 ms a link), not for the CPU.
const DETACHING_THREADS: usize = 64;

impl Loaded {
    /// The config's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What it was loaded by.
    #[must_use]
    pub fn spec(&self) -> &LoadSpec {
        &self.spec
    }

    /// Maps that it took over from what was loaded before it.
    #[must_use]
    pub fn carried(&self) -> &[String] {
        &self.carried
    }

    /// Sets variables and follows other cgroups while the programs run, so that it is as if it had been loaded by
    /// another spec.
    ///
    /// # Errors
    /// Why not; nothing changed then.
    pub fn set(&mut self, spec: &LoadSpec, changes: &[GlobalPatch], host: &Host) -> Result<(), String> {
        let follows_on = self.spec.cgroups == spec.cgroups;
        let following = if follows_on {
            None
        } else {
            let started = Following::start(spec, &self.held.object, host, &self.tally);
            started.map_err(|problem| problem.message)?
        };
        if let Err(reason) = globals::set_in_place(&self.held.object, changes) {
            drop(following);
            self.following.iter().for_each(Following::again);
            return Err(reason);
        }
        if !follows_on {
            let old = self.following.take();
            cgroups::hand_over(old, following.as_ref(), &self.spec, spec, &self.tally);
            self.following = following;
        }
        self.spec = spec.clone();
        if let Some(kept) = &self.kept
            && let Err(error) = kept.keep.rename(&kept.folder, spec)
        {
            tracing::warn!(config = spec.name, %error, "the next start takes over as from another object");
        }
        Ok(())
    }

    /// Goes on under the name of another spec, which loads the same.
    pub fn rename(&mut self, spec: &LoadSpec) {
        self.spec.name.clone_from(&spec.name);
        if let Some(kept) = &self.kept
            && let Err(error) = kept.keep.rename(&kept.folder, &self.spec)
        {
            tracing::warn!(config = spec.name, %error, "what is kept keeps its old name");
        }
    }

    /// Opens the maps that others loaded anew, as another spec has them.
    pub fn open_pins(&mut self, spec: &LoadSpec) {
        self.pinned = pins::sources(spec);
        self.spec.pins.clone_from(&spec.pins);
    }

    /// What keeps the map of cgroups in step, to be run by a thread of its own; it ends by itself when it is
    /// not needed any more. None when there is nothing to do, or one runs it already.
    pub fn take_follower(&mut self) -> Option<CgroupFollower> {
        self.following.as_mut().and_then(Following::take_follower)
    }

    /// Attaches operations again that a successor had let go of.
    pub(super) fn put_operations_back(&mut self) {
        self.held.links.operations.put_back(&mut self.held.object, &self.spec);
    }

    /// Waits until the programs that are being detached have run for the last time.
    pub fn settle(&mut self) {
        self.held.links.detaching.wait();
        raw::wait_for_programs();
    }

    /// What a scrape may see: descriptors of its own for maps and programs. It keeps nothing attached.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            config: self.spec.name.clone(),
            sources: self.held.maps.iter().chain(&self.pinned).cloned().collect(),
            streams: self.held.buffers.iter().map(OpenBuffer::stream).collect(),
            programs: Arc::clone(&self.programs) as _,
            cgroups: Arc::clone(&self.tally),
        }
    }

    /// Programs that were loaded but are not attached, in the object's order.
    #[must_use]
    pub fn unattached(&self) -> Vec<String> {
        let loaded = |program: &&ProgramVerdict| {
            let name = &program.program;
            program.verdict != Verdict::Attached
                && self.programs.programs.iter().any(|found| found.name == *name)
        };
        self.verdicts.iter().filter(loaded).map(|program| program.program.clone()).collect()
    }

    /// What became of each program, in the object's order.
    #[must_use]
    pub fn verdicts(&self) -> &[ProgramVerdict] {
        &self.verdicts
    }

    /// What went wrong without costing the config: one problem for each program that is not
    /// attached and without which the config is not whole.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many links hold its programs.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.held.links.held.len() + self.held.links.operations.count()
    }

    /// Lets go of it and leaves at work what outlives the exporter.
    fn leave(mut self) {
        if let Some(kept) = &self.kept {
            kept.folder.stay();
            let links = &mut self.held.links.held;
            let not_kept = std::mem::take(links).into_iter().filter_map(|attachment| {
                let Attachment { program, place, link } = attachment;
                Some(Attachment { program, place, link: link.leave()? })
            });
            *links = not_kept.collect();
        }
        self.retire();
    }

    /// Detaches all programs and frees the object. Takes about as long as detaching one program.
    pub fn retire(self) {
        tracing::debug!(config = self.spec.name, links = self.link_count(), "detaching");
        drop(self);
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let maps: Vec<&str> = self.held.maps.iter().map(|named| named.map.as_str()).collect();
        formatter
            .debug_struct("Loaded")
            .field("name", &self.spec.name)
            .field("object", &self.held.object)
            .field("maps", &maps)
            .field("links", &self.link_count())
            .field("verdicts", &self.verdicts)
            .finish_non_exhaustive()
    }
}

/// Retires several at once, in about the time of one.
pub fn retire_all(all: Vec<Loaded>) {
    side_by_side(all, Loaded::retire);
}

/// Lets go of several because the exporter ends, and leaves at work what outlives it.
pub fn leave_all(all: Vec<Loaded>) {
    side_by_side(all, Loaded::leave);
}

impl Drop for Attachments {
    fn drop(&mut self) {
        let mut groups: Vec<Vec<Attached>> = Vec::new();
        // Links that share the object's USDT manager, which takes no lock.
        let mut usdt = Vec::new();
        for attachment in self.held.drain(..) {
            match attachment.link {
                Attached::Usdt(_) => usdt.push(attachment.link),
                link => groups.push(vec![link]),
            }
        }
        groups.push(usdt);
        side_by_side(groups, drop);
    }
}

/// Does the same to all items on as many threads as are useful, or as there can be.
fn side_by_side<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = items.len().min(DETACHING_THREADS);
    let items = Mutex::new(items.into_iter());
    let worker = || {
        while let Some(item) = {
            let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
            items.next()
        } {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does it all.
            if thread::Builder::new().name("detach".into()).spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        worker();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Recorder(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Drop for Recorder {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn links_go_before_buffers_then_maps_then_the_object() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let recorder = |name| Recorder(name, Arc::clone(&order));
        drop(Held {
            object: recorder("object"),
            maps: recorder("maps"),
            buffers: recorder("buffers"),
            links: recorder("links"),
        });
        assert_eq!(*order.lock().unwrap(), ["links", "buffers", "maps", "object"]);
    }

    /// With a thread that waits, without one, and with one that is never needed.
    #[test]
    fn everything_is_let_go_of_by_the_end_of_the_wait() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut detaching = Detaching::default();
        detaching.make_ready();
        detaching.make_ready();
        assert_eq!(detaching.threads.len(), 1, "one waits");
        detaching.begin(Recorder("first", Arc::clone(&order)));
        detaching.begin(Recorder("second", Arc::clone(&order)));
        detaching.make_ready();
        let mut other = Detaching::default();
        other.begin(Recorder("third", Arc::clone(&order)));
        other.make_ready();
        detaching.join(other);
        detaching.wait();
        let mut names = order.lock().unwrap().clone();
        names.sort_unstable();
        assert_eq!(names, ["first", "second", "third"]);
        assert!(detaching.threads.is_empty());
    }

    #[test]
    fn every_item_is_worked_on_once() {
        for count in [0, 1, 2, 63, 64, 65, 500] {
            let (sum, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
            side_by_side((1..=count).collect(), |item| {
                sum.fetch_add(item, Ordering::Relaxed);
                calls.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!((sum.into_inner(), calls.into_inner()), (count * (count + 1) / 2, count));
        }
    }
}
