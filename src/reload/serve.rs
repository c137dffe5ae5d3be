//! The supervisor's thread: it takes orders one after another.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::found::Folder;
use super::kernel::Kernel;
use super::report::Report;
use super::supervisor::{LOOK_EVERY, Moment, Supervisor};

/// What the supervisor can be asked for.
pub enum Order {
    /// To look at the files: something may have changed.
    Look,
    /// To look at them and to try again what failed; who asks may want to know what became of it.
    Reload(Option<Sender<Report>>),
    /// To let go of everything and end.
    Stop,
}

/// Gives orders; they are carried out one after another.
#[derive(Clone, Debug)]
pub struct Reloader {
    orders: Sender<Order>,
}

impl Reloader {
    /// One that gives orders, and where they come out.
    #[must_use]
    pub fn new() -> (Self, Receiver<Order>) {
        let (orders, receiver) = channel();
        (Self { orders }, receiver)
    }

    /// Gives an order. One that comes after the end is lost.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Reloads and waits for the outcome; none when it is not there in time, or nobody reloads any more.
    #[must_use]
    pub fn reload(&self, deadline: Instant) -> Option<Report> {
        let (sender, receiver) = channel();
        self.order(Order::Reload(Some(sender)));
        receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

/// Who wants to know of reloads.
pub trait Observer {
    /// The files are about to be looked at.
    fn begins(&mut self, is_asked_for: bool);

    /// They were, and this is what became of it.
    fn ended(&mut self, report: &Report, took: Duration, is_asked_for: bool);
}

/// What is to be done next: many changes are one.
#[derive(Default)]
struct Waiting {
    look: bool,
    asked: Vec<Option<Sender<Report>>>,
    stop: bool,
}

impl Waiting {
    fn add(&mut self, order: Order) {
        match order {
            Order::Look => self.look = true,
            Order::Reload(reply) => self.asked.push(reply),
            Order::Stop => self.stop = true,
        }
    }
}

/// Carries out orders until the one to stop, or until nobody can give any more; then lets go of everything.
pub fn serve<K: Kernel>(
    mut supervisor: Supervisor<K>,
    folder: &mut dyn Folder,
    observer: &mut dyn Observer,
    orders: &Receiver<Order>,
) {
    let after = |wait: Option<Duration>| wait.map(|wait| Instant::now() + wait);
    let mut again: Option<Instant> = None;
    let mut follow = after(next_look(&mut supervisor, folder));
    loop {
        let mut waiting = Waiting::default();
        let first = match [again, follow].into_iter().flatten().min() {
            Some(at) => orders.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match first {
            Ok(order) => waiting.add(order),
            Err(RecvTimeoutError::Timeout) if again.is_some_and(|at| at <= Instant::now()) => {
                waiting.look = true
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(found) = folder.read_pins() {
                    let began = Instant::now();
                    observer.begins(false);
                    let report = supervisor.reload(found, Moment::now(false));
                    observer.ended(&report, began.elapsed(), false);
                    again = again.or(after(report.look_again));
                }
                follow = after(next_look(&mut supervisor, folder));
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        orders.try_iter().for_each(|order| waiting.add(order));
        if waiting.stop {
            break;
        }
        let is_asked_for = !waiting.asked.is_empty();
        let began = Instant::now();
        observer.begins(is_asked_for);
        let report = match folder.read() {
            Ok(found) => supervisor.reload(found, Moment::now(is_asked_for)),
            Err(problems) => supervisor.refuse(problems),
        };
        observer.ended(&report, began.elapsed(), is_asked_for);
        again = after(report.look_again);
        follow = after(next_look(&mut supervisor, folder));
        for reply in waiting.asked.into_iter().flatten() {
            let _ = reply.send(report.clone());
        }
    }
    supervisor.retire();
}

/// Looks for places that have come or are gone; when to look again, for those and for maps that others load.
fn next_look<K: Kernel>(supervisor: &mut Supervisor<K>, folder: &dyn Folder) -> Option<Duration> {
    let places = supervisor.follow();
    places.or(folder.follows().then_some(LOOK_EVERY))
}
