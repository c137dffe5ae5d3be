//! What each page answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use super::spans;
use crate::bpf;
use crate::cli::{Options, Require};
use crate::host::Host;
use crate::page;
use crate::problem::Severity;
use crate::reload::{Manner, Reloader, Watcher};
use crate::scrape::{Broken, BuildInfo, Generation, Live, PageStream, ScrapeOptions, Scraper, Settings};
use crate::server::{
    self, BrokenOff, Bytes, ConfigState, ConfigStatus, Cut, Cuts, Page, ProgramRow, Reply, Request, Response,
    Rest, Status, landing_page,
};
use crate::snapshot::{ProgramVerdict, Verdict};
use crate::spans::Spans;

/// Who asks for a reload waits so long for its outcome.
const RELOAD_TIME: Duration = Duration::from_secs(60);

/// Answers requests from the live generation.
pub struct Handler {
    live: Arc<Live>,
    host: Arc<Host>,
    scraper: Arc<Scraper>,
    reloader: Reloader,
    /// Whether the first generation is live.
    serving: AtomicBool,
    /// How changes of the files are noticed.
    watcher: OnceLock<Arc<Watcher>>,
    ready: Require,
    telemetry_path: String,
    debug: bool,
    scrape_timeout: Duration,
    cuts: Arc<Cuts>,
    spans: Arc<Spans>,
}

impl Handler {
    /// A handler that answers «not yet» until [`Self::begin`]. Programs are measured at least as long
    /// as it lives when it is given `statistics`.
    pub fn new(
        options: &Options,
        host: &Arc<Host>,
        reloader: Reloader,
        statistics: Option<bpf::StatisticsGuard>,
    ) -> Self {
        let spans = spans::spans(&options.keep);
        let roots = host.roots.clone();
        let cuts = Arc::new(Cuts::default());
        let counted = Arc::clone(&cuts);
        let live = Arc::new(Live::default());
        let settings = Settings {
            skip_cache_size: options.config.skip_cache_size,
            stats_enabled: Box::new(move || statistics.is_some() || bpf::statistics_enabled(&roots)),
            clients_cut: Box::new(move || counted.counts()),
            spans: Arc::clone(&spans),
            build: build_info(),
            ..Settings::default()
        };
        Self {
            scraper: Arc::new(Scraper::new(Arc::clone(&live), settings)),
            live,
            reloader,
            host: Arc::clone(host),
            serving: AtomicBool::new(false),
            watcher: OnceLock::new(),
            ready: options.ready,
            telemetry_path: options.web.telemetry_path.clone(),
            debug: options.debug,
            scrape_timeout: options.scrape_timeout,
            cuts,
            spans,
        }
    }

    /// What it scrapes.
    pub fn scraper(&self) -> Arc<Scraper> {
        Arc::clone(&self.scraper)
    }

    /// Says how changes of the files are noticed.
    pub fn watch(&self, watcher: Arc<Watcher>) {
        let _ = self.watcher.set(watcher);
    }

    /// Says that the first generation is live.
    pub fn begin(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Sends the spans that wait, within bounds; the last thing to be done.
    pub fn flush_spans(&self) {
        self.spans.stop(spans::FLUSH);
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    fn is_ready(&self, generation: &Generation) -> bool {
        let configs = generation.configs();
        self.is_serving()
            && match self.ready {
                Require::Any => configs.iter().any(|config| config.loaded),
                Require::All => !configs.is_empty() && configs.iter().all(|config| config.loaded),
            }
    }

    fn metrics(&self, request: &Request, reply: Reply) {
        if !self.is_serving() {
            return reply.send(Response::text(503, "The configs are being loaded.\n"));
        }
        let options = ScrapeOptions {
            deadline: request.deadline(self.scrape_timeout),
            coding: page::coding(request.accept_encoding.as_deref().unwrap_or_default()),
        };
        self.scraper.serve(&options, |page| {
            reply.send(Response {
                status: 200,
                content_type: page.content_type.into(),
                content_encoding: page.content_encoding,
                headers: vec![("vary", "Accept-Encoding".into())],
                chunks: page.chunks,
                rest: page.rest.map(|rest| Box::new(LongPage(rest)) as Box<dyn Rest>),
            });
        });
        self.host.release_unused();
    }

    fn maps(&self, request: &Request) -> Response {
        let chunks = self.scraper.describe_maps(request.deadline(self.scrape_timeout));
        Response { chunks, ..Response::text(200, "") }
    }

    fn readiness(&self) -> Response {
        let generation = self.live.current();
        if self.is_ready(&generation) {
            return Response::text(200, "ready\n");
        }
        if !self.is_serving() {
            return Response::text(503, "not ready: the configs are being loaded\n");
        }
        let configs = generation.configs();
        let failed: Vec<&str> =
            configs.iter().filter(|config| !config.loaded).map(|config| config.name.as_str()).collect();
        let found = match failed.as_slice() {
            [] => "there are no configs".to_owned(),
            failed => format!("not loaded: {}", failed.join(", ")),
        };
        Response::text(503, format!("not ready: {found}\n"))
    }

    fn landing(&self) -> Response {
        let generation = self.live.current();
        let status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            telemetry_path: self.telemetry_path.clone(),
            debug: self.debug,
            ready: self.is_ready(&generation),
            configs: config_statuses(&generation),
            problems: generation.problems().iter().map(ToString::to_string).collect(),
            spans: spans::sentence(&self.spans),
            watching: self.watcher.get().map(|watcher| watching(&watcher.manner())).unwrap_or_default(),
        };
        landing_page(&status)
    }

    /// Looks at the files now, and tells what became of it.
    fn reload(&self, request: &Request) -> Response {
        match self.reloader.reload(request.deadline(RELOAD_TIME)) {
            Some(report) => Response::text(if report.is_good() { 200 } else { 500 }, report.to_string()),
            None => Response::text(504, "The reload goes on; the log will say what became of it.\n"),
        }
    }
}

impl server::Handler for Handler {
    fn answer(&self, request: &Request, reply: Reply) {
        match request.page {
            Page::Metrics => self.metrics(request, reply),
            Page::Landing => reply.send(self.landing()),
            Page::Ready => reply.send(self.readiness()),
            Page::Maps => reply.send(self.maps(request)),
            Page::Reload => reply.send(self.reload(request)),
        }
    }

