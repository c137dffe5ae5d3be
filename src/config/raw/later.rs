//! What configs will be able to say in later versions. Ignoring it would change what a
//! config means, so it is refused with its own code.

/// A key, or a value, of a later version.
pub(crate) struct Later {
    /// The key.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// What to do until then.
    pub(crate) help: &'static str,
}

/// Of gauges: what no version will do has a reason instead.
pub(super) const GAUGE: &[Later] = &[
    Later { key: "ringbuf", what: NO_GAUGE, help: COUNT_EVENTS },
    Later { key: "perf_event_array", what: NO_GAUGE, help: COUNT_EVENTS },
];

/// Why a gauge cannot be made of events.
pub(super) const NO_GAUGE: &str = "events are counted, and a gauge does not count";
const COUNT_EVENTS: &str =
    "make it a counter or a histogram, or write what it shows into a map and read that";
