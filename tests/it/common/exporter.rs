//! The real binary as a process, with its page, its log and its end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take on a busy machine; on one whose processor is emulated longer.
static PATIENCE: LazyLock<Duration> = LazyLock::new(|| {
    let seconds = std::env::var("BPFTALLY_PATIENCE").map_or(60, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
});

/// A running exporter; ends by SIGTERM when dropped.
pub struct Exporter {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }
}

/// One sample of the page.
pub type Sample = (BTreeMap<String, String>, f64);

impl Exporter {
    /// Starts the exporter on a free port and waits until it is ready.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let exporter = Self::launch(arguments);
        let deadline = Instant::now() + *PATIENCE;
        while exporter.get("/-/ready").status != 200 {
            assert!(Instant::now() < deadline, "not ready:\n{}", exporter.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        exporter
    }

    /// Starts the exporter on a free port and waits until it has loaded what it can, be it nothing.
    #[track_caller]
    pub fn launch(arguments: &[&str]) -> Self {
        Self::launch_after("", arguments)
    }

    /// The same after commands of a shell that change where it lives, such as its limits.
    #[track_caller]
    pub fn launch_after(commands: &str, arguments: &[&str]) -> Self {
        let mut command = if commands.is_empty() {
            // Where there is no shell, as in a guest of the tests on other kernels.
            Command::new(binary())
        } else {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{commands}\nexec \"$0\" \"$@\"")]).arg(binary());
            shell
        };
        let mut child = command
            .args(arguments)
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the exporter starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut exporter = Self { child, address: String::new(), log };
        let deadline = Instant::now() + *PATIENCE;
        loop {
            let log = exporter.log();
            if let Some(address) = log.lines().find_map(listening_address) {
                exporter.address = address;
            }
            if !exporter.address.is_empty() && log.contains("msg=serving") {
                return exporter;
            }
            if let Some(status) = exporter.child.try_wait().unwrap() {
                panic!("the exporter ended with {status}:\n{log}");
            }
            assert!(Instant::now() < deadline, "the exporter does not serve:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A GET over a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
    }

    /// A request as raw text; it must ask for the connection to be closed.
    #[track_caller]
    pub fn request(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(*PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        parse_answer(&bytes)
    }

    /// The metrics page.
    #[track_caller]
    pub fn page(&self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.text()
    }

    /// One series of a fresh page, by its exact text before the value.
    #[track_caller]
    pub fn value(&self, series: &str) -> Option<f64> {
        value_of(&self.page(), series)
    }

    /// All samples with a name on a fresh page.
    #[track_caller]
    pub fn values(&self, name: &str) -> Vec<Sample> {
        values_of(&self.page(), name)
    }

    /// Ends it by SIGTERM and returns how it ended.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let status = self.terminate();
        (status, self.log())
    }

    fn terminate(&mut self) -> ExitStatus {
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + *PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The reader of its log sees the end of the pipe a moment later.
                std::thread::sleep(Duration::from_millis(50));
                return status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                return self.child.wait().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// Runs the binary to its end, for questions that it answers and exits.
#[track_caller]
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// The exporter's binary: the one built with these tests, unless the machine that they run on has it elsewhere.
pub fn binary() -> OsString {
    std::env::var_os("BPFTALLY").unwrap_or_else(|| env!("CARGO_BIN_EXE_bpftally").into())
}

/// One series of a page, by its exact text before the value.
pub fn value_of(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// All samples of a page with a name.
pub fn values_of(page: &str, name: &str) -> Vec<Sample> {
    page.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(inside) => inside.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((parse_labels(labels), value.parse().ok()?))
        })
        .collect()
}

fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, tail)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = tail.char_indices();
        let mut end = tail.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => break,
                },
                '"' => {
                    end = at + 1;
                    break;
                }
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &tail[end..];
    }
    labels
}

fn listening_address(line: &str) -> Option<String> {
    if !line.contains("msg=listening") {
        return None;
    }
    let address = line.split("address=").nth(1)?;
    Some(address.split_whitespace().next()?.trim_matches('"').to_owned())
}

fn parse_answer(bytes: &[u8]) -> Answer {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole answer");
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut body = bytes[split + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = dechunk(&body);
    }
    Answer { status, head, body }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    body
}
