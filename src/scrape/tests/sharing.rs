//! Several keys, several configs, one series.

use super::*;

const MERGING: &[Step<'_>] = &[("uint", &[]), ("static_map", &[("1", "x"), ("2", "x"), ("3", "y")])];

fn key(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

#[test]
fn a_merged_counter_never_falls() {
    let source = rows(4, &[(&key(1), 10), (&key(2), 5), (&key(3), 1)]);
    let metrics = vec![counter("m_total", 4, vec![label("a", 0, 4, MERGING)])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source.clone())])]);
    let x = |n: u64| format!("ebpf_exporter_m_total{{a=\"x\"}} {n}");
    check(&scraper, "ebpf_exporter_m_total{a=\"x\"}", &[&x(15)]);
    put(&source, &[(&key(1), 11), (&key(3), 1)]);
    check(&scraper, "ebpf_exporter_m_total{a=\"x\"}", &[&x(16)]);
    put(&source, &[(&key(1), 2), (&key(2), 1), (&key(3), 1)]);
    check(&scraper, "ebpf_exporter_m_total{a=\"x\"}", &[&x(19)]);
    // The same reading twice changes nothing.
    check(&scraper, "ebpf_exporter_m_total{a=\"x\"}", &[&x(19)]);
}

#[test]
fn a_merged_gauge_is_what_its_keys_say_now() {
    let source = rows(4, &[(&key(1), 10), (&key(2), 5)]);
    let metrics = vec![metric("g", MetricKind::Gauge, 4, vec![label("a", 0, 4, MERGING)])];
    let scraper = scraper(vec![member("c", metrics, vec![("g", source.clone())])]);
    check(&scraper, "ebpf_exporter_g", &[r#"ebpf_exporter_g{a="x"} 15"#]);
    put(&source, &[(&key(1), 3)]);
    check(&scraper, "ebpf_exporter_g", &[r#"ebpf_exporter_g{a="x"} 3"#]);
}

#[test]
fn a_counter_of_one_key_shows_what_its_map_says() {
    let source = rows(4, &[(&key(1), 10)]);
    let metrics = vec![counter("m_total", 4, vec![uint("a", 0, 4)])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source.clone())])]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="1"} 10"#]);
    put(&source, &[(&key(1), 3)]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="1"} 3"#]);
}

#[test]
fn a_key_that_is_no_canonical_text_groups_the_family_for_good() {
    let source = rows(4, &[(b"ab\0\0", 10)]);
    let metrics = vec![counter("m_total", 4, vec![label("a", 0, 4, &[("string", &[])])])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source.clone())])]);
    let ab = |n: u64| format!("ebpf_exporter_m_total{{a=\"ab\"}} {n}");
    check(&scraper, "ebpf_exporter_m_total", &[&ab(10)]);
    put(&source, &[(b"ab\0\0", 10), (b"ab\0x", 5)]);
    check(&scraper, "ebpf_exporter_m_total", &[&ab(15)]);
    put(&source, &[(b"ab\0\0", 11)]);
    check(&scraper, "ebpf_exporter_m_total", &[&ab(16)]);
    put(&source, &[(b"\xffb\0\0", 1), (b"\xfeb\0\0", 2)]);
    check(&scraper, "ebpf_exporter_m_total", &["ebpf_exporter_m_total{a=\"\u{fffd}b\"} 3"]);
}

/// A gauge says what its keys say now, whatever others said before.
#[test]
fn a_key_that_is_no_canonical_text_groups_a_gauge_as_long_as_it_is_there() {
    let source = rows(4, &[(b"ab\0\0", 10)]);
    let metrics = vec![metric("g", MetricKind::Gauge, 4, vec![label("a", 0, 4, &[("string", &[])])])];
    let scraper = scraper(vec![member("c", metrics, vec![("g", source.clone())])]);
    let is_direct = || {
        let (settings, states) = (&scraper.settings, &scraper.states);
        let reading = reading::read(scraper.live.current(), settings, states, plain().deadline);
        matches!(reading.families.first(), Some(fold::Folded::Direct))
    };
    for _ in 0..2 {
        put(&source, &[(b"ab\0\0", 10), (b"cd\0\0", 1)]);
        check(&scraper, "ebpf_exporter_g{a=\"ab\"}", &["ebpf_exporter_g{a=\"ab\"} 10"]);
        assert!(is_direct());
        put(&source, &[(b"ab\0\0", 10), (b"cd\0\0", 1), (b"ab\0x", 5)]);
        check(&scraper, "ebpf_exporter_g{a=\"ab\"}", &["ebpf_exporter_g{a=\"ab\"} 15"]);
        assert!(!is_direct());
    }
}

