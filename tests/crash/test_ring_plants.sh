#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the crash harness find what it is for? Each file of plants/ is an edit that puts a bug into a
# copy of one source of the ring, which is linked in front of the library; the harness must then
# find something wrong. An edit that no longer applies fails.
#
#	PLANTS=all: every plant, up to PLANT_SECONDS (30) for each; else those found within seconds
#
# A plant that only ThreadSanitizer can see is put into threads of one process (tests/stress); that
# needs the tsan profile's archives in SLUICE_TSAN_BUILD.
#
# shellcheck disable=SC2086 # options are words

build=${SLUICE_CRASH_BUILD:-build/crash}
: "${PLANTS:=quick}" "${PLANT_SECONDS:=30}" "${CC:=gcc}"
flags='-std=gnu17 -D_GNU_SOURCE -O1 -g -DSLUICE_RELEASE -w'
crash=-DSLUICE_FAILPOINTS
tsan_build=${SLUICE_TSAN_BUILD:-build/tsan}
fixed_layout=$(setarch -R true 2>/dev/null && echo 'setarch -R')
# Whatever has the ring's inline functions in it, for plants in headers.
users='producer/producer.c producer/multi.c shm/ring.c shm/recovery.c tests/lib/ring_fixture.c'
quick='equal_stamp timeout attempt_ignored no_capacity early_liveness two_scans'
failures=0
place=$(mktemp -d "${TMPDIR:-/tmp}/sluice-plants.XXXXXX") || exit 1
trap 'rm -rf "$place"' EXIT

for archive in testlib consumer producer shm; do
	if [ ! -f "$build/$archive.a" ]; then
		echo 'fail: test_ring_plants: not built. Type: make crash-build'
		exit 1
	fi
done

verdict() { # NAME STATUS TEXT
	if [ "$2" -eq 0 ]; then
		echo "pass: plant $1: $3"
	else
		failures=$((failures + 1))
		echo "fail: plant $1: $3"
	fi
}

# Compiles SOURCE... against the planted tree into $objects.
compile() { # FLAGS SOURCE...
	more=$1 objects=
	shift
	for source in "$@"; do
		object=$place/tree/$(echo "$source" | tr / _).o
		[ "$source" != "$file" ] || source=$place/tree/$file
		$CC $flags $more -I"$place/tree" -I. -c "$source" -o "$object" || return 1
		objects="$objects $object"
	done
}

join() { # FLAGS BUILD PROGRAM
	$CC $1 $objects -Wl,--start-group "$2/testlib.a" "$2/consumer.a" "$2/producer.a" \
		"$2/shm.a" -Wl,--end-group -lnuma -lhwloc -lpthread -o "$place/tree/$3"
}

# A tree with the bug in it.
plant() { # NAME
	file=$(sed -n 's/^# file: //p' "tests/crash/plants/$1.sed")
	rm -rf "$place/tree"
	mkdir -p "$place/tree/${file%/*}"
	sed -f "tests/crash/plants/$1.sed" "$file" >"$place/tree/$file" || return 1
	if cmp -s "$file" "$place/tree/$file"; then
		echo "the edit no longer applies to $file"
		return 1
	fi
	case $file in
	*.h) sources="$users $(echo consumer/consumer*.c shm/participant*.c)" ;;
	*) sources=$file ;;
	esac
}

# Programs made of it.
programs() {
	for program in ring_crash ring_points; do
		compile "$crash" "tests/crash/$program.c" tests/lib/crash_roles.c $sources &&
			join '' "$build" $program || return 1
	done
}

race_run() { # PROGRAM OUTPUT
	compile '-fsanitize=thread -fno-builtin -Wno-tsan' "tests/stress/$1.c" $sources &&
		join -fsanitize=thread "$tsan_build" "$1" || return 1
	SECONDS=2 timeout 100 $fixed_layout "$place/tree/$1" >"$2" 2>&1
	grep -q 'SUMMARY: ThreadSanitizer: data race' "$2"
}

# 0 if there is a race with the bug and none without.
races() { # PROGRAM
	text='no archives of the tsan profile (make tsan-archives)'
	[ -f "$tsan_build/shm.a" ] || return 1
	if ! race_run "$1" "$place/planted.out"; then
		text="$1 found nothing"
		return 1
	fi
	text="$1: $(grep -m1 'SUMMARY: ThreadSanitizer: data race' "$place/planted.out")"
	rm -rf "$place/tree"
	mkdir "$place/tree"
	file=none
	if race_run "$1" "$place/control.out"; then
		text="$1: the same without the bug"
		return 1
	fi
}

# 0 if one of the runs finds it.
hunt() { # NAME
	sed -n 's/^# run: //p' "tests/crash/plants/$1.sed" >"$place/runs"
	while read -r program options; do
		[ "$program" = ring_points ] || options="--seconds $PLANT_SECONDS $options"
		began=$(date +%s%N)
		timeout $((PLANT_SECONDS * 2 + 30)) "$place/tree/$program" $options \
			>"$place/out" 2>&1 </dev/null
		status=$?
		took=$((($(date +%s%N) - began) / 1000000))
		found=$(grep -m1 -e '^fail:' -e '^lost:' -e '^duplicate:' -e '^reordered:' \
			-e '^torn:' -e '^stuck:' -e '^unexpected:' "$place/out")
		deaths=$(sed -n 's/^producer_deaths=\([0-9]*\).*/, \1 deaths/p' "$place/out")
		if [ $status -ne 0 ] && [ -n "$found" ]; then
			text="$program, $took ms$deaths: $found"
			return 0
		fi
		text="$program found nothing in $took ms$deaths (status $status)"
	done <"$place/runs"
	return 1
}

[ "$PLANTS" = quick ] && PLANTS=$quick
[ "$PLANTS" = all ] && PLANTS=$(for f in tests/crash/plants/*.sed; do basename "$f" .sed; done)
for name in $PLANTS; do
	text='cannot be built'
	if plant "$name" >"$place/why" 2>&1; then
		race=$(sed -n 's/^# tsan: //p' "tests/crash/plants/$name.sed")
		if [ -n "$race" ]; then
			races "$race" 2>>"$place/why"
		else
			programs >>"$place/why" 2>&1 && hunt "$name"
		fi
	else
		false
	fi
	status=$?
	[ "$status" -eq 0 ] || cat "$place/why"
	verdict "$name" "$status" "$text"
done
[ "$failures" -eq 0 ]
