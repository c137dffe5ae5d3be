//! A page that is sent while it is rendered.
//!
//! A page that is too long to be held is rendered once for all who share its reading, and no faster than
//! the slowest of them takes it: between the two there is a window. Who holds others up for too long loses
//! its place.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::state::lock;
use crate::page::{Coder, Coding};

/// Bytes in one coding that wait for their slowest client before rendering does.
pub(super) const WINDOW: usize = 1 << 20;

/// How long a client may hold others up that wait for what it has not taken yet, ...
const PATIENCE: Duration = Duration::from_secs(2);

/// ... and one more second for each so many bytes that it took.
const BYTES_A_SECOND: f64 = (1 << 20) as f64;

/// How often it is looked after who holds others up.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why the rest of a page does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It could not be made.
    #[error("the page could not be made to its end")]
    Unmade,
    /// Others had to wait for this client for too long.
    #[error("others waited for this client")]
    HeldUpOthers,
}

/// What a page is to those who take it.
#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    seats: Vec<Seat>,
    /// Whether it came to its end whole; none while there is more to come.
    ended: Option<Result<(), Broken>>,
}

/// The chunks of one coding that not everybody has taken.
#[derive(Debug)]
struct Lane {
    coding: Coding,
    chunks: VecDeque<Bytes>,
    /// How many came before these.
    gone: usize,
    bytes: usize,
}

/// One client.
#[derive(Debug)]
struct Seat {
    lane: usize,
    /// Chunks that it took.
    taken: usize,
    taken_bytes: usize,
    /// Told when there is more; there while the client waits.
    waker: Option<Waker>,
    /// How long others waited for it.
    held_up: Duration,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Taken,
    Left,
    Lost,
}

/// What who renders and who takes have in common.
#[derive(Debug, Default)]
struct Flow {
    state: Mutex<State>,
    moved: Condvar,
}

/// The end at which the page comes in.
pub(super) struct Inflow {
    flow: Arc<Flow>,
    coders: Vec<Coder>,
    waited: Duration,
}

/// The rest of a page, as one client takes it.
#[derive(Debug)]
pub struct PageStream {
    flow: Arc<Flow>,
    seat: usize,
}

/// A page in the making for so many clients as there are codings; each has its stream, in their order.
pub(super) fn stream(codings: &[Coding]) -> std::io::Result<(Inflow, Vec<PageStream>)> {
    let mut state = State::default();
    let mut coders = Vec::new();
    for coding in codings {
        let lane = match state.lanes.iter().position(|lane| lane.coding == *coding) {
            Some(lane) => lane,
            None => {
                coders.push(Coder::new(*coding)?);
                state.lanes.push(Lane { coding: *coding, chunks: VecDeque::new(), gone: 0, bytes: 0 });
                state.lanes.len() - 1
            }
        };
        state.seats.push(Seat {
            lane,
            taken: 0,
            taken_bytes: 0,
            waker: None,
            held_up: Duration::ZERO,
            place: Place::Taken,
        });
    }
    let flow = Arc::new(Flow { state: Mutex::new(state), moved: Condvar::new() });
    let streams = (0..codings.len()).map(|seat| PageStream { flow: Arc::clone(&flow), seat }).collect();
    Ok((Inflow { flow, coders, waited: Duration::ZERO }, streams))
}

impl Inflow {
    /// Hands chunks over, and waits until there is room for more; false when nobody takes any more.
    pub(super) fn push(&mut self, plain: &[Bytes]) -> bool {
        self.each_lane(|coder| coder.push(plain));
        let began = Instant::now();
        let is_wanted = self.flow.wait();
        self.waited += began.elapsed();
        is_wanted
    }

    /// The last chunk was handed over.
    pub(super) fn end(&mut self) {
        self.each_lane(Coder::finish);
        self.flow.end(Ok(()));
    }

    /// How long it had to wait.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    fn each_lane(&mut self, mut code: impl FnMut(&mut Coder) -> std::io::Result<Vec<Bytes>>) {
        for (lane, coder) in self.coders.iter_mut().enumerate() {
            if !lock(&self.flow.state).is_taken(lane) {
                continue;
            }
            match code(coder) {
                Ok(chunks) => self.flow.push(lane, chunks),
                Err(error) => {
                    tracing::error!(%error, "a page could not be coded to its end");
                    return self.flow.end(Err(Broken::Unmade));
                }
            }
        }
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        self.flow.end(Err(Broken::Unmade));
    }
}

