//! Noticing that files changed (`--config.watch`).
//!
//! Directories are watched, never files: editors and `sed -i` rename, Kubernetes swaps
//! links, folders are removed and made again. [`places`] finds which directories matter and
//! which names in them, [`notifier`] hears of changes there, [`debounce`] decides when they
//! have come to rest, and a thread that otherwise sleeps then calls the caller's `look`.
//! Whether anything is different is for the caller to tell, by content; so a look too many
//! costs little, and a slow re-check catches what no event tells, such as a mount over a folder.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use debounce::Debounce;
use notifier::{Notifier, Sign};
use places::Places;
use watched::{Stale, Watched};

mod debounce;
mod notifier;
mod places;
mod watched;

/// So often places are found again because they changed while they were being watched.
const ROUNDS: usize = 8;

/// How changes of files are noticed (`--config.watch`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchMode {
    /// By events; where these cannot be had, by looking every few seconds.
    #[default]
    Auto,
    /// By looking every few seconds.
    Poll,
    /// Not at all.
    Off,
}

/// How long what takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchTiming {
    /// Files are looked at when nothing changed for so long.
    pub quiet: Duration,
    /// From the first change on, a look waits no longer than this.
    pub bound: Duration,
    /// Between two looks where there are no events.
    pub poll: Duration,
    /// Between two looks where there are events, for what no event tells.
    pub recheck: Duration,
}

impl Default for WatchTiming {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(100),
            bound: Duration::from_secs(3),
            poll: Duration::from_secs(2),
            recheck: Duration::from_secs(30),
        }
    }
}

/// What is followed. A path need not exist; links in it are followed, wherever they lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Folders in which every name matters. Of hidden files only that they come and go
    /// matters, because editors write to such all the time.
    pub folders: Vec<PathBuf>,
    /// Single files. A file in a followed folder that is a link is to be named here too.
    pub files: Vec<PathBuf>,
}

/// Why there is a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Something happened to what is followed.
    Changed,
    /// It is time to look again.
    Recheck,
}

/// How changes are noticed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// By events, with a slow re-check.
    Events,
    /// By looking every few seconds, as was asked for.
    Poll,
    /// By events where there are any and by looking every few seconds, for this reason.
    PollBecause(String),
    /// Not at all.
    Off,
}

impl fmt::Display for Manner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => formatter.write_str("events"),
            Self::Poll => formatter.write_str("polling"),
            Self::PollBecause(why) => write!(formatter, "polling: {why}"),
            Self::Off => formatter.write_str("off"),
        }
    }
}

/// Follows files until it is dropped: that ends its threads and gives all watches back.
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to wait. `look` is called on the watcher's thread when files have been quiet
    /// after a change, or when a re-check is due. Until [`Watcher::follow`] nothing is followed.
    ///
    /// The threads have the capabilities of the caller, and need none.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        mode: WatchMode,
        timing: WatchTiming,
        look: impl FnMut(Occasion) + Send + 'static,
    ) -> io::Result<Self> {
        let signals = Arc::new(Signals::new(timing));
        let mut targets = Targets::default();
        let manner = match mode {
            WatchMode::Off => Manner::Off,
            WatchMode::Poll => Manner::Poll,
            WatchMode::Auto => {
                let told = Arc::clone(&signals);
                match Notifier::start(move |sign| told.note(sign, Instant::now())) {
                    Ok(notifier) => {
                        targets.watched = Some(Watched::new(notifier));
                        Manner::Events
                    }
                    Err(why) => Manner::PollBecause(why),
                }
            }
        };
        let is_off = manner == Manner::Off;
        signals.set_manner(manner, timing);
        let shared = Arc::new(Shared { signals, targets: Mutex::new(targets), timing });
        let thread = if is_off {
            None
        } else {
            let shared = Arc::clone(&shared);
            Some(std::thread::Builder::new().name("watch".into()).spawn(move || shared.run(look))?)
        };
        Ok(Self { shared, thread })
    }

    /// Follows these from now on, and nothing else: when this returns, every change of them
    /// leads to a look. Says whether what is watched is different from before; then a change
    /// may have come before the watch, and the caller has to look once more.
    pub fn follow(&self, followed: &Followed) -> bool {
        let mut targets = lock(&self.shared.targets);
        targets.followed.clone_from(followed);
        self.shared.refresh(&mut targets)
    }

    /// How changes are noticed now.
    #[must_use]
    pub fn manner(&self) -> Manner {
        self.shared.signals.lock().manner.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.signals.end();
        // From within a look the thread cannot be waited for; it ends after that.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != this_thread()) {
            // If the caller's look panicked, that was reported when it did.
            let _ = thread.join();
        }
        let watched = lock(&self.shared.targets).watched.take();
        drop(watched);
    }
}

