#!/bin/bash
# Makes a Python that knows OpenTelemetry's messages, in target/otlp-python, unless it is there: the tests of
# spans read with it what the exporter sends.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(opentelemetry-proto==1.45.2 protobuf==6.33.5)
folder=target/otlp-python
stamp="$folder/${packages[*]}"

[ ! -e "$stamp" ] || exit 0
tools/install-packages.sh python3-venv
echo "Installing ${packages[*]} into $folder" >&2
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" --quiet --disable-pip-version-check install "${packages[@]}"
touch "$stamp"
