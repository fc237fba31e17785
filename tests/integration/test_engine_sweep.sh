#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One command with more reports than the report ring has slots: 10,000 resting orders and a single
# one that takes them all, in rings of 2048. The engine is killed in the middle of it, asked to end
# in the middle of it, and killed again while it publishes what the first one could not.

. tests/integration/lib.sh
. tests/lib/engine.sh

awk 'BEGIN {
	print "cmd,symbol,account,order_id,side,price,qty"
	print "add_symbol,AAA,,,,,"
	for (i = 1; i <= 10000; i++)
		print "place,AAA," i % 7 + 1 "," i ",sell," 1000 + i % 50 ",3"
	print "place,AAA,9,20000,buy,1100,30000"
	print "place,AAA,9,20001,buy,1000,5"
}' >"$place/commands.csv"

fresh
start_engine --ring-size 2048 --once
start_consumer "$place/calm"
start_producer --from "$place/commands.csv"
check 'a sweep larger than the ring' ends_with 0 "$engine_pid"
check 'its consumer' ends_with 0 "$consumer_pid"
check 'all reports are there' [ "$(wc -l <"$place/calm")" -ge 20003 ]
check 'dense numbers' dense "$place/calm"
check '10,000 trades' [ "$(grep -c '"type":"trade"' "$place/calm")" -eq 10000 ]
settle

fresh
start_engine --ring-size 2048
start_consumer "$place/broken"
start_producer --from "$place/commands.csv" --count 10001
lines "$place/broken" 10001
ends_with 0 "$producer_pid" || fail 'producer of the resting orders'
kill -STOP "$consumer_pid"
start_producer --from "$place/commands.csv" --resume-from 10001
check 'the engine says that it waits in the sweep' says "$place/engine" 'rep is full'
check 'the sweep is not through' [ "$(grep -c '"type":"trade"' "$place/broken")" -lt 9000 ]
kill -9 "$engine_pid"
wait "$engine_pid" 2>/dev/null
: >"$place/engine"
start_engine --ring-size 2048
check 'its successor waits to publish the rest, and says so' says "$place/engine" 'rep is full'
kill -9 "$engine_pid"
wait "$engine_pid" 2>/dev/null
: >"$place/engine"
start_engine --ring-size 2048
says "$place/engine" 'rep is full'
kill -TERM "$engine_pid"
check 'SIGTERM while it waits for the ring' ends_with 0 "$engine_pid" 5
: >"$place/engine"
start_engine --ring-size 2048 --once
pause_ms 200
kill -CONT "$consumer_pid"
check 'the consumer goes on: the engine ends with 0' ends_with 0 "$engine_pid"
check 'the producer ended with 0' ends_with 0 "$producer_pid"
check 'the consumer ends with 0' ends_with 0 "$consumer_pid"
check 'the same file as undisturbed' cmp "$place/calm" "$place/broken"
check 'the log verifies' verifies "$place/log"

# The same wait inside a running engine's sweep, ended by SIGTERM.
fresh
rm -f "$place/asked"
start_engine --ring-size 2048
ready
start_producer --from "$place/commands.csv"
check 'no consumer: the engine waits' says "$place/engine" 'rep is full'
kill -TERM "$engine_pid"
check 'SIGTERM while NAME.rep is full' ends_with 0 "$engine_pid" 5
start_consumer "$place/asked"
start_engine --ring-size 2048 --once
check 'after it: the engine ends with 0' ends_with 0 "$engine_pid"
check 'after it: the producer ends with 0' ends_with 0 "$producer_pid"
check 'after it: the consumer ends with 0' ends_with 0 "$consumer_pid"
check 'after it: the same file as undisturbed' cmp "$place/calm" "$place/asked"

fresh
start_engine --ring-size 2048 --reports drop --once
start_producer --from "$place/commands.csv"
check '--reports drop: no consumer is needed' ends_with 0 "$engine_pid"
check '--reports drop: the producer ends with 0' ends_with 0 "$producer_pid"
check '--reports drop: the log verifies' verifies "$place/log"
ended
