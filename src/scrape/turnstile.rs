//! One reading for all who came before it began.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::state::lock;

/// Lets one caller at a time do the work; who waits meanwhile shares the next result.
///
/// A result is shared only with callers that arrived before its work began: nobody gets
/// numbers that are older than the request.
pub(super) struct Turnstile<T> {
    turns: Mutex<Turns<T>>,
    finished: Condvar,
}

struct Turns<T> {
    running: bool,
    started: u64,
    finished: u64,
    waiting: usize,
    /// Who waits for a turn alone.
    claims: usize,
    /// Whether the next turn belongs to those who wait for shared work, because the last was one alone.
    owed: bool,
    /// The latest deadline of all who wait for the next work.
    deadline: Option<Instant>,
    latest: Option<Arc<T>>,
}

impl<T> Default for Turnstile<T> {
    fn default() -> Self {
        let turns = Turns {
            running: false,
            started: 0,
            finished: 0,
            waiting: 0,
            claims: 0,
            owed: false,
            deadline: None,
            latest: None,
        };
        Self { turns: Mutex::new(turns), finished: Condvar::new() }
    }
}

/// Opens the turnstile again, also when the work panicked.
struct Running<'a, T> {
    turnstile: &'a Turnstile<T>,
    result: Option<Arc<T>>,
}

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        let mut turns = lock(&self.turnstile.turns);
        turns.running = false;
        if let Some(result) = self.result.take() {
            turns.finished = turns.started;
            // Kept only while somebody waits for it: between scrapes nothing is held.
            turns.latest = (turns.waiting > 0).then_some(result);
        }
        self.turnstile.finished.notify_all();
    }
}