    fn cut(&self, cut: Cut) {
        self.cuts.count(cut);
    }
}

/// A page that is sent while it is rendered.
struct LongPage(PageStream);

impl Rest for LongPage {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        self.0.poll_chunk(context).map_err(|broken| match broken {
            Broken::Unmade => {
                tracing::error!(error = %broken, "a page broke off");
                BrokenOff(None)
            }
            Broken::HeldUpOthers => BrokenOff(Some(Cut::NeededByOthers)),
        })
    }
}

/// What the build script found out.
fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("BPFTALLY_REVISION").to_owned(),
        branch: env!("BPFTALLY_BRANCH").to_owned(),
        rustc: env!("BPFTALLY_RUSTC").to_owned(),
    }
}

/// How changes of the files are noticed, as a sentence.
fn watching(manner: &Manner) -> String {
    match manner {
        Manner::Off => "Changes of the files are followed when a reload is asked for.".to_owned(),
        manner => format!("Changes of the files are followed: {manner}."),
    }
}

fn verdict_row(program: &ProgramVerdict) -> ProgramRow {
    ProgramRow {
        program: program.program.clone(),
        verdict: program.verdict.word(),
        is_good: program.verdict != Verdict::Broken,
        reason: program.reason.clone(),
    }
}

/// The object of a config, where its name is not what the config's own says.
fn other_object(config: &crate::scrape::ConfigState) -> String {
    let stem = config.name.rsplit('/').next().unwrap_or_default();
    let name = config.object.as_ref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    if name == format!("{stem}.bpf.o") { String::new() } else { name.into_owned() }
}

fn config_statuses(generation: &Generation) -> Vec<ConfigStatus> {
    let statuses = generation.configs().iter().map(|config| {
        let view = generation.views().iter().find(|view| view.config == config.name);
        let programs = view.map(|view| view.programs.programs()).unwrap_or_default();
        let is_whole = config.problems.iter().all(|problem| problem.severity == Severity::Warning);
        let state = match (config.loaded, is_whole, config.refused.is_empty()) {
            (true, _, false) => ConfigState::LastGood,
            (true, true, true) => ConfigState::Serving,
            (true, false, true) => ConfigState::Degraded,
            (false, ..) => ConfigState::Failed,
        };
        ConfigStatus {
            name: config.name.clone(),
            object: other_object(config),
            drafted: config.drafted,
            state,
            metrics: generation.metric_count(&config.name),
            attached: programs.iter().filter(|program| program.attached).count(),
            programs: programs.len(),
            problems: config.problems.iter().map(ToString::to_string).collect(),
            refused: config.refused.iter().map(ToString::to_string).collect(),
            verdicts: config.programs.iter().map(verdict_row).collect(),
        }
    });
    statuses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Place, Problem};
    use crate::scrape;

    #[track_caller]
    fn check(problems: &[Problem], refused: &[Problem], expected: ConfigState) {
        let state = scrape::ConfigState {
            name: "one".into(),
            loaded: true,
            problems: problems.to_vec(),
            refused: refused.to_vec(),
            ..scrape::ConfigState::default()
        };
        let generation = Generation::plan(Vec::new(), vec![state]);
        let statuses = config_statuses(&generation);
        let [one] = statuses.as_slice() else { panic!("{} configs", statuses.len()) };
        assert_eq!(one.state, expected);
        assert_eq!((one.problems.len(), one.refused.len()), (problems.len(), refused.len()));
    }

    #[test]
    fn what_is_wrong_shows_in_the_state() {
        let place = || Place { config: Some("one".into()), ..Place::default() };
        let errors = [Problem::error("read-refused", place(), "the map `m` cannot be read")];
        let warning = Problem::warning("unknown-key", place(), "there is no key `x`");
        check(&[], &[], ConfigState::Serving);
        check(std::slice::from_ref(&warning), &[], ConfigState::Serving);
        check(&[warning, errors[0].clone()], &[], ConfigState::Degraded);
        check(&[], &errors, ConfigState::LastGood);
        check(&errors, &errors, ConfigState::LastGood);
    }
}
