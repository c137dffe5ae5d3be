//! Functions of the kernel that probes can be attached to, by the kernel's own lists of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::DirEntryExt;
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

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The module that it is in.
    pub module: Option<String>,
}

/// The modules in the kernel, each with what is otherwise when it is loaded anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules(BTreeMap<String, String>);

impl Modules {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each module of these is still the same one later.
    #[must_use]
    pub fn all_stay(&self, later: &Self) -> bool {
        self.0.keys().all(|module| self.stays(module, later))
    }

    /// Whether a module is one of these, and still the same one later.
    #[must_use]
    pub fn stays(&self, module: &str, later: &Self) -> bool {
        self.0.get(module).is_some_and(|marks| later.0.get(module) == Some(marks))
    }
}

/// The pattern by which a section means several functions, each of which gets a probe of its own; none for sections of
/// other kinds, and for one function.
#[must_use]
pub fn pattern_of_functions(section: &str, function: &str) -> Option<Pattern> {
    let kind = SectionKind::of(section)?;
    let pattern = Pattern::new(function);
    (matches!(kind.prefix(), "kprobe" | "kretprobe") && !pattern.is_exact()).then_some(pattern)
}

/// The functions whose names match, each name once, in their order.
///
/// # Errors
/// When the machine shows none of its lists.
pub(super) fn select(roots: &Roots, pattern: &Pattern) -> io::Result<Vec<Function>> {
    let kernel = roots.sysfs.join("kernel");
    let traced =
        ["tracing", "debug/tracing"].map(|path| kernel.join(path).join("available_filter_functions"));
    let list = traced.iter().find_map(|path| text(path).ok());
    let (list, read): (String, Reader) = match list {
        Some(list) => (list, traceable),
        None => (text(&roots.procfs.join("kallsyms"))?, of_text),
    };
    let refused = text(&kernel.join("debug/kprobes/blacklist")).unwrap_or_default();
    let refused: HashSet<&str> = refused.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let is_one = |name: &str| {
        pattern.matches(name)
            && !refused.contains(name)
            && !NO_FUNCTIONS.iter().any(|start| name.starts_with(start))
    };
    let mut found = BTreeMap::new();
    for (name, module) in list.lines().filter_map(read).filter(|(name, _)| is_one(name)) {
        found.entry(name).or_insert(module);
    }
    Ok(found.into_iter().map(owned).collect())
}

/// All functions of these names that there are now, be they ones that are not traced.
///
/// # Errors
/// When the machine does not show its symbols.
pub(super) fn find(roots: &Roots, names: &HashSet<String>) -> io::Result<Vec<Function>> {
    let list = text(&roots.procfs.join("kallsyms"))?;
    let found = list.lines().filter_map(of_text).filter(|(name, _)| names.contains(*name));
    Ok(found.map(owned).collect())
}

fn owned((name, module): (&str, Option<&str>)) -> Function {
    Function { name: name.to_owned(), module: module.map(str::to_owned) }
}

/// A list, which shows something where it says something.
fn text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read_at_most(path, LARGEST)?);
    let text = text.unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned());
    if text.is_empty() { Err(io::Error::other("it is empty")) } else { Ok(text) }
}

/// The modules that are whole, each with its folder's number in sysfs, which is never the same again. How many use it
/// changes all the time, and where it is depends on who asks.
pub(super) fn modules(roots: &Roots) -> Option<Modules> {
    let text = read_at_most(&roots.procfs.join("modules"), LARGEST).ok()?;
    let text = String::from_utf8_lossy(&text);
    let number = |folder: io::Result<DirEntry>| folder.map(|folder| (folder.file_name(), folder.ino()));
    let numbers: HashMap<_, u64> = match std::fs::read_dir(roots.sysfs.join("module")) {
        Ok(folders) => folders.map(number).collect::<Result<_, _>>().ok()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
        Err(_) => return None,
    };
    let module = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, size, state] = [0, 1, 4].map(|word| words.get(word).copied().unwrap_or_default());
        let mark = numbers.get(OsStr::new(name)).map_or_else(|| format!("{size} bytes"), u64::to_string);
        (state == "Live").then(|| (name.to_owned(), mark))
    };
    Some(Modules(text.lines().filter_map(module).collect()))
}

/// Reads the name of a function, and that of its module, in a line.
type Reader = fn(&str) -> Option<(&str, Option<&str>)>;

/// A line of tracefs.
fn traceable(line: &str) -> Option<(&str, Option<&str>)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next().and_then(module_name)))
}

