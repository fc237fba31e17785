#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every scenario of sluice-bench briefly and looks at what it writes: the schema, counts, order
# of percentiles, ratios, the table made again from the file; wrong use; and that nothing is left,
# also not after a signal. No time is judged.

suite=test_bench
. tests/lib/program.sh

run() {
	"$BIN/sluice-bench" "$@" > "$work/out" 2> "$work/err"
	status=$?
}

# A busy machine may leave a run without samples (that is said, with exit 1): a longer one has some.
for seconds in 40ms 150ms 600ms 2s; do
	run quick --seconds "$seconds" --pairs 2 --commands 20000 --dir "$work/dir" \
		--data "$work/none" --out "$work/result.json"
	[ "$status" -eq 0 ] && break
	grep -q 'no samples' "$work/err" || break
done
if [ "$status" -eq 0 ]; then
	pass quick_runs
else
	fail quick_runs "exit $status"
fi

if [ -z "$(left)" ]; then
	pass quick_leaves_nothing
else
	fail quick_leaves_nothing "left: $(left)"
fi

if [ -z "$(awk 'length($0) > 100' "$work/out")" ] && grep -q '^| ' "$work/out"; then
	pass table_fits_100_columns
else
	fail table_fits_100_columns "a line is too long, or there is no table"
fi

cp "$work/out" "$work/first"
if ! "$BIN/sluice-bench" --help | grep -q -e '--out'; then
	fail help "no --out in the help"
elif ! command -v python3 > /dev/null 2>&1; then
	skip result_is_whole 'python3 is not installed'
elif python3 - "$work/result.json" > "$work/err" 2>&1 << 'END'; then
import json, sys

result = json.load(open(sys.argv[1]))
assert result["schema"] == "sluice-bench-1"
assert result["clock_cost_ns"] > 0 and result["clock_floor_ns"] >= result["clock_cost_ns"]
for key in ("cpu_model", "kernel", "hypervisor", "thp", "ring_pages", "wal_filesystem",
            "compiler", "git_commit", "git_dirty", "load_start", "load_end",
            "cpu_pressure_start", "cpu_pressure_end"):
    assert result["environment"][key], key
names = [s["name"] for s in result["scenarios"]]
assert names == ["round-trip", "one-way", "report", "matching", "wake-up"], names
for s in result["scenarios"]:
    if not s["measured"]:
        assert s["reason"] and not s["rows"], s
        continue
    assert s["rows"], s["name"]
    for row in s["rows"]:
        v = row["values"]
        order = [v[k] for k in ("p50_ns", "p99_ns", "p99_9_ns", "max_ns") if k in v]
        assert order == sorted(order), row
        if "samples" in v:
            assert v["samples"] > 0 and v["runs"] >= 2, row
            if v["samples"] < 1000:
                assert "p99_ns" not in v, row
        for key in ("p50_ns", "p99_ns", "max_ns"):
            if key in v and s["name"] != "report":
                assert v[key] >= result["clock_floor_ns"], row
    for ratio in s["ratios"]:
        assert 1 <= ratio["pairs"] <= 2 and 0 < ratio["min"] <= ratio["median"] <= ratio["max"], ratio
    if s["name"] == "report" or s["ratios"]:
        assert any(r["aim"] > 1 for r in s["ratios"]), s["name"]
    for p in s["processes"]:
        assert p["runs"] > 0 and p["elsewhere"] == 0 and p["migrations"] <= 0, p
    if s["name"] in ("one-way", "wake-up"):
        assert len({p["cpu"] for p in s["processes"]}) == 2, s["processes"]
END
	pass result_is_whole
else
	fail result_is_whole 'see above'
fi

run table "$work/result.json"
if [ "$status" -eq 0 ] && cmp -s "$work/out" "$work/first"; then
	pass table_of_the_file_is_the_same
elif grep -q libjansson "$work/err"; then
	skip table_of_the_file_is_the_same 'built without jansson'
else
	fail table_of_the_file_is_the_same "exit $status, or another table"
fi

for wrong in 'nonsense' 'table' 'quick file.json' 'quick --pairs 0' 'quick --pairs 1000'; do
	# shellcheck disable=SC2086
	run $wrong
	if [ "$status" -eq 2 ] && [ -s "$work/err" ] && [ ! -s "$work/out" ]; then
		pass "wrong_use: $wrong"
	else
		fail "wrong_use: $wrong" "exit $status"
	fi
done

echo '{"schema":"other"}' > "$work/other.json"
run table "$work/other.json"
if [ "$status" -eq 5 ] || grep -q libjansson "$work/err"; then
	pass refuses_another_file
else
	fail refuses_another_file "exit $status"
fi

if [ -d /dev/shm ]; then
	run report --seconds 40ms --pairs 1 --dir /dev/shm
	if [ "$status" -eq 0 ] && grep -q 'not measured: needs' "$work/out"; then
		pass no_durable_figure_from_memory
	else
		fail no_durable_figure_from_memory "exit $status"
	fi
fi

# Short runs, so that the first rings come soon: `report` begins without any.
for scenario in round-trip one-way report wake-up; do
	ends_on_signal "signal_in_$scenario" "$BIN/sluice-bench" -q $scenario --seconds 500ms \
		--pairs 15 --dir "$work/dir"
done

[ "$failures" -eq 0 ]
