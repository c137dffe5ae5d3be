//! The order of doing: read, check, load, reduce, serve, end.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;

use super::configs::ConfigFolder;
use super::descriptors;
use super::handler::Handler;
use super::kernel::{self, BpfKernel};
use super::listeners::HandedOver;
use super::signals::{Signal, Signals};
use super::spans;
use super::supervise::Supervising;
use super::upkeep::Upkeeping;
use super::verdict::{self, Tolerance};
use super::{listeners, logging, notify, privileges};
use crate::bpf;
use crate::cli::Options;
use crate::host::Host;
use crate::reload::{Folder, Found, Order, Reloader, Supervisor, WatchMode, Watcher};
use crate::scrape::{Generation, Live, Scraper, Settings};
use crate::server::{self, Listener, Routes, Server};
use crate::spec::Spec;

/// Wrong usage or configuration.
const WRONG_CONFIGURATION: u8 = 2;

/// Does what the options ask for, until a signal ends it.
///
/// # Errors
/// When the exporter cannot run at all: a failure at run time.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    bpf::share_memory();
    let handed_over = HandedOver::take(&options.web.listen);
    logging::begin(options.log).map_err(|error| anyhow::anyhow!("the log cannot begin: {error}"))?;
    let signals = Signals::take_over().context("signals cannot be taken over")?;
    descriptors::raise_limit();
    let statistics = statistics(options);
    let host = Arc::new(
        Host::new(options.roots.clone())
            .with_kernel_btf(options.btf.clone())
            .with_kernel_configuration(options.kconfig.clone())
            .with_pins(Arc::new(bpf::Pins::default())),
    );
    notify::status("parsing config...");
    let mut folder = ConfigFolder::new(options, &host);
    let found = match folder.read() {
        Ok(found) => found,
        Err(problems) => {
            verdict::log(&problems);
            return Ok(ExitCode::from(WRONG_CONFIGURATION));
        }
    };
    verdict::log(&found.problems);
    if options.config.check {
        return Ok(check(options, host, found, signals.stop_flag()));
    }
    // The port is taken before anything is attached: a port in use is the commonest mistake.
    let listeners = listeners::bind(&options.web.listen, handed_over)?;
    let keep = match options.pin_path.as_deref().map(bpf::Keep::open).transpose() {
        Ok(keep) => keep.map(Arc::new),
        Err(problem) => {
            verdict::log(&[*problem]);
            return Ok(ExitCode::from(WRONG_CONFIGURATION));
        }
    };
    let start = Start { options, host, folder, found, keep, began };
    start.serve(signals, listeners, statistics)
}

/// Has the kernel measure programs for as long as the answer lives.
fn statistics(options: &Options) -> Option<bpf::StatisticsGuard> {
    let guard = options.bpf_stats.then(bpf::enable_statistics)?;
    guard
        .map_err(|error| tracing::warn!(%error, "programs are not measured: --bpf.stats=on has no effect"))
        .ok()
}

/// Loads and attaches, says what is wrong, and ends.
fn check(options: &Options, host: Arc<Host>, found: Found, stop: Arc<AtomicBool>) -> ExitCode {
    let spans_are_refused = spans::are_refused(&found);
    let live = Arc::new(Live::default());
    let scraper = Arc::new(Scraper::new(Arc::clone(&live), Settings::default()));
    let kernel = BpfKernel::new(options, host, Arc::clone(&stop));
    let supervisor = Supervisor::start(kernel, found, scraper);
    if stop.load(Ordering::Relaxed) {
        supervisor.retire();
        tracing::error!("stopped by a signal before all configs were checked");
        return ExitCode::FAILURE;
    }
    verdict::log_generation(&live.current());
    let tolerance =
        if options.config.strict { Tolerance::Nothing } else { Tolerance::WhatTheReferenceServes };
    let is_good = verdict::is_good(&live.current(), tolerance);
    supervisor.retire();
    if is_good && !spans_are_refused {
        tracing::info!("all configs are good");
        return ExitCode::SUCCESS;
    }
    ExitCode::from(WRONG_CONFIGURATION)
}

/// What serving begins with.
struct Start<'a> {
    options: &'a Options,
    host: Arc<Host>,
    folder: ConfigFolder,
    found: Found,
    keep: Option<Arc<bpf::Keep>>,
    began: Instant,
}

