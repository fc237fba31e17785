#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Where the engine and its journal thread may run: left to itself the engine takes a CPU, and its
# journal thread has the others; one CPU, or CPUs that somebody chose, are shared.

. tests/integration/lib.sh
. tests/lib/engine.sh

# cpus_of THREAD-NAME: of the engine's thread of that name, as "0-1"
cpus_of() {
	for task in "/proc/$engine_pid/task"/*; do
		[ "$(cat "$task/comm")" = "$1" ] || continue
		sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status"
	done
}

# starts OPTION...: sets $engine_cpus and $journal_cpus
starts() {
	fresh
	start_engine --follower off --wal-io thread "$@"
	ready || return 1
	engine_cpus=$(cpus_of sluice-engine)
	journal_cpus=$(cpus_of sluice-journal)
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" && [ -n "$engine_cpus" ] && [ -n "$journal_cpus" ]
}

all=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
first=${all%%[,-]*}

# each LIST: "0-2,5" as 0, 1, 2 and 5, one a line
each() {
	echo "$1" | tr ',' '\n' | while IFS=- read -r low high; do
		seq "$low" "${high:-$low}"
	done
}

apart() {
	starts --cpu auto || return 1
	echo "of $all: engine $engine_cpus, journal $journal_cpus"
	case $engine_cpus in *[!0-9]*) return 1 ;; esac
	[ "$(each "$journal_cpus")" = "$(each "$all" | grep -vx "$engine_cpus")" ]
}

chosen() { starts --cpu "$first" && [ "$engine_cpus/$journal_cpus" = "$first/$first" ]; }
unbound() { starts --cpu none && [ "$engine_cpus/$journal_cpus" = "$all/$all" ]; }
only_one() {
	under="taskset -c $first"
	starts --cpu auto
	status=$?
	under=
	[ "$status" -eq 0 ] && [ "$engine_cpus/$journal_cpus" = "$first/$first" ]
}

if ! command -v taskset >/dev/null; then
	echo 'skip: test_engine_cpus: there is no taskset'
	exit 77
fi
if [ "$all" = "$first" ]; then
	echo 'skip: the journal thread has the other CPUs: there is only one'
else
	check 'the journal thread has the other CPUs' apart
fi
check 'a CPU that was chosen is for both' chosen
check 'without binding both have all' unbound
check 'one CPU is shared' only_one
finish
