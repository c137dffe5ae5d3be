//! The thread that does what maps need beside scrapes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::scrape::{Scraper, Upkeep};

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Upkeeping {
    thread: Option<JoinHandle<()>>,
    /// Nothing is sent: the end of it is the order to stop.
    alive: Option<Sender<()>>,
}

impl Upkeeping {
    /// Starts it with the rights of the calling thread, which are those that reading takes. Scrapes go
    /// on without it.
    pub fn start(scraper: Arc<Scraper>) -> Option<Self> {
        let (alive, orders) = channel();
        let thread = std::thread::Builder::new().name("upkeep".into()).spawn(move || work(&scraper, &orders));
        match thread {
            Ok(thread) => Some(Self { thread: Some(thread), alive: Some(alive) }),
            Err(error) => {
                tracing::warn!(%error, "entries are neither counted nor taken out beside scrapes");
                None
            }
        }
    }
}

impl Drop for Upkeeping {
    fn drop(&mut self) {
        drop(self.alive.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread `upkeep` panicked");
        }
    }
}

fn work(scraper: &Scraper, orders: &Receiver<()>) {
    let mut upkeep = Upkeep::default();
    let is_over = || orders.try_recv() == Err(TryRecvError::Disconnected);
    loop {
        let wait = scraper.upkeep(&mut upkeep, &is_over);
        if orders.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