fn this_thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

/// What the watcher and its thread have in common.
struct Shared {
    signals: Arc<Signals>,
    /// Locked before the signals' state, never after.
    targets: Mutex<Targets>,
    timing: WatchTiming,
}

/// What is to be followed, and what is watched for that.
#[derive(Default)]
struct Targets {
    followed: Followed,
    /// None when there are no events at all.
    watched: Option<Watched>,
}

impl Shared {
    /// The watcher's thread.
    fn run(&self, mut look: impl FnMut(Occasion)) {
        while let Some(occasion) = self.signals.wait(self.timing) {
            // First the watches: what changes after this is told, what changed before is seen.
            self.refresh(&mut lock(&self.targets));
            look(occasion);
        }
    }

    /// Finds the places anew and watches them; whether the watches are others now.
    fn refresh(&self, targets: &mut Targets) -> bool {
        let Some(watched) = &mut targets.watched else { return false };
        let mut changed = false;
        let mut reason = None;
        for _ in 0..ROUNDS {
            let places = Places::find(&targets.followed);
            reason = places.without_events();
            let stale = self.signals.expect(places.clone());
            let adopted = watched.adopt(&places, &stale);
            changed |= adopted.changed;
            reason = adopted.refused.or(reason);
            // Found once more, because a way may have led elsewhere before it was watched.
            if !adopted.changed && !adopted.unstable {
                break;
            }
            reason = reason.or_else(|| Some("the folders change while they are being watched".to_owned()));
        }
        self.signals.set_manner(reason.map_or(Manner::Events, Manner::PollBecause), self.timing);
        changed
    }
}

/// Where the thread that hears of changes tells the one that looks.
struct Signals {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    debounce: Debounce,
    /// What matters of that which is heard.
    places: Places,
    stale: Stale,
    manner: Manner,
    ended: bool,
    /// All that mattered so far.
    #[cfg(test)]
    noted: Vec<Sign>,
}

impl Signals {
    fn new(timing: WatchTiming) -> Self {
        let state = State {
            debounce: Debounce::new(timing.quiet, timing.bound),
            places: Places::default(),
            stale: Stale::default(),
            manner: Manner::Events,
            ended: false,
            #[cfg(test)]
            noted: Vec::new(),
        };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes in what was heard. The other thread is woken only when that makes a look come sooner.
    fn note(&self, sign: Sign, now: Instant) {
        let mut state = self.lock();
        let before = state.debounce.deadline();
        match &sign {
            Sign::Lost => {
                state.stale.all = true;
                state.debounce.note_unknown(now);
            }
            Sign::Of(path, change) if state.places.matters(path, *change) => {
                if change.is_of_the_name() && state.places.get(path).is_some() {
                    state.stale.paths.insert(path.clone());
                }
                state.debounce.note(path, *change, now);
            }
            Sign::Of(..) => return,
        }
        #[cfg(test)]
        state.noted.push(sign);
        if before.is_none_or(|before| state.debounce.deadline().is_some_and(|after| after < before)) {
            self.wake.notify_one();
        }
    }

    /// Says what matters from now on; what may have been replaced since the last time is the answer.
    fn expect(&self, places: Places) -> Stale {
        let mut state = self.lock();
        state.places = places;
        std::mem::take(&mut state.stale)
    }

    /// Waits until there is something to look for; none when the watcher ended.
    fn wait(&self, timing: WatchTiming) -> Option<Occasion> {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.ended {
                return None;
            }
            if state.debounce.take_due(now) {
                return Some(Occasion::Changed);
            }
            let between = if state.manner == Manner::Events { timing.recheck } else { timing.poll };
            // A change that is pending comes first: a file may be half-written now.
            let deadline = state.debounce.deadline().unwrap_or(began + between);
            let Some(left) = deadline.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                return Some(Occasion::Recheck);
            };
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sets how changes are noticed, and says so when that is different and matters.
    fn set_manner(&self, manner: Manner, timing: WatchTiming) {
        let mut state = self.lock();
        if state.manner == manner {
            return;
        }
        match &manner {
            Manner::PollBecause(reason) => tracing::warn!(
                reason,
                seconds = timing.poll.as_secs_f64(),
                "changes of files are not all told, so they are looked for every few seconds"
            ),
            Manner::Events => tracing::info!("changes of files are told again, so they are seen at once"),
            Manner::Poll | Manner::Off => {}
        }
        state.manner = manner;
        self.wake.notify_one();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.wake.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
