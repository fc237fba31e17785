#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every name of --wait: the programs take it, do the same work by it, and say what they follow on
# this machine, which is adaptive where the CPU has no umwait.

. tests/integration/lib.sh
. tests/lib/engine.sh

SLUICE_SHM_DIR=$place/shm
SLUICE_HUGEPAGES=off
export SLUICE_SHM_DIR SLUICE_HUGEPAGES
mkdir "$SLUICE_SHM_DIR"
# wait_of PROGRAM's participant: as the ring's table has it
wait_of() {
	"$bin/sluice" stat -n "$name" --json --once 2>/dev/null |
		grep "\"name\":\"$1\"" | sed 's/.*"wait":"\([a-z]*\)".*/\1/' | sed 1q
}

session() {
	fresh
	rm -f "$place/got"
	start_bare --durability off --wait "$1" --once
	ready
	check "$1: the table of participants has the name" [ "$(wait_of engine)" = "$1" ]
	start_consumer "$place/got" --wait "$1"
	start_producer --generate --seed 17 --count 2000 --wait "$1"
	check "$1: the producer ends with 0" ends_with 0 "$producer_pid"
	check "$1: the engine ends with 0" ends_with 0 "$engine_pid"
	check "$1: the consumer ends with 0" ends_with 0 "$consumer_pid"
	[ "$1" != adaptive ] || cp "$place/got" "$place/calm"
	check "$1: the same reports" cmp "$place/calm" "$place/got"
	expected=$1
	[ "$1" != umwait ] || grep -qw waitpkg /proc/cpuinfo || expected=adaptive
	check "$1: the engine says $expected" says "$place/engine" " wait=$expected"
}

for strategy in adaptive spin yield block sleep backoff umwait; do
	session "$strategy"
done
for program in sluice-engine sluice-producer sluice-consumer sluice-bench; do
	"$bin/$program" --wait lazy >"$place/refused" 2>&1
	check "$program: another name is refused" [ $? -eq 2 ]
	"$bin/$program" --help >"$place/refused" 2>&1
	check "$program: the help has all names" \
		grep -q 'adaptive|spin|yield|block|sleep|backoff|umwait' "$place/refused"
done
ended
