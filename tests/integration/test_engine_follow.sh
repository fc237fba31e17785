#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A follower as a process: by hand beside an engine that has none, alone on a log, with its parent,
# when idle; and how it ends. What an engine does with its own follower is in test_engine_snapshot.

. tests/integration/lib.sh
. tests/lib/engine.sh

# start_follower OPTION...: as $follower_pid; talks into $place/follower
start_follower() {
	(exec "$bin/sluice-engine" --follow --wal "$place/log" "$@" >>"$place/follower" 2>&1) &
	follower_pid=$!
}
following() { says "$place/follower" ' following=' "${1:-1}"; }

stop_follower() {
	kill -TERM "$follower_pid"
	ends_with 0 "$follower_pid"
}

run_commands() { # COUNT TOTAL
	timeout 60 "$bin/sluice-producer" --name "$name" --generate --seed 5 --count "$1" \
		--session 0 >>"$place/producer" 2>&1
	executed "$2"
}

stop_engine() {
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
}

fresh_log() {
	fresh
	: >"$place/follower"
}

refuses_a_bad_start() {
	fresh_log
	timeout 10 "$bin/sluice-engine" --follow >"$place/follower" 2>&1
	check 'no --wal: exit 2' [ $? -eq 2 ]
	timeout 10 "$bin/sluice-engine" --follow --wal "$place/none" >"$place/follower" 2>&1
	check 'no log: exit 4' [ $? -eq 4 ]
	mkdir "$place/log"
	timeout 10 "$bin/sluice-engine" --follow --wal "$place/log" --parent 1 >"$place/follower" 2>&1
	check 'a parent that is gone: exit 0, nothing done' [ $? -eq 0 ]
	check 'a parent that is gone: says nothing' [ ! -s "$place/follower" ]
	rmdir "$place/log"
}

# A follower that was there before the engine and stays after it.
by_hand() {
	fresh_log
	start_engine --follower off --reports drop
	ready
	stop_engine
	start_follower --name "$name" --snapshot-every 1M --snapshot-rate 0
	check 'follows a log without an engine' following
	check 'says that nobody serves the name' says "$place/follower" "nobody serves $name.rep"
	start_engine --follower off --reports drop
	ready 2
	check 'commands' run_commands 60000 60000
	check 'its snapshot is named' says "$place/engine" 'snapshot=named number=2'
	check 'it says what it wrote' says "$place/follower" 'snapshot=written number=2'
	check 'the mailbox is emptied' mailbox_empty
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	start_engine --follower off --reports drop
	ready 3
	named=$(grep -c 'snapshot=named' "$place/engine")
	check 'more commands' run_commands 30000 90000
	check 'it goes on with the next engine' says "$place/engine" 'snapshot=named' $((named + 1))
	check 'it is told how far it is' counter_at_least follower_cmd_seq 85000
	check 'it is still the first' following 1
	stop_engine
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	start_engine --follower off --reports drop
	ready 4
	check 'commands of a new ring' run_commands 30000 120000
	check 'it finds a new ring' counter_at_least follower_cmd_seq 115000
	stop_engine
	check 'SIGTERM ends it with 0' stop_follower
	check 'the log is whole' verifies "$place/log"
}

counter() { "$helpers/show_counter" "$name.rep" "$1" 2>/dev/null; } # LABEL
counter_at_least() { # LABEL N
	tries=3000
	until [ "$(counter "$1")" -ge "$2" ] 2>/dev/null; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			echo "$1 is $(counter "$1")"
			return 1
		fi
		pause_ms 50
	done
}
mailbox_empty() {
	tries=3000
	until [ "$(counter snapshot_ready)" = 0 ]; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		pause_ms 50
	done
}

# With no name it only follows; a second one has to wait.
alone() {
	fresh_log
	start_engine --follower off --reports drop
	ready
	check 'a log to follow' run_commands 40000 40000
	start_follower --snapshot-every 1M --snapshot-rate 0
	check 'follows without a name' following
	check 'writes a snapshot that nobody hears of' says "$place/follower" 'snapshot=written'
	first=$follower_pid
	start_follower
	check 'a second one waits' says "$place/follower" 'somebody else writes the snapshots'
	kill -TERM "$follower_pid"
	check 'and can be stopped while it waits' ends_with 0 "$follower_pid"
	before=$(cpu_ticks "$first")
	pause_ms 2000
	after=$(cpu_ticks "$first")
	check 'idle: next to no CPU time' [ $((after - before)) -le 6 ]
	follower_pid=$first
	kill -INT "$follower_pid"
	check 'SIGINT ends it with 0' ends_with 0 "$follower_pid"
	stop_engine
}

