//! What the build finds out about its machine and its source.

mod identity;
mod libelf;
mod relocations;

fn main() {
    identity::tell_all();
    libelf::complete();
    relocations::pack();
    // libbpf's updates of maps pass through src/bpf/usdt.rs, which says why.
    println!("cargo::rustc-link-arg=-Wl,--wrap=bpf_map_update_elem");
    // And its reading of the kernel's types through src/bpf/kernel_types.rs.
    println!("cargo::rustc-link-arg=-Wl,--wrap=btf__load_vmlinux_btf");
    // Objects attach to it by its name, which has to outlive the other symbols.
    println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=post_attach_mark");
}
