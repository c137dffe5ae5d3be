#!/bin/bash
# Fetches one of Debian's cloud kernels into a folder of its own, below target/kernels.
#
#   fetch.sh 6.12       target/kernels/6.12/vmlinuz, and the modules that tests need beside it
#   fetch.sh newest     the newest one that Debian has, whichever that is
#
# apt does it, with lists and a cache of its own, from the mirror that apt uses on this
# machine anyway; the machine's packages are neither looked at nor changed. Debian removes
# old versions of a kernel from its mirrors, so what there is is asked for, newest first.
# What was fetched stays: remove the folder to fetch a newer one.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1
folder=target/kernels/$version
[ ! -e "$folder/modules" ] || exit 0
# Block devices of files, and the filters of network interfaces that are no links.
modules='loop sch_ingress cls_bpf'

# The suites that have, or had, this kernel; the best one first.
case $version in
5.10) suites='bullseye-security bullseye' ;;
6.1) suites='bookworm-security bookworm' ;;
6.12) suites='trixie-security trixie' ;;
newest) suites='sid trixie-backports' ;;
*) suites='trixie-backports sid' ;;
esac
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || tools/install-packages.sh debian-archive-keyring
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The address of Debian's archive, or of its security archive, in the sources of apt on this
# machine, whichever of the two formats they are written in. Another one may be given.
mirror() {
    local kind=$1 found
    if [ -n "${DEBIAN_MIRROR-}" ]; then
        found=${DEBIAN_MIRROR%/}
        [ "$kind" = archive ] || found=$found-security
    else
        found=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
            awk -v kind="$kind" '
                $1 ~ /^(bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)(-|\/|$)/ &&
                (($1 ~ /security/) == (kind == "security")) { sub("/+$", "", $2); print $2; exit }')
    fi
    if [ -z "$found" ] && [ "$kind" = security ]; then
        found=$(mirror archive)
        found=${found:+$found-security}
    fi
    printf '%s\n' "$found"
}

# apt with everything of its own; it does not even know what is installed here.
apt_options() {
    local own=$1
    mkdir -p "$own"/{state/lists,cache/archives}/partial "$own/nothing"
    options=(
        -o Dir::Etc::SourceList="$own/sources.list"
        -o Dir::Etc::SourceParts="$own/nothing"
        -o Dir::Etc::Preferences="$own/nothing/at-all"
        -o Dir::Etc::PreferencesParts="$own/nothing"
        -o Dir::State="$own/state"
        -o Dir::State::status=/dev/null
        -o Dir::Cache="$own/cache"
        -o APT::Architecture="$architecture"
        -o APT::Architectures="$architecture"
        -o APT::Sandbox::User=
        -o Acquire::Languages=none
        -o Acquire::Retries=3
        # The last Release file of an archived suite is old, and stays signed.
        -o Acquire::Check-Valid-Until=false
        -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -qq
    )
}

# Kernels of this version in the lists, newest first.
kernels() {
    local pattern=${version//./\\.}
    [ "$version" != newest ] || pattern='[0-9]+\.[0-9]+'
    apt-cache "${options[@]}" search --names-only "^linux-image-$pattern[.-].*-cloud-$architecture\$" |
        cut -d' ' -f1 | sort --version-sort --reverse
}

# Downloads a kernel; from Linux 7 on its files are in packages that it depends on.
download() {
    local package=$1
    rm -f "$work"/*.deb
    (
        cd "$work"
        mapfile -t parts < <(apt-cache "${options[@]}" depends "$package" |
            sed -n 's/^ *Depends: \(linux-\(binary\|modules\)-.*\)$/\1/p')
        apt-get "${options[@]}" download "$package" "${parts[@]}"
    )
}

# Keeps the kernel and a few modules, nothing else of some hundred megabytes.
unpack() {
    local package image name module fresh=$folder.fresh
    rm -rf "$fresh" "$work/root"
    mkdir -p "$fresh/modules" "$work/root"
    for package in "$work"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$work/root"
    done
    image=$(find "$work/root" -name 'vmlinuz*' -type f -print -quit)
    [ -n "$image" ] || { echo "There is no kernel in $1." >&2; return 1; }
    cp "$image" "$fresh/vmlinuz"
    # What is missing is built in.
    for name in $modules; do
        module=$(find "$work/root" -name "$name.ko*" -type f -print -quit)
        case $module in
        *.xz) xz --decompress --stdout "$module" >"$fresh/modules/$name.ko" ;;
        ?*) cp "$module" "$fresh/modules/$name.ko" ;;
        esac
    done
    printf '%s\n' "$1" >"$fresh/package"
    rm -rf "$folder"
    mv "$fresh" "$folder"
}

for suite in $suites; do
    kind=archive
    [[ $suite != *-security ]] || kind=security
    address=$(mirror "$kind")
    if [ -z "$address" ]; then
        echo "apt has no source of Debian here: give its mirror as DEBIAN_MIRROR." >&2
        exit 1
    fi
    own=$work/apt-$suite
    apt_options "$own"
    echo "deb [signed-by=$keyring arch=$architecture] $address $suite main" >"$own/sources.list"
    if ! apt-get "${options[@]}" update; then
        echo "$suite cannot be read: another suite is tried for Linux $version." >&2
        continue
    fi
    for package in $(kernels); do
        if download "$package" && unpack "$package"; then
            echo "Linux $version: $package from $suite" >&2
            exit 0
        fi
        echo "$package of $suite cannot be fetched: an older one is tried." >&2
    done
done
echo "No cloud kernel $version for $architecture was found in: $suites" >&2
exit 1
