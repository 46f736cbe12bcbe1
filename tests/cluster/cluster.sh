#!/usr/bin/env bash
# A SLURM of two nodes, n1 and n2, on this machine, for tests. Needs root and what install.sh installs.
#   cluster.sh start [--accounting]     bring it up, with slurmdbd on MariaDB where asked for; an old one is stopped first
#   cluster.sh stop                     end its daemons and jobs, remove its files
#   cluster.sh node-down NAME           kill the node's slurmd and every process of jobs on it, at once
#   cluster.sh node-up NAME             start its slurmd again
#   cluster.sh accounting-down          kill slurmdbd and its database
#   cluster.sh accounting-up            start them again
# Each node claims four cores and 8 GB, whatever the machine has. /etc/slurm/slurm.conf is a link to this cluster's file
# while it is up, since jobs are stripped of SLURM_CONF. Where that file is another's, nothing is touched.
set -euo pipefail
PATH=$PATH:/usr/sbin
# the database writes there as a user of its own, who may not see the caller's
export TMPDIR=/tmp
MARK="# podnas test cluster"
LINK=/etc/slurm/slurm.conf
HOST=$(hostname -s)
NODES=(n1 n2)
CORES=4
MEMORY_MB=8000
START_S=30

fail() {
    echo "tests/cluster/cluster.sh: $*" >&2
    exit 1
}

# ours is what this script wrote: its first line says so
ours() {
    [[ -L $LINK ]] && head -1 "$LINK" 2>/dev/null | grep -qxF "$MARK"
}

refuse_others() {
    [[ $(id -u) -eq 0 ]] || fail "needs root, to start the daemons of SLURM"
    if [[ -e $LINK || -L $LINK ]] && ! ours; then
        # a link that leads nowhere is what a removed folder of ours leaves
        [[ -L $LINK && ! -e $LINK && $(readlink "$LINK") == */podnas-cluster.*/slurm.conf ]] ||
            fail "$LINK is not of this test cluster: this machine has a SLURM of its own, which is left alone"
        rm "$LINK"
    fi
    local daemon
    for daemon in slurmctld slurmd slurmdbd; do
        # an ended one may be left as a zombie
        if ! ours && ps -C "$daemon" -o stat= | grep -qv '^Z'; then
            fail "a $daemon that this script did not start runs here; it is left alone"
        fi
    done
}

root() {
    ours || fail "no test cluster is up; start one"
    dirname "$(readlink "$LINK")"
}

wait_until() {
    local what=$1
    shift
    local tries=$((START_S * 5))
    until "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || fail "$what did not come up in $START_S s; see the logs in $ROOT/log"
        sleep .2
    done
}

