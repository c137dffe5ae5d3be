use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use super::*;
use crate::spans::{Endpoint, read_environment};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A collector that gives each request the next answer, and says how many bytes each one brought.
fn collector(answers: &[&str]) -> (u16, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
    let work = move || {
        let serve = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let length = request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            length
        };
        answers.into_iter().map(serve).collect()
    };
    (port, std::thread::spawn(work))
}

/// Reads a whole request; bytes of its body.
fn request(stream: &mut TcpStream) -> usize {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.extend(&buffer[..count]);
        let text = String::from_utf8_lossy(&request);
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length = text.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let length: usize = length.parse().unwrap();
        if request.len() >= end + 4 + length {
            return length;
        }
    }
}

/// Exports to a port, with a queue of 4 and batches of 2 that go at once.
fn spans(port: u16, change: impl FnOnce(&mut Settings)) -> Spans {
    let environment = read_environment(&|_| None);
    let Choice::Export(mut settings) = environment.choice else { panic!("{environment:?}") };
    settings.endpoint = Endpoint::below(&format!("http://127.0.0.1:{port}")).unwrap();
    (settings.queue, settings.batch, settings.delay) = (4, 2, Duration::ZERO);
    (settings.timeout, settings.patience) = (LONG, LONG);
    change(&mut settings);
    let environment = Environment { choice: Choice::Export(settings), warnings: Vec::new() };
    Spans::new(environment, Arc::new(|| Ok(())))
}

fn sink(spans: &Spans) -> SpanSink {
    let spec = SpanSpec {
        name: "exec".to_owned(),
        map: "spans".to_owned(),
        service: None,
        conditions: Vec::new(),
        labels: Vec::new(),
        place: crate::problem::Place::default(),
    };
    spans.sink("trace", &spec).unwrap()
}

/// One record without bytes.
fn take(sink: &mut SpanSink) {
    let mut records = Records::default();
    records.push(b"");
    sink.record(&records, Instant::now(), &mut Losses::default());
}

fn dropped(counts: &Counts) -> Vec<(&'static str, u64)> {
    counts.configs[0].dropped.iter().copied().filter(|(_, count)| *count > 0).collect()
}

fn failures(counts: &Counts) -> Vec<(&'static str, u64)> {
    counts.failures.iter().copied().filter(|(_, count)| *count > 0).collect()
}

/// Whatever happened, nothing is unaccounted for.
#[track_caller]
fn check_sum(counts: &Counts) {
    let received: u64 = counts.configs.iter().map(|config| config.received).sum();
    let dropped: u64 = counts.configs.iter().flat_map(|config| &config.dropped).map(|(_, count)| count).sum();
    assert_eq!(received, counts.exported + counts.rejected + dropped + counts.queued, "{counts:?}");
}

#[test]
fn what_comes_is_exported() {
    let (port, collector) = collector(&[OK, OK]);
    let spans = spans(port, |settings| settings.delay = LONG);
    assert_eq!(spans.counts(), None);
    let mut sink = sink(&spans);
    for _ in 0..3 {
        take(&mut sink);
    }
    spans.stop(LONG);
    let counts = spans.counts().unwrap();
    assert_eq!((counts.exported, counts.requests, counts.queued), (3, 2, 0));
    assert_eq!((dropped(&counts), failures(&counts)), (Vec::new(), Vec::new()));
    check_sum(&counts);
    let sizes = collector.join().unwrap();
    assert!(sizes[0] > sizes[1], "{sizes:?}");
}

#[test]
fn a_collector_that_asks_for_patience_gets_the_same_again() {
    let later = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let (port, collector) = collector(&[later, later, OK]);
    let spans = spans(port, |_| {});
    take(&mut sink(&spans));
    let sizes = collector.join().unwrap();
    spans.stop(LONG);
    let counts = spans.counts().unwrap();
    assert_eq!((counts.exported, counts.requests), (1, 3));
    assert_eq!(failures(&counts), [("status", 2)]);
    assert!(sizes[0] == sizes[1] && sizes[1] == sizes[2], "{sizes:?}");
    check_sum(&counts);
}

#[test]
fn a_pause_that_is_asked_for_is_kept_by_the_next_batch() {
    let later = "HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
    let (port, collector) = collector(&[later]);
    let spans = spans(port, |settings| settings.patience = Duration::from_secs(1800));
    let mut sink = sink(&spans);
    take(&mut sink);
    collector.join().unwrap();
    while spans.counts().unwrap().queued > 0 {
        std::thread::yield_now();
    }
    // It is not sent: the collector is gone, and would have to be connected to.
    take(&mut sink);
    spans.stop(Duration::from_millis(50));
    let counts = spans.counts().unwrap();
    assert_eq!(counts.requests, 1);
    assert_eq!(dropped(&counts), [("export", 1), ("shutdown", 1)]);
    check_sum(&counts);
}

