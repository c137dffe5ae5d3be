#!/bin/bash
# Compiles bpf-objects/*.bpf.c into a folder (bpf-objects itself when none is given).
#
# What comes out depends on the sources and the compiler alone: paths are mapped
# away, and of the debug information only BTF stays, which CO-RE needs.
set -euo pipefail
cd "$(dirname "$0")/.."

output=${1:-bpf-objects}
# Only <asm/types.h> is taken from here; its integer types are the same on every architecture.
asm=/usr/include/$(uname -m)-linux-gnu

for source in bpf-objects/*.bpf.c; do
    name=$(basename "$source" .c)
    clang -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror \
        -ffile-prefix-map="$PWD=." -idirafter "$asm" \
        -c "$source" -o "$output/$name.o"
    llvm-strip -g "$output/$name.o"
done
clang --version | sed -n 1p > "$output/COMPILER"
