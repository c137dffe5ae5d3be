//! Decoders that ask the machine, against a fixture of one.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::host::{Host, Roots};

/// A machine made of files, gone when dropped.
struct Machine {
    files: tempfile::TempDir,
    host: Arc<Host>,
}

impl Machine {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let root = |name: &str| {
            let path = files.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let roots = Roots {
            procfs: root("proc"),
            sysfs: root("sys"),
            cgroupfs: root("sys/fs/cgroup"),
            rootfs: root("root"),
        };
        Self { host: Arc::new(Host::new(roots)), files }
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.files.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    #[track_caller]
    fn check(&self, names: &[&str], field: &[u8], expected: &str) {
        let steps: Vec<_> = names.iter().map(|name| ((*name).to_owned(), Params::default())).collect();
        let chain = Chain::build(&steps, field.len(), &self.host).unwrap();
        let mut out = Vec::new();
        assert_eq!(chain.decode(field, &mut out, &mut Vec::new()), Ok(Outcome::Label));
        assert_eq!(String::from_utf8_lossy(&out), expected, "{names:?} on {field:02x?}");
    }
}

fn frames(addresses: &[u64]) -> Vec<u8> {
    addresses.iter().flat_map(|address| address.to_ne_bytes()).collect()
}

const LOCKS: &str = "ffffffeb19d90830 T pipe_lock\nffffffeb19d90870 T pipe_unlock\n\
                     ffffffeb21a0c000 t helper\t[bridge]\n";

#[test]
fn ksym_is_exact() {
    let machine = Machine::new().with("proc/kallsyms", LOCKS);
    for (address, expected) in [
        (0xffff_ffeb_19d9_0828, "unknown_addr:0xffffffeb19d90828"),
        (0xffff_ffeb_19d9_0830, "pipe_lock"),
        (0xffff_ffeb_19d9_0870, "pipe_unlock"),
        (0xffff_ffeb_19d9_0878, "unknown_addr:0xffffffeb19d90878"),
        (0xffff_ffeb_21a0_c000, "helper\t[bridge]"),
        (0, "unknown_addr:0x0"),
    ] {
        machine.check(&["ksym"], &u64::to_ne_bytes(address), expected);
        machine.check(&["uint", "ksym"], &u64::to_ne_bytes(address), expected);
    }
}

#[test]
fn kstack_is_the_nearest_before() {
    let machine = Machine::new().with("proc/kallsyms", "4 T one\n6 T two\naa T three\n");
    machine.check(&["kstack"], &frames(&[0, 0, 0]), "");
    machine.check(&["kstack"], &frames(&[4, 5, 6]), "one\none\ntwo");
    machine.check(&["kstack"], &frames(&[0xab, 0x10, 0x6]), "three\ntwo\ntwo");
    machine.check(&["kstack"], &frames(&[1, 0xac, 1]), "??\nthree\n??");
    machine.check(&["kstack"], &frames(&[4, 0, 6]), "one");
}

#[test]
fn hidden_addresses_name_nothing() {
    let machine = Machine::new().with("proc/kallsyms", "0000000000000000 T one\n0000000000000000 T two\n");
    machine.check(&["kstack"], &frames(&[4, 5]), "??\n??");
    machine.check(&["ksym"], &frames(&[4]), "unknown_addr:0x4");
    Machine::new().check(&["kstack"], &frames(&[4]), "??");
}

#[test]
fn majorminor_is_a_block_device() {
    let partitions = "major minor  #blocks  name\n\n   8        0  488386584 sda\n   8       16  1 sdb\n 259  256  1 nvme0n1\n";
    let machine = Machine::new().with("proc/partitions", partitions);
    machine.check(&["majorminor"], &0x0000_0800_u32.to_ne_bytes(), "sda");
    machine.check(&["majorminor"], &0x0000_0810_u32.to_ne_bytes(), "sdb");
    machine.check(&["majorminor"], &0x0000_8810_u32.to_ne_bytes(), "unknown:136:16");
    // Minor 256 has its upper bits above the major's.
    machine.check(&["majorminor"], &0x0011_0300_u32.to_ne_bytes(), "nvme0n1");
    machine.check(&["uint", "majorminor"], &0x0000_0800_u64.to_ne_bytes(), "sda");
}

#[test]
fn ifname_is_an_interface_of_ours() {
    let machine = Machine::new();
    machine.check(&["ifname"], &1_u32.to_ne_bytes(), "lo");
    machine.check(&["ifname"], &0_u32.to_ne_bytes(), "unknown:0");
    machine.check(&["ifname"], &2_734_686_214_u32.to_ne_bytes(), "unknown:2734686214");
    machine.check(&["uint", "ifname"], &1_u32.to_ne_bytes(), "lo");
}

#[test]
fn cgroup_is_a_path() {
    use std::os::unix::fs::MetadataExt;
    let machine = Machine::new();
    let below = machine.files.path().join("sys/fs/cgroup/system.slice/cron.service");
    fs::create_dir_all(&below).unwrap();
    let id = fs::metadata(&below).unwrap().ino();
    machine.check(&["uint", "cgroup"], &id.to_ne_bytes(), "/sys/fs/cgroup/system.slice/cron.service");
    machine.check(&["cgroup"], &id.to_ne_bytes(), "/sys/fs/cgroup/system.slice/cron.service");
    machine.check(&["uint", "cgroup"], &1_u64.to_ne_bytes(), "unknown_cgroup_id:1");
    machine.check(&["cgroup"], &u64::MAX.to_ne_bytes(), "unknown_cgroup_id:18446744073709551615");
}

#[test]
fn uid_is_a_user() {
    let machine = Machine::new()
        .with("root/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/false\n");
    machine.check(&["uid"], &0_u32.to_ne_bytes(), "root");
    machine.check(&["uint", "uid"], &33_u32.to_ne_bytes(), "www-data");
    machine.check(&["uid"], &1000_u32.to_ne_bytes(), "1000");
    machine.check(&["int", "uid"], &(-1_i32).to_ne_bytes(), "-1");
}

#[test]
fn pci_without_a_database() {
    let machine = Machine::new();
    for name in ["pci_vendor", "pci_device", "pci_class", "pci_subclass"] {
        machine.check(&["uint", name], &1_u32.to_ne_bytes(), "missing pci.ids db");
        // Even for what is no number, as in the reference.
        machine.check(&["string", name], b"one", "missing pci.ids db");
    }
}

const PCI_IDS: &str = "# A piece of pci.ids.
0010  Allied Telesis, Inc (Wrong ID)
8086  Intel Corporation
\t1000  82542 Gigabit Ethernet Controller (Fiber)
\t\t0e11 b0df  NC6132 Gigabit Ethernet Adapter (1000-SX)
10de  NVIDIA Corporation
\t2704  AD103 [GeForce RTX 4080]

C 00  Unclassified device
\t00  Non-VGA unclassified device
C 01  Mass storage controller
\t08  Non-Volatile memory controller
\t\t02  NVM Express
C 02  Network controller
\t00  Ethernet controller
C 0c  Serial bus controller
\t03  USB controller
";

#[test]
fn pci_names() {
    let machine = Machine::new().with("root/usr/share/misc/pci.ids", PCI_IDS);
    for (decoder, number, expected) in [
        ("pci_vendor", 32902_u32, "Intel Corporation"),
        ("pci_vendor", 4318, "NVIDIA Corporation"),
        // Of four digits, with zeros in front.
        ("pci_vendor", 0x10, "Allied Telesis, Inc (Wrong ID)"),
        ("pci_vendor", 48879, "unknown pci vendor: 0xbeef"),
        ("pci_vendor", 0x1_0000, "unknown pci vendor: 0x10000"),
        ("pci_device", 2_156_269_568, "82542 Gigabit Ethernet Controller (Fiber)"),
        ("pci_device", 282_994_436, "AD103 [GeForce RTX 4080]"),
        ("pci_device", 3_735_928_559, "unknown pci device: 0xdeadbeef"),
        ("pci_class", 1, "Mass storage controller"),
        ("pci_class", 12, "Serial bus controller"),
        ("pci_class", 253, "unknown pci class: 0xfd"),
        ("pci_subclass", 264, "Non-Volatile memory controller"),
        ("pci_subclass", 512, "Ethernet controller"),
        ("pci_subclass", 3075, "USB controller"),
        ("pci_subclass", 64768, "unknown pci class: 0xfd"),
        ("pci_subclass", 267, "unknown pci subclass: 0x0b (class 0x01)"),
        ("pci_subclass", 3, "unknown pci subclass: 0x03 (class 0x00)"),
    ] {
        machine.check(&["uint", decoder], &number.to_ne_bytes(), expected);
        machine.check(&[decoder], &number.to_ne_bytes(), expected);
    }
}
