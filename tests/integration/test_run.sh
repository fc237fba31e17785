#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The runner itself: it counts what happened, believes an exit status more than words, and leaves no
# process of a suite behind.

run=$(pwd)/tests/run
place=$(mktemp -d "${TMPDIR:-/tmp}/sluice-runner.XXXXXX") || exit 1
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
mkdir tests
failures=0

expect() { # WHAT SUMMARY STATUS SCRIPT
	printf '%s\n' "$4" >tests/one.sh
	output=$(env JOBS="${jobs:-1}" TIMEOUT=1 sh "$run" --profile release b tests/one.sh 2>&1)
	status=$?
	if [ "$(echo "$output" | tail -n 1)" = "$2" ] && [ "$status" -eq "$3" ]; then
		echo "pass: $1"
	else
		failures=$((failures + 1))
		echo "fail: $1: wanted '$2' and status $3, got $status and:"
		echo "$output"
	fi
}

expect 'a silent success' '1 passed, 0 failed, 0 skipped' 0 'exit 0'
expect 'a silent failure' '0 passed, 1 failed, 0 skipped' 1 'exit 3'
expect 'a crash after successes' '2 passed, 1 failed, 0 skipped' 1 \
	'echo "pass: a"; echo "pass: b"; kill -SEGV $$'
expect 'a failure that exits with 0' '1 passed, 1 failed, 0 skipped' 1 'echo "pass: a"; echo "fail: b"'
expect 'a named skip' '1 passed, 0 failed, 1 skipped' 0 'echo "pass: a"; echo "skip: b: no moon"'
expect 'a suite that skips' '0 passed, 0 failed, 1 skipped' 0 'exit 77'
expect 'lines of cmocka' '1 passed, 1 failed, 1 skipped' 1 'cat <<END
[==========] Running 3 test(s).
[       OK ] a
[  FAILED  ] b
[  SKIPPED ] c
skip: c: no moon
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
END
exit 1'
expect 'a suite that hangs' '0 passed, 1 failed, 0 skipped' 1 'sleep 71'
jobs=3 expect 'several workers' '1 passed, 0 failed, 0 skipped' 0 'exit 0'
expect 'a process left behind' '1 passed, 0 failed, 0 skipped' 0 \
	'sleep 72 & echo "$!" >left; sleep 0.1'
alive() { # a killed process may stay a zombie where nobody reaps it
	grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}
tries=50
while alive "$(cat left)" && [ "$tries" -gt 0 ]; do
	sleep 0.1
	tries=$((tries - 1))
done
if alive "$(cat left)"; then
	failures=$((failures + 1))
	echo 'fail: a process left behind still runs'
	kill "$(cat left)"
else
	echo 'pass: a process left behind is killed'
fi
# Two unit suites wait for each other, and two others would not stand each other.
mkdir -p tests/unit/wal
for one in a b; do
	other=b
	[ "$one" = a ] || other=a
	printf '%s\n' ": >met.$one" 'tries=40' \
		"while [ ! -e met.$other ] && [ \$tries -gt 0 ]; do sleep 0.1; tries=\$((tries - 1)); done" \
		"[ -e met.$other ]" >"tests/unit/wal/$one.sh"
	printf '%s\n' 'mkdir alone && sleep 0.3 && rmdir alone' >"tests/$one.sh"
done
if UNIT_JOBS=2 TIMEOUT=10 sh "$run" --profile release b tests/unit/wal/a.sh tests/a.sh \
	tests/unit/wal/b.sh tests/b.sh >out; then
	echo 'pass: UNIT_JOBS: suites of core and log at once, the others one by one'
else
	failures=$((failures + 1))
	echo 'fail: UNIT_JOBS: suites of core and log at once, the others one by one'
	cat out
fi
if SEED=17 sh "$run" --profile release b tests/one.sh | grep -q '^SEED=17 '; then
	echo 'pass: the seed is printed'
else
	failures=$((failures + 1))
	echo 'fail: the seed is not printed'
fi
if sh "$run" >/dev/null; then
	failures=$((failures + 1))
	echo 'fail: no suite at all is a success'
else
	echo 'pass: no suite at all is a failure'
fi
[ "$failures" -eq 0 ]
