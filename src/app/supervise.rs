//! The supervisor's thread: it alone keeps the rights to load, and tells the log and systemd what it does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use super::configs::ConfigFolder;
use super::kernel::{self, BpfKernel};
use super::privileges::{self, PrivilegeError};
use super::{notify, verdict};
use crate::cli::Keep;
use crate::host::Host;
use crate::reload::{Change, Observer, Order, Report, Supervisor, Watcher, serve};

/// The thread, and how to let it go on.
pub struct Supervising {
    thread: JoinHandle<()>,
    watcher: SyncSender<Arc<Watcher>>,
    probed: Receiver<()>,
}

impl Supervising {
    /// Starts the thread from one that still has every right. When this returns it has given up what is not kept.
    ///
    /// # Errors
    /// When the thread cannot start, or not give up its rights.
    pub fn start(
        supervisor: Supervisor<BpfKernel>,
        mut folder: ConfigFolder,
        host: Arc<Host>,
        keep: Keep,
        is_reduced: Arc<std::sync::atomic::AtomicBool>,
        orders: Receiver<Order>,
    ) -> anyhow::Result<Self> {
        let (reduced, is_done) = sync_channel::<Result<(), PrivilegeError>>(1);
        let (watcher, watchers) = sync_channel::<Arc<Watcher>>(1);
        let (tell_probed, probed) = sync_channel(1);
        let work = move || {
            let mut supervisor = supervisor;
            let outcome = privileges::reduce_this_thread(&keep);
            is_reduced.store(true, Ordering::Relaxed);
            let is_good = outcome.is_ok();
            let _ = reduced.send(outcome);
            // Nobody waits any more when the exporter cannot go on.
            let watcher = if is_good { watchers.recv().ok() } else { None };
            let Some(watcher) = watcher else { return supervisor.retire() };
            verdict::log(&supervisor.probe());
            folder.follow(watcher);
            let _ = tell_probed.send(());
            let mut observer = Teller { host };
            serve(supervisor, &mut folder, &mut observer, &orders);
        };
        let thread = std::thread::Builder::new()
            .name("supervisor".into())
            .spawn(work)
            .context("the supervisor's thread cannot start")?;
        let outcome = is_done.recv().context("the supervisor's thread ended")?;
        let supervising = Self { thread, watcher, probed };
        match outcome {
            Ok(()) => Ok(supervising),
            Err(error) => {
                supervising.wait();
                Err(error.into())
            }
        }
    }

    /// Lets it follow the files, and waits until it knows what scrapes can read.
    pub fn go_on(&self, watcher: Arc<Watcher>) {
        let _ = self.watcher.send(watcher);
        let _ = self.probed.recv();
    }

    /// Waits until it has let go of everything.
    pub fn wait(self) {
        drop(self.watcher);
        if self.thread.join().is_err() {
            tracing::error!("the supervisor's thread panicked");
        }
    }
}

/// Tells what reloads do.
struct Teller {
    host: Arc<Host>,
}

impl Observer for Teller {
    fn begins(&mut self, is_asked_for: bool) {
        if is_asked_for {
            notify::reloading();
        }
    }

    fn ended(&mut self, report: &Report, took: Duration, is_asked_for: bool) {
        kernel::forget_load(&self.host);
        let milliseconds = took.as_millis();
        for (config, change) in &report.changes {
            match change {
                Change::Refused { problems, .. } => {
                    verdict::log(problems);
                    tracing::error!(config, milliseconds, "{change}");
                }
                _ => tracing::info!(config, milliseconds, "{change}"),
            }
        }
        // A folder that is away for a night is said once.
        if is_asked_for || !report.is_known {
            verdict::log(&report.problems);
        }
        verdict::log(&report.remarks);
        if is_asked_for && report.is_empty() {
            tracing::info!(milliseconds, "reload: nothing changed");
        }
        if is_asked_for {
            notify::reloaded(report.serving, report.is_good());
        } else if !report.is_empty() {
            notify::status(&notify::serving(report.serving, report.is_good()));
        }
    }
}
