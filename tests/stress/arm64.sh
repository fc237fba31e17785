#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The ring's stress and crash tests, cross-compiled for arm64 and run under qemu's user emulation:
#
#	sh tests/stress/arm64.sh BUILD		from the project's root, usually by `make stress-arm64`
#
# What this shows: the code that other compilers and other atomic instructions make of the ring is
# right (exclusive pairs or LSE, release and acquire as instructions, no `pause`), and so are the
# layout and the system calls. What it cannot show: reordering. The emulator runs each instruction as
# x86 code, whose stores and loads stay in order but for a store before a load. A missing release
# passes here; ThreadSanitizer and the models look for those. SECONDS=n per run.
#
# shellcheck disable=SC2086 # flags are words

build=$1
: "${SECONDS:=5}" "${ARM64_CC:=aarch64-linux-gnu-gcc}" "${QEMU:=qemu-aarch64}"
export SECONDS
for tool in "$ARM64_CC" "${ARM64_CC%gcc}ar" "$QEMU"; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "skip: stress-arm64: $tool is not installed"
		exit 77
	fi
done

flags='-std=gnu17 -D_GNU_SOURCE -I. -O2 -g -DSLUICE_RELEASE -DSLUICE_FAILPOINTS -Wall -Wextra'
mkdir -p "$build"
rm -f "$build"/*.o "$build/ring.a"
for source in shm/*.c producer/producer.c producer/multi*.c consumer/consumer*.c consumer/pace.c \
	tests/stress/one_node.c tests/lib/crash_*.c tests/lib/ring_fixture.c; do
	case $source in shm/placement*) continue ;; esac # needs hwloc
	object=$build/$(echo "$source" | tr / _).o
	"$ARM64_CC" $flags -c "$source" -o "$object" || exit 1
done
"${ARM64_CC%gcc}ar" rcs "$build/ring.a" "$build"/*.o
for program in tests/stress/ring_threads tests/crash/ring_crash tests/crash/ring_points; do
	"$ARM64_CC" $flags "$program.c" -static -Wl,--start-group "$build/ring.a" -Wl,--end-group \
		-lpthread -o "$build/${program##*/}" || exit 1
done

failures=0
run() {
	echo "--- $*"
	timeout 300 "$QEMU" "$build/$@" || failures=$((failures + 1))
}
run ring_threads
run ring_points
run ring_crash --seconds "$SECONDS"
run ring_crash --seconds "$SECONDS" --slots 8 --batch 3 --big
[ "$failures" -eq 0 ]