# Its log moves away, and another comes in its place.
moved() {
	fresh_log
	start_engine --follower off
	ready
	start_follower --name "$name"
	check 'a log that is moved: follows' following
	cp -r "$place/log" "$place/copy"
	mv "$place/log" "$place/away"
	mv "$place/copy" "$place/log"
	check 'a log that is moved: ends the follower with 4' ends_with 4 "$follower_pid"
	check 'a log that is moved: which says why' \
		says "$place/follower" 'not the file that is followed'
	check 'a log that is moved: the engine says so' says "$place/engine" 'log_gone=1'
	rm -rf "$place/log"
	mv "$place/away" "$place/log"
	check 'a log that is moved: and when it is back' says "$place/engine" 'log_gone=0'
	stop_engine
}

# The end of the process that started it is its own.
with_its_parent() {
	fresh_log
	start_engine --follower off
	ready
	stop_engine
	sh -c '"$0" --follow --wal "$1" --parent $$ 2>>"$2" & echo $! >"$3"; wait' \
		"$bin/sluice-engine" "$place/log" "$place/follower" "$place/pid" &
	parent=$!
	check 'follows as a child' following
	child=$(cat "$place/pid")
	kill -9 "$parent"
	wait "$parent" 2>/dev/null
	tries=3000
	while kill -0 "$child" 2>/dev/null && [ "$tries" -gt 0 ]; do
		tries=$((tries - 1))
		pause_ms 20
	done
	check 'ends with its parent' [ "$tries" -gt 0 ]
}

finds_damage() {
	fresh_log
	start_engine --follower off --reports drop
	ready
	check 'a log to damage' run_commands 20000 20000
	kill -9 "$engine_pid" # a clean end leaves a snapshot, and nothing to read before it
	wait "$engine_pid" 2>/dev/null
	printf 'rot' | dd of="$place/log/wal-00" bs=1 seek=300000 conv=notrunc 2>/dev/null
	sum=$(cat "$place/log"/* | cksum)
	start_follower
	check 'a damaged log: exit 5' ends_with 5 "$follower_pid"
	check 'a damaged log: says where' grep -q 'wal-00 offset .*block' "$place/follower"
	check 'and leaves it as it was' [ "$sum" = "$(cat "$place/log"/* | cksum)" ]
}

# policies: of the follower's threads, as numbers, a line each
policies() { sed 's/.*) //' /proc/"$follower_pid"/task/*/stat 2>/dev/null | cut -d ' ' -f 39; }

# idle_seen: within 20 s a thread of idle priority (policy 5) works
idle_seen() {
	tries=4000
	until policies | grep -q '^5$'; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		pause_ms 5
	done
}

no_idle_for_a_while() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! policies | grep -q '^5$' || return 1
		pause_ms 20
	done
}

# Whoever gives priority up may not have it back: a follower without privileges hurries all the same.
hurries_without_a_privilege() {
	fresh_log
	nobody=''
	if [ "$(id -u)" -eq 0 ]; then
		nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
		chmod 711 "$place"
		if ! $nobody "$bin/sluice-engine" --version >"$place/out" 2>&1; then
			echo 'skip: a follower without privileges: setpriv cannot run the program'
			return
		fi
	fi
	start_engine --follower off --reports drop
	ready
	[ -z "$nobody" ] || chown -R 65534 "$place/log"
	# shellcheck disable=SC2086 # words
	(exec $nobody "$bin/sluice-engine" --follow --wal "$place/log" --snapshot-every 15M \
		>>"$place/follower" 2>&1) &
	follower_pid=$!
	check 'without privileges: follows' following
	check 'without privileges: out of the way' idle_seen
	check 'without privileges: a log more than half full' run_commands 80000 80000
	check 'without privileges: hurries' says "$place/follower" 'follower_priority=normal'
	check 'without privileges: and really does' no_idle_for_a_while
	check 'without privileges: SIGTERM ends it with 0' stop_follower
	stop_engine
}

refuses_a_bad_start
by_hand
alone
hurries_without_a_privilege
moved
with_its_parent
finds_damage
[ "$failures" -eq 0 ] || show "$place/follower"
ended
