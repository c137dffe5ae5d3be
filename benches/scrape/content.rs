//! What is in the maps.

use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// The content of one config.
#[derive(Clone, Copy)]
pub enum Content {
    /// Series of a hash map.
    Plain(usize),
    /// Series of a per-CPU hash map.
    PerCpu(usize),
    /// Histograms of 27 buckets, whose slots are entries of a hash map.
    Histograms(usize),
}

/// Slots of a histogram: its buckets and the sum.
const SLOTS: usize = 28;

impl Content {
    pub fn map(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::PerCpu(_) => "per_cpu",
            Self::Histograms(_) => "slots",
        }
    }

    pub fn entries(&self) -> usize {
        match self {
            Self::Plain(count) | Self::PerCpu(count) => *count,
            Self::Histograms(count) => count * SLOTS,
        }
    }

    pub fn series(&self) -> usize {
        match self {
            Self::Plain(count) | Self::PerCpu(count) => *count,
            Self::Histograms(count) => count * (SLOTS + 2),
        }
    }

    /// The config, with a map that has room for all of it.
    pub fn yaml(&self, number: usize) -> String {
        let map = self.map();
        let room = self.entries().next_power_of_two().max(1024);
        let head = format!("object: maps.bpf.o\nmaps: {{{map}: {{max_entries: {room}}}}}\nmetrics:\n");
        match self {
            Self::Plain(_) | Self::PerCpu(_) => format!(
                "{head}  counters:\n    - {{name: bench_{number}_total, map: {map}, help: Known, labels: [a, b, comm]}}\n"
            ),
            Self::Histograms(_) => format!(
                "{head}  histograms:\n    - {{name: bench_{number}_seconds, map: {map}, help: Known, bucket: bucket, \
                 bucket_type: exp2, bucket_min: 0, bucket_max: 26, bucket_multiplier: 0.000001, labels: [device, operation]}}\n"
            ),
        }
    }

    /// Puts it into its map.
    pub fn fill(&self, map: &MapHandle) {
        let entries = 0..u32::try_from(self.entries()).unwrap();
        if let Self::PerCpu(_) = self {
            let cpus = libbpf_rs::num_possible_cpus().unwrap();
            for n in entries {
                let values = vec![value(n).to_ne_bytes().to_vec(); cpus];
                map.update_percpu(&key(n), &values, MapFlags::ANY).unwrap();
            }
            return;
        }
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for n in entries.clone() {
            match self {
                Self::Histograms(_) => keys.extend(slot_key(n)),
                Self::Plain(_) | Self::PerCpu(_) => keys.extend(key(n)),
            }
            values.extend(value(n).to_ne_bytes());
        }
        if !keys.is_empty() {
            map.update_batch(&keys, &values, entries.end, MapFlags::ANY, MapFlags::ANY).unwrap();
        }
    }
}

/// Numbers of all lengths.
fn value(n: u32) -> u64 {
    u64::from(n).wrapping_mul(2_654_435_761) >> (n % 24)
}

fn key(n: u32) -> [u8; 24] {
    let mut key = [0; 24];
    key[..4].copy_from_slice(&n.to_ne_bytes());
    key[4..8].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_ne_bytes());
    let comm = format!("worker-{}", n % 1000);
    key[8..8 + comm.len()].copy_from_slice(comm.as_bytes());
    key
}

fn slot_key(n: u32) -> [u8; 16] {
    let (histogram, slot) = (n / SLOTS as u32, n % SLOTS as u32);
    let mut key = [0; 16];
    key[..4].copy_from_slice(&(histogram / 4).to_ne_bytes());
    key[4] = (histogram % 4) as u8;
    key[8..].copy_from_slice(&u64::from(slot).to_ne_bytes());
    key
}
