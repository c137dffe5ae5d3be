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

/// Of a map's options.
pub(super) const MAP: &[Later] = &[
    Later {
        key: "pin_path",
        what: "a map that outlives the exporter",
        help: "remove it, or pin the map by its name in the object's source (LIBBPF_PIN_BY_NAME)",
    },
    Later {
        key: "from_pin",
        what: "a map that somebody else loaded",
        help: "pin the map by its name in the object's source (LIBBPF_PIN_BY_NAME)",
    },
];

/// Of every metric.
pub(super) const METRIC: &[Later] = &[
    Later { key: "global", what: "a metric from a global variable", help: "use an array map with one entry" },
    Later { key: "ringbuf", what: "a metric from a ring buffer", help: "count in a hash map instead" },
];

pub(super) const PERF_EVENT_ARRAY: Later = Later {
    key: "perf_event_array",
    what: "a counter of perf events",
    help: "count in a hash map instead, or keep this config with the old exporter for now",
};

pub(super) const TRACING: Later = Later {
    key: "tracing",
    what: "spans from ring buffers",
    help: "keep this config with the old exporter for now",
};

pub(super) const CGROUP_ID_MAP: Later = Later {
    key: "cgroup_id_map",
    what: "a map that follows the cgroups whose path matches",
    help: "keep this config with the old exporter for now",
};
