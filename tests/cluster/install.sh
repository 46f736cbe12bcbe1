#!/usr/bin/env bash
# Install SLURM, MUNGE and MariaDB from Debian or Ubuntu, for tests/cluster/run.sh; nothing to do where they are there.
# What the packages start by themselves (MUNGE, MariaDB) is left as it is. Ends with status 77 where nothing can be installed.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing() {
    local program
    for program in slurmctld slurmd slurmdbd munged mariadbd sbatch srun; do
        command -v "$program" >/dev/null || return 0
    done
    return 1
}

missing || exit 0
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null; then
    echo "tests/cluster/install.sh: SLURM is missing and there is no apt-get; install slurm-wlm, slurmdbd, munge and" \
        "mariadb-server by hand" >&2
    exit 77
fi
if ! "${as_root[@]}" true 2>/dev/null; then
    echo "tests/cluster/install.sh: SLURM is missing, and installing it needs root or sudo without a password" >&2
    exit 77
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
installed() {
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends slurm-wlm slurmdbd munge mariadb-server
}
if ! installed >"$log" 2>&1; then
    tail -5 "$log" >&2
    echo "tests/cluster/install.sh: apt-get could not install slurm-wlm, slurmdbd, munge and mariadb-server" >&2
    exit 77
fi
slurmctld -V
