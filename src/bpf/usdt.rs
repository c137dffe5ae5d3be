//! Where the arguments of USDT probes are, in the layout that an object was compiled for.
//!
//! libbpf writes a description of each probe's arguments into the object's map
//! `__bpf_usdt_specs`, which the object's own copy of `usdt.bpf.h` reads. libbpf 1.7.0 made the
//! description of an argument longer (its bit field does not fit where it was meant to), so that
//! objects compiled with the headers of 1.6 and before, which are nearly all, read nonsense. The
//! linker (`--wrap`, see build.rs) leads libbpf's updates of maps through here, and descriptions
//! for maps of the old size are rewritten.
#![expect(unsafe_code, reason = "libbpf calls the function by its unmangled name")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;

use super::raw;

/// The probe descriptions hold so many arguments.
const ARGUMENTS: usize = 12;
/// An argument's description as libbpf 1.7.0 writes it, and as headers before know it.
const LONG: usize = 24;
const SHORT: usize = 16;
/// Behind the arguments: a cookie, their count, and room up to a multiple of 8.
const REST: usize = 16;

/// A probe's description as libbpf 1.7.0 writes it.
const WRITTEN: usize = ARGUMENTS * LONG + REST;
/// The same for headers of libbpf 1.6 and before.
const EXPECTED: usize = ARGUMENTS * SHORT + REST;

thread_local! {
    /// Whether this thread attaches USDT probes: only then is a map's value what libbpf's USDT code wrote.
    static ATTACHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `attach`, which attaches a USDT program.
pub(super) fn attaching<T>(attach: impl FnOnce() -> T) -> T {
    ATTACHING.set(true);
    let result = attach();
    ATTACHING.set(false);
    result
}

/// In the place of libbpf's `bpf_map_update_elem`: negative errors, and `errno`.
///
/// # Safety
/// As for libbpf's: `key` and `value` point to as many bytes as the map's keys and values have.
// SAFETY: the linker makes this name; no other function has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_bpf_map_update_elem(
    map: c_int,
    key: *const c_void,
    value: *const c_void,
    flags: u64,
) -> c_int {
    if !ATTACHING.get() || !expects_short(map) {
        // SAFETY: the caller's promise.
        return unsafe { raw::update(map, key, value, flags) };
    }
    // SAFETY: while USDT probes are attached, libbpf alone updates maps, and into one of values of
    // this size it writes the description of a probe, which is longer.
    let written = unsafe { &*value.cast::<[u8; WRITTEN]>() };
    let expected = shorten(written);
    // SAFETY: the caller's promise for the key; the value has just the size of the map's.
    unsafe { raw::update(map, key, expected.as_ptr().cast(), flags) }
}

fn expects_short(map: c_int) -> bool {
    if map < 0 {
        return false;
    }
    // SAFETY: libbpf has the descriptor open during the call that this is a part of.
    let map = unsafe { BorrowedFd::borrow_raw(map) };
    raw::map_facts(map).is_ok_and(|facts| {
        facts.kind == libbpf_sys::BPF_MAP_TYPE_ARRAY && facts.key_size == 4 && facts.value_size == EXPECTED
    })
}

/// A probe's description in the layout of libbpf 1.6 and before.
fn shorten(written: &[u8; WRITTEN]) -> [u8; EXPECTED] {
    let mut expected = [0; EXPECTED];
    let (arguments, rest) = written.split_at(ARGUMENTS * LONG);
    for (from, to) in arguments.chunks_exact(LONG).zip(expected.chunks_exact_mut(SHORT)) {
        // The constant or the offset, the kind of place (one byte now, a number of four before),
        // the register's offset, whether it is signed, and how far it is shifted.
        to[..8].copy_from_slice(&from[..8]);
        to[8..12].copy_from_slice(&u32::from(from[KIND]).to_ne_bytes());
        to[12..16].copy_from_slice(&from[14..18]);
    }
    expected[ARGUMENTS * SHORT..].copy_from_slice(rest);
    expected
}

/// Where the byte of the bit field is that says in what kind of place an argument is.
const KIND: usize = if cfg!(target_endian = "little") { 8 } else { 12 };
