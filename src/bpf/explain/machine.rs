//! What of this machine decides over loading.

use caps::{CapSet, Capability, CapsHashSet};
use libbpf_rs::ProgramType;
use rustix::io::Errno;
use rustix::thread::{SecureComputingMode, secure_computing_mode};

use crate::elf::SectionKind;
use crate::host::Host;

/// The facts; looked at only when something failed.
#[derive(Clone, Debug, Default)]
pub(in crate::bpf) struct Machine {
    /// The kernel's release, as `uname -r` says it.
    pub(super) release: String,
    /// This thread's effective capabilities.
    pub(super) effective: CapsHashSet,
    /// `/sys/kernel/security/lockdown`, when it is not `none`.
    pub(super) lockdown: Option<String>,
    /// Whether this process lives in a user namespace other than the machine's own.
    pub(super) user_namespace: bool,
    /// Whether its system calls go through a seccomp filter.
    pub(super) filtered: bool,
    /// Whether there is nothing where `/sys` should be.
    pub(super) without_sysfs: bool,
}

impl Machine {
    /// Looks at the machine.
    pub(in crate::bpf) fn look(host: &Host) -> Self {
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let lockdown = read(host.roots.sysfs.join("kernel/security/lockdown"));
        let lockdown =
            lockdown.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(mode, _)| mode);
        let map = read("/proc/self/uid_map".into());
        let identity = map.split_whitespace().eq(["0", "0", "4294967295"]);
        Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            effective: caps::read(None, CapSet::Effective).unwrap_or_default(),
            lockdown: lockdown.filter(|mode| *mode != "none").map(str::to_owned),
            user_namespace: !map.is_empty() && !identity,
            // Kernels without seccomp do not know the question; a filter that does not allow it is one.
            filtered: !matches!(
                secure_computing_mode(),
                Ok(SecureComputingMode::Disabled) | Err(Errno::INVAL)
            ),
            without_sysfs: !host.roots.sysfs.join("kernel").exists(),
        }
    }

    /// Major and minor number of the kernel's version.
    pub(super) fn version(&self) -> (u32, u32) {
        let mut numbers =
            self.release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// That a section's kind came after this kernel, where it did.
    pub(super) fn came_later(&self, section: &str) -> Option<String> {
        let kind = SectionKind::of(section)?;
        let floor = kind.floor.filter(|floor| self.version() < (floor.0.into(), floor.1.into()))?;
        Some(format!("`{}` came with Linux {floor}, and this is {}", kind.prefix(), self.release))
    }

    /// The capabilities that loading programs of these kinds takes.
    pub(in crate::bpf) fn needed(&self, kinds: impl Iterator<Item = ProgramType>) -> Vec<&'static str> {
        if self.version() < (5, 8) {
            return vec!["CAP_SYS_ADMIN"];
        }
        let mut needed = vec!["CAP_BPF"];
        for kind in kinds {
            let capability = if traces(kind) {
                "CAP_PERFMON"
            } else if is_of_the_network(kind) {
                "CAP_NET_ADMIN"
            } else {
                continue;
            };
            if !needed.contains(&capability) {
                needed.push(capability);
            }
        }
        needed
    }

    /// Those of them that this thread does not have. Those of a user namespace do not count.
    pub(in crate::bpf) fn missing(&self, needed: &[&'static str]) -> Vec<&'static str> {
        if self.user_namespace {
            return needed.to_vec();
        }
        if self.effective.contains(&Capability::CAP_SYS_ADMIN) {
            return Vec::new();
        }
        let has = |name: &str| self.effective.iter().any(|capability| capability.to_string() == name);
        needed.iter().copied().filter(|name| !has(name)).collect()
    }

    /// How to get capabilities.
    pub(super) fn privilege_advice(&self) -> &'static str {
        if self.user_namespace {
            return "this process lives in a user namespace, whose capabilities do not count for BPF: run it outside \
                    (no rootless container, --userns=host in Docker, no hostUsers: false in Kubernetes)";
        }
        "run as root, or with AmbientCapabilities= in the systemd unit, --cap-add in Docker, \
         capabilities.add in Kubernetes"
    }

    /// Whether this thread may do all that root may, as far as capabilities go.
    pub(super) fn has_all(&self) -> bool {
        self.missing(&["CAP_SYS_ADMIN"]).is_empty()
    }

    /// Who else refuses what the capabilities allow, and what to do.
    pub(super) fn refusal(&self) -> String {
        let memory = self.memlock_advice();
        let filter = self.filter_advice().unwrap_or(
            "a security module such as SELinux or AppArmor (`dmesg | grep -i denied` tells which), as no seccomp filter \
             is at work",
        );
        format!("no capability is missing, so something else refuses: {filter}{memory}")
    }

    /// What to do about a system call that is not there: `option` is what the kernel has it by.
    pub(super) fn unknown_call(&self, option: &str) -> String {
        match self.filter_advice() {
            Some(filter) => format!("if not the kernel ({option}), it is {filter}"),
            None => format!("this kernel is built without {option}"),
        }
    }

    fn filter_advice(&self) -> Option<&'static str> {
        self.filtered.then_some(
            "the seccomp filter that this process runs under, which has to let bpf and perf_event_open through \
             (SystemCallFilter= in the systemd unit, --security-opt seccomp= in Docker, seccompProfile in Kubernetes)",
        )
    }

    /// What to do about locked memory, where that matters.
    pub(super) fn memlock_advice(&self) -> &'static str {
        if self.version() < (5, 11) {
            "; Linux before 5.11 counts maps as locked memory: raise it with LimitMEMLOCK=infinity or `ulimit -l`"
        } else {
            ""
        }
    }

    /// That a locked kernel is why its verifier refuses a program: that one does not say so.
    pub(super) fn locks_out(&self, refusal: &str) -> Option<String> {
        let mode = self.lockdown.as_deref()?;
        let does = if refusal.contains("bpf_probe_read") && mode == "confidentiality" {
            "read its memory"
        } else if refusal.contains("bpf_probe_write_user") {
            "write into memory of processes"
        } else {
            return None;
        };
        Some(format!("the kernel is locked down ({mode}) and lets no program {does}"))
    }

    /// Lockdown, where it is on.
    pub(super) fn lockdown_note(&self) -> String {
        match &self.lockdown {
            Some(mode) => format!("; the kernel is locked down ({mode})"),
            None => String::new(),
        }
    }
}

