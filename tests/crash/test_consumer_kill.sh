#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kill -9 of the consumer at random moments while the engine and a producer run: its file must hold
# every number exactly once and be the file of an undisturbed run. Then each of the three programs is
# stopped for a second and goes on: nothing is lost and nobody is taken for dead. KILLS=n, SEED=n.

. tests/integration/lib.sh
. tests/lib/engine.sh
: "${KILLS:=15}" "${COMMANDS:=60000}"

small="$small --wal-size 256M"
fresh
start_engine --once
start_consumer "$place/calm"
start_producer --generate --seed 13 --count "$COMMANDS"
check 'calm run' ends_with 0 "$engine_pid"
check 'calm consumer' ends_with 0 "$consumer_pid"
settle

fresh
# a small ring, so that the engine also meets it full while nobody reads
start_engine --once --ring-size 4096
start_producer --generate --seed 13 --count "$COMMANDS" --rate 20k
ready
kills=0
while [ "$kills" -lt "$KILLS" ]; do
	start_consumer "$place/killed"
	random_below 150
	pause_ms $((10 + random))
	kill -9 "$consumer_pid" 2>/dev/null
	wait "$consumer_pid" 2>/dev/null
	[ $? -eq 137 ] || break
	kills=$((kills + 1))
done
start_consumer "$place/killed"
check 'the producer ends with 0' ends_with 0 "$producer_pid"
check 'the engine ends with 0' ends_with 0 "$engine_pid"
check 'the last consumer ends with 0' ends_with 0 "$consumer_pid"
check 'numbers are dense, each exactly once' dense "$place/killed"
check "the same file after $kills kills" cmp "$place/calm" "$place/killed"
check "the consumer was killed $kills times" [ "$kills" -gt 5 ]

fresh
rm -f "$place/stopped"
start_engine --once
start_consumer "$place/stopped"
start_producer --generate --seed 13 --count "$COMMANDS" --rate 15k
lines "$place/stopped" 2000
for pid in "$engine_pid" "$producer_pid" "$consumer_pid"; do
	kill -STOP "$pid"
	pause_ms 1000
	kill -CONT "$pid"
	pause_ms 50
done
check 'stopped and continued: the producer ends with 0' ends_with 0 "$producer_pid"
check 'stopped and continued: the engine ends with 0' ends_with 0 "$engine_pid"
check 'stopped and continued: the consumer ends with 0' ends_with 0 "$consumer_pid"
check 'stopped and continued: the same file' cmp "$place/calm" "$place/stopped"
check 'nobody was taken for dead' sh -c '! grep -e "=dead" -e tombstone "$1"' - "$place/engine"
echo "kills=$kills SEED=$SEED"
ended