alive() {
    [[ -e /proc/$1 ]] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# end the process whose number a file holds, if its name is still the one given; at once, since nothing of it is kept
end() {
    local file=$1 name=$2 pid tries=50
    [[ -s $file ]] || return 0
    pid=$(<"$file")
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$name"* ]]; then
        kill "${3:--KILL}" "$pid" 2>/dev/null || true
        while alive "$pid" && ((tries-- > 0)); do sleep .1; done
    fi
    rm -f "$file"
}

start_munge() {
    munge -n >/dev/null 2>&1 && return
    mkdir -p /run/munge
    [[ -s /etc/munge/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
    chown munge: /etc/munge/munge.key /run/munge
    chmod 755 /run/munge
    runuser -u munge -- munged --pid-file=/run/munge/podnas-munged.pid
    wait_until munged munge -n
}

write_configuration() {
    local accounting="AccountingStorageType=accounting_storage/none" node
    if [[ $1 == --accounting ]]; then
        accounting=$'AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost'
        accounting+=$'\nAccountingStoragePort=16819\nAccountingStorageEnforce=associations'
        # Snakemake's efficiency report knows rules by their jobs' comments
        accounting+=$'\nAccountingStoreFlags=job_comment'
    fi
    cat >"$ROOT/slurm.conf" <<CONF
$MARK
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16817
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/slurmctld.pid
SlurmdPidFile=$ROOT/slurmd.%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.%n.log
# neither systemd nor control groups are needed; memory is looked at each second
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=pmi2
ReturnToService=2
KillWait=5
SlurmdTimeout=10
# drills look at jobs that have ended
MinJobAge=3600
OverTimeLimit=0
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
$accounting
CONF
    local port=17001
    for node in "${NODES[@]}"; do
        echo "NodeName=$node NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((port++)) CPUs=$CORES Boards=1" \
            "SocketsPerBoard=1 CoresPerSocket=$CORES ThreadsPerCore=1 RealMemory=$MEMORY_MB" >>"$ROOT/slurm.conf"
        mkdir -p "$ROOT/etc.$node" "$ROOT/pmix.$node"
        ln -sf "$ROOT/slurm.conf" "$ROOT/etc.$node/slurm.conf"
        echo "PMIxCliTmpDirBase=$ROOT/pmix.$node" >"$ROOT/etc.$node/mpi.conf"
    done
    echo "PartitionName=main Nodes=$(IFS=,; echo "${NODES[*]}") Default=YES MaxTime=04:00:00 State=UP" >>"$ROOT/slurm.conf"
}

sql() {
    mariadb --socket="$ROOT/mysql/mysql.sock" "$@"
}

start_database() {
    mariadbd --user=mysql --datadir="$ROOT/mysql" --port=13306 --bind-address=127.0.0.1 \
        --socket="$ROOT/mysql/mysql.sock" --pid-file="$ROOT/mysql/mariadb.pid" --innodb-log-file-size=4M \
        >>"$ROOT/log/mariadb.log" 2>&1 </dev/null &
    wait_until "the database" sql -e "select 1"
}

# the password lives as long as the cluster
write_accounting() {
    local password where
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    mkdir -p "$ROOT/mysql"
    chown mysql "$ROOT/mysql"
    mariadb-install-db --user=mysql --datadir="$ROOT/mysql" --innodb-log-file-size=4M --skip-test-db >"$ROOT/log/mariadb-install.log" 2>&1
    start_database
    sql -e "create database slurm_acct_db"
    for where in 127.0.0.1 localhost; do
        sql -e "create user 'slurm'@'$where' identified by '$password'; grant all on slurm_acct_db.* to 'slurm'@'$where'"
    done
    (umask 077 && cat >"$ROOT/slurmdbd.conf") <<CONF
$MARK
AuthType=auth/munge
DbdHost=localhost
DbdPort=16819
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=13306
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm_acct_db
CONF
    ln -sf "$ROOT/slurmdbd.conf" /etc/slurm/slurmdbd.conf
}

start_dbd() {
    slurmdbd
    wait_until slurmdbd sacctmgr -n show cluster
}

start_node() {
    slurmd -N "$1" -f "$ROOT/etc.$1/slurm.conf"
}

idle() {
    [[ $(sinfo -hN -t idle -p main | wc -l) -eq ${#NODES[@]} ]]
}

start() {
    refuse_others
    ! ours || stop
    # in memory, where databases need not wait for a disk
    ROOT=$(mktemp -d /dev/shm/podnas-cluster.XXXXXX 2>/dev/null || mktemp -d /tmp/podnas-cluster.XXXXXX)
    chmod 755 "$ROOT"
    mkdir -p "$ROOT"/{state,spool,log} /etc/slurm
    write_configuration "${1:-}"
    ln -s "$ROOT/slurm.conf" "$LINK"
    start_munge
    if [[ ${1:-} == --accounting ]]; then
        write_accounting
        start_dbd
        sacctmgr -i add cluster test >/dev/null 2>&1 || true
        sacctmgr -i add account podnas Cluster=test >/dev/null
        sacctmgr -i add user root Account=podnas >/dev/null
    fi
    slurmctld -c -f "$ROOT/slurm.conf"
    local node
    for node in "${NODES[@]}"; do start_node "$node"; done
    wait_until "the nodes" idle
    sinfo
}

stop() {
    ours || return 0
    ROOT=$(root)
    scancel -u root --signal=KILL --full >/dev/null 2>&1 || true
    local node
    for node in "${NODES[@]}"; do end_node "$node"; done
    end "$ROOT/slurmctld.pid" slurmctld
    end "$ROOT/slurmdbd.pid" slurmdbd
    end "$ROOT/mysql/mariadb.pid" mariadbd
    end /run/munge/podnas-munged.pid munged -TERM
    rm -f "$LINK" /etc/slurm/slurmdbd.conf
    rm -rf "$ROOT"
}

# slurmd, what it started for jobs, and what these started: tasks carry the node's name in their environment
end_node() {
    local tasks pid parent
    end "$ROOT/slurmd.$1.pid" slurmd
    tasks=$(grep -lzx "SLURMD_NODENAME=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true)
    for pid in $tasks; do
        parent=$(awk '{print $4}' "/proc/$pid/stat" 2>/dev/null || true)
        [[ $(cat "/proc/$parent/comm" 2>/dev/null) != slurmstepd* ]] || kill -KILL "$parent" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
    done
}

check_node() {
    [[ " ${NODES[*]} " == *" ${1:-} "* ]] || fail "no node ${1:-}; name one of ${NODES[*]}"
}

case "${1:-}" in
    start) start "${2:-}" ;;
    stop) stop ;;
    node-down) ROOT=$(root) && check_node "${2:-}" && end_node "$2" ;;
    node-up) ROOT=$(root) && check_node "${2:-}" && start_node "$2" && wait_until "the nodes" idle ;;
    accounting-down)
        ROOT=$(root)
        end "$ROOT/slurmdbd.pid" slurmdbd
        end "$ROOT/mysql/mariadb.pid" mariadbd
        ;;
    accounting-up) ROOT=$(root) && start_database && start_dbd ;;
    *)
        sed -n '2,/^set/{/^#/p}' "$0" >&2
        exit 2
        ;;
esac
