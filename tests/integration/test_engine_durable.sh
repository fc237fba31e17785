#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is visible is durable, whatever happens to the log: the order of the two seen from outside,
# a failing write, a full log, a machine without io_uring, and the weaker modes.

. tests/integration/lib.sh
. tests/lib/engine.sh

# the yardstick: the same 3000 commands undisturbed
undisturbed() {
	fresh
	start_engine --once
	start_consumer "$place/calm"
	start_producer --generate --seed 5 --count 3000
	check 'undisturbed run' ends_with 0 "$engine_pid"
	settle
	check 'undisturbed: dense numbers' dense "$place/calm"
}

order_seen() { # MODE
	fresh
	start_engine --once --durability "$1" --wal-size 256M
	ready || return 1
	"$helpers/watch_durable" "$name" "$place/log" >"$place/watch" 2>&1 &
	watch_pid=$!
	start_producer --generate --seed 5 --count 30000 --rate 30k
	ends_with 0 "$producer_pid"
	ends_with "$2" "$watch_pid"
	rc=$?
	cat "$place/watch"
	ends_with 0 "$engine_pid" && [ "$rc" -eq 0 ]
}

without_uring() {
	fresh
	under="$helpers/forbid_uring"
	start_engine --once
	under=''
	start_consumer "$place/blocking"
	start_producer --generate --seed 5 --count 3000
	ends_with 0 "$engine_pid" 20
	rc=$?
	settle
	if [ "$rc" -ne 0 ] && grep -q '^forbid_uring: ' "$place/engine"; then
		echo 'skip: without io_uring: no system call filters here'
		return
	fi
	check 'without io_uring: the engine ends with 0' [ "$rc" -eq 0 ]
	check 'without io_uring: it says so' grep -q 'log="blocking' "$place/engine"
	check 'without io_uring: the same reports' cmp "$place/calm" "$place/blocking"
}

# Commands in the log, counted by the reader that tools use.
logged() { "$bin/sluice" wal dump "$place/log" | grep -c .; }

# Of the highest command with a visible report.
highest_seen() {
	awk 'match($0, /"cmd_seq":[0-9]+/) { seq = substr($0, RSTART + 10, RLENGTH - 10) }
		END { print seq + 0 }' "$1"
}

# A write beyond the file size limit fails with EFBIG. The rings are files too, so an engine without
# the limit makes them; each of the 16 segments has 1 MiB, and the limit is 200 KiB.
failing_write() { # LABEL OPTION...
	label=$1
	shift
	fresh
	rm -f "$place/failing"
	start_engine "$@"
	ready
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	file_blocks=400
	start_engine "$@"
	file_blocks=''
	ready 2
	start_consumer "$place/failing"
	start_producer --generate --seed 5 --count 3000 --rate 6k
	check "$label: the engine exits with 1" ends_with 1 "$engine_pid" 10
	check "$label: says which file, offset and block" \
		grep -q 'halted.*wal-[0-9]* offset [0-9]*.*block [0-9]*' "$place/engine"
	pause_ms 300
	check "$label: something was visible" [ "$(wc -l <"$place/failing")" -gt 50 ]
	check "$label: nothing beyond the log is visible" \
		[ "$(highest_seen "$place/failing")" -lt "$(logged)" ]
	start_engine --once
	check "$label: goes on without the limit" ends_with 0 "$engine_pid"
	check "$label: producer ends with 0" ends_with 0 "$producer_pid"
	check "$label: consumer ends with 0" ends_with 0 "$consumer_pid"
	check "$label: the same file as undisturbed" cmp "$place/calm" "$place/failing"
}

