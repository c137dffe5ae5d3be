//! The machine's names for its numbers.
//!
//! Every root is an argument, so that a container can look at its host and a
//! test at a fixture. Nothing is read before it is asked for; every cache is
//! bounded and forgets, because what an interface, cgroup, device or symbol
//! number means can change.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use crate::btf::Kind;

pub use binaries::{Binary, Identity};
pub use cache::TtlCache;
pub use cgroups::select::{CgroupPattern, SelectedCgroup};
pub use cgroups::{Cgroup, CgroupFollower, CgroupFollowing, CgroupListener};
pub use clock::Clock;
pub use descriptors::{Reserve, are_left, has_room};
pub use functions::{Function, MOST_FUNCTIONS, Modules, pattern_of_functions};
pub use interfaces::Interface;
pub use kernel_configuration::{KernelBuild, KernelConfiguration};
pub use kernel_types::KernelTypes;
pub use pace::Pace;
pub use pattern::Pattern;
pub use pci::PciIds;
pub use pins::{PinnedMap, PinnedMaps, PinnedTypes};

mod binaries;
mod block;
mod cache;
mod cgroups;
mod clock;
mod cpus;
mod descriptors;
mod file;
mod functions;
mod interfaces;
mod kallsyms;
mod kernel_configuration;
mod kernel_types;
mod memory;
mod pace;
mod pattern;
mod pci;
mod pins;
mod users;

/// Where the machine's file systems are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`
    pub procfs: PathBuf,
    /// `/sys`
    pub sysfs: PathBuf,
    /// The cgroup mount, `/sys/fs/cgroup`.
    pub cgroupfs: PathBuf,
    /// `/`: for `/etc/passwd` and `/usr/share/*/pci.ids`.
    pub rootfs: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            cgroupfs: "/sys/fs/cgroup".into(),
            rootfs: "/".into(),
        }
    }
}

/// What an address is, by kallsyms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The symbol's text as the reference prints it (`name`, or `name\t[module]`).
    Named(Arc<str>),
    /// No symbol there.
    Unknown,
    /// kallsyms shows no addresses (`kptr_restrict`, or CAP_SYSLOG is missing), or cannot be read.
    Hidden,
}

/// The machine's names. Cheap to share: one per process, behind an `Arc`.
#[derive(Debug)]
pub struct Host {
    /// Where it looks.
    pub roots: Roots,
    clock: Clock,
    kallsyms: Mutex<kallsyms::Kallsyms>,
    /// With when they are read again.
    modules: Mutex<Option<(Duration, Option<Arc<Modules>>)>>,
    cgroups: Arc<Mutex<cgroups::Cgroups>>,
    cgroup_watch: Once,
    interfaces: Mutex<interfaces::Interfaces>,
    block_devices: Mutex<block::BlockDevices>,
    users: Mutex<users::Users>,
    pci: Mutex<pci::PciDatabase>,
    kernel_types: Mutex<kernel_types::Reader>,
    pins: Arc<dyn PinnedMaps>,
    kernel_configuration: Option<PathBuf>,
}

