//! `syscall`: the name of a system call.

use super::tables::syscalls::{AARCH64, X86_64};
use super::{Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number::Numbers, text};

pub(super) const ENTRY: Entry = Entry {
    name: "syscall",
    summary: "The name of a system call by number, from the kernel's own table for this machine; `unknown_syscall:N` when it has none.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Syscall {
    numbers: Numbers,
}

fn build(kind: Kind) -> Built {
    Ok((Box::new(Syscall { numbers: Numbers::of("syscall", kind)? }), Kind::Text))
}

impl Decode for Syscall {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let number = self.numbers.read(value)?;
        match name(NATIVE, number) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => text::push_unknown(out, "unknown_syscall:", number),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.numbers.injective())
    }
}

/// The table of this machine; aarch64's is the generic one, which newer machines share.
const NATIVE: &[(u16, &str)] = if cfg!(target_arch = "x86_64") { X86_64 } else { AARCH64 };

fn name(table: &'static [(u16, &'static str)], number: i128) -> Option<&'static str> {
    let number = u16::try_from(number).ok()?;
    // Most tables have few gaps, so that the number is usually the place or shortly after it.
    let index = match table.get(usize::from(number)) {
        Some((found, _)) if *found == number => usize::from(number),
        _ => table.binary_search_by_key(&number, |(number, _)| *number).ok()?,
    };
    table.get(index).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: &'static [(u16, &'static str)], number: i128, expected: Option<&str>) {
        assert_eq!(name(table, number), expected, "{number}");
    }

    #[test]
    fn x86_64_names() {
        for (number, expected) in [
            (0, "read"),
            (1, "write"),
            (7, "poll"),
            (17, "pread64"),
            (60, "exit"),
            (202, "futex"),
            (228, "clock_gettime"),
            (231, "exit_group"),
            (293, "pipe2"),
            (334, "rseq"),
            (335, "uretprobe"),
            (424, "pidfd_send_signal"),
            (447, "memfd_secret"),
            (453, "map_shadow_stack"),
            (467, "open_tree_attr"),
            (469, "file_setattr"),
            (470, "listns"),
        ] {
            check(X86_64, number, Some(expected));
        }
        for unknown in [-1, 337, 423, 512, 4096, 0x4000_0000, i128::from(u64::MAX)] {
            check(X86_64, unknown, None);
        }
    }

    #[test]
    fn aarch64_names() {
        for (number, expected) in [
            (0, "io_setup"),
            (1, "io_destroy"),
            (25, "fcntl"),
            (79, "newfstatat"),
            (84, "sync_file_range"),
            (94, "exit_group"),
            (98, "futex"),
            (222, "mmap"),
            (293, "rseq"),
            (447, "memfd_secret"),
            (469, "file_setattr"),
        ] {
            check(AARCH64, number, Some(expected));
        }
        for unknown in [-1, 244, 295, 423, 500] {
            check(AARCH64, unknown, None);
        }
    }

    #[test]
    fn the_native_table_agrees_with_libc() {
        for (number, expected) in [
            (libc::SYS_openat, "openat"),
            (libc::SYS_futex, "futex"),
            (libc::SYS_bpf, "bpf"),
            (libc::SYS_exit_group, "exit_group"),
            (libc::SYS_newfstatat, "newfstatat"),
            (libc::SYS_clock_gettime, "clock_gettime"),
            (libc::SYS_faccessat2, "faccessat2"),
            (libc::SYS_mseal, "mseal"),
        ] {
            check(NATIVE, i128::from(number), Some(expected));
        }
    }

    #[test]
    fn numbers_rise_and_names_differ() {
        for table in [X86_64, AARCH64] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let names: std::collections::BTreeSet<_> = table.iter().map(|(_, name)| name).collect();
            assert_eq!(names.len(), table.len());
        }
    }
}
