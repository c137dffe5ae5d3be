//! One pass over the live generation.
//!
//! A scrape has two phases. First every source is read once, under a deadline, and what has to
//! be grouped is grouped: this reading is shared by all requests that arrived before it
//! began. Then the page is rendered, with no kernel in reach, and coded: once for all who share
//! a reading and want the same coding.
//!
//! A family is published whole or not at all: when one of its sources could not be read it is
//! left out and that is said, because a gap is honest and a smaller sum is a false reset.

mod cores;
mod distinct;
mod fold;
mod fullness;
mod generation;
mod lent;
mod limit;
mod losses;
mod many;
mod maps;
mod memo;
mod plan;
mod publish;
mod reading;
mod render;
mod rows;
mod self_metrics;
mod shared;
mod skip_cache;
mod slots;
mod state;
mod stream;
mod succession;
mod turnstile;
mod upkeep;
mod weave;

#[cfg(test)]
mod tests;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use generation::{ConfigState, Generation, Live, Member, Reloads};
pub use publish::{Handover, Replaced};
pub use self_metrics::BuildInfo;
pub use stream::{Broken, PageStream};
pub use upkeep::Upkeep;

use crate::page::{self, Chunks, Coding};
use crate::spans::Spans;
use reading::Reading;
use shared::{Made, Shared};
use state::States;
use turnstile::Turnstile;

/// What a scraper is told once.
pub struct Settings {
    /// Bytes that what is held of one source may take.
    pub max_snapshot_bytes: usize,
    /// Keys that each metric remembers as skipped; 0 remembers none.
    pub skip_cache_size: usize,
    /// Bytes that a page may have before it is sent while it is rendered, instead of being held whole.
    pub max_whole_page: usize,
    /// How long a label set that is gone keeps its place among those that a limited metric publishes.
    pub limit_grace: Duration,
    /// Whether the kernel keeps run statistics of programs at the moment.
    pub stats_enabled: Box<dyn Fn() -> bool + Send + Sync>,
    /// How many clients were cut so far, by the reason.
    pub clients_cut: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    /// Where spans go.
    pub spans: Arc<Spans>,
    /// What this program is.
    pub build: BuildInfo,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_snapshot_bytes: 512 * 1024 * 1024,
            skip_cache_size: 0,
            max_whole_page: 16 * 1024 * 1024,
            limit_grace: limit::GRACE,
            stats_enabled: Box::new(|| false),
            clients_cut: Box::new(Vec::new),
            spans: Arc::new(Spans::off()),
            build: BuildInfo::default(),
        }
    }
}

/// What one request asks for.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeOptions {
    /// When reading must have come to an end; what is late is left out.
    pub deadline: Instant,
    /// How the page is to be coded.
    pub coding: Coding,
}

/// A page, ready to be sent.
#[derive(Debug)]
pub struct ScrapedPage {
    /// The media type.
    pub content_type: &'static str,
    /// The coding, when it is not sent as it is.
    pub content_encoding: Option<&'static str>,
    /// The body, as far as it is there.
    pub chunks: Vec<Bytes>,
    /// The rest of a body that is too long to be held.
    pub rest: Option<PageStream>,
}

/// Serves scrapes of whatever generation is live.
pub struct Scraper {
    live: Arc<Live>,
    settings: Settings,
    states: States,
    turnstile: Turnstile<Shared>,
    pool: Arc<page::Pool>,
}

impl Scraper {
    /// A scraper of a live generation.
    #[must_use]
    pub fn new(live: Arc<Live>, settings: Settings) -> Self {
        let (states, turnstile, pool) = (States::default(), Turnstile::default(), Arc::default());
        Self { live, settings, states, turnstile, pool }
    }

    /// Makes a page, and holds all of it. Never fails as a whole: what cannot be told is left out and said.
    #[must_use]
    pub fn scrape(&self, options: &ScrapeOptions) -> ScrapedPage {
        let (reply, made) = mpsc::channel();
        self.make(options, usize::MAX, move |page| {
            let _ = reply.send(page);
        });
        let mut page = made.recv().unwrap_or_else(|_| scraped(Made::Whole(Coding::Identity, Vec::new())));
        if let Some(rest) = page.rest.take() {
            page.chunks.extend(rest.map_while(Result::ok));
        }
        page
    }

    /// Makes a page, and gives it as soon as it is there. A long one is given while it is rendered: then this returns
    /// when all of it was taken, or everybody is gone who would.
    pub fn serve(&self, options: &ScrapeOptions, reply: impl FnOnce(ScrapedPage) + Send + 'static) {
        self.make(options, self.settings.max_whole_page, reply);
    }

    fn make(&self, options: &ScrapeOptions, most: usize, reply: impl FnOnce(ScrapedPage) + Send + 'static) {
        let deadline = options.deadline;
        let mut reply: Box<dyn FnOnce(Made) + Send> = Box::new(|made| reply(scraped(made)));
        loop {
            let shared = self
                .turnstile
                .shared(deadline, |deadline| {
                    Shared::new(reading::read(self.live.current(), &self.settings, &self.states, deadline))
                })
                .unwrap_or_else(|| Arc::new(Shared::new(Reading::late(self.live.current()))));
            let render = |reading: &Reading, chunks| self.render(reading, chunks);
            match shared.page(options.coding, (most, &self.pool), render, reply) {
                Ok(()) => return,
                Err(unused) => reply = unused,
            }
        }
    }

    fn render(&self, reading: &Reading, chunks: Chunks) -> Vec<Bytes> {
        let mut rendered = render::render(reading, &self.states, chunks);
        let own = self_metrics::families(reading, &rendered, &self.states, &self.settings);
        let own = page::encode_families(&own);
        if rendered.chunks.flows() {
            // Where they belong is on its way already.
            for (_, family) in own {
                rendered.chunks.open().extend_from_slice(&family);
                rendered.chunks.close_when_full();
            }
            return rendered.chunks.finish();
        }
        weave::weave(rendered.chunks, &rendered.marks, own)
    }

    /// What all maps hold, row by row, as text for people who debug a config.
    #[must_use]
    pub fn describe_maps(&self, deadline: Instant) -> Vec<Bytes> {
        maps::describe(&self.live.current(), deadline, self.settings.max_snapshot_bytes).finish()
    }

    /// The generation that the next scrape will see.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Where spans go.
    #[must_use]
    pub fn spans(&self) -> &Arc<Spans> {
        &self.settings.spans
    }
}

fn scraped(made: Made) -> ScrapedPage {
    let (coding, chunks, rest) = match made {
        Made::Whole(coding, chunks) => (coding, chunks, None),
        Made::Flows(coding, stream) => (coding, Vec::new(), Some(stream)),
    };
    ScrapedPage { content_type: page::CONTENT_TYPE, content_encoding: coding.name(), chunks, rest }
}
