#!/bin/bash
# Runs a command that builds for a machine of another architecture than this one.
#
#   cross.sh aarch64-unknown-linux-gnu cargo build --target aarch64-unknown-linux-gnu
#
# The compiler and the C library are Debian's packages for that, which are installed; libelf and zlib are fetched into
# target/cross. Programs of that architecture, such as tests, run under QEMU.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$1
shift
architecture=${target%%-*}
[ "$architecture" != "$(uname -m)" ] || exec "$@"
case $target in
aarch64-unknown-linux-gnu) debian=arm64 ;;
x86_64-unknown-linux-gnu) debian=amd64 ;;
*)
    echo "How to build for $target is not known: aarch64-unknown-linux-gnu and x86_64-unknown-linux-gnu are." >&2
    exit 1
    ;;
esac
folder=target/cross/$architecture

tools/install-packages.sh "gcc-${architecture//_/-}-linux-gnu" "libc6-dev-$debian-cross" qemu-user-static
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    command -v rustup >/dev/null || { echo "Rust's standard library for $target is needed." >&2; exit 1; }
    rustup target add "$target"
fi

# libelf of newer releases compresses with zstd.
tools/fetch-debian.sh "$debian" "$folder" libelf-dev zlib1g-dev libzstd-dev

below=$(tr a-z- A-Z_ <<<"$target")
export "CARGO_TARGET_${below}_LINKER=$architecture-linux-gnu-gcc"
export "CARGO_TARGET_${below}_RUNNER=qemu-$architecture-static"
export "LIBBPF_SYS_LIBRARY_PATH_${target//-/_}=$PWD/$folder/usr/lib/$architecture-linux-gnu"
export LIBBPF_SYS_EXTRA_CFLAGS="-isystem $PWD/$folder/usr/include"
exec "$@"
