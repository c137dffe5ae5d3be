#!/bin/bash
# Compiles the seeds of the target `object` from their C sources.
set -euo pipefail
cd "$(dirname "$0")/object"

for source in *.bpf.c; do
    object=${source%.c}.o
    clang -target bpf -g -O2 -mcpu=v3 -ffile-prefix-map="$PWD=." -idirafter "/usr/include/$(uname -m)-linux-gnu" \
        -c "$source" -o "$object"
    llvm-strip --strip-debug "$object"
    llvm-objcopy --dump-section ".BTF=${object%.bpf.o}.btf" "$object" /dev/null
done
