#!/bin/bash
# Boots a fetched kernel under QEMU with an archive as its root, and runs its /init.
#
#   boot.sh 6.12 plain <archive>     the serial log goes to target/kernels/6.12-plain.log
#
# Succeeds when the log says that everything in the guest did. There is no hardware
# acceleration: nested machines rarely have it, and no kernel boots faster than in seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1 machine=$2 archive=$3
kernel=target/kernels/$version
log=target/kernels/$version-$machine.log
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $machine in
plain) processors=2 options='' ;;
# Two of its CPUs do not come online, and there is no IPv6.
variants) processors=8 options='maxcpus=6 ipv6.disable=1' ;;
*) echo "There are the machines plain and variants, and not $machine." >&2; exit 1 ;;
esac

# The init of the guests leaves out less on kernels that have both machines.
case $(tools/kernels/machines.sh "$version") in
*variants*) options+=' SECOND=yes' ;;
esac

# The kernel unpacks one archive after another: the common files, then its own modules.
(cd "$kernel" && find modules | cpio --create --format=newc --owner=0:0 --quiet) >"$work/modules.cpio"
cat "$archive" "$work/modules.cpio" >"$work/initramfs.cpio"

begin=$SECONDS
# Its CPUs take turns in one thread: with a thread each, QEMU may run an instruction that another
# CPU has just replaced, and kernels replace theirs whenever a tracepoint is switched.
# Without ERMS the kernel copies and clears memory by words: QEMU emulates its instruction byte by byte.
# `lsm=` names bpf for Linux 5.10, which would leave it out. On a busy machine the kernel waits in vain for its
# first ticks and takes the timer for broken: `no_timer_check` lets it not look. What QEMU translated of a program
# serves its next start when that has the same addresses, as with `norandmaps`: a quarter less work. Neither clearing
# all memory that is given out nor checking what is copied takes another twentieth away.
timeout --kill-after=5 "${GUEST_SECONDS:-900}" qemu-system-x86_64 \
    -accel tcg,thread=single -cpu max,-erms -smp "$processors" -m 1024 \
    -nodefaults -display none -vga none -serial stdio -no-reboot \
    -kernel "$kernel/vmlinuz" -initrd "$work/initramfs.cpio" \
    -append "console=ttyS0 quiet panic=-1 lsm=landlock,lockdown,yama,bpf mitigations=off tsc=reliable no_timer_check norandmaps init_on_alloc=0 hardened_usercopy=off $options MACHINE=$machine${TESTS:+ TESTS=$TESTS}" \
    </dev/null >"$log" 2>&1 || echo "QEMU ended with status $?" >>"$log"

seconds=$((SECONDS - begin))
if grep -q "^guest: ${TESTS:-all} is well" "$log"; then
    printf 'Linux %-6s  %-8s  %s  in %s s\n' "$version" "$machine" \
        "$(sed -n 's/\r$//; s/^guest: release //p' "$log")" "$seconds"
    exit 0
fi
exit 1
