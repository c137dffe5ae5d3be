//! Streams, and losses that programs count themselves.

use std::sync::Mutex;

use super::*;
use crate::scrape::Replaced;
use crate::snapshot::{
    Batch, Limits, Loss, NamedStream, ReadError, ReadStatistics, Sink, Stream, StreamCounts,
};
use crate::spec::LossSpec;

/// A stream of which only the numbers matter.
#[derive(Default)]
struct Counted {
    is_late: bool,
    drained: Mutex<u64>,
}

impl Stream for Counted {
    fn connect(&self, _sinks: Vec<Box<dyn Sink>>) -> Result<(), String> {
        Ok(())
    }

    fn drain(&self, _deadline: Instant) -> Result<(), ReadError> {
        *self.drained.lock().unwrap() += 1;
        if self.is_late { Err(ReadError::Late) } else { Ok(()) }
    }

    fn counts(&self) -> StreamCounts {
        let events = *self.drained.lock().unwrap() * 10;
        StreamCounts { events, lost: vec![(Loss::Full, 3), (Loss::Decode, 2)] }
    }

    fn unread(&self) -> Option<u64> {
        Some(48 - *self.drained.lock().unwrap())
    }
}

fn page(scraper: &Scraper) -> String {
    text(&scraper.scrape(&plain()))
}

fn with_stream(stream: Arc<Counted>) -> Member {
    let mut member = member("c", vec![], vec![]);
    member.view.streams.push(NamedStream { map: "events".to_owned(), stream });
    member
}

#[test]
fn buffers_are_emptied_first_and_their_numbers_are_of_then() {
    let stream = Arc::new(Counted::default());
    let scraper = scraper(vec![with_stream(Arc::clone(&stream))]);
    for turn in 1..3 {
        let page = page(&scraper);
        let of = "{config=\"c\",source=\"events\"}";
        assert!(page.contains(&format!("ebpf_exporter_events_total{of} {}\n", turn * 10)), "{page}");
        assert!(page.contains(&format!("ebpf_exporter_events_unread_bytes{of} {}\n", 49 - turn)), "{page}");
        assert!(
            page.contains("events_lost_total{config=\"c\",reason=\"decode\",source=\"events\"} 2\n"),
            "{page}"
        );
        // Of a ring buffer the kernel does not tell.
        assert!(!page.contains("reason=\"buffer_full\""), "{page}");
        assert_eq!(*stream.drained.lock().unwrap(), turn);
    }
}

/// Two numbers of losses, in an array with one entry.
fn losses(one: u64, two: u64) -> Arc<Literal> {
    let source = Literal::new(Shape { key_size: 4, value_size: 16, lanes: 1, lane_stride: 16 }, []);
    set(&source, one, two);
    Arc::new(source)
}

fn set(source: &Literal, one: u64, two: u64) {
    let value = [one.to_ne_bytes(), two.to_ne_bytes()].concat();
    source.replace([(&[0u8; 4][..], value.as_slice())]);
}

fn with_losses(config: &str, source: &Arc<Literal>) -> Member {
    let source = Arc::clone(source) as Arc<dyn Source>;
    let mut member = member(config, vec![], vec![("events_losses", source)]);
    member.view_spec.losses.push(LossSpec {
        source: "events".to_owned(),
        map: "events_losses".to_owned(),
        offset: 0,
        words: 2,
        elements: 1,
        reasons: vec![("full".to_owned(), 0), ("limited".to_owned(), 1)],
    });
    member
}

#[track_caller]
fn check(scraper: &Scraper, config: &str, full: u64, limited: u64) {
    let page = page(scraper);
    for (reason, count) in [("full", full), ("limited", limited)] {
        let line = format!(
            "events_lost_total{{config=\"{config}\",reason=\"{reason}\",source=\"events\"}} {count}\n"
        );
        assert!(page.contains(&line), "{line}{page}");
    }
}

