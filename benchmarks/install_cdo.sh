#!/usr/bin/env bash
# Install the Climate Data Operators from Debian or Ubuntu, for `make bench-data`; nothing to do where cdo is there.
set -euo pipefail
if command -v cdo >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "cdo is missing and there is no apt-get; install CDO (https://code.mpimet.mpg.de/projects/cdo) by hand" >&2
    exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -qq -y --no-install-recommends cdo
cdo --version 2>&1 | head -1
