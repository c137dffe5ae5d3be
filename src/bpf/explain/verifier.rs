//! What of the verifier's log a person reads first.

/// So many lines show the instruction that was rejected and the way to it.
const LINES: usize = 30;

/// One line of a log may be long; a message must not be.
const LONGEST: usize = 400;

/// The last lines of the log.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LINES);
    let mut tail = String::from("the verifier's last lines:");
    for line in lines.get(first..).unwrap_or_default() {
        tail.push('\n');
        tail.extend(line.chars().take(LONGEST));
    }
    tail
}

/// The line that says why: the last one that is neither source nor a state nor statistics.
pub(super) fn decisive(text: &str) -> Option<String> {
    let others = [
        "processed ",
        "verification time",
        "stack depth",
        "peak_states",
        "old state:",
        "cur state:",
        "; ",
        "from ",
    ];
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty() && !others.iter().any(|start| line.starts_with(start)))
        .map(|line| line.chars().take(LONGEST).collect())
}

/// The type or member that a CO-RE relocation did not find in the kernel's BTF.
pub(super) fn core_relocation(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("failed to resolve CO-RE relocation ")?;
    rest.lines().next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_short_and_the_decisive_line_the_last_but_the_statistics() {
        let mut log: String = (0..100).map(|line| format!("{line}: (b7) r0 = 0\n")).collect();
        log.push_str(
            "R2 invalid mem access 'scalar'\nprocessed 101 insns (limit 1000000) max_states_per_insn 0\n",
        );
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), 31);
        assert!(tail.contains("\n72: (b7)") && !tail.contains("\n71: (b7)"), "{tail}");
        assert_eq!(decisive(&log).as_deref(), Some("R2 invalid mem access 'scalar'"));
        assert_eq!(decisive("processed 1 insns\n"), None);
        let looping =
            "3: (05) goto pc-1 infinite loop detected at insn 3\ncur state: R1=0\nold state: R1=0\n";
        let line = "3: (05) goto pc-1 infinite loop detected at insn 3";
        assert_eq!(decisive(looping).as_deref(), Some(line));
        assert_eq!(core_relocation(&log), None);
    }

    #[test]
    fn a_relocation_that_failed_is_named() {
        let log = "8: <invalid CO-RE relocation>\n\
                   failed to resolve CO-RE relocation <byte_off> [7] struct task_struct.nothing (0:0 @ offset 0)\n\
                   processed 8 insns (limit 1000000)\n";
        assert_eq!(core_relocation(log), Some("<byte_off> [7] struct task_struct.nothing (0:0 @ offset 0)"));
    }
}
