//! What the requests that share a reading share beyond it: the page, in each coding that is asked for.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::reading::Reading;
use super::state::lock;
use super::stream::{Inflow, PageStream, stream};
use crate::page::{self, Chunks, Coding, Outlet, Pool};

/// A reading, and the page that is made of it.
///
/// Chunks are shared, not copied: who scrape at the same time hold one page between them.
pub(super) struct Shared {
    /// There until the page is rendered: its snapshots are not needed any more then.
    reading: Mutex<Option<Arc<Reading>>>,
    making: Mutex<Making>,
    /// Told when the page is whole, or flows, or is to be made by somebody else.
    changed: Condvar,
    plain: OnceLock<Vec<Bytes>>,
    gzip: OnceLock<Option<Vec<Bytes>>>,
    zstd: OnceLock<Option<Vec<Bytes>>>,
}

/// How far the page is, and who waits for it.
struct Making {
    stage: Stage,
    waiting: Vec<Coding>,
}

enum Stage {
    /// Nobody has begun.
    Unmade,
    /// Somebody renders it.
    Rendered,
    Whole,
    /// It is sent while it is rendered. Who waited for it has a stream; nobody else can join.
    Flows(Vec<(Coding, PageStream)>),
}

/// A page as one client gets it.
#[derive(Debug)]
pub(super) enum Made {
    Whole(Coding, Vec<Bytes>),
    Flows(Coding, PageStream),
}

/// Told what the page is, as soon as that is known.
type Reply = Box<dyn FnOnce(Made) + Send>;

impl Shared {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            reading: Mutex::new(Some(Arc::new(reading))),
            making: Mutex::new(Making { stage: Stage::Unmade, waiting: Vec::new() }),
            changed: Condvar::new(),
            plain: OnceLock::new(),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        }
    }

    /// Gives the page in a coding; as it is where that coding fails. Whoever asks first makes it, the
    /// others wait for it.
    ///
    /// One of more than `most` bytes is given as a stream; who makes it returns when all of it is made.
    ///
    /// # Errors
    /// The reply, when its beginning is gone already: then only another reading helps.
    pub(super) fn page(
        self: &Arc<Self>,
        coding: Coding,
        (most, pool): (usize, &Arc<Pool>),
        render: impl FnOnce(&Reading, Chunks) -> Vec<Bytes>,
        reply: Reply,
    ) -> Result<(), Reply> {
        if !self.begin(coding) {
            return match self.take(coding) {
                Some(made) => {
                    reply(made);
                    Ok(())
                }
                None => Err(reply),
            };
        }
        let unmade = Unmade(self);
        let reading = lock(&self.reading).clone();
        let reply = Arc::new(Mutex::new(Some(reply)));
        let overflow = Overflow { shared: Arc::clone(self), coding, reply: Arc::clone(&reply), inflow: None };
        let chunks = Chunks::pooled(Arc::clone(pool)).with_outlet(most, Box::new(overflow));
        let page = reading.as_deref().map(|reading| render(reading, chunks)).unwrap_or_default();
        drop(reading);
        let reply = lock(&reply).take();
        if reply.is_none() && !matches!(lock(&self.making).stage, Stage::Flows(_)) {
            // It could not be coded: another may try.
            return Ok(());
        }
        // Let go of only after it was made: after a panic the next one must not find nothing.
        *lock(&self.reading) = None;
        if let Some(reply) = reply {
            let _ = self.plain.set(page);
            self.enter(Stage::Whole);
            drop(unmade);
            reply(self.whole(coding));
        }
        Ok(())
    }

    /// Waits until the page is there; true when the caller has to make it.
    fn begin(&self, coding: Coding) -> bool {
        let mut making = lock(&self.making);
        let mut waits = false;
        loop {
            match making.stage {
                Stage::Unmade => {
                    if let Some(place) = making.waiting.iter().position(|other| waits && *other == coding) {
                        making.waiting.swap_remove(place);
                    }
                    making.stage = Stage::Rendered;
                    return true;
                }
                Stage::Rendered => {
                    if !std::mem::replace(&mut waits, true) {
                        making.waiting.push(coding);
                    }
                    making = self.changed.wait(making).unwrap_or_else(PoisonError::into_inner);
                }
                Stage::Whole | Stage::Flows(_) => return false,
            }
        }
    }

    /// The page that is there; none for who comes too late to join.
    fn take(&self, coding: Coding) -> Option<Made> {
        let mut making = lock(&self.making);
        if let Stage::Flows(streams) = &mut making.stage {
            let place = streams.iter().position(|(other, _)| *other == coding)?;
            let (_, stream) = streams.swap_remove(place);
            return Some(Made::Flows(coding, stream));
        }
        drop(making);
        Some(self.whole(coding))
    }

    fn whole(&self, coding: Coding) -> Made {
        let plain = self.plain.get().map(Vec::as_slice).unwrap_or_default();
        let coded = match coding {
            Coding::Identity => None,
            Coding::Gzip => self.gzip.get_or_init(|| page::gzip(plain)).as_ref(),
            Coding::Zstd => self.zstd.get_or_init(|| page::zstd(plain)).as_ref(),
        };
        match coded {
            Some(coded) => Made::Whole(coding, coded.clone()),
            None => Made::Whole(Coding::Identity, plain.to_vec()),
        }
    }

    fn enter(&self, stage: Stage) {
        lock(&self.making).stage = stage;
        self.changed.notify_all();
    }

    /// Turns the page into a stream for all who wait for it by now, `own` first.
    fn overflow(&self, own: Coding) -> std::io::Result<(Inflow, PageStream)> {
        let mut making = lock(&self.making);
        let codings: Vec<Coding> = std::iter::once(own).chain(making.waiting.drain(..)).collect();
        let (inflow, streams) = stream(&codings)?;
        let mut streams = codings.into_iter().zip(streams);
        let own = streams.next().map(|(_, stream)| stream);
        making.stage = Stage::Flows(streams.collect());
        drop(making);
        self.changed.notify_all();
        own.map(|own| (inflow, own)).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// Lets another make the page when who began did not come to an end.
struct Unmade<'a>(&'a Shared);

