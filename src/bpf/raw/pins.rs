//! Maps and links as files below the BPF file system, and what the kernel says of maps.
#![expect(unsafe_code, reason = "the kernel's and libbpf's C interfaces")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libbpf_rs::{AsRawLibbpf, OpenMapMut};

use super::own;

/// More bytes than this are no BTF of a map.
const MOST_BTF: u32 = 64 << 20;

/// What a map says of itself, with where its types are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::bpf) struct MapDescription {
    pub(in crate::bpf) id: u32,
    pub(in crate::bpf) kind: u32,
    pub(in crate::bpf) key_size: u32,
    pub(in crate::bpf) value_size: u32,
    pub(in crate::bpf) max_entries: u32,
    pub(in crate::bpf) flags: u32,
    pub(in crate::bpf) extra: u64,
    /// The kernel's number of its BTF, 0 for none.
    pub(in crate::bpf) btf: u32,
    pub(in crate::bpf) key_type: u32,
    pub(in crate::bpf) value_type: u32,
}

/// Opens what is pinned at a path.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn open_pin(path: &Path, is_only_read: bool) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let options = libbpf_sys::bpf_obj_get_opts {
        sz: size_of::<libbpf_sys::bpf_obj_get_opts>() as libbpf_sys::size_t,
        file_flags: if is_only_read { libbpf_sys::BPF_F_RDONLY } else { 0 },
        ..Default::default()
    };
    // SAFETY: the path ends with a NUL, and both outlive the call.
    own(unsafe { libbpf_sys::bpf_obj_get_opts(path.as_ptr(), &raw const options) })
}

/// Opens the map that is pinned at a path.
///
/// # Errors
/// What the kernel answered; `InvalidInput` when it is no map.
pub(in crate::bpf) fn open_pinned_map(path: &Path, is_only_read: bool) -> io::Result<OwnedFd> {
    let map = open_pin(path, is_only_read)?;
    if kind_of(map.as_fd()).as_deref() == Some("bpf-map") {
        return Ok(map);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "what is pinned there is no map"))
}

/// Whether a descriptor is one of a link.
pub(in crate::bpf) fn is_link(descriptor: BorrowedFd<'_>) -> bool {
    kind_of(descriptor).is_some_and(|kind| matches!(kind.as_str(), "bpf_link" | "bpf-link"))
}

/// What the kernel calls the object behind a descriptor, such as `bpf-map`.
fn kind_of(descriptor: BorrowedFd<'_>) -> Option<String> {
    let target = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).ok()?;
    let name = target.to_str()?.strip_prefix("anon_inode:")?;
    Some(name.trim_matches(['[', ']']).to_owned())
}

/// Makes a file of what is behind a descriptor.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn pin(descriptor: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: the descriptor is open during the call, and the path ends with a NUL and outlives it.
    let result = unsafe { libbpf_sys::bpf_obj_pin(descriptor.as_raw_fd(), path.as_ptr()) };
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

/// What a link says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::bpf) struct LinkFacts {
    pub(in crate::bpf) id: u32,
    /// The kernel's number of its kind.
    pub(in crate::bpf) kind: u32,
    /// The program behind it.
    pub(in crate::bpf) program: u32,
}

/// What a link says of itself.
///
/// # Errors
/// When the descriptor is not one of a link.
pub(in crate::bpf) fn link_facts(link: BorrowedFd<'_>) -> io::Result<LinkFacts> {
    let mut info = libbpf_sys::bpf_link_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: `info` is plain data of the announced size and outlives the call; its pointers are null and their
    // lengths 0, so that the kernel writes nothing else.
    let result =
        unsafe { libbpf_sys::bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut size) };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(LinkFacts { id: info.id, kind: info.type_, program: info.prog_id })
}

/// The program behind a link.
///
/// # Errors
/// What the kernel answered: it takes `CAP_SYS_ADMIN`.
pub(in crate::bpf) fn program_of_link(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let LinkFacts { program, .. } = link_facts(link)?;
    // SAFETY: the call takes no pointers.
    own(unsafe { libbpf_sys::bpf_prog_get_fd_by_id(program) })
}

/// Whether there is a link of this number.
///
/// # Errors
/// What the kernel answered: it takes `CAP_SYS_ADMIN`.
pub(in crate::bpf) fn is_there(link: u32) -> io::Result<bool> {
    // SAFETY: the call takes no pointers.
    match own(unsafe { libbpf_sys::bpf_link_get_fd_by_id(link) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// What a map says of itself.
///
/// # Errors
/// When the descriptor is not one of a map.
pub(in crate::bpf) fn describe_map(map: BorrowedFd<'_>) -> io::Result<MapDescription> {
    let mut info = libbpf_sys::bpf_map_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: `info` is plain data of the announced size and outlives the call.
    let result = unsafe { libbpf_sys::bpf_map_get_info_by_fd(map.as_raw_fd(), &raw mut info, &raw mut size) };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(MapDescription {
        id: info.id,
        kind: info.type_,
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
        flags: info.map_flags,
        extra: info.map_extra,
        btf: info.btf_id,
        key_type: info.btf_key_type_id,
        value_type: info.btf_value_type_id,
    })
}

/// The types that were loaded under a number.
///
/// # Errors
/// What the kernel answered: it takes `CAP_SYS_ADMIN`.
pub(in crate::bpf) fn btf(id: u32) -> io::Result<Vec<u8>> {
    // SAFETY: the call takes no pointers.
    let descriptor = own(unsafe { libbpf_sys::bpf_btf_get_fd_by_id(id) })?;
    let mut info = libbpf_sys::bpf_btf_info::default();
    let size = btf_info(&descriptor, &mut info)?.min(MOST_BTF);
    let mut bytes = vec![0; size as usize];
    info = libbpf_sys::bpf_btf_info { btf: bytes.as_mut_ptr() as u64, btf_size: size, ..Default::default() };
    let copied = btf_info(&descriptor, &mut info)?.min(size);
    bytes.truncate(copied as usize);
    Ok(bytes)
}

fn btf_info(descriptor: &OwnedFd, info: &mut libbpf_sys::bpf_btf_info) -> io::Result<u32> {
    let mut size = size_of_val(info) as u32;
    // SAFETY: `info` is plain data of the announced size, and what it points to, if anything, has room for as many
    // bytes as it says; both outlive the call.
    let result = unsafe { libbpf_sys::bpf_btf_get_info_by_fd(descriptor.as_raw_fd(), info, &raw mut size) };
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(info.btf_size) }
}

/// Where libbpf is to pin a map, or to take a pinned one for it.
pub(in crate::bpf) fn pin_path(map: &OpenMapMut<'_>) -> Option<PathBuf> {
    // SAFETY: the pointer is valid as long as the object that `map` borrows.
    let path = unsafe { libbpf_sys::bpf_map__pin_path(map.as_libbpf_object().as_ptr()) };
    if path.is_null() {
        return None;
    }
    // SAFETY: libbpf's text ends with a NUL and lives until another path is set, which the borrow rules out.
    let path = unsafe { std::ffi::CStr::from_ptr(path) };
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(path.to_bytes())))
}
