//! Functions of the kernel: `kprobe` and `kretprobe`, of which a pattern means one probe for each function that matches,
//! `ksyscall`, and `kprobe.multi`, whose pattern the kernel takes as a whole.

use std::cell::OnceCell;
use std::collections::HashSet;

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::raw;
use crate::host::{Function, Host, MOST_FUNCTIONS, Modules, pattern_of_functions};

use super::{AttachError, Attached, Missing, Target, refused};

/// The functions that are meant. For programs of many at once a pattern is one place.
pub(super) fn targets(function: &str, section: &str, host: &Host) -> Vec<Target> {
    let Some(pattern) = pattern_of_functions(section, function) else {
        return vec![Target::Kprobe(function.to_owned())];
    };
    match host.select_functions(&pattern) {
        Ok(found) if (1..=MOST_FUNCTIONS).contains(&found.len()) => {
            found.into_iter().map(|function| Target::Kprobe(function.name)).collect()
        }
        outcome => {
            let count = outcome.ok().map(|found| found.len());
            vec![Target::Missing(Missing::Functions { pattern: function.to_owned(), count })]
        }
    }
}

/// The function that a section names, without what may follow it.
pub(super) fn by_section(section: &str) -> Option<&str> {
    let (_, function) = section.split_once('/')?;
    let function = function.split('+').next()?;
    (!function.is_empty() && !function.contains(['*', '?'])).then_some(function)
}

/// What one look sees of the kernel's functions.
pub(in crate::bpf) struct Functions<'a> {
    host: &'a Host,
    /// Those that programs are attached to one by one.
    names: HashSet<String>,
    /// Which of them there are, if anybody tells: read when it is asked for.
    found: OnceCell<Option<Vec<Function>>>,
}

impl<'a> Functions<'a> {
    pub(in crate::bpf) fn new(host: &'a Host, names: HashSet<String>) -> Self {
        Self { host, names, found: OnceCell::new() }
    }

    /// Which functions that are meant have gone since a look before, even where others of their names are there: with
    /// their modules, which take the probes with them. None while every module stays.
    pub(super) fn gone(
        &self,
        function: &str,
        section: &str,
        before: &Modules,
        now: &Modules,
    ) -> HashSet<String> {
        if before.all_stay(now) {
            return HashSet::new();
        }
        // Also of one that has come while this look is taken.
        let is_other = |of: &Function| of.module.as_ref().is_some_and(|module| !before.stays(module, now));
        match pattern_of_functions(section, function) {
            Some(pattern) => {
                let found = self.host.select_functions(&pattern).unwrap_or_default();
                found.into_iter().filter(is_other).map(|function| function.name).collect()
            }
            None => {
                let found = self.found.get_or_init(|| self.host.find_functions(&self.names).ok());
                // Where no symbols are shown, nobody knows.
                let is_gone = found
                    .as_ref()
                    .is_some_and(|found| found.iter().filter(|found| found.name == function).all(is_other));
                is_gone.then(|| function.to_owned()).into_iter().collect()
            }
        }
    }
}

/// Those of some places that are functions of modules.
pub(in crate::bpf) fn of_modules<'a>(
    places: impl Iterator<Item = &'a Target>,
    host: &Host,
) -> HashSet<Target> {
    let functions = places.filter_map(|place| Some((function(place)?, place)));
    let functions: Vec<(&str, &Target)> = functions.collect();
    let names: HashSet<String> = functions.iter().map(|(name, _)| (*name).to_owned()).collect();
    let has_modules = || host.modules().is_none_or(|modules| !modules.is_empty());
    if names.is_empty() || !has_modules() {
        return HashSet::new();
    }
    // Where no symbols are shown, each may be one.
    let Ok(found) = host.find_functions(&names) else {
        return functions.into_iter().map(|(_, place)| place.clone()).collect();
    };
    let of_modules = found.iter().filter(|found| found.module.is_some()).map(|found| &*found.name);
    let of_modules: HashSet<&str> = of_modules.collect();
    let places = functions.into_iter().filter(|(name, _)| of_modules.contains(name));
    places.map(|(_, place)| place.clone()).collect()
}

/// The function that a place is.
pub(super) fn function(place: &Target) -> Option<&str> {
    match place {
        Target::Kprobe(name) => Some(name),
        Target::Section(section) if is_of_one(section) => by_section(section),
        _ => None,
    }
}