impl<T> Turnstile<T> {
    /// The result of work that began after this call; none when the deadline passed before.
    ///
    /// The work is given the latest deadline of those who will share it: whoever asks with a
    /// short one cannot spoil it for the others.
    pub(super) fn shared(&self, deadline: Instant, work: impl FnOnce(Instant) -> T) -> Option<Arc<T>> {
        let mut turns = lock(&self.turns);
        let needed = turns.started + 1;
        turns.waiting += 1;
        turns.deadline = turns.deadline.max(Some(deadline));
        loop {
            if turns.finished >= needed && turns.latest.is_some() {
                turns.waiting -= 1;
                let result = turns.latest.clone();
                if turns.waiting == 0 {
                    turns.latest = None;
                }
                return result;
            }
            if !turns.running && (turns.claims == 0 || turns.owed) {
                turns.waiting -= 1;
                turns.running = true;
                turns.owed = false;
                turns.started += 1;
                let deadline = turns.deadline.take().map_or(deadline, |latest| latest.max(deadline));
                drop(turns);
                let mut running = Running { turnstile: self, result: None };
                let result = Arc::new(work(deadline));
                running.result = Some(Arc::clone(&result));
                return Some(result);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                turns.waiting -= 1;
                if turns.waiting == 0 {
                    // Whoever was owed the turn does not want it any more.
                    self.finished.notify_all();
                }
                return None;
            }
            turns = self.finished.wait_timeout(turns, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Works while no shared work is done: after what runs now, before what has not begun.
    ///
    /// Who waits for shared work meanwhile is served next, before another turn alone.
    pub(super) fn alone<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut turns = lock(&self.turns);
        turns.claims += 1;
        while turns.running || (turns.owed && turns.waiting > 0) {
            turns = self.finished.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        turns.claims -= 1;
        turns.running = true;
        turns.owed = true;
        drop(turns);
        let _opens_again = Running { turnstile: self, result: None };
        work()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn who_arrives_during_work_shares_the_next() {
        let turnstile = Turnstile::<usize>::default();
        let works = AtomicUsize::new(0);
        let (began, gate) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                turnstile.shared(soon(), |_| {
                    began.wait();
                    gate.wait();
                    works.fetch_add(1, Ordering::SeqCst)
                })
            });
            began.wait();
            let later: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| turnstile.shared(soon(), |_| works.fetch_add(1, Ordering::SeqCst))))
                .collect();
            while lock(&turnstile.turns).waiting < 8 {
                std::thread::yield_now();
            }
            gate.wait();
            assert_eq!(first.join().unwrap().as_deref(), Some(&0));
            for thread in later {
                assert_eq!(thread.join().unwrap().as_deref(), Some(&1));
            }
        });
        assert_eq!(works.into_inner(), 2);
        assert!(lock(&turnstile.turns).latest.is_none(), "nothing is held between scrapes");
    }

    #[test]
    fn the_work_has_as_much_time_as_the_most_patient_of_those_who_share_it() {
        let turnstile = Turnstile::<Instant>::default();
        let (began, gate) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        let first = soon();
        let (patient, hasty) = (first + Duration::from_secs(60), first + Duration::from_secs(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                turnstile.shared(first, |deadline| {
                    began.wait();
                    gate.wait();
                    deadline
                })
            });
            began.wait();
            let later = [hasty, patient, hasty].map(|deadline| {
                let turnstile = &turnstile;
                scope.spawn(move || turnstile.shared(deadline, |deadline| deadline))
            });
            while lock(&turnstile.turns).waiting < 3 {
                std::thread::yield_now();
            }
            gate.wait();
            for thread in later {
                assert_eq!(thread.join().unwrap().as_deref(), Some(&patient));
            }
        });
        assert_eq!(turnstile.shared(hasty, |deadline| deadline).as_deref(), Some(&hasty));
    }

    #[test]
    fn one_after_another_each_works() {
        let turnstile = Turnstile::<u32>::default();
        for turn in 0..3 {
            assert_eq!(turnstile.shared(soon(), |_| turn).as_deref(), Some(&turn));
        }
    }

    #[test]
    fn a_turn_alone_waits_for_the_work_and_is_shared_by_nobody() {
        let turnstile = Turnstile::<usize>::default();
        let works = AtomicUsize::new(0);
        let (began, gate) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                turnstile.shared(soon(), |_| {
                    began.wait();
                    gate.wait();
                    works.fetch_add(1, Ordering::SeqCst)
                })
            });
            began.wait();
            let shared = || turnstile.shared(soon(), |_| works.fetch_add(1, Ordering::SeqCst));
            let before = scope.spawn(shared);
            while lock(&turnstile.turns).waiting < 1 {
                std::thread::yield_now();
            }
            let alone = [(); 2].map(|()| {
                scope.spawn(|| {
                    turnstile.alone(|| {
                        let turn = works.fetch_add(1, Ordering::SeqCst);
                        // Nobody works meanwhile, however long it takes.
                        std::thread::sleep(Duration::from_millis(20));
                        assert_eq!(works.load(Ordering::SeqCst), turn + 1);
                        turn
                    })
                })
            });
            while lock(&turnstile.turns).claims < 2 {
                std::thread::yield_now();
            }
            let after = scope.spawn(shared);
            while lock(&turnstile.turns).waiting < 2 {
                std::thread::yield_now();
            }
            gate.wait();
            assert_eq!(first.join().unwrap().as_deref(), Some(&0));
            let mut turns = alone.map(|thread| thread.join().unwrap());
            turns.sort_unstable();
            // Who waited is served between the two, by one work.
            assert_eq!(turns, [1, 3]);
            for thread in [before, after] {
                assert_eq!(thread.join().unwrap().as_deref(), Some(&2));
            }
        });
    }

    #[test]
    fn who_gives_up_waiting_owes_and_is_owed_nothing() {
        let turnstile = Turnstile::<u32>::default();
        let (began, gate) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                turnstile.alone(|| {
                    began.wait();
                    gate.wait();
                })
            });
            began.wait();
            assert!(turnstile.shared(Instant::now() + Duration::from_millis(5), |_| 1).is_none());
            let next = scope.spawn(|| turnstile.alone(|| 2));
            gate.wait();
            assert_eq!(next.join().unwrap(), 2);
            assert_eq!(turnstile.shared(soon(), |_| 3).as_deref(), Some(&3));
            assert_eq!(turnstile.alone(|| 4), 4);
        });
    }

    #[test]
    fn who_waits_too_long_gets_nothing_and_a_panic_opens_the_door() {
        let turnstile = Turnstile::<u32>::default();
        let (began, gate) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let stuck = scope.spawn(|| {
                turnstile.shared(soon(), |_| {
                    began.wait();
                    gate.wait();
                    panic!("on purpose")
                })
            });
            began.wait();
            assert!(turnstile.shared(Instant::now() + Duration::from_millis(5), |_| 1).is_none());
            gate.wait();
            assert!(stuck.join().is_err());
        });
        assert_eq!(turnstile.shared(soon(), |_| 7).as_deref(), Some(&7));
    }
}