impl Drop for Unmade<'_> {
    fn drop(&mut self) {
        let mut making = lock(&self.0.making);
        if matches!(making.stage, Stage::Rendered) {
            making.stage = Stage::Unmade;
            drop(making);
            self.0.changed.notify_all();
        }
    }
}

/// Where a page goes that is too long to be held.
struct Overflow {
    shared: Arc<Shared>,
    coding: Coding,
    reply: Arc<Mutex<Option<Reply>>>,
    inflow: Option<Inflow>,
}

impl Outlet for Overflow {
    fn take(&mut self, chunks: Vec<Bytes>) -> bool {
        if self.inflow.is_none() {
            match self.shared.overflow(self.coding) {
                Ok((inflow, own)) => {
                    self.inflow = Some(inflow);
                    if let Some(reply) = lock(&self.reply).take() {
                        reply(Made::Flows(self.coding, own));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a page could not be coded");
                    // Without an answer the request fails, as it should.
                    lock(&self.reply).take();
                }
            }
        }
        self.inflow.as_mut().is_some_and(|inflow| inflow.push(&chunks))
    }

    fn end(&mut self) {
        if let Some(inflow) = &mut self.inflow {
            inflow.end();
        }
    }

    fn waited(&self) -> Duration {
        self.inflow.as_ref().map_or(Duration::ZERO, Inflow::waited)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::scrape::generation::Generation;

    const MOST: usize = 256 * 1024;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new(Reading::late(Arc::new(Generation::plan(Vec::new(), Vec::new())))))
    }

    /// So many lines; a page of chunks when they are few.
    fn lines(count: usize) -> impl Fn(&Reading, Chunks) -> Vec<Bytes> {
        move |_, mut chunks| {
            (0..count).for_each(|line| writeln!(chunks, "line {line}").unwrap());
            chunks.finish()
        }
    }

    fn text(count: usize) -> Vec<u8> {
        (0..count).flat_map(|line| format!("line {line}\n").into_bytes()).collect()
    }

    fn ask(
        shared: &Arc<Shared>,
        coding: Coding,
        render: impl FnOnce(&Reading, Chunks) -> Vec<Bytes>,
        reply: impl FnOnce(Made) + Send + 'static,
    ) -> bool {
        shared.page(coding, (MOST, &Arc::default()), render, Box::new(reply)).is_ok()
    }

