//! One pass over the live generation.
//!
//! A scrape has two phases. First every source is read once, under a deadline, and what has to
//! be grouped is grouped: this reading is shared by all requests that arrived before it
//! began. Then the page is rendered, with no kernel in reach, and coded: once for all who share
//! a reading and want the same coding.
//!
//! A family is published whole or not at all: when one of its sources could not be read it is
//! left out and that is said, because a gap is honest and a smaller sum is a false reset.

mod distinct;
mod fold;
mod fullness;
mod generation;
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
mod succession;
mod turnstile;
mod upkeep;
mod weave;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use generation::{ConfigState, Generation, Live, Member, Reloads};
pub use publish::{Handover, Replaced};
pub use self_metrics::{BuildInfo, reserved};
pub use upkeep::Upkeep;

use crate::page::{self, Coding};
use reading::Reading;
use shared::Shared;
use state::States;
use turnstile::Turnstile;

/// What a scraper is told once.
pub struct Settings {
    /// Bytes that what is held of one source may take.
    pub max_snapshot_bytes: usize,
    /// Keys that each metric remembers as skipped; 0 remembers none.
    pub skip_cache_size: usize,
    /// How long a label set that is gone keeps its place among those that a limited metric publishes.
    pub limit_grace: Duration,
    /// Whether the kernel keeps run statistics of programs at the moment.
    pub stats_enabled: Box<dyn Fn() -> bool + Send + Sync>,
    /// How many clients were cut so far, by the reason.
    pub clients_cut: Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>,
    /// What this program is.
    pub build: BuildInfo,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_snapshot_bytes: 512 * 1024 * 1024,
            skip_cache_size: 0,
            limit_grace: limit::GRACE,
            stats_enabled: Box::new(|| false),
            clients_cut: Box::new(Vec::new),
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
#[derive(Clone, Debug)]
pub struct ScrapedPage {
    /// The media type.
    pub content_type: &'static str,
    /// The coding, when it is not sent as it is.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub chunks: Vec<Bytes>,
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

    /// Makes a page. Never fails as a whole: what cannot be told is left out and said.
    #[must_use]
    pub fn scrape(&self, options: &ScrapeOptions) -> ScrapedPage {
        let deadline = options.deadline;
        let shared = self
            .turnstile
            .shared(deadline, |deadline| {
                Shared::new(reading::read(self.live.current(), &self.settings, &self.states, deadline))
            })
            .unwrap_or_else(|| Arc::new(Shared::new(Reading::late(self.live.current()))));
        let (coding, chunks) = shared.page(options.coding, |reading| self.render(reading));
        ScrapedPage { content_type: page::CONTENT_TYPE, content_encoding: coding.name(), chunks }
    }

    fn render(&self, reading: &Reading) -> Vec<Bytes> {
        let rendered = render::render(reading, &self.states, &self.pool);
        let own = self_metrics::families(reading, &rendered, &self.states, &self.settings);
        weave::weave(rendered.chunks, &rendered.marks, page::encode_families(&own))
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
}
