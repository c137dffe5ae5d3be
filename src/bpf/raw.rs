//! Every call that the compiler cannot check, behind functions that it can.
#![expect(unsafe_code, reason = "the kernel's and libbpf's C interfaces; nothing else in the crate needs it")]

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use libbpf_rs::btf::types::{DataSec, Var};
use libbpf_rs::btf::{Btf, BtfType};
use libbpf_rs::{AsRawLibbpf, Link, MapMut, ObjectBuilder, OpenMapMut, OpenObject, Program};

mod links;
mod pins;

pub(super) use links::{
    FilterPlace, LinkTarget, attach_kprobe_multi, attach_to_map, create_clsact, create_link, detach_from_map,
    detach_link, open_perf_event, packet_socket, program_of_filter, remove_clsact, remove_filter,
    run_iterator, set_filter, set_filter_of, update_link,
};
pub(super) use pins::{
    LinkFacts, MapDescription, btf, describe_map, is_link, is_there, link_facts, open_pin, open_pinned_map,
    pin, pin_path, program_of_link,
};

/// The kernel's ENOTSUPP, which reaches user space although it is meant not to.
pub(super) const ENOTSUPP: i32 = 524;

/// Room for a batch: the token, the keys and the values of `rows` entries.
pub(super) struct BatchBuffers<'a> {
    pub(super) token_out: &'a mut [u8],
    pub(super) keys: &'a mut [u8],
    pub(super) values: &'a mut [u8],
}

/// What a map says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapFacts {
    pub(super) kind: u32,
    pub(super) key_size: usize,
    pub(super) value_size: usize,
    pub(super) max_entries: u32,
}

/// Where the number of times ends that a program was left out, in what the kernel says of it.
const MISSES_END: usize =
    std::mem::offset_of!(libbpf_sys::bpf_prog_info, recursion_misses) + size_of::<u64>();

/// What a program says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramFacts {
    pub(super) id: u32,
    pub(super) tag: [u8; 8],
    pub(super) run_time: Duration,
    pub(super) run_count: u64,
    /// Instructions that the verifier went through, every path counted; 0 before Linux 5.16.
    pub(super) verified_instructions: u32,
    /// How often it was left out; none of a kernel that does not count that (before Linux 5.12).
    pub(super) missed: Option<u64>,
}

/// A variable of the object's global data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GlobalVariable {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) offset: usize,
    pub(super) size: usize,
}

/// Has all threads take memory from two places. glibc gives each thread one of its own, of which each keeps what a
/// large scrape or a load once needed there; hardly anything is allocated for a series, so that nobody waits.
pub fn share_memory() {
    // SAFETY: it sets a number of the allocator, which has no other user yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives memory back to the kernel that was freed and is kept for later.
pub(super) fn give_memory_back() {
    // SAFETY: it takes the locks of the allocator, and moves nothing.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets signals through that this thread's creator held back, which is inherited: who waits for them would wait for ever.
///
/// # Errors
/// When the kernel does not know one of them.
pub fn let_through(signals: &[c_int]) -> io::Result<()> {
    // SAFETY: a set of signals is plain bytes, which are made an empty set before anything reads them, and are this
    // function's own.
    let outcome = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut())
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(outcome)) }
}

