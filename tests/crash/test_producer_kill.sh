#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kill -9 of the producer at random moments, claims held and batches half written. Each successor
# sends everything again from the start under the same session: what the engine had already is
# answered duplicate_command, and the book and the trades are those of an undisturbed run. Then
# producers that die with claims in hand and have no successor, and one that only sits on a claim.
# KILLS=n, SEED=n.

. tests/integration/lib.sh
. tests/lib/engine.sh
: "${KILLS:=12}" "${COMMANDS:=20000}"

# What the commands did, without the numbers that duplicates shift.
effects() {
	grep -v -e '"reason":"duplicate_command"' -e '"type":"void"' "$1" |
		sed 's/^{"n":[0-9]*,"cmd_seq":[0-9]*,/{/'
}

send() { # OPTION...
	start_producer --generate --seed 11 --count "$COMMANDS" "$@"
}

small="$small --wal-size 128M"
fresh
start_engine --once
start_consumer "$place/calm"
send
check 'calm run' ends_with 0 "$engine_pid"
check 'calm consumer' ends_with 0 "$consumer_pid"
settle

fresh
start_engine
start_consumer "$place/killed"
ready
kills=0
while [ "$kills" -lt "$KILLS" ]; do
	random_below 64
	send --rate 100k --batch $((random + 1))
	random_below 180
	pause_ms $((20 + random))
	kill -9 "$producer_pid" 2>/dev/null
	wait "$producer_pid" 2>/dev/null
	[ $? -eq 137 ] && kills=$((kills + 1))
	# with claims in hand for certain; a successor or the engine buries them
	random_below 3
	[ "$random" -ne 0 ] || "$helpers/abuse" die "$name" 3 $((kills + 1)) >/dev/null 2>&1
done
send
check 'the last producer ends with 0' ends_with 0 "$producer_pid"
kill -TERM "$engine_pid"
check 'SIGTERM ends the engine with 0' ends_with 0 "$engine_pid"
start_engine --once
check '--once: the engine ends with 0' ends_with 0 "$engine_pid"
check 'the consumer ends with 0' ends_with 0 "$consumer_pid"
check 'numbers are dense' dense "$place/killed"
effects "$place/calm" >"$place/calm.effects"
# the strangers' cancels are answered unknown_order, without a session
effects "$place/killed" | grep -v '"order_id":1152921504606846976' >"$place/killed.effects"
check "the same effects after $kills kills" cmp "$place/calm.effects" "$place/killed.effects"
duplicates=$(grep -c '"reason":"duplicate_command"' "$place/killed")
check "what was sent twice is answered ($duplicates duplicates)" [ "$duplicates" -gt "$COMMANDS" ]
check 'the log verifies' verifies "$place/log"

# No successor: the engine itself writes the tombstones and ends.
fresh
rm -f "$place/hole"
start_engine --once
start_consumer "$place/hole"
"$helpers/abuse" die "$name" 5 100 2>/dev/null
check 'a dead claim without successor: --once ends with 0' ends_with 0 "$engine_pid" 10
check 'a dead claim without successor: it is said' grep -q 'tombstones=100' "$place/engine"
check 'a dead claim without successor: the consumer ends' ends_with 0 "$consumer_pid"
check 'each tombstone has its void report' [ "$(grep -c '"type":"void"' "$place/hole")" -eq 100 ]
check 'none of the scribble was executed' [ "$(grep -c '"type":"rejected"' "$place/hole")" -eq 5 ]
check 'the log has the tombstones' verifies "$place/log"

# Death is proved, not guessed: a producer that sits on a claim, stopped or not, loses nothing.
fresh
rm -f "$place/slow"
start_engine --once
start_consumer "$place/slow"
ready
"$helpers/abuse" claim "$name" 1 &
slow=$!
pause_ms 200
kill -STOP "$slow"
pause_ms 1000
kill -CONT "$slow"
check 'a producer that sat on a claim ends with 0' ends_with 0 "$slow"
check 'the engine waited for it' ends_with 0 "$engine_pid"
check 'its consumer' ends_with 0 "$consumer_pid"
check 'its command was executed, no tombstone' grep -q '"type":"rejected"' "$place/slow"
check 'exactly one report' [ "$(wc -l <"$place/slow")" -eq 1 ]
echo "kills=$kills duplicates=$duplicates SEED=$SEED"
ended
