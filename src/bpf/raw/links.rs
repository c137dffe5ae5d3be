//! What holds a program at its place: links, filters, sockets and performance events.
#![expect(unsafe_code, reason = "the kernel's and libbpf's C interfaces")]

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_rs::{AsRawLibbpf, Link, Program};

use super::{own, program_fd};
use crate::spec::{PerfEvent, Sample};

/// What a link is made for.
#[derive(Clone, Copy)]
pub(in crate::bpf) enum LinkTarget<'a> {
    /// A cgroup or a network namespace.
    Descriptor(BorrowedFd<'a>),
    /// A network interface, by its number.
    Interface(u32),
}

/// Attaches a program where libbpf has no function that passes flags; closing the descriptor detaches it.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn create_link(
    program: &Program<'_>,
    target: LinkTarget<'_>,
    attach_type: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags,
        ..Default::default()
    };
    let target = match target {
        LinkTarget::Descriptor(descriptor) => descriptor.as_raw_fd(),
        LinkTarget::Interface(index) => {
            c_int::try_from(index).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?
        }
    };
    let program = loaded_fd(program)?;
    // SAFETY: both descriptors are open during the call, and the options, which hold no pointers, outlive it.
    let fd =
        unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), target, attach_type, &raw const options) };
    own(fd)
}

/// Puts another program behind a link.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn update_link(link: BorrowedFd<'_>, program: &Program<'_>) -> io::Result<()> {
    let program = loaded_fd(program)?;
    // SAFETY: both descriptors are open during the call; there are no options.
    let result =
        unsafe { libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) };
    succeeded(result)
}

/// Has an iterator go through all that it iterates over. What it prints is thrown away: it writes into maps.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn run_iterator(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open during the call.
    let pass = own(unsafe { libbpf_sys::bpf_iter_create(link.as_raw_fd()) })?;
    io::copy(&mut File::from(pass), &mut io::sink()).map(drop)
}

/// Takes a link off its place, although its descriptor is still open.
///
/// # Errors
/// What the kernel answered; not every kind of link can do that.
pub(in crate::bpf) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open during the call.
    succeeded(unsafe { libbpf_sys::bpf_link_detach(link.as_raw_fd()) })
}

/// A filter of a clsact qdisc, which is no link: whoever makes it has to take it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bpf) struct FilterPlace {
    pub(in crate::bpf) interface: c_int,
    /// Whether it sees what comes in, and not what goes out.
    pub(in crate::bpf) is_ingress: bool,
    /// Numbers that the kernel gave it.
    pub(in crate::bpf) handle: u32,
    pub(in crate::bpf) priority: u32,
}

/// Gives an interface the qdisc that filters of both directions live in; false when it has one.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn create_clsact(interface: c_int) -> io::Result<bool> {
    let mut hook = clsact(interface, libbpf_sys::BPF_TC_INGRESS | libbpf_sys::BPF_TC_EGRESS);
    // SAFETY: the hook is plain data of the size that it announces and outlives the call.
    match -unsafe { libbpf_sys::bpf_tc_hook_create(&raw mut hook) } {
        0 => Ok(true),
        libc::EEXIST => Ok(false),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Removes that qdisc, with all that is in it.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn remove_clsact(interface: c_int) -> io::Result<()> {
    let mut hook = clsact(interface, libbpf_sys::BPF_TC_INGRESS | libbpf_sys::BPF_TC_EGRESS);
    // SAFETY: as above.
    succeeded(unsafe { libbpf_sys::bpf_tc_hook_destroy(&raw mut hook) })
}

/// Makes a filter, or with `replace` puts another program into one. Gives its place with the numbers it got, and the
/// kernel's number of the program.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn set_filter(
    program: &Program<'_>,
    place: FilterPlace,
    replace: bool,
) -> io::Result<(FilterPlace, u32)> {
    let hook = clsact(place.interface, point(place));
    let mut options = libbpf_sys::bpf_tc_opts {
        sz: size_of::<libbpf_sys::bpf_tc_opts>() as libbpf_sys::size_t,
        prog_fd: loaded_fd(program)?.as_raw_fd(),
        flags: if replace { libbpf_sys::BPF_TC_F_REPLACE } else { 0 },
        handle: place.handle,
        priority: place.priority,
        ..Default::default()
    };
    // SAFETY: both are plain data of the sizes that they announce and outlive the call, in which the program's
    // descriptor is open.
    succeeded(unsafe { libbpf_sys::bpf_tc_attach(&raw const hook, &raw mut options) })?;
    let place = FilterPlace { handle: options.handle, priority: options.priority, ..place };
    Ok((place, options.prog_id))
}

/// Takes a filter off.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn remove_filter(place: FilterPlace) -> io::Result<()> {
    let hook = clsact(place.interface, point(place));
    let options = libbpf_sys::bpf_tc_opts {
        sz: size_of::<libbpf_sys::bpf_tc_opts>() as libbpf_sys::size_t,
        handle: place.handle,
        priority: place.priority,
        ..Default::default()
    };
    // SAFETY: as above; there is no descriptor.
    succeeded(unsafe { libbpf_sys::bpf_tc_detach(&raw const hook, &raw const options) })
}

