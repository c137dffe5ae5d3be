//! From an errno and libbpf's words to what is wrong and what to do.
//!
//! The kernel often answers only "operation not permitted" or "invalid argument". What it
//! means follows from what was asked, from libbpf's log and from what the machine is like.

mod attachment;
mod binary;
mod machine;
mod verifier;

use std::io;
use std::path::PathBuf;

use libbpf_rs::ProgramType;

use crate::problem::{Place, Problem};
use crate::spec::LoadSpec;

use super::log::Log;

pub(super) use attachment::attachment;
pub(super) use machine::Machine;

/// What did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// libbpf could not make sense of the object; nothing was asked of the kernel yet.
    Open(i32),
    /// libbpf or the kernel refused the object.
    Load {
        /// The answer.
        errno: i32,
        /// The programs that were to be loaded.
        programs: Vec<OpenProgramFacts>,
        /// The operations that were to be attached by a link, by the names of their maps.
        linked: Vec<String>,
        /// `--btf.path`
        btf_path: Option<PathBuf>,
    },
}

/// A program that was to be loaded.
#[derive(Clone, Debug)]
pub(super) struct OpenProgramFacts {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) kind: ProgramType,
}

/// The errno inside an error of libbpf-rs, which has no method for it; 0 when there is none.
pub(super) fn errno_of(error: &libbpf_rs::Error) -> i32 {
    let text = format!("{error:#}");
    text.rsplit_once("(os error ")
        .and_then(|(_, rest)| rest.split(')').next()?.parse().ok())
        .unwrap_or_default()
}

