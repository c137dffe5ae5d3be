//! The moment when everything is attached, for BPF programs that wait for it.
#![expect(unsafe_code, reason = "BPF programs find the function by its unmangled name")]

/// Where `SEC("uprobe//proc/self/exe:post_attach_mark")` attaches: called once after all programs
/// of all configs are attached, so that they can run their initialisation.
// SAFETY: no other function of the binary has this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn post_attach_mark() {
    // An empty function would be called by nobody: the optimiser knows that it does nothing.
    std::hint::black_box(());
}

/// Tells BPF programs that all are attached.
pub fn mark_attached() {
    post_attach_mark();
}
