//! How long it takes from a rename into place until the page shows it.
//!
//! `cargo bench --bench reload`, as root. Of a shipped pair, once with the default quiet period and once with
//! one of a millisecond, which leaves the machine's own work. A page is asked for every millisecond.

// A benchmark may stop where a program must not.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TURNS: usize = 25;
const NAME: &str = "runqlat";
const FAMILY: &str = "ebpf_exporter_run_queue_latency_seconds";

fn main() {
    for quiet in ["100ms", "1ms"] {
        let folder = tempfile::tempdir().unwrap();
        let mut exporter = Exporter::start(folder.path(), quiet);
        let files = Files::new(folder.path());
        let (mut added, mut viewed, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TURNS {
            std::fs::write(&files.object, &files.bytes).unwrap();
            exporter.rest();
            let is_there = |page: &str| page.contains(FAMILY);
            added.push(exporter.until(|| files.put(&files.yaml, &files.text), is_there));
            exporter.rest();
            let help = format!("Turn {turn} of");
            let text = files.text.replacen("help: ", &format!("help: {help} "), 1);
            viewed.push(exporter.until(|| files.put(&files.yaml, &text), |page| page.contains(&help)));
            exporter.rest();
            // What comes after the end of an object means nothing to anybody.
            let (before, bytes) = (programs(&exporter.page()), [&files.bytes[..], b"\n"].concat());
            let is_other = |page: &str| programs(page) != before;
            replaced.push(exporter.until(|| files.put(&files.object, &bytes), is_other));
            exporter.rest();
            std::fs::remove_file(&files.yaml).unwrap();
            while is_there(&exporter.page()) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for (what, times) in
            [("a new config", added), ("a changed view", viewed), ("another object", replaced)]
        {
            report(quiet, what, times);
        }
    }
}

fn report(quiet: &str, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "quiet period {quiet:>5}, {what:<14}: min {:>6.1} ms, median {:>6.1} ms, max {:>6.1} ms",
        milliseconds(times[0]),
        milliseconds(times[times.len() / 2]),
        milliseconds(times[times.len() - 1]),
    );
}

/// Lines of a page that name programs, with their numbers in the kernel.
fn programs(page: &str) -> Vec<String> {
    page.lines()
        .filter(|line| line.starts_with("ebpf_exporter_ebpf_program_info"))
        .map(str::to_owned)
        .collect()
}

/// The shipped pair, and where it goes.
struct Files {
    yaml: PathBuf,
    object: PathBuf,
    text: String,
    bytes: Vec<u8>,
}

impl Files {
    fn new(folder: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            yaml: folder.join(format!("{NAME}.yaml")),
            object: folder.join(format!("{NAME}.bpf.o")),
            text: std::fs::read_to_string(root.join(format!("configs/{NAME}.yaml"))).unwrap(),
            bytes: std::fs::read(root.join(format!("bpf-objects/{NAME}.bpf.o"))).unwrap(),
        }
    }

    /// Renames a file into place; the moment before.
    fn put(&self, path: &Path, content: impl AsRef<[u8]>) -> Instant {
        let apart = tempfile::tempdir_in(path.parent().unwrap().parent().unwrap()).unwrap();
        let new = apart.path().join("new");
        std::fs::write(&new, content).unwrap();
        let began = Instant::now();
        std::fs::rename(&new, path).unwrap();
        began
    }
}

/// The exporter, with one connection to it.
struct Exporter {
    child: Child,
    stream: BufReader<TcpStream>,
}

impl Exporter {
    fn start(folder: &Path, quiet: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bpftally"))
            .arg(format!("--config.dir={}", folder.display()))
            .arg(format!("--config.quiet-period={quiet}"))
            .args(["--web.listen-address=127.0.0.1:0", "--ready.require=any"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut address = String::new();
        let mut line = String::new();
        while !line.contains("msg=serving") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the exporter ended");
            if let Some((_, found)) = line.split_once("msg=listening address=") {
                found.trim().clone_into(&mut address);
            }
        }
        // Nobody reads the rest of its log, which must not stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let stream = BufReader::new(TcpStream::connect(address).unwrap());
        Self { child, stream }
    }

    fn page(&mut self) -> String {
        self.stream.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
        let (mut length, mut is_chunked, mut line) = (0, false, String::new());
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let lower = line.to_ascii_lowercase();
            is_chunked |= lower.starts_with("transfer-encoding: chunked");
            length =
                lower.strip_prefix("content-length: ").map_or(length, |text| text.trim().parse().unwrap());
        }
        let mut body = Vec::new();
        loop {
            if is_chunked {
                line.clear();
                self.stream.read_line(&mut line).unwrap();
                length = usize::from_str_radix(line.trim(), 16).unwrap();
            }
            let begin = body.len();
            body.resize(begin + length, 0);
            self.stream.read_exact(&mut body[begin..]).unwrap();
            if is_chunked {
                self.stream.read_line(&mut line).unwrap();
            }
            if !is_chunked || length == 0 {
                return String::from_utf8(body).unwrap();
            }
        }
    }

    /// How long it takes from a change until a page is as expected.
    fn until(&mut self, change: impl FnOnce() -> Instant, is_so: impl Fn(&str) -> bool) -> Duration {
        let began = change();
        while !is_so(&self.page()) {
            assert!(began.elapsed() < Duration::from_secs(20), "never:\n{}", self.page());
            std::thread::sleep(Duration::from_millis(1));
        }
        began.elapsed()
    }

    /// Until all that came before is over: what was detached, and what was heard of it.
    fn rest(&mut self) {
        std::thread::sleep(Duration::from_millis(400));
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
