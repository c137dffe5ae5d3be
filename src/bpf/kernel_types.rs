//! The kernel's own types, parsed once for all objects that are loaded together.
//!
//! libbpf reads and parses `/sys/kernel/btf/vmlinux` for each object anew, and lets nobody give it what was parsed
//! before: with a few dozen configs that is the largest part of a start. The linker (`--wrap`, see build.rs) leads
//! its calls through here. While an object is loaded, libbpf gets an empty BTF on top of the parsed one, and what it
//! frees afterwards is the empty one alone.
#![expect(unsafe_code, reason = "libbpf calls the function by its unmangled name")]

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use libbpf_sys::btf;

/// Where a kernel has its types. Those that libbpf finds elsewhere are parsed for each object.
const FILE: &str = "/sys/kernel/btf/vmlinux";

/// What tells one file from another: the device and the inode.
type Identity = (u64, u64);

/// What libbpf made of the kernel's types; never written to again.
struct Parsed {
    types: NonNull<btf>,
    /// Threads may see other files by the same path.
    file: Identity,
}

// SAFETY: it belongs to no thread, and is freed once.
unsafe impl Send for Parsed {}
// SAFETY: libbpf writes to a BTF that others are on top of only when it is asked to add to it, which nobody does.
unsafe impl Sync for Parsed {}

impl Drop for Parsed {
    fn drop(&mut self) {
        // SAFETY: libbpf made it. Whoever lent it is done: those on top of it are freed.
        unsafe { libbpf_sys::btf__free(self.types.as_ptr()) }
    }
}

/// Kept from the first load on until [`forget`].
static PARSED: Mutex<Option<Arc<Parsed>>> = Mutex::new(None);

thread_local! {
    /// Whether this thread loads an object: only then is it known when libbpf is done with what it was given.
    static LOADING: Cell<bool> = const { Cell::new(false) };
    /// What the object that this thread loads may be on top of.
    static LENT: RefCell<Option<Arc<Parsed>>> = const { RefCell::new(None) };
}

/// Lets go of the parsed types; loads that are under way keep theirs.
pub(super) fn forget() {
    *PARSED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Runs `load`, at whose end each object that it opened is loaded, or closed.
pub(super) fn loading<T>(load: impl FnOnce() -> T) -> T {
    struct Ending;

    impl Drop for Ending {
        fn drop(&mut self) {
            LOADING.set(false);
            LENT.take();
        }
    }

    LOADING.set(true);
    let _ending = Ending;
    load()
}

/// What this thread's load is on top of, to the end of the load whatever is forgotten meanwhile; none when there is
/// nothing to share.
fn lent() -> Option<NonNull<btf>> {
    LENT.with_borrow_mut(|lent| match lent {
        Some(lent) => Some(lent.types),
        None => Some(lent.insert(parsed()?).types),
    })
}

/// The types as they were parsed, by whoever asks first.
fn parsed() -> Option<Arc<Parsed>> {
    let found = rustix::fs::stat(FILE).ok()?;
    let file = (found.st_dev, found.st_ino);
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(parsed) = parsed.as_ref().filter(|parsed| parsed.file == file) {
        return Some(Arc::clone(parsed));
    }
    let found = Arc::new(Parsed { types: NonNull::new(parse())?, file });
    *parsed = Some(Arc::clone(&found));
    Some(found)
}

/// As libbpf does by itself: null and `errno` when there are none.
fn parse() -> *mut btf {
    // SAFETY: it takes nothing, and what it returns is the caller's. It is libbpf's own function, which the linker
    // leads nowhere else by this older name.
    unsafe { libbpf_sys::libbpf_find_kernel_btf() }
}

/// In the place of libbpf's `btf__load_vmlinux_btf`: null and `errno` when there are none.
// SAFETY: the linker makes this name; no other function has it.
#[unsafe(no_mangle)]
extern "C" fn __wrap_btf__load_vmlinux_btf() -> *mut btf {
    let shared = if LOADING.get() { lent() } else { None };
    match shared {
        // SAFETY: the base is there until this thread's load has ended.
        Some(base) => unsafe { libbpf_sys::btf__new_empty_split(base.as_ptr()) },
        None => parse(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// What libbpf has in its hands: as it calls for it, and gone as it lets go of it.
    struct Own(*mut btf);

    impl Own {
        fn load() -> Self {
            // SAFETY: it takes nothing; what it returns is freed below.
            let own = unsafe { libbpf_sys::btf__load_vmlinux_btf() };
            assert!(!own.is_null(), "{}", io::Error::last_os_error());
            Self(own)
        }

        fn base(&self) -> *const btf {
            // SAFETY: it was loaded, and is not freed yet.
            unsafe { libbpf_sys::btf__base_btf(self.0) }
        }

        /// How many types there are, and which one a structure is.
        fn facts(&self) -> (u32, i32) {
            // SAFETY: as above; the name ends with a zero.
            unsafe {
                (
                    libbpf_sys::btf__type_cnt(self.0),
                    libbpf_sys::btf__find_by_name_kind(
                        self.0,
                        c"task_struct".as_ptr(),
                        libbpf_sys::BTF_KIND_STRUCT,
                    ),
                )
            }
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            // SAFETY: it was loaded, and nothing is on top of it.
            unsafe { libbpf_sys::btf__free(self.0) }
        }
    }

    /// The linker leads libbpf here, and whoever loads no object gets what libbpf always gives.
    #[test]
    fn whoever_loads_shares_what_was_parsed() {
        let plain = Own::load();
        assert!(plain.base().is_null(), "nothing is loaded");
        let facts = plain.facts();
        assert!(facts.1 > 0, "{facts:?}");
        loading(|| {
            let (first, second) = (Own::load(), Own::load());
            assert!(!first.base().is_null());
            assert_eq!(first.base(), second.base());
            assert_eq!((first.facts(), second.facts()), (facts, facts));
            // What this load has is there to its end.
            forget();
            let third = Own::load();
            assert_eq!(third.base(), first.base());
        });
        assert!(Own::load().base().is_null(), "nothing is loaded any more");
    }

    #[test]
    fn loads_side_by_side_and_forgetting_do_each_other_no_harm() {
        let facts = Own::load().facts();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        loading(|| assert_eq!(Own::load().facts(), facts));
                        forget();
                    }
                });
            }
        });
    }

    /// As when a load panics: what was lent is given back.
    #[test]
    fn a_load_that_ends_early_has_ended() {
        let ended = std::panic::catch_unwind(|| loading(|| panic!("{:?}", Own::load().base())));
        assert!(ended.is_err());
        assert!(!LOADING.get() && LENT.take().is_none());
        assert!(Own::load().base().is_null());
    }
}