#[test]
fn what_is_refused_is_dropped_and_what_follows_goes_on() {
    let refused = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
    let (port, collector) = collector(&[refused, OK]);
    let spans = spans(port, |_| {});
    let mut sink = sink(&spans);
    take(&mut sink);
    while spans.counts().unwrap().queued > 0 {
        std::thread::yield_now();
    }
    take(&mut sink);
    collector.join().unwrap();
    spans.stop(LONG);
    let counts = spans.counts().unwrap();
    assert_eq!((counts.exported, counts.requests), (1, 2));
    assert_eq!((dropped(&counts), failures(&counts)), (vec![("export", 1)], vec![("status", 1)]));
    check_sum(&counts);
}

#[test]
fn what_a_collector_does_not_keep_is_counted() {
    let partial = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x0a\x07\x08\x01\x12\x03old";
    let (port, collector) = collector(&[partial]);
    let spans = spans(port, |settings| settings.delay = LONG);
    let mut sink = sink(&spans);
    take(&mut sink);
    take(&mut sink);
    collector.join().unwrap();
    spans.stop(LONG);
    let counts = spans.counts().unwrap();
    assert_eq!((counts.exported, counts.rejected), (1, 1));
    check_sum(&counts);
}

#[test]
fn a_collector_that_is_not_there_is_tried_again_and_then_given_up() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let spans = spans(port, |settings| settings.patience = Duration::from_millis(10));
    take(&mut sink(&spans));
    while spans.counts().unwrap().queued > 0 {
        std::thread::yield_now();
    }
    spans.stop(LONG);
    let counts = spans.counts().unwrap();
    assert_eq!((dropped(&counts), failures(&counts)), (vec![("export", 1)], vec![("connect", 1)]));
    check_sum(&counts);
}

/// A collector that takes a connection and says nothing until it is let go.
fn hanging() -> (u16, Receiver<()>, SyncSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (arrived, has_arrived) = sync_channel(1);
    let (let_go, is_let_go) = sync_channel::<()>(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&mut stream);
        arrived.send(()).unwrap();
        let _ = is_let_go.recv();
    });
    (port, has_arrived, let_go)
}

#[test]
fn what_finds_the_queue_full_is_counted_exactly() {
    let (port, has_arrived, let_go) = hanging();
    let spans = spans(port, |_| {});
    let mut sink = sink(&spans);
    take(&mut sink);
    has_arrived.recv().unwrap();
    // One is under way now, four wait, and the others are too many.
    for _ in 0..100 {
        take(&mut sink);
    }
    let counts = spans.counts().unwrap();
    assert_eq!((counts.queued, dropped(&counts)), (5, vec![("queue_full", 96)]));
    check_sum(&counts);
    drop(let_go);
}

#[test]
fn a_collector_that_hangs_does_not_hold_the_exporter_back() {
    let (port, has_arrived, let_go) = hanging();
    let spans = spans(port, |_| {});
    take(&mut sink(&spans));
    has_arrived.recv().unwrap();
    let began = Instant::now();
    spans.stop(Duration::from_millis(50));
    // The request itself would have an hour.
    assert!(began.elapsed() < Duration::from_secs(600));
    drop(let_go);
}

#[test]
fn what_cannot_be_exported_is_counted_and_what_is_not_wanted_is_not_taken() {
    let environment = |name: &'static str, value: &'static str| {
        read_environment(&|asked| (asked == name).then(|| value.into()))
    };
    let prepare: Prepare = Arc::new(|| panic!("nothing is to be exported"));
    let spans = Spans::new(environment("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), Arc::clone(&prepare));
    take(&mut sink(&spans));
    let counts = spans.counts().unwrap();
    assert_eq!(dropped(&counts), [("refused", 1)]);
    check_sum(&counts);
    let off = Spans::new(environment("OTEL_SDK_DISABLED", "true"), prepare);
    let spec = SpanSpec {
        name: String::new(),
        map: String::new(),
        service: None,
        conditions: Vec::new(),
        labels: Vec::new(),
        place: crate::problem::Place::default(),
    };
    assert!(off.sink("trace", &spec).is_none());
    assert_eq!(off.counts(), None);
}

#[test]
fn without_preparation_nothing_is_exported() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = spans(nobody.local_addr().unwrap().port(), |_| {}).environment;
    let spans = Spans::new(environment, Arc::new(|| Err("no".to_owned())));
    take(&mut sink(&spans));
    spans.stop(LONG);
    assert_eq!(spans.counts().unwrap().requests, 0);
}

#[test]
fn identifiers_are_not_the_same_twice() {
    let (mut one, mut other) = ([0; 16], [0; 16]);
    random(&mut one);
    random(&mut other);
    assert_ne!(one, other);
}
