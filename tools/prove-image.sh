#!/bin/bash
# Follows the Dockerfile without a container engine: each stage becomes a root
# of its own, and its instructions are carried out there in their order.
#
# What stands in for what a registry would deliver:
#   FROM rust:1-bookworm   a minimal Debian 12 from debootstrap and this machine's mirror, with this
#                          machine's Rust toolchain and crates mounted into it
#   FROM scratch           an empty folder
# With SUITE=trixie the first is Debian 13 instead: it shows that the build works there too.
# The last root is then entered and its ENTRYPOINT started: only what the image
# holds is there, with /proc and /sys as an engine mounts them.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1-}" != --inside ]; then
    [ "$(id -u)" = 0 ] || { echo "Roots of one's own need root." >&2; exit 1; }
    # All mounts live in a namespace that ends with this script.
    exec unshare --mount --pid --fork --propagation private "$0" --inside
fi

work=$(mktemp -d)
clean_up() {
    umount --recursive --quiet "$work"/*/{proc,sys,dev,usr/local/cargo,usr/local/rustup} 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

say() {
    printf '\n== %s\n' "$*"
}

# The mirror that apt uses here for Debian 12.
mirror() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^bookworm //p' | sed -n 1p
}

# The root of a Debian with a Rust toolchain, in place of the image of that name.
rust_image() {
    local root=$1 from cargo rustup
    from=$(mirror)
    [ -n "$from" ] || { echo "apt knows no mirror of Debian 12 (bookworm) here." >&2; exit 1; }
    debootstrap --variant=minbase --include=ca-certificates "${SUITE:-bookworm}" "$root" "$from" >"$work/debootstrap.log" </dev/null ||
        { tail -20 "$work/debootstrap.log" >&2; exit 1; }
    cargo=${CARGO_HOME:-$HOME/.cargo}
    rustup=${RUSTUP_HOME:-$HOME/.rustup}
    mkdir -p "$root/usr/local/cargo" "$root/usr/local/rustup"
    mount --bind "$cargo" "$root/usr/local/cargo"
    mount --bind "$rustup" "$root/usr/local/rustup"
    environment+=(CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup)
    environment+=(PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
    for name in http_proxy https_proxy no_proxy RUSTUP_TOOLCHAIN; do
        [ -z "${!name-}" ] || environment+=("$name=${!name}")
    done
    cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
}

prepare() {
    local root=$1
    mkdir -p "$root"/{proc,sys,dev}
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
}

# COPY . copies what .dockerignore lets through.
copy_context() {
    local ignored=()
    while read -r line; do
        ignored+=(--exclude="./$line")
    done <.dockerignore
    mkdir -p "$1"
    tar --create "${ignored[@]}" . | tar --extract --directory "$1"
}

copy() {
    local from=$1 target=$2 arguments source
    shift 2
    arguments=("$@")
    target=$target${arguments[-1]}
    unset 'arguments[-1]'
    case $target in */) mkdir -p "$target" ;; *) mkdir -p "$(dirname "$target")" ;; esac
    for source in "${arguments[@]}"; do
        # A folder's content goes into the target; a pattern stands for files. Both are Docker's rules.
        for path in $from$source; do
            if [ -d "$path" ]; then
                mkdir -p "$target"
                cp -R "$path/." "$target"
            else
                cp "$path" "$target"
            fi
        done
    done
}

root='' folder=/ stage=0 environment=() entrypoint=()
declare -A stages
while read -r instruction arguments; do
    read -ra words <<<"$arguments"
    case $instruction in
    '' | '#'*) continue ;;
    EXPOSE) continue ;;
    esac
    say "$instruction $arguments"
    case $instruction in
    FROM)
        stage=$((stage + 1))
        root=$work/stage$stage folder=/ environment=()
        mkdir "$root"
        case ${words[0]} in
        rust:1-bookworm) rust_image "$root" ;;
        scratch) ;;
        *) echo "No stand-in for ${words[0]}" >&2; exit 1 ;;
        esac
        prepare "$root"
        [ ${#words[@]} -lt 3 ] || stages[${words[2]}]=$root
        ;;
    WORKDIR)
        folder=${words[0]}
        mkdir -p "$root$folder"
        ;;
    RUN)
        env -i "${environment[@]}" chroot "$root" /bin/sh -c "cd $folder && $arguments" </dev/null
        ;;
    COPY)
        if [ "$arguments" = '. .' ]; then
            copy_context "$root$folder"
        elif [[ ${words[0]} == --from=* ]]; then
            copy "${stages[${words[0]#--from=}]}" "$root" "${words[@]:1}"
        else
            copy "$PWD/" "$root" "${words[@]}"
        fi
        ;;
    ENTRYPOINT)
        read -ra entrypoint <<<"$(tr -d '[],"' <<<"$arguments")"
        ;;
    *)
        echo "This instruction is not known here: $instruction" >&2
        exit 1
        ;;
    esac
done < <(sed -e ':join' -e '/\\$/{N;s/\\\n *//;b join' -e '}' Dockerfile)

say 'the files of the image'
(cd "$root" && find . -xdev -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o -type f -printf '%10s %p\n')

for flags in --version '--config.check --config.strict'; do
    say "${entrypoint[*]} $flags"
    # shellcheck disable=SC2086 # The flags are words.
    env -i "$(command -v chroot)" "$root" "${entrypoint[@]}" $flags </dev/null
done
say 'The image builds and its exporter starts.'
