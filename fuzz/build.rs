//! Links as the main package does: what its build tells the linker holds for its own binaries alone.

#[path = "../build/libelf.rs"]
mod libelf;

fn main() {
    libelf::complete();
    println!("cargo::rustc-link-arg=-Wl,--wrap=bpf_map_update_elem");
    println!("cargo::rustc-link-arg=-Wl,--wrap=btf__load_vmlinux_btf");
}
