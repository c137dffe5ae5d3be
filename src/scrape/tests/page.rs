//! What stands on the page.

use super::*;

#[test]
fn labels_are_decoded_into_rows() {
    let labels = vec![uint("device", 0, 4), label("comm", 4, 8, &[("string", &[])])];
    let source = rows(12, &[(b"\x01\0\0\0bash\0\0\0\0", u64::MAX), (b"\x02\0\0\0a\"\\\n\0\0\0\0", 2)]);
    let scraper = scraper(vec![member("c", vec![counter("m_total", 12, labels)], vec![("m_total", source)])]);
    check(
        &scraper,
        "ebpf_exporter_m_total",
        &[
            r#"ebpf_exporter_m_total{comm="a\"\\\n",device="2"} 2"#,
            r#"ebpf_exporter_m_total{comm="bash",device="1"} 18446744073709551615"#,
        ],
    );
}

#[test]
fn families_are_sorted_by_name_among_the_exporters_own() {
    let metric = |family| counter(family, 4, vec![uint("n", 0, 4)]);
    let source = || rows(4, &[(b"\x01\0\0\0", 5)]) as Arc<dyn Source>;
    let mut far = metric("x");
    far.family = "aaa_total".to_owned();
    let metrics = vec![metric("z_total"), metric("a_total"), metric("d_total"), far];
    let sources = vec![("z_total", source()), ("a_total", source()), ("d_total", source()), ("x", source())];
    let page = text(&scraper(vec![member("c", metrics, sources)]).scrape(&plain()));
    let names: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(names.is_sorted() && names.len() > 12, "{names:?}");
    assert_eq!(names[0], "aaa_total counter");
    let position = |name: &str| names.iter().position(|line| line.starts_with(name)).unwrap();
    assert!(position("ebpf_exporter_d_total") < position("ebpf_exporter_decoder_errors_total"));
}

#[test]
fn a_golden_page() {
    let biolatency = histogram(
        "bio_latency_seconds",
        BucketKind::Exp2 { min: 0, max: 2 },
        1e-6,
        vec![label("operation", 0, 1, &[("uint", &[]), ("static_map", &[("0", "read"), ("1", "write")])])],
    );
    let key = |operation: u8, slot: u64| [&[operation][..], &slot.to_ne_bytes()].concat();
    let keys = [key(0, 0), key(0, 2), key(0, 3), key(1, 9)];
    let slots = rows(9, &[(&keys[0], 3), (&keys[1], 4), (&keys[2], 1500), (&keys[3], 1)]);
    let mut free = metric("free_bytes", MetricKind::Gauge, 4, vec![]);
    free.scale = 1024.0;
    free.help = "Free\nbytes".to_owned();
    let sources: Vec<(&str, Arc<dyn Source>)> =
        vec![("bio_latency_seconds", slots), ("free_bytes", rows(4, &[(&[0; 4], 1_000_000)]))];
    let page = text(&scraper(vec![member("c", vec![biolatency, free], sources)]).scrape(&plain()));
    let users: String = page
        .lines()
        .filter(|line| line.contains("bio_latency_seconds") || line.contains("free_bytes"))
        .filter(|line| !line.contains("metric_") && !line.contains("map_"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        users,
        r#"# HELP ebpf_exporter_bio_latency_seconds Help
# TYPE ebpf_exporter_bio_latency_seconds histogram
ebpf_exporter_bio_latency_seconds_bucket{operation="read",le="1e-06"} 3
ebpf_exporter_bio_latency_seconds_bucket{operation="read",le="2e-06"} 3
ebpf_exporter_bio_latency_seconds_bucket{operation="read",le="4e-06"} 7
ebpf_exporter_bio_latency_seconds_bucket{operation="read",le="+Inf"} 7
ebpf_exporter_bio_latency_seconds_sum{operation="read"} 0.0015
ebpf_exporter_bio_latency_seconds_count{operation="read"} 7
ebpf_exporter_bio_latency_seconds_bucket{operation="write",le="1e-06"} 0
ebpf_exporter_bio_latency_seconds_bucket{operation="write",le="2e-06"} 0
ebpf_exporter_bio_latency_seconds_bucket{operation="write",le="4e-06"} 0
ebpf_exporter_bio_latency_seconds_bucket{operation="write",le="+Inf"} 1
ebpf_exporter_bio_latency_seconds_sum{operation="write"} 0
ebpf_exporter_bio_latency_seconds_count{operation="write"} 1
# HELP ebpf_exporter_free_bytes Free\nbytes
# TYPE ebpf_exporter_free_bytes gauge
ebpf_exporter_free_bytes 1.024e+09
"#
    );
}

#[test]
fn a_coded_page_is_the_same_page() {
    #[track_caller]
    fn check(coding: Coding, unpack: impl Fn(&[u8]) -> Vec<u8>) {
        // Long enough to be coded in several pieces.
        let keys: Vec<_> = (0..30_000u32).map(u32::to_ne_bytes).collect();
        let numbers: Vec<_> = keys.iter().map(|key| (&key[..], 5)).collect();
        let metrics = vec![counter("m_total", 4, vec![uint("n", 0, 4)])];
        let scraper = scraper(vec![member("c", metrics, vec![("m_total", rows(4, &numbers))])]);
        let page = scraper.scrape(&ScrapeOptions { coding, ..plain() });
        assert_eq!(page.content_encoding, coding.name());
        let packed = page.chunks.concat();
        let unpacked = String::from_utf8(unpack(&packed)).unwrap();
        assert!(unpacked.len() > 900_000);
        assert!(coding == Coding::Identity || packed.len() < unpacked.len() / 4, "{}", packed.len());
        let plain = scraper.scrape(&plain());
        assert_eq!((plain.content_encoding, plain.content_type), (None, page.content_type));
        let users = |page: &str| lines(page, "ebpf_exporter_m_total");
        assert_eq!(users(&unpacked).len(), keys.len());
        assert!(users(&unpacked) == users(&text(&plain)));
    }
    check(Coding::Identity, <[u8]>::to_vec);
    check(Coding::Gzip, |packed| {
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut unpacked).unwrap();
        unpacked
    });
    check(Coding::Zstd, |packed| zstd::stream::decode_all(packed).unwrap());
}

