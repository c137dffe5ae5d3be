#!/bin/bash
# Proves that a program needs no library and no loader of the host that runs it.
set -euo pipefail

program=$1
if readelf --wide --program-headers "$program" | grep -q ' INTERP ' ||
    readelf --wide --dynamic "$program" | grep -q '(NEEDED)'; then
    echo "$program is not static:" >&2
    readelf --wide --dynamic "$program" | grep '(NEEDED)' >&2 || true
    exit 1
fi
echo "$program is static, $(($(stat -c %s "$program") / 1024)) KiB"
