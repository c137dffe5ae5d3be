//! libbpf's print function: C's format and arguments to bytes.
//!
//! libbpf-rs has one too, but it panics, inside a function called from C, on a message that is
//! not UTF-8: a section's name with a wrong byte would abort the process.
#![expect(unsafe_code, reason = "C calls it with C's variable arguments")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::log;

/// How much libbpf has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Warning,
    Information,
    Debug,
}

unsafe extern "C" {
    fn vasprintf(out: *mut *mut c_char, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// From now on libbpf speaks to [`log`] instead of standard error.
pub(super) fn install() {
    // A `va_list` is passed as an address on every architecture that BPF knows, whatever its type
    // is called in the bindings.
    let function: unsafe extern "C" fn(u32, *const c_char, *mut c_void) -> c_int = print;
    // SAFETY: the types differ only in what that address points to, which `print` hands on as it is.
    let function = unsafe { transmute::<*const (), libbpf_sys::libbpf_print_fn_t>(function as *const ()) };
    // SAFETY: libbpf exchanges the pointer atomically; the function is always there.
    unsafe { libbpf_sys::libbpf_set_print(function) };
}

/// Called by libbpf from C: a panic would abort the process.
///
/// # Safety
/// `format` is a C string, and `arguments` what it asks for.
unsafe extern "C" fn print(level: u32, format: *const c_char, arguments: *mut c_void) -> c_int {
    let level = match level {
        libbpf_sys::LIBBPF_WARN => Level::Warning,
        libbpf_sys::LIBBPF_INFO => Level::Information,
        _ => Level::Debug,
    };
    if !log::wants(level) {
        return 0;
    }
    let mut text: *mut c_char = std::ptr::null_mut();
    // SAFETY: the caller's promise; the arguments are used once.
    let length = unsafe { vasprintf(&raw mut text, format, arguments) };
    if length < 0 || text.is_null() {
        return 0;
    }
    // SAFETY: it succeeded, so `text` is a C string of ours.
    let message = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: it was allocated by C for us, and is not used any more.
    unsafe { libc::free(text.cast()) };
    let _ = catch_unwind(AssertUnwindSafe(|| log::print(level, message)));
    0
}
