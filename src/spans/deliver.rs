//! One batch to the collector: packed, sent, and sent again while that makes sense.

use std::time::Instant;

use super::counts::Tally;
use super::environment::Settings;
use super::export::random;
use super::http::{Client, HttpError};
use super::otlp::{self, Partial};
use super::queue::{Pending, Queue};
use super::resolve::Resolver;
use super::retry::{self, Verdict};
use crate::page;

/// Sends batches.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    settings: &'a Settings,
    queue: &'a Queue,
    tally: &'a Tally,
    client: Client,
    /// A collector asked not to be asked before.
    not_before: Option<Instant>,
}

/// Why a batch did not arrive.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// Whether the exporter's end took the time that was left.
    pub(super) is_end: bool,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        queue: &'a Queue,
        tally: &'a Tally,
        resolver: Resolver,
    ) -> Self {
        let client = Client::new(settings.endpoint.clone(), &settings.headers, settings.gzip, resolver);
        Self { settings, queue, tally, client, not_before: None }
    }

    /// Sends a batch until it arrives, is refused, or its time is over.
    pub(super) fn send(&mut self, batch: &[Pending]) -> Result<Partial, Failed> {
        let lost = |why: String| Failed { why, is_end: self.queue.end().is_some() };
        let Some(body) = self.body(batch) else { return Err(lost("it cannot be packed".to_owned())) };
        if let Some(from) = self.not_before
            && !self.queue.sleep(from)
        {
            return Err(lost("the collector asked for patience".to_owned()));
        }
        self.not_before = None;
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let end = self.give_up(began).min(Instant::now() + self.settings.timeout);
            let (after, why) = match self.attempt(&body, end) {
                Ok(Verdict::Delivered(partial)) => return Ok(partial),
                Ok(Verdict::Refused { why }) => return Err(lost(why)),
                Ok(Verdict::Again { after, why }) => (after, why),
                // Who does not speak HTTP will not learn it.
                Err(error @ HttpError::Response(_)) => return Err(lost(error.to_string())),
                Err(error) => (None, error.to_string()),
            };
            let resume = Instant::now() + after.unwrap_or_else(|| retry::pause(attempts, chance()));
            if resume >= self.give_up(began) {
                // What the collector asks for holds for the next batch, too; our own pauses do not.
                self.not_before = after.map(|_| resume);
                return Err(lost(why));
            }
            if !self.queue.sleep(resume) {
                return Err(lost(why));
            }
        }
    }

    /// When a batch is given up that was begun then.
    fn give_up(&self, began: Instant) -> Instant {
        let patience = began + self.settings.patience;
        self.queue.end().map_or(patience, |end| end.min(patience))
    }

    fn attempt(&self, body: &[u8], deadline: Instant) -> Result<Verdict, HttpError> {
        self.tally.request();
        let verdict = self.client.post(body, deadline).map(|response| retry::verdict(&response));
        match &verdict {
            Ok(Verdict::Delivered(_)) => {}
            Ok(Verdict::Again { .. } | Verdict::Refused { .. }) => self.tally.failed(None),
            Err(error) => self.tally.failed(Some(error)),
        }
        verdict
    }

    fn body(&self, batch: &[Pending]) -> Option<Vec<u8>> {
        let plain = otlp::request(&self.settings.resource, batch);
        if self.settings.gzip { Some(page::gzip(&[plain.into()])?.concat()) } else { Some(plain) }
    }
}

fn chance() -> u8 {
    let mut byte = [0];
    random(&mut byte);
    byte[0]
}
