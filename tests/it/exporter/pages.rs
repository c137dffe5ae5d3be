use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Workload, good_yaml};
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::promtool;

fn good() -> (Folder, Exporter) {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good_total"), &calls.good_object("good_total"));
    let exporter = Exporter::start(&[&folder.argument(), "--web.write-timeout=3s"]);
    calls.fire(42);
    (folder, exporter)
}

#[test]
fn every_path_answers_as_documented() {
    let (_folder, exporter) = good();
    let check = |method: &str, path: &str, status: u16, words: &str| {
        let answer =
            exporter.request(&format!("{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.head);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(body.contains(words), "{method} {path}: {body}");
        if method == "HEAD" {
            assert!(body.is_empty(), "{body}");
        }
    };
    check("GET", "/metrics", 200, "ebpf_exporter_good_total{slot=\"7\"} 42\n");
    check("GET", "/metrics?x=1", 200, "ebpf_exporter_good_total{slot=\"7\"} 42\n");
    check("HEAD", "/metrics", 200, "");
    check("GET", "/", 200, "good");
    check("HEAD", "/", 200, "");
    check("GET", "/-/healthy", 200, "");
    check("GET", "/-/ready", 200, "");
    check("GET", "/maps", 404, "");
    check("GET", "/nowhere", 404, "");
    check("GET", "/debug/pprof/", 404, "");
    check("POST", "/metrics", 405, "");
    check("DELETE", "/", 405, "");
}

#[test]
fn a_config_that_nobody_wrote_is_told() {
    let folder = Folder::new();
    let object = Workload::new().good_object("calls_total");
    folder.pair("written", &good_yaml("calls_total"), &object);
    folder.file("mine.bpf.o", std::fs::read(object).unwrap());
    let exporter = Exporter::start(&[&folder.argument(), "--config.auto"]);
    let page = exporter.get("/").text();
    assert!(page.contains("<td>mine <small>drafted from its object</small></td>"), "{page}");
    assert!(page.contains("<td>written</td>"), "{page}");
}

#[test]
fn maps_are_shown_for_debugging_only() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good_total"), &calls.good_object("good_total"));
    let exporter = Exporter::start(&[&folder.argument(), "--debug"]);
    calls.fire(5);
    let text = exporter.get("/maps").text();
    assert!(text.contains("good_total") && text.contains("5"), "{text}");
}

/// One page in every coding.
#[test]
fn a_coded_page_holds_the_same_lines() {
    #[track_caller]
    fn check(exporter: &Exporter, accepted: &str, expected: Option<&str>) {
        let request = |method: &str| {
            exporter.request(&format!(
                "{method} /metrics HTTP/1.1\r\nHost: t\r\nAccept-Encoding: {accepted}\r\nConnection: close\r\n\r\n"
            ))
        };
        let answer = request("GET");
        let head = answer.head.to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(header("content-encoding:"), expected, "{head}");
        assert_eq!(header("vary:"), Some("accept-encoding"), "{head}");
        assert_eq!(header("content-length:"), Some(&*answer.body.len().to_string()), "{head}");
        let text = match expected {
            None => answer.body,
            Some("zstd") => zstd::stream::decode_all(&answer.body[..]).unwrap(),
            Some(_) => {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut text).unwrap();
                text
            }
        };
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("ebpf_exporter_good_total{slot=\"7\"} 42\n"), "{text}");
        assert!(text.ends_with('\n'));
        // HEAD says how the page would come, and has no body.
        let head_only = request("HEAD");
        let coding = expected.map(|coding| format!("content-encoding: {coding}"));
        assert!(coding.is_none_or(|coding| head_only.head.to_ascii_lowercase().contains(&coding)));
        assert!(head_only.body.is_empty());
    }
    let (_folder, exporter) = good();
    check(&exporter, "gzip", Some("gzip"));
    check(&exporter, "zstd", Some("zstd"));
    check(&exporter, "deflate, gzip, br, zstd", Some("zstd"));
    check(&exporter, "gzip, zstd;q=0.9", Some("gzip"));
    check(&exporter, "identity, *;q=0", None);
}

/// promtool accepts the page but for the one name that is kept for compatibility.
#[test]
fn promtool_accepts_the_page() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good_total"), &calls.good_object("good_total"));
    folder.file("bad.yaml", "metrics: [");
    let exporter = Exporter::start(&[&folder.argument(), "--bpf.stats=on"]);
    calls.fire(3);
    let page = exporter.page();
    assert!(page.contains("ebpf_exporter_ebpf_program_run_count_total"), "statistics are on:\n{page}");
    promtool::assert_accepts(&page);
}

/// A real Prometheus scrapes it, and a query returns the true value.
#[test]
fn prometheus_scrapes_the_page() {
    let (folder, exporter) = good();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = folder.file(
        "prometheus.yml",
        format!("scrape_configs:\n- job_name: t\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs: [{{targets: ['{}']}}]\n", exporter.address()),
    );
    let mut prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is needed (apt-get install prometheus)");
    let query = "/api/v1/query?query=ebpf_exporter_good_total%7Bslot%3D%227%22%7D";
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut answer = String::new();
    while !answer.contains("\"42\"") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        if let Ok(mut stream) = TcpStream::connect(free) {
            answer.clear();
            let _ = stream.write_all(format!("GET {query} HTTP/1.0\r\n\r\n").as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
    }
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    assert!(answer.contains("\"42\""), "{answer}");
}

/// A client that asks for the page and never reads does not hold up others, and is cut.
#[test]
fn a_client_that_does_not_read_is_cut() {
    let (_folder, exporter) = good();
    let mut stuck = TcpStream::connect(exporter.address()).unwrap();
    // Enough pipelined requests to fill every buffer between the two.
    let requests = "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n".repeat(5000);
    stuck.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = stuck.write_all(requests.as_bytes());
    let cut = |page: &str, clients: u32| {
        page.contains(&format!("ebpf_exporter_http_clients_cut_total{{reason=\"not_reading\"}} {clients}\n"))
    };
    let began = Instant::now();
    for _ in 0..20 {
        assert!(exporter.page().contains("ebpf_exporter_good_total"));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "others waited {:?}", began.elapsed());
    while !cut(&exporter.page(), 1) {
        assert!(began.elapsed() < Duration::from_secs(60), "it was not cut, or not counted");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stuck);
    assert!(cut(&exporter.page(), 1));
}
