#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the simulator find what it is for? Each file of plants/ is an edit that puts a bug into a copy
# of one source, which is linked in front of the archives; some seed must then break an invariant.
# An edit that no longer applies fails, and so does a simulator that fails without a bug.
#
#	MUTANTS="name ...": these; else all.  MUTANT_SEEDS (60000): how many seeds each may take
#
# Called by make with BUILD, CC, FLAGS, POINTS and LINK of the sim profile.
#
# shellcheck disable=SC2086,SC2153 # options are words; POINTS comes from make

: "${MUTANT_SEEDS:=60000}" "${JOBS_SIM:=$(nproc)}"
: "${MUTANTS:=$(for f in tests/sim/plants/*.sed; do basename "$f" .sed; done)}"
failures=0
place=$(mktemp -d "${TMPDIR:-/tmp}/sluice-mutants.XXXXXX") || exit 1
trap 'rm -rf "$place"' EXIT

build() { # NAME
	file=$(sed -n 's/^# file: //p' "tests/sim/plants/$1.sed")
	rm -rf "$place/tree"
	mkdir -p "$place/tree/${file%/*}"
	sed -f "tests/sim/plants/$1.sed" "$file" >"$place/tree/$file" || return 1
	if cmp -s "$file" "$place/tree/$file"; then
		echo "the edit no longer applies to $file"
		return 1
	fi
	points=
	case " $POINTS " in *" $file "*) points=-finstrument-functions ;; esac
	$CC $FLAGS -w $points -I"$place/tree" -c "$place/tree/$file" -o "$place/mutant.o" &&
		$CC $FLAGS -o "$place/sim" "$BUILD"/tests/sim/*.o "$place/mutant.o" \
			-Wl,--start-group $ARCHIVES -Wl,--end-group $LINK
}

row() { # VERDICT NAME SEED INVARIANT SECONDS
	printf '%-6s %-20s %-8s %-12s %s\n' "$@"
}

row '' mutant seed invariant seconds
for name in $MUTANTS; do
	if ! build "$name" >"$place/why" 2>&1; then
		cat "$place/why"
		row fail: "$name" - 'not built' -
		failures=$((failures + 1))
		continue
	fi
	began=$(date +%s)
	timeout 900 "$place/sim" --seeds "$MUTANT_SEEDS" --jobs "$JOBS_SIM" --failures 1 \
		>"$place/out" 2>&1
	took=$(($(date +%s) - began))
	found=$(grep -m1 '^fail: seed' "$place/out")
	if [ -n "$found" ]; then
		seed=$(echo "$found" | sed 's/fail: seed \([0-9]*\).*/\1/')
		invariant=$(echo "$found" | sed 's/fail: seed [0-9]*: \([^:]*\):.*/\1/')
		row pass: "$name" "$seed" "$invariant" "$took"
		[ -z "$V" ] || echo "$found"
	else
		tail -3 "$place/out"
		row fail: "$name" - 'not found' "$took"
		failures=$((failures + 1))
	fi
done
[ "$failures" -eq 0 ]
