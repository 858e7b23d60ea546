#!/usr/bin/env bash
# A sweep through a real Slurm of one node, on this machine: jobs are preempted with a signal and put
# back into the queue while they train, and the records must be those of a sweep without Slurm.
# Takes a minute or two. Needs root, Debian's slurm-wlm and munge, and normbench[slurm]; else says so.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-python3}

skip() { echo "slurm_check: skipped: $1"; exit 0; }

[ "$(id -u)" = 0 ] || skip "starting Slurm's daemons needs root"
$python -c "import submitit, hydra_plugins.hydra_submitit_launcher" 2>/dev/null ||
    skip 'pip install "normbench[slurm]" first'
if ! command -v slurmctld slurmd munged mungekey >/dev/null; then
    (DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge ||
        (apt-get update -q && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends slurm-wlm munge)) >/dev/null 2>&1 ||
        skip "the packages slurm-wlm and munge are not to be had"
fi

work=$(mktemp -d)
export SLURM_CONF=$work/slurm.conf
pids=()
finish() {
    code=$?
    [ $code = 0 ] || tail -n 20 "$work"/*.log "$work"/slurm/logs/*/.submitit/*/*.err 2>/dev/null || true
    scancel --quiet --user=root 2>/dev/null || true
    for _ in $(seq 50); do # without its daemons, what still runs would never learn to end
        [ -z "$(squeue -h 2>/dev/null)" ] && break
        sleep 0.2
    done
    exec 2>/dev/null # bash would tell of each
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" || true; done
    sleep 1
    grep -lszxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -9 || true
    wait || true
    rm -rf "$work"
    exit $code
}
trap finish EXIT

# --- a cluster of one node ------------------------------------------------------------------------
host=$(hostname -s)
read -r control daemon < <($python - <<'PY'
import socket
ports = [socket.socket() for _ in range(2)]
for port in ports:
    port.bind(("", 0))
print(*(port.getsockname()[1] for port in ports))
PY
)
mkdir -p "$work/state" "$work/spool"
cat >"$SLURM_CONF" <<CONF
ClusterName=check
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmdPort=$daemon
AuthInfo=socket=$work/munge.socket
SlurmUser=root
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=3
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(free -m | awk '/^Mem:/{print $2}') - 100))
PartitionName=check Nodes=ALL Default=YES State=UP
CONF
mungekey -c -k "$work/munge.key"
munged --force --foreground --key-file="$work/munge.key" --socket="$work/munge.socket" \
    --pid-file="$work/munge.pid" --seed-file="$work/munge.seed" --log-file="$work/munged.log" \
    >"$work/munge.out.log" 2>&1 &
pids+=($!)
until [ -S "$work/munge.socket" ]; do sleep 0.1; done
slurmctld -D -c >"$work/slurmctld.log" 2>&1 &
pids+=($!)
slurmd -D >"$work/slurmd.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
    sinfo -h -o %t 2>/dev/null | grep -q idle && break
    sleep 0.2
done
sinfo -h -o %t 2>/dev/null | grep -q idle || skip "Slurm does not come up on this machine"

# --- the same sweep twice -------------------------------------------------------------------------
mkdir "$work/code" # a copy, so that edits and commits meanwhile do not pass for differences
cp -r "$root/normbench" "$root/configs" "$work/code"
export PYTHONPATH=$work/code NORMBENCH_CACHE=$work/cache
cd "$work"
sweep=(run -m norm=none,batchnorm data=synthetic data.image_size=16 data.source.train_size=400
    data.source.val_size=60 "model.widths=[8,16]" "grid.batch_size=[2]" "grid.lr=[0.01]"
    "grid.seeds=[0,1]" train.epochs=40 train.checkpoint=always)
$python -m normbench "${sweep[@]}" results.dir=local >local.log 2>&1
$python -m normbench "${sweep[@]}" results.dir=slurm launcher=slurm grid.split=run >slurm.log 2>&1 &
sweep_pid=$!

wait_for_checkpoint() { # one that is new since this was called
    touch mark
    while kill -0 $sweep_pid 2>/dev/null; do
        [ -n "$(find slurm/checkpoints -name '*.pt' -newer mark 2>/dev/null)" ] && return
        sleep 0.05
    done
}
restarts() { scontrol show job "$1" 2>/dev/null | grep -o "Restarts=[0-9]*"; }
preempt() { # COMMAND JOB, for the job that trains for longest, until it is back in the queue
    wait_for_checkpoint
    local job before
    job=$(squeue -h -t R -S S -o %i | head -n 1)
    before=$(restarts "$job")
    # of an array's job, scancel delivers its signal, is yet told no, and would signal once more
    timeout 5 "$@" "$job" 2>/dev/null || true
    while kill -0 $sweep_pid 2>/dev/null && [ "$(restarts "$job")" = "$before" ]; do sleep 0.1; done
}
release() { # jobs that are put back into the queue would wait there for two minutes
    while kill -0 $sweep_pid 2>/dev/null; do
        for job in $(squeue -h -t PD -o "%i %r" | awk '$2 == "BeginTime" { print $1 }'); do
            scontrol update JobId="$job" StartTime=now 2>/dev/null || true
        done
        sleep 0.5
    done
}
release &
pids+=($!)
preempt scancel --signal=USR2
preempt scontrol requeue
wait $sweep_pid || { echo "slurm_check: the sweep through Slurm failed"; exit 1; }

$python - <<'PY'
import json
from pathlib import Path


def outcomes(folder):
    records = [json.loads(path.read_text()) for path in Path(folder, "records").glob("*.json")]
    return {r["key"]: (r["config"], r["status"], r["epochs"]) for r in records}


def starts():
    logs = Path("slurm/logs").glob("*/.submitit/*/*_log.out")
    return sum(path.read_text().count("Starting with JobEnvironment") for path in logs)


local, slurm = outcomes("local"), outcomes("slurm")
assert len(local) == 4 and slurm == local, "records differ from those without Slurm"
assert starts() >= 4 + 2, f"4 jobs and 2 preemptions, but {starts()} starts"
tables = [Path(d, "tables/synthetic_cnn4.md").read_text() for d in ("local", "slurm")]
assert tables[0] == tables[1], "tables differ"
left = [str(p) for d in ("locks", "checkpoints", "failures") for p in Path("slurm", d).glob("*")]
assert not left, f"left behind: {left}"
print(f"slurm_check: 4 runs in 4 jobs, started {starts()} times: records and tables are the same")
PY
