#!/bin/sh
# SPDX-License-Identifier: MIT
#
# An engine's ordinary life: any order of starts, producers one after the other, SIGTERM and
# restart with a consumer that stays, one CPU, nothing to do; and bytes that no producer of ours
# would send. The figures that it leaves are checked against what was sent.

. tests/integration/lib.sh
. tests/lib/engine.sh

send() { start_producer --generate --seed 17 --count 4000 "$@"; }

# all_end LABEL: each with 0
all_end() {
	check "$1: the producer ends with 0" ends_with 0 "$producer_pid"
	check "$1: the engine ends with 0" ends_with 0 "$engine_pid"
	check "$1: the consumer ends with 0" ends_with 0 "$consumer_pid"
	check "$1: the same reports" cmp "$place/calm" "$place/got"
}

orders_of_start() {
	fresh
	start_engine --once
	ready
	start_consumer "$place/calm"
	send
	check 'engine first: ends with 0' ends_with 0 "$engine_pid"
	check 'engine first: the consumer ends with 0' ends_with 0 "$consumer_pid"
	settle
	check 'nothing is left of it' \
		sh -c '! ls "${SLUICE_SHM_DIR:-/dev/shm}" | grep "^sluice\.$1\."' - "$name"
	fresh
	rm -f "$place/got"
	send
	start_consumer "$place/got"
	pause_ms 300
	start_engine --once
	all_end 'engine last'
	fresh
	rm -f "$place/got"
	start_consumer "$place/got"
	pause_ms 200
	start_engine --once
	ready
	send
	all_end 'consumer first'
}

# An engine that died while it made the rings: who has come to one of them meanwhile stays with it.
cut_short() {
	fresh
	rm -f "$place/got"
	start_engine
	ready
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	rm "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.cmd" "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.cmd.lk"
	start_consumer "$place/got"
	pause_ms 300
	start_engine --once
	send
	all_end 'rings made in part'
}

# --once ends when all have left: here two that came and went while the engine was stopped.
two_producers() {
	fresh
	rm -f "$place/got"
	start_engine
	ready
	send --count 1500 --rate 5k
	pause_ms 100
	first=$producer_pid
	start_producer --generate --seed 17 --count 4000
	check 'a second producer at the same time ends with 0' ends_with 0 "$producer_pid"
	check 'the first ends with 0' ends_with 0 "$first"
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
	fresh
	start_engine --once
	start_consumer "$place/got"
	ready
	kill -STOP "$engine_pid"
	"$helpers/abuse" hostile "$name" 700 || fail 'first producer'
	SEED=$((SEED + 1)) "$helpers/abuse" hostile "$name" 300 || fail 'second producer'
	kill -CONT "$engine_pid"
	check 'two producers: the engine ends with 0' ends_with 0 "$engine_pid"
	check 'two producers: the consumer ends with 0' ends_with 0 "$consumer_pid"
	check 'two producers: all was executed' grep -q 'done commands=1000 ' "$place/engine"
	check 'two producers: dense' dense "$place/got"
}

# --reports changes between two starts on the same rings.
keep_and_drop() {
	fresh
	rm -f "$place/got"
	start_engine --reports drop
	ready
	"$helpers/abuse" hostile "$name" 100 && executed 100 || fail 'hostile'
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
	start_engine
	ready 2
	"$helpers/abuse" hostile "$name" 100 && executed 200 || fail 'hostile'
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
	first=$(sed -n 's/.*done commands=100 reports=\([0-9]*\) .*/\1/p' "$place/engine")
	start_consumer "$place/got" --until-idle 300ms --from beginning
	check 'drop, then keep: the consumer ends with 0' ends_with 0 "$consumer_pid"
	check 'drop, then keep: kept from there on' grep -q "^{\"n\":$((first + 1))," "$place/got"
	start_engine
	ready 3
	"$helpers/abuse" hostile "$name" 50 && executed 250 || fail 'hostile'
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
	: >"$place/engine"
	start_engine --reports drop
	check 'keep, then drop: says from where' says "$place/engine" 'dropped_reports_from='
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
}

