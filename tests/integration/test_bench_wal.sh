#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every part of `sluice-bench wal` with tiny counts: each has its rows, with figures that fit
# together; the floor is fio's where fio is, else our own and that is said; a start replays what was
# logged and no more; an engine that may not use io_uring is named; a signal; nothing is left. No
# time is judged.

suite=test_bench_wal
. tests/lib/program.sh

# A busy machine may leave a run without samples (that is said, with exit 1): a longer one has some.
run() { # PART [OPTION...]
	part=$1
	shift
	for seconds in 60ms 300ms 1s; do
		timeout 120 "$BIN/sluice-bench" wal -q --part "$part" --pairs 1 --seconds $seconds \
			--commands 20000 --dir "$work/dir" "$@" > "$work/out" 2> "$work/err"
		status=$?
		[ "$status" -eq 0 ] && return
		grep -q 'no samples' "$work/err" || return
	done
}

# check_json NAME: standard input is what must hold of the scenario `s` with rows `rows` by label.
check_json() {
	cat > "$work/check.py"
	if ! command -v python3 > /dev/null 2>&1; then
		skip "$1" 'python3 is not installed'
	elif python3 - "$work/result.json" "$work/check.py" > "$work/err" 2>&1 << 'END'; then
import json, sys

result = json.load(open(sys.argv[1]))
assert result["schema"] == "sluice-bench-1"
for key in ("steal_start", "steal_end", "interrupts_start", "interrupts_end", "load_end"):
    assert result["environment"][key], key
assert len(result["scenarios"]) == 1
s = result["scenarios"][0]
assert s["measured"] and s["rows"], s
for p in s["processes"]:
    assert p["runs"] > 0 and p["elsewhere"] == 0 and p["migrations"] <= 0, p
rows = {r["label"]: r["values"] for r in s["rows"]}
exec(open(sys.argv[2]).read())
END
		pass "$1"
	else
		fail "$1" 'see above'
	fi
}

run rate --out "$work/result.json"
if [ "$status" -eq 0 ] && grep -q 'not measured: needs' "$work/out"; then
	skip all "$(sed -n 's/.*not measured: //p' "$work/out" | head -1)"
	exit 77
fi
if [ "$status" -eq 0 ] && [ -z "$(left)" ] && [ -z "$(awk 'length($0) > 100' "$work/out")" ]; then
	pass rate_runs_fits_100_columns_and_leaves_nothing
else
	fail rate_runs_fits_100_columns_and_leaves_nothing "exit $status, left: $(left)"
fi
check_json rate_is_whole << 'END'
for label in ("spin", "sleep", "snap 32M/s"):
    v = rows[label]
    assert v["commands_per_s"] > 1000 and v["commits_per_s"] > 1, v
    assert abs(v["commands_per_commit"] * v["commits_per_s"] / v["commands_per_s"] - 1) < 1e-6, v
    assert v["log_bytes_per_command"] == 0 or v["log_bytes_per_command"] >= 120, v
    assert v["cpu_ns_per_commit"] > 0 and 0 < v["engine_busy_percent"] < 400, v
    parts = [r["values"]["share_ns"] for r in s["rows"] if r["label"].startswith("share: " + label)]
    assert len(parts) == 6 and abs(parts[0] * v["commands_per_s"] / 1e9 - 1) < 1e-6, parts
assert rows["spin"]["snapshots"] == 0 and rows["sleep"]["snapshots"] == 0
assert len(s["ratios"]) == 3 and all(r["aim"] == 1 and r["at_least"] for r in s["ratios"])
END

latencies='
floor = "raw write" if any("bare 4 KiB write of our own" in n for n in s["notes"]) else "fio"
def check_pairs(label):
    report, commit = rows[label + ": publish to report"], rows[label + ": the log\x27s commit"]
    assert rows[label + ": " + floor]["p50_ns"] > 1000
    assert 1000 < commit["p50_ns"] and report["samples"] > 0 and report["runs"] >= 2
    # half of each run is slower, and a report comes after its commit; percentiles are of runs
    ratios = [r for r in s["ratios"] if r["label"].startswith(label + ": ")]
    assert len(ratios) == 2 and all(0 < r["min"] <= r["median"] <= r["max"] for r in ratios)
    return ratios
'
run commit --out "$work/result.json"
if [ "$status" -eq 0 ] && [ -z "$(left)" ]; then
	pass commit_runs_and_leaves_nothing
else
	fail commit_runs_and_leaves_nothing "exit $status, left: $(left)"
