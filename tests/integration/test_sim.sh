#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A short run of the simulator (tests/sim): old failures, new seeds, that a seed is the same run
# every time, and that it sees planted bugs. SEEDS=n FIRST=n for more, or others.

build=${SLUICE_SIM_BUILD:-build/sim}
sim=$build/tests/sim/sim
: "${SEEDS:=1500}" "${FIRST:=$(date +%s)}"
out=$(mktemp "${TMPDIR:-/tmp}/sluice-sim.XXXXXX") || exit 1
trap 'rm -f "$out"' EXIT
failures=0

verdict() { # NAME STATUS TEXT
	if [ "$2" -eq 0 ]; then
		echo "$3"
		echo "pass: $1"
	else
		failures=$((failures + 1))
		cat "$out"
		echo "$3"
		echo "fail: $1"
	fi
}

if [ ! -x "$sim" ]; then
	echo 'fail: test_sim: not built. Type: make sim-build'
	exit 1
fi

timeout 120 "$sim" --list tests/sim/regressions.txt >"$out" 2>&1
verdict sim_regressions $? "$(tail -1 "$out")"

timeout 300 "$sim" --seeds "$SEEDS" --first "$FIRST" --jobs "$(nproc)" >"$out" 2>&1
verdict sim_seeds $? "first=$FIRST $(tail -1 "$out")"

# alone, and after other seeds in the same process
same=0
for seed in 7 41 1000; do
	alone=$("$sim" --seed $seed --trace)
	printf '3\n%s\n5\n%s\n' $seed $seed >"$out"
	[ "$("$sim" --list "$out" --trace | grep -c "^$alone\$")" -eq 2 ] || same=1
done
: >"$out"
verdict sim_repeats $same "a seed gives the same trace, whatever ran before it"

# the others: make mutants
unset MAKEFLAGS MAKELEVEL
timeout 300 make -s PROFILE=sim BUILD="$build" MUTANT_SEEDS=20000 \
	MUTANTS='ack_each no_flush reuse_early' mutants-run >"$out" 2>&1
verdict sim_mutants $? "$(grep -c '^pass:' "$out") planted bugs found"

[ "$failures" -eq 0 ]
