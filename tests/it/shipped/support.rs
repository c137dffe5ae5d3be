//! What the tests of shipped configs share, on this kernel and on those of virtual machines.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;

use super::WORKLOAD_PROGRAM;

/// The value of a series, 0 while it does not exist.
pub fn count(exporter: &Exporter, series: &str) -> f64 {
    exporter.value(series).unwrap_or_default()
}

/// Runs a command to its end, which is a good one.
#[track_caller]
pub fn run(command: &mut Command) -> std::process::Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {text}", output.status);
    output
}

/// A script.
pub fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Does a piece of the workload so many times.
#[track_caller]
pub fn workload(what: &str, times: u32, code: &str) {
    run(Command::new(&*WORKLOAD_PROGRAM).args([what, &times.to_string(), code]));
}

/// Child processes that end with the test.
pub struct Children(pub Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Processes that want the first CPU all the time.
pub fn spinners(count: usize) -> Children {
    let spin = |_| {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "sh", "-c", "while :; do :; done"]);
        command.stdin(Stdio::null()).spawn().expect("taskset is needed (apt-get install util-linux)")
    };
    Children((0..count).map(spin).collect())
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A page between two readings of a counter that the kernel keeps itself.
pub struct Held<T> {
    pub before: T,
    pub page: T,
    pub after: T,
}

/// Reads the counter, the page, and the counter again.
pub fn hold<T>(kernel: impl Fn() -> T, page: impl Fn() -> T) -> Held<T> {
    Held { before: kernel(), page: page(), after: kernel() }
}

/// What lies between two held pages is what the kernel counted meanwhile, give or take `slack`.
#[track_caller]
pub fn assert_held(what: &str, first: &Held<f64>, second: &Held<f64>, slack: f64) {
    let (least, most) = (second.before - first.after, second.after - first.before);
    let counted = second.page - first.page;
    assert!(
        least - slack <= counted && counted <= most + slack,
        "{what}: {counted} were counted, between {least} and {most} by the kernel"
    );
}

/// The value of a series in a page that was read once.
#[track_caller]
pub fn in_page(page: &str, series: &str) -> f64 {
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} is not in the page")).parse().unwrap()
}