#[test]
fn bytes_that_no_label_shows_are_summed_over() {
    let source = rows(4, &[(&[1, 0, 0, 0], 10), (&[1, 9, 0, 0], 5)]);
    let metrics = vec![counter("m_total", 4, vec![uint("a", 0, 1)])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source)])]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="1"} 15"#]);
}

#[test]
fn configs_share_a_family_and_its_sums() {
    let labels = || vec![uint("a", 0, 4)];
    let scaled = MetricSpec { scale: 0.5, ..counter("m_total", 4, labels()) };
    let first = rows(4, &[(&key(1), 10), (&key(2), 20)]);
    let second = rows(4, &[(&key(1), 5)]);
    let scraper = scraper(vec![
        member("one", vec![counter("m_total", 4, labels())], vec![("m_total", first)]),
        member("two", vec![scaled], vec![("m_total", second.clone())]),
    ]);
    let expected = [r#"ebpf_exporter_m_total{a="1"} 12.5"#, r#"ebpf_exporter_m_total{a="2"} 20"#];
    check(&scraper, "ebpf_exporter_m_total", &expected);
    put(&second, &[]);
    check(
        &scraper,
        "ebpf_exporter_m_total",
        // What the vanished key of the second config said stays in the sum of both.
        &[r#"ebpf_exporter_m_total{a="1"} 12.5"#, r#"ebpf_exporter_m_total{a="2"} 20"#],
    );
    put(&second, &[(&key(1), 2)]);
    check(
        &scraper,
        "ebpf_exporter_m_total",
        &[r#"ebpf_exporter_m_total{a="1"} 13.5"#, r#"ebpf_exporter_m_total{a="2"} 20"#],
    );
}

#[test]
fn a_refused_metric_is_said_and_the_rest_is_served() {
    let source = || rows(4, &[(&key(1), 10)]) as Arc<dyn Source>;
    let labels = || vec![uint("a", 0, 4)];
    let metrics = vec![
        counter("good_total", 4, labels()),
        counter("gone_total", 4, labels()),
        counter("wide_total", 8, vec![uint("a", 0, 8)]),
    ];
    let sources = vec![("good_total", source()), ("wide_total", source())];
    let generation = Generation::plan(vec![member("c", metrics, sources)], Vec::new());
    let codes: Vec<_> = generation.configs()[0].problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["missing-map", "map-shape"]);
    let scraper = Scraper::new(Arc::new(Live::new(generation)), Settings::default());
    check(&scraper, "ebpf_exporter_good_total", &[r#"ebpf_exporter_good_total{a="1"} 10"#]);
    check(&scraper, "ebpf_exporter_enabled_configs", &[r#"ebpf_exporter_enabled_configs{name="c"} 1"#]);
}

proptest::proptest! {
    /// Both paths give the same series: one config goes directly; beside a second config
    /// without rows the same family is grouped.
    #[test]
    fn the_direct_and_the_grouped_path_agree(
        entries in proptest::collection::btree_map((0u32..50, "[a-c\\\\\"]{0,4}"), proptest::num::u64::ANY, 0..40),
    ) {
        let labels = || vec![uint("n", 0, 4), label("t", 4, 4, &[("string", &[])])];
        let keys: Vec<Vec<u8>> = entries
            .keys()
            .map(|(n, text)| {
                let mut key = n.to_ne_bytes().to_vec();
                key.extend_from_slice(text.as_bytes());
                key.resize(8, 0);
                key
            })
            .collect();
        let entries: Vec<_> = keys.iter().zip(entries.values()).map(|(key, n)| (key.as_slice(), *n)).collect();
        let one = || member("one", vec![counter("m_total", 8, labels())], vec![("m_total", rows(8, &entries))]);
        let two = member("two", vec![counter("m_total", 8, labels())], vec![("m_total", rows(8, &[]))]);
        let page = |members| lines(&text(&scraper(members).scrape(&plain())), "ebpf_exporter_m_total");
        proptest::prop_assert_eq!(page(vec![one()]), page(vec![one(), two]));
    }
}
