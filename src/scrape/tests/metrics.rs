//! What the exporter says of itself.

use super::*;
use crate::snapshot::ProgramStatus;

fn key(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

#[test]
fn skipped_rows_are_counted_and_remembered() {
    let steps: &[Step<'_>] = &[("string", &[]), ("regexp", &[("^a.*$", "")])];
    let source = rows(4, &[(b"ab\0\0", 1), (b"ac\0\0", 2), (b"xx\0\0", 4)]);
    for skip_cache_size in [0, 10] {
        let metrics = vec![counter("m_total", 4, vec![label("comm", 0, 4, steps)])];
        let settings = Settings { skip_cache_size, ..Settings::default() };
        let scraper = scraper_with(vec![member("c", metrics, vec![("m_total", source.clone())])], settings);
        let series = [r#"ebpf_exporter_m_total{comm="ab"} 1"#, r#"ebpf_exporter_m_total{comm="ac"} 2"#];
        for scrape in 1..4 {
            let page = text(&scraper.scrape(&plain()));
            assert_eq!(lines(&page, "ebpf_exporter_m_total"), series);
            let skipped = format!(
                "ebpf_exporter_metric_skipped_label_sets_total{{config=\"c\",metric=\"m_total\"}} {scrape}"
            );
            assert_eq!(lines(&page, "ebpf_exporter_metric_skipped"), [skipped]);
        }
    }
}

#[test]
fn what_was_skipped_is_asked_again_when_the_config_changes() {
    let source = rows(4, &[(b"ab\0\0", 1), (b"xx\0\0", 4)]);
    let member = |expression| {
        let steps: &[Step<'_>] = &[("string", &[]), ("regexp", &[(expression, "")])];
        let metrics = vec![counter("m_total", 4, vec![label("comm", 0, 4, steps)])];
        member("c", metrics, vec![("m_total", source.clone() as Arc<dyn Source>)])
    };
    let settings = Settings { skip_cache_size: 10, ..Settings::default() };
    let scraper = scraper_with(vec![member("^a.*$")], settings);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{comm="ab"} 1"#]);
    scraper.live().swap(Generation::plan(vec![member("^x.*$")], Vec::new()));
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{comm="xx"} 4"#]);
}

#[test]
fn known_keys_are_decoded_again_when_their_decoders_change() {
    let source = rows(4, &[(&key(1), 5), (&key(2), 7)]);
    let member = |second| {
        let steps: &[Step<'_>] = &[("uint", &[]), ("static_map", &[("1", "x"), ("2", second), ("3", "x")])];
        let metrics = vec![counter("m_total", 4, vec![label("name", 0, 4, steps)])];
        member("c", metrics, vec![("m_total", source.clone() as Arc<dyn Source>)])
    };
    let scraper = scraper(vec![member("x")]);
    for _ in 0..3 {
        check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{name="x"} 12"#]);
    }
    scraper.live().swap(Generation::plan(vec![member("y")], Vec::new()));
    // What was counted under the old name stays there.
    let series = [r#"ebpf_exporter_m_total{name="x"} 12"#, r#"ebpf_exporter_m_total{name="y"} 7"#];
    check(&scraper, "ebpf_exporter_m_total", &series);
    put(&source, &[(&key(2), 9), (&key(1), 6), (&key(3), 1)]);
    for _ in 0..2 {
        let series = [r#"ebpf_exporter_m_total{name="x"} 14"#, r#"ebpf_exporter_m_total{name="y"} 9"#];
        check(&scraper, "ebpf_exporter_m_total", &series);
    }
}

#[test]
fn programs_are_described_and_counted_when_the_kernel_counts() {
    let program = ProgramStatus {
        name: "on_exec".to_owned(),
        id: 7,
        tag: "0123456789abcdef".to_owned(),
        attached: true,
        run_time: Duration::from_millis(1500),
        run_count: 3,
        missed: Some(5),
    };
    for statistics in [false, true] {
        let mut member = member("c", vec![], vec![]);
        member.view.programs = Arc::new(LiteralPrograms(vec![program.clone()]));
        let settings = Settings { stats_enabled: Box::new(move || statistics), ..Settings::default() };
        let page = text(&scraper_with(vec![member], settings).scrape(&plain()));
        let mut expected = vec![
            r#"ebpf_exporter_ebpf_program_attached{id="7"} 1"#,
            r#"ebpf_exporter_ebpf_program_info{config="c",id="7",program="on_exec",tag="0123456789abcdef"} 1"#,
        ];
        if statistics {
            expected.push(r#"ebpf_exporter_ebpf_program_run_count_total{id="7"} 3"#);
            expected.push(r#"ebpf_exporter_ebpf_program_run_time_seconds{id="7"} 1.5"#);
        }
        assert_eq!(lines(&page, "ebpf_exporter_ebpf_program"), expected);
        let missed = [r#"ebpf_exporter_program_missed_total{config="c",program="on_exec"} 5"#];
        assert_eq!(lines(&page, "ebpf_exporter_program_missed"), missed);
    }
}

/// Linux before 5.12 does not count what it leaves out, which is not the same as nothing.
#[test]
fn what_the_kernel_does_not_count_is_not_said_to_be_none() {
    let mut member = member("c", vec![], vec![]);
    member.view.programs = Arc::new(LiteralPrograms(vec![ProgramStatus::default()]));
    let page = text(&scraper_with(vec![member], Settings::default()).scrape(&plain()));
    assert!(page.contains("ebpf_exporter_ebpf_program_info{") && !page.contains("missed"), "{page}");
}

#[test]
fn configs_are_described_also_when_they_are_not_loaded() {
    let bad = ConfigState { name: "bad".to_owned(), warnings: 2, ..ConfigState::default() };
    let generation = Generation::plan(vec![member("good", vec![], vec![])], vec![bad]);
    let scraper = Scraper::new(Arc::new(Live::new(generation)), Settings::default());
    let page = text(&scraper.scrape(&plain()));
    assert_eq!(
        lines(&page, "ebpf_exporter_config_loaded"),
        [r#"ebpf_exporter_config_loaded{config="bad"} 0"#, r#"ebpf_exporter_config_loaded{config="good"} 1"#,]
    );
    assert_eq!(
        lines(&page, "ebpf_exporter_config_warnings"),
        [
            r#"ebpf_exporter_config_warnings{config="bad"} 2"#,
            r#"ebpf_exporter_config_warnings{config="good"} 0"#,
        ]
    );
    assert_eq!(
        lines(&page, "ebpf_exporter_enabled_configs"),
        [r#"ebpf_exporter_enabled_configs{name="good"} 1"#]
    );
    assert_eq!(
        lines(&page, "ebpf_exporter_decoder_errors_total"),
        [r#"ebpf_exporter_decoder_errors_total{config="good"} 0"#]
    );
}

#[test]
fn nothing_outlives_its_config() {
    let bad_rows = || rows(4, &[(&key(0), 1), (&key(1), 1)]) as Arc<dyn Source>;
    let member = |config| member(config, vec![counter(config, 4, vec![])], vec![(config, bad_rows())]);
    let scraper = scraper(vec![member("a_total"), member("b_total")]);
    let errors = "ebpf_exporter_metric_decode_errors_total";
    assert_eq!(lines(&text(&scraper.scrape(&plain())), errors).len(), 2);
    scraper.live().swap(Generation::plan(vec![member("b_total")], Vec::new()));
    let page = text(&scraper.scrape(&plain()));
    assert!(!page.contains("a_total"), "{page}");
    // What goes on counts on.
    assert_eq!(
        lines(&page, errors),
        [r#"ebpf_exporter_metric_decode_errors_total{config="b_total",metric="b_total",reason="key"} 2"#]
    );
    scraper.live().swap(Generation::plan(vec![member("a_total")], Vec::new()));
    assert_eq!(
        lines(&text(&scraper.scrape(&plain())), errors),
        [r#"ebpf_exporter_metric_decode_errors_total{config="a_total",metric="a_total",reason="key"} 1"#]
    );
}

#[test]
fn series_are_counted() {
    let metrics = vec![
        counter("m_total", 4, vec![uint("a", 0, 4)]),
        histogram("h", BucketKind::Linear { min: 0, max: 1 }, 1.0, vec![]),
    ];
    let sources: Vec<(&str, Arc<dyn Source>)> =
        vec![("m_total", rows(4, &[(&key(1), 1), (&key(2), 1)])), ("h", rows(8, &[(&[0; 8], 1)]))];
    let page = text(&scraper(vec![member("c", metrics, sources)]).scrape(&plain()));
    assert_eq!(
        lines(&page, "ebpf_exporter_metric_series"),
        [
            r#"ebpf_exporter_metric_series{config="c",metric="h"} 5"#,
            r#"ebpf_exporter_metric_series{config="c",metric="m_total"} 2"#,
        ]
    );
    assert_eq!(lines(&page, "ebpf_exporter_h_").len(), 5);
}

#[test]
fn clients_that_were_cut_are_counted_by_reason() {
    let settings = Settings { clients_cut: Box::new(|| vec![("b", 2), ("a", 0)]), ..Settings::default() };
    check(
        &scraper_with(Vec::new(), settings),
        "ebpf_exporter_http_clients_cut_total",
        &[
            r#"ebpf_exporter_http_clients_cut_total{reason="a"} 0"#,
            r#"ebpf_exporter_http_clients_cut_total{reason="b"} 2"#,
        ],
    );
}