fi
check_json commit_is_whole << END
$latencies
for label in ("spin", "sleep", "snap 32M/s"):
    assert [r["aim"] for r in check_pairs(label)] == [1.05, 1.15]
    assert rows[label + ": publish to report"]["p50_ns"] > rows[label + ": the log's commit"]["p50_ns"] / 2
END
cp "$work/out" "$work/first"
"$BIN/sluice-bench" table "$work/result.json" > "$work/out" 2> "$work/err"
if cmp -s "$work/out" "$work/first"; then
	pass table_of_the_file_is_the_same
elif grep -q libjansson "$work/err"; then
	skip table_of_the_file_is_the_same 'built without jansson'
else
	fail table_of_the_file_is_the_same 'another table'
fi

# Without fio in the path the floor is our own, and says so.
mkdir "$work/path"
printf '#!/bin/sh\nexit 1\n' > "$work/path/fio"
chmod +x "$work/path/fio"
PATH="$work/path:$PATH"
run load --out "$work/result.json"
PATH=${PATH#*:}
if [ "$status" -eq 0 ] && [ -z "$(left)" ] && grep -q 'fio is not installed' "$work/out" &&
	! grep -q ': fio ' "$work/out"; then
	pass without_fio_it_is_named
else
	fail without_fio_it_is_named "exit $status, left: $(left)"
fi
check_json load_is_whole << END
$latencies
for label in ("sleep, 50 %", "sleep, 90 %"):
    check_pairs(label)
    assert rows[label]["commands_per_s"] > 100, rows[label]
    split = [n for n in s["notes"] if n.startswith(label + ": fio's sizes")]
    sizes = [p.split("/") for p in split[0].split(": ")[2].split(":")]
    assert sum(int(p) for _, p in sizes) == 100 and all(k.endswith("k") for k, _ in sizes), split
END

run start --out "$work/result.json"
if [ "$status" -eq 0 ] && [ -z "$(left)" ]; then
	pass start_runs_and_leaves_nothing
else
	fail start_runs_and_leaves_nothing "exit $status, left: $(left)"
fi
check_json start_replays_what_was_logged << 'END'
empty, crash = rows["nothing in the log"], rows["crash, no snapshot"]
clean, later = rows["clean end"], rows["crash, a quarter of it after a snapshot"]
assert empty["replayed_commands"] == 0 and empty["snapshot_commands"] == 0, empty
assert crash["replayed_commands"] == 20000 and crash["snapshot_commands"] == 0, crash
assert crash["replayed_gib"] * 2**30 >= 20000 * 120 and crash["replayed_per_s"] > 0, crash
assert clean["replayed_commands"] == 0 and clean["snapshot_commands"] == 20000, clean
assert later["replayed_commands"] == 5000 and later["snapshot_commands"] == 20000, later
for v in rows.values():
    assert 0 <= v["recover_s"] <= v["start_s"] + 0.002, v
END

run modes --out "$work/result.json"
if [ "$status" -eq 0 ] && [ -z "$(left)" ]; then
	pass modes_run_and_leave_nothing
else
	fail modes_run_and_leave_nothing "exit $status, left: $(left)"
fi
check_json modes_are_whole << 'END'
modes = ("io_uring dsync", "io_uring link", "blocking", "thread dsync")
for label in modes:
    refused = [n for n in s["notes"] if n.startswith(label + ": not measured: ")]
    if refused and label != "blocking":
        assert "io_uring" in refused[0], refused
        continue
    assert rows[label + ": publish to report"]["p50_ns"] > 1000
    assert rows[label]["commands_per_s"] > 100
END

forbid="$BIN/../tests/integration/forbid_uring"
if [ ! -x "$forbid" ]; then
	skip modes_without_io_uring 'its helper program is not built'
else
	timeout 120 "$forbid" "$BIN/sluice-bench" wal -q --part modes --pairs 1 --seconds 100ms \
		--commands 20000 --dir "$work/dir" > "$work/out" 2> "$work/err"
	status=$?
	if [ "$status" -eq 0 ] && grep -q 'io_uring dsync: not measured: .*io_uring' "$work/out" &&
		grep -q '^| blocking: publish to report' "$work/out" && [ -z "$(left)" ]; then
		pass modes_without_io_uring
	elif grep -q 'no samples' "$work/err"; then
		skip modes_without_io_uring 'the machine is too busy for a sample'
	else
		fail modes_without_io_uring "exit $status, left: $(left)"
	fi
fi

for part in commit start; do
	ends_on_signal "signal_in_$part" "$BIN/sluice-bench" wal -q --part $part --pairs 20 \
		--commands 20000 --seconds 100ms --dir "$work/dir"
done

[ "$failures" -eq 0 ]
