use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libbpf_rs::query::ProgInfoIter;

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

#[track_caller]
fn until(what: &str, exporter: &Exporter, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}:\n{}", exporter.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The object is replaced again and again while its programs count. Each call is counted by its entry: once,
/// or twice while the old program is being detached. A return is told to those alone who were there at the
/// entry, so that a call that lasts for the whole exchange may be missed.
#[track_caller]
fn check(name: &'static str, entry: &str, exit: &str) {
    let folder = Folder::new(name);
    let exporter = Exporter::start(&["--config.strict", &format!("--config.dir={}", folder.path.display())]);
    let entries = format!("ebpf_exporter_{entry}_calls_total{{mode=\"0\"}}");
    let exits = format!("ebpf_exporter_{exit}_results_total{{result=\"-9\"}}");
    let reloads = format!("ebpf_exporter_config_reloads_total{{config=\"{name}\",result=\"success\"}}");
    let programs = ProgInfoIter::default().count();
    let refused = Refused::new();
    // The entries of the maps are there before two threads could both make them.
    refused.call(0, 1);

    let calls = Calls { done: 1.into(), ..Calls::default() };
    let mut meanwhile = 0;
    std::thread::scope(|scope| {
        struct Stop<'a>(&'a Calls);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.stop.store(true, Ordering::Relaxed);
            }
        }
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
            folder.replace(number);
            until("the object is not replaced", &exporter, || {
                let page = exporter.page();
                let now = (value_of(&page, &entries).unwrap(), value_of(&page, &exits).unwrap());
                assert!(now.0 >= last.0 && now.1 >= last.1, "{last:?} fell to {now:?}");
                last = now;
                value_of(&page, &reloads) == Some(number as f64)
            });
            until("the old programs stay", &exporter, || ProgInfoIter::default().count() == programs);
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
    assert!((done..=done + meanwhile).contains(&entries), "{entries} of {done}");
    // Each program that comes or goes may change how the function is followed.
    let missed = THREADS as u64 * 4 * RELOADS;
    assert!((done - missed..=done + meanwhile).contains(&exits), "{exits} of {done}");
}

#[test]
fn kprobes_go_on_while_their_object_is_replaced() {
    check("kprobe", "kprobe", "kretprobe");
}

#[test]
fn fentry_goes_on_while_its_object_is_replaced() {
    check("fentry", "fentry", "fexit");
}
