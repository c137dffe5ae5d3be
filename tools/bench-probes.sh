#!/bin/bash
# Measures what each program of the shipped configs takes, as root: all of them are at work at once, first
# while nothing is asked of the machine and then under a load of everything that they look at, and the
# kernel's own statistics (run time and runs of each program) say the rest.
#
#   bench-probes.sh <seconds> [config...]     each of the two times; all configs when none is named
#
# What it prints is Markdown. WRITE=docs/probes.md puts that into the page, in the place of what was there
# between `<!-- costs -->` and `<!-- /costs -->`.
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

page() {
    curl --silent --fail "http://$address/metrics"
}

# Each program's runs and seconds, by its number.
programs() {
    awk '
        function label(name,  text) {
            text = $0
            sub(".*[{,]" name "=\"", "", text)
            sub("\".*", "", text)
            return text
        }
        /^ebpf_exporter_ebpf_program_info\{/ { name[label("id")] = label("config") " " label("program") }
        /^ebpf_exporter_ebpf_program_run_count_total\{/ { runs[label("id")] = $NF }
        /^ebpf_exporter_ebpf_program_run_time_seconds\{/ { time[label("id")] = $NF }
        END { for (id in name) print id, name[id], runs[id] + 0, time[id] + 0 }' "$1" | sort
}

# How often something happened in a second between two pages, by the sum of a family's series.
rate() {
    awk -v seconds="$seconds" -v begin="ebpf_exporter_$1" '
        index($1, begin "{") == 1 || $1 == begin { sum[NR == FNR] += $NF; found = 1 }
        END { if (found) printf "%.0f", (sum[0] - sum[1]) / seconds }' "$2" "$3"
}

# Something of everything that the probes look at (load.c); and here, for which C is no better: requests to the
# exporter, direct reads of a disk, too little memory, and pages that are moved together.
load() {
    local end=$((SECONDS + seconds)) pids=() pid
    "$work/load" "$seconds" "$work" & pids+=($!)
    (while [ $SECONDS -lt $end ]; do curl --silent --output /dev/null "http://$address/-/healthy"; done) & pids+=($!)
    (
        # A group of memory that is too small for what it reads, of whichever version there is.
        if [ -d /sys/fs/cgroup/memory ]; then
            echo $((16 << 20)) >"$group/memory.limit_in_bytes"
        else
            echo $((16 << 20)) >"$group/memory.max"
        fi
        echo "$BASHPID" >"$group/cgroup.procs"
        dd if=/dev/zero of="$work/large" bs=1M count=64 conv=fsync status=none
        while [ $SECONDS -lt $end ]; do
            dd if="$work/large" of=/dev/null bs=64k status=none
            dd if="$work/large" of=/dev/null bs=64k iflag=direct status=none
        done
    ) & pids+=($!)
    (while [ $SECONDS -lt $end ]; do echo 1 >/proc/sys/vm/compact_memory; sleep 2; done) & pids+=($!)
    for pid in "${pids[@]}"; do
        wait "$pid" || { echo "The load failed." >&2; exit 1; }
    done
}

if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/bench-probes-$$
else
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    group=/sys/fs/cgroup/bench-probes-$$
fi
mkdir "$group"

gcc -O2 -pthread -o "$work/load" tools/load.c

page >"$work/page1"
sleep "$seconds"
page >"$work/page2"
load
page >"$work/page3"
for number in 1 2 3; do programs "$work/page$number" >"$work/$number"; done

# The share of all CPUs that the programs took between two pages.
share() {
    awk -v cpus="$(nproc)" -v seconds="$seconds" '
        NR == FNR { before[$1] = $5; next }
        { spent += $5 - before[$1] }
        END { printf "%.2f %%", 100 * spent / seconds / cpus }' "$1" "$2"
}

# One row for each program: config, program, runs a second, ns a run, share of all CPUs in per cent.
costs() {
    awk -v cpus="$(nproc)" -v seconds="$seconds" '
        NR == FNR { runs[$1] = $4; time[$1] = $5; next }
        {
            ran = $4 - runs[$1]
            spent = $5 - time[$1]
            printf "%s %s %.0f %s %.3f\n", $2, $3, ran / seconds, ran ? sprintf("%.0f", spent * 1e9 / ran) : "-", 100 * spent / seconds / cpus
        }' "$work/2" "$work/3" | sort
}

report() {
    local happening family idle loaded
    echo "Measured on Linux $(uname -r | cut -d- -f1) with $(nproc) CPUs ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $seconds seconds each."
    echo
    echo "| what happens in a second | idle | under the load |"
    echo "| --- | --- | --- |"
    while IFS='|' read -r happening family; do
        idle=$(rate "$family" "$work/page1" "$work/page2")
        loaded=$(rate "$family" "$work/page2" "$work/page3")
        [ -z "$loaded" ] || echo "| $happening | ${idle:-0} | $loaded |"
    done <<'EVENTS'
system calls|syscalls_total
context switches|context_switches_total
wake-ups of threads that waited for a futex|cgroup_futex_wait_seconds_count
tasks started|task_forks_total
programs started|process_execs_total
page faults served from memory|minor_page_faults_total
pages into the page cache|page_cache_added_pages_total
reads and writes of files|file_io_latency_seconds_count
syncs of files|file_sync_latency_seconds_count
opens that failed|open_failures_total
requests to disks|block_io_latency_seconds_count
stalls for memory|direct_reclaim_latency_seconds_count
hardware interrupts|hardirq_time_seconds_count
softirqs|softirqs_total
packets through interfaces, each way|interface_packets_total
calls that send or receive|socket_sends_total
TCP connections that came about|tcp_connect_latency_seconds_count
TCP connects that failed|tcp_connect_failures_total
TCP segments received|tcp_round_trip_time_seconds_count
DNS queries|dns_queries_total
signals|signals_sent_total
EVENTS
    echo "| **all programs together, of all CPUs** | **$(share "$work/1" "$work/2")** | **$(share "$work/2" "$work/3")** |"
    echo
    costs >"$work/costs"
    echo "The three that took most:"
    sort -k5 -n -r "$work/costs" | head -n 3 |
        awk '{ printf "%d. `%s` of `%s`, %s %% of all CPUs: %s runs a second of %s ns\n", NR, $2, $1, $5, $3, $4 }'
    echo
    echo "| config | program | runs a second | ns a run | share of all CPUs |"
    echo "| --- | --- | --- | --- | --- |"
    awk '{ printf "| `%s` | `%s` | %s | %s | %s %% |\n", $1, $2, $3, $4 == "-" ? "" : $4, $5 }' "$work/costs"
}

report >"$work/report"
cat "$work/report"
if [ -n "${WRITE-}" ]; then
    awk -v report="$work/report" '
        /^<!-- \/costs -->$/ { inside = 0 }
        !inside { print }
        /^<!-- costs -->$/ {
            inside = found = 1
            while ((getline line < report) > 0) print line
        }
        END { exit !found }' "$WRITE" >"$work/written"
    cat "$work/written" >"$WRITE"
fi
