//! The right to have a page in memory: so many for all, so many for one client.
//!
//! Who finds none waits for its turn. Waiting costs nothing, so many requests of one client are
//! answered one after another, and never take what others need.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::message::Client;

/// How often a request that waits looks for a client that can be spared.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// One page in memory, from before it is made until the kernel has all of it.
#[derive(Debug)]
pub(super) struct Right {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// All rights there are.
#[derive(Debug)]
pub(super) struct Rights {
    all: Arc<Semaphore>,
    clients: Mutex<HashMap<Client, Weak<Semaphore>>>,
    of_client: usize,
}

impl Rights {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.max_pages)),
            clients: Mutex::default(),
            of_client: limits.max_pages_of_client,
        }
    }

    /// Waits for a right. `spare` is called while there is none: with the client whose pages are in
    /// the way, or with none where anybody's are.
    pub(super) async fn take(
        &self,
        client: Client,
        until: Instant,
        spare: impl Fn(Option<Client>, Instant),
    ) -> Option<Right> {
        let client = client.group();
        let of_client = wait(self.of(client), until, |now| spare(Some(client), now)).await?;
        let of_all = wait(self.all.clone(), until, |now| spare(None, now)).await?;
        Some(Right { _of_client: of_client, _of_all: of_all })
    }

    fn of(&self, client: Client) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = clients.get(&client).and_then(Weak::upgrade) {
            return semaphore;
        }
        clients.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.of_client));
        clients.insert(client, Arc::downgrade(&semaphore));
        semaphore
    }
}

async fn wait(
    semaphore: Arc<Semaphore>,
    until: Instant,
    spare: impl Fn(Instant),
) -> Option<OwnedSemaphorePermit> {
    let mut permit = pin!(semaphore.acquire_owned());
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            permit = &mut permit => return permit.ok(),
            () = tokio::time::sleep(pause) => {}
        }
        let now = Instant::now();
        if now >= until {
            return None;
        }
        spare(now);
        pause = LOOK_AGAIN.min(until - now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(last: u8) -> Client {
        Client::Address(Ipv4Addr::new(10, 0, 0, last).into())
    }

    #[test]
    fn a_client_waits_for_itself_and_others_do_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let limits = Limits { max_pages: 3, max_pages_of_client: 2, ..Limits::default() };
        runtime.block_on(async {
            let rights = Rights::new(&limits);
            let asked = Mutex::new(Vec::new());
            let take = async |last, milliseconds| {
                let until = Instant::now() + Duration::from_millis(milliseconds);
                rights.take(client(last), until, |client, _| asked.lock().unwrap().push(client)).await
            };
            let (first, _second) = (take(1, 0).await.unwrap(), take(1, 0).await.unwrap());
            assert!(take(1, 20).await.is_none());
            assert!(asked.lock().unwrap().drain(..).all(|asked| asked == Some(client(1))));
            let other = take(2, 0).await.unwrap();
            assert!(take(3, 20).await.is_none());
            assert!(asked.lock().unwrap().drain(..).all(|asked| asked.is_none()));
            drop(first);
            assert!(take(1, 0).await.is_some());
            drop(other);
            assert_eq!(rights.clients.lock().unwrap().len(), 3);
            let _fresh = take(4, 0).await.unwrap();
            assert_eq!(rights.clients.lock().unwrap().len(), 2, "who has none is forgotten");
        });
    }
}
