#!/bin/bash
# Measures what each program of the shipped configs takes, as root: all of them are at work at once, first
# while nothing is asked of the machine and then under a load of everything that they look at, and the
# kernel's own statistics (run time and runs of each program) say the rest.
#
#   bench-probes.sh <seconds> [config...]     each of the two times; all configs when none is named
#
# The table is Markdown, for docs/probes.md.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
binary=${BPFTALLY:-target/release/bpftally}
[ -e "$binary" ] || { echo "$binary is missing: make build" >&2; exit 1; }

work=$(mktemp -d)
# Processes of this script alone, and groups that are its own.
children=()
group=
cleanup() {
    local child
    for child in "${children[@]}"; do
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

names=$(IFS=,; echo "$*")
"$binary" --config.dir configs --object.dir bpf-objects ${names:+--config.names "$names"} \
    --config.allow-insecure-permissions --bpf.stats=on --web.listen-address 127.0.0.1:0 2>"$work/log" &
exporter=$!
children+=("$exporter")
address=
until [ -n "$address" ]; do
    kill -0 "$exporter" || { cat "$work/log" >&2; exit 1; }
    address=$(sed -n 's/.*listening.*[= "]\(127\.0\.0\.1:[1-9][0-9]*\).*/\1/p' "$work/log" | head -n 1)
    sleep 0.1
done
until curl --silent --fail --output /dev/null "http://$address/-/ready"; do sleep 0.1; done

# Each program's runs and seconds, by its number.
programs() {
    curl --silent "http://$address/metrics" | awk '
        function label(name,  text) {
            text = $0
            sub(".*[{,]" name "=\"", "", text)
            sub("\".*", "", text)
            return text
        }
        /^ebpf_exporter_ebpf_program_info\{/ { name[label("id")] = label("config") " " label("program") }
        /^ebpf_exporter_ebpf_program_run_count_total\{/ { runs[label("id")] = $NF }
        /^ebpf_exporter_ebpf_program_run_time_seconds\{/ { time[label("id")] = $NF }
        END { for (id in name) print id, name[id], runs[id] + 0, time[id] + 0 }' | sort
}

# Processes; files in and out of the page cache; pipes; connections; threads that wait for each other;
# memory that is taken and reclaimed.
load() {
    local end=$((SECONDS + seconds)) pids=() pid
    (while [ $SECONDS -lt $end ]; do /bin/true; cat /nowhere 2>/dev/null || true; done) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do
        dd if=/dev/zero of="$work/file" bs=64k count=64 conv=fsync status=none
        dd if="$work/file" of=/dev/null bs=64k iflag=direct status=none
        rm "$work/file"
    done) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do dd if=/dev/zero bs=512 count=20000 status=none | cat >/dev/null; done) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do curl --silent --output /dev/null "http://$address/-/healthy"; done) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do head -c 4M /dev/urandom | xz --threads=2 --block-size=1MiB >/dev/null; done) & pids+=($!)
    (
        # A group of memory that is too small for what it reads, of whichever version there is.
        if [ -d /sys/fs/cgroup/memory ]; then
            echo $((16 << 20)) >"$group/memory.limit_in_bytes"
        else
            echo $((16 << 20)) >"$group/memory.max"
        fi
        echo "$BASHPID" >"$group/cgroup.procs"
        dd if=/dev/zero of="$work/large" bs=1M count=64 conv=fsync status=none
        while [ $SECONDS -lt $end ]; do dd if="$work/large" of=/dev/null bs=64k status=none; done
    ) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do echo 1 >/proc/sys/vm/compact_memory; sleep 2; done) & pids+=($!)
    for pid in "${pids[@]}"; do
        wait "$pid" || true
    done
}

if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/bench-probes-$$
else
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    group=/sys/fs/cgroup/bench-probes-$$
fi
mkdir "$group"

programs >"$work/1"
sleep "$seconds"
programs >"$work/2"
load
programs >"$work/3"

# The share of all CPUs that a phase took.
share() {
    awk -v cpus="$(nproc)" -v seconds="$seconds" '
        NR == FNR { before[$1] = $5; next }
        { spent += $5 - before[$1] }
        END { printf "%.3f %%\n", 100 * spent / seconds / cpus }' "$1" "$2"
}

echo "| config | program | runs a second | ns a run | share of all CPUs |"
echo "| --- | --- | --- | --- | --- |"
awk -v cpus="$(nproc)" -v seconds="$seconds" '
    NR == FNR { runs[$1] = $4; time[$1] = $5; next }
    {
        ran = $4 - runs[$1]
        spent = $5 - time[$1]
        printf "| `%s` | `%s` | %.0f | %s | %.3f %% |\n", $2, $3, ran / seconds, ran ? sprintf("%.0f", spent * 1e9 / ran) : "", 100 * spent / seconds / cpus
    }' "$work/2" "$work/3" | sort
echo
echo "All of them together: $(share "$work/1" "$work/2") of all CPUs with nothing else asked, $(share "$work/2" "$work/3") under the load."
