#!/bin/bash
# A Slurm cluster of this one machine, for the checks of run.py: nothing outside its folder is read or written, and it
# listens on the loopback interface only.
#
#   bash lab/slurm/cluster.sh install        munge, slurmctld, slurmd and the commands, from Debian or Ubuntu, as root
#   bash lab/slurm/cluster.sh start DIR      then: export SLURM_CONF=DIR/slurm.conf
#   bash lab/slurm/cluster.sh stop DIR       its jobs are cancelled; DIR stays, with the logs
#
# It has as many CPUs as nproc tells, so that `taskset -c 0 bash lab/slurm/cluster.sh start DIR` has one. Memory is
# watched by Slurm itself, every second or two (OverMemoryKill), since cgroups are not there everywhere.
# Options: slurm.conf(5), munged(8).
set -euo pipefail

action=${1:-} folder=${2:-}
case $action in
  install) ;;
  start | stop)
    [ -n "$folder" ] || { echo "error: no folder given; see the head of $0" >&2 && exit 2; }
    mkdir -p "$folder"
    folder=$(realpath "$folder")
    export SLURM_CONF=$folder/slurm.conf
    ;;
  *) echo "error: install, start DIR or stop DIR was expected, not '$action'" >&2 && exit 2 ;;
esac

free_ports() { # two ports that nobody uses
  python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))'
}

write_configuration() {
  local host user control_port node_port megabytes
  host=$(hostname -s) user=$(id -un)
  read -r control_port node_port <<< "$(free_ports)"
  megabytes=$(($(awk '/^MemTotal:/ {print $2}' /proc/meminfo) / 1024 * 3 / 4))
  cat > "$SLURM_CONF" << END
ClusterName=check
SlurmUser=$user
SlurmdUser=$user
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control_port
SlurmdPort=$node_port
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# A job that went back to the queue may start again after cred_expire seconds.
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/control
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/node
SlurmdPidFile=$folder/slurmd.pid
SlurmdLogFile=$folder/slurmd.log
# Job numbers of two clusters should not meet in the folder of logs.
FirstJobId=$((RANDOM * 20 + 1000))
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
DefMemPerCPU=500
KillWait=5
MpiDefault=none
TaskPlugin=task/none
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$megabytes
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
}

is_up() { # is_up PID_FILE: whether its process is there, and not only its corpse
  local state
  state=$(awk '/^State:/ {print $2}' "/proc/$(cat "$1" 2> /dev/null || echo none)/status" 2> /dev/null) || return 1
  [[ $state != [ZX] ]]
}

start() {
  if is_up "$folder/slurmctld.pid"; then
    echo "error: a cluster runs in $folder; stop it first: bash $0 stop $folder" >&2
    exit 2
  fi
  mkdir -p "$folder/control" "$folder/node" "$folder/munge"
  chmod 755 "$folder" "$folder/munge"
  write_configuration
  dd if=/dev/urandom of="$folder/munge/key" bs=64 count=1 status=none
  chmod 600 "$folder/munge/key"
  local as=()
  if [ "$(id -u)" -eq 0 ]; then
    chown -R munge: "$folder/munge"
    as=(runuser -u munge --)
  fi
  "${as[@]}" munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" 2> "$folder/munged.err"
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  local state=''
  for _ in $(seq 100); do
    state=$(sinfo --noheader --format=%T 2> /dev/null || true)
    [ "$state" != idle ] || { echo "slurm: $(nproc) CPUs, $folder" && return; }
    sleep 0.2
  done
  echo "error: the node is '${state:-not there}' after 20 s, not idle; see $folder/*.log" >&2
  stop
  exit 1
}

stop() {
  local jobs file
  jobs=$(timeout 10 squeue --noheader --format=%A 2> /dev/null | sort -u || true)
  [ -z "$jobs" ] || timeout 10 scancel $jobs || true
  for _ in $(seq 60); do
    [ -n "$(timeout 10 squeue --noheader 2> /dev/null)" ] || break
    sleep 0.2
  done
  for file in "$folder/slurmd.pid" "$folder/slurmctld.pid" "$folder/munge/pid"; do
    ! is_up "$file" || kill "$(cat "$file")"
    for _ in $(seq 100); do
      is_up "$file" || break
      sleep 0.1
    done
    ! is_up "$file" || kill -KILL "$(cat "$file")"
  done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -q install -y --no-install-recommends munge slurmctld slurmd slurm-client python3
}

export PATH=$PATH:/usr/sbin:/sbin
case $action in
  install) install_packages ;;
  start) start ;;
  stop) stop ;;
esac
