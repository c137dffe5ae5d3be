//! What collectors answer, and what then becomes of spans.

use super::*;

const EXPORTED: &str = "ebpf_exporter_spans_exported_total";
const REQUESTS: &str = "ebpf_exporter_span_requests_total";

fn dropped(reason: &str) -> String {
    format!(r#"ebpf_exporter_spans_dropped_total{{config="trace",reason="{reason}"}}"#)
}

fn failed(reason: &str) -> String {
    format!(r#"ebpf_exporter_span_requests_failed_total{{reason="{reason}"}}"#)
}

#[test]
fn a_busy_collector_gets_the_same_spans_again() {
    let (calls, collector) = (Workload::new(), Collector::start(&["503:0", "429:0", "503", "200"]));
    let folder = folder(calls);
    let exporter = exporter(&folder, &endpoint(collector.port), &[]);
    calls.fire(2);
    assert_eq!(collector.spans(1).len(), 1);
    let spans: Vec<Value> =
        collector.requests(4).into_iter().map(|request| request["spans"].clone()).collect();
    assert!(spans.iter().all(|same| *same == spans[0]), "{spans:#?}");
    wait_for(&exporter, EXPORTED, 1.0);
    assert_eq!((exporter.value(REQUESTS), exporter.value(&failed("status"))), (Some(4.0), Some(3.0)));
    check_sum(&exporter);
}

/// A pause that is asked for is kept, to the second.
#[test]
fn a_collector_says_when_to_come_back() {
    let (calls, collector) = (Workload::new(), Collector::start(&["503:2", "200"]));
    let folder = folder(calls);
    let exporter = exporter(&folder, &endpoint(collector.port), &[]);
    calls.fire(2);
    collector.requests(1);
    let asked = Instant::now();
    collector.requests(2);
    assert!(asked.elapsed() > Duration::from_millis(1500), "{:?}", asked.elapsed());
    wait_for(&exporter, EXPORTED, 1.0);
}

#[test]
fn what_a_collector_refuses_is_dropped_and_the_rest_goes_on() {
    let (calls, collector) = (Workload::new(), Collector::start(&["400", "200"]));
    let folder = folder(calls);
    let exporter = exporter(&folder, &endpoint(collector.port), &[]);
    calls.fire(2);
    wait_for(&exporter, &dropped("export"), 1.0);
    calls.fire(1);
    wait_for(&exporter, EXPORTED, 1.0);
    assert_eq!((exporter.value(REQUESTS), exporter.value(&failed("status"))), (Some(2.0), Some(1.0)));
    check_sum(&exporter);
    let log = exporter.log();
    assert!(log.contains("it answered 400") && log.contains("spans are exported again"), "{log}");
}

#[test]
fn what_a_collector_throws_away_is_counted() {
    let (calls, collector) = (Workload::new(), Collector::start(&["partial:2"]));
    let folder = folder(calls);
    let variables = format!(
        "{} OTEL_BSP_SCHEDULE_DELAY=3600000 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=5",
        endpoint(collector.port)
    );
    let exporter = exporter(&folder, &variables, &[]);
    calls.fire(6);
    wait_for(&exporter, EXPORTED, 3.0);
    assert_eq!(exporter.value("ebpf_exporter_spans_rejected_total"), Some(2.0));
    check_sum(&exporter);
    assert!(exporter.log().contains("too old"), "{}", exporter.log());
}

#[test]
fn what_finds_the_queue_full_is_counted_exactly() {
    let (calls, collector) = (Workload::new(), Collector::start(&["hang"]));
    let folder = folder(calls);
    let variables =
        format!("{} OTEL_BSP_MAX_QUEUE_SIZE=4 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1", endpoint(collector.port));
    let exporter = exporter(&folder, &variables, &[]);
    calls.fire(2);
    collector.requests(1);
    calls.fire(100);
    // One is under way and four wait.
    wait_for(&exporter, &dropped("queue_full"), 96.0);
    assert_eq!(exporter.value("ebpf_exporter_spans_queued"), Some(5.0));
    assert_eq!(check_sum(&exporter), 102.0);
}

#[test]
fn a_collector_that_hangs_does_not_hold_the_exporter() {
    let (calls, collector) = (Workload::new(), Collector::start(&["hang"]));
    let folder = folder(calls);
    let variables = format!(
        "{} OTEL_EXPORTER_OTLP_TIMEOUT=3600000 OTEL_BSP_EXPORT_TIMEOUT=3600000",
        endpoint(collector.port)
    );
    let exporter = exporter(&folder, &variables, &[]);
    calls.fire(2);
    collector.requests(1);
    // Pages come all the same.
    assert_eq!(check_sum(&exporter), 2.0);
    let (status, log) = exporter.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("spans are lost: the collector did not take them in time"), "{log}");
}

#[test]
fn a_collector_that_is_not_there_costs_its_spans_alone() {
    let calls = Workload::new();
    let folder = folder(calls);
    // Nobody listens on the first port, whatever the machine.
    let exporter = exporter(&folder, &format!("{} OTEL_BSP_EXPORT_TIMEOUT=10", endpoint(1)), &[]);
    calls.fire(2);
    wait_for(&exporter, &dropped("export"), 1.0);
    assert_eq!(exporter.value(&failed("connect")), Some(1.0));
    assert_eq!(check_sum(&exporter), 2.0);
    let log = exporter.log();
    assert!(log.contains("127.0.0.1:1 cannot be connected to"), "{log}");
}

#[test]
fn what_is_not_built_in_is_said_and_counted() {
    let calls = Workload::new();
    let folder = folder(calls);
    let exporter = exporter(&folder, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", &[]);
    calls.fire(3);
    wait_for(&exporter, &dropped("refused"), 3.0);
    assert_eq!(check_sum(&exporter), 3.0);
    let log = exporter.log();
    let told = "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: gRPC is not built in: set it to http/protobuf";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    drop(exporter);
    let (code, text) = check(&folder, "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318");
    assert!(code == Some(2) && text.contains("https is not possible"), "{code:?} {text}");
    let (code, text) = check(&folder, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318");
    assert_eq!(code, Some(0), "{text}");
}

/// `--config.check` under a variable.
fn check(folder: &Folder, variable: &str) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .args(["-c", &format!("export {variable}\nexec \"$0\" \"$@\"")])
        .arg(crate::common::exporter::binary())
        .args([&folder.argument(), "--config.check"])
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn who_wants_no_spans_gets_none() {
    let calls = Workload::new();
    let folder = folder(calls);
    let exporter = exporter(&folder, "OTEL_TRACES_EXPORTER=none", &[]);
    calls.fire(3);
    let page = exporter.page();
    assert!(!page.contains("ebpf_exporter_spans"), "{page}");
    assert!(
        exporter.log().contains("spans are not exported, as the environment wants"),
        "{}",
        exporter.log()
    );
}
