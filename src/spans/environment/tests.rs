use super::*;

fn read(variables: &[(&str, &str)]) -> Environment {
    read_environment(&|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[track_caller]
fn settings(variables: &[(&str, &str)]) -> Settings {
    let environment = read(variables);
    assert_eq!(environment.warnings, Vec::<String>::new(), "{variables:?}");
    match environment.choice {
        Choice::Export(settings) => *settings,
        other => panic!("{variables:?}: {other:?}"),
    }
}

#[test]
fn without_variables_spans_go_where_the_reference_sends_them() {
    let settings = settings(&[]);
    assert_eq!(settings.endpoint.to_string(), "http://localhost:4318/v1/traces");
    assert_eq!(settings.headers, []);
    assert_eq!(settings.timeout, Duration::from_secs(10));
    assert!(!settings.gzip);
    assert_eq!((settings.queue, settings.batch), (2048, 512));
    assert_eq!((settings.delay, settings.patience), (Duration::from_secs(5), Duration::from_secs(30)));
    assert_eq!(settings.resource.service, "ebpf_exporter");
    let keys: Vec<_> = settings.resource.attributes.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"]);
}

#[test]
fn the_variable_of_traces_goes_before_the_one_of_all_signals() {
    let endpoint = |variables: &[(&str, &str)]| settings(variables).endpoint.to_string();
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:2");
    assert_eq!(endpoint(&[all]), "http://all:1/v1/traces");
    assert_eq!(endpoint(&[all, own]), "http://own:2/");
    assert_eq!(endpoint(&[all, (own.0, "")]), "http://all:1/v1/traces");
    assert_eq!(endpoint(&[(all.0, " ")]), "http://localhost:4318/v1/traces");

    let timeout = |variables: &[(&str, &str)]| settings(variables).timeout.as_millis();
    let all = ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
    assert_eq!(timeout(&[all]), 1000);
    assert_eq!(timeout(&[all, ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250")]), 250);

    let gzip = |variables: &[(&str, &str)]| settings(variables).gzip;
    let all = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    assert!(gzip(&[all]));
    assert!(gzip(&[(all.0, "GZIP")]));
    assert!(!gzip(&[all, ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none")]));

    // Protocols, too: what all signals want does not matter then.
    settings(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ]);
}

#[test]
fn headers_are_decoded_and_those_of_traces_replace_the_others() {
    let headers = |variables: &[(&str, &str)]| settings(variables).headers;
    let all = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-tenant = one");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(headers(&[all]), [pair("authorization", "Bearer abc"), pair("x-tenant", "one")]);
    assert_eq!(headers(&[all, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b")]), [pair("a", "b")]);
}

#[track_caller]
fn check_header(list: &str, warning: &str) {
    let environment = read(&[("OTEL_EXPORTER_OTLP_HEADERS", list)]);
    assert_eq!(environment.warnings, [format!("OTEL_EXPORTER_OTLP_HEADERS: {warning}")], "{list}");
    let Choice::Export(settings) = environment.choice else { panic!("{:?}", environment.choice) };
    assert_eq!(settings.headers, [], "{list}");
}

#[test]
fn headers_that_would_break_the_request_are_left_out() {
    check_header("Content-Length=5", "the header `Content-Length` is the request's own: it is left out");
    check_header("a b=5", r#""a b" can be no header, or its value none: it is left out"#);
    check_header("a=1%0d%0aHost:%20evil", r#""a" can be no header, or its value none: it is left out"#);
    check_header("a", r#""a" is not a key, `=` and a value: all of it is ignored"#);
}

#[track_caller]
fn check_refused(variables: &[(&str, &str)], expected: &str) {
    match read(variables).choice {
        Choice::Refused(refusal) => assert_eq!(refusal.to_string(), expected),
        other => panic!("{variables:?}: {other:?}"),
    }
}

#[test]
fn what_is_not_built_in_is_refused_with_what_to_do() {
    check_refused(
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: gRPC is not built in: set it to http/protobuf, which collectors \
         take on port 4318 instead of 4317",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")],
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json: JSON is not built in: set it to http/protobuf, which \
         the same port takes",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke")],
        "OTEL_EXPORTER_OTLP_PROTOCOL=smoke: the protocol there is: http/protobuf",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")],
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318: https is not possible, because no TLS is built \
         in: run a collector beside the exporter, name it with http:// and let it speak https to the others",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4318")],
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=localhost:4318: an URL that begins with http:// is expected, \
         such as http://localhost:4318",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector")],
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://...@...: it holds credentials: put them into \
         OTEL_EXPORTER_OTLP_HEADERS, as authorization=Basic%20...",
    );
    check_refused(
        &[("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")],
        "OTEL_EXPORTER_OTLP_COMPRESSION=zstd: the compressions there are: gzip, none",
    );
    check_refused(
        &[("OTEL_TRACES_EXPORTER", "zipkin")],
        "OTEL_TRACES_EXPORTER=zipkin: the exporters there are: otlp, none",
    );
}

#[test]
fn spans_can_be_switched_off_whatever_else_is_wanted() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(read(&[("OTEL_SDK_DISABLED", "TRUE"), grpc]).choice, Choice::Off("OTEL_SDK_DISABLED"));
    assert_eq!(read(&[("OTEL_TRACES_EXPORTER", "none"), grpc]).choice, Choice::Off("OTEL_TRACES_EXPORTER"));
    assert!(matches!(read(&[("OTEL_SDK_DISABLED", "false")]).choice, Choice::Export(_)));
    let odd = read(&[("OTEL_SDK_DISABLED", "1")]);
    assert!(matches!(odd.choice, Choice::Export(_)));
    assert_eq!(odd.warnings, [r#"OTEL_SDK_DISABLED: "1" is neither true nor false: it counts as false"#]);
}

#[test]
fn the_service_is_named_by_its_own_variable_first() {
    let resource = |variables: &[(&str, &str)]| settings(variables).resource;
    let all = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=among,zone=eu%2Dwest,telemetry.sdk.language=c");
    let among = resource(&[all]);
    assert_eq!(among.service, "among");
    let attributes: Vec<_> =
        among.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(attributes[..2], [("zone", "eu-west"), ("telemetry.sdk.language", "c")]);
    assert_eq!(resource(&[all, ("OTEL_SERVICE_NAME", "own")]).service, "own");
    assert_eq!(resource(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=")]).service, "ebpf_exporter");
    let wrong = read(&[("OTEL_RESOURCE_ATTRIBUTES", "zone=%zz,a=b")]);
    assert_eq!(
        wrong.warnings,
        [
            "OTEL_RESOURCE_ATTRIBUTES: the value of `zone` has a `%` without two hexadecimal digits, or is not \
          UTF-8: all of it is ignored"
        ]
    );
}

#[test]
fn limits_are_numbers_or_their_defaults() {
    let settings = settings(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "60"),
    ]);
    assert_eq!((settings.queue, settings.batch), (100, 100));
    assert_eq!((settings.delay.as_millis(), settings.patience.as_millis()), (50, 60));
    let wrong = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
    ]);
    let Choice::Export(settings) = wrong.choice else { panic!("{:?}", wrong.choice) };
    assert_eq!((settings.queue, settings.delay.as_secs(), settings.timeout.as_secs()), (2048, 5, 10));
    assert_eq!(
        wrong.warnings,
        [
            r#"OTEL_BSP_MAX_QUEUE_SIZE: "0" is not a number above 0: it is 2048"#,
            r#"OTEL_EXPORTER_OTLP_TIMEOUT: "-1" is not a number of milliseconds: it is 10000"#,
            r#"OTEL_BSP_SCHEDULE_DELAY: "5s" is not a number of milliseconds: it is 5000"#,
        ]
    );
}
