//! The process around it: descriptors, capabilities, signals.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use bpftally::app::privileges;
use bpftally::cli;

/// No test waits longer for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The exporter as a process, listening at a socket that is handed over as systemd does it.
struct Exporter {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Exporter {
    fn start(flags: &[&str], environment: &[(&str, &Path)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The socket arrives as standard input, and the shell moves it to where systemd puts it.
        let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_bpftally"), "--web.listen-address=fd://0"])
            .arg(format!("--config.dir={}", folder.path().display()))
            .args(flags)
            .envs(environment.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, _folder: folder }
    }

    /// The answer to a request; the socket listens already, so it comes as soon as the exporter serves.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[track_caller]
    fn check_healthy(&self) {
        let answer = self.get("/-/healthy");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Waits until the configs were loaded, after which capabilities are given up before anything is served.
    #[track_caller]
    fn wait_until_loaded(&self) {
        let begin = Instant::now();
        while self.get("/-/ready").contains("are being loaded") {
            assert!(begin.elapsed() < PATIENCE, "the configs are not loaded");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the exporter does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bpftally")).args(words).stdin(Stdio::null()).output().unwrap()
}

/// Permitted and effective capabilities of every thread of a process.
fn capabilities(process: u32) -> Vec<(String, u64, u64)> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A worker may end meanwhile.
        let Ok(status) = fs::read_to_string(task.unwrap().path().join("status")) else { continue };
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let bits = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
        threads.push((field("Name:"), bits("CapPrm:"), bits("CapEff:")));
    }
    threads
}

#[test]
fn sigterm_and_sigint_end_it_and_sighup_does_not() {
    for name in ["TERM", "INT"] {
        let mut exporter = Exporter::start(&[], &[]);
        exporter.check_healthy();
        exporter.signal("HUP");
        std::thread::sleep(Duration::from_millis(100));
        exporter.check_healthy();
        exporter.signal(name);
        assert_eq!(exporter.wait().code(), Some(0), "after SIG{name}");
    }
}

#[test]
fn systemd_is_told_of_the_beginning_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut exporter = Exporter::start(&[], &[("NOTIFY_SOCKET", &path)]);
    let wait_for = |line: &str| loop {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).unwrap_or_else(|error| panic!("{line} did not come: {error}"));
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if message.lines().any(|found| found == line) {
            return message;
        }
    };
    let message = wait_for("READY=1");
    assert!(message.contains("STATUS=ready with "), "{message}");
    exporter.signal("TERM");
    wait_for("STOPPING=1");
    assert!(exporter.wait().success());
}

#[test]
fn every_thread_has_only_the_capabilities_that_are_kept() {
    const SYSLOG_AND_BPF: u64 = 1 << 34 | 1 << 39;
    for (flag, expected) in [("cap_syslog,bpf", SYSLOG_AND_BPF), ("none", 0)] {
        let exporter = Exporter::start(&[&format!("--capabilities.keep={flag}")], &[]);
        exporter.wait_until_loaded();
        // Each kind of thread has to have started.
        exporter.get("/metrics");
        exporter.get("/");
        let threads = capabilities(exporter.child.id());
        assert!(threads.iter().any(|(name, ..)| name == "http"), "{threads:?}");
        assert!(threads.iter().any(|(name, ..)| name == "http-worker"), "{threads:?}");
        for (name, permitted, effective) in threads {
            assert_eq!((permitted, effective), (expected, expected), "thread {name} with {flag}");
        }
    }
}

#[test]
fn all_capabilities_stay_by_default() {
    let exporter = Exporter::start(&[], &[]);
    exporter.check_healthy();
    let own = capabilities(std::process::id());
    for (name, _, effective) in capabilities(exporter.child.id()) {
        assert_eq!(effective, own[0].2, "thread {name}");
    }
}

/// The test runs itself again as a process of its own, because capabilities cannot be taken back.
const CHILD: &str = "BPFTALLY_TEST_DROPS_CAPABILITIES";

#[test]
fn a_thread_that_was_forgotten_is_found() {
    if std::env::var_os(CHILD).is_some() {
        return drop_in_one_thread();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::a_thread_that_was_forgotten_is_found", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn serving(flag: &str) -> Box<cli::Options> {
    match cli::parse([flag.into()]) {
        Ok(cli::Request::Serve(options)) => options,
        _ => panic!("{flag} is valid"),
    }
}

fn drop_in_one_thread() {
    let options = serving("--capabilities.keep=bpf");
    let (forgotten, release) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || release.recv());
    let error = privileges::reduce(&options.keep).unwrap_err().to_string();
    assert!(error.contains("still has") && error.contains("cap_sys_admin"), "{error}");
    assert!(!error.contains("cap_bpf"), "{error}");
    // What is dropped cannot be asked back, and what was kept can be dropped.
    let wider = serving("--capabilities.keep=bpf,syslog");
    let error = privileges::reduce_this_thread(&wider.keep).unwrap_err().to_string();
    assert!(error.contains("cap_syslog") && !error.contains("cap_bpf"), "{error}");
    drop(forgotten);
    let _ = thread.join();
}

#[test]
fn wrong_usage_exits_with_2_and_help_with_0() {
    let output = run(&["--config.dri=/etc"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--config.dir") && output.stdout.is_empty());
    for words in [["--help"], ["--version"]] {
        let output = run(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn a_port_in_use_exits_with_1_and_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = run(&[
        &format!("--web.listen-address={}", taken.local_addr().unwrap()),
        &format!("--config.dir={}", folder.path().display()),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("level=error") && log.contains("another exporter"), "{log}");
}
