#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Drives `sluice demo` as a user would: it must end by itself, check itself, and leave nothing, also
# when it is interrupted, when a child fails, and as an ordinary user on one CPU.
#
#	SLUICE_DATA=DIR (an exchange's day, for the comparison of fills)

suite=test_demo
. tests/lib/program.sh
unset SLUICE_SHM_DIR SLUICE_HUGETLB_DIR # as a user has them
DATA=${SLUICE_DATA:-}
SEED=${SEED:-1}
mkdir "$work/tmp"

# The demo's private names begin with its pid: nothing of this test's demos may be left.
left() {
	ls "$work/tmp"
	"$BIN/sluice" ls --name demo- 2> /dev/null | grep -e "^demo-$1[. ]" -e "^demo-$1\$"
}

# Runs the demo in the background so that its pid, and with it its name, is known.
run_demo() { # ARGUMENTS...
	TMPDIR="$work/tmp" "$BIN/sluice" demo "$@" > "$work/out" 2> "$work/err" &
	demo=$!
	wait "$demo"
}

check_done() { # NAME STATUS
	if [ "$2" -ne 0 ]; then
		fail "$1" "exit $2"
	elif ! grep -q '^done: .* lost 0, duplicated 0 ' "$work/out"; then
		fail "$1" "no summary of a run without loss"
	elif ! grep -q ': same$' "$work/out"; then
		fail "$1" "the replay is not said to be the same"
	elif [ -n "$(left "$demo")" ]; then
		fail "$1" "left behind: $(left "$demo")"
	else
		pass "$1"
	fi
}

test_calm() {
	run_demo --seconds 2 --rate 20k --seed "$SEED"
	check_done calm $?
	orders=$(sed -n 's/^done: \([0-9,]*\) orders.*/\1/p' "$work/out" | tr -d ,)
	if [ "${orders:-0}" -eq 40000 ]; then
		pass calm_counts_orders
	else
		fail calm_counts_orders "$orders orders, not 40000"
	fi
}

test_crash() {
	run_demo --seconds 2 --rate 10k --scenario crash --seed "$SEED"
	check_done crash $?
	if grep -q 'killed with SIGKILL 5 times' "$work/out"; then
		pass crash_kills
	else
		fail crash_kills 'five kills were not said'
	fi
}

test_json() {
	run_demo --seconds 1 --rate 5k --json --durability async
	status=$?
	if [ $status -eq 0 ] && [ ! -s "$work/err" ] && [ "$(wc -l < "$work/out")" -eq 1 ] &&
		grep -q '^{"schema":"sluice.demo/1","exit_code":0,.*"replay_same":true' "$work/out"; then
		pass json
	else
		fail json "exit $status, or not one object and silence"
	fi
}

test_no_log() {
	run_demo --seconds 1 --rate 5k --durability off
	status=$?
	if [ $status -eq 0 ] && grep -q 'no log to replay' "$work/out" &&
		[ -z "$(left "$demo")" ]; then
		pass no_log
	else
		fail no_log "exit $status"
	fi
}

# SIGTERM as Ctrl-C: a background job of this shell ignores SIGINT.
test_interrupted() {
	: > "$work/err"
	TMPDIR="$work/tmp" "$BIN/sluice" demo --seconds 30 --rate 2k > "$work/out" 2> "$work/err" &
	demo=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		grep -q orders "$work/err" && break
		sleep 0.5
	done
	kill -TERM "$demo"
	wait "$demo"
	status=$?
	if [ $status -ne 143 ]; then
		fail interrupted "exit $status, not 143"
	elif ! grep -q '^interrupted after' "$work/out"; then
		fail interrupted 'no summary of what was done'
	elif [ -n "$(left "$demo")" ]; then
		fail interrupted "left behind: $(left "$demo")"
	elif ps -eo args | grep -v grep | grep -q "sluice-.*demo-$demo"; then
		fail interrupted 'a child still runs'
	else
		pass interrupted
	fi
}

# A consumer that cannot run: the demo must say so, show what was said, and clean up.
test_failing_child() {
	mkdir -p "$work/bin"
	cp "$BIN/sluice" "$BIN/sluice-engine" "$BIN/sluice-producer" "$work/bin"
	printf '#!/bin/sh\necho broken on purpose >&2\nexit 3\n' > "$work/bin/sluice-consumer"
	chmod +x "$work/bin/sluice-consumer"
	TMPDIR="$work/tmp" "$work/bin/sluice" demo --seconds 5 --rate 2k > "$work/out" 2> "$work/err" &
	demo=$!
	wait "$demo"
	status=$?
	if [ $status -eq 3 ] && grep -q 'sluice-consumer | broken on purpose' "$work/err" &&
		[ -z "$(left "$demo")" ]; then
		pass failing_child
	else
		fail failing_child "exit $status"
	fi
}

