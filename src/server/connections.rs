//! The table of connections: how long each may stay as it is, and which one goes when there are too many.
//!
//! Times are arguments, so that every rule can be tested without waiting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::message::Client;
use super::rights::Right;
use super::{Cut, Limits};

/// So much of a response has to go within each write timeout.
const LEAST_PROGRESS: u64 = 16 * 1024;

/// A response younger than this is not given up for another client's sake.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes a second; who reads a page faster than this keeps it, whoever else waits for memory.
const DILIGENT: u64 = 256 * 1024;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of the first request has come.
    New,
    /// Between two requests.
    Idle,
    /// Inside the head of a request.
    Reading,
    /// An answer is being made.
    Working,
    /// A response is being read by the client.
    Writing,
}

impl Phase {
    /// Whether nothing is lost when the connection is closed.
    fn is_waiting(self) -> bool {
        matches!(self, Self::New | Self::Idle | Self::Reading)
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When the phase began.
    began: Instant,
    /// When the running timeout was last started anew.
    since: Instant,
    /// Bytes of a response that went out since then.
    moved: u64,
    /// All bytes of the response that went out.
    sent: u64,
    /// Whether the body was handed over to hyper whole.
    body_ended: bool,
    /// Whether the request is for a page that is dear.
    dear: bool,
    /// Since when the client waits for more of the response.
    starves: Option<Instant>,
}

impl State {
    fn new(phase: Phase, now: Instant) -> Self {
        Self {
            phase,
            began: now,
            since: now,
            moved: 0,
            sent: 0,
            body_ended: false,
            dear: false,
            starves: None,
        }
    }
}

/// One connection as the table sees it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Who is at the other end.
    pub(super) client: Client,
    /// Told when the connection must end now.
    pub(super) cut: Notify,
    /// Why it was cut, when its client lost something by that.
    why: Mutex<Option<Cut>>,
    /// Whether what the kernel still holds for the client is to be thrown away.
    reset: AtomicBool,
    state: Mutex<State>,
    /// The right to hold a page in memory, until the kernel has all of it.
    page: Mutex<Option<Right>>,
    changed: Arc<Notify>,
}

impl Connection {
    fn new(client: Client, now: Instant, changed: Arc<Notify>) -> Self {
        Self {
            client,
            cut: Notify::new(),
            why: Mutex::default(),
            reset: AtomicBool::new(false),
            state: Mutex::new(State::new(Phase::New, now)),
            page: Mutex::new(None),
            changed,
        }
    }

    /// Bytes of a request came in.
    pub(super) fn received(&self, now: Instant) {
        if matches!(self.state().phase, Phase::New | Phase::Idle) {
            self.enter(State::new(Phase::Reading, now));
        }
    }

    /// A request is being worked on.
    pub(super) fn working(&self, dear: bool, now: Instant) {
        self.enter(State { dear, ..State::new(Phase::Working, now) });
    }

