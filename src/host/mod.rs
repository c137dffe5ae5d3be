//! The machine's names for its numbers.
//!
//! Every root is an argument, so that a container can look at its host and a
//! test at a fixture. Nothing is read before it is asked for; every cache is
//! bounded and forgets, because what an interface, cgroup, device or symbol
//! number means can change.

use std::path::PathBuf;
use std::sync::Arc;

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
}

impl Host {
    /// A host below these roots; reads nothing yet.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self { roots }
    }

    /// The symbol that starts exactly at an address.
    #[must_use]
    pub fn symbol_at(&self, _address: u64) -> Symbol {
        Symbol::Unknown
    }

    /// The symbol that an address lies in: the nearest preceding one.
    #[must_use]
    pub fn symbol_around(&self, _address: u64) -> Symbol {
        Symbol::Unknown
    }

    /// The address of a kernel or module symbol (the first one of that name), for `kaddrs`.
    ///
    /// # Errors
    /// When kallsyms cannot be read or hides its addresses.
    pub fn symbol_address(&self, _name: &str) -> std::io::Result<Option<u64>> {
        Ok(None)
    }

    /// The path of a cgroup as the reference prints it (`/sys/fs/cgroup/...`), by its id.
    /// The last name of a cgroup that is gone is still known, within bounds.
    #[must_use]
    pub fn cgroup_path(&self, _id: u64) -> Option<Arc<str>> {
        None
    }

    /// The name of a network interface in the exporter's own network namespace.
    #[must_use]
    pub fn interface_name(&self, _index: u32) -> Option<Arc<str>> {
        None
    }

    /// The name of a block device by major and minor number.
    #[must_use]
    pub fn block_device(&self, _major: u32, _minor: u32) -> Option<Arc<str>> {
        None
    }

    /// The name of a user by number, from `etc/passwd` below the root file system.
    #[must_use]
    pub fn user_name(&self, _uid: u32) -> Option<Arc<str>> {
        None
    }

    /// The PCI ID database, when the host has one.
    #[must_use]
    pub fn pci_ids(&self) -> Option<Arc<PciIds>> {
        None
    }
}

/// A parsed `pci.ids`.
#[derive(Debug, Default)]
pub struct PciIds {}

impl PciIds {
    /// A vendor's name.
    #[must_use]
    pub fn vendor(&self, _vendor: u16) -> Option<&str> {
        None
    }

    /// A device's name.
    #[must_use]
    pub fn device(&self, _vendor: u16, _device: u16) -> Option<&str> {
        None
    }

    /// A class's name.
    #[must_use]
    pub fn class(&self, _class: u8) -> Option<&str> {
        None
    }

    /// A subclass's name.
    #[must_use]
    pub fn subclass(&self, _class: u8, _subclass: u8) -> Option<&str> {
        None
    }
}
