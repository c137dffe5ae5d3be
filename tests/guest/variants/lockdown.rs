use std::collections::BTreeSet;
use std::path::Path;

use crate::common::exporter::{Exporter, values_of};
use crate::hooks;
use crate::matrix::{self, pairs};
use crate::shipped::start_all;

use super::processors;

const LOCK: &str = "/sys/kernel/security/lockdown";

/// Locks the kernel, or locks it further, as `lockdown=` on its command line would.
#[track_caller]
pub fn lock(level: &str) {
    let is = |state: &str| state.contains(&format!("[{level}]"));
    if !is(&std::fs::read_to_string(LOCK).unwrap()) {
        std::fs::write(LOCK, level).unwrap();
        assert!(is(&std::fs::read_to_string(LOCK).unwrap()), "{level}");
    }
}

/// The programs that are attached, each after its config.
fn attached(page: &str) -> BTreeSet<(String, String)> {
    let verdicts = values_of(page, "ebpf_exporter_program_verdict").into_iter();
    let verdicts = verdicts.filter(|(labels, value)| labels["verdict"] == "attached" && *value == 1.0);
    verdicts.map(|(labels, _)| (labels["config"].clone(), labels["program"].clone())).collect()
}

/// Serves every pair on a machine that has it all, if not IPv6, and not all of its CPUs: what is at work.
#[track_caller]
fn all_pairs() -> BTreeSet<(String, String)> {
    lock("integrity");
    let exporter = start_all();
    let page = exporter.page();
    processors::check_pairs(&page);
    for (pair, cell) in pairs(&page, &exporter.log()) {
        matrix::record("pairs, no IPv6, integrity", &pair, &cell);
        assert!(cell.starts_with("true"), "{pair}: {cell}");
    }
    attached(&page)
}

/// *Integrity* takes nothing away of what is shipped; then the kernel is locked further.
#[test]
fn a_locked_kernel_lets_these_work_and_says_so_of_the_others() {
    let before = all_pairs();
    lock("confidentiality");
    let names_it = "locked down (confidentiality)";
    hooks::check("lockdown=confidentiality", &[], |hook, outcome| {
        let hooks::Outcome::Refused(said) = outcome else {
            // There is no IPv6 here.
            return hook.kind.ends_with('6').then(String::new);
        };
        (hooks::expected(hook) == "true" && said.contains(names_it)).then(|| "locked".to_owned())
    });
    let exporter = Exporter::launch(&["--config.dir=/configs", "--object.dir=/bpf-objects"]);
    let page = exporter.page();
    let at_work = attached(&page);
    for (pair, mut cell) in pairs(&page, &exporter.log()) {
        // Of what all is optional the rest may be at work without use.
        let is_less = before.iter().any(|program| program.0 == pair && !at_work.contains(program));
        if is_less && cell.starts_with("true") {
            cell = "locked".to_owned();
        }
        matrix::record("pairs, lockdown=confidentiality", &pair, &cell);
        let said = hooks::said(&exporter.log(), &pair);
        // Of programs that are optional only what the verifier says is shown.
        let is_refused = is_less
            && ["cannot use helper", "unknown func"]
                .iter()
                .any(|words| said.contains(&format!("{words} bpf_probe_read")));
        // Also of alternatives that were left out for the next one, whatever that one lacks.
        let is_told = said.contains(names_it) || is_refused || cell == "nothing to attach to";
        assert!(cell.starts_with("true") || is_told, "{pair}: {cell}: {said}");
        assert!(Path::new(&format!("/configs/{pair}.yaml")).exists());
    }
}
