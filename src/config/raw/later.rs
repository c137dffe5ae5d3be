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

pub(super) const TOP: &[Later] = &[
    Later {
        key: "globals",
        what: "initial values of global variables",
        help: "remove it and give the variables their values in the object's source",
    },
    Later {
        key: "programs",
        what: "options of single programs",
        help: "remove it: every program is loaded and attached by its section name; SEC(\"?...\") leaves one out",
    },
    Later {
        key: "choose",
        what: "alternatives between programs",
        help: "remove it and leave programs that a kernel lacks out with SEC(\"?...\")",
    },
    Later { key: "maps", what: "options of maps", help: "remove it and set sizes in the object's source" },
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
