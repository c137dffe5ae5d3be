//! What systemd is told, when it asks to be told (`NOTIFY_SOCKET`).

use std::time::Duration;

use sd_notify::NotifyState;

/// Says what the exporter is doing.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// Says that it serves.
pub fn ready(configs: usize, took: Duration) {
    let plural = if configs == 1 { "" } else { "s" };
    let text = format!("ready with {configs} config{plural} loaded in {}ms", took.as_millis());
    send(&[NotifyState::Ready, NotifyState::Status(&text)]);
}

/// Says that it reloads: systemd waits for [`reloaded`] (`Type=notify-reload`, from 253 on).
pub fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    send(&[NotifyState::Reloading].into_iter().chain(now).collect::<Vec<_>>());
}

/// Says that it has reloaded.
pub fn reloaded(configs: usize, is_good: bool) {
    send(&[NotifyState::Ready, NotifyState::Status(&serving(configs, is_good))]);
}

/// How it is after files were followed.
pub fn serving(configs: usize, is_good: bool) -> String {
    let plural = if configs == 1 { "" } else { "s" };
    let note = if is_good { "" } else { ", the last changes were refused: see the log" };
    format!("serving {configs} config{plural}{note}")
}

/// Says that it is about to end.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    // The variable stays: later messages need it, and no child inherits it because there is none.
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(error = %error, "systemd could not be told");
    }
}
