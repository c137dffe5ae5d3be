//! Each kind of hook by a program of its own, all side by side: whether it counts what happens, or what the
//! exporter says instead.

/// Which hooks there are.
mod kinds;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bpftally::elf::SectionKind;

use crate::common::exporter::{Exporter, values_of};
use crate::common::kernel::kernel_since;
use crate::matrix;

pub use kinds::{Hook, all};

/// How often each thing happens.
pub const TIMES: u64 = 57;

/// The control group where it does, from the hierarchy's root on.
const GROUP: &str = "/hooks";

/// What became of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its program is attached, and so much was counted.
    Counted(u64),
    /// It is not attached, and this is what the exporter says.
    Refused(String),
}

/// A folder with a config for each hook.
pub fn configs() -> &'static Path {
    static CONFIGS: std::sync::LazyLock<&Path> = std::sync::LazyLock::new(|| {
        let folder = Path::new("/tmp/hooks");
        std::fs::create_dir_all(folder).unwrap();
        for (number, hook) in all().iter().enumerate() {
            std::fs::write(folder.join(format!("{}.yaml", hook.program)), config(number, hook)).unwrap();
        }
        folder
    });
    &CONFIGS
}

fn config(number: usize, hook: &Hook) -> String {
    let place = hook.place.as_ref().map_or_else(String::new, |place| format!(", attach: {{{place}}}"));
    let helper =
        |(program, place): &(String, String)| format!(", {program}: {{enabled: true, attach: {{{place}}}}}");
    let helpers: String = hook.helpers.iter().map(helper).collect();
    format!(
        "object: {}.bpf.o\nglobals: {{hook: {number}}}\nprograms: {{{}: {{enabled: true{place}}}{helpers}}}\n\
         metrics:\n  counters:\n    - name: hook_events_total\n      help: Events by hook\n\
         \x20     labels: [{{name: hook, size: 4, decoders: [{{name: uint}}]}}]\n",
        hook.object, hook.program
    )
}

/// Flags that serve some of the hooks.
pub fn flags(hooks: &[&Hook]) -> Vec<String> {
    let names: Vec<&str> = hooks.iter().map(|hook| hook.program.as_str()).collect();
    vec![
        format!("--config.dir={}", configs().display()),
        "--object.dir=/guest".to_owned(),
        format!("--config.names={}", names.join(",")),
    ]
}

/// Makes the places of hooks that a machine does not have by itself.
pub fn prepare() {
    std::fs::create_dir_all(format!("/sys/fs/cgroup{GROUP}")).unwrap();
    if !Path::new("/sys/class/net/nk0").exists() {
        // Not every kernel can.
        let _ = Command::new("/bin/called").arg("netkit").output().unwrap();
    }
}

/// Has everything happen that is counted, or what is named.
#[track_caller]
pub fn call(what: &[&str]) {
    let group = format!("/sys/fs/cgroup{GROUP}");
    let status = Command::new("/bin/called").args(what).args([&group, &TIMES.to_string()]).status().unwrap();
    assert!(status.success(), "{what:?}: {status}");
}

/// Attaches hooks, has everything happen, and tells what became of each. Not all have room beside each other.
#[track_caller]
pub fn run(more: &[&str]) -> BTreeMap<&'static str, Outcome> {
    let hooks = all();
    prepare();
    let mut outcomes = BTreeMap::new();
    for second in [false, true] {
        let batch: Vec<&Hook> = hooks.iter().filter(|hook| hook.is_second == second).collect();
        let mut flags = flags(&batch);
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let exporter = Exporter::launch(&flags);
        call(&[]);
        if second {
            call(&["streams"]);
        }
        let (page, log) = (exporter.page(), exporter.log());
        let counts = counts(&page);
        let is_attached = attached(&page);
        for hook in batch {
            let outcome = if is_attached(hook) {
                let number = hooks.iter().position(|other| other.program == hook.program).unwrap();
                Outcome::Counted(counts.get(&number).copied().unwrap_or_default())
            } else {
                Outcome::Refused(said(&log, &hook.program))
            };
            outcomes.insert(hook.kind, outcome);
        }
    }
    outcomes
}

