#!/bin/bash
# Runs a command as root where tracefs and bpffs are mounted.
#
# What has to be mounted is mounted in a mount namespace of its own: it is gone
# with the command, however that ends, and nobody else sees it.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    exec sudo --preserve-env env "PATH=$PATH" "$0" "$@"
fi
if [ "${1-}" != --inside ]; then
    exec unshare --mount --propagation slave "$0" --inside "$@"
fi
shift
mounted() {
    [ "$(stat -f -c %T "$1" 2>/dev/null)" = "$2" ]
}
mounted /sys/kernel/tracing tracefs || mount -t tracefs tracefs /sys/kernel/tracing
mounted /sys/fs/bpf bpf_fs || mount -t bpf bpf /sys/fs/bpf
exec "$@"