#[test]
fn losses_never_fall() {
    let publish = |scraper: &Scraper, member: Member, handover: &Handover| {
        let generation = Generation::plan(vec![member], Vec::new());
        scraper.publish(generation, handover, Instant::now() + Duration::from_secs(10));
    };
    let (first, same) = (losses(5, 1), Handover::default());
    let anew = || Replaced { config: "c".to_owned(), map: "events_losses".to_owned() };
    let scraper = scraper(vec![with_losses("c", &first)]);
    check(&scraper, "c", 5, 1);
    // The same map goes on with its numbers.
    publish(&scraper, with_losses("c", &first), &same);
    set(&first, 7, 1);
    check(&scraper, "c", 7, 1);
    // So it does when another object reads it, as after each load.
    let first = losses(7, 1);
    publish(&scraper, with_losses("c", &first), &same);
    check(&scraper, "c", 7, 1);
    // Another one begins anew, and what the first said last is read once more.
    set(&first, 9, 2);
    let second = losses(1, 0);
    publish(&scraper, with_losses("c", &second), &Handover { replaced: vec![anew()], renamed: vec![] });
    check(&scraper, "c", 10, 2);
    let third = losses(0, 0);
    let renamed = vec![("c".to_owned(), "d".to_owned())];
    let renamed = Handover { replaced: vec![anew()], renamed };
    publish(&scraper, with_losses("d", &third), &renamed);
    check(&scraper, "d", 10, 2);
    set(&third, 0, 4);
    check(&scraper, "d", 10, 6);
    // What nobody counts any more is forgotten.
    publish(&scraper, member("d", vec![], vec![]), &same);
    assert!(!page(&scraper).contains("events_lost_total"));
    publish(&scraper, with_losses("d", &third), &same);
    check(&scraper, "d", 0, 4);
}

#[test]
fn losses_of_an_array_are_added_up() {
    let source = Literal::new(Shape { key_size: 4, value_size: 56, lanes: 2, lane_stride: 56 }, []);
    // Behind 8 bytes of something else: three elements of two numbers, on two CPUs.
    let words: Vec<u8> = (0u64..14).flat_map(u64::to_ne_bytes).collect();
    source.replace([(&[0u8; 4][..], words.as_slice())]);
    let mut member = with_losses("c", &Arc::new(source));
    let spec = member.view_spec.losses.first_mut().unwrap();
    (spec.offset, spec.elements) = (8, 3);
    let full = (1 + 3 + 5) + (8 + 10 + 12);
    check(&scraper(vec![member]), "c", full, full + 6);
}

/// What forgets everything on purpose begins anew, also where several keys make one series.
#[test]
fn a_series_falls_when_its_source_forgets() {
    struct Forgetful(Literal, Mutex<u64>);
    impl Source for Forgetful {
        fn shape(&self) -> Shape {
            self.0.shape()
        }

        fn max_entries(&self) -> Option<u64> {
            None
        }

        fn read(
            &self,
            limits: &Limits,
            push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
        ) -> Result<ReadStatistics, ReadError> {
            let epoch = *self.1.lock().unwrap();
            Ok(ReadStatistics { epoch, ..self.0.read(limits, push)? })
        }
    }
    let source = Arc::new(Forgetful(Literal::from_numbers([(1, 5), (2, 7)]), Mutex::default()));
    let few = label("few", 0, 4, &[("uint", &[]), ("static_map", &[("1", "few"), ("2", "few")])]);
    let metric = counter("m_total", 4, vec![few]);
    let scraper = scraper(vec![member("c", vec![metric], vec![("m_total", Arc::clone(&source) as _)])]);
    let says = |number: u64| {
        let page = page(&scraper);
        assert!(page.contains(&format!("m_total{{few=\"few\"}} {number}\n")), "{page}");
    };
    says(12);
    // A key that is gone stays in the sum, unless all are gone on purpose.
    source.0.replace([(&1u32.to_ne_bytes()[..], &6u64.to_ne_bytes()[..])]);
    says(13);
    *source.1.lock().unwrap() = 1;
    says(6);
}
