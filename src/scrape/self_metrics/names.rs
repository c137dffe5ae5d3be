//! The names of own metrics; whom they belong to says [`crate::spec::Owner`].

use prometheus::proto::MetricType;

/// One own metric.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
}

macro_rules! names {
    ($($constant:ident $kind:ident $name:literal $help:literal;)*) => {
        $(pub(super) const $constant: Name = Name { name: $name, help: $help, kind: MetricType::$kind };)*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[Name] = &[$($constant),*];
    };
}

names! {
    ENABLED_CONFIGS GAUGE "ebpf_exporter_enabled_configs"
        "The set of enabled configs";
    PROGRAM_INFO GAUGE "ebpf_exporter_ebpf_program_info"
        "Info about ebpf programs";
    PROGRAM_ATTACHED GAUGE "ebpf_exporter_ebpf_program_attached"
        "Whether a program is attached";
    PROGRAM_VERDICT GAUGE "ebpf_exporter_program_verdict"
        "What became of a program: attached, waiting, unsupported, broken or disabled; the value is always 1";
    PROGRAM_PLACES GAUGE "ebpf_exporter_program_places"
        "At how many places a program is attached: interfaces, cgroups, CPUs, files";
    PROGRAM_MISSED COUNTER "ebpf_exporter_program_missed_total"
        "How many times the kernel did not run a program although what it waits for happened, because another one or itself was at work on that CPU";
    PROGRAM_RUN_TIME COUNTER "ebpf_exporter_ebpf_program_run_time_seconds"
        "How long has the program been executing";
    PROGRAM_RUN_COUNT COUNTER "ebpf_exporter_ebpf_program_run_count_total"
        "How many times has the program been executed";
    DECODER_ERRORS COUNTER "ebpf_exporter_decoder_errors_total"
        "How many times has decoders encountered errors";
    BUILD_INFO GAUGE "ebpf_exporter_build_info"
        "What this exporter was built from; the value is always 1";
    CONFIG_LOADED GAUGE "ebpf_exporter_config_loaded"
        "Whether a config is loaded and served";
    CONFIG_WARNINGS GAUGE "ebpf_exporter_config_warnings"
        "Warnings about a config, which strict would refuse";
    CONFIG_INFO GAUGE "ebpf_exporter_config_info"
        "The files of a config that are served, by their SHA-256; the value is always 1";
    CONFIG_RELOADS COUNTER "ebpf_exporter_config_reloads_total"
        "Reloads of a config since the exporter was started, by result: success or failure";
    CONFIG_LAST_RELOAD_SUCCESSFUL GAUGE "ebpf_exporter_config_last_reload_successful"
        "Whether what the files of a config say is what is served";
    CONFIG_LAST_RELOAD_SUCCESS GAUGE "ebpf_exporter_config_last_reload_success_timestamp_seconds"
        "When a config was last loaded or reloaded with success, as seconds since unix epoch";
    CONFIG_SCRAPE_DURATION GAUGE "ebpf_exporter_config_scrape_duration_seconds"
        "Time that this scrape spent on reading and rendering a config";
    CONFIG_SCRAPE_SUCCESS GAUGE "ebpf_exporter_config_scrape_success"
        "Whether this scrape holds every family of a config";
    CONFIG_READ_ERRORS COUNTER "ebpf_exporter_config_read_errors_total"
        "Reads of a map that failed or were late, so that its families were left out";
    METRIC_SERIES GAUGE "ebpf_exporter_metric_series"
        "Series of a metric's family in this scrape";
    METRIC_DECODE_ERRORS COUNTER "ebpf_exporter_metric_decode_errors_total"
        "Rows of a metric that could not be decoded and were left out";
    METRIC_SKIPPED COUNTER "ebpf_exporter_metric_skipped_label_sets_total"
        "Rows of a metric that its decoders left out";
    METRIC_LIMITED COUNTER "ebpf_exporter_metric_limited_label_sets_total"
        "Rows of a metric that its limits changed: max_series left them out, other put them into its series, max_label_length cut a label";
    METRIC_MANY_SERIES GAUGE "ebpf_exporter_metric_many_series"
        "Whether a metric's family has 100000 series or more";
    METRIC_UNTRACKED GAUGE "ebpf_exporter_metric_untracked_keys"
        "Keys of a metric beyond those that are remembered, whose series may fall, and totals from before a reload that were forgotten";
    MAP_ENTRIES GAUGE "ebpf_exporter_map_entries"
        "Entries of a map in this scrape, or as last counted of one that no metric reads";
    MAP_MAX_ENTRIES GAUGE "ebpf_exporter_map_max_entries"
        "Entries that a map can hold";
    EVENTS COUNTER "ebpf_exporter_events_total"
        "Events that were read from a buffer, by the buffer's map";
    EVENTS_LOST COUNTER "ebpf_exporter_events_lost_total"
        "Events that are missing in what is counted, by reason: buffer_full, decode, series_limit, replaced, or what its program calls it";
    EVENTS_UNREAD GAUGE "ebpf_exporter_events_unread_bytes"
        "Bytes of events that waited in a ring buffer when this scrape began";
    CLIENTS_CUT COUNTER "ebpf_exporter_http_clients_cut_total"
        "Clients whose connection was closed before they had their answer, by reason: not_reading, slow_request or needed_by_others";
    MAP_NEARLY_FULL GAUGE "ebpf_exporter_map_nearly_full"
        "Whether more than 90 % of the entries that a map can hold are taken; when all are it refuses new keys";
    MAP_FROM_PIN GAUGE "ebpf_exporter_map_from_pin"
        "Whether a map that somebody else pinned is there and read; 0 while it is waited for";
    MAP_EXPIRED COUNTER "ebpf_exporter_map_expired_entries_total"
        "Entries that were taken out of a map because they had not changed for the time that its config says";
    SPANS COUNTER "ebpf_exporter_spans_total"
        "Records of a config that were to become spans: each of them is exported, rejected, dropped or queued";
    SPANS_DROPPED COUNTER "ebpf_exporter_spans_dropped_total"
        "Records of a config that did not become a span at the collector, by reason: too_short, decode, skipped, trace_id, queue_full, export, shutdown or refused";
    SPANS_EXPORTED COUNTER "ebpf_exporter_spans_exported_total"
        "Spans that the collector has taken";
    SPANS_REJECTED COUNTER "ebpf_exporter_spans_rejected_total"
        "Spans that the collector did not keep of requests that it took";
    SPANS_QUEUED GAUGE "ebpf_exporter_spans_queued"
        "Spans that wait to be exported, or are on their way";
    SPAN_REQUESTS COUNTER "ebpf_exporter_span_requests_total"
        "Requests with spans that were sent to the collector";
    SPAN_REQUESTS_FAILED COUNTER "ebpf_exporter_span_requests_failed_total"
        "Requests with spans that failed, by reason: resolve, connect, timeout, connection, response or status; most of them are sent again";
    CGROUP_MAP_CGROUPS GAUGE "ebpf_exporter_cgroup_map_cgroups"
        "Cgroups that are in the map of cgroup_id_map because their paths match";
    CGROUP_MAP_ERRORS COUNTER "ebpf_exporter_cgroup_map_errors_total"
        "Cgroups that could not be put into the map of cgroup_id_map or taken out of it, by reason: full or kernel";
    PROCESS_CPU COUNTER "process_cpu_seconds_total"
        "Total user and system CPU time spent in seconds.";
    PROCESS_MAX_FDS GAUGE "process_max_fds"
        "Maximum number of open file descriptors.";
    PROCESS_OPEN_FDS GAUGE "process_open_fds"
        "Number of open file descriptors.";
    PROCESS_RESIDENT GAUGE "process_resident_memory_bytes"
        "Resident memory size in bytes.";
    PROCESS_START GAUGE "process_start_time_seconds"
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS GAUGE "process_threads"
        "Number of OS threads in the process.";
    PROCESS_VIRTUAL GAUGE "process_virtual_memory_bytes"
        "Virtual memory size in bytes.";
    PROCESS_VIRTUAL_MAX GAUGE "process_virtual_memory_max_bytes"
        "Maximum amount of virtual memory available in bytes.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Owner;

    #[test]
    fn names_follow_the_conventions_but_for_the_one_that_is_kept() {
        for metric in ALL {
            let total = metric.name.ends_with("_total");
            let kept = metric.name == "ebpf_exporter_ebpf_program_run_time_seconds";
            assert_eq!(total, metric.kind == MetricType::COUNTER && !kept, "{}", metric.name);
            assert!(!metric.help.is_empty());
            assert_ne!(Owner::of(metric.name), Owner::Free, "{}", metric.name);
        }
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
