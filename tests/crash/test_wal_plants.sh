#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the harness that kills an engine's processes find what it is for? Each file of plants/wal/ is
# an edit that puts a bug into a copy of one source of a program, which is linked in front of the
# library; wal_crash must then find something wrong, and name it. An edit that no longer applies
# fails.
#
#	PLANTS=all: every plant; PLANT_KILLS=n rounds for each at most (300)
#
# shellcheck disable=SC2086 # options are words

TMPDIR=${WAL_DIR:-/var/tmp}
. tests/integration/lib.sh
: "${PLANTS:=released_early}" "${PLANT_KILLS:=300}" "${CC:=gcc}"
build=${SLUICE_BUILD:-build/release}
flags='-std=gnu17 -D_GNU_SOURCE -O2 -g -DSLUICE_RELEASE -w'
rings=$(mktemp -d /dev/shm/sluice-plants.XXXXXX) || exit 1
trap 'clean_up; rm -rf "$rings"' EXIT

# The programs, in $place/bin, one of them with this bug.
make_programs() { # NAME
	edit=tests/crash/plants/wal/$1.sed
	file=$(sed -n 's/^# file: //p' "$edit")
	program=$(sed -n 's/^# program: //p' "$edit")
	: "${program:=sluice-engine}"
	sed -f "$edit" "$file" >"$place/planted.c" || return 1
	if cmp -s "$file" "$place/planted.c"; then
		echo "the edit no longer applies to $file"
		return 1
	fi
	objects=
	for object in "$build/${program#sluice-}"/main*.o; do
		[ "$object" = "$build/${file%.c}.o" ] || objects="$objects $object"
	done
	rm -rf "${place:?}/bin"
	mkdir "$place/bin"
	for built in "$bin"/sluice*; do
		ln -s "$built" "$place/bin/" || return 1
	done
	rm "$place/bin/$program"
	$CC $flags -I. -c "$place/planted.c" -o "$place/planted.o" &&
		$CC -o "$place/bin/$program" "$place/planted.o" $objects -Wl,--start-group \
			"$build/engine.a" "$build/wal.a" "$build/core.a" "$build/cli.a" \
			"$build/consumer.a" "$build/producer.a" "$build/shm.a" -Wl,--end-group \
			-luring -lnuma -lhwloc -lpthread
}

storm() { # KILLS
	rm -rf "${place:?}/storm" "${rings:?}"/*
	mkdir "$place/storm"
	"$build/tests/crash/wal_crash" --bin "$place/bin" --place "$place/storm" \
		--shm "$rings" --kills "$1" --seed "$SEED" >"$place/out" 2>&1
}

[ "$PLANTS" != all ] || PLANTS=$(for f in tests/crash/plants/wal/*.sed; do basename "$f" .sed; done)
for plant in $PLANTS; do
	if ! make_programs "$plant" >"$place/why" 2>&1; then
		fail "plant $plant: cannot be built"
		show "$place/why"
		continue
	fi
	storm "$PLANT_KILLS"
	status=$?
	rounds=$(sed -n 's/^rounds=\([0-9]*\) kills=.*/\1/p' "$place/out")
	found=$(sed -n 's/^wrong: //p' "$place/out" | cut -c 1-100)
	[ -n "$found" ] || status=0
	check "plant $plant" [ "$status" -eq 1 ]
	[ -z "$SHOW" ] || cat "$place/out"
	echo "    after $rounds rounds: $found $(grep -m 1 '^sluice-engine: ' "$place/out" | cut -c 1-120)"
done
finish