# A consumer that says it lost an event, and one that miscounts: the demo must not pass.
test_lying_consumer() {
	for lie in 's/lost=0/lost=1/:1' 's/reports=[0-9]*/reports=7/:5'; do
		cat > "$work/bin/sluice-consumer" <<-END
			#!/bin/sh
			"$BIN/sluice-consumer" "\$@" 2>&1 | sed '${lie%:*}' >&2
		END
		TMPDIR="$work/tmp" "$work/bin/sluice" demo --seconds 1 --rate 2k > "$work/out" 2> "$work/err"
		status=$?
		if [ $status -eq "${lie##*:}" ] && grep -q '^FAILED: ' "$work/out"; then
			pass "lying_consumer_exit_$status"
		else
			fail lying_consumer "exit $status, not ${lie##*:}"
		fi
	done
}

test_small() {
	if ! command -v setpriv > /dev/null || [ "$(id -u)" -ne 0 ]; then
		skip ordinary_user 'needs root and setpriv to become somebody else'
		return
	fi
	mkdir -m 777 "$work/nobody"
	chmod 755 "$work"
	cp -r "$BIN" "$work/nobin"
	chmod 755 "$work/nobin" "$work/nobin"/*
	TMPDIR="$work/nobody" setpriv --reuid 65534 --regid 65534 --clear-groups taskset -c 0 \
		"$work/nobin/sluice" demo --seconds 1 --rate 2k --hugepages off \
		> "$work/out" 2> "$work/err"
	status=$?
	if [ $status -eq 0 ] && grep -q ': same$' "$work/out" && [ -z "$(ls "$work/nobody")" ]; then
		pass ordinary_user_one_cpu_small_pages
	else
		fail ordinary_user_one_cpu_small_pages "exit $status"
	fi
}

test_usage() {
	run_demo --scenario file
	if [ $? -ne 2 ]; then
		fail usage '--scenario file without --from is not exit 2'
	elif run_demo --seconds 0; [ $? -ne 2 ]; then
		fail usage '--seconds 0 is not exit 2'
	else
		pass usage
	fi
}

test_file() {
	day="$DATA/shanghai_20230711_commands.csv.gz"
	if [ -z "$DATA" ] || [ ! -r "$day" ]; then
		skip exchange_fills 'SLUICE_DATA names no directory with an exchange day'
		return
	fi
	run_demo --from "$day"
	check_done exchange_day $?
	if grep -q 'own: 78018 of 78018, auction 1468 of 1468$' "$work/out"; then
		pass exchange_fills
	else
		fail exchange_fills 'the fills are not all equal'
	fi
	zcat "$DATA/shanghai_20230711_trades.csv.gz" | sed '1000s/,[0-9]*$/,1/' > "$work/wrong.csv"
	run_demo --from "$day" --expect "$work/wrong.csv"
	status=$?
	if [ $status -eq 1 ] && grep -q 'own: 78017 of 78018' "$work/out" &&
		grep -q 'first difference: SSE' "$work/out"; then
		pass exchange_difference_is_seen
	else
		fail exchange_difference_is_seen "exit $status"
	fi
}

# A small file of our own with its expected fills, so that the comparison runs everywhere.
test_own_file() {
	cat > "$work/own_commands.csv" <<-'END'
		cmd,symbol,order_id,side,type,tif,price,qty
		add_symbol,ABC,,,,,,
		place,ABC,1,sell,limit,gtc,100,5
		place,ABC,2,sell,limit,gtc,101,5
		place,ABC,3,buy,limit,gtc,101,7
	END
	printf 'symbol,maker_order_id,taker_order_id,price,qty\nABC,1,3,100,5\nABC,2,3,101,2\n' \
		> "$work/own_trades.csv"
	run_demo --from "$work/own_commands.csv"
	check_done own_file $?
	if grep -q 'own: 2 of 2$' "$work/out"; then
		pass own_fills
	else
		fail own_fills 'not 2 of 2'
	fi
	printf 'ABC,2,3,101,1\n' >> "$work/own_trades.csv"
	run_demo --from "$work/own_commands.csv"
	if [ $? -eq 1 ] && grep -q 'ABC fill 3: expected 2/3 at 101 x 1, got none' "$work/out"; then
		pass own_fills_missing_one
	else
		fail own_fills_missing_one 'a missing fill was not seen'
	fi
}

test_calm
test_crash
test_json
test_no_log
test_interrupted
test_failing_child
test_lying_consumer
test_small
test_usage
test_own_file
test_file
exit $((failures != 0))
