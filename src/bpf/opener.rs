//! Maps by their ids, opened on behalf of threads that may not.
//!
//! The kernel wants `CAP_SYS_ADMIN` for that, which threads that serve scrapes do not keep. Where it stays, one
//! thread has it and does nothing else.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::raw;

/// Asks for maps: whoever has one may let another thread open them.
#[derive(Clone, Debug)]
pub struct MapOpener {
    orders: Sender<Order>,
}

/// The id of a map, and who waits for it.
struct Order {
    id: u32,
    answer: SyncSender<io::Result<OwnedFd>>,
}

/// What opens them, to be run by a thread of its own; it ends when nobody can ask any more.
pub struct Opening {
    orders: Receiver<Order>,
}

impl MapOpener {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Opening) {
        let (sender, orders) = channel();
        (Self { orders: sender }, Opening { orders })
    }

    /// A descriptor for reading the map that has an id.
    pub(super) fn open(&self, id: u32) -> io::Result<OwnedFd> {
        let ended = || io::Error::other("the thread that opens maps has ended");
        let (answer, opened) = sync_channel(1);
        self.orders.send(Order { id, answer }).map_err(|_| ended())?;
        opened.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Opening {
    /// Opens what is asked for, by the rights of the calling thread.
    pub fn run(self) {
        for Order { id, answer } in self.orders {
            // Who asked may have given up meanwhile: then the descriptor is closed.
            let _ = answer.send(raw::map_by_id(id));
        }
    }
}