/// What an errno means, in words.
pub(super) fn errno_text(errno: i32) -> String {
    match errno {
        0 => "no reason given".to_owned(),
        // Of processes, which the usual text speaks of, there are none here.
        libc::ESRCH => "not found (ESRCH)".to_owned(),
        super::raw::ENOTSUPP => "operation not supported (ENOTSUPP)".to_owned(),
        _ => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// Why a config could not be loaded.
pub(super) fn failure(failure: &Failure, log: &Log, spec: &LoadSpec, machine: &Machine) -> Problem {
    let place =
        Place { config: Some(spec.name.clone()), file: Some(spec.object.clone()), ..Place::default() };
    match failure {
        Failure::Open(errno) => Problem::error(
            "open-failed",
            place,
            format!("libbpf cannot open the object: {}", errno_text(*errno)),
        )
        .found(words(log, *errno))
        .help(exhausted(*errno).unwrap_or("rebuild it with a current clang: `clang -g -O2 -target bpf`")),
        Failure::Load { errno, programs, linked, btf_path } => {
            if let Some((name, text)) = log.verifier() {
                tracing::debug!(config = spec.name, program = name, "the verifier's log:\n{text}");
            }
            let btf_path = btf_path.as_ref();
            let load = Load { errno: *errno, programs, linked, btf_path, log, machine, place };
            load.explain()
        }
    }
}

/// All that is known of a load that failed.
struct Load<'a> {
    errno: i32,
    programs: &'a [OpenProgramFacts],
    linked: &'a [String],
    btf_path: Option<&'a PathBuf>,
    log: &'a Log,
    machine: &'a Machine,
    place: Place,
}

impl Load<'_> {
    fn explain(mut self) -> Problem {
        self.place.program = self.log.named("prog '", "").map(str::to_owned);
        if let Some((program, _)) = self.log.verifier().filter(|(program, _)| !program.is_empty()) {
            self.place.program = Some(program.to_owned());
        }
        self.map()
            .or_else(|| self.privilege())
            .or_else(|| self.everything())
            .or_else(|| self.verifier())
            .or_else(|| self.kernel_btf())
            .or_else(|| self.target())
            .or_else(|| self.section())
            .or_else(|| self.refused())
            .unwrap_or_else(|| {
                let message = format!("the object cannot be loaded: {}", errno_text(self.errno));
                let problem = self.problem("load-failed", message).found(words(self.log, self.errno));
                let without_symbols = self.log.has("failed to open /proc/kallsyms").then_some(
                    "the object names symbols of the kernel: all of /proc has to be mounted (without subset=pid)",
                );
                match exhausted(self.errno).or(without_symbols) {
                    Some(help) => problem.help(help),
                    None => problem,
                }
            })
    }

    fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(code, self.place.clone(), message)
    }

    fn program(&self) -> Option<&OpenProgramFacts> {
        let name = self.place.program.as_ref()?;
        self.programs.iter().find(|program| &program.name == name)
    }

    fn map(&mut self) -> Option<Problem> {
        let map = self.log.named("map '", "failed to create")?.to_owned();
        if self.errno == libc::EPERM
            && let Some(problem) = self.privilege()
        {
            return Some(problem);
        }
        self.place.map = Some(map.clone());
        let message = format!("the kernel does not create the map `{map}`: {}", errno_text(self.errno));
        let problem = self.problem("map-create", message).found(words(self.log, self.errno));
        if let Some(help) = self.pinning().or_else(|| exhausted(self.errno)) {
            return Some(problem.help(help));
        }
        Some(match self.errno {
            libc::ENOMEM => problem.help(format!(
                "lower its max_entries or the size of its values, or raise the memory limit, which maps count towards \
                 (MemoryMax= in the systemd unit, --memory in Docker, limits.memory in Kubernetes){}",
                self.machine.memlock_advice()
            )),
            libc::E2BIG => problem.help(format!(
                "it is too large for this machine: lower its max_entries or the size of its values{}",
                self.machine.memlock_advice()
            )),
            libc::EPERM => problem.help(self.machine.refusal()),
            libc::EINVAL if self.linked.contains(&map) && self.machine.version() < (6, 4) => {
                problem.help(format!(
                    "`.struct_ops.link` came with Linux 6.4, and this is {}: SEC(\".struct_ops\") is for older kernels, too",
                    self.machine.release
                ))
            }
            libc::EINVAL => problem.help(format!(
                "Linux {} knows no such kind of map, or not with these sizes and flags",
                self.machine.release
            )),
            _ => problem,
        })
    }

    /// Maps pinned by name live in a file system of their own.
    fn pinning(&self) -> Option<&'static str> {
        if self.log.has("is not on BPF FS") {
            return Some(
                "a map that is pinned by name needs the BPF file system: `mount -t bpf bpf /sys/fs/bpf` \
                 (in a container: mount the host's /sys/fs/bpf there)",
            );
        }
        self.log
            .has("couldn't reuse pinned map")
            .then_some("another map is pinned under this name: remove its file, or give the map another name")
    }

    /// Not permitted, and a capability is missing that could be why.
    fn privilege(&self) -> Option<Problem> {
        let verifier_spoke = self.log.verifier().is_some();
        if self.errno != libc::EPERM && !(self.errno == libc::EACCES && verifier_spoke) {
            return None;
        }
        let needed = self.machine.needed(self.programs.iter().map(|program| program.kind));
        let missing = self.machine.missing(&needed);
        if missing.is_empty() {
            return None;
        }
        let of_the_machine =
            if self.machine.user_namespace { " of the machine's own user namespace" } else { "" };
        let problem = self
            .problem(
                "privilege",
                format!("not enough privilege to load the object: {} missing", missing.join(", ")),
            )
            .expected(format!(
                "{} (or CAP_SYS_ADMIN alone) in the effective set{of_the_machine}",
                needed.join(", ")
            ))
            .help(self.machine.privilege_advice());
        Some(match self.log.verifier() {
            Some((_, text)) => problem.found(verifier::tail(text)),
            None => problem.found(words(self.log, self.errno)),
        })
    }

    /// Not even an empty program is taken, by which libbpf begins: the object is not the reason.
    fn everything(&self) -> Option<Problem> {
        if !self.log.has("Couldn't load trivial BPF program") {
            return None;
        }
        let help = match self.errno {
            libc::EPERM | libc::EACCES => self.machine.refusal(),
            libc::ENOSYS => self.machine.unknown_call("CONFIG_BPF_SYSCALL"),
            _ => return None,
        };
        let message = format!("no program can be loaded here: {}", errno_text(self.errno));
        Some(self.problem("bpf-refused", message).expected("the system call bpf").help(help))
    }

    fn verifier(&self) -> Option<Problem> {
        let (program, text) = self.log.verifier()?;
        let tail = verifier::tail(text);
        if let Some(missing) = verifier::core_relocation(text) {
            let message = format!("the program `{program}` uses what this kernel does not have: {missing}");
            let help = match missing.contains("pt_regs.") {
                true => {
                    "registers have other names on other architectures: read them by bpftally's registers.bpf.h, or compile \
                     the object for each, as x.x86_64.bpf.o and x.aarch64.bpf.o"
                }
                false if self.btf_path.is_some() => {
                    "--btf.path may name types that were tailored to other objects: `bpftool gen min_core_btf` takes all that \
                     are loaded; or guard it in the C source with bpf_core_field_exists()"
                }
                false => {
                    "guard it in the C source with bpf_core_field_exists() or bpf_core_type_exists(), \
                     or use an object made for this kernel"
                }
            };
            return Some(self.problem("core-relocation", message).found(tail).help(help));
        }
        let mut message = match verifier::decisive(text) {
            Some(line) => format!("the kernel's verifier rejects the program `{program}`: {line}"),
            None => {
                format!("the kernel's verifier rejects the program `{program}`: {}", errno_text(self.errno))
            }
        };
        let section = self.programs.iter().find(|found| found.name == program).map(|found| &*found.section);
        let help = match section.and_then(|section| self.machine.came_later(section)) {
            Some(later) => later,
            None if let Some(locked) = self.machine.locks_out(&message) => {
                // Of programs that are left out for others the message alone is shown.
                message = format!("{message}: {locked}");
                "a program of another kind that needs no such helper, or another alternative (`choose`), may do".to_owned()
            }
            None if message.ends_with("is not sleepable") => {
                "this kernel lets no program sleep there: of its functions that is those which may be made to fail \
                 (CONFIG_FUNCTION_ERROR_INJECTION), of the hooks of LSM not all; a section without `.s` need not sleep"
                    .to_owned()
            }
            None => "the whole log is shown with --log.level=debug".to_owned(),
        };
        let problem = self.problem("verifier", message).found(tail);
        // For programs that do not trace it is no condition, but the verifier forbids them more.
        if self.machine.missing(&["CAP_PERFMON"]).is_empty() {
            return Some(problem.help(help));
        }
        let expected =
            "CAP_PERFMON: without it the verifier forbids much that programs do with pointers and helpers";
        Some(problem.expected(expected).help(format!("{}; {help}", self.machine.privilege_advice())))
    }

    fn kernel_btf(&self) -> Option<Problem> {
        let found = words(self.log, self.errno);
        if self.log.has("failed to parse target BTF") {
            let path = self.btf_path.map(|path| path.display().to_string()).unwrap_or_default();
            return Some(
                self.problem("btf-path", format!("the kernel's BTF in {path} cannot be used"))
                    .expected(
                        "a file of raw BTF, or an ELF file with a .BTF section, made from the running kernel",
                    )
                    .found(found)
                    .help("correct --btf.path, or leave it out where there is /sys/kernel/btf/vmlinux"),
            );
        }
        let says_so =
            ["kernel BTF is missing", "failed to find valid kernel BTF", "Error loading vmlinux BTF"];
        let lacks = match self.machine.without_sysfs {
            true => "/sys is not mounted",
            false => "this kernel brings none",
        };
        says_so.iter().any(|text| self.log.has(text)).then(|| {
            self.problem("kernel-btf", format!("the object needs the kernel's BTF, and {lacks}"))
                .expected("/sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)")
                .found(found)
                .help(
                    "give the running kernel's BTF with --btf.path (for CO-RE only), or use a kernel that has it; \
                     in a container /sys must be mounted",
                )
        })
    }

    /// `fentry`, `tp_btf` and their like name a function or tracepoint that the kernel must know at load.
    fn target(&self) -> Option<Problem> {
        let target = self.log.reasons().find_map(|reason| {
            let (_, rest) = reason.split_once("failed to find kernel BTF type ID of '")?;
            rest.split_once('\'').map(|(target, _)| target)
        });
        let missing = |kind: &str, name: &str| {
            let message = format!("the running kernel has no {kind} `{name}`");
            let help = "use an object made for this kernel, or mark the program optional with SEC(\"?...\")";
            self.problem("missing-target", message).found(words(self.log, self.errno)).help(help)
        };
        if let Some(target) = target {
            let section = self.program().map(|program| program.section.as_str()).unwrap_or_default();
            return Some(if section.starts_with("tp_btf") {
                missing("raw tracepoint", target)
            } else {
                missing("function (that BTF describes)", target)
            });
        }
        let symbol = self.log.named("ksym) '", "not found in").map(|symbol| missing("symbol", symbol));
        symbol.or_else(|| {
            let name = self.log.named("extern '", "not resolved")?;
            Some(missing("symbol or configuration option", name).help(
                "declare it __weak in the C source to do without it; options are read from /proc/config.gz or \
                 /boot/config-<release>",
            ))
        })
    }

    fn section(&self) -> Option<Problem> {
        self.log.has("missing BPF prog type").then(|| {
            let section = self.log.named("section name '", "missing BPF prog type").unwrap_or_default();
            self.problem("unknown-section", format!("the section `{section}` says no known kind of program"))
                .expected(
                    "a section that libbpf knows, such as `tracepoint/...`, `kprobe/...` or `uprobe/...`",
                )
        })
    }

    /// The kernel refused a program without a word of its verifier.
    fn refused(&self) -> Option<Problem> {
        let program = self.log.named("prog '", "program load failed")?;
        let (kind, section) =
            self.program().map_or((None, ""), |program| (Some(program.kind), program.section.as_str()));
        let found = words(self.log, self.errno);
        let note = if self.errno == libc::EPERM { self.machine.lockdown_note() } else { String::new() };
        let message = format!(
            "the kernel refuses the program `{program}` ({section}): {}{note}",
            errno_text(self.errno)
        );
        let problem = self.problem("unsupported-program", message).found(found);
        Some(match self.errno {
            libc::EPERM => {
                let trampoline =
                    matches!(kind, Some(ProgramType::Tracing | ProgramType::Lsm | ProgramType::Ext));
                let note = if trampoline {
                    "; some kernels refuse fentry, fexit and LSM programs altogether: use tracepoints"
                } else {
                    ""
                };
                problem.help(format!("no capability is missing{note}"))
            }
            libc::EINVAL | libc::EOPNOTSUPP | super::raw::ENOTSUPP => {
                let unknown = || {
                    let release = &self.machine.release;
                    format!("Linux {release} may be too old for this kind of program, or built without it")
                };
                problem.help(self.machine.came_later(section).unwrap_or_else(unknown))
            }
            libc::E2BIG => problem.help("the program is too large or too complex for this kernel"),
            _ => problem,
        })
    }
}

