#!/bin/sh
# Writes syscalls.rs, the names of the system calls of x86_64 and aarch64.
#
# The source is the crate linux-raw-sys, whose constants bindgen made from the
# kernel's own exported headers (asm/unistd_64.h and asm-generic/unistd.h).
# Usage, with any version of the crate that cargo has unpacked:
#
#   generate-syscalls.sh ~/.cargo/registry/src/*/linux-raw-sys-0.12.1 > syscalls.rs
#
# Calls newer than the crate's kernel (6.17) are added by hand below, as
# "number name".
set -eu

crate=$1
newer_x86_64='336 uprobe
470 listns'
newer_aarch64='470 listns'

table() {
    echo
    echo "/// The system calls of $2, by number, rising."
    echo "pub const $3: &[(u16, &str)] = &["
    {
        sed -n 's/^pub const __NR_\([a-z0-9_]*\): u32 = \([0-9]*\);$/\2 \1/p' "$crate/src/$1/general.rs" |
            grep -v -e ' arch_specific_syscall$' -e ' syscalls$'
        echo "$4"
    } | sort -n -u | sed 's/^\([0-9]*\) \(.*\)$/    (\1, "\2"),/'
    echo "];"
}

echo "//! Names of system calls. Made by generate-syscalls.sh from $(basename "$crate"); do not edit."
table x86_64 x86_64 X86_64 "$newer_x86_64"
table aarch64 aarch64 AARCH64 "$newer_aarch64"
