#!/usr/bin/env bash
# Drills on a real SLURM of two nodes, which is installed (install.sh), started and removed here. Needs root.
#   run.sh --core              a run as typed, a search over two nodes, out of memory, scancel (at most 8 minutes)
#   run.sh --all               every drill (at most 45 minutes)
#   run.sh --overhead [tiny]   the default (or the miniature) experiment without SLURM and through it
#   run.sh NAME...             some drills: pytest's -k, for instance node_down
# The last three (not with tiny) write results/bench/cluster.json and the table in docs/reliability.md: what passed takes
# the place of its earlier pass.
# Ends with status 77 where there cannot be a test cluster (no root, nothing to install from).
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/cluster
command="bash $here/run.sh $*"
unset "${!SLURM_@}"

skip() {
    echo "$command: skipped: $*"
    exit 77
}

keep=()
limit=120m
case "${1:-}" in
    --core)
        chosen=("$here/test_core.py")
        limit=45m # a machine with much else to do takes longer than the 8 minutes, and a hung cluster has an end
        ;;
    --all)
        chosen=("$here")
        keep=(--keep)
        ;;
    --overhead)
        chosen=("$here/test_overhead.py")
        export PODNAS_OVERHEAD=${2:-sst}
        if [[ $PODNAS_OVERHEAD == sst ]]; then keep=(--keep); fi
        ;;
    "" | -*)
        sed -n '2,/^set/{/^#/p}' "$0" >&2
        exit 2
        ;;
    *)
        chosen=("$here" -k "$(sed 's/ / or /g' <<<"$*")")
        keep=(--keep)
        ;;
esac

[[ $(id -u) -eq 0 ]] || skip "the daemons of a test cluster need root"
bash $here/install.sh || skip "SLURM is not there and could not be installed"
exec 9>/run/podnas-cluster.lock
flock -n 9 || { echo "$command: another run has the test cluster" >&2 && exit 1; }
[[ -x .venv/bin/python ]] || make setup
rows=$(mktemp)
work=$(mktemp -d)
tests=

# everything that was started ends with this script, however it ends
cleanup() {
    local status=$?
    trap - EXIT INT TERM
    if [[ -n $tests ]]; then kill -KILL -- "-$tests" 2>/dev/null || true; fi
    bash $here/cluster.sh stop || true
    rm -rf "$rows" "$work"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export PODNAS_CLUSTER_ROWS=$rows
if [[ -z ${PODNAS_DATA:-} && -d ../shared/data ]]; then
    PODNAS_DATA=$(cd ../shared/data && pwd)
    export PODNAS_DATA
fi
status=0
# a session of its own, so that all of it can be ended at once; lock and cluster are this script's
setsid timeout --kill-after=30 $limit .venv/bin/python -m pytest -s -v -p no:cacheprovider \
    --basetemp="$work/drills" "${chosen[@]}" 9>&- &
tests=$!
wait $tests || status=$?
if [[ $status -eq 124 ]]; then echo "$command: ended after $limit"; fi
echo
.venv/bin/python -m tests.cluster.report "$rows" "$command" "${keep[@]}"
exit $status
