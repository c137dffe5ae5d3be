#!/bin/bash
# Proves that each committed object belongs to its source: compiles all of them
# again into an empty folder and compares every byte.
set -euo pipefail
cd "$(dirname "$0")/.."

committed=$(cat bpf-objects/COMPILER)
here=$(clang --version | sed -n 1p)
if [ "$committed" != "$here" ]; then
    echo "The committed objects were compiled by '$committed', but here is '$here'." >&2
    echo "Compare with the same compiler (Debian 12: apt-get install clang llvm libbpf-dev)," >&2
    echo "or compile all of them with this one: make objects." >&2
    exit 1
fi

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
tools/build-objects.sh "$fresh"

wrong=0
complain() {
    echo "$1" >&2
    wrong=1
}
for object in "$fresh"/*.bpf.o; do
    name=$(basename "$object" .bpf.o)
    if [ ! -e "bpf-objects/$name.bpf.o" ]; then
        complain "bpf-objects/$name.bpf.o is missing: make objects"
    elif ! cmp -s "$object" "bpf-objects/$name.bpf.o"; then
        complain "bpf-objects/$name.bpf.o does not come from bpf-objects/$name.bpf.c: make objects"
    fi
    [ -e "configs/$name.yaml" ] || complain "bpf-objects/$name.bpf.c has no configs/$name.yaml"
done
for object in bpf-objects/*.bpf.o; do
    [ -e "${object%.o}.c" ] || complain "$object has no source beside it"
done
for config in configs/*.yaml; do
    name=$(basename "$config" .yaml)
    [ -e "bpf-objects/$name.bpf.o" ] || complain "$config has no bpf-objects/$name.bpf.o"
done
if [ "$wrong" = 0 ]; then
    echo "Every object in bpf-objects comes from its source ($here)."
fi
exit "$wrong"
