//! Functions of the kernel that probes can be attached to, by the kernel's own lists of them.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;

use super::file::read_at_most;
use super::{Pattern, Roots};
use crate::elf::SectionKind;

/// How many functions one program is attached to at most: each takes a descriptor, and time at the end.
pub const MOST_FUNCTIONS: usize = 512;

/// Bytes of a list that are read; those of large kernels have some 10 MB.
const LARGEST: u64 = 128 << 20;

/// What the compiler and the kernel put beside functions.
const NO_FUNCTIONS: [&str; 4] = ["__pfx_", "__cfi_", "__ftrace_invalid_address", "bpf_prog_"];

/// The pattern by which a section means several functions, each of which gets a probe of its own; none for sections of
/// other kinds, and for one function.
#[must_use]
pub fn pattern_of_functions(section: &str, function: &str) -> Option<Pattern> {
    let kind = SectionKind::of(section)?;
    let pattern = Pattern::new(function);
    (matches!(kind.prefix(), "kprobe" | "kretprobe") && !pattern.is_exact()).then_some(pattern)
}

/// The functions whose names match, each once, in their order.
///
/// # Errors
/// When the machine shows none of its lists.
pub(super) fn select(roots: &Roots, pattern: &Pattern) -> io::Result<Vec<String>> {
    let kernel = roots.sysfs.join("kernel");
    let text = |path: &Path| {
        let text = String::from_utf8_lossy(&read_at_most(path, LARGEST)?).into_owned();
        if text.is_empty() { Err(io::Error::other("it is empty")) } else { Ok(text) }
    };
    let traced =
        ["tracing", "debug/tracing"].map(|path| kernel.join(path).join("available_filter_functions"));
    let list = traced.iter().find_map(|path| text(path).ok());
    let (list, name_of): (String, fn(&str) -> Option<&str>) = match list {
        Some(list) => (list, traceable),
        None => (text(&roots.procfs.join("kallsyms"))?, of_text),
    };
    let refused = text(&kernel.join("debug/kprobes/blacklist")).unwrap_or_default();
    let refused: HashSet<&str> = refused.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let is_one = |name: &&str| {
        pattern.matches(name)
            && !refused.contains(name)
            && !NO_FUNCTIONS.iter().any(|start| name.starts_with(start))
    };
    let found: BTreeSet<&str> = list.lines().filter_map(name_of).filter(is_one).collect();
    Ok(found.into_iter().map(str::to_owned).collect())
}

/// The modules that are whole, each with its size and where it is: not how many use it, which changes all the time.
pub(super) fn modules(roots: &Roots) -> Option<String> {
    let text = read_at_most(&roots.procfs.join("modules"), LARGEST).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let module = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, size, state, place] =
            [0, 1, 4, 5].map(|word| words.get(word).copied().unwrap_or_default());
        (state == "Live").then(|| format!("{name} {size} {place}"))
    };
    Some(text.lines().filter_map(module).collect::<Vec<_>>().join("\n"))
}

/// The name in a line of tracefs, which may name a module behind it.
fn traceable(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// The name in a line of kallsyms, if it is a function's of the kernel or of a module.
fn of_text(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip(1);
    let (kind, name) = (words.next()?, words.next()?);
    let is_generated =
        words.next().is_some_and(|module| module == "[bpf]" || module.starts_with("[__builtin__"));
    (matches!(kind, "t" | "T" | "w" | "W") && !is_generated).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let roots = Roots { procfs: folder.path().into(), sysfs: folder.path().into(), ..Roots::default() };
        (folder, roots)
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], pattern: &str, expected: &[&str]) {
        let (_folder, roots) = machine(files);
        assert_eq!(select(&roots, &Pattern::new(pattern)).unwrap(), expected, "{pattern}");
    }

    const KALLSYMS: (&str, &str) = (
        "kallsyms",
        "0000000000000000 T tcp_close\n0000000000000000 t tcp_ack\n0000000000000000 D tcp_hashinfo\n\
         0000000000000000 t __pfx_tcp_ack\n0000000000000000 t tcp_ack\n0000000000000000 W tcp_weak\n\
         0000000000000000 t tcp_of_module\t[nf]\n0000000000000000 t tcp_program\t[bpf]\n",
    );
    const TRACED: (&str, &str) = (
        "kernel/tracing/available_filter_functions",
        "tcp_close\ntcp_of_module [nf]\nudp_close\ntcp_zone.isra.0\n",
    );

    #[test]
    fn functions_are_those_that_the_kernel_traces_or_has_symbols_of() {
        let functions = ["tcp_ack", "tcp_close", "tcp_of_module", "tcp_weak"];
        check(&[KALLSYMS], "tcp_*", &functions);
        check(&[KALLSYMS, TRACED], "tcp_*", &["tcp_close", "tcp_of_module", "tcp_zone.isra.0"]);
        check(&[KALLSYMS, TRACED], "???_close", &["tcp_close", "udp_close"]);
        check(&[KALLSYMS, TRACED], "none*", &[]);
        let elsewhere = ("kernel/debug/tracing/available_filter_functions", "tcp_close\n");
        check(&[KALLSYMS, elsewhere], "tcp_*", &["tcp_close"]);
        // A list that shows nothing says nothing.
        check(&[KALLSYMS, (TRACED.0, "")], "tcp_*", &functions);
    }

    #[test]
    fn modules_are_the_same_whoever_uses_them() {
        let of = |text| {
            let (_folder, roots) = machine(&[("modules", text)]);
            modules(&roots)
        };
        let one = of("loop 40960 2 - Live 0xffffffffc0000000\n");
        assert!(one.is_some());
        assert_eq!(of("loop 40960 0 - Live 0xffffffffc0000000\n"), one);
        assert_eq!(of("loop 40960 1 - Loading 0xffffffffc0000000\n"), of(""));
        assert_ne!(of("loop 40960 2 - Live 0xffffffffc0400000\n"), one);
        assert_eq!(of(""), Some(String::new()));
        assert_eq!(modules(&Roots { procfs: "/nowhere".into(), ..Roots::default() }), None);
    }

    #[test]
    fn what_takes_no_probe_is_left_out() {
        let blacklist =
            ("kernel/debug/kprobes/blacklist", "0xffffffff81000000-0xffffffff81000010\ttcp_close\n");
        check(&[TRACED, blacklist], "tcp_c*", &[]);
        check(&[KALLSYMS, blacklist], "tcp_*", &["tcp_ack", "tcp_of_module", "tcp_weak"]);
    }

    #[test]
    fn a_machine_without_lists_says_so() {
        let (_folder, roots) = machine(&[]);
        assert!(select(&roots, &Pattern::new("*")).unwrap_err().to_string().contains("kallsyms"));
    }
}
