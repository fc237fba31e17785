#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kill -9 of the engine at random moments while a producer runs and a consumer writes: the consumer's
# file must hold every report number exactly once and be the same file as without kills, and the log
# must verify. KILLS=n, SEED=n.

. tests/integration/lib.sh
: "${KILLS:=20}" "${COMMANDS:=240000}"

# In the background only: the job's pid is the program's.
engine() {
	exec "$bin/sluice-engine" --name "$name" --wal "$place/$log" --format --wal-size 512M --once \
		--symbols-max 8 --orders-max 64Ki "$@" >>"$place/engine" 2>&1
}

# Batches, so that the log is large enough even if each of them becomes a block of its own.
producer() { # RATE
	"$bin/sluice-producer" --name "$name" --generate --count "$COMMANDS" --seed 7 --batch 3 \
		--rate "$1" >"$place/producer" 2>&1
}

consumer() {
	"$bin/sluice-consumer" --name "$name" --json --output "$place/$log.reports" \
		>"$place/consumer" 2>&1
}

# The engine has been ready more than $1 times, or has ended.
await_ready() {
	while [ "$(grep -c ' ready ' "$place/engine")" -le "$1" ] && kill -0 "$engine_pid" 2>/dev/null; do
		pause_ms 20
	done
}

log=calm
engine &
engine_pid=$!
consumer &
consumer_pid=$!
producer max
check 'calm run: the producer ends with 0' [ $? -eq 0 ]
check 'calm run: the engine ends with 0' wait "$engine_pid"
check 'calm run: the consumer ends with 0' wait "$consumer_pid"
: >"$place/engine"
log=killed
engine &
engine_pid=$!
consumer &
consumer_pid=$!
producer 14k &
producer_pid=$!
kills=0
while [ "$kills" -lt "$KILLS" ]; do
	# every other kill waits for the engine to run, so that not all hit its start
	[ $((kills % 2)) -eq 0 ] && await_ready $((kills / 2))
	random_below 300
	pause_ms $((20 + random))
	kill -9 "$engine_pid" 2>/dev/null
	wait "$engine_pid"
	# 137: killed. Else it had ended by itself, and there is nothing to go on with.
	[ $? -eq 137 ] || break
	kills=$((kills + 1))
	engine &
	engine_pid=$!
done
wait "$producer_pid"
check "producer ends with 0 after $kills kills" [ $? -eq 0 ]
wait "$consumer_pid"
check 'consumer ends with 0: nothing lost, nothing twice' [ $? -eq 0 ]
wait
check 'every report once, byte for byte as without kills' \
	cmp "$place/calm.reports" "$place/killed.reports"
check 'numbers are dense' awk -F'[:,]' '$2 != NR { exit 1 }' "$place/killed.reports"
if [ -x "$bin/sluice" ]; then
	check 'the log verifies' sh -c '"$1" wal verify "$2" >"$3" 2>&1' - "$bin/sluice" \
		"$place/killed" "$place/verify"
	check 'the killed log gives the state of the calm one' sh -c '
		a=$("$1" wal verify "$2" | grep -o "state[ _]hash[ =]*[0-9a-f]*")
		b=$("$1" wal verify "$3" | grep -o "state[ _]hash[ =]*[0-9a-f]*")
		[ -n "$a" ] && [ "$a" = "$b" ]' - "$bin/sluice" "$place/calm" "$place/killed"
else
	fail 'sluice is not built'
fi
check "the engine was killed $kills times" [ "$kills" -eq "$KILLS" ]
starts=$(grep -c recovered_commands "$place/engine")
echo "kills=$kills SEED=$SEED engine starts that got as far as recovery: $starts"
[ "$failures" -eq 0 ] || show "$place/engine" "$place/producer" "$place/consumer" "$place/verify"
finish