impl Flow {
    fn push(&self, lane: usize, chunks: Vec<Bytes>) {
        let mut state = lock(&self.state);
        if let Some(lane) = state.lanes.get_mut(lane) {
            let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
            chunks.for_each(|chunk| {
                lane.bytes += chunk.len();
                lane.chunks.push_back(chunk);
            });
        }
        state.wake(lane);
    }

    /// The first word counts.
    fn end(&self, how: Result<(), Broken>) {
        let mut state = lock(&self.state);
        state.ended.get_or_insert(how);
        for lane in 0..state.lanes.len() {
            state.wake(lane);
        }
    }

    /// Waits for room; false when nobody takes any more.
    fn wait(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.ended.is_some() || !state.seats.iter().any(|seat| seat.place == Place::Taken) {
                return false;
            }
            if state.lanes.iter().all(|lane| lane.bytes <= WINDOW) {
                return true;
            }
            let began = Instant::now();
            state = self.moved.wait_timeout(state, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
            state.hold_to_account(began.elapsed());
        }
    }
}

impl State {
    fn is_taken(&self, lane: usize) -> bool {
        self.ended.is_none() && self.seats.iter().any(|seat| seat.lane == lane && seat.place == Place::Taken)
    }

    fn wake(&mut self, lane: usize) {
        for seat in self.seats.iter_mut().filter(|seat| seat.lane == lane) {
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }

    /// Lets go of what everybody took.
    fn release(&mut self, lane: usize) {
        let of_lane = self.seats.iter().filter(|seat| seat.lane == lane && seat.place == Place::Taken);
        let least = of_lane.map(|seat| seat.taken).min();
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        while least.is_none_or(|least| lane.gone < least) {
            let Some(chunk) = lane.chunks.pop_front() else { return };
            lane.bytes -= chunk.len();
            lane.gone += 1;
        }
    }

    /// While some wait for more, those for whom the page waits are held to account.
    fn hold_to_account(&mut self, waited: Duration) {
        if !self.seats.iter().any(|seat| seat.place == Place::Taken && seat.waker.is_some()) {
            return;
        }
        let full: Vec<Option<usize>> =
            self.lanes.iter().map(|lane| (lane.bytes > WINDOW).then_some(lane.gone)).collect();
        let mut lost = Vec::new();
        for seat in self.seats.iter_mut().filter(|seat| seat.place == Place::Taken) {
            if full.get(seat.lane).copied().flatten() != Some(seat.taken) {
                continue;
            }
            seat.held_up += waited;
            #[allow(clippy::cast_precision_loss)]
            let earned = Duration::from_secs_f64(seat.taken_bytes as f64 / BYTES_A_SECOND);
            if seat.held_up > PATIENCE + earned {
                seat.place = Place::Lost;
                lost.push(seat.lane);
            }
        }
        for lane in lost {
            self.release(lane);
            self.wake(lane);
        }
    }
}

impl PageStream {
    /// The next chunk; none after the last one.
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut state = lock(&self.flow.state);
        let State { lanes, seats, ended } = &mut *state;
        let Some(seat) = seats.get_mut(self.seat) else { return Poll::Ready(None) };
        if seat.place != Place::Taken {
            return Poll::Ready(Some(Err(Broken::HeldUpOthers)));
        }
        let number = seat.lane;
        let chunk =
            lanes.get(number).and_then(|lane| lane.chunks.get(seat.taken.wrapping_sub(lane.gone))).cloned();
        if let Some(chunk) = chunk {
            seat.taken += 1;
            seat.taken_bytes += chunk.len();
            state.release(number);
            self.flow.moved.notify_one();
            return Poll::Ready(Some(Ok(chunk)));
        }
        match ended {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(broken)) => Poll::Ready(Some(Err(*broken))),
            None => {
                seat.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for PageStream {
    fn drop(&mut self) {
        let mut state = lock(&self.flow.state);
        if let Some(seat) = state.seats.get_mut(self.seat) {
            (seat.place, seat.waker) = (Place::Left, None);
            let lane = seat.lane;
            state.release(lane);
        }
        self.flow.moved.notify_one();
    }
}

/// Waits for each chunk on the thread that asks for it.
impl Iterator for PageStream {
    type Item = Result<Bytes, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match self.poll_chunk(&mut Context::from_waker(&waker)) {
                Poll::Ready(chunk) => return chunk,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: usize) -> Bytes {
        Bytes::from(format!("{number:08}").repeat(8 * 1024))
    }

    #[track_caller]
    fn check_whole(stream: PageStream, chunks: usize) {
        let all: Result<Vec<Bytes>, Broken> = stream.collect();
        assert!(all.unwrap() == (0..chunks).map(chunk).collect::<Vec<_>>());
    }

    #[test]
    fn everybody_gets_all_of_it_and_no_more_is_held_than_the_window() {
        let (mut inflow, streams) = stream(&[Coding::Identity; 3]).unwrap();
        std::thread::scope(|scope| {
            for stream in streams {
                scope.spawn(|| check_whole(stream, 300));
            }
            for number in 0..300 {
                assert!(inflow.push(&[chunk(number)]));
                assert!(lock(&inflow.flow.state).lanes[0].bytes <= WINDOW);
            }
            inflow.end();
        });
        assert!(!inflow.push(&[chunk(0)]));
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let (mut inflow, mut streams) = stream(&[Coding::Identity, Coding::Zstd, Coding::Identity]).unwrap();
        let last = streams.pop().unwrap();
        let taker = std::thread::spawn(|| check_whole(last, 100));
        let leaver = std::thread::spawn(|| {
            for mut stream in streams {
                stream.next().unwrap().unwrap();
            }
        });
        for number in 0..100 {
            assert!(inflow.push(&[chunk(number)]));
        }
        inflow.end();
        taker.join().unwrap();
        leaver.join().unwrap();
    }

    #[test]
    fn without_takers_nothing_more_is_made() {
        let (mut inflow, streams) = stream(&[Coding::Gzip]).unwrap();
        drop(streams);
        assert!(!inflow.push(&[chunk(0)]));
    }

    #[test]
    fn what_broke_off_is_not_taken_for_the_end() {
        let (mut inflow, mut streams) = stream(&[Coding::Identity]).unwrap();
        assert!(inflow.push(&[chunk(0)]));
        drop(inflow);
        let mut stream = streams.pop().unwrap();
        assert_eq!(stream.next(), Some(Ok(chunk(0))));
        assert_eq!(stream.next(), Some(Err(Broken::Unmade)));
    }

    #[test]
    fn who_holds_others_up_for_too_long_loses_its_place() {
        let (mut inflow, mut streams) = stream(&[Coding::Identity; 2]).unwrap();
        let (mut deaf, waiting) = (streams.pop().unwrap(), streams.pop().unwrap());
        assert!(inflow.push(&[chunk(0)]));
        assert_eq!(deaf.next(), Some(Ok(chunk(0))));
        std::thread::scope(|scope| {
            scope.spawn(|| check_whole(waiting, 100));
            for number in 1..100 {
                assert!(inflow.push(&[chunk(number)]));
            }
            inflow.end();
        });
        assert!(inflow.waited() > PATIENCE);
        assert_eq!(deaf.next(), Some(Err(Broken::HeldUpOthers)));
    }

    #[test]
    fn who_is_alone_may_be_as_slow_as_it_likes() {
        let mut state = State {
            lanes: vec![Lane {
                coding: Coding::Identity,
                chunks: VecDeque::new(),
                gone: 0,
                bytes: 2 * WINDOW,
            }],
            ..State::default()
        };
        let seat = |taken, waker| Seat {
            lane: 0,
            taken,
            taken_bytes: WINDOW,
            waker,
            held_up: Duration::ZERO,
            place: Place::Taken,
        };
        state.seats = vec![seat(0, None)];
        state.hold_to_account(PATIENCE * 100);
        assert_eq!((state.seats[0].place, state.seats[0].held_up), (Place::Taken, Duration::ZERO));
        // What it took is worth a second.
        state.seats.push(seat(7, Some(Waker::noop().clone())));
        state.hold_to_account(PATIENCE + Duration::from_millis(900));
        assert_eq!(state.seats[0].place, Place::Taken);
        state.hold_to_account(Duration::from_millis(200));
        assert_eq!((state.seats[0].place, state.seats[1].place), (Place::Lost, Place::Taken));
    }
}