#[test]
fn without_labels_only_the_zero_key_counts() {
    let metrics = || vec![counter("m_total", 4, vec![])];
    let sourced = |source| scraper(vec![member("c", metrics(), vec![("m_total", source)])]);
    let two = sourced(rows(4, &[(&[0; 4], 7), (&[1, 0, 0, 0], 8)]));
    check(&two, "ebpf_exporter_m_total", &["ebpf_exporter_m_total 7"]);
    check(
        &two,
        "ebpf_exporter_metric_decode_errors_total",
        &[r#"ebpf_exporter_metric_decode_errors_total{config="c",metric="m_total",reason="key"} 2"#],
    );
    let none = sourced(rows(4, &[(&[1, 0, 0, 0], 8)]));
    check(&none, "# TYPE ebpf_exporter_m_total", &[]);
}

#[test]
fn cpus_are_split_by_the_last_label() {
    let shape = Shape { key_size: 4, value_size: 8, lanes: 2, lane_stride: 8 };
    let value: Vec<u8> = [3u64, 4].iter().flat_map(|lane| lane.to_ne_bytes()).collect();
    let source = Arc::new(Literal::new(shape, [(&[0u8; 4][..], &value[..]), (&[1, 0, 0, 0], &value)]));
    let split = |labels| MetricSpec { reduce: Reduce::Split, ..counter("m_total", 4, labels) };
    let check_labels = |labels, expected: &[&str]| {
        let members = vec![member("c", vec![split(labels)], vec![("m_total", source.clone())])];
        check(&scraper(members), "ebpf_exporter_m_total", expected);
    };
    check_labels(
        vec![cpu_label()],
        &[r#"ebpf_exporter_m_total{cpu="0"} 3"#, r#"ebpf_exporter_m_total{cpu="1"} 4"#],
    );
    check_labels(
        vec![cpu_label(), uint("vec", 0, 4)],
        &[
            r#"ebpf_exporter_m_total{cpu="0",vec="0"} 3"#,
            r#"ebpf_exporter_m_total{cpu="0",vec="1"} 3"#,
            r#"ebpf_exporter_m_total{cpu="1",vec="0"} 4"#,
            r#"ebpf_exporter_m_total{cpu="1",vec="1"} 4"#,
        ],
    );
    let merged = label("vec", 0, 4, &[("uint", &[]), ("static_map", &[("0", "x"), ("1", "x")])]);
    check_labels(
        vec![cpu_label(), merged],
        &[r#"ebpf_exporter_m_total{cpu="0",vec="x"} 6"#, r#"ebpf_exporter_m_total{cpu="1",vec="x"} 8"#],
    );
}

#[test]
fn maps_are_described_for_people() {
    let steps: &[Step<'_>] = &[("string", &[]), ("regexp", &[("^a", "")])];
    let labels = vec![uint("n", 0, 1), label("s", 1, 3, steps)];
    let source = rows(4, &[(b"\x01abc", 5), (b"\x02xyz", 6)]);
    let slots = rows(8, &[(&3u64.to_ne_bytes(), 7)]);
    let metrics = vec![
        counter("m_total", 4, labels),
        MetricSpec {
            map: "slots".to_owned(),
            ..histogram("h", BucketKind::Linear { min: 0, max: 4 }, 1.0, vec![])
        },
    ];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source), ("slots", slots)])]);
    let chunks = scraper.describe_maps(Instant::now() + Duration::from_secs(10));
    assert_eq!(
        String::from_utf8(chunks.concat()).unwrap(),
        r#"## Config: c

### Map: slots (metric h)

```
[]byte{0x3, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0} (labels: ["3"]) -> 7
```

### Map: m_total

```
[]byte{0x1, 0x61, 0x62, 0x63} (labels: ["1", "a"]) -> 5
[]byte{0x2, 0x78, 0x79, 0x7a} (skipped) -> 6
```

"#
    );
}

/// Nobody's config breaks because an own metric was given its name.
#[test]
fn a_config_goes_before_the_exporters_own_metric() {
    let entries = |scraper: &Scraper| lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_map_entries");
    let with = |family: &str| {
        let source = rows(4, &[(&[0; 4], 7)]);
        scraper(vec![member(
            "c",
            vec![metric(family, MetricKind::Counter, 4, Vec::new())],
            vec![(family, source)],
        )])
    };
    assert_eq!(entries(&with("other")), [r#"ebpf_exporter_map_entries{config="c",map="other"} 1"#]);
    assert_eq!(entries(&with("map_entries")), ["ebpf_exporter_map_entries 7"]);
}
