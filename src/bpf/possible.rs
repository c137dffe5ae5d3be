//! Whether a program could work here, before anything is loaded: from the kernel's BTF, from
//! kallsyms, from tracefs, and by what kinds of programs the kernel takes.
//!
//! Only what is certain counts: where the machine does not tell, the load will.

use std::io::ErrorKind;
use std::path::Path;

use libbpf_rs::ProgramType;

use crate::btf::Kind;
use crate::elf::SectionKind;
use crate::host::{Host, MOST_FUNCTIONS, Pattern, pattern_of_functions};
use crate::spec::{Attach, Tc, TcMode};

use super::attach::tracefs;
use super::explain::Machine;

/// A tracepoint that every kernel has whose BTF describes tracepoints.
const ALWAYS: &str = "btf_trace_sched_switch";

/// Why a program of a section and kind cannot work on this machine.
///
/// # Errors
/// The reason, when it is certain.
pub(super) fn possible(section: &str, kind: ProgramType, host: &Host) -> Result<(), String> {
    built_with(section, host)?;
    let (name, target) = section.split_once('/').unwrap_or((section, ""));
    // Sleepable programs have the same targets.
    let base = name.strip_suffix(".s").unwrap_or(name);
    match base {
        "tracepoint" | "tp" => tracepoint(target)?,
        "raw_tracepoint" | "raw_tp" | "raw_tracepoint.w" | "raw_tp.w" => raw_tracepoint(target, host)?,
        // Of these two's kind an empty fentry would be tried, which some kernels refuse that take both.
        "tp_btf" => {
            return typed(host, &format!("btf_trace_{target}"), Kind::Typedef, "raw tracepoint", target);
        }
        "fentry" | "fexit" | "fmod_ret" | "fsession" => {
            // A module may be named before the function.
            let function = target.rsplit(':').next().unwrap_or(target);
            typed(host, function, Kind::Func, "function (that BTF describes)", function)?;
        }
        "lsm" => lsm(target, host)?,
        "iter" => return typed(host, &format!("bpf_iter_{target}"), Kind::Func, "iterator", target),
        "kprobe" | "kretprobe" => {
            kprobes(host)?;
            if let Some(pattern) = pattern_of_functions(section, target) {
                functions(host, &pattern)?;
                return supported(kind, host);
            }
            symbol(host, &[target.split('+').next().unwrap_or(target).to_owned()], target)?;
        }
        "ksyscall" | "kretsyscall" => {
            kprobes(host)?;
            let names =
                ["__x64_sys_", "__arm64_sys_", "__se_sys_", "sys_"].map(|start| format!("{start}{target}"));
            symbol(host, &names, target)?;
        }
        "uprobe" | "uretprobe" | "uprobe.multi" | "uretprobe.multi" | "uprobe.session" | "usdt" => {
            file(target)?;
        }
        _ => {}
    }
    supported(kind, host)
}

/// Whether the kernel knows the way to attach that a program needs, by the kernel's own list of them. `section` is
/// the object's.
///
/// # Errors
/// What it does not know, and which kernel was the first that did.
pub(super) fn hook(section: &str, attach: Option<&Attach>, host: &Host) -> Result<(), String> {
    let kind = match attach {
        Some(Attach::Tc(Tc { mode: TcMode::Tcx, .. })) => SectionKind::of("tcx/ingress"),
        // A filter does as well.
        Some(Attach::Tc(_)) => None,
        _ => SectionKind::of(section),
    };
    let Some((kind, name)) = kind.and_then(|kind| Some((kind, kind.needed_attach_type()?))) else {
        return Ok(());
    };
    let Ok(types) = host.kernel_types() else { return Ok(()) };
    let known = types.enums().find("bpf_attach_type");
    let wanted = format!("BPF_{}", name.to_uppercase());
    if known.is_empty() || known.iter().flatten().any(|known| known.name == wanted) {
        return Ok(());
    }
    let since = kind.floor.map_or("a later one has".to_owned(), |floor| format!("came with Linux {floor}"));
    Err(format!("this kernel does not attach by {name}, which {since}"))
}

/// Whether the kernel was built with what the hook needs, where the machine tells.
fn built_with(section: &str, host: &Host) -> Result<(), String> {
    let Some(kind) = SectionKind::of(section) else { return Ok(()) };
    let options = kind.kernel_options(kind.target(section));
    if options.is_empty() {
        return Ok(());
    }
    match host.kernel_build().ok().and_then(|build| build.lacks(options)) {
        Some(option) => Err(format!("this kernel is built without {option}")),
        None => Ok(()),
    }
}

