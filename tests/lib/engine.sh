# SPDX-License-Identifier: MIT
#
# What the scripts that start, stop and kill an engine share; sourced after lib.sh. Every wait is
# bounded. An engine's, producer's or consumer's process is a child of the script, so that its exit
# status can be asked for.

helpers=${SLUICE_BUILD:-build/release}/tests/integration
case $helpers in /*) ;; *) helpers=$(pwd)/$helpers ;; esac
file_blocks='' under=''
small='--symbols-max 8 --orders-max 16Ki --levels-max 1Ki --window-ticks 1Ki --wal-size 16M'

# start_engine OPTION...: on the log $place/log, as $engine_pid; talks into $place/engine. The file
# size limit $file_blocks (of 512 bytes) and the program $under, if set, are the engine's.
start_engine() {
	(
		[ -z "$file_blocks" ] || ulimit -f "$file_blocks"
		# shellcheck disable=SC2086 # lists of words
		exec $under "$bin/sluice-engine" --name "$name" --wal "$place/log" --format $small \
			"$@" >>"$place/engine" 2>&1
	) &
	engine_pid=$!
}

# start_bare OPTION...: the same without a log of its own and without limits
start_bare() {
	(exec "$bin/sluice-engine" --name "$name" "$@" >>"$place/engine" 2>&1) &
	engine_pid=$!
}

# start_consumer FILE OPTION...: as $consumer_pid
start_consumer() {
	output=$1
	shift
	(exec "$bin/sluice-consumer" --name "$name" --json --output "$output" "$@" \
		>>"$place/consumer" 2>&1) &
	consumer_pid=$!
}

# start_producer OPTION...: as $producer_pid
start_producer() {
	(exec "$bin/sluice-producer" --name "$name" "$@" >>"$place/producer" 2>&1) &
	producer_pid=$!
}

# ends_with STATUS PID [SECONDS]: the process ends in time (20 s), with that status
ends_with() {
	tries=$((${3:-20} * 50))
	while kill -0 "$2" 2>/dev/null && [ "$tries" -gt 0 ]; do
		pause_ms 20
		tries=$((tries - 1))
	done
	if [ "$tries" -eq 0 ]; then
		echo "process $2 did not end"
		kill -9 "$2"
	fi
	wait "$2"
	status=$?
	[ "$status" -eq "$1" ] || echo "exit status $status instead of $1"
	[ "$status" -eq "$1" ]
}

# The producer and the consumer that were started last end, one way or another.
settle() {
	for pid in "$producer_pid" "$consumer_pid"; do
		ends_with 0 "$pid" >/dev/null 2>&1
	done
}

# says FILE PATTERN [COUNT]: within 60 s the file has COUNT lines (1) that match
says() {
	tries=3000
	while found=$(grep -c -e "$2" "$1" 2>/dev/null); [ "${found:-0}" -lt "${3:-1}" ]; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			echo "$(basename "$1") does not say: $2"
			return 1
		fi
		pause_ms 20
	done
}
ready() { says "$place/engine" ' ready ' "${1:-1}"; }

# lines FILE N: within 60 s the file has at least N lines
lines() {
	tries=3000
	while [ "$(wc -l 2>/dev/null <"$1" || echo 0)" -lt "$2" ]; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		pause_ms 20
	done
}

# executed N: within 60 s the engine's durable point is at command N
executed() {
	tries=3000
	until "$bin/sluice" stat -n "$name" --json --once 2>/dev/null |
		grep -q "\"durable_seq\":$1,"; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			echo "command $1 is not durable"
			return 1
		fi
		pause_ms 50
	done
}

# Everything of an instance and its log is gone afterwards.
fresh() {
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	rm -rf "$place/log"
	: >"$place/engine"
	: >"$place/consumer"
	: >"$place/producer"
}

# user and system time of a process so far, in ticks of 10 ms
cpu_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

dense() { awk -F'[:,]' '$2 != NR { exit 1 } END { exit NR == 0 }' "$1"; }
verifies() { "$bin/sluice" wal verify "$1" >"$place/verify" 2>&1; }
show_all() { show "$place/engine" "$place/consumer" "$place/producer" "$place/verify"; }
# ended: the end of a script, with all that was said if something failed
ended() {
	[ "$failures" -eq 0 ] || show_all
	finish
}
