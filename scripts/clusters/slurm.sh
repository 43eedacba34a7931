#!/bin/sh
# A Slurm of one node, without systemd and cgroups, for the tests: slurm.sh up|down FOLDER
# Needs root, slurm-wlm and munge. FOLDER is short, since a socket's path has at most 107
# bytes; it gets the configuration, slurm.conf, the state and the logs.
set -eu

folder=$2
SLURM_CONF=$folder/slurm.conf
export SLURM_CONF

up() {
	host=$(hostname -s)
	mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
	chmod 711 "$folder/munge"
	(umask 077 && head -c 128 /dev/urandom >"$folder/munge/key")
	munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
		--log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
	# RequeueExit is not set: score.sbatch requeues by itself.
	cat >"$SLURM_CONF" <<-END
		ClusterName=test
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$(port 1)
		SlurmdPort=$(port 2)
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		AuthInfo=socket=$folder/munge/socket
		CredType=cred/munge
		StateSaveLocation=$folder/state
		SlurmdSpoolDir=$folder/spool
		SlurmctldPidFile=$folder/slurmctld.pid
		SlurmdPidFile=$folder/slurmd.pid
		SlurmctldLogFile=$folder/slurmctld.log
		SlurmdLogFile=$folder/slurmd.log
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core
		SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
		MpiDefault=none
		SwitchType=switch/none
		ReturnToService=2
		KillWait=10
		MinJobAge=3600
		NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
		PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
	END
	slurmctld -f "$SLURM_CONF" -c
	slurmd -f "$SLURM_CONF" -N "$host"
	for _ in $(seq 100); do
		[ "$(sinfo --noheader --format %t 2>/dev/null)" != idle ] || return 0
		sleep 0.1
	done
	echo "slurm.sh: the node does not come up: $(sinfo --noheader 2>&1), see $folder/*.log" >&2
	return 1
}

# port is one of a few that belong to this process, so that two runs do not meet.
port() { echo $((20000 + $$ % 10000 * 2 + $1)); }

down() {
	scancel --full --user root 2>/dev/null || :
	scontrol shutdown 2>/dev/null || :
	for pid in "$folder/slurmd.pid" "$folder/slurmctld.pid" "$folder/munge/pid"; do
		[ -s "$pid" ] || continue
		process=$(cat "$pid")
		for _ in $(seq 50); do
			kill "$process" 2>/dev/null || break
			sleep 0.2
		done
	done
}

"$1"
