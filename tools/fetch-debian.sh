#!/bin/bash
# Unpacks Debian packages of another architecture into a folder of its own.
#
#   fetch-debian.sh arm64 target/cross/aarch64 libelf-dev zlib1g-dev
#   fetch-debian.sh arm64 target/cross/kernel '^linux-image-.*-cloud-arm64$'    the newest of these
#
# apt does it, with lists and a cache of its own, from the sources that it has on this machine anyway; the
# machine's packages are neither looked at nor changed. A folder that is there is whole, and is left as it is: remove it
# to fetch anew.
set -euo pipefail

architecture=$1
folder=$2
shift 2
[ ! -d "$folder" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists,cache/archives}/partial "$work/root"
options=(
    -o Dir::State="$work/state"
    -o Dir::State::status=/dev/null
    -o Dir::Cache="$work/cache"
    -o APT::Architecture="$architecture"
    -o APT::Architectures="$architecture"
    -o APT::Sandbox::User=
    -o Acquire::Languages=none
    -o Acquire::Retries=3
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -qq
)
apt-get "${options[@]}" update
packages=()
for package in "$@"; do
    case $package in
    ^*) packages+=("$(apt-cache "${options[@]}" search --names-only "$package" | cut -d' ' -f1 | sort --version-sort | tail -1)") ;;
    *) packages+=("$package") ;;
    esac
done
(cd "$work" && apt-get "${options[@]}" download "${packages[@]}") || {
    echo "apt's sources on this machine do not have for $architecture: $*" >&2
    exit 1
}
for package in "$work"/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done
mkdir -p "$(dirname "$folder")"
rm -rf "$folder.fresh"
cp -R "$work/root" "$folder.fresh"
mv "$folder.fresh" "$folder"
