use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libbpf_rs::query::{ProgInfoIter, ProgramInfo};
use libbpf_rs::{ObjectBuilder, Program};

use crate::Refused;
use crate::common::exporter::{Exporter, value_of};
use crate::maps::on_cpu;

const THREADS: usize = 2;
const RELOADS: u64 = 3;

/// A folder with one of the pairs, whose object can be replaced.
struct Folder {
    path: PathBuf,
    object: Vec<u8>,
    name: &'static str,
}

impl Folder {
    fn new(name: &'static str) -> Self {
        let path = Path::new("/tmp").join(format!("reload-{name}"));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::copy(format!("/guest/{name}.yaml"), path.join(format!("{name}.yaml"))).unwrap();
        let object = std::fs::read(format!("/guest/{name}.bpf.o")).unwrap();
        let folder = Self { path, object, name };
        folder.replace(0);
        folder
    }

    /// Moves an object into place that is the same but for what follows its sections.
    fn replace(&self, number: u64) {
        let fresh = self.path.join("fresh");
        let bytes = [self.object.as_slice(), &number.to_ne_bytes()].concat();
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(fresh, self.path.join(format!("{}.bpf.o", self.name))).unwrap();
    }
}

/// Calls that are refused, from several threads.
#[derive(Default)]
struct Calls {
    stop: AtomicBool,
    done: AtomicU64,
}

