//! The order of doing: read, check, load, reduce, serve, end.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;

use super::configs;
use super::descriptors::{self, Reserve};
use super::handler::Handler;
use super::kernel::BpfKernel;
use super::listeners::HandedOver;
use super::signals::{Signal, Signals};
use super::verdict::{self, Tolerance};
use super::{listeners, logging, notify, privileges};
use crate::bpf::{self, Loaded};
use crate::cli::{Keep, Options};
use crate::host::Host;
use crate::reload::{ReadConfig, Supervisor};
use crate::scrape::{Generation, Live};
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
    let handed_over = HandedOver::take(&options.web.listen);
    logging::begin(options.log).map_err(|error| anyhow::anyhow!("the log cannot begin: {error}"))?;
    let signals = Signals::take_over().context("signals cannot be taken over")?;
    descriptors::raise_limit();
    let statistics = statistics(options);
    let host = Arc::new(Host::new(options.roots.clone()).with_kernel_btf(options.btf.clone()));
    notify::status("parsing config...");
    let read = match configs::read(options, &host) {
        Ok(read) => read,
        Err(problems) => {
            verdict::log(&problems);
            return Ok(ExitCode::from(WRONG_CONFIGURATION));
        }
    };
    if options.config.check {
        return Ok(check(options, host, read, signals.stop_flag()));
    }
    // The port is taken before anything is attached: a port in use is the commonest mistake.
    let listeners = listeners::bind(&options.web.listen, handed_over)?;
    serve(options, host, read, signals, listeners, statistics, began)
}

/// Has the kernel measure programs for as long as the answer lives.
fn statistics(options: &Options) -> Option<bpf::StatisticsGuard> {
    let guard = options.bpf_stats.then(bpf::enable_statistics)?;
    guard
        .map_err(|error| tracing::warn!(%error, "programs are not measured: --bpf.stats=on has no effect"))
        .ok()
}

/// Loads and attaches, says what is wrong, and ends.
fn check(options: &Options, host: Arc<Host>, read: Vec<ReadConfig>, stop: Arc<AtomicBool>) -> ExitCode {
    let live = Arc::new(Live::default());
    let kernel = BpfKernel::new(options, host, Arc::clone(&stop));
    let supervisor = Supervisor::start(kernel, read, Arc::clone(&live));
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
    if is_good {
        tracing::info!("all configs are good");
        return ExitCode::SUCCESS;
    }
    ExitCode::from(WRONG_CONFIGURATION)
}

fn serve(
    options: &Options,
    host: Arc<Host>,
    read: Vec<ReadConfig>,
    mut signals: Signals,
    listeners: Vec<Listener>,
    statistics: Option<bpf::StatisticsGuard>,
    began: Instant,
) -> anyhow::Result<ExitCode> {
    let live = Arc::new(Live::default());
    for listener in &listeners {
        tracing::info!(address = listeners::place(listener), "listening");
    }
    let handler = Arc::new(Handler::new(options, &host, Arc::clone(&live), statistics));
    let web = start_server(options, listeners, Arc::clone(&handler))?;

    notify::status("attaching configs...");
    let asks_for_symbols = read.iter().filter_map(|config| config.spec.as_ref()).any(Spec::asks_for_symbols);
    let symbols = asks_for_symbols.then(|| host.read_symbols());
    let reserve = Reserve::take();
    let stop = signals.stop_flag();
    let kernel = BpfKernel::new(options, Arc::clone(&host), Arc::clone(&stop));
    let supervisor = Supervisor::start(kernel, read, Arc::clone(&live));
    drop(reserve);
    // Only the start asks for the kernel's types, which take megabytes.
    host.release_kernel_types();
    if stop.load(Ordering::Relaxed) {
        // What is missing now is no problem of any config.
        tracing::info!("stopped by a signal while the configs were being loaded");
        end(web, supervisor);
        return Ok(ExitCode::SUCCESS);
    }
    bpf::mark_attached();
    verdict::log_generation(&live.current());
    if options.config.strict && !verdict::is_good(&live.current(), Tolerance::Nothing) {
        web.stop();
        supervisor.retire();
        tracing::error!("--config.strict tolerates no problem and no program that is not attached");
        return Ok(ExitCode::from(WRONG_CONFIGURATION));
    }
    if let Some(Err(error)) = symbols {
        tracing::warn!(%error, "labels decoded by ksym and kstack show addresses instead of names");
    }
    privileges::reduce(&options.keep)?;
    let mut unreadable = Vec::new();
    if options.keep != Keep::All {
        // Before Linux 5.19 even a reader that holds the descriptor may need CAP_BPF.
        unreadable.extend(supervisor.loaded().iter().flat_map(Loaded::probe_reads));
        verdict::log(&unreadable);
    }
    handler.begin(unreadable);
    announce(&live.current(), began);
    wait(&mut signals);
    end(web, supervisor);
    Ok(ExitCode::SUCCESS)
}

fn end(web: Server, supervisor: Supervisor<BpfKernel>) {
    notify::stopping();
    web.stop();
    supervisor.retire();
}

/// Starts the server from a thread that has given up what is not kept: capabilities are per
/// thread, and the server's threads have those of the thread that starts them. The calling
/// thread still has to load.
fn start_server(
    options: &Options,
    listeners: Vec<Listener>,
    handler: Arc<Handler>,
) -> anyhow::Result<Server> {
    let routes = Routes { telemetry_path: options.web.telemetry_path.clone(), debug: options.debug };
    let limits = options.web.limits.clone();
    std::thread::scope(|scope| {
        let start = || {
            privileges::reduce_this_thread(&options.keep)?;
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

fn wait(signals: &mut Signals) {
    loop {
        match signals.next() {
            Signal::Stop { name } => {
                tracing::info!(signal = name, "stopping");
                return;
            }
            Signal::Hangup => {
                tracing::warn!(
                    "SIGHUP is ignored: files are read at the start only; restart to follow their changes"
                );
            }
        }
    }
}
