#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kill -9 of the follower, of the engine, and of both at random moments, on a log that goes round
# and takes a snapshot every few hundred milliseconds: the reports are those of a run without kills,
# every number once, and the log verifies. KILLS=n, SEED=n.

. tests/integration/lib.sh
. tests/lib/engine.sh
: "${KILLS:=15}" "${COMMANDS:=60000}" "${RATE:=12k}"

follower() { sed -n 's/.* follower=[a-z]*ed pid=\([0-9]*\).*/\1/p' "$place/engine" | tail -n 1; }
named() { grep -c 'snapshot=named' "$place/engine"; }
state() { sed -n 's/.* done commands=/commands=/p' "$place/engine" | tail -n 1; }

fresh
start_engine --once --follower off --wal-size 256M
start_consumer "$place/calm"
start_producer --generate --seed 7 --count "$COMMANDS" --batch 2
check 'calm run: the engine ends with 0' ends_with 0 "$engine_pid"
settle
calm_state=$(state)
fresh
start_killed() { start_engine --once --snapshot-every 512K --snapshot-rate "$1"; }
start_killed 0
start_consumer "$place/killed"
start_producer --generate --seed 7 --count "$COMMANDS" --batch 2 --rate "$RATE"
ready
kills=0 of_follower=0
while [ "$kills" -lt "$KILLS" ]; do
	random_below 350
	pause_ms $((20 + random))
	random_below 3
	what=$random
	if [ "$what" -ne 1 ] && [ -n "$(follower)" ] && kill -9 "$(follower)" 2>/dev/null; then
		of_follower=$((of_follower + 1))
	fi
	if [ "$what" -ne 0 ]; then
		kill -9 "$engine_pid" 2>/dev/null
		wait "$engine_pid"
		[ $? -eq 137 ] || break
		# slow ones are caught half-way more often
		start_killed $((what * 2))M
	fi
	kills=$((kills + 1))
done
check 'the producer ends with 0' ends_with 0 "$producer_pid" 60
check 'the engine ends with 0' ends_with 0 "$engine_pid" 60
check 'the consumer ends with 0: nothing lost, nothing twice' ends_with 0 "$consumer_pid"
check 'every report once, as without kills' cmp "$place/calm" "$place/killed"
check 'the state is that of the run without kills' [ "$(state)" = "$calm_state" ]
check 'snapshots were named' [ "$(named)" -ge 2 ]
check 'the log verifies' verifies "$place/log"
check "$KILLS kills" [ "$kills" -eq "$KILLS" ]
starts=$(grep -c 'recovered_commands' "$place/engine")
from=$(sed -n 's/.* recovered_commands.* snapshot=\([0-9]*\) .*/\1/p' "$place/engine" | tr '\n' ' ')
echo "kills=$kills followers=$of_follower SEED=$SEED starts=$starts from snapshots: $from"

# A log that is full to its last byte: not even the block that begins an epoch finds room.
forget() { : >"$place/engine"; }
fresh
start_engine --once --follower off --wal-size 256M
start_consumer "$place/large"
start_producer --generate --seed 9 --count 200000
check 'large log: the engine ends with 0' ends_with 0 "$engine_pid" 60
settle
fresh
start_engine --follower off
start_consumer "$place/full"
start_producer --generate --seed 9 --count 200000
check 'full log: it is said' says "$place/engine" 'is full'
pause_ms 100
boots=0
while [ "$boots" -lt 20 ]; do
	kill -9 "$engine_pid" "$producer_pid" "$consumer_pid" 2>/dev/null
	for pid in "$engine_pid" "$producer_pid" "$consumer_pid"; do
		wait "$pid" 2>/dev/null
	done
	# every other time only the engine is killed
	[ $((boots % 2)) -eq 1 ] || rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	forget
	start_engine --follower off
	ready || break
	boots=$((boots + 1))
done
check 'full log: twenty starts' [ "$boots" -eq 20 ]
accepted=$(sed -n 's/.* recovered_commands=\([0-9]*\) .*/\1/p' "$place/engine")
kill -9 "$engine_pid"
wait "$engine_pid" 2>/dev/null
start_engine --once --snapshot-rate 0
start_consumer "$place/full"
start_producer --generate --seed 9 --count 200000 --resume-from "$accepted"
check 'full log: a follower makes room, the engine ends with 0' ends_with 0 "$engine_pid" 60
check 'full log: the consumer ends with 0' ends_with 0 "$consumer_pid"
settle
check 'full log: every report once, as with a large log' cmp "$place/large" "$place/full"
check 'full log: it verifies' verifies "$place/log"
ended