impl Host {
    /// A host below these roots; reads nothing yet.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self::with_clock(roots, Clock::system())
    }

    /// The same with a clock that decides when something is looked at again.
    #[must_use]
    pub fn with_clock(roots: Roots, clock: Clock) -> Self {
        let kallsyms = kallsyms::Kallsyms::new(roots.procfs.join("kallsyms"), clock.clone());
        Self {
            roots,
            kallsyms: Mutex::new(kallsyms),
            modules: Mutex::default(),
            cgroups: Arc::new(Mutex::new(cgroups::Cgroups::new(clock.clone()))),
            cgroup_watch: Once::new(),
            interfaces: Mutex::new(interfaces::Interfaces::new()),
            block_devices: Mutex::new(block::BlockDevices::new()),
            users: Mutex::default(),
            pci: Mutex::default(),
            kernel_types: Mutex::default(),
            pins: Arc::new(pins::NoPins),
            kernel_configuration: None,
            clock,
        }
    }

    /// The same with a file to read the kernel's BTF from, when there is one (`--btf.path`).
    #[must_use]
    pub fn with_kernel_btf(mut self, path: Option<PathBuf>) -> Self {
        self.kernel_types = Mutex::new(kernel_types::Reader::new(path));
        self
    }

    /// The same with somebody who can look at pinned maps.
    #[must_use]
    pub fn with_pins(mut self, pins: Arc<dyn PinnedMaps>) -> Self {
        self.pins = pins;
        self
    }

    /// Who can look at pinned maps.
    #[must_use]
    pub fn pins(&self) -> &dyn PinnedMaps {
        &*self.pins
    }

    /// The same with a file to read the kernel's configuration from, when there is one (`--bpf.kconfig`).
    #[must_use]
    pub fn with_kernel_configuration(mut self, path: Option<PathBuf>) -> Self {
        self.kernel_configuration = path;
        self
    }

    /// The running kernel's configuration, as far as these options go.
    ///
    /// # Errors
    /// When it is nowhere, or cannot be read.
    pub fn kernel_configuration(&self, names: &[&str]) -> std::io::Result<KernelConfiguration> {
        kernel_configuration::read(&self.kernel_configuration_places(), names)
    }

    /// What the running kernel was built with.
    ///
    /// # Errors
    /// When its configuration is nowhere, cannot be read, or is not all of one.
    pub fn kernel_build(&self) -> std::io::Result<KernelBuild> {
        kernel_configuration::build(&self.kernel_configuration_places())
    }

    /// The files that the kernel's configuration may be in, the best one first.
    #[must_use]
    pub fn kernel_configuration_places(&self) -> Vec<PathBuf> {
        kernel_configuration::places(self.kernel_configuration.as_deref(), &self.roots)
    }

    /// The running kernel's types, read when they are first asked for and kept until
    /// [`Self::release_kernel_types`]: to be asked for while starting, not by scrapes.
    ///
    /// # Errors
    /// When the kernel brings none, or what is there cannot be read.
    pub fn kernel_types(&self) -> std::io::Result<Arc<KernelTypes>> {
        lock(&self.kernel_types).get(&self.roots.sysfs)
    }

    /// The file that the kernel's types are read from.
    #[must_use]
    pub fn kernel_types_file(&self) -> PathBuf {
        lock(&self.kernel_types).file(&self.roots.sysfs)
    }

    /// Whether the running kernel or one of its loaded modules has a type of this name: a function that
    /// programs could attach to (`Kind::Func`), or a tracepoint (`btf_trace_<name>`, a `Kind::Typedef`).
    ///
    /// # Errors
    /// When the kernel's types cannot be read.
    pub fn kernel_has_type(&self, name: &str, kind: Kind) -> std::io::Result<bool> {
        Ok(self.kernel_types()?.has(name, kind))
    }

    /// Lets go of the kernel's types; who holds them still keeps them alive.
    pub fn release_kernel_types(&self) {
        lock(&self.kernel_types).release();
    }

    /// The symbol that starts exactly at an address.
    #[must_use]
    pub fn symbol_at(&self, address: u64) -> Symbol {
        lock(&self.kallsyms).at(address)
    }

    /// The symbol that an address lies in: the nearest preceding one, however far, as with the reference.
    #[must_use]
    pub fn symbol_around(&self, address: u64) -> Symbol {
        lock(&self.kallsyms).around(address)
    }

    /// The address of a kernel or module symbol (the first one of that name), for `kaddrs`.
    ///
    /// # Errors
    /// When kallsyms cannot be read or hides its addresses.
    pub fn symbol_address(&self, name: &str) -> std::io::Result<Option<u64>> {
        lock(&self.kallsyms).address(name)
    }

    /// The functions of the kernel that probes can be attached to and whose names match, in their order.
    ///
    /// # Errors
    /// When the machine shows no list of them.
    pub fn select_functions(&self, pattern: &Pattern) -> std::io::Result<Vec<Function>> {
        functions::select(&self.roots, pattern)
    }

    /// All functions of the kernel that have these names now.
    ///
    /// # Errors
    /// When the machine does not show its symbols.
    pub fn find_functions(&self, names: &HashSet<String>) -> std::io::Result<Vec<Function>> {
        functions::find(&self.roots, names)
    }

    /// Which modules are in the kernel, comparable with what there is later; none when the machine does not tell. All who ask
    /// within half a second are told the same.
    #[must_use]
    pub fn modules(&self) -> Option<Arc<Modules>> {
        const GOOD_FOR: Duration = Duration::from_millis(500);
        let mut known = lock(&self.modules);
        let now = self.clock.now();
        match &*known {
            Some((until, modules)) if now < *until => modules.clone(),
            _ => {
                let modules = functions::modules(&self.roots).map(Arc::new);
                *known = Some((now + GOOD_FOR, modules.clone()));
                modules
            }
        }
    }

    /// Opens the list of the kernel's symbols now, to be read when one is asked for. Who may see addresses is
    /// decided here: to be called before CAP_SYSLOG is given up, when symbols will be asked for.
    ///
    /// # Errors
    /// When kallsyms cannot be read or hides its addresses.
    pub fn open_symbols(&self) -> std::io::Result<()> {
        lock(&self.kallsyms).keep_open()
    }

    /// The path of a cgroup as the reference prints it (`/sys/fs/cgroup/...`), by its id.
    /// The last name of a cgroup that is gone is still known, within bounds.
    #[must_use]
    pub fn cgroup_path(&self, id: u64) -> Option<Arc<str>> {
        self.watch_cgroups();
        lock(&self.cgroups).path(&self.roots, id)
    }

    /// Starts a thread that learns the names of cgroups while they live; it ends with the host. The first
    /// [`Self::cgroup_path`] does the same, but then those that came and went before it have no name. The
    /// thread needs no privilege: call this after privileges were given up, so that it never has any.
    pub fn watch_cgroups(&self) {
        self.cgroup_watch.call_once(|| cgroups::Cgroups::watch(&self.cgroups, &self.roots));
    }

    /// The root of the cgroup v2 hierarchy; none where it is mounted nowhere.
    #[must_use]
    pub fn cgroup_root(&self) -> Option<PathBuf> {
        cgroups::root(&self.roots)
    }

    /// Tells a listener of all cgroups that there are, before this returns, and of what becomes of them while the
    /// follower runs.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn follow_cgroups(
        &self,
        listener: Box<dyn CgroupListener>,
    ) -> std::io::Result<(CgroupFollower, CgroupFollowing)> {
        CgroupFollower::start(&self.roots, listener)
    }

    /// How often the tree of cgroups was walked, which is what unknown ids cost.
    #[must_use]
    pub fn cgroup_walks(&self) -> u64 {
        lock(&self.cgroups).walks()
    }

    /// The cgroups of the cgroup2 hierarchy that have one of these paths, and none below another one of them;
    /// none where that hierarchy is mounted nowhere.
    #[must_use]
    pub fn select_cgroups(&self, patterns: &[CgroupPattern]) -> Option<Vec<SelectedCgroup>> {
        cgroups::select::select(&self.roots, patterns)
    }

    /// Where a path of a cgroup does not lead anywhere: the cgroups there are in its place.
    #[must_use]
    pub fn cgroups_beside(&self, pattern: &CgroupPattern) -> Vec<String> {
        cgroups::select::siblings(&self.roots, pattern)
    }

    /// The name of a network interface in the exporter's own network namespace.
    #[must_use]
    pub fn interface_name(&self, index: u32) -> Option<Arc<str>> {
        lock(&self.interfaces).name(index, self.clock.now())
    }

    /// The interfaces of the calling thread's network namespace that are meant, and names of those that are
    /// not there.
    #[must_use]
    pub fn select_interfaces(&self, patterns: &[Pattern]) -> (Vec<Interface>, Vec<String>) {
        interfaces::select(&self.roots, patterns)
    }

    /// The names of all interfaces of the calling thread's network namespace.
    #[must_use]
    pub fn interface_names(&self) -> Vec<String> {
        interfaces::names(&self.roots)
    }

    /// Programs and libraries by path or name, below roots or on this machine, each once; and what is not there.
    #[must_use]
    pub fn select_binaries(&self, files: &[String], roots: &[String]) -> (Vec<Binary>, Vec<String>) {
        binaries::select(files, roots)
    }

    /// Files of any kind by an absolute path with `*` and `?`.
    #[must_use]
    pub fn select_paths(&self, pattern: &str) -> Vec<Binary> {
        binaries::paths(pattern)
    }

    /// The name of a block device by major and minor number.
    #[must_use]
    pub fn block_device(&self, major: u32, minor: u32) -> Option<Arc<str>> {
        let roots = (self.roots.sysfs.as_path(), self.roots.procfs.as_path());
        lock(&self.block_devices).name(roots, (major, minor), self.clock.now())
    }

    /// The name of a user by number, from `etc/passwd` below the root file system.
    #[must_use]
    pub fn user_name(&self, uid: u32) -> Option<Arc<str>> {
        lock(&self.users).name(&self.roots.rootfs, uid, self.clock.now())
    }

    /// The PCI ID database, when the host has one.
    #[must_use]
    pub fn pci_ids(&self) -> Option<Arc<PciIds>> {
        lock(&self.pci).get(&self.roots.rootfs, self.clock.now())
    }

    /// The CPUs that there could be, which per-CPU maps have values for.
    ///
    /// # Errors
    /// When the kernel's list cannot be read or is none.
    pub fn possible_cpus(&self) -> std::io::Result<Vec<u32>> {
        cpus::read(&self.roots.sysfs, "possible")
    }

    /// The CPUs that are running now.
    ///
    /// # Errors
    /// When the kernel's list cannot be read or is none.
    pub fn online_cpus(&self) -> std::io::Result<Vec<u32>> {
        cpus::read(&self.roots.sysfs, "online")
    }

    /// Bytes of memory that the machine has; none when it does not tell.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        memory::total(&self.roots.procfs)
    }

    /// Bytes of a page of memory.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        rustix::param::page_size() as u64
    }

    /// Lets go of what is large and was not asked for in the last ten minutes. To be called now and then.
    pub fn release_unused(&self) {
        lock(&self.kallsyms).release_unused();
    }
}

/// A thread that ended in a panic leaves names that are whole: each is written after it was found.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
