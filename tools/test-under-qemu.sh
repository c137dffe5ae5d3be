#!/bin/bash
# Tests the library as a machine of another architecture would, under QEMU's emulation of one process.
#
#   test-under-qemu.sh aarch64-unknown-linux-gnu
#
# System calls are this machine's kernel's, with the other's numbers and structures. So what needs no BPF is tested:
# the tests beside the code (`cargo test --lib`), and the static program itself with the commands that load nothing.
# What is left out: tests/it and tests/guest, which load BPF programs, for which there is no emulation;
# and what the list below says.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
architecture=${target%%-*}
case $architecture in
aarch64) debian=arm64 ;;
*) echo "Which kernel of Debian's is for $architecture is not known here." >&2; exit 1 ;;
esac

# What QEMU's emulation does not pass on, or this machine does not have.
skipped=(
    # Netlink's attributes are not translated.
    bpf::attach::filters::tests::the_kernel_answers
    # There is no openat2 (as of QEMU 7.2).
    host::binaries::tests::files_are_found_by_path_and_name_below_roots
    # The libraries here are this machine's.
    host::binaries::tests::the_systems_own_library_is_found
    # QEMU makes up /proc/self/stat.
    scrape::self_metrics::process::tests::what_calls_say_is_what_the_files_of_proc_say
)

# An emulated processor is slow: compiled a little better, with fewer of the random cases that this machine runs anyway.
export RUSTFLAGS='-C target-feature=+crt-static'
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=false
export PROPTEST_CASES=${PROPTEST_CASES:-16}

tools/cross.sh "$target" cargo test --locked --target "$target" --lib -- "${skipped[@]/#/--skip=}"
tools/cross.sh "$target" cargo build --locked --target "$target" --bin bpftally
program=target/$target/debug/bpftally
tools/prove-static.sh "$program"

emulator=()
[ "$architecture" = "$(uname -m)" ] || emulator=("qemu-$architecture-static")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() {
    "${emulator[@]}" "$program" "$@"
}
# It takes the object for its own machine, and says so when there is none.
cp configs/softirqs.yaml "$work/"
cp bpf-objects/softirqs.bpf.o "$work/softirqs.$architecture.bpf.o"
run check "$work" >/dev/null
mv "$work/softirqs.$architecture.bpf.o" "$work/softirqs.s390x.bpf.o"
if run check "$work" >"$work/said" || ! grep -q "softirqs.s390x.bpf.o is there, but for s390x" "$work/said"; then
    echo "An object for another machine is not told of:" >&2
    cat "$work/said" >&2
    exit 1
fi
# What it says of shipped objects and configs does not depend on the machine that says it: it is what this machine's says.
env -u RUSTFLAGS -u CARGO_PROFILE_DEV_OPT_LEVEL -u CARGO_PROFILE_DEV_DEBUG cargo build --locked --bin bpftally
for object in bpf-objects/*.bpf.o; do
    for command in inspect init; do
        here=$(target/debug/bpftally "$command" "$object")
        there=$(run "$command" "$object")
        [ "$here" = "$there" ] || { echo "$command $object: $architecture says another thing." >&2; exit 1; }
    done
done
# Every shipped object finds in a kernel of that machine what it asks for, its registers included.
kernel=target/cross/kernel-$architecture
tools/fetch-debian.sh "$debian" "$kernel" "^linux-image-[0-9].*-cloud-$debian\$"
python3 - "$kernel"/boot/vmlinuz-* "$work/types.btf" <<'END'
import struct
import sys

# An image for arm64 is not packed, and the types lie somewhere in it, behind a header that tells their length.
image = open(sys.argv[1], "rb").read()
header = struct.pack("<HBBI", 0xEB9F, 1, 0, 24)
at = image.find(header)
while at >= 0:
    _, types, strings, length = struct.unpack_from("<IIII", image, at + 8)
    if types > 1 << 20 and strings == types:
        open(sys.argv[2], "wb").write(image[at : at + 24 + strings + length])
        sys.exit()
    at = image.find(header, at + 1)
sys.exit("There are no types (BTF) in " + sys.argv[1])
END
run check --strict --btf "$work/types.btf" --object.dir bpf-objects configs >"$work/said" || {
    cat "$work/said" >&2
    exit 1
}
echo "For $(basename "$kernel"/boot/vmlinuz-*): $(tail -1 "$work/said")"
echo "The static program for $architecture runs under QEMU."
