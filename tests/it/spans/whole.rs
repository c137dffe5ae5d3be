//! What arrives.

use std::time::SystemTime;

use super::*;

/// Nanoseconds since the unix epoch.
fn now() -> i128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i128
}

fn number(value: &Value) -> i128 {
    value.as_str().unwrap().parse().unwrap()
}

/// The identifier whose first bytes are one number and whose last are the other, as the program wrote them.
fn hex(numbers: &[u64]) -> String {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

/// The reference's YAML and the layout of its helpers work unchanged, without any privilege once everything is attached.
#[test]
fn spans_arrive_as_they_were_written() {
    let (calls, collector) = (Workload::new(), Collector::start(&["200"]));
    let folder = folder(calls);
    let variables = format!(
        "{} OTEL_RESOURCE_ATTRIBUTES=host.name=one,zone=eu%2Dwest OTEL_EXPORTER_OTLP_HEADERS=x-tenant=a%20b",
        endpoint(collector.port)
    );
    let exporter = exporter(&folder, &variables, &["--capabilities.keep=none", "--config.strict"]);
    let before = now();
    calls.fire(4);
    let spans = collector.spans(3);
    let after = now();
    assert_eq!(spans.len(), 3);
    for (span, number_of_call) in spans.iter().zip(1u64..) {
        assert_eq!(span["trace_id"], hex(&[0x0102_0304_0506_0708, number_of_call]), "{span:#}");
        assert_eq!(
            (&span["name"], &span["kind"], &span["flags"]),
            (&"call".into(), &"SPAN_KIND_INTERNAL".into(), &1.into())
        );
        let parity = if number_of_call % 2 == 0 { "even" } else { "odd" };
        let attributes = serde_json::json!([
            ["call.number", number_of_call.to_string()],
            ["parity", parity],
            ["ebpf_exporter.config", "trace"],
        ]);
        assert_eq!(span["attributes"], attributes);
        let (start, end) = (number(&span["start"]), number(&span["end"]));
        assert_eq!(end - start, 4_041_727);
        // The clocks are told from each other when the record is read, to a moment.
        let moment = 1_000_000_000;
        assert!(before - moment < start && start < after + moment, "{before} {start} {after}");
        let resource = &span["resource"];
        assert_eq!(resource["service.name"], "call-trace");
        assert_eq!((&resource["host.name"], &resource["zone"]), (&"one".into(), &"eu-west".into()));
        assert_eq!(resource["telemetry.sdk.name"], "bpftally");
        assert_eq!(span["scope"][0], "bpftally");
    }
    // What is zero is made up, or none.
    let ids: Vec<(&str, &str)> = spans
        .iter()
        .map(|span| (span["span_id"].as_str().unwrap(), span["parent_span_id"].as_str().unwrap()))
        .collect();
    assert_eq!(
        (ids[0], ids[2]),
        ((hex(&[1]).as_str(), hex(&[0xab]).as_str()), (hex(&[3]).as_str(), hex(&[0xab]).as_str()))
    );
    assert!(ids[1].0.len() == 16 && ids[1].0 != "0000000000000000" && ids[1].1.is_empty(), "{ids:?}");
    let requests = collector.requests(1);
    assert_eq!(
        (&requests[0]["path"], &requests[0]["headers"]["x-tenant"]),
        (&"/v1/traces".into(), &"a b".into())
    );
    assert_eq!(requests[0]["headers"]["content-type"], "application/x-protobuf");

    // A trace of zero is none.
    wait_for(&exporter, "ebpf_exporter_spans_exported_total", 3.0);
    let dropped = r#"ebpf_exporter_spans_dropped_total{config="trace",reason="trace_id"}"#;
    assert_eq!(exporter.value(dropped), Some(1.0));
    assert_eq!(exporter.value(r#"ebpf_exporter_decoder_errors_total{config="trace"}"#), Some(1.0));
    assert_eq!(check_sum(&exporter), 4.0);
    let landing = exporter.get("/").text();
    assert!(
        landing.contains(&format!("Spans go to http://127.0.0.1:{}/v1/traces: 4 came", collector.port)),
        "{landing}"
    );
}

/// Packed, in batches, to the address as it stands, for the environment's own service.
#[test]
fn requests_are_as_the_environment_wants_them() {
    let (calls, collector) = (Workload::new(), Collector::start(&["200"]));
    let folder = Folder::new();
    let yaml = YAML.replace("      service: call-trace\n", "").replace(
        "        - name: span_name\n          size: 16\n",
        "        - name: x\n          size: 16\n",
    );
    folder.pair("trace", &yaml, &calls.object(MAPS, BODY));
    let variables = format!(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:{}/my/spans OTEL_EXPORTER_OTLP_COMPRESSION=gzip \
         OTEL_SERVICE_NAME=own OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10 OTEL_BSP_SCHEDULE_DELAY=3600000",
        collector.port
    );
    let exporter = exporter(&folder, &variables, &[]);
    calls.fire(26);
    let spans = collector.spans(20);
    assert!(
        spans.iter().all(|span| span["resource"]["service.name"] == "own" && span["name"] == "not shown")
    );
    // What waits for more goes when the exporter ends.
    let (status, log) = exporter.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(collector.spans(25).len(), 25);
    let requests = collector.requests(3);
    let sizes: Vec<usize> =
        requests.iter().map(|request| request["spans"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
    for request in &requests {
        assert_eq!(
            (&request["path"], &request["headers"]["content-encoding"]),
            (&"/my/spans".into(), &"gzip".into())
        );
    }
}

/// An edited config shows its new labels, and no span is missing.
#[test]
fn spans_go_on_through_a_reload() {
    let (calls, collector) = (Workload::new(), Collector::start(&["200"]));
    let folder = folder(calls);
    let exporter = exporter(&folder, &endpoint(collector.port), &[]);
    calls.fire(10);
    collector.spans(9);
    folder.file("trace.yaml", YAML.replace("call.number", "count"));
    let deadline = Instant::now() + PATIENCE;
    let mut fired = 10;
    loop {
        calls.fire(1);
        fired += 1;
        let spans = collector.spans(fired - 1);
        if spans.last().unwrap()["attributes"][0][0] == "count" {
            break;
        }
        assert!(Instant::now() < deadline, "the new label does not come:\n{}", exporter.log());
    }
    assert_eq!(check_sum(&exporter), fired as f64);
    assert_eq!(exporter.value("ebpf_exporter_spans_exported_total"), Some((fired - 1) as f64));
}

/// One buffer feeds metrics and spans, each by its own conditions; labels are named by the struct's members.
#[test]
fn metrics_and_spans_share_a_buffer() {
    let (calls, collector) = (Workload::new(), Collector::start(&["200"]));
    let folder = Folder::new();
    let yaml = "metrics:
  counters:
    - name: calls_total
      help: Calls
      ringbuf: call_spans
      type: record
      labels: [parity]
tracing:
  spans:
    - name: odd
      ringbuf: call_spans
      type: record
      where: {parity: 1}
      labels:
        - {name: span_id, field: base.span_id}
        - {name: parent_span_id, field: base.parent.span_id, decoders: [hex]}
        - {name: span_duration_ns, field: base.span_duration_ns}
        - number
        - span_name
    - name: all
      ringbuf: call_spans
      type: record
      labels: [{name: pair, field: parity}]
";
    folder.pair("trace", yaml, &calls.object(MAPS, BODY));
    let exporter = exporter(&folder, &endpoint(collector.port), &["--config.strict"]);
    calls.fire(10);
    let spans = collector.spans(15);
    assert_eq!(spans.len(), 15);
    let odd: Vec<&Value> = spans.iter().filter(|span| span["name"] == "call").collect();
    let numbers: Vec<&str> = odd.iter().map(|span| span["attributes"][0][1].as_str().unwrap()).collect();
    assert_eq!(numbers, ["1", "3", "5", "7", "9"]);
    assert_eq!((&odd[1]["span_id"], &odd[1]["parent_span_id"]), (&hex(&[3]).into(), &hex(&[0xab]).into()));
    assert_eq!(number(&odd[1]["end"]) - number(&odd[1]["start"]), 4_041_727);
    // Each is a trace of its own, because no label says which one it belongs to.
    let mut traces: Vec<&str> = spans.iter().map(|span| span["trace_id"].as_str().unwrap()).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 15);
    for parity in ["0", "1"] {
        let series = format!("ebpf_exporter_calls_total{{parity=\"{parity}\"}}");
        assert_eq!(exporter.value(&series), Some(5.0));
    }
    // What a condition leaves out is nobody's span.
    assert_eq!(check_sum(&exporter), 15.0);
}