    /// A response is ready; the connection keeps the right to hold it in memory until it is sent.
    pub(super) fn answered(&self, page: Option<Right>, now: Instant) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
        let dear = self.state().dear;
        self.enter(State { dear, ..State::new(Phase::Writing, now) });
    }

    /// Bytes of a response went out.
    pub(super) fn sent(&self, bytes: usize, now: Instant) {
        let mut state = self.state();
        state.moved += bytes as u64;
        state.sent += bytes as u64;
        if state.moved >= LEAST_PROGRESS {
            state.moved = 0;
            state.since = now;
        }
    }

    /// There is no more of the response at the moment: it is not for the client that nothing goes out.
    pub(super) fn starves(&self, now: Instant) {
        self.state().starves.get_or_insert(now);
    }

    /// There is more of the response.
    pub(super) fn is_fed(&self, now: Instant) {
        let mut state = self.state();
        if let Some(since) = state.starves.take() {
            state.since = now;
            state.began += now.saturating_duration_since(since);
        }
    }

    /// The response does not come to its end; why, when it is for the client.
    pub(super) fn broke_off(&self, cut: Option<Cut>) {
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        *why = why.or(cut);
        // A client that takes the end of the connection for the end of the page must notice, too.
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Hyper has all of the response.
    pub(super) fn body_ended(&self) {
        self.state().body_ended = true;
    }

    /// Everything that hyper had was given to the kernel.
    pub(super) fn flushed(&self, now: Instant) {
        let done = {
            let state = self.state();
            state.phase == Phase::Writing && state.body_ended
        };
        if done {
            self.page.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.enter(State::new(Phase::Idle, now));
        }
    }

    /// Whether the socket is to be closed without waiting for the client to read what is on its way.
    pub(super) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }

    /// Why the connection was cut, when its client lost something by that.
    pub(super) fn why(&self) -> Option<Cut> {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection because it is overdue.
    fn end_overdue(&self) {
        let cut = match self.phase() {
            Phase::New | Phase::Reading => Some(Cut::SlowRequest),
            Phase::Writing => Some(Cut::NotReading),
            Phase::Idle | Phase::Working => None,
        };
        self.end_for(cut);
    }

    /// Ends the connection for the sake of another one.
    fn end_for_others(&self) {
        self.end_for((self.phase() != Phase::Idle).then_some(Cut::NeededByOthers));
    }

    fn end_for(&self, cut: Option<Cut>) {
        // The first reason counts: until its task has ended, a connection may be ended again.
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        *why = why.or(cut);
        drop(why);
        self.end();
    }

    /// Ends the connection; a client that does not read gets a reset, because the kernel would
    /// otherwise keep offering it the rest for many minutes.
    fn end(&self) {
        self.reset.store(self.phase() == Phase::Writing, Ordering::Relaxed);
        self.cut.notify_one();
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    fn enter(&self, state: State) {
        *self.state() = state;
        // The next deadline may be earlier now than the one that is being waited for.
        self.changed.notify_one();
    }

    /// When the connection has to have moved on, as it looks now.
    fn deadline(&self, limits: &Limits, now: Instant) -> Option<Instant> {
        let state = *self.state();
        let timeout = match state.phase {
            Phase::New | Phase::Reading => limits.header_timeout,
            Phase::Idle => limits.idle_timeout,
            Phase::Working => None,
            Phase::Writing => limits.write_timeout,
        };
        let since = if state.starves.is_some() { now } else { state.since };
        timeout.and_then(|timeout| since.checked_add(timeout))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every connection there is.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Mutex<HashMap<u64, Arc<Connection>>>,
    changed: Arc<Notify>,
}

impl Table {
    /// Takes a connection in; it leaves when the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, id: u64, client: Client, now: Instant) -> Entry {
        let connection = Arc::new(Connection::new(client, now, self.changed.clone()));
        self.rows().insert(id, connection.clone());
        self.changed.notify_one();
        Entry { table: self.clone(), id, connection }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows().len()
    }

    /// Told when a deadline may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends every connection that is overdue and says when the next one will be.
    pub(super) fn sweep(&self, limits: &Limits, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for connection in self.rows().values() {
            match connection.deadline(limits, now) {
                Some(deadline) if deadline <= now => connection.end_overdue(),
                Some(deadline) => next = Some(next.map_or(deadline, |next| next.min(deadline))),
                None => {}
            }
        }
        next
    }

    /// Ends the connection that can best be spared for a new one; false when there is none.
    pub(super) fn spare_connection(&self, now: Instant) -> bool {
        self.spare(now, |_, state| state.phase.is_waiting() || state.phase == Phase::Writing)
    }

    /// Ends the client that holds a page, reads it slowly and can best be spared, be it any or one
    /// of those who count as `client`; false when there is none.
    pub(super) fn spare_page(&self, client: Option<Client>, now: Instant) -> bool {
        self.spare(now, |connection, state| {
            let age = now.saturating_duration_since(state.began);
            // The kernel's buffers take much at once: who stopped reading then is slow too.
            let has_stopped = now.saturating_duration_since(state.since) >= GRACE;
            let is_slow =
                has_stopped || u128::from(state.sent) * 1000 < u128::from(DILIGENT) * age.as_millis();
            let is_asked_for = client.is_none_or(|client| connection.client.group() == client.group());
            let is_at_fault = is_slow && state.starves.is_none();
            state.phase == Phase::Writing && state.dear && is_at_fault && is_asked_for
        })
    }

    /// Ends every connection on which no request is being answered.
    pub(super) fn end_waiting(&self) {
        for connection in self.rows().values().filter(|connection| connection.phase().is_waiting()) {
            connection.end();
        }
    }

    /// Ends every connection.
    pub(super) fn end_all(&self) {
        for connection in self.rows().values() {
            connection.end();
        }
    }

    /// The client with the most connections loses one of them: first one that waits, then the
    /// oldest. So a single hostile host pushes out itself, and never a scraper.
    fn spare(&self, now: Instant, may_go: impl Fn(&Connection, &State) -> bool) -> bool {
        let mut rows = self.rows();
        let mut held: HashMap<Client, usize> = HashMap::new();
        for connection in rows.values() {
            *held.entry(connection.client.group()).or_default() += 1;
        }
        let candidates = rows.iter().filter_map(|(id, connection)| {
            let state = *connection.state();
            let age = now.saturating_duration_since(state.began);
            let can_go = may_go(connection, &state) && (state.phase.is_waiting() || age >= GRACE);
            let rank = (held.get(&connection.client.group()).copied(), state.phase.is_waiting(), age);
            can_go.then_some((rank, *id))
        });
        let Some((_, id)) = candidates.max() else { return false };
        if let Some(connection) = rows.remove(&id) {
            connection.end_for_others();
        }
        true
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the table.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Table>,
    id: u64,
    /// The connection.
    pub(super) connection: Arc<Connection>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.rows().remove(&self.id);
        self.table.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