impl Start<'_> {
    fn serve(
        self,
        mut signals: Signals,
        listeners: Vec<Listener>,
        statistics: Option<bpf::StatisticsGuard>,
    ) -> anyhow::Result<ExitCode> {
        let Start { options, host, folder, found, keep, began } = self;
        for listener in &listeners {
            tracing::info!(address = listeners::place(listener), "listening");
        }
        let (reloader, orders) = Reloader::new();
        let handler = Arc::new(Handler::new(options, &host, reloader.clone(), statistics));
        let web = start_server(options, listeners, Arc::clone(&handler))?;

        notify::status("attaching configs...");
        let asks_for_symbols =
            found.configs.iter().filter_map(|config| config.spec.as_ref()).any(Spec::asks_for_symbols);
        let symbols = asks_for_symbols.then(|| host.open_symbols());
        let stop = signals.stop_flag();
        let kernel = BpfKernel::new(options, Arc::clone(&host), Arc::clone(&stop)).with_keep(keep, &found);
        let is_reduced = kernel.reduced_flag();
        let reserve = kernel.reserve();
        let mut supervisor = Supervisor::start(kernel, found, handler.scraper());
        drop(reserve);
        kernel::forget_load(&host);
        if stop.load(Ordering::Relaxed) {
            // What is missing now is no problem of any config.
            tracing::info!("stopped by a signal while the configs were being loaded");
            notify::stopping();
            web.stop();
            supervisor.retire();
            return Ok(ExitCode::SUCCESS);
        }
        bpf::mark_attached();
        let live = handler.scraper().live().current();
        verdict::log_generation(&live);
        if options.config.strict {
            supervisor.be_strict();
            if !verdict::is_good(&live, Tolerance::Nothing) {
                web.stop();
                supervisor.retire();
                tracing::error!("--config.strict tolerates no problem and no program that is not attached");
                return Ok(ExitCode::from(WRONG_CONFIGURATION));
            }
        }
        if let Some(Err(error)) = symbols {
            tracing::warn!(%error, "labels decoded by ksym and kstack show addresses instead of names");
        }
        let supervising =
            Supervising::start(supervisor, folder, host, options.keep.clone(), is_reduced, orders)?;
        let outcome = privileges::reduce(&options.keep)
            .context("capabilities")
            .and_then(|()| watch(options, &reloader).context("the watcher's thread cannot start"));
        match outcome {
            Ok(watcher) => {
                handler.watch(Arc::clone(&watcher));
                supervising.go_on(watcher);
            }
            Err(error) => {
                supervising.wait();
                return Err(error);
            }
        }
        let upkeeping = Upkeeping::start(handler.scraper());
        handler.begin();
        announce(&live, began);
        drop(live);
        if options.config.watch != WatchMode::Off {
            // What changed since the files were read was not watched yet.
            reloader.order(Order::Look);
        }
        wait(&mut signals, &reloader);
        notify::stopping();
        web.stop();
        drop(upkeeping);
        reloader.order(Order::Stop);
        supervising.wait();
        handler.flush_spans();
        Ok(ExitCode::SUCCESS)
    }
}

/// Has changes of the files looked at.
fn watch(options: &Options, reloader: &Reloader) -> std::io::Result<Arc<Watcher>> {
    let reloader = reloader.clone();
    let look = move |_| reloader.order(Order::Look);
    Watcher::start(options.config.watch, options.config.timing, look).map(Arc::new)
}

/// Starts the server from a thread that has given up what is not kept: capabilities are per
/// thread, and the server's threads have those of the thread that starts them. The calling
/// thread still has to load.
fn start_server(
    options: &Options,
    listeners: Vec<Listener>,
    handler: Arc<Handler>,
) -> anyhow::Result<Server> {
    let routes = Routes {
        telemetry_path: options.web.telemetry_path.clone(),
        debug: options.debug,
        lifecycle: options.web.lifecycle,
    };
    let limits = options.web.limits.clone();
    std::thread::scope(|scope| {
        let start = || {
            privileges::reduce_this_thread(&privileges::for_reading(&options.keep))?;
            server::start(listeners, handler, routes, limits).context("the HTTP server cannot start")
        };
        let starter = std::thread::Builder::new()
            .name("start-http".into())
            .spawn_scoped(scope, start)
            .context("the HTTP server's thread cannot start")?;
        starter
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that starts the HTTP server panicked")))
    })
}

fn announce(generation: &Generation, began: Instant) {
    let configs = generation.configs();
    let loaded = configs.iter().filter(|config| config.loaded).count();
    notify::ready(loaded, began.elapsed());
    tracing::info!(configs = configs.len(), loaded, milliseconds = began.elapsed().as_millis(), "serving");
}

fn wait(signals: &mut Signals, reloader: &Reloader) {
    loop {
        match signals.next() {
            Signal::Stop { name } => {
                tracing::info!(signal = name, "stopping");
                return;
            }
            Signal::Hangup => {
                tracing::info!(signal = "SIGHUP", "reloading");
                reloader.order(Order::Reload(None));
            }
        }
    }
}