# Rings stay, the consumer stays, the durability changes.
restarts() {
	fresh
	rm -f "$place/got"
	start_consumer "$place/got"
	send --rate 4k
	round=0
	for mode in batch async batch; do
		start_engine --durability $mode
		round=$((round + 1))
		ready $round
		lines "$place/got" $((round * 900))
		kill -TERM "$engine_pid"
		check "SIGTERM of the $mode engine: exit 0" ends_with 0 "$engine_pid" 5
		check "closed cleanly ($round)" sh -c '"$1" wal stat "$2" | grep -q "cleanly closed"' - \
			"$bin/sluice" "$place/log"
	done
	start_engine --once
	check 'restarts: the engine ends with 0' ends_with 0 "$engine_pid"
	check 'restarts: the producer ends with 0' ends_with 0 "$producer_pid"
	check 'restarts: the consumer ends with 0' ends_with 0 "$consumer_pid"
	sed 's/,"durability":"[a-z_]*"//' "$place/got" >"$place/got.plain"
	check 'restarts: the same reports' cmp "$place/calm" "$place/got.plain"
}

# figure KEY: of sluice stat
figure() { sed "s/.*\"$1\":\([0-9]*\).*/\1/" "$place/stat"; }

figures_and_idle() {
	fresh
	start_engine --reports drop
	ready
	send
	check 'drop: the producer needs no consumer' ends_with 0 "$producer_pid"
	pause_ms 300
	before=$(cpu_ticks "$engine_pid")
	pause_ms 3000
	used=$(($(cpu_ticks "$engine_pid") - before))
	check "idle: under 2 % of a CPU ($used ticks in 3 s)" [ "$used" -lt 6 ]
	"$bin/sluice" stat -n "$name" --json --once >"$place/stat"
	"$bin/sluice" wal verify --json "$place/log" >"$place/verify"
	check 'figures: commands' [ "$(figure commands_count)" -eq 4000 ]
	check 'figures: durable' [ "$(figure durable_seq)" -eq 4000 ]
	check 'figures: journaled' [ "$(figure wal_commands_count)" -eq 4000 ]
	check 'figures: reports' [ "$(figure reports_count)" -eq "$(wc -l <"$place/calm")" ]
	check 'figures: trades' \
		[ "$(figure trades_count)" -eq "$(grep -c '"type":"trade"' "$place/calm")" ]
	check 'figures: rejected' \
		[ "$(figure rejected_count)" -eq "$(grep -c '"type":"rejected"' "$place/calm")" ]
	check 'figures: every command in the latency histogram' \
		grep -q '"publish_to_report_ns":{"since_start":{"count":4000,' "$place/stat"
	check 'figures: not halted' [ "$(figure halted_errno)" -eq 0 ]
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" || fail 'figures: SIGTERM'
	hash=$(sed -n 's/.* state_hash=\([0-9a-f]*\) .*/\1/p' "$place/engine")
	check 'the state hash at the end is that of a replay' \
		grep -q "\"state_hash\":\"$hash\"" "$place/verify"
}

one_cpu() {
	if ! command -v taskset >/dev/null; then
		echo 'skip: one CPU: there is no taskset'
		return
	fi
	fresh
	rm -f "$place/got"
	(
		taskset -p -c 0 "$(sh -c 'echo $PPID')" >/dev/null
		exec "$bin/sluice-engine" --name "$name" --wal "$place/log" --format --once $small \
			--cpu none >>"$place/engine" 2>&1
	) &
	engine_pid=$!
	(taskset -c 0 "$bin/sluice-consumer" --name "$name" --json --output "$place/got" \
		--cpu none >>"$place/consumer" 2>&1) &
	consumer_pid=$!
	(taskset -c 0 "$bin/sluice-producer" --name "$name" --generate --seed 17 --count 4000 \
		--cpu none >>"$place/producer" 2>&1) &
	producer_pid=$!
	all_end 'all on one CPU'
}

hostile() {
	fresh
	rm -f "$place/hostile"
	start_engine --once
	start_consumer "$place/hostile"
	"$helpers/abuse" hostile "$name" 20000 || fail 'hostile producer'
	check 'random bytes: the engine ends with 0' ends_with 0 "$engine_pid"
	check 'random bytes: the consumer ends with 0' ends_with 0 "$consumer_pid"
	check 'random bytes: dense numbers' dense "$place/hostile"
	check 'random bytes: each command has a report' awk '
		match($0, /"cmd_seq":[0-9]+/) {
			seq = substr($0, RSTART + 10, RLENGTH - 10) + 0
			if (seq != last && seq != last + 1) exit failed = 1
			last = seq
		}
		BEGIN { last = 0 } END { exit failed || last != 19999 }' "$place/hostile"
	check 'random bytes: something got through' grep -q '"type":"accepted"' "$place/hostile"
	check 'random bytes: replay agrees' verifies "$place/log"
	echo "hostile SEED=$SEED"
}

orders_of_start
cut_short
two_producers
keep_and_drop
restarts
figures_and_idle
one_cpu
hostile
ended
