use std::path::Path;

use crate::common::exporter::Exporter;
use crate::hooks;
use crate::matrix::{self, pairs};

const LOCK: &str = "/sys/kernel/security/lockdown";

/// Locks the kernel, sees what is left, and locks it further: as `lockdown=` on its command line would.
#[test]
fn a_locked_kernel_lets_these_work_and_says_so_of_the_others() {
    assert!(std::fs::read_to_string(LOCK).unwrap().starts_with("[none]"));
    for level in ["integrity", "confidentiality"] {
        std::fs::write(LOCK, level).unwrap();
        let names_it = format!("locked down ({level})");
        hooks::check(&format!("lockdown={level}"), &[], |hook, outcome| {
            let hooks::Outcome::Refused(said) = outcome else {
                // There is no IPv6 here.
                return hook.kind.ends_with('6').then(String::new);
            };
            (hooks::expected(hook) == "true" && said.contains(&names_it)).then(|| "locked".to_owned())
        });
        let exporter = Exporter::launch(&["--config.dir=/configs", "--object.dir=/bpf-objects"]);
        for (pair, cell) in pairs(&exporter.page(), &exporter.log()) {
            matrix::record(&format!("pairs, lockdown={level}"), &pair, &cell);
            let said = hooks::said(&exporter.log(), &pair);
            // Also of alternatives that were left out for the next one, whatever that one lacks.
            let is_told = said.contains(&names_it) || cell == "nothing to attach to";
            assert!(cell.starts_with("true") || is_told, "{pair}: {cell}: {said}");
            assert!(Path::new(&format!("/configs/{pair}.yaml")).exists());
        }
    }
}
