#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every topology of `sluice-bench ring` with tiny counts, with the other libraries' queues that
# are there: each arm has rows, what is missing is named, the JSON says the same as the table; a
# wrong event that is sent on purpose is found in every arm; filters; a signal; nothing is left. No
# time is judged.

suite=test_bench_ring
. tests/lib/program.sh

run() {
	timeout 60 "$BIN/sluice-bench" ring -q --pairs 1 --seconds 10ms --size 32 --ring 8192 "$@" \
		> "$work/out" 2> "$work/err"
	status=$?
}

run --out "$work/result.json"
if [ "$status" -eq 0 ] && grep -q 'not measured: needs 2 CPUs' "$work/out"; then
	skip all 'needs 2 CPUs'
	exit 77
fi
if [ "$status" -eq 0 ] && [ -z "$(left)" ]; then
	pass every_topology_runs_and_leaves_nothing
else
	fail every_topology_runs_and_leaves_nothing "exit $status, left: $(left)"
fi

if [ -z "$(awk 'length($0) > 100' "$work/out")" ]; then
	pass table_fits_100_columns
else
	fail table_fits_100_columns "a line is too long"
fi

for topology in unicast multi sequencer multicast pipeline diamond; do
	if sed -n "/^| $topology, events/,/^\$/p" "$work/out" | grep -q ': sluice '; then
		pass "has_rows_of_$topology"
	else
		fail "has_rows_of_$topology" 'no row of sluice in its table'
	fi
done

# An arm's driver is beside the build, and the table has its rows; or the table says it is missing.
arms=
for pair in 'ck_ring:ck_ring' 'rte_ring:rte_ring' 'boost:boost spsc_queue'; do
	driver=${pair%%:*}
	arm=${pair#*:}
	if grep -q ": $arm " "$work/out"; then
		pass "peer_$driver"
		arms="$arms${arms:+,}$arm"
	elif grep -q "missing: .*$driver" "$work/out" && [ ! -e "$BIN/../bench/peers/$driver.so" ]; then
		skip "peer_$driver" 'its library is not installed'
	else
		fail "peer_$driver" 'neither measured nor named as missing'
	fi
done

if ! command -v python3 > /dev/null 2>&1; then
	skip result_is_whole 'python3 is not installed'
elif python3 - "$work/result.json" > "$work/err" 2>&1 << 'END'; then
import json, sys

result = json.load(open(sys.argv[1]))
assert result["schema"] == "sluice-bench-1"
names = [s["name"] for s in result["scenarios"]]
assert names == ["unicast", "multi", "sequencer", "multicast", "pipeline", "diamond"], names
for s in result["scenarios"]:
    assert s["measured"] and s["rows"], s
    for row in s["rows"]:
        v = row["values"]
        assert 0 < v["million_per_s_min"] <= v["million_per_s"] <= v["million_per_s_max"], row
        assert v["samples"] > 100 and v["runs"] == 1 and v["bare_round_trip_ns"] > 0, row
        assert v["mean_batch_read"] >= 1 and 0 <= v["empty_polls_percent"] <= 100, row
        assert v["event_bytes"] == 32 and v["ring_slots"] == 8192, row
        stamped = s["name"] in ("multi", "sequencer") and row["label"].endswith(": sluice")
        padded = row["label"].endswith(": padded slots")
        assert v["stride_bytes"] == (64 if padded else 40 if stamped else 32), row
    for ratio in s["ratios"]:
        assert ratio["at_least"] and 0 < ratio["min"] <= ratio["median"] <= ratio["max"], ratio
    parties = 2 if s["name"] in ("unicast", "multi") else 4
    assert len({p["role"] for p in s["processes"]}) == parties, s["processes"]
    assert all(p["elsewhere"] == 0 and p["migrations"] <= 0 for p in s["processes"]), s["processes"]
END
	pass result_is_whole
else
	fail result_is_whole 'see above'
fi

found() { # TOPOLOGY ARM
	run --topology "$1" --batch 1 --spoil "$2"
	if [ "$status" -eq 5 ] && grep -q "$1, $2: an event was lost, repeated or not what" "$work/err" &&
		[ -z "$(left)" ]; then
		pass "finds_a_wrong_event: $1, $2"
	else
		fail "finds_a_wrong_event: $1, $2" "exit $status, left: $(left)"
	fi
}

for topology in unicast multi sequencer multicast pipeline diamond; do
	found $topology sluice
done
found unicast 'bare ring'
case $arms in *ck_ring*)
	found unicast ck_ring
	found sequencer 'ck_ring mpsc'
	;;
esac
case $arms in *rte_ring*)
	found unicast rte_ring
	found sequencer 'rte_ring hts'
	;;
esac
case $arms in *boost*)
	found unicast 'boost spsc_queue'
	found multi 'boost queue'
	;;
esac

run --topology unicast --where thread --reader wait --batch 16 --alone
if [ "$status" -eq 0 ] && [ "$(grep -c '^| 32 B' "$work/out")" -eq 1 ] &&
	grep -q '^| 32 B, ring 8192, batch 16, threads: sluice' "$work/out"; then
	pass filters_leave_one_row
else
	fail filters_leave_one_row "exit $status"
fi

run --topology multicast --size 31
if [ "$status" -eq 0 ] && grep -q 'multicast: not measured: no such case' "$work/out"; then
	pass no_such_case
else
	fail no_such_case "exit $status"
fi

ends_on_signal signal "$BIN/sluice-bench" ring -q --topology pipeline --seconds 60s

[ "$failures" -eq 0 ]