    #[test]
    fn a_page_is_made_once_for_all_who_share_a_reading() {
        let (shared, renders) = (shared(), AtomicUsize::new(0));
        let render = |reading: &Reading, chunks: Chunks| {
            renders.fetch_add(1, Ordering::SeqCst);
            lines(1000)(reading, chunks)
        };
        let (tell, told) = mpsc::channel();
        let codings = [Coding::Gzip, Coding::Zstd, Coding::Identity].into_iter().cycle().take(12);
        std::thread::scope(|scope| {
            for coding in codings {
                let (shared, tell) = (&shared, tell.clone());
                scope.spawn(move || {
                    assert!(ask(shared, coding, render, move |made| tell.send((coding, made)).unwrap()));
                });
            }
        });
        drop(tell);
        assert_eq!(renders.into_inner(), 1);
        assert!(lock(&shared.reading).is_none(), "the snapshots were let go");
        let pages: Vec<_> = told
            .iter()
            .map(|(coding, made)| match made {
                Made::Whole(sent, page) => (coding, sent, page),
                Made::Flows(..) => panic!("it is short"),
            })
            .collect();
        for (coding, sent, page) in &pages {
            assert_eq!(coding, sent);
            let first = pages.iter().find(|(other, ..)| other == coding).unwrap();
            let address = |page: &[Bytes]| page.iter().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>();
            assert_eq!(address(page), address(&first.2), "shared, not copied");
        }
        assert_eq!(pages.len(), 12);
    }

    #[test]
    fn a_long_page_flows_to_all_who_waited_for_it_and_to_nobody_who_comes_later() {
        const LINES: usize = 500_000;
        let shared = shared();
        let codings = [Coding::Identity, Coding::Gzip, Coding::Identity, Coding::Zstd];
        let (tell, told) = mpsc::channel();
        let waiting = &shared;
        let take = |coding| {
            let tell = tell.clone();
            ask(waiting, coding, |_, _| panic!("another makes it"), move |made| tell.send(made).unwrap())
        };
        let take = &take;
        std::thread::scope(|scope| {
            let render = move |reading: &Reading, chunks: Chunks| {
                for coding in codings {
                    scope.spawn(move || assert!(take(coding)));
                }
                while lock(&waiting.making).waiting.len() < codings.len() {
                    std::thread::yield_now();
                }
                lines(LINES)(reading, chunks)
            };
            let own = tell.clone();
            scope.spawn(move || {
                assert!(ask(waiting, Coding::Gzip, render, move |made| own.send(made).unwrap()))
            });
            for _ in 0..=codings.len() {
                let Made::Flows(coding, stream) = told.recv().unwrap() else { panic!("it is long") };
                scope.spawn(move || {
                    let packed = stream.collect::<Result<Vec<Bytes>, _>>().unwrap().concat();
                    let plain = match coding {
                        Coding::Identity => packed,
                        Coding::Gzip => {
                            let mut plain = Vec::new();
                            std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain)
                                .unwrap();
                            plain
                        }
                        Coding::Zstd => ::zstd::stream::decode_all(&packed[..]).unwrap(),
                    };
                    assert!(plain == text(LINES), "{coding:?}");
                });
            }
        });
        assert!(!ask(&shared, Coding::Zstd, lines(1), |_| panic!("its beginning is gone")));
        assert!(lock(&shared.reading).is_none(), "the snapshots were let go");
    }

    #[test]
    fn after_a_panic_the_next_one_renders() {
        let shared = shared();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ask(&shared, Coding::Identity, |_, _| panic!("on purpose"), |_| panic!("there is nothing"))
        }));
        assert!(panicked.is_err());
        let (tell, told) = mpsc::channel();
        ask(&shared, Coding::Identity, lines(3), move |made| tell.send(made).unwrap());
        let Made::Whole(_, page) = told.recv().unwrap() else { panic!("it is short") };
        assert_eq!(page.concat(), text(3));
    }

    #[test]
    fn a_panic_in_the_middle_breaks_the_page_off() {
        let (shared, (tell, told)) = (shared(), mpsc::channel());
        let render = |_: &Reading, mut chunks: Chunks| {
            while !chunks.flows() {
                writeln!(chunks, "a line").unwrap();
            }
            panic!("on purpose")
        };
        let maker = std::thread::spawn(move || {
            ask(&shared, Coding::Identity, render, move |made| tell.send(made).unwrap())
        });
        let Made::Flows(_, mut stream) = told.recv().unwrap() else { panic!("it is long") };
        assert!(
            stream.by_ref().take_while(Result::is_ok).flatten().map(|chunk| chunk.len()).sum::<usize>()
                > MOST
        );
        assert!(matches!(stream.next(), Some(Err(_))));
        assert!(maker.join().is_err());
    }
}
