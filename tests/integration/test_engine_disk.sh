#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A disk that does not answer for some seconds: the journal thread is held. Nothing is published
# meanwhile, the counter `stalled` is raised, and afterwards everything goes on in order.

. tests/integration/lib.sh
. tests/lib/engine.sh

fresh
start_engine --once --follower off
start_consumer "$place/calm"
start_producer --generate --seed 5 --count 3000
check 'undisturbed run' ends_with 0 "$engine_pid"
settle

fresh
start_engine --once --follower off --wal-io thread
ready
start_consumer "$place/held"
start_producer --generate --seed 5 --count 3000 --rate 1k
lines "$place/held" 500 || fail 'lines'
"$helpers/hold_thread" "$engine_pid" sluice-journal 6500 2>"$place/hold" &
hold_pid=$!
pause_ms 1500
if ! kill -0 "$hold_pid" 2>/dev/null; then
	wait "$hold_pid"
	if [ $? -eq 77 ]; then
		echo "skip: held disk: $(cat "$place/hold")"
		exit 77
	fi
fi
before=$(wc -l <"$place/held")
check 'held disk: it is said after 5 s' says "$place/engine" 'stalled=1'
"$bin/sluice" stat -n "$name" --json --once >"$place/stat" 2>/dev/null
check 'held disk: the counter says so' grep -q '"stalled":1,' "$place/stat"
check 'held disk: nothing was published meanwhile' [ "$before" -eq "$(wc -l <"$place/held")" ]
check 'held disk: goes on' says "$place/engine" 'stalled=0'
check 'held disk: the engine ends with 0' ends_with 0 "$engine_pid"
check 'held disk: the thread was held' ends_with 0 "$hold_pid"
settle
check 'held disk: the same reports' cmp "$place/calm" "$place/held"
check 'held disk: said once' [ "$(grep -c stalled=1 "$place/engine")" -eq 1 ]
check 'held disk: the log verifies' verifies "$place/log"
ended
