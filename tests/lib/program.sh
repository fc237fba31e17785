# SPDX-License-Identifier: MIT
#
# What the scripts share that run one program to its end and look at what it said. Sourced, with
# $suite set, which the names of the tests begin with; BIN=build/release/bin. Sets $BIN, $work (a
# directory of its own) and SLUICE_SHM_DIR to $rings (likewise, so that nothing else is seen); both
# are removed at the end, after the process whose id is in $child, if any.

set -u
BIN=${BIN:-${SLUICE_BIN:-build/release/bin}}
BIN=$(cd "$BIN" && pwd) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-$suite.XXXXXX") || exit 1
rings=$(mktemp -d "/dev/shm/sluice-$suite.XXXXXX") || exit 1
SLUICE_SHM_DIR=$rings
SLUICE_HUGETLB_DIR="$work/no-hugetlb"
export SLUICE_SHM_DIR SLUICE_HUGETLB_DIR
mkdir "$SLUICE_HUGETLB_DIR" "$work/dir"
child=
failures=0

clean_up() {
	[ -n "$child" ] && kill -KILL "$child" 2>/dev/null
	rm -rf "$work" "$rings"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

pass() { echo "pass: ${suite}__$1"; }
fail() { # NAME WHY
	echo "fail: ${suite}__$1"
	echo "  $2" >&2
	sed 's/^/  | /' "$work/out" "$work/err" 2>/dev/null | head -60 >&2
	failures=$((failures + 1))
}
skip() { echo "skip: ${suite}__$1: $2"; } # NAME REASON

# left: what a program has left of its rings and in the directory for its log
left() { find "$rings" "$work/dir" -mindepth 1; }

# ends_on_signal NAME COMMAND...: a signal in the middle ends it with 143, and nothing is left. It
# comes a little after the first ring, or within five seconds if there is none.
ends_on_signal() {
	name=$1
	shift
	"$@" >"$work/out" 2>"$work/err" &
	child=$!
	tries=100
	while [ -z "$(ls "$rings")" ] && kill -0 "$child" 2>/dev/null && [ "$tries" -gt 0 ]; do
		sleep 0.05
		tries=$((tries - 1))
	done
	sleep 0.2
	kill -TERM "$child" 2>/dev/null
	wait "$child"
	status=$?
	child=
	if [ "$status" -eq 143 ] && [ -z "$(left)" ]; then
		pass "$name"
	elif [ "$status" -eq 0 ] && grep -q 'not measured: ' "$work/out"; then
		skip "$name" "$(grep -o -m 1 'not measured: .*' "$work/out")" # it ended of its own
	else
		fail "$name" "exit $status, left: $(left)"
	fi
}