/// The kernel's number of the program in a filter.
///
/// # Errors
/// What the kernel answered: there may be no such filter.
pub(in crate::bpf) fn program_of_filter(place: FilterPlace) -> io::Result<u32> {
    let hook = clsact(place.interface, point(place));
    let mut options = libbpf_sys::bpf_tc_opts {
        sz: size_of::<libbpf_sys::bpf_tc_opts>() as libbpf_sys::size_t,
        handle: place.handle,
        priority: place.priority,
        ..Default::default()
    };
    // SAFETY: as above.
    succeeded(unsafe { libbpf_sys::bpf_tc_query(&raw const hook, &raw mut options) })?;
    Ok(options.prog_id)
}

fn point(place: FilterPlace) -> u32 {
    if place.is_ingress { libbpf_sys::BPF_TC_INGRESS } else { libbpf_sys::BPF_TC_EGRESS }
}

fn clsact(interface: c_int, attach_point: u32) -> libbpf_sys::bpf_tc_hook {
    libbpf_sys::bpf_tc_hook {
        sz: size_of::<libbpf_sys::bpf_tc_hook>() as libbpf_sys::size_t,
        ifindex: interface,
        attach_point,
        ..Default::default()
    }
}

fn succeeded(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

/// Attaches a program to all functions of the kernel whose names match, where libbpf-rs takes only lists.
///
/// # Errors
/// What libbpf or the kernel answered.
pub(in crate::bpf) fn attach_kprobe_multi(
    program: &Program<'_>,
    pattern: &str,
    is_return: bool,
    is_session: bool,
) -> io::Result<Link> {
    let pattern = std::ffi::CString::new(pattern).map_err(io::Error::other)?;
    let options = libbpf_sys::bpf_kprobe_multi_opts {
        sz: size_of::<libbpf_sys::bpf_kprobe_multi_opts>() as libbpf_sys::size_t,
        retprobe: is_return,
        session: is_session,
        ..Default::default()
    };
    // SAFETY: the program's pointer is valid as long as its object; pattern and options outlive the call.
    let link = unsafe {
        libbpf_sys::bpf_program__attach_kprobe_multi_opts(
            program.as_libbpf_object().as_ptr(),
            pattern.as_ptr(),
            &raw const options,
        )
    };
    match std::ptr::NonNull::new(link) {
        // SAFETY: libbpf has just made it for us.
        Some(link) => Ok(unsafe { Link::from_ptr(link) }),
        None => Err(io::Error::last_os_error()),
    }
}

/// A socket that sees the packets of an interface, with a program as its filter.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn packet_socket(program: &Program<'_>, interface: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Without a protocol it sees nothing until it is bound, when it has its filter.
    // SAFETY: the call takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = own(socket)?;
    set_option(&socket, libc::SO_RCVBUF, 1)?;
    set_filter_of(socket.as_fd(), program)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: c_int::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the address is plain data of the announced size and outlives the call.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// Gives a socket a filter, in the place of the one that it has.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn set_filter_of(socket: BorrowedFd<'_>, program: &Program<'_>) -> io::Result<()> {
    set_option(&socket, libc::SO_ATTACH_BPF, loaded_fd(program)?.as_raw_fd())
}

/// Attaches a program to the sockets of a map, in the place of the one that is there. Gives a descriptor of the program,
/// by which it is taken off.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn attach_to_map(
    program: &Program<'_>,
    map: BorrowedFd<'_>,
    attach_type: u32,
) -> io::Result<OwnedFd> {
    let program = loaded_fd(program)?.try_clone_to_owned()?;
    // SAFETY: both descriptors are open during the call.
    succeeded(unsafe { libbpf_sys::bpf_prog_attach(program.as_raw_fd(), map.as_raw_fd(), attach_type, 0) })?;
    Ok(program)
}

/// Takes a program off the sockets of a map, if it is still there.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn detach_from_map(
    program: BorrowedFd<'_>,
    map: BorrowedFd<'_>,
    attach_type: u32,
) -> io::Result<()> {
    // SAFETY: both descriptors are open during the call.
    succeeded(unsafe { libbpf_sys::bpf_prog_detach2(program.as_raw_fd(), map.as_raw_fd(), attach_type) })
}

fn set_option(socket: &impl AsFd, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the value is a number of the announced size and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn loaded_fd<'a>(program: &'a Program<'_>) -> io::Result<BorrowedFd<'a>> {
    program_fd(program).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
}

/// Opens a performance event of all threads on one CPU, not yet enabled.
///
/// # Errors
/// What the kernel answered.
pub(in crate::bpf) fn open_perf_event(event: &PerfEvent, cpu: u32) -> io::Result<OwnedFd> {
    let mut attributes = libbpf_sys::perf_event_attr {
        type_: event.kind,
        size: size_of::<libbpf_sys::perf_event_attr>() as u32,
        config: event.config,
        ..Default::default()
    };
    match event.sample {
        Sample::Frequency(frequency) => {
            attributes.__bindgen_anon_1.sample_freq = frequency;
            attributes.set_freq(1);
        }
        Sample::Period(period) => attributes.__bindgen_anon_1.sample_period = period,
    }
    let every_thread: libc::pid_t = -1;
    let no_group: libc::c_int = -1;
    // SAFETY: `attributes` is plain data of the size it announces and is only read during the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            every_thread,
            cpu as libc::c_int,
            no_group,
            libbpf_sys::PERF_FLAG_FD_CLOEXEC as libc::c_ulong,
        )
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { own(fd as i32) }
}
