//! Spans from a program in the kernel to a collector that reads them with OpenTelemetry's own messages.

/// What collectors answer, and what then becomes of spans.
mod faults;

/// What arrives.
mod whole;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::exporter::Workload;

/// How long anything that should happen soon may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector in Python.
struct Collector {
    child: Child,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// One that answers so, see `collector.py`.
    #[track_caller]
    fn start(answers: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/otlp-python/bin/python");
        let child = Command::new(&python)
            .arg(root.join("tests/it/spans/collector.py"))
            .args(answers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{} is needed (tools/otlp-python.sh makes it): {error}", python.display())
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the collector says its port").unwrap().parse().unwrap();
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let sink = Arc::clone(&requests);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, requests }
    }

    /// The requests so far, once there are so many.
    #[track_caller]
    fn requests(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let requests = self.requests.lock().unwrap().clone();
            if requests.len() >= count {
                return requests;
            }
            assert!(Instant::now() < deadline, "{} of {count} requests", requests.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The spans so far of requests that were answered with success, once there are so many.
    #[track_caller]
    fn spans(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let requests = self.requests.lock().unwrap().clone();
            let taken = requests.iter().filter(|request| request["answer"] == "200");
            let spans: Vec<Value> =
                taken.flat_map(|request| request["spans"].as_array().unwrap().clone()).collect();
            if spans.len() >= count {
                return spans;
            }
            assert!(Instant::now() < deadline, "{} of {count} spans in {requests:#?}", spans.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Structs as the reference's `examples/tracing.bpf.h` lays them out, and a record that begins with them.
const MAPS: &str = r#"
struct parent { u64 trace_id_hi; u64 trace_id_lo; u64 span_id; };
struct base { struct parent parent; u64 span_id; u64 span_monotonic_timestamp_ns; u64 span_duration_ns; };
struct record { struct base base; char span_name[16]; u32 number; u32 parity; u64 not_shown; };
const struct record *unused_record __attribute__((unused));
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); } call_spans SEC(".maps");
u32 calls = 0;
u64 began = 0;
"#;

/// Reports a span for each call; the first one has a trace of zero.
const BODY: &str = r#"
    struct record *record = bpf_ringbuf_reserve(&call_spans, sizeof(*record), 0);
    if (!record)
        return 0;
    u32 number = __sync_fetch_and_add(&calls, 1);
    __builtin_memset(record, 0, sizeof(*record));
    if (number) {
        record->base.parent.trace_id_hi = 0x0102030405060708ULL;
        record->base.parent.trace_id_lo = number;
    }
    record->base.parent.span_id = number == 2 ? 0 : 0xab;
    record->base.span_id = number == 2 ? 0 : number;
    record->base.span_monotonic_timestamp_ns = bpf_ktime_get_ns();
    record->base.span_duration_ns = 4041727;
    __builtin_memcpy(record->span_name, "call", 5);
    record->number = number;
    record->parity = number & 1;
    bpf_ringbuf_submit(record, 0);
"#;

/// A config as the reference's examples have it.
const YAML: &str = "tracing:
  spans:
    - name: not shown
      ringbuf: call_spans
      service: call-trace
      labels:
        - name: trace_id
          size: 16
          decoders:
            - name: hex
        - name: parent_span_id
          size: 8
          decoders:
            - name: hex
        - name: span_id
          size: 8
          decoders:
            - name: hex
        - name: span_monotonic_timestamp_ns
          size: 8
          decoders:
            - name: uint
        - name: span_duration_ns
          size: 8
          decoders:
            - name: uint
        - name: span_name
          size: 16
          decoders:
            - name: string
        - name: call.number
          size: 4
          decoders:
            - name: uint
        - name: parity
          size: 4
          decoders:
            - name: uint
            - name: static_map
              static_map:
                0: even
                1: odd
";

/// A folder with that config for calls of a workload.
fn folder(calls: Workload) -> Folder {
    let folder = Folder::new();
    folder.pair("trace", YAML, &calls.object(MAPS, BODY));
    folder
}

/// An exporter whose environment has these variables, and spans that do not wait.
#[track_caller]
fn exporter(folder: &Folder, variables: &str, arguments: &[&str]) -> Exporter {
    let argument = folder.argument();
    let arguments: Vec<&str> = [argument.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    Exporter::launch_after(&format!("export OTEL_BSP_SCHEDULE_DELAY=1 {variables}"), &arguments)
}

/// The variable that leads to a port.
fn endpoint(port: u16) -> String {
    format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{port}")
}

/// A number of the page, once it is this one.
#[track_caller]
fn wait_for(exporter: &Exporter, series: &str, expected: f64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = exporter.value(series);
        if found == Some(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{series} is {found:?} instead of {expected}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whatever happened, each record is accounted for: how many there were.
#[track_caller]
fn check_sum(exporter: &Exporter) -> f64 {
    let page = exporter.page();
    let sum = |name: &str| {
        let samples = crate::common::exporter::values_of(&page, name);
        samples.iter().map(|(_, value)| value).sum::<f64>()
    };
    let received = sum("ebpf_exporter_spans_total");
    let accounted = sum("ebpf_exporter_spans_exported_total")
        + sum("ebpf_exporter_spans_rejected_total")
        + sum("ebpf_exporter_spans_dropped_total")
        + sum("ebpf_exporter_spans_queued");
    assert_eq!(received, accounted, "{page}");
    received
}
