//! The names of the exporter's own metrics, as far as configs have to know of them.

/// Those that ebpf_exporter has, too: no config that it serves has one of them.
const KEPT: &[&str] = &[
    "ebpf_exporter_enabled_configs",
    "ebpf_exporter_ebpf_program_info",
    "ebpf_exporter_ebpf_program_attached",
    "ebpf_exporter_ebpf_program_run_time_seconds",
    "ebpf_exporter_ebpf_program_run_count_total",
    "ebpf_exporter_decoder_errors_total",
    "ebpf_exporter_build_info",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
    "process_virtual_memory_max_bytes",
];

/// Those that it does not have. A config that has one of them was right before there was an own metric of this name,
/// so the own metric is left out while such a config is served.
const YIELDING: &[&str] = &[
    "ebpf_exporter_cgroup_map_cgroups",
    "ebpf_exporter_cgroup_map_errors_total",
    "ebpf_exporter_config_info",
    "ebpf_exporter_config_last_reload_success_timestamp_seconds",
    "ebpf_exporter_config_last_reload_successful",
    "ebpf_exporter_config_loaded",
    "ebpf_exporter_config_read_errors_total",
    "ebpf_exporter_config_reloads_total",
    "ebpf_exporter_config_scrape_duration_seconds",
    "ebpf_exporter_config_scrape_success",
    "ebpf_exporter_config_warnings",
    "ebpf_exporter_events_lost_total",
    "ebpf_exporter_events_total",
    "ebpf_exporter_events_unread_bytes",
    "ebpf_exporter_http_clients_cut_total",
    "ebpf_exporter_map_entries",
    "ebpf_exporter_map_expired_entries_total",
    "ebpf_exporter_map_from_pin",
    "ebpf_exporter_map_max_entries",
    "ebpf_exporter_map_nearly_full",
    "ebpf_exporter_metric_decode_errors_total",
    "ebpf_exporter_metric_limited_label_sets_total",
    "ebpf_exporter_metric_many_series",
    "ebpf_exporter_metric_series",
    "ebpf_exporter_metric_skipped_label_sets_total",
    "ebpf_exporter_metric_untracked_keys",
    "ebpf_exporter_program_verdict",
    "ebpf_exporter_program_missed_total",
    "ebpf_exporter_program_places",
    "ebpf_exporter_span_requests_failed_total",
    "ebpf_exporter_span_requests_total",
    "ebpf_exporter_spans_dropped_total",
    "ebpf_exporter_spans_exported_total",
    "ebpf_exporter_spans_queued",
    "ebpf_exporter_spans_rejected_total",
    "ebpf_exporter_spans_total",
];

/// Whom a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The exporter.
    Exporter,
    /// A config that has it, else the exporter.
    ConfigFirst,
    /// Whoever has it.
    Free,
}

impl Owner {
    /// Of a metric's full name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if KEPT.contains(&name) {
            Self::Exporter
        } else if YIELDING.contains(&name) {
            Self::ConfigFirst
        } else {
            Self::Free
        }
    }
}