/// Whether a program has a probe of its own for each function.
pub(super) fn is_of_one(section: &str) -> bool {
    matches!(section.split('/').next(), Some("kprobe" | "kretprobe"))
}

pub(super) fn attach(
    program: &ProgramMut<'_>,
    function: &str,
    section: &str,
) -> Result<Attached, AttachError> {
    let kind = section.split('/').next().unwrap_or_default();
    let is_return = kind.starts_with("kret");
    if kind.contains(".multi") || kind.contains(".session") {
        let link = raw::attach_kprobe_multi(program, function, is_return, kind.contains(".session"));
        return link.map(Attached::Link).map_err(|error| super::refused_by_kernel(&error));
    }
    let link = if kind.ends_with("syscall") {
        program.attach_ksyscall(is_return, function)
    } else {
        program.attach_kprobe(is_return, function)
    };
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Roots;

    #[track_caller]
    fn check(section: &str, expected: Option<&str>) {
        assert_eq!(by_section(section), expected, "{section}");
    }

    /// A machine with these modules, and these symbols.
    fn machine(modules: &str, symbols: &str) -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules"), modules).unwrap();
        std::fs::write(folder.path().join("kallsyms"), symbols).unwrap();
        let roots = Roots { procfs: folder.path().into(), sysfs: folder.path().into(), ..Roots::default() };
        (folder, Host::new(roots))
    }

    /// What has gone of `lo_ioctl`, `lo_open` and `tcp_close` when there were both modules before.
    #[track_caller]
    fn check_gone(modules: &str, symbols: &str, by_name: &[&str], by_pattern: &[&str]) {
        let before = machine(BOTH, "").1.modules().unwrap();
        let (_folder, host) = machine(modules, symbols);
        let now = host.modules().unwrap();
        let names = ["lo_ioctl", "lo_open", "tcp_close"];
        let functions = Functions::new(&host, names.map(str::to_owned).into());
        let gone = |function: &str| functions.gone(function, "kprobe", &before, &now);
        let found: Vec<&str> = names.into_iter().filter(|name| !gone(name).is_empty()).collect();
        assert_eq!(found, by_name, "{modules:?}");
        let mut found: Vec<String> = gone("*o*").into_iter().collect();
        found.sort();
        assert_eq!(found, by_pattern, "{modules:?}");
    }

    const BOTH: &str = "loop 4096 0 - Live 0x1000\nnf 4096 0 - Live 0x2000\n";
    const SYMBOLS: &str = "0 T tcp_close\n0 t lo_ioctl\t[loop]\n0 t lo_open\t[loop]\n0 t hook\t[nf]\n";

    #[test]
    fn functions_go_with_their_modules() {
        check_gone(BOTH, SYMBOLS, &[], &[]);
        check_gone(&format!("{BOTH}late 4096 0 - Live 0x3000\n"), SYMBOLS, &[], &[]);
        // Another module says nothing of these.
        check_gone("loop 4096 0 - Live 0x1000\n", SYMBOLS, &[], &["hook"]);
        // Loaded anew, be it while this look is taken.
        let anew = "loop 8192 0 - Live 0x5000\nnf 4096 0 - Live 0x2000\n";
        check_gone(anew, SYMBOLS, &["lo_ioctl", "lo_open"], &["lo_ioctl", "lo_open"]);
        let without = "nf 4096 0 - Live 0x2000\n";
        check_gone(without, SYMBOLS, &["lo_ioctl", "lo_open"], &["lo_ioctl", "lo_open"]);
        // What matches no more is found out by who looks for all that match.
        let rest = "0 T tcp_close\n0 t hook\t[nf]\n0 t lo_open\t[nf]\n";
        check_gone(without, rest, &["lo_ioctl"], &[]);
        // Nobody knows.
        check_gone(without, "", &[], &[]);
    }

    #[test]
    fn sections_name_a_function() {
        check("kprobe/lo_ioctl", Some("lo_ioctl"));
        check("kretprobe/tcp_zone.isra.0", Some("tcp_zone.isra.0"));
        check("kprobe/lo_ioctl+0x10", Some("lo_ioctl"));
        check("kprobe", None);
        check("kprobe/", None);
        check("kprobe/lo_*", None);
    }
}
