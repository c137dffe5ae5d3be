//! What promtool says of a page.

use std::io::Write;
use std::process::{Command, Stdio};

/// That it accepts the page but for the one name that is kept for compatibility.
#[track_caller]
pub fn assert_accepts(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed (apt-get install prometheus)");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| !line.is_empty() && !line.contains("ebpf_exporter_ebpf_program_run_time_seconds"))
        .collect();
    assert!(complaints.is_empty(), "{said}\n{page}");
}
