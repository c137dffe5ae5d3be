#!/bin/bash
# Tests the static release binary on other kernels than this machine's, two guests at a time.
#
#   test.sh 5.10 6.12
#
# Each guest gets the binary, the shipped configs and objects, the objects of tests/guest
# and the workload of the network compiled here, and the tests of tests/guest linked statically. Whatever cannot be done
# (no download, no QEMU, no boot) is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What runs at a time; each guest has two virtual CPUs and 1 GiB.
GUESTS_AT_A_TIME=2

architecture=$(uname -m)
if [ "$architecture" != x86_64 ]; then
    echo "Guests are known for x86_64 machines only, and this one is $architecture." >&2
    exit 1
fi
[ $# -gt 0 ] || { echo "Which kernels? For example: $0 5.10 6.12" >&2; exit 1; }
versions=("$@")
for version in "${versions[@]}"; do
    # It becomes the name of a folder, and part of a pattern.
    [[ $version =~ ^[0-9]+\.[0-9]+$ ]] || { echo "$version is no version such as 6.12." >&2; exit 1; }
done

tools/install-packages.sh qemu-system-x86 busybox-static cpio xz-utils clang llvm libbpf-dev linux-libc-dev

target=$architecture-unknown-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binary=target/release/bpftally
[ -e "$binary" ] || { echo "$binary is missing: make build" >&2; exit 1; }
# The tests are linked as it is.
RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target "$target" \
    --test guest --message-format=json-render-diagnostics >"$work/cargo.json"
tests=$(sed -n 's/.*"name":"guest".*"executable":"\([^"]*\)".*/\1/p' "$work/cargo.json")
tools/prove-static.sh "$binary"
tools/prove-static.sh "$tests"

root=$work/root
mkdir -p "$root"/{bin,configs,bpf-objects,guest,proc,sys,dev,tmp}
cp tests/guest/init "$root/init"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$binary" "$root/bin/bpftally"
strip -o "$root/bin/guest" "$tests"
gcc -static -O1 -pthread -o "$root/bin/workload" tests/it/shipped/workload.c
cp configs/*.yaml "$root/configs/"
cp bpf-objects/*.bpf.o "$root/bpf-objects/"
cp tests/guest/*.yaml "$root/guest/"
gcc -static -O1 -Wall -o "$root/bin/shipped-network" tests/it/shipped/network.c
for source in tests/guest/*.bpf.c; do
    object=$root/guest/$(basename "$source" .c).o
    clang -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror \
        -Ibpf-objects/include -idirafter "/usr/include/$architecture-linux-gnu" -c "$source" -o "$object"
    llvm-strip -g "$object"
done

for version in "${versions[@]}"; do
    tools/kernels/fetch.sh "$version"
done
printf '%s\0' "${versions[@]}" |
    xargs --null --max-args=1 --max-procs="$GUESTS_AT_A_TIME" \
        sh -c 'tools/kernels/boot.sh "$2" "$1" || : >"$1.failed.$2"' boot "$root"

failed=0
for version in "${versions[@]}"; do
    if [ -e "$root.failed.$version" ]; then
        failed=1
        printf '\n== Linux %s failed; its serial log:\n\n' "$version" >&2
        cat "target/kernels/$version.log" >&2
    fi
done
exit "$failed"
