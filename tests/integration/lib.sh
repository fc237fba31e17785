# SPDX-License-Identifier: MIT
#
# What the scripts that drive the real programs share. Sourced; sets $bin, $place (a directory of
# its own, removed at the end) and $name (an instance of its own, removed at the end).

bin=${SLUICE_BIN:-build/release/bin}
case $bin in /*) ;; *) bin=$(pwd)/$bin ;; esac
data=${SLUICE_DATA:-../shared/data}
case $data in /*) ;; *) data=$(pwd)/$data ;; esac
place=$(mktemp -d "${TMPDIR:-/tmp}/sluice-test.XXXXXX") || exit 1
name=test$$
failures=0

# Ends this test's children and removes what they left.
clean_up() {
	trap '' INT TERM
	jobs=$(jobs -p)
	[ -n "$jobs" ] && kill -9 $jobs 2>/dev/null
	wait 2>/dev/null
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

pass() { echo "pass: $1"; }
fail() {
	failures=$((failures + 1))
	echo "fail: $1"
}
# check NAME COMMAND...: passes if the command does
check() {
	what=$1
	shift
	if "$@"; then pass "$what"; else fail "$what"; fi
}
finish() { [ "$failures" -eq 0 ]; exit $?; }

# show FILE...: for the log of a failing test
show() {
	for file in "$@"; do
		[ -s "$file" ] || continue
		echo "--- $(basename "$file")"
		tail -n 20 "$file"
	done
}

# A number below $1, decided by SEED and the calls before.
: "${SEED:=1}"
random_state=$((SEED % 2147483647))
random_below() {
	random_state=$(((random_state * 48271 + 11) % 2147483647))
	random=$((random_state % $1))
}

pause_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }
