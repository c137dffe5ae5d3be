#!/bin/bash
# Tests the static release binary on other kernels than this machine's, several guests at a time.
#
#   test.sh 5.10 6.12 newest
#
# Each guest gets the binary, the shipped configs and objects, the objects of tests/guest
# and the workloads compiled here, and the tests of tests/guest linked statically. Each kernel runs on a plain
# machine, and some also on one where much is otherwise (`machines.sh`, `boot.sh`). Whatever cannot be done
# (no download, no QEMU, no boot) is a failure.
#
# BINARY=<file> tests another binary than that of `make build`; MACHINES=plain boots the plain machine only,
# TESTS=hooks::,maps:: runs some of the tests and shows what they print.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What runs at a time; each guest has two virtual CPUs in one thread, and 1 GiB. More than there are processors: a
# quarter of a guest's time are waits, for timers and for what the kernel puts off.
GUESTS_AT_A_TIME=${GUESTS_AT_A_TIME:-$((2 * $(nproc) + 1))}

architecture=$(uname -m)
if [ "$architecture" != x86_64 ]; then
    echo "Guests are known for x86_64 machines only, and this one is $architecture." >&2
    exit 1
fi
[ $# -gt 0 ] || { echo "Which kernels? For example: $0 5.10 6.12" >&2; exit 1; }
versions=("$@")
for version in "${versions[@]}"; do
    # It becomes the name of a folder, and part of a pattern.
    [[ $version =~ ^([0-9]+\.[0-9]+|newest)$ ]] || { echo "$version is no version such as 6.12, nor newest." >&2; exit 1; }
done

tools/install-packages.sh qemu-system-x86 busybox-static cpio xz-utils clang llvm libbpf-dev linux-libc-dev e2fsprogs

target=$architecture-unknown-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binary=${BINARY:-target/release/bpftally}
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
cp configs/*.yaml "$root/configs/"
cp bpf-objects/*.bpf.o "$root/bpf-objects/"
cp tests/guest/*.yaml "$root/guest/"
truncate --size 8M "$root/guest/ext4.image"
/sbin/mkfs.ext4 -q -E lazy_itable_init=0 "$root/guest/ext4.image"
{
    echo gcc -static -O1 -pthread -o "$root/bin/workload" tests/it/shipped/workload.c
    echo gcc -static -O1 -Wall -o "$root/bin/shipped-network" tests/it/shipped/network.c
    echo gcc -static -O1 -Wall -o "$root/bin/called" tests/guest/called.c
    for source in tests/guest/*.bpf.c; do
        echo clang -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror \
            -Ibpf-objects/include -idirafter "/usr/include/$architecture-linux-gnu" \
            -c "$source" -o "$root/guest/$(basename "$source" .c).o"
    done
} | xargs --max-procs="$(nproc)" -I '{}' sh -c '{}'
llvm-strip -g "$root"/guest/*.bpf.o
# Not packed: unpacking takes an emulated processor longer than reading.
(cd "$root" && find . | cpio --create --format=newc --owner=0:0 --quiet) >"$work/root.cpio"

for version in "${versions[@]}"; do
    tools/kernels/fetch.sh "$version"
done
# The short ones first, then those with more tests than others, the newest before the older: so all end together.
short=() whole=() rest=()
while read -r version; do
    known=" $(tools/kernels/machines.sh "$version") "
    for machine in ${MACHINES:-$known}; do
        case $machine$known in
        plain*' variants '*) whole+=("$version" "$machine") ;;
        plain*) rest+=("$version" "$machine") ;;
        *) short+=("$version" "$machine") ;;
        esac
    done
done < <(printf '%s\n' "${versions[@]}" | tac)
boots=("${short[@]}" "${whole[@]}" "${rest[@]}")
printf '%s\0' "${boots[@]}" |
    xargs --null --max-args=2 --max-procs="$GUESTS_AT_A_TIME" \
        sh -c 'tools/kernels/boot.sh "$2" "$3" "$1/root.cpio" || : >"$1/failed-$2-$3"' boot "$work"

# The committed objects, and no others, on all of them.
objects=$(cat bpf-objects/*.bpf.o | sha256sum)
failed=0
for ((boot = 0; boot < ${#boots[@]}; boot += 2)); do
    version=${boots[boot]} machine=${boots[boot + 1]}
    log=target/kernels/$version-$machine.log
    if [ -e "$work/failed-$version-$machine" ]; then
        failed=1
        printf '\n== Linux %s (%s) failed; its serial log:\n\n' "$version" "$machine" >&2
        cat "$log" >&2
    elif ! grep -qF "guest: objects $objects" "$log"; then
        failed=1
        echo "Linux $version ($machine) had other objects than those in bpf-objects." >&2
    fi
done
[ "$failed" = 0 ] || exit 1
echo "The objects of all of them have the SHA-256 sum ${objects%% *}."
