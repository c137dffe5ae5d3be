//! What the requests that share a reading share beyond it: the page, in each coding that is asked for.

use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use super::reading::Reading;
use super::state::lock;
use crate::page::{self, Coding};

/// A reading, and the pages that were made of it.
///
/// Chunks are shared, not copied: who scrape at the same time hold one page between them.
pub(super) struct Shared {
    /// There until the page is rendered: its snapshots are not needed any more then.
    reading: Mutex<Option<Arc<Reading>>>,
    plain: OnceLock<Vec<Bytes>>,
    gzip: OnceLock<Option<Vec<Bytes>>>,
    zstd: OnceLock<Option<Vec<Bytes>>>,
}

impl Shared {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            reading: Mutex::new(Some(Arc::new(reading))),
            plain: OnceLock::new(),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        }
    }

    /// The page in a coding; as it is where that coding fails. Whoever asks first makes it, the
    /// others wait for it.
    pub(super) fn page(
        &self,
        coding: Coding,
        render: impl FnOnce(&Reading) -> Vec<Bytes>,
    ) -> (Coding, Vec<Bytes>) {
        let plain = self.plain.get_or_init(|| self.rendered(render));
        let coded = match coding {
            Coding::Identity => None,
            Coding::Gzip => self.gzip.get_or_init(|| page::gzip(plain)).as_ref(),
            Coding::Zstd => self.zstd.get_or_init(|| page::zstd(plain)).as_ref(),
        };
        coded.map_or_else(|| (Coding::Identity, plain.clone()), |coded| (coding, coded.clone()))
    }

    fn rendered(&self, render: impl FnOnce(&Reading) -> Vec<Bytes>) -> Vec<Bytes> {
        // Let go of only after it was rendered: after a panic the next one must not find nothing.
        let reading = lock(&self.reading).clone();
        let page = reading.as_deref().map(render).unwrap_or_default();
        *lock(&self.reading) = None;
        page
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::scrape::generation::Generation;

    fn shared() -> Shared {
        Shared::new(Reading::late(Arc::new(Generation::plan(Vec::new(), Vec::new()))))
    }

    #[test]
    fn a_page_is_made_once_for_all_who_share_a_reading() {
        let (shared, renders) = (shared(), AtomicUsize::new(0));
        let render = |_: &Reading| {
            renders.fetch_add(1, Ordering::SeqCst);
            vec![Bytes::from("a line\n".repeat(1000))]
        };
        let pages: Vec<_> = std::thread::scope(|scope| {
            let codings = [Coding::Gzip, Coding::Zstd, Coding::Identity].into_iter().cycle().take(12);
            let threads: Vec<_> = codings
                .map(|coding| {
                    let shared = &shared;
                    scope.spawn(move || (coding, shared.page(coding, render)))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(renders.into_inner(), 1);
        assert!(lock(&shared.reading).is_none(), "the snapshots were let go");
        for (coding, (sent, page)) in &pages {
            assert_eq!(coding, sent);
            let first = pages.iter().find(|(other, _)| other == coding).unwrap();
            let address = |page: &[Bytes]| page.iter().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>();
            assert_eq!(address(page), address(&first.1.1), "shared, not copied");
        }
    }

    #[test]
    fn after_a_panic_the_next_one_renders() {
        let shared = shared();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            shared.page(Coding::Identity, |_| panic!("on purpose"))
        }));
        assert!(panicked.is_err());
        let (_, page) = shared.page(Coding::Identity, |_| vec![Bytes::from_static(b"page")]);
        assert_eq!(page.concat(), b"page");
    }
}
