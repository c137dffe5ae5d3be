//! A whole life of the exporter.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use super::signals::{Signal, Signals};
use super::{listeners, logging, notify, privileges};
use crate::cli::Options;
use crate::server::{self, Handler, Page, Request, Response, Routes, Status, landing_page};

/// Runs until the process is asked to end.
///
/// # Errors
/// When the exporter cannot start.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    logging::begin(options.log).map_err(|error| anyhow::anyhow!("the log cannot begin: {error}"))?;
    let mut signals = Signals::take_over().context("signals cannot be taken over")?;
    let listeners = listeners::bind(&options.web.listen)?;
    privileges::reduce(&options.keep)?;
    for listener in &listeners {
        tracing::info!(address = listeners::place(listener), "listening");
    }
    let routes = Routes { telemetry_path: options.web.telemetry_path.clone(), debug: options.debug };
    let handler = Arc::new(Pages { routes: routes.clone() });
    let server = server::start(listeners, handler, routes, options.web.limits.clone())
        .context("the HTTP server cannot start")?;
    notify::ready(0, begin.elapsed());
    loop {
        match signals.next() {
            Signal::Stop { name } => {
                tracing::info!(signal = name, "stopping");
                break;
            }
            Signal::Hangup => tracing::info!("SIGHUP is ignored"),
        }
    }
    notify::stopping();
    server.stop();
    Ok(ExitCode::SUCCESS)
}

/// The pages of an exporter without configs.
struct Pages {
    routes: Routes,
}

impl Handler for Pages {
    fn answer(&self, request: &Request) -> Response {
        match request.page {
            Page::Landing => landing_page(&Status {
                version: env!("CARGO_PKG_VERSION").into(),
                telemetry_path: self.routes.telemetry_path.clone(),
                debug: self.routes.debug,
                ready: false,
                configs: Vec::new(),
                problems: Vec::new(),
            }),
            Page::Ready => Response::text(503, "no config is loaded\n"),
            Page::Metrics => Response::new(200, "text/plain; version=0.0.4; charset=utf-8", ""),
            Page::Maps => Response::text(200, ""),
        }
    }
}
