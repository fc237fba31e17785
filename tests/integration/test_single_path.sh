#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A single producer's claim and publish, and a consumer's read and release, hold no atomic
# read-modify-write and no fence: shown by their instructions. The slow halves are calls.
. "$(dirname "$0")/lib.sh"

object=$SLUICE_BUILD/tests/integration/single_path.o
if ! command -v objdump >/dev/null; then
	echo 'skip: single_path: no objdump (package binutils)'
	exit 77
fi
case $(uname -m) in
x86_64) forbidden='lock |xchg|fence|cmpxchg|xadd' ;;
aarch64) forbidden='ldxr|stxr|ldaxr|stlxr|cas|swp|ldadd|dmb[[:space:]]+ish$' ;;
*)
	echo "skip: single_path: $(uname -m) is not one of the looked-at instruction sets"
	exit 77
	;;
esac

code() { # FUNCTION [OBJECT]
	objdump -d --no-show-raw-insn "${2:-$object}" |
		awk -v start="<$1>:" 'index($0, start) { on = 1; next } /^$/ { on = 0 } on'
}

failed=0
for function in single_publish single_consume; do
	lines=$(code "$function" | wc -l)
	if [ "$lines" -lt 10 ]; then
		echo "fail: $function: only $lines instructions found"
		failed=1
	elif code "$function" | grep -E "[[:space:]]($forbidden)"; then
		echo "fail: $function has an atomic read-modify-write or a fence"
		failed=1
	else
		echo "pass: $function has no atomic read-modify-write ($lines instructions)"
	fi
done

# the same look finds the one of the multi-producer claim: it can tell
if code take "$SLUICE_BUILD/producer/multi.o" | grep -qE "[[:space:]]($forbidden)" ||
	code sluice_producer_claim_multi "$SLUICE_BUILD/producer/multi.o" | grep -qE "[[:space:]]($forbidden)"; then
	echo 'pass: the multi-producer claim has one'
else
	echo 'fail: no read-modify-write found where there is one'
	failed=1
fi
exit $failed
