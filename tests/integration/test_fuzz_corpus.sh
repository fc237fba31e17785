#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every fuzz target over its committed corpus (tests/fuzz/corpus/NAME: inputs that reached something,
# and those that once broke something), and over inputs made up from SEED; without a fuzzer. How a
# corpus is made: tests/fuzz/README.md.

. tests/integration/lib.sh

: "${INPUTS:=2000}"
build=${SLUICE_BUILD:-build/release}

for target in tests/fuzz/fuzz_*.c; do
	target=${target##*/fuzz_}
	target=${target%.c}
	corpus=tests/fuzz/corpus/$target
	set -- "$corpus"/*
	if [ ! -f "$1" ]; then
		fail "$target: a corpus"
		continue
	fi
	# the last line of a failing run names its input
	for what in "the corpus" "made-up inputs"; do
		[ "$what" = 'made-up inputs' ] && set -- --random "$INPUTS" "$SEED"
		if "$build/tests/fuzz/replay_$target" "$@" >"$place/log" 2>&1; then
			pass "$target: $what"
		else
			show "$place/log"
			fail "$target: $what"
		fi
	done
done
finish
