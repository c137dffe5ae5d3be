//! Control groups of our own, and processes that live in them from their first instruction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::exporter::Exporter;

use super::{WORKLOAD_PROGRAM, run};

/// A control group of our own in the v2 hierarchy, wherever that is mounted.
pub struct ControlGroup {
    pub path: PathBuf,
    pub name: String,
}

impl ControlGroup {
    #[track_caller]
    pub fn new() -> Self {
        Self::below(&hierarchy(" - cgroup2 ").expect("cgroup v2 is mounted"))
    }

    /// One in a folder of the hierarchy.
    #[track_caller]
    pub fn below(parent: &Path) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("bpftally-shipped-{}-{number}", std::process::id());
        let path = parent.join(&name);
        std::fs::create_dir(&path).unwrap();
        Self { path, name }
    }

    /// A command of the workload, whose work is done by a process in this group.
    pub fn command(&self, what: &str, times: u32, code: &str) -> Command {
        let mut command = Command::new(&*WORKLOAD_PROGRAM);
        command.args([what, &times.to_string(), code]).arg(&self.path);
        command
    }

    /// Runs a piece of the workload in this group to its end.
    #[track_caller]
    pub fn work(&self, what: &str, times: u32, code: &str) -> Usage {
        Usage::of(&run(&mut self.command(what, times, code)).stdout)
    }

    /// Begins one that does not end by itself; all of it ends with `end`.
    #[track_caller]
    pub fn begin(&self, what: &str, times: u32, code: &str) -> Child {
        self.command(what, times, code).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// The processes in this group.
    pub fn processes(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path.join("cgroup.procs")).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Kills them.
    pub fn kill(&self) {
        for pid in self.processes() {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// The sum of a family's series with this group as `cgroup`.
    pub fn value(&self, exporter: &Exporter, family: &str) -> f64 {
        let series = exporter.values(&format!("ebpf_exporter_{family}"));
        let own = series.iter().filter(|(labels, _)| labels["cgroup"].ends_with(&format!("/{}", self.name)));
        own.map(|(_, value)| value).sum()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        self.kill();
        // Its last process may take a moment to go.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Where a hierarchy is mounted, by the words of its line in mountinfo.
pub fn hierarchy(words: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(words))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// What the kernel counted of a process.
pub struct Usage {
    numbers: BTreeMap<String, f64>,
    /// What the process itself wrote.
    pub output: String,
}

impl Usage {
    #[track_caller]
    pub fn of(output: &[u8]) -> Self {
        let text = String::from_utf8(output.to_vec()).unwrap();
        let (output, report) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
        let number = |word: &str| {
            let (name, number) = word.split_once('=').unwrap();
            (name.to_owned(), number.parse().unwrap())
        };
        Self { numbers: report.split(' ').map(number).collect(), output: output.to_owned() }
    }

    /// One of its numbers.
    #[track_caller]
    pub fn get(&self, name: &str) -> f64 {
        self.numbers[name]
    }
}

/// A bound on the memory of processes, by whichever version of the memory controller there is.
pub struct MemoryLimit {
    path: PathBuf,
    is_v1: bool,
}

impl MemoryLimit {
    /// Bounds a group and all below it; where the controller is version 1, a group of that is made beside it.
    #[track_caller]
    pub fn new(group: &ControlGroup, bytes: u64) -> Self {
        let limit = Self::with_swap(group, bytes);
        // Nothing is to be put into swap instead, where there is some.
        let (file, none) = if limit.is_v1 { ("memory.swappiness", "0") } else { ("memory.swap.max", "0") };
        if limit.path.join(file).exists() {
            std::fs::write(limit.path.join(file), none).unwrap();
        }
        limit
    }

    /// The same for a group that may use swap, where there is some.
    #[track_caller]
    pub fn with_swap(group: &ControlGroup, bytes: u64) -> Self {
        let v1 = hierarchy("rw,memory").map(|root| root.join(&group.name));
        let is_v1 = v1.is_some();
        let path = v1.unwrap_or_else(|| group.path.clone());
        if is_v1 {
            std::fs::create_dir(&path).unwrap();
        } else {
            std::fs::write(path.parent().unwrap().join("cgroup.subtree_control"), "+memory").unwrap();
        }
        let file = if is_v1 { "memory.limit_in_bytes" } else { "memory.max" };
        std::fs::write(path.join(file), bytes.to_string()).unwrap();
        Self { path, is_v1 }
    }

    /// A command that begins below this bound; in version 2 its control group sees to that.
    pub fn bound(&self, command: Command) -> Command {
        if !self.is_v1 {
            return command;
        }
        let mut shell = Command::new("sh");
        let script = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", self.path.display());
        shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
        shell
    }

    /// Pages of files that are in memory, and belong to it.
    #[track_caller]
    pub fn cached_pages(&self) -> f64 {
        let text = std::fs::read_to_string(self.path.join("memory.stat")).unwrap();
        let name = if self.is_v1 { "total_cache " } else { "file " };
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.parse::<f64>().unwrap() / 4096.0
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if self.is_v1 {
            for _ in 0..100 {
                if std::fs::remove_dir(&self.path).is_ok() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}