impl Calls {
    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    fn run(&self, refused: &Refused) {
        while !self.stop.load(Ordering::Relaxed) {
            refused.call(0, 1);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many there have been once some more have.
    fn go_on(&self) {
        let wanted = self.done() + 500;
        while self.done() < wanted {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends calls, also when a test fails.
struct Stop<'a>(&'a Calls);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

#[track_caller]
fn until(what: &str, exporter: &Exporter, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}:\n{}", exporter.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Programs whose misses the kernel counts, by their numbers, with descriptors by which they stay until the end: while somebody
/// reads a map, the kernel runs none of a kprobe on that CPU (see `missed`).
#[derive(Default)]
struct LeftOut {
    programs: BTreeMap<u32, OwnedFd>,
}

impl LeftOut {
    /// Notes the programs that there are now.
    fn look(&mut self) {
        for program in ProgInfoIter::default().filter(is_ours) {
            if let Ok(descriptor) = Program::fd_from_id(program.id) {
                self.programs.entry(program.id).or_insert(descriptor);
            }
        }
    }

    /// How often the kernel left out those of a name.
    fn times(&self, name: &str) -> u64 {
        let of_name = ProgInfoIter::default().filter(|program| program.name.to_string_lossy() == *name);
        of_name
            .filter(|program| self.programs.contains_key(&program.id))
            .map(|program| program.recursion_misses)
            .sum()
    }
}

fn is_ours(program: &ProgramInfo) -> bool {
    ["on_entry", "on_return"].iter().any(|name| program.name.to_string_lossy() == *name)
}

/// The object is replaced again and again while its programs count. Each call is counted by its entry: once,
/// or twice while the old program is being detached; `on_their_way` may be seen by neither. A return is told to those alone who were there at the
/// entry, so that a call that lasts for the whole exchange may be missed.
#[track_caller]
fn check(name: &'static str, entry: &str, exit: &str, on_their_way: u64) {
    let folder = Folder::new(name);
    let exporter = Exporter::start(&["--config.strict", &format!("--config.dir={}", folder.path.display())]);
    let entries = format!("ebpf_exporter_{entry}_calls_total{{mode=\"0\"}}");
    let exits = format!("ebpf_exporter_{exit}_results_total{{result=\"-9\"}}");
    let reloads = format!("ebpf_exporter_config_reloads_total{{config=\"{name}\",result=\"success\"}}");
    let programs = ProgInfoIter::default().count();
    let mut left_out = LeftOut::default();
    let refused = Refused::new();
    // The entries of the maps are there before two threads could both make them.
    refused.call(0, 1);

    let calls = Calls { done: 1.into(), ..Calls::default() };
    let mut meanwhile = 0;
    std::thread::scope(|scope| {
        let _stop = Stop(&calls);
        for cpu in 0..THREADS {
            // Each on a CPU of its own: newer kernels let a program be interrupted by another task, whose calls it
            // then does not see on that CPU.
            scope.spawn({
                let (calls, refused) = (&calls, &refused);
                move || {
                    on_cpu(cpu);
                    calls.run(refused);
                }
            });
        }
        let mut last = (0.0, 0.0);
        for number in 1..=RELOADS {
            calls.go_on();
            let before = calls.done();
            left_out.look();
            folder.replace(number);
            until("the object is not replaced", &exporter, || {
                let page = exporter.page();
                let now = (value_of(&page, &entries).unwrap(), value_of(&page, &exits).unwrap());
                assert!(now.0 >= last.0 && now.1 >= last.1, "{last:?} fell to {now:?}");
                last = now;
                value_of(&page, &reloads) == Some(number as f64)
            });
            let expected = programs + left_out.programs.len();
            until("the old programs stay", &exporter, || ProgInfoIter::default().count() == expected);
            meanwhile += calls.done() - before + THREADS as u64;
        }
        calls.go_on();
    });

    let (page, done) = (exporter.page(), calls.done());
    let value = |series: &str| value_of(&page, series).unwrap() as u64;
    let (entries, exits) = (value(&entries), value(&exits));
    println!(
        "{name}: {done} calls, {entries} entries and {exits} returns counted in {RELOADS} reloads, {meanwhile} meanwhile"
    );
    left_out.look();
    let left_out = ["on_entry", "on_return"].map(|program| left_out.times(program));
    let least = done - left_out[0] - on_their_way;
    assert!((least..=done + meanwhile).contains(&entries), "{entries} of {done}, {left_out:?}");
    // Each program that comes or goes may change how the function is followed.
    let missed = THREADS as u64 * 4 * RELOADS + left_out[1];
    assert!((done - missed..=done + meanwhile).contains(&exits), "{exits} of {done}, {left_out:?}");
}

/// The kernel has a list of the probes at a function, and each has a list of its own of programs. A call that is on its way
/// through the first one while a new probe is put before it, and the old one loses its program, is seen by neither.
#[test]
fn kprobes_miss_one_call_on_each_cpu_at_most_that_is_on_its_way() {
    let folder = Folder::new("kprobe");
    let exporter = Exporter::start(&["--config.strict", &format!("--config.dir={}", folder.path.display())]);
    let refused = Refused::new();
    refused.call(0, 1);
    // Between where the new probes come and where the old ones are.
    let slow = ObjectBuilder::default().open_file("/guest/slow.bpf.o").unwrap().load().unwrap();
    let _link = slow.progs_mut().next().unwrap().attach().unwrap();
    let reloads = "ebpf_exporter_config_reloads_total{config=\"kprobe\",result=\"success\"}";
    let calls = Calls { done: 1.into(), ..Calls::default() };
    std::thread::scope(|scope| {
        let _stop = Stop(&calls);
        scope.spawn(|| {
            on_cpu(1);
            calls.run(&refused);
        });
        on_cpu(0);
        for number in 1..=RELOADS {
            folder.replace(number);
            until("the object is not replaced", &exporter, || exporter.value(reloads) == Some(number as f64));
        }
    });
    let done = calls.done();
    let entries = exporter.value("ebpf_exporter_kprobe_calls_total{mode=\"0\"}").unwrap() as u64;
    println!("{entries} entries of {done} counted in {RELOADS} reloads");
    assert!((done - RELOADS..=done + RELOADS).contains(&entries), "{entries} of {done}");
}

#[test]
fn kprobes_go_on_while_their_object_is_replaced() {
    // One for each CPU, as above.
    check("kprobe", "kprobe", "kretprobe", THREADS as u64 * RELOADS);
}

#[test]
fn fentry_goes_on_while_its_object_is_replaced() {
    check("fentry", "fentry", "fexit", 0);
}
