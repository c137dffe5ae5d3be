//! Clients that were cut before they had their answer, counted by the reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a client was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It did not read its answer for as long as the write timeout.
    NotReading,
    /// It did not bring a whole request within the header timeout.
    SlowRequest,
    /// Its connection, or the page that it was reading slowly, was needed by others.
    NeededByOthers,
}

impl Cut {
    const ALL: [Self; 3] = [Self::NotReading, Self::SlowRequest, Self::NeededByOthers];

    /// As the log and the metric say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotReading => "not_reading",
            Self::SlowRequest => "slow_request",
            Self::NeededByOthers => "needed_by_others",
        }
    }
}

/// Counts since the server began.
#[derive(Debug, Default)]
pub struct Cuts([AtomicU64; Cut::ALL.len()]);

impl Cuts {
    /// One more.
    pub fn count(&self, cut: Cut) {
        for (count, of) in self.0.iter().zip(Cut::ALL) {
            count.fetch_add(u64::from(of == cut), Ordering::Relaxed);
        }
    }

    /// All reasons with their counts.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Cut::ALL.map(Cut::word).into_iter().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_count() {
        let cuts = Cuts::default();
        assert_eq!(cuts.counts(), [("not_reading", 0), ("slow_request", 0), ("needed_by_others", 0)]);
        cuts.count(Cut::SlowRequest);
        cuts.count(Cut::SlowRequest);
        cuts.count(Cut::NeededByOthers);
        assert_eq!(cuts.counts(), [("not_reading", 0), ("slow_request", 2), ("needed_by_others", 1)]);
    }
}