fn traces(kind: ProgramType) -> bool {
    matches!(
        kind,
        ProgramType::Kprobe
            | ProgramType::Tracepoint
            | ProgramType::PerfEvent
            | ProgramType::RawTracepoint
            | ProgramType::RawTracepointWritable
            | ProgramType::Tracing
            | ProgramType::Lsm
            | ProgramType::StructOps
            | ProgramType::Ext
    )
}

fn is_of_the_network(kind: ProgramType) -> bool {
    !matches!(
        kind,
        ProgramType::SocketFilter | ProgramType::Syscall | ProgramType::Unspec | ProgramType::Unknown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(release: &str, has: &[Capability], kinds: &[ProgramType], needed: &[&str], missing: &[&str]) {
        let machine = Machine {
            release: release.into(),
            effective: has.iter().copied().collect(),
            ..Machine::default()
        };
        let actual = machine.needed(kinds.iter().copied());
        assert_eq!(actual, needed, "needed");
        assert_eq!(machine.missing(&actual), missing, "missing");
    }

    #[test]
    fn kinds_that_came_later_are_known() {
        #[track_caller]
        fn check(release: &str, section: &str, expected: Option<&str>) {
            let machine = Machine { release: release.into(), ..Machine::default() };
            let found = machine.came_later(section);
            assert_eq!(found.is_some(), expected.is_some(), "{section} on {release}: {found:?}");
            assert!(
                found.unwrap_or_default().contains(expected.unwrap_or_default()),
                "{section} on {release}"
            );
        }
        check(
            "5.10.0-46-amd64",
            "xdp.frags",
            Some("`xdp.frags` came with Linux 5.18, and this is 5.10.0-46-amd64"),
        );
        check("5.18.0", "xdp.frags", None);
        check("5.10.0", "uprobe.s//bin/sh:main", Some("`uprobe.s` came with Linux 6.0"));
        check("5.10.0", "cgroup/connect_unix", Some("6.7"));
        check("5.10.0", "kprobe/vfs_read", None);
        check("5.10.0", "nonsense", None);
    }

    #[test]
    fn capabilities_follow_from_the_programs_and_the_kernel() {
        use Capability::{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN};
        use ProgramType::{Kprobe, SocketFilter, Tracepoint, Xdp};
        check("6.18.1", &[], &[], &["CAP_BPF"], &["CAP_BPF"]);
        check(
            "6.1.0-9-amd64",
            &[CAP_BPF],
            &[Tracepoint, Kprobe],
            &["CAP_BPF", "CAP_PERFMON"],
            &["CAP_PERFMON"],
        );
        check("6.1", &[CAP_BPF, CAP_PERFMON], &[Xdp], &["CAP_BPF", "CAP_NET_ADMIN"], &["CAP_NET_ADMIN"]);
        check("6.1", &[CAP_SYS_ADMIN], &[Xdp, Kprobe], &["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"], &[]);
        check("5.10.0", &[CAP_BPF, CAP_NET_ADMIN], &[SocketFilter], &["CAP_BPF"], &[]);
        check("5.4.0-1-generic", &[CAP_BPF], &[Kprobe], &["CAP_SYS_ADMIN"], &["CAP_SYS_ADMIN"]);
        check("4.18.0", &[CAP_SYS_ADMIN], &[Kprobe], &["CAP_SYS_ADMIN"], &[]);
    }

    #[test]
    fn capabilities_of_a_user_namespace_do_not_count() {
        let effective = [Capability::CAP_SYS_ADMIN, Capability::CAP_BPF].into_iter().collect();
        let machine = Machine { effective, user_namespace: true, ..Machine::default() };
        assert_eq!(machine.missing(&["CAP_BPF"]), ["CAP_BPF"]);
        assert!(!machine.has_all());
        assert!(machine.privilege_advice().contains("user namespace"));
    }
}
