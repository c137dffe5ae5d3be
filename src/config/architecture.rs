//! Objects for machines of one architecture, by their names: `tcp.aarch64.bpf.o` is `tcp.bpf.o` for aarch64.
//!
//! The same bytes mostly serve all machines. Programs that read registers by fixed places do not, and so there may
//! be one for each. Architectures are called as `uname -m` says and as Rust does, and in no other way.

use std::path::{Path, PathBuf};

/// This machine's.
pub(super) const OWN: &str = std::env::consts::ARCH;

/// What could stand in the name of an object for another machine: those that Linux runs eBPF on.
const KNOWN: [&str; 8] =
    ["x86_64", "aarch64", "riscv64", "s390x", "loongarch64", "ppc64le", "powerpc64", "arm"];

/// Other names of architectures, which nothing is looked for by.
const ALIASES: [(&str, &str); 5] =
    [("amd64", "x86_64"), ("x86", "x86_64"), ("x64", "x86_64"), ("arm64", "aarch64"), ("armv8", "aarch64")];

const SUFFIX: &str = ".bpf.o";

/// The names of an object's file, the best first: the one for this machine is preferred to the one for all.
pub(super) fn preferred(name: &str) -> Vec<String> {
    let own = name
        .strip_suffix(SUFFIX)
        .filter(|stem| !stem.is_empty() && of(stem).is_none())
        .map(|stem| format!("{stem}.{OWN}{SUFFIX}"));
    own.into_iter().chain([name.to_owned()]).collect()
}

/// The architecture that an object's file is meant for by its name; none where it is meant for all.
#[must_use]
pub fn of_file(path: &Path) -> Option<&'static str> {
    of(path.file_name()?.to_str()?.strip_suffix(SUFFIX)?)
}

/// The name of a file without the architecture in it.
pub(super) fn without<'n>(stem: &'n str, architecture: &str) -> &'n str {
    stem.strip_suffix(architecture).and_then(|stem| stem.strip_suffix('.')).unwrap_or(stem)
}

fn of(stem: &str) -> Option<&'static str> {
    let (rest, last) = stem.rsplit_once('.')?;
    KNOWN.into_iter().find(|known| *known == last && !rest.is_empty())
}

/// Of places where no object is, a file beside them that is meant for another machine, or was given a name that nothing
/// is looked for by; with what to do about it.
pub(super) fn beside(tried: &[PathBuf]) -> Option<String> {
    let stems = tried.iter().filter_map(|path| {
        let stem = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        of(stem).is_none().then(|| (path.parent().unwrap_or(Path::new("")), stem))
    });
    stems.into_iter().find_map(|(folder, stem)| {
        let there = |name: &str| Some(folder.join(format!("{stem}.{name}{SUFFIX}"))).filter(|path| path.exists());
        let alias = ALIASES.into_iter().find_map(|(alias, name)| Some((there(alias)?, name)));
        if let Some((path, name)) = alias {
            return Some(format!(
                "{} is there, but architectures are called as `uname -m` says: rename it to {stem}.{name}{SUFFIX}",
                path.display()
            ));
        }
        let (path, other) = KNOWN.into_iter().find_map(|known| Some((there(known)?, known)))?;
        Some(format!(
            "{} is there, but for {other}, and this machine is {OWN}: compile the object's source for it, too",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_for_this_machine_is_preferred() {
        let check = |name: &str, expected: &[&str]| {
            assert_eq!(
                preferred(name),
                expected.iter().map(|name| name.replace("OWN", OWN)).collect::<Vec<_>>()
            );
        };
        check("tcp.bpf.o", &["tcp.OWN.bpf.o", "tcp.bpf.o"]);
        check("below/tcp.bpf.o", &["below/tcp.OWN.bpf.o", "below/tcp.bpf.o"]);
        check("two.dots.bpf.o", &["two.dots.OWN.bpf.o", "two.dots.bpf.o"]);
        check("tcp.arm64.bpf.o", &["tcp.arm64.OWN.bpf.o", "tcp.arm64.bpf.o"]);
        // Who names the machine wants no other file.
        check("tcp.aarch64.bpf.o", &["tcp.aarch64.bpf.o"]);
        check("tcp.x86_64.bpf.o", &["tcp.x86_64.bpf.o"]);
        check("tcp.o", &["tcp.o"]);
        check(".bpf.o", &[".bpf.o"]);
    }

    #[test]
    fn names_say_which_machine_is_meant() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(of_file(Path::new(name)), expected, "{name}");
        check("/a/tcp.aarch64.bpf.o", Some("aarch64"));
        check("tcp.x86_64.bpf.o", Some("x86_64"));
        check("tcp.bpf.o", None);
        check("aarch64.bpf.o", None);
        check("tcp.arm64.bpf.o", None);
        check("tcp.aarch64.o", None);
        assert_eq!(without("tcp.aarch64", "aarch64"), "tcp");
        assert_eq!(without("tcp", "aarch64"), "tcp");
    }

    #[test]
    fn what_is_for_others_is_told_when_nothing_is_there() {
        let other = if OWN == "aarch64" { "x86_64" } else { "aarch64" };
        let check = |file: &str, expected: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(file), "").unwrap();
            let tried: Vec<PathBuf> =
                preferred("tcp.bpf.o").iter().map(|name| folder.path().join(name)).collect();
            let told = beside(&tried).unwrap_or_default();
            assert!(
                expected.iter().all(|part| told.contains(part)) && told.is_empty() == expected.is_empty(),
                "{told}"
            );
        };
        check("tcp.arm64.bpf.o", &["tcp.arm64.bpf.o", "uname -m", "rename it to tcp.aarch64.bpf.o"]);
        check("tcp.amd64.bpf.o", &["rename it to tcp.x86_64.bpf.o"]);
        check(&format!("tcp.{other}.bpf.o"), &[other, "this machine is", OWN]);
        check("udp.arm64.bpf.o", &[]);
        check("tcp.bpf.c", &[]);
    }
}
