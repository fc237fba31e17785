#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The log's unit tests once more, over each real backend and way to make a block durable: the same
# tests, so the same results and the same rules about errors.

suites='test_wal_writer test_wal_completion test_wal_flip'
build=${SLUICE_BUILD:-build/release}/tests/unit/wal
log=$(mktemp "${TMPDIR:-/tmp}/sluice-test.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
failures=0

over() { # NAME BACKEND SYNC, numbers as in engine/wal/wal.h
	for suite in $suites; do
		[ -x "$build/$suite" ] || continue
		if WAL_BACKEND=$2 WAL_SYNC=$3 timeout 100 "$build/$suite" >"$log" 2>&1; then
			echo "pass: $1: $suite"
		elif grep -q 'io_uring is not available' "$log"; then
			echo "skip: $1: $suite: io_uring is forbidden here"
		else
			echo "fail: $1: $suite"
			failures=$((failures + 1))
			tail -n 20 "$log"
		fi
	done
}

over 'io_uring, dsync' 1 1
over 'io_uring, link' 1 2
over 'thread, dsync' 3 1
[ "$failures" -eq 0 ]
