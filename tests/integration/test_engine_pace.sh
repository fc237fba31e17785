#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the log takes at very different paces: commands one at a time cost a block each and a witness
# each, and silence costs nothing; a burst after silence is taken in large blocks, and the first
# command after it is answered like any other. Times are not judged.

. tests/integration/lib.sh
. tests/lib/engine.sh

# stat_of KEY: a figure of `sluice wal stat`
stat_of() { "$bin/sluice" wal stat "$place/log" --json | sed "s/.*\"$1\":\([0-9]*\).*/\1/"; }

# sends COUNT OPTION...: and its commands are durable, $sent in all
sends() {
	count=$1
	shift
	timeout 60 "$bin/sluice-producer" --name "$name" --generate --seed $((sent + 1)) --session 0 \
		--count "$count" "$@" >>"$place/producer" 2>&1
	sent=$((sent + count))
	executed "$sent"
}

sent=0
fresh
start_engine --follower off
ready
start_consumer "$place/reports"

check 'one at a time: all durable' sends 300 --rate 150
pause_ms 100
blocks=$(stat_of blocks_count) data=$(stat_of data_blocks_count)
echo "one at a time: $sent commands, $data blocks with commands, $((blocks - data)) without," \
	"$(($(stat_of blocks_bytes) / sent)) bytes of log a command"
check 'one at a time: not more blocks than commands' [ "$data" -le "$sent" ]
check 'one at a time: not more witnesses than blocks' [ "$blocks" -le $((2 * data + 2)) ]
check 'one at a time: a page each' [ "$(stat_of blocks_bytes)" -eq $((blocks * 4096)) ]
pause_ms 1000
check 'silence costs nothing' [ "$(stat_of blocks_count)" -eq "$blocks" ]

check 'burst: all durable' sends 50000
pause_ms 100
burst=$(($(stat_of data_blocks_count) - data))
echo "burst: 50000 commands in $burst blocks"
check 'burst: many commands to a block' [ "$burst" -lt 10000 ]
blocks=$(stat_of blocks_count)
pause_ms 500
check 'silence after it costs nothing' [ "$(stat_of blocks_count)" -eq "$blocks" ]
check 'the next one is answered' sends 1
pause_ms 100
check 'and has a block and a witness' [ "$(stat_of blocks_count)" -eq $((blocks + 2)) ]

lines "$place/reports" "$sent"
kill -TERM "$engine_pid" "$consumer_pid"
check 'the engine ends with 0' ends_with 0 "$engine_pid"
check 'the consumer ends as asked' ends_with 143 "$consumer_pid"
check 'every report once' dense "$place/reports"
check 'the log is whole' verifies "$place/log"
[ "$failures" -eq 0 ] || show_all
finish
