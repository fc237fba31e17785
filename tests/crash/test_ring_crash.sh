#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Kills and stops producers, consumers and recoverers of a ring at every step of its protocol
# (shm/failpoint.h) and at random instants, in several shapes of ring, and demands that nothing is
# lost, repeated, swapped or torn and that the line always goes on (ring_crash.c says how).
# SECONDS=n for all shapes together; or DEATHS=n of producers on the ring of 256, and a share of that
# on each other shape; SEED=n.

build=${SLUICE_CRASH_BUILD:-build/crash}
harness=$build/tests/crash/ring_crash
: "${SECONDS:=12}" "${DEATHS:=}"
out=$(mktemp "${TMPDIR:-/tmp}/sluice-crash.XXXXXX") || exit 1
trap 'rm -f "$out" "$out.all"' EXIT
failures=0

if [ ! -x "$harness" ]; then
	echo 'fail: test_ring_crash: not built. Type: make crash-build'
	exit 1
fi

verdict() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		echo "pass: $1"
	else
		failures=$((failures + 1))
		echo "fail: $1"
	fi
}

# SHARE of 12 parts of the time, or of 4 of the deaths.
shape() { # NAME SHARE OPTION...
	what=$1 limit=$(((SECONDS * $2 + 11) / 12))
	[ -z "$DEATHS" ] || limit="36000 --deaths $(((DEATHS * $2 + 3) / 4))"
	shift 2
	echo "--- $what"
	# shellcheck disable=SC2086 # the limit is a number, or a number and an option
	"$harness" --seconds $limit "$@" >"$out" 2>&1
	status=$?
	cat "$out"
	cat "$out" >>"$out.all"
	verdict "$what" "$status"
}

# Tests of single failpoints, one after the other.
"$build/tests/crash/ring_points" || failures=$((failures + 1))

shape 'ring of 256, claims of 1 to 5' 4
shape 'ring of 8, always full' 2 --slots 8 --batch 3 --big
shape 'ring of 64, claims of half of it and all of it' 2 --slots 64 --big
shape 'eight producers' 1 --producers 8 --slots 128
shape 'sequences beyond the 48 bits of a record' 1 --base $((281474976710656 - 5000))
# Joiners die rarely: a short run may not have them.
points='P1 P2 P3 P4 P5 P6 P7 P8 R1 R2'
[ -z "$DEATHS" ] && [ "$SECONDS" -lt 60 ] || points="$points J1 J2"
DEATHS=
shape 'what a death costs by itself' 2 --calm

for point in $points; do
	grep -q "_deaths=.* $point=" "$out.all"
	verdict "somebody died at $point" $?
done
[ "$failures" -eq 0 ]