/// What was counted, by the number of the hook.
pub fn counts(page: &str) -> BTreeMap<usize, u64> {
    let series = values_of(page, "ebpf_exporter_hook_events_total");
    series.into_iter().map(|(labels, value)| (labels["hook"].parse().unwrap(), value as u64)).collect()
}

/// Whether a hook's program is attached, by the page.
pub fn attached(page: &str) -> impl Fn(&Hook) -> bool {
    let verdicts = values_of(page, "ebpf_exporter_program_verdict").into_iter();
    // A config may have programs that only help.
    let attached: Vec<String> = verdicts
        .filter(|(labels, value)| labels["verdict"] == "attached" && *value == 1.0)
        .filter(|(labels, _)| labels["program"] == labels["config"])
        .map(|(mut labels, _)| labels.remove("program").unwrap())
        .collect();
    move |hook| attached.contains(&hook.program)
}

/// What the log says of a config.
pub fn said(log: &str, config: &str) -> String {
    let mark = format!(" config={config} ");
    let lines: Vec<&str> = log.lines().filter(|line| format!("{line} ").contains(&mark)).collect();
    lines.join("\n")
}

impl Hook {
    /// The version that brought it, where that is later than the oldest that counts here.
    pub fn floor(&self) -> Option<(u32, u32)> {
        match self.kind {
            // Linux 6.6 brought links for these, which a filter does as well.
            "tc/ingress" | "tc/egress" => return None,
            // Taken earlier, too.
            "iter.s" => return None,
            // A section of variables, not of programs.
            ".struct_ops.link" => return Some((6, 4)),
            _ => {}
        }
        let floor = SectionKind::of(self.kind)?.floor?;
        let floor = (u32::from(floor.0), u32::from(floor.1));
        (floor > (5, 10)).then_some(floor)
    }
}

/// What stands in the table: `true`, or the reason in a few words.
pub fn cell(hook: &Hook, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Counted(count) if hook.seen.allows(*count, TIMES) => "true".to_owned(),
        Outcome::Counted(count) => format!("{count} counted of {TIMES}"),
        Outcome::Refused(said) => matrix::reason(said),
    }
}

/// What the table has to say of a hook on this kernel.
pub fn expected(hook: &Hook) -> String {
    match (hook.floor(), hook.left_out()) {
        (Some((major, minor)), _) if !kernel_since(major, minor) => format!("needs {major}.{minor}"),
        (_, Some(option)) => format!("needs {option}"),
        _ => "true".to_owned(),
    }
}

/// Runs all hooks, records what became of each, and holds it against what this kernel does elsewhere, unless it is
/// said to be otherwise here; nothing is recorded of what is empty then.
#[track_caller]
pub fn check(place: &str, more: &[&str], otherwise: impl Fn(&Hook, &Outcome) -> Option<String>) {
    let outcomes = run(more);
    let mut wrong = Vec::new();
    for hook in all() {
        let outcome = &outcomes[hook.kind];
        if let Some(cell) = otherwise(hook, outcome) {
            if !cell.is_empty() {
                matrix::record(&format!("hooks, {place}"), hook.kind, &cell);
            }
            continue;
        }
        let (cell, expected) = (cell(hook, outcome), expected(hook));
        matrix::record(&format!("hooks, {place}"), hook.kind, &cell);
        if cell != expected {
            wrong.push(format!("{}: {cell}, and not {expected}: {outcome:?}", hook.kind));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each hook is at work from the version on that brought it, and before that it is said which one that is.
#[test]
fn each_kind_counts_or_is_refused_with_the_reason() {
    check("plain", &[], |_, _| None);
}
