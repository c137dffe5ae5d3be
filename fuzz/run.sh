#!/bin/bash
# Runs fuzz targets one after another: run.sh SECONDS TARGET...
set -euo pipefail
cd "$(dirname "$0")"

VERSION=0.13.2
seconds=$1
shift

tools=$PWD/target/tools
if [ ! -x "$tools/bin/cargo-fuzz" ]; then
    cargo install cargo-fuzz --locked --version "$VERSION" --root "$tools"
fi
# Sanitizers take a nightly compiler, and there is no unsafe code in what is fuzzed.
"$tools/bin/cargo-fuzz" build --sanitizer none --fuzz-dir .

for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    folders=("corpus/$target" "seeds/$target")
    case $target in
        config) folders+=(../configs ../tests/it/golden/init) ;;
        object) folders+=(../bpf-objects) ;;
    esac
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="artifacts/$target/")
    [ ! -e "dictionaries/$target.txt" ] || options+=(-dict="dictionaries/$target.txt")
    echo "Fuzzing $target for $seconds seconds"
    nice target/*/release/"$target" "${folders[@]}" "${options[@]}" -print_final_stats=1
done
