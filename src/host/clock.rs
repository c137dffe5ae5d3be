//! Time as an argument: how long ago something was read decides whether it is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic clock, counted from when it was made.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System(Instant::now()))
    }

    /// A clock that stands still until it is [advanced](Self::advance); its clones show the same time.
    #[must_use]
    pub fn manual() -> Self {
        Self(Kind::Manual(Arc::default()))
    }

    /// Moves a manual clock forward; the machine's clock is not ours to move.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(nanoseconds) = &self.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            nanoseconds.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.0 {
            Kind::System(start) => start.elapsed(),
            Kind::Manual(nanoseconds) => Duration::from_nanos(nanoseconds.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_show_the_same_time() {
        let clock = Clock::manual();
        let other = clock.clone();
        clock.advance(Duration::from_secs(3));
        assert_eq!(other.now(), Duration::from_secs(3));
    }

    #[test]
    fn the_system_clock_cannot_be_moved() {
        let clock = Clock::system();
        clock.advance(Duration::from_secs(3_000_000));
        assert!(clock.now() < Duration::from_secs(1_000_000));
    }
}