# kill -9, and the writes that nothing proves to be done were not: those commands are still in the
# ring. With async their reports may be visible already: then they are compared, not published.
lost_writes() { # MODE
	fresh
	rm -f "$place/lost"
	start_engine --durability "$1"
	start_consumer "$place/lost"
	start_producer --generate --seed 5 --count 3000 --rate 2k --wait-timeout 20s
	kills=0 ahead=0 unlogged=0
	while [ "$kills" -lt 8 ]; do
		lines "$place/lost" $((kills * 200 + 100))
		kill -9 "$engine_pid"
		wait "$engine_pid" 2>/dev/null
		kills=$((kills + 1))
		"$helpers/abuse" unlog "$name" "$place/log" >"$place/unlog" || fail "$1: unlog"
		grep -q 'unlogged=0 ' "$place/unlog" || unlogged=$((unlogged + 1))
		grep -q 'visible=1' "$place/unlog" && ahead=$((ahead + 1))
		start_engine --durability "$1"
		ready $((kills + 1)) || break
	done
	kill -TERM "$engine_pid"
	check "$1, lost writes: SIGTERM" ends_with 0 "$engine_pid"
	start_engine --once --durability batch
	check "$1, lost writes: goes on with batch" ends_with 0 "$engine_pid"
	check "$1, lost writes: producer ends with 0" ends_with 0 "$producer_pid"
	check "$1, lost writes: consumer ends with 0" ends_with 0 "$consumer_pid"
	sed "$unmark" "$place/lost" >"$place/lost.plain"
	check "$1, lost writes: nothing visible was lost or changed" \
		cmp "$place/calm" "$place/lost.plain"
	check "$1, lost writes: the log verifies" verifies "$place/log"
	echo "$1: writes were lost at $unlogged of $kills kills, reports of theirs visible at $ahead"
}

# 16 segments of 1 MiB: room for some 130,000 commands in large blocks, fewer in small ones
full_log() {
	fresh
	start_engine --reports drop --follower off
	start_producer --generate --count 400000 --seed 3
	check 'full log: it is said' says "$place/engine" 'is full: commands stay'
	check 'full log: the producer waits' kill -0 "$producer_pid"
	cpu_before=$(cpu_ticks "$engine_pid")
	pause_ms 1000
	check 'full log: the engine sleeps' [ $(($(cpu_ticks "$engine_pid") - cpu_before)) -lt 10 ]
	kill -TERM "$engine_pid"
	check 'full log: SIGTERM ends the engine with 0' ends_with 0 "$engine_pid"
	check 'full log: it verifies' verifies "$place/log"
	start_engine --reports drop --follower off
	check 'full log: starts again' ready 2
	kill -TERM "$engine_pid" "$producer_pid"
	check 'full log: ends again' ends_with 0 "$engine_pid"
	ends_with 143 "$producer_pid" || fail "full log: the producer ends when asked"
}

no_log() {
	fresh
	start_bare --durability off
	start_consumer "$place/off"
	start_producer --generate --seed 5 --count 3000
	check 'off: producer ends with 0' ends_with 0 "$producer_pid"
	lines "$place/off" "$(wc -l <"$place/calm")"
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	sed "$unmark" "$place/off" >"$place/off.plain"
	check 'off: the same reports but for their mark' cmp "$place/calm" "$place/off.plain"
	start_bare --durability off
	check 'off: a restart is refused with 5' ends_with 5 "$engine_pid"
	check 'off: says what to do' grep -q 'sluice gc -n' "$place/engine"
	start_engine
	check 'off: a log does not fit these rings' ends_with 5 "$engine_pid"
	kill -TERM "$consumer_pid"
	settle
	fresh
	start_bare --durability off --once
	start_consumer "$place/off2"
	start_producer --generate --seed 5 --count 3000
	check 'off, --once: ends with 0' ends_with 0 "$engine_pid"
	settle
}

# reports carry how durable they are, if it is not the usual
unmark='s/,"durability":"[a-z_]*"//'
undisturbed
check 'batch: every visible report was in the log already' order_seen batch 0
without_uring
failing_write 'failing write, io_uring' --wal-io io_uring
failing_write 'failing write, blocking' --wal-io blocking
lost_writes batch
lost_writes async
full_log
no_log
ended
