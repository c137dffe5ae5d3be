#!/bin/bash
# Boots a fetched kernel under QEMU with a folder as its root, and runs that folder's /init.
#
#   boot.sh 6.12 <root>     the serial log goes to target/kernels/6.12.log
#
# Succeeds when the log says that everything in the guest did. There is no hardware
# acceleration: nested machines rarely have it, and no kernel boots faster than in seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1 root=$2
kernel=target/kernels/$version
log=target/kernels/$version.log
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The kernel unpacks one archive after another: the common files, then its own module.
mkdir -p "$work/own/modules"
[ ! -e "$kernel/loop.ko" ] || cp "$kernel/loop.ko" "$work/own/modules/"
for tree in "$root" "$work/own"; do
    (cd "$tree" && find . | cpio --create --format=newc --owner=0:0 --quiet)
done | gzip -1 >"$work/initramfs.gz"

begin=$SECONDS
# Its CPUs take turns in one thread: with a thread each, QEMU may run an instruction that another
# CPU has just replaced, and kernels replace theirs whenever a tracepoint is switched.
# `lsm=` names bpf for Linux 5.10, which would leave it out. On a busy machine the kernel waits in vain for its
# first ticks and takes the timer for broken: `no_timer_check` lets it not look.
timeout --kill-after=5 "${GUEST_SECONDS:-600}" qemu-system-x86_64 \
    -accel tcg,thread=single -cpu max -smp 2 -m 1024 \
    -nodefaults -display none -vga none -serial stdio -no-reboot \
    -kernel "$kernel/vmlinuz" -initrd "$work/initramfs.gz" \
    -append 'console=ttyS0 quiet panic=-1 lsm=landlock,lockdown,yama,bpf mitigations=off tsc=reliable no_timer_check' \
    </dev/null >"$log" 2>&1 || echo "QEMU ended with status $?" >>"$log"

seconds=$((SECONDS - begin))
if grep -q '^guest: all is well' "$log"; then
    printf 'Linux %-5s  %s  in %s s\n' "$version" "$(sed -n 's/\r$//; s/^guest: release //p' "$log")" "$seconds"
    exit 0
fi
exit 1
