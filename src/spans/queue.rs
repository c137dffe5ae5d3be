//! The one queue of spans between whoever consumes buffers and the thread that exports.
//!
//! Everything is counted while the queue stands still, so that whoever looks finds each record in one place.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::{ConfigTally, Dropped};
use super::span::Span;

/// A span that waits.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) span: Span,
    /// Its config's word for the service; none is the environment's.
    pub(super) service: Option<Arc<str>>,
    pub(super) tally: Arc<ConfigTally>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    /// Since when the first of them waits.
    since: Option<Instant>,
    /// Spans that were taken and not settled yet.
    under_way: usize,
    /// When everything has to be over, once the exporter ends.
    end: Option<Instant>,
}

/// A bounded queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
    batch: usize,
    delay: Duration,
}

impl Queue {
    /// A queue of `most` spans, which go in batches of `batch`, or after a delay.
    pub(super) fn new(most: usize, batch: usize, delay: Duration) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), most, batch: batch.max(1), delay }
    }

    /// Adds a span, or drops and counts it; never waits for the export.
    pub(super) fn push(&self, pending: Pending) {
        let mut state = self.lock();
        pending.tally.receive();
        let reason = match state.end {
            Some(_) => Some(Dropped::Shutdown),
            None if state.waiting.len() >= self.most => Some(Dropped::QueueFull),
            None => None,
        };
        if let Some(reason) = reason {
            pending.tally.drop_one(reason);
            return;
        }
        state.waiting.push_back(pending);
        let is_first = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        // The exporter's thread is woken when there is something to do, and not for each span.
        if is_first || state.waiting.len() == self.batch {
            self.changed.notify_one();
        }
    }

    /// Counts a record that came to nothing.
    pub(super) fn lose(&self, tally: &ConfigTally, reason: Dropped) {
        let _state = self.lock();
        tally.receive();
        tally.drop_one(reason);
    }

    /// Waits for the next batch; none when the exporter ends and nothing is left, or its time is over.
    pub(super) fn next(&self) -> Option<Vec<Pending>> {
        let mut state = self.lock();
        loop {
            let waited = state.since.map(|since| since.elapsed());
            let is_due = waited.is_some_and(|waited| waited >= self.delay);
            if state.end.is_some_and(|end| Instant::now() >= end) || state.end.is_some() && waited.is_none() {
                return None;
            }
            if state.end.is_some() || is_due || state.waiting.len() >= self.batch {
                return Some(self.take(&mut state));
            }
            state = match waited {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(waited) => {
                    let rest = self.delay.saturating_sub(waited);
                    self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn take(&self, state: &mut State) -> Vec<Pending> {
        let count = state.waiting.len().min(self.batch);
        let batch: Vec<Pending> = state.waiting.drain(..count).collect();
        state.since = (!state.waiting.is_empty()).then(Instant::now);
        state.under_way = batch.len();
        batch
    }

    /// What was taken has come to something, which is counted.
    pub(super) fn settle(&self, count: impl FnOnce()) {
        let mut state = self.lock();
        count();
        state.under_way = 0;
    }

    /// Sleeps until then, or until the exporter ends and that is past its time. Whether it slept through.
    pub(super) fn sleep(&self, until: Instant) -> bool {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if now >= until {
                return true;
            }
            if state.end.is_some_and(|end| end < until) {
                return false;
            }
            state = self.changed.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// When everything has to be over.
    pub(super) fn end(&self) -> Option<Instant> {
        self.lock().end
    }

    /// Nothing is taken in any more, and what waits has until then.
    pub(super) fn close(&self, end: Instant) {
        self.lock().end = Some(end);
        self.changed.notify_all();
    }

    /// Drops and counts what still waits.
    pub(super) fn give_up(&self) -> usize {
        let mut state = self.lock();
        let left: Vec<Pending> = state.waiting.drain(..).collect();
        for pending in &left {
            pending.tally.drop_one(Dropped::Shutdown);
        }
        left.len()
    }

    /// Looks at counts, and at how many wait or are under way.
    pub(super) fn look<T>(&self, look: impl FnOnce(usize) -> T) -> T {
        let state = self.lock();
        look(state.waiting.len() + state.under_way)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Tally;
    use super::super::span::{SpanId, TraceId};
    use super::*;

    /// Longer than any test takes.
    const NEVER: Duration = Duration::from_secs(3600);

    fn pending(tally: &Tally, name: &str) -> Pending {
        let span = Span {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([1; 8]),
            parent: None,
            name: name.to_owned(),
            start: 0,
            end: 0,
            attributes: Vec::new(),
        };
        Pending { span, service: None, tally: tally.config("test") }
    }

    fn fill(queue: &Queue, tally: &Tally, count: usize) {
        for index in 0..count {
            queue.push(pending(tally, &index.to_string()));
        }
    }

    fn names(batch: Option<Vec<Pending>>) -> Vec<String> {
        batch.unwrap_or_default().into_iter().map(|pending| pending.span.name).collect()
    }

    fn dropped(tally: &Tally, reason: Dropped) -> u64 {
        let counts = tally.counts(0);
        counts.configs[0].dropped.iter().find(|(word, _)| *word == reason.word()).unwrap().1
    }

    #[test]
    fn what_finds_it_full_is_dropped_and_counted() {
        let (queue, tally) = (Queue::new(3, 2, NEVER), Tally::default());
        fill(&queue, &tally, 10);
        assert_eq!(queue.look(|len| len), 3);
        assert_eq!(dropped(&tally, Dropped::QueueFull), 7);
        assert_eq!(names(queue.next()), ["0", "1"]);
        // What is under way does not take room, but is not gone either.
        assert_eq!(queue.look(|len| len), 3);
        queue.settle(|| {});
        assert_eq!(queue.look(|len| len), 1);
    }

    #[test]
    fn a_batch_that_is_not_full_goes_after_the_delay() {
        let (queue, tally) = (Queue::new(10, 5, Duration::from_millis(20)), Tally::default());
        let began = Instant::now();
        fill(&queue, &tally, 2);
        assert_eq!(names(queue.next()), ["0", "1"]);
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_full_batch_wakes_whoever_waits_for_it() {
        let (queue, tally) = (Queue::new(10, 2, NEVER), Tally::default());
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| names(queue.next()));
            fill(&queue, &tally, 2);
            assert_eq!(taker.join().unwrap(), ["0", "1"]);
        });
    }

    #[test]
    fn at_the_end_what_waits_goes_at_once_and_nothing_more_comes_in() {
        let (queue, tally) = (Queue::new(10, 2, NEVER), Tally::default());
        fill(&queue, &tally, 3);
        queue.close(Instant::now() + NEVER);
        fill(&queue, &tally, 1);
        assert_eq!(dropped(&tally, Dropped::Shutdown), 1);
        assert_eq!(names(queue.next()), ["0", "1"]);
        assert_eq!(names(queue.next()), ["2"]);
        assert!(queue.next().is_none());
    }

    #[test]
    fn what_has_no_time_left_is_given_up() {
        let (queue, tally) = (Queue::new(10, 2, NEVER), Tally::default());
        fill(&queue, &tally, 3);
        queue.close(Instant::now());
        assert!(queue.next().is_none());
        assert_eq!(queue.give_up(), 3);
        assert_eq!(dropped(&tally, Dropped::Shutdown), 3);
        assert_eq!(queue.look(|len| len), 0);
    }

    #[test]
    fn a_pause_ends_with_the_exporter() {
        let queue = Queue::new(10, 2, NEVER);
        assert!(queue.sleep(Instant::now()));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| queue.sleep(Instant::now() + NEVER));
            queue.close(Instant::now());
            assert!(!sleeper.join().unwrap());
        });
    }
}
