//! Calls under keys, from several threads, while something else happens; and scrapes meanwhile.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Following;
use crate::common::exporter::value_of;
use crate::common::objects::compile;

/// Threads that call.
pub const THREADS: u64 = 4;
/// Calls between two looks at the clock.
const BURST: u64 = 50;

/// Calls that nobody else makes, under a key of 0 to 15: `getpriority` of a process that does not exist.
#[derive(Clone, Copy)]
pub struct Calls {
    base: u32,
}

/// Where a program can hang to see the calls: a section, and C that puts the number of the process
/// into `argument`, or returns.
#[derive(Clone, Copy)]
pub struct Hook {
    pub section: &'static str,
    argument: &'static str,
}

impl Hook {
    pub const RAW: Self = Self {
        section: "raw_tp/sys_enter",
        argument: "if (((u64 *)ctx)[1] != NUMBER) return 0;
            bpf_probe_read_kernel(&argument, sizeof(argument), (void *)((u64 *)ctx)[0] + SECOND);",
    };
    const TYPED: Self = Self { section: "tp_btf/sys_enter", argument: Self::RAW.argument };
    const TRACEPOINT: Self = Self {
        section: "tracepoint/syscalls/sys_enter_getpriority",
        argument: "argument = ((u64 *)ctx)[3];",
    };
    pub const ALL: [Self; 3] = [Self::RAW, Self::TYPED, Self::TRACEPOINT];
}

impl Calls {
    #[track_caller]
    pub fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        (Location::caller().file(), Location::caller().line()).hash(&mut hasher);
        // Apart from those of other tests, and above every process number that the kernel gives.
        Self { base: 0x3000_0000 | (hasher.finish() as u32 & 0x0fff_fff0) }
    }

    /// An object whose program does `body` for each call, with its `u32 key`.
    #[track_caller]
    pub fn object(self, hook: Hook, maps: &str, body: &str) -> PathBuf {
        compile(&self.source(hook, maps, body))
    }

    /// The C of that object.
    pub fn source(self, hook: Hook, maps: &str, body: &str) -> String {
        // Where the second argument of a system call is in `struct pt_regs`.
        let second = if cfg!(target_arch = "x86_64") { "104" } else { "8" };
        let argument = hook.argument.replace("SECOND", second);
        let argument = argument.replace("NUMBER", &libc::SYS_getpriority.to_string());
        format!(
            "{maps}
             SEC(\"{}\") int count_calls(void *ctx)
             {{
                 u64 argument = 0;
                 {}
                 u32 key = (u32)argument & 15;
                 if (((u32)argument & ~15) != {}) return 0;
                 {body}
                 return 0;
             }}",
            hook.section, argument, self.base,
        )
    }

    /// Makes the counted call under a key.
    pub fn fire(self, key: u32, times: u64) {
        let process = rustix::process::Pid::from_raw((self.base | key) as i32);
        for _ in 0..times {
            // It fails, and that is all it does.
            let _ = rustix::process::getpriority_process(process);
        }
    }
}

/// How a race between calls, scrapes and reloads went.
#[derive(Debug, Default)]
pub struct Race {
    /// Calls that were made.
    pub fired: u64,
    /// Those among them that may have been made while a reload was under way.
    pub during: u64,
    /// Pages that were looked at meanwhile.
    pub scrapes: u64,
}

/// Calls under a key from several threads and scrapes without end, while `change` is made so often and followed
/// by a reload. No page may miss one of the series, and none may fall.
#[track_caller]
pub fn race(
    following: &Following,
    calls: Calls,
    key: u32,
    series: &[&str],
    turns: u32,
    change: impl Fn(u32),
) -> Race {
    let (stop, fired) = (AtomicBool::new(false), AtomicU64::new(0));
    // All turns of the long form together see a million calls.
    let quota = u64::from(if reloads().is_some() { 1_000_000 / turns } else { 1_000 });
    let mut race = Race::default();
    std::thread::scope(|scope| {
        // Ends the others when this thread fails, too.
        let ending = Ending(&stop);
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    calls.fire(key, BURST);
                    fired.fetch_add(BURST, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(500));
                }
            });
        }
        let scraper = scope.spawn(|| scrape_until(following, series, &stop));
        for turn in 0..turns {
            change(turn);
            let before = fired.load(Ordering::Relaxed);
            following.reload_well();
            race.during += fired.load(Ordering::Relaxed) - before + THREADS * BURST;
            while fired.load(Ordering::Relaxed) < before + quota && !scraper.is_finished() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        drop(ending);
        race.scrapes = scraper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    race.fired = fired.into_inner();
    race
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn scrape_until(following: &Following, series: &[&str], stop: &AtomicBool) -> u64 {
    let (mut last, mut scrapes) = (vec![0.0; series.len()], 0);
    // One page after the end, at the least.
    for is_last in std::iter::repeat_with(|| stop.load(Ordering::Relaxed)) {
        let page = following.exporter.page();
        for (series, last) in series.iter().zip(&mut last) {
            let value = value_of(&page, series).unwrap_or_else(|| panic!("{series} is not in {page}"));
            assert!(value >= *last, "{series} fell from {last} to {value}");
            *last = value;
        }
        scrapes += 1;
        if is_last {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    scrapes
}

/// How many turns a test takes: so many, unless the long form is asked for by `BPFTALLY_RELOADS=2000`.
pub fn turns(short: u32, long: u32) -> u32 {
    if reloads().is_some() { long } else { short }
}

/// The number of reloads of the long form, when it is asked for.
pub fn reloads() -> Option<u32> {
    std::env::var("BPFTALLY_RELOADS").ok()?.parse().ok()
}
