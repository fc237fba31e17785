#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The protocol models at their smaller bounds, and every mutant; `make model` has all bounds. The lines
# of tests/model/run are those of a suite. LIMIT is generous: sanitizer builds may share the machine.

LIMIT=${LIMIT:-40}
export LIMIT
out=$(mktemp "${TMPDIR:-/tmp}/sluice-models.XXXXXX") || exit 1
trap 'rm -f "$out"' EXIT
sh tests/model/run --quick --part 1/2 >"$out" 2>&1 &
sh tests/model/run --quick --part 2/2
second=$?
wait $!
first=$?
cat "$out"
[ "$first" -ne 0 ] || exit "$second"
exit "$first"