/// Looks up to `rows` entries up; returns how many came and whether these were the last.
///
/// A token is as long as a key, and at least four bytes. `entry` is the bytes of one key and
/// of one value as the kernel writes it, with all its CPUs.
///
/// # Errors
/// What the kernel answered. Nothing in the buffers is of use then.
pub(super) fn lookup_batch(
    map: BorrowedFd<'_>,
    token: Option<&[u8]>,
    buffers: &mut BatchBuffers<'_>,
    rows: usize,
    entry: (usize, usize),
) -> io::Result<(usize, bool)> {
    let (key, value) = entry;
    let token_size = key.max(4);
    let fits = |buffer: &[u8], size: usize| rows.checked_mul(size).is_some_and(|all| buffer.len() >= all);
    let tokens = buffers.token_out.len() >= token_size && token.is_none_or(|token| token.len() >= token_size);
    if !tokens || !fits(buffers.keys, key) || !fits(buffers.values, value) {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    let mut count = u32::try_from(rows).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let options = libbpf_sys::bpf_map_batch_opts {
        sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    // SAFETY: each buffer was checked to hold what the kernel writes for `rows` entries of this
    // map's sizes; the token in is only read; all outlive the call.
    let result = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            map.as_raw_fd(),
            token.map_or(std::ptr::null_mut(), |token| token.as_ptr().cast_mut().cast()),
            buffers.token_out.as_mut_ptr().cast(),
            buffers.keys.as_mut_ptr().cast(),
            buffers.values.as_mut_ptr().cast(),
            &raw mut count,
            &raw const options,
        )
    };
    // ENOENT says that the map ended; what came before its end is in the buffers.
    match -result {
        0 => Ok(((count as usize).min(rows), false)),
        libc::ENOENT => Ok(((count as usize).min(rows), true)),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Writes the key after `key` to `next`; the first one after none. False when there is none.
///
/// # Errors
/// What the kernel answered.
pub(super) fn next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    next: &mut [u8],
    size: usize,
) -> io::Result<bool> {
    if next.len() < size || key.is_some_and(|key| key.len() < size) {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    // SAFETY: both buffers hold a whole key of this map and outlive the call.
    let result = unsafe {
        libbpf_sys::bpf_map_get_next_key(
            map.as_raw_fd(),
            key.map_or(std::ptr::null(), |key| key.as_ptr().cast()),
            next.as_mut_ptr().cast(),
        )
    };
    found(result)
}

/// Copies a key's value to `value`; false when there is no such key.
///
/// # Errors
/// What the kernel answered.
pub(super) fn lookup(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &mut [u8],
    entry: (usize, usize),
) -> io::Result<bool> {
    if key.len() < entry.0 || value.len() < entry.1 {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    // SAFETY: the key is whole and the value's buffer holds what the kernel writes for this map,
    // all CPUs of it; both outlive the call.
    let result = unsafe {
        libbpf_sys::bpf_map_lookup_elem(map.as_raw_fd(), key.as_ptr().cast(), value.as_mut_ptr().cast())
    };
    found(result)
}

/// Takes a key out and copies its last value to `value`; false when there is no such key.
///
/// # Errors
/// What the kernel answered.
pub(super) fn lookup_and_delete(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &mut [u8],
    entry: (usize, usize),
) -> io::Result<bool> {
    if key.len() < entry.0 || value.len() < entry.1 {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    // SAFETY: the key is whole and the value's buffer holds what the kernel writes for this map,
    // all CPUs of it; both outlive the call.
    let result = unsafe {
        libbpf_sys::bpf_map_lookup_and_delete_elem(
            map.as_raw_fd(),
            key.as_ptr().cast(),
            value.as_mut_ptr().cast(),
        )
    };
    found(result)
}

fn found(result: i32) -> io::Result<bool> {
    match -result {
        0 => Ok(true),
        libc::ENOENT => Ok(false),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Writes one value, as libbpf's `bpf_map_update_elem` does: a negative error, and `errno`.
///
/// # Safety
/// `key` and `value` point to as many bytes as the map's keys and values have.
pub(super) unsafe fn update(map: c_int, key: *const c_void, value: *const c_void, flags: u64) -> c_int {
    let mut attributes = libbpf_sys::bpf_attr::default();
    attributes.__bindgen_anon_2.map_fd = map as u32;
    attributes.__bindgen_anon_2.key = key as u64;
    attributes.__bindgen_anon_2.__bindgen_anon_1.value = value as u64;
    attributes.__bindgen_anon_2.flags = flags;
    // SAFETY: the attributes have the announced size, and what they point to is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            libbpf_sys::BPF_MAP_UPDATE_ELEM,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if result < 0 { -io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL) } else { 0 }
}

/// What a map says of itself.
///
/// # Errors
/// When the descriptor is not one of a map.
pub(super) fn map_facts(map: BorrowedFd<'_>) -> io::Result<MapFacts> {
    let mut info = libbpf_sys::bpf_map_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: `info` is plain data of the announced size and outlives the call.
    let result = unsafe { libbpf_sys::bpf_map_get_info_by_fd(map.as_raw_fd(), &raw mut info, &raw mut size) };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(MapFacts {
        kind: info.type_,
        key_size: info.key_size as usize,
        value_size: info.value_size as usize,
        max_entries: info.max_entries,
    })
}

/// A descriptor for reading the map that has an id.
///
/// # Errors
/// What the kernel answered: ENOENT when there is no such map (any more).
pub(super) fn map_by_id(id: u32) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_get_fd_by_id_opts {
        sz: size_of::<libbpf_sys::bpf_get_fd_by_id_opts>() as libbpf_sys::size_t,
        open_flags: libbpf_sys::BPF_F_RDONLY,
        ..Default::default()
    };
    // SAFETY: the options have the announced size and outlive the call.
    own(unsafe { libbpf_sys::bpf_map_get_fd_by_id_opts(id, &raw const options) })
}

/// The kernel's number of the kind that libbpf is about to ask for, be it one that libbpf-rs has no name for.
pub(super) fn open_map_kind(map: &OpenMapMut<'_>) -> u32 {
    // SAFETY: the pointer is valid as long as the object that `map` borrows.
    unsafe { libbpf_sys::bpf_map__type(map.as_libbpf_object().as_ptr()) }
}

/// Whether a map is in the kernel.
pub(super) fn is_created(map: &MapMut<'_>) -> bool {
    // SAFETY: the pointer is valid as long as the object that `map` borrows.
    unsafe { libbpf_sys::bpf_map__fd(map.as_libbpf_object().as_ptr()) >= 0 }
}

/// What libbpf 1.7.0 makes of a performance event and its program (`struct bpf_link_perf`, behind the common
/// beginning of its links).
#[repr(C)]
struct PerfLink {
    detach: *const c_void,
    dealloc: *const c_void,
    pin_path: *const c_void,
    fd: c_int,
    disconnected: bool,
    perf_event_fd: c_int,
    legacy_probe_name: *const c_void,
}

/// The performance event of a link that the kernel says is one of them, by a descriptor of its own. None of
/// a probe made through tracefs, which libbpf removes when its event has ended.
pub(super) fn perf_event_of(link: &Link) -> Option<OwnedFd> {
    let link = link.as_libbpf_object().cast::<PerfLink>();
    // SAFETY: libbpf, whose version is pinned, makes every link of a performance event in this shape, and
    // the link lives as long as the reference to it.
    let (descriptor, legacy) = unsafe {
        let link = link.as_ref();
        (link.perf_event_fd, link.legacy_probe_name)
    };
    let target = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
    if !legacy.is_null() || target.as_os_str() != "anon_inode:[perf_event]" {
        return None;
    }
    // SAFETY: it is open, as was just seen, and stays so during the call, because the link owns it.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned().ok()
}

/// Waits until every program that ran when this was called has come to its end, as far as it runs under RCU.
/// Where the kernel does not offer that (with `nohz_full`), it is not waited for.
pub(super) fn wait_for_programs() {
    const MEMBARRIER_CMD_GLOBAL: c_int = 1;
    // SAFETY: the call takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
}

/// What a program says of itself.
///
/// # Errors
/// When the descriptor is not one of a program.
pub(super) fn program_facts(program: BorrowedFd<'_>) -> io::Result<ProgramFacts> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: `info` is plain data of the announced size and outlives the call; its pointers are
    // null and their lengths 0, so that the kernel writes nothing else.
    let result =
        unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut size) };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(ProgramFacts {
        id: info.id,
        tag: info.tag,
        run_time: Duration::from_nanos(info.run_time_ns),
        run_count: info.run_cnt,
        verified_instructions: info.verified_insns,
        // The kernel says how much of it it has filled.
        missed: (size as usize >= MISSES_END).then_some(info.recursion_misses),
    })
}

/// Opens an object with lines of a kernel's configuration, which libbpf-rs has no method for.
///
/// # Errors
/// What libbpf answered.
pub(super) fn open_with_kernel_configuration(
    builder: &ObjectBuilder,
    bytes: &[u8],
    lines: &CStr,
) -> io::Result<OpenObject> {
    // SAFETY: the builder owns its options and keeps what they point to, and is borrowed for all of this.
    let options = unsafe { *builder.as_libbpf_object().as_ptr() };
    let options = libbpf_sys::bpf_object_open_opts { kconfig: lines.as_ptr(), ..options };
    // SAFETY: bytes, options and all that these point to outlive the call, which copies what it keeps.
    let object = unsafe {
        libbpf_sys::bpf_object__open_mem(
            bytes.as_ptr().cast(),
            bytes.len() as libbpf_sys::size_t,
            &raw const options,
        )
    };
    let object = NonNull::new(object).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: it was opened and not loaded, and nobody else has it.
    Ok(unsafe { OpenObject::from_ptr(object) })
}

/// Keeps libbpf from pinning maps when the object is loaded, and from taking pinned ones for its own.
pub(super) fn forget_pins(object: &mut OpenObject) {
    for map in object.maps_mut() {
        // SAFETY: the pointer is valid as long as the object that `map` borrows; null takes the path away.
        unsafe { libbpf_sys::bpf_map__set_pin_path(map.as_libbpf_object().as_ptr(), std::ptr::null()) };
    }
}

/// Whether libbpf is to pin a map or to take a pinned one for it.
pub(super) fn is_pinned(map: &libbpf_rs::OpenMapMut<'_>) -> bool {
    // SAFETY: the pointer is valid as long as the object that `map` borrows; the path is only compared with null.
    let path = unsafe { libbpf_sys::bpf_map__pin_path(map.as_libbpf_object().as_ptr()) };
    !path.is_null()
}

/// The descriptor of a program, if it was loaded.
pub(super) fn program_fd<'a>(program: &'a Program<'_>) -> Option<BorrowedFd<'a>> {
    // SAFETY: the pointer is valid as long as the object that `program` borrows.
    let fd = unsafe { libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr()) };
    // libbpf-rs makes a descriptor even of "not loaded", which is not one.
    (fd >= 0).then(|| program.as_fd())
}

/// The variables of an object whose names start with a prefix.
///
/// # Errors
/// When the object's BTF cannot be read.
pub(super) fn global_variables(object: &OpenObject, prefix: &str) -> io::Result<Vec<GlobalVariable>> {
    // SAFETY: the pointer is valid as long as `object`, which outlives the reference.
    let raw = unsafe { object.as_libbpf_object().as_ref() };
    let btf = Btf::from_bpf_object(raw).map_err(|error| io::Error::other(error.to_string()))?;
    let Some(btf) = btf else { return Ok(Vec::new()) };
    let text = |ty: BtfType<'_>| ty.name().map(|name| name.to_string_lossy().into_owned());
    let mut variables = Vec::new();
    for section in btf.type_by_kind::<DataSec<'_>>() {
        let Some(section_name) = section.name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        for entry in section.iter() {
            let Some(variable) = btf.type_by_id::<BtfType<'_>>(entry.ty) else { continue };
            if Var::try_from(variable).is_err() {
                continue;
            }
            let Some(name) = text(variable).filter(|name| name.starts_with(prefix)) else { continue };
            let (section, offset, size) = (section_name.clone(), entry.offset as usize, entry.size);
            variables.push(GlobalVariable { name, section, offset, size });
        }
    }
    Ok(variables)
}

/// Asks the kernel to keep statistics of programs while the descriptor is open.
///
/// # Errors
/// What the kernel answered.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    own(fd)
}

fn own(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A copy of a descriptor that becomes readable when there are events.
///
/// # Errors
/// What the kernel answered.
pub(super) fn readiness(descriptor: c_int) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: libbpf has it open for as long as the manager lives that the caller asked for it.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}
