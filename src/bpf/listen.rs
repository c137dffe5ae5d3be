//! The thread that reads events as they come.
//!
//! One thread for all buffers of the process, which is there as long as there are any. It needs no rights. Of each
//! buffer that is ready it takes a bounded number of events before it goes on to the next; whoever scrapes reads
//! what is left by itself, so that nobody waits for this thread.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use caps::CapSet;
use rustix::event::{Timespec, epoll};

use super::buffer::{Buffer, Progress};

/// Programs may ask the kernel to wake nobody, so buffers are also looked at without being asked.
const TICK: Duration = Duration::from_millis(250);

/// Events that come one by one are let gather for so long: being woken for each costs more than reading it. It also
/// keeps from spinning while an event is reserved and not yet written.
const PAUSE: Duration = Duration::from_millis(1);

/// The running thread's work; whoever holds it keeps it running.
static RUNNING: Mutex<Weak<Listener>> = Mutex::new(Weak::new());

/// What the thread listens to.
#[derive(Debug)]
pub(super) struct Listener {
    epoll: Arc<OwnedFd>,
    buffers: Mutex<HashMap<u64, Weak<Buffer>>>,
    next: AtomicU64,
}

/// A place among what is listened to. The thread goes on while there are any.
#[derive(Debug)]
pub(super) struct Place {
    listener: Arc<Listener>,
    token: u64,
    ready: OwnedFd,
}

impl Place {
    /// Has a buffer listened to; `ready` says when there is something to read.
    ///
    /// # Errors
    /// When there is no thread, and none can be started.
    pub(super) fn take(buffer: Weak<Buffer>, ready: OwnedFd) -> io::Result<Self> {
        let listener = Listener::running()?;
        let token = listener.next.fetch_add(1, Ordering::Relaxed);
        listener.buffers().insert(token, buffer);
        let place = Self { listener, token, ready };
        epoll::add(
            &place.listener.epoll,
            &place.ready,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?;
        Ok(place)
    }
}

impl Place {
    /// Has the thread look whether there is something to read, although the kernel may not have said so.
    pub(super) fn look_again(&self) {
        let data = epoll::EventData::new_u64(self.token);
        // The kernel looks by itself when it is told anew what to wait for.
        let _ = epoll::modify(&self.listener.epoll, &self.ready, data, epoll::EventFlags::IN);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It was never added when that failed.
        let _ = epoll::delete(&self.listener.epoll, &self.ready);
        self.listener.buffers().remove(&self.token);
    }
}

impl Listener {
    /// The one that is running, or a new one.
    fn running() -> io::Result<Arc<Self>> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = running.upgrade() {
            return Ok(listener);
        }
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let listener = Arc::new(Self { epoll, buffers: Mutex::default(), next: AtomicU64::new(0) });
        let (epoll, own) = (Arc::clone(&listener.epoll), Arc::downgrade(&listener));
        let (tell, is_reduced) = sync_channel(1);
        let work = move || {
            // Its creator can be the thread that loads, and have every right.
            let outcome = [CapSet::Effective, CapSet::Permitted].map(|set| caps::clear(None, set));
            let is_good = outcome.iter().all(Result::is_ok);
            let _ = tell.send(is_good);
            if is_good {
                listen(&own, &epoll);
            }
        };
        std::thread::Builder::new().name("events".into()).spawn(work)?;
        if is_reduced.recv() != Ok(true) {
            return Err(io::Error::other("its thread cannot give up its capabilities"));
        }
        *running = Arc::downgrade(&listener);
        Ok(listener)
    }

    fn buffers(&self) -> MutexGuard<'_, HashMap<u64, Weak<Buffer>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buffers of these tokens that are still there; all of them without any.
    fn of(&self, tokens: &[u64]) -> Vec<Arc<Buffer>> {
        let buffers = self.buffers();
        if tokens.is_empty() {
            return buffers.values().filter_map(Weak::upgrade).collect();
        }
        tokens.iter().filter_map(|token| buffers.get(token)?.upgrade()).collect()
    }
}

fn listen(listener: &Weak<Listener>, epoll: &OwnedFd) {
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
    let mut room = Vec::with_capacity(64);
    loop {
        room.clear();
        match epoll::wait(epoll.as_fd(), rustix::buffer::spare_capacity(&mut room), Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "events are read at scrapes only");
                return;
            }
        }
        let tokens: Vec<u64> = room.iter().map(|event| event.data.u64()).collect();
        let Some(listener) = listener.upgrade() else { return };
        let buffers = listener.of(&tokens);
        drop(listener);
        let mut is_pressing = false;
        for buffer in &buffers {
            is_pressing |= buffer.take_some(!tokens.is_empty()) == Progress::Pressing;
        }
        if !is_pressing && !tokens.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
}