/// What to do when the process, not the object, is at its limit.
pub(super) fn exhausted(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EMFILE => Some(
            "every map, program and link takes descriptors: raise the hard limit (LimitNOFILE= in the systemd unit, \
             --ulimit nofile= in Docker, `ulimit -Hn`)",
        ),
        libc::ENFILE => Some("the whole machine has no descriptor left: raise the sysctl fs.file-max"),
        _ => None,
    }
}

/// libbpf's last words, and the errno where it has none.
pub(super) fn words(log: &Log, errno: i32) -> String {
    /// Later warnings only say that it failed.
    const MOST: usize = 6;
    // All but the first blame `ulimit -l` whatever the reason; where that matters, the help says it.
    let noise = [
        "failed to load object",
        "permission error while running as root",
        "Failed to bump RLIMIT_MEMLOCK",
        "Error in bpf_object__probe_loading()",
    ];
    let says_more = |reason: &&str| !noise.iter().any(|start| reason.starts_with(start));
    let reasons: Vec<&str> = log.reasons().filter(says_more).collect();
    let first = reasons.len().saturating_sub(MOST);
    match reasons.get(first..) {
        Some(last) if !last.is_empty() => last.join("; "),
        _ => errno_text(errno),
    }
}

#[cfg(test)]
mod tests;