/// A line of kallsyms, if it is of a function of the kernel or of a module.
fn of_text(line: &str) -> Option<(&str, Option<&str>)> {
    let mut words = line.split_whitespace().skip(1);
    let (kind, name) = (words.next()?, words.next()?);
    let module = words.next().and_then(module_name);
    let is_generated = module.is_some_and(|module| module == "bpf" || module.starts_with("__builtin__"));
    (matches!(kind, "t" | "T" | "w" | "W") && !is_generated).then_some((name, module))
}

/// `[loop]`
fn module_name(word: &str) -> Option<&str> {
    word.strip_prefix('[')?.strip_suffix(']')
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
        let found = select(&roots, &Pattern::new(pattern)).unwrap();
        let names: Vec<&str> = found.iter().map(|function| &*function.name).collect();
        assert_eq!(names, expected, "{pattern}");
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
    fn functions_are_told_with_their_modules() {
        let of = |module: Option<&str>| Function {
            name: "tcp_of_module".to_owned(),
            module: module.map(str::to_owned),
        };
        for files in [&[KALLSYMS][..], &[TRACED]] {
            let (_folder, roots) = machine(files);
            assert_eq!(select(&roots, &Pattern::new("tcp_of_*")).unwrap(), [of(Some("nf"))], "{files:?}");
        }
        let (_folder, roots) = machine(&[KALLSYMS]);
        // Variables and what was generated are no functions.
        let names = ["tcp_of_module", "tcp_ack", "tcp_hashinfo", "tcp_program", "tcp", ""];
        let names = names.into_iter().map(str::to_owned).collect();
        let ack = Function { name: "tcp_ack".to_owned(), module: None };
        // A name can stand for more than one.
        assert_eq!(find(&roots, &names).unwrap(), [ack.clone(), ack, of(Some("nf"))]);
        find(&machine(&[]).1, &names).unwrap_err();
    }

    fn modules_of(text: &str) -> Option<Modules> {
        let (_folder, roots) = machine(&[("modules", text)]);
        modules(&roots)
    }

    #[test]
    fn modules_are_the_same_whoever_uses_them() {
        let one = modules_of("loop 40960 2 - Live 0xffffffffc0000000\n");
        assert!(one.is_some());
        assert_eq!(modules_of("loop 40960 0 - Live 0xffffffffc0000000\n"), one);
        // Addresses are shown to some only, and to nobody when a setting says so.
        assert_eq!(modules_of("loop 40960 0 - Live 0x0000000000000000\n"), one);
        assert_eq!(modules_of("loop 40960 1 - Loading 0xffffffffc0000000\n"), modules_of(""));
        assert_ne!(modules_of("loop 45056 2 - Live 0xffffffffc0000000\n"), one);
        assert_eq!(modules_of(""), Some(Modules::default()));
        assert_eq!(modules(&Roots { procfs: "/nowhere".into(), ..Roots::default() }), None);
        // What cannot be looked at says nothing.
        let (_folder, roots) = machine(&[("modules", "loop 40960 0 - Live 0x0\n"), ("module", "no folder")]);
        assert_eq!(modules(&roots), None);
    }

    #[test]
    fn modules_that_are_loaded_anew_are_others() {
        let (folder, roots) =
            machine(&[("modules", "loop 40960 0 - Live 0x0\n"), ("module/loop/refcnt", "0")]);
        let before = modules(&roots).unwrap();
        assert_eq!(modules(&roots).unwrap(), before);
        // The folder that comes is there before the one that goes, so that it has another number.
        std::fs::create_dir(folder.path().join("module/later")).unwrap();
        std::fs::remove_dir_all(folder.path().join("module/loop")).unwrap();
        std::fs::rename(folder.path().join("module/later"), folder.path().join("module/loop")).unwrap();
        let after = modules(&roots).unwrap();
        assert!(!before.all_stay(&after) && !before.stays("loop", &after));
    }

    #[test]
    fn modules_come_stay_and_go() {
        let loops = "loop 40960 2 - Live 0xffffffffc0000000\n";
        let both = format!("{loops}nf 4096 0 - Live 0xffffffffc0100000\n");
        let (one, both) = (modules_of(loops).unwrap(), modules_of(&both).unwrap());
        assert!(one.all_stay(&both) && !both.all_stay(&one));
        assert!(both.stays("loop", &one) && !both.stays("nf", &one));
        assert!(one.stays("loop", &both) && !one.stays("nf", &both));
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
