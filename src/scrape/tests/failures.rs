//! What fails costs only itself.

use super::*;
use crate::snapshot::fixture::{Failing, Misshapen, Slow};
use crate::snapshot::{ProgramStatus, ReadError};

fn one(config: &str, source: Arc<dyn Source>) -> Member {
    let family = format!("{config}_total");
    let metrics = vec![MetricSpec { map: "map".to_owned(), ..counter(&family, 4, vec![uint("a", 0, 4)]) }];
    member(config, metrics, vec![("map", source)])
}

fn good() -> Arc<dyn Source> {
    rows(4, &[(b"\x01\0\0\0", 5)])
}

/// Scrapes a bad source beside a good one.
#[track_caller]
fn check_bad(source: Arc<dyn Source>, reason: &str, deadline: Duration) {
    let scraper = scraper(vec![one("bad", source), one("good", good())]);
    let options = ScrapeOptions { deadline: Instant::now() + deadline, ..plain() };
    let page = text(&scraper.scrape(&options));
    assert_eq!(lines(&page, "ebpf_exporter_good_total"), [r#"ebpf_exporter_good_total{a="1"} 5"#]);
    assert!(!page.contains("ebpf_exporter_bad_total"), "{page}");
    let success = lines(&page, "ebpf_exporter_config_scrape_success");
    let said = [0, 1]
        .map(|n| format!("ebpf_exporter_config_scrape_success{{config=\"{}\"}} {n}", ["bad", "good"][n]));
    assert_eq!(success, said);
    let errors =
        format!("ebpf_exporter_config_read_errors_total{{config=\"bad\",map=\"map\",reason=\"{reason}\"}} 1");
    assert_eq!(lines(&page, "ebpf_exporter_config_read_errors_total"), [errors]);
}

#[test]
fn a_source_that_cannot_be_read_leaves_its_family_out() {
    let long = Duration::from_secs(10);
    let kernel = ReadError::Kernel { operation: "bpf_map_lookup_batch", message: "no".to_owned(), errno: 1 };
    check_bad(Arc::new(Failing(kernel)), "kernel", long);
    check_bad(Arc::new(Failing(ReadError::Unstable)), "unstable", long);
    check_bad(Arc::new(Misshapen), "shape", long);
    check_bad(Arc::new(Slow(Duration::from_millis(1200))), "late", Duration::from_secs(1));
}

/// What an iterator did not write is not served as if it had.
#[test]
fn programs_that_do_not_run_leave_out_what_they_would_have_counted() {
    struct Stuck;
    impl Programs for Stuck {
        fn programs(&self) -> Vec<ProgramStatus> {
            Vec::new()
        }
        fn run(&self) -> Result<(), ReadError> {
            Err(ReadError::Kernel { operation: "running an iterator", message: "no".to_owned(), errno: 11 })
        }
    }
    let mut bad = one("bad", good());
    bad.view.programs = Arc::new(Stuck);
    let scraper = scraper(vec![bad, one("good", good())]);
    let page = text(&scraper.scrape(&plain()));
    assert_eq!(lines(&page, "ebpf_exporter_good_total"), [r#"ebpf_exporter_good_total{a="1"} 5"#]);
    assert!(!page.contains("ebpf_exporter_bad_total"), "{page}");
    assert_eq!(lines(&page, "ebpf_exporter_config_read_errors_total").len(), 1);
}

#[test]
fn a_shared_family_is_whole_or_not_there() {
    let metrics =
        || vec![MetricSpec { map: "map".to_owned(), ..counter("m_total", 4, vec![uint("a", 0, 4)]) }];
    let scraper = scraper(vec![
        member("bad", metrics(), vec![("map", Arc::new(Failing(ReadError::Unstable)))]),
        member("good", metrics(), vec![("map", good())]),
    ]);
    check(&scraper, "ebpf_exporter_m_total", &[]);
    check(
        &scraper,
        "ebpf_exporter_config_scrape_success",
        &[
            r#"ebpf_exporter_config_scrape_success{config="bad"} 0"#,
            r#"ebpf_exporter_config_scrape_success{config="good"} 0"#,
        ],
    );
}

#[test]
fn a_merged_counter_survives_a_failed_read() {
    struct Flaky(Arc<Literal>, std::sync::atomic::AtomicBool);
    impl Source for Flaky {
        fn shape(&self) -> Shape {
            self.0.shape()
        }
        fn max_entries(&self) -> Option<u64> {
            None
        }
        fn read(
            &self,
            limits: &crate::snapshot::Limits,
            push: &mut dyn FnMut(crate::snapshot::Batch<'_>) -> Result<(), ReadError>,
        ) -> Result<crate::snapshot::ReadStatistics, ReadError> {
            if self.1.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(ReadError::Unstable);
            }
            self.0.read(limits, push)
        }
    }
    let literal = rows(4, &[(b"\x01\0\0\0", 5), (b"\x01\x01\0\0", 6)]);
    let flaky = Arc::new(Flaky(literal.clone(), false.into()));
    let metrics = vec![counter("m_total", 4, vec![uint("a", 0, 1)])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", flaky.clone())])]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="1"} 11"#]);
    flaky.1.store(true, std::sync::atomic::Ordering::SeqCst);
    check(&scraper, "ebpf_exporter_m_total", &[]);
    flaky.1.store(false, std::sync::atomic::Ordering::SeqCst);
    put(&literal, &[(b"\x01\0\0\0", 7)]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="1"} 13"#]);
}

#[test]
fn a_source_is_read_once_however_many_metrics_use_it() {
    let source = rows(4, &[(b"\x01\0\0\0", 5)]);
    let on = |family: &str, width| MetricSpec {
        map: "map".to_owned(),
        value: ValueSpec::unsigned(0, width),
        ..counter(family, 4, vec![uint("a", 0, 4)])
    };
    let metrics = vec![on("x_total", 8), on("y_total", 8), on("z_total", 1)];
    let scraper = scraper(vec![member("c", metrics, vec![("map", source.clone())])]);
    let page = text(&scraper.scrape(&plain()));
    for family in ["x", "y", "z"] {
        let line = format!("ebpf_exporter_{family}_total{{a=\"1\"}} 5");
        assert_eq!(lines(&page, &format!("ebpf_exporter_{family}_total")), [line]);
    }
    assert_eq!(source.reads(), 1);
    assert_eq!(
        lines(&page, "ebpf_exporter_map_"),
        [
            r#"ebpf_exporter_map_entries{config="c",map="map"} 1"#,
            r#"ebpf_exporter_map_max_entries{config="c",map="map"} 1048576"#,
        ]
    );
}