fn tracepoint(target: &str) -> Result<(), String> {
    let Some(tracefs) = tracefs() else { return Err("tracefs is not mounted, or not readable".to_owned()) };
    // What cannot be looked at may be there.
    let absent = matches!(Path::new(tracefs).join("events").join(target).try_exists(), Ok(false));
    if absent && target.contains('/') {
        Err(format!("this kernel has no tracepoint `{target}`"))
    } else {
        Ok(())
    }
}

fn raw_tracepoint(target: &str, host: &Host) -> Result<(), String> {
    let has = |name: &str| host.kernel_has_type(name, Kind::Typedef).ok();
    let absent = has(&format!("btf_trace_{target}")) == Some(false) && has(ALWAYS) == Some(true);
    // Those of modules are not in the kernel's own BTF, but each is called by a function of its own (Linux 5.10).
    let absent = absent && matches!(host.symbol_address(&format!("__traceiter_{target}")), Ok(None));
    if absent && !target.is_empty() {
        Err(format!("this kernel has no raw tracepoint `{target}`"))
    } else {
        Ok(())
    }
}

fn typed(host: &Host, name: &str, kind: Kind, what: &str, target: &str) -> Result<(), String> {
    match host.kernel_has_type(name, kind) {
        // Types that were tailored to an object are not all of the kernel's.
        Ok(false) if !target.is_empty() && host.kernel_has_type(ALWAYS, Kind::Typedef).ok() == Some(true) => {
            Err(format!("this kernel has no {what} `{target}`"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(match host.roots.sysfs.join("kernel").exists() {
                true => "this kernel brings no BTF".to_owned(),
                false => "/sys is not mounted, where the kernel's BTF is".to_owned(),
            })
        }
        _ => Ok(()),
    }
}

fn lsm(target: &str, host: &Host) -> Result<(), String> {
    typed(host, &format!("bpf_lsm_{target}"), Kind::Func, "LSM hook", target)?;
    let active = std::fs::read_to_string(host.roots.sysfs.join("kernel/security/lsm")).unwrap_or_default();
    // Where bpf is not among them, programs attach and are never called.
    if active.is_empty() || active.trim().split(',').any(|module| module == "bpf") {
        return Ok(());
    }
    Err(format!("this kernel does not ask BPF programs: its security modules are {}", active.trim()))
}

fn kprobes(host: &Host) -> Result<(), String> {
    let events = host.roots.sysfs.join("bus/event_source/devices");
    let modern = events.join("kprobe").exists();
    let legacy = || tracefs().is_some_and(|tracefs| Path::new(tracefs).join("kprobe_events").exists());
    if modern || !events.exists() || legacy() {
        Ok(())
    } else {
        Err("this kernel has no kprobes (CONFIG_KPROBES)".to_owned())
    }
}

/// Whether as many functions match as one program can be attached to, where the machine tells.
fn functions(host: &Host, pattern: &Pattern) -> Result<(), String> {
    match host.select_functions(pattern).map(|found| found.len()) {
        Ok(0) => Err(format!("no function of this kernel that takes probes matches `{pattern}`")),
        Ok(count) if count > MOST_FUNCTIONS => Err(format!(
            "{count} functions of this kernel match `{pattern}`, and {MOST_FUNCTIONS} are the most"
        )),
        _ => Ok(()),
    }
}

/// Whether the kernel has a symbol of one of these names.
fn symbol(host: &Host, names: &[String], target: &str) -> Result<(), String> {
    let mut found = names.iter().map(|name| host.symbol_address(name));
    // Hidden addresses hide names as well.
    if target.is_empty() || found.any(|found| !matches!(found, Ok(None))) {
        return Ok(());
    }
    Err(format!("this kernel has no function `{target}` in kallsyms"))
}

/// Whether the file of `/path/to/file:symbol` is there. Other names are searched for by libbpf.
fn file(target: &str) -> Result<(), String> {
    let path = target.split(':').next().unwrap_or(target);
    let absent = path.starts_with('/') && matches!(Path::new(path).try_exists(), Ok(false));
    if absent { Err(format!("there is no file {path}")) } else { Ok(()) }
}

/// Whether the kernel takes programs of a kind: found out by loading an empty one, which takes the
/// same privilege as loading.
fn supported(kind: ProgramType, host: &Host) -> Result<(), String> {
    if matches!(kind, ProgramType::Unspec | ProgramType::Unknown) {
        return Ok(());
    }
    let machine = Machine::look(host);
    let privileged = machine.missing(&machine.needed(std::iter::once(kind))).is_empty();
    let refuses = |kind: ProgramType| matches!(kind.is_supported(), Ok(false));
    // Who refuses the kind that every kernel has says nothing of any: a seccomp filter, a limit of the process.
    if privileged && refuses(kind) && !refuses(ProgramType::SocketFilter) {
        return Err(format!("this kernel takes no programs of the kind {kind:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample;
    use crate::host::Roots;
    use crate::spec::Direction;

    /// A machine with the sample kernel's types, some symbols, and no kprobes.
    fn machine() -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for directory in ["kernel/btf", "kernel/security", "bus/event_source/devices"] {
            std::fs::create_dir_all(path.join(directory)).unwrap();
        }
        std::fs::write(path.join("kernel/btf/vmlinux"), sample::kernel()).unwrap();
        std::fs::write(path.join("kernel/security/lsm"), "lockdown,capability\n").unwrap();
        std::fs::write(
            path.join("kallsyms"),
            "ffffffff81000000 T do_exit\nffffffff81000100 T __x64_sys_read\n\
             ffffffffc0000000 t __traceiter_of_a_module\t[module]\n",
        )
        .unwrap();
        let host = Host::new(Roots {
            rootfs: path.into(),
            procfs: path.into(),
            sysfs: path.into(),
            ..Roots::default()
        });
        (folder, host)
    }

    #[track_caller]
    fn check(host: &Host, section: &str, reason: Option<&str>) {
        let found = possible(section, ProgramType::Unspec, host);
        match reason {
            Some(reason) => {
                assert!(found.as_ref().is_err_and(|found| found.contains(reason)), "{section}: {found:?}")
            }
            None => assert_eq!(found, Ok(()), "{section}"),
        }
    }

    #[test]
    fn targets_are_looked_up_in_btf() {
        let (_folder, host) = machine();
        for section in [
            "fentry/do_exit",
            "fexit.s/do_exit",
            "fentry/module:do_exit",
            "tp_btf/sched_switch",
            "raw_tp/sched_switch",
            "raw_tp/of_a_module",
        ] {
            check(&host, section, None);
        }
        check(&host, "fentry/do_exi", Some("no function (that BTF describes) `do_exi`"));
        check(&host, "tp_btf/no_such", Some("no raw tracepoint `no_such`"));
        check(&host, "raw_tracepoint/no_such", Some("no raw tracepoint `no_such`"));
        check(&host, "lsm/file_open", Some("no LSM hook `file_open`"));
        check(&host, "iter/task", Some("no iterator `task`"));
    }

    #[track_caller]
    fn check_hook(host: &Host, section: &str, mode: Option<TcMode>, reason: Option<&str>) {
        let tc = |mode| Attach::Tc(Tc { interfaces: Vec::new(), direction: Direction::Ingress, mode });
        let expected = reason.map(|reason| format!("this kernel does not attach by {reason}"));
        assert_eq!(hook(section, mode.map(tc).as_ref(), host).err(), expected, "{section}");
    }

    #[test]
    fn ways_to_attach_are_looked_up_in_btf() {
        let (folder, host) = machine();
        check_hook(&host, "cgroup_skb/ingress", None, None);
        check_hook(&host, "xdp.frags", None, None);
        check_hook(&host, "tracepoint/sched/sched_switch", None, None);
        let unix = Some("cgroup_unix_connect, which came with Linux 6.7");
        check_hook(&host, "cgroup/connect_unix", None, unix);
        check_hook(&host, "kprobe.multi/x", None, Some("trace_kprobe_multi, which came with Linux 5.18"));
        check_hook(&host, "netkit/peer", None, Some("netkit_peer, which came with Linux 6.7"));
        check_hook(&host, "fsession/f", None, Some("trace_fsession, which came with Linux 7.0"));
        // Filters do where there are no links; only who asks for links needs them.
        let tcx = Some("tcx_ingress, which came with Linux 6.6");
        for section in ["tc", "tcx/ingress"] {
            check_hook(&host, section, Some(TcMode::Tcx), tcx);
            check_hook(&host, section, Some(TcMode::Auto), None);
            check_hook(&host, section, Some(TcMode::Classic), None);
        }
        // Kernels have it for longer than its name.
        check_hook(&host, "sk_reuseport", None, None);
        std::fs::remove_file(folder.path().join("kernel/btf/vmlinux")).unwrap();
        let unknown = Host::new(host.roots.clone());
        check_hook(&unknown, "netkit/peer", None, None);
    }

    /// Not even where the kernel refuses fentry, which is of the same kind.
    #[test]
    fn tracepoints_are_possible_without_fentry() {
        let (_folder, host) = machine();
        for section in ["tp_btf/sched_switch", "tp_btf.s/sched_switch"] {
            assert_eq!(possible(section, ProgramType::Tracing, &host), Ok(()), "{section}");
        }
    }

    #[test]
    fn without_btf_typed_programs_are_impossible_and_others_unknown() {
        let (folder, host) = machine();
        std::fs::remove_file(folder.path().join("kernel/btf/vmlinux")).unwrap();
        check(&host, "fentry/do_exit", Some("no BTF"));
        check(&host, "tp_btf/sched_switch", Some("no BTF"));
        check(&host, "raw_tp/no_such", None);
    }

    #[test]
    fn kprobes_need_the_kernel_to_have_them_and_the_symbol() {
        let (folder, host) = machine();
        if tracefs().is_none_or(|tracefs| !Path::new(tracefs).join("kprobe_events").exists()) {
            check(&host, "kprobe/do_exit", Some("CONFIG_KPROBES"));
        }
        std::fs::create_dir_all(folder.path().join("bus/event_source/devices/kprobe")).unwrap();
        for section in
            ["kprobe/do_exit", "kretprobe/do_exit", "kprobe/do_exit+0x10", "ksyscall/read", "kprobe"]
        {
            check(&host, section, None);
        }
        check(&host, "kprobe/no_such", Some("no function `no_such`"));
        check(&host, "ksyscall/no_such", Some("no function `no_such`"));
        for section in ["kprobe/do_*", "kretprobe/__x64_sys_r??d"] {
            check(&host, section, None);
        }
        check(
            &host,
            "kprobe/no_such*",
            Some("no function of this kernel that takes probes matches `no_such*`"),
        );
        // Where kallsyms shows no addresses it says nothing.
        std::fs::write(folder.path().join("kallsyms"), "0000000000000000 T do_exit\n").unwrap();
        let hidden = Host::new(host.roots.clone());
        check(&hidden, "kprobe/no_such", None);
    }

    #[test]
    fn files_of_probes_must_be_there() {
        let (_folder, host) = machine();
        check(&host, "uprobe//no/such/file:main", Some("no file /no/such/file"));
        check(&host, "usdt//no/such/file:provider:name", Some("no file /no/such/file"));
        for section in ["uprobe//proc/self/exe:main", "uprobe/libc.so.6:malloc", "uprobe"] {
            check(&host, section, None);
        }
    }

    #[test]
    fn options_that_the_kernel_was_built_without_are_told() {
        let (folder, host) = machine();
        std::fs::create_dir_all(folder.path().join("bus/event_source/devices/kprobe")).unwrap();
        let say = |text: &str| std::fs::write(folder.path().join("config.gz"), text).unwrap();
        say("CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_EVENTS=y\nCONFIG_DEBUG_INFO_BTF=y\n");
        check(&host, "kprobe/do_exit", Some("this kernel is built without CONFIG_KPROBES"));
        check(&host, "fentry/do_exit", Some("this kernel is built without CONFIG_BPF_JIT"));
        check(&host, "lsm/file_open", Some("this kernel is built without CONFIG_BPF_LSM"));
        check(&host, "tp_btf/sched_switch", None);
        check(&host, "xdp/eth0", None);
        // It answers a program's questions alone.
        say("CONFIG_HZ=250\n");
        check(&host, "kprobe/do_exit", None);
    }

    #[test]
    fn other_sections_are_left_to_the_load() {
        let (_folder, host) = machine();
        for section in ["xdp/eth0", "perf_event/type=1,config=0,frequency=9", "socket", "", "odd/place"] {
            check(&host, section, None);
        }
    }
}
