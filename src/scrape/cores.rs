//! How many threads a reading may have.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::state::lock;

/// More threads than this do not read.
const MOST_THREADS: usize = 4;

/// How long an answer is good. To ask means to read the limits of a control group out of several files, and they
/// may change while the exporter runs.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// How many cores there are for this process, but at most so many that more would gain nothing.
pub(super) fn cores() -> usize {
    static KNOWN: Mutex<Option<(Instant, usize)>> = Mutex::new(None);
    let now = Instant::now();
    let mut known = lock(&KNOWN);
    match *known {
        Some((since, cores)) if now.saturating_duration_since(since) < GOOD_FOR => cores,
        _ => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
            *known = Some((now, cores));
            cores
        }
    }
}
