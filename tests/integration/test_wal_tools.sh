#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What an operator has for a log: inspect says what a start would, and touches nothing, also beside a
# running engine; a copy of a live directory is good or refused; the end of a damaged log can be given
# up and taken back; dump and stat know of a log that goes round.

. tests/integration/lib.sh
. tests/lib/engine.sh

sluice=$bin/sluice
digest() { cat "$1"/super "$1"/wal-* "$1"/snap-* | cksum; }
# flip FILE OFFSET: another byte there
flip() {
	byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf "\\$(printf %o $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
# run STATUS ARGUMENT...: `sluice wal ARGUMENT...` ends with it; output in $place/out and $place/err
run() {
	want=$1
	shift
	"$sluice" wal "$@" >"$place/out" 2>"$place/err"
	status=$?
	[ "$status" -eq "$want" ] || echo "wal $1: exit $status, not $want"
	[ "$status" -eq "$want" ]
}
# told PATTERN...: each is in the output of the last run
told() {
	for pattern; do
		cat "$place/out" "$place/err" | grep -q -e "$pattern" && continue
		echo "nothing says: $pattern"
		return 1
	done
}
made() { "$helpers/make_log" "$place/$1" "$1" >"$place/make" 2>&1 || show "$place/make"; }

inspect_whole() {
	made clean
	run 0 inspect "$place/clean" && told ': INTACT' 'replays 234 commands in 14 blocks' \
		'cleanly closed' 'sequence 7, epoch 1, the one that counts' 'snapshot     none' || return 1
	made round
	run 0 inspect "$place/round" && told 'snapshot     number 8 in snap-0' 'earlier uses' \
		'takes snapshot 8 and replays 8,966' || return 1
	flip "$place/round/snap-0" 5000
	run 0 inspect "$place/round" &&
		told 'snap-0 offset 4096: snapshot 8 is damaged' 'takes snapshot 7' || return 1
	flip "$place/round/snap-1" 5000
	run 5 inspect "$place/round" && told ': REFUSED' 'is refused: no snapshot can be used' &&
		run 5 inspect --json "$place/round" && told '"starts":false' '"verdict":"REFUSED"' || return 1
	flip "$place/round/snap-0" 5000
	flip "$place/round/snap-1" 5000
	run 0 inspect --json "$place/round" && told '"base_snapshot":8' '"whole":true'
}

inspect_touches_nothing() {
	before=$(digest "$place/round") && run 0 inspect "$place/round" &&
		[ "$before" = "$(digest "$place/round")" ] || return 1
	command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null || return 0
	strace -f -o "$place/calls" "$sluice" wal inspect "$place/round" >/dev/null
	# a build that counts branches ends with writing them down
	sed -i '/\.gcda"/,$d' "$place/calls"
	if grep -e 'flock(' -e 'fcntl([0-9]*, F_.*LK' -e 'pwrite' -e 'O_RDWR' -e 'O_WRONLY' "$place/calls" |
		grep -v -e '/dev/' -e '/proc/'; then
		return 1
	fi
	grep -q 'wal-00.*O_RDONLY' "$place/calls"
}

goes_round() {
	run 0 stat "$place/round" && told 'begins  *at command 183,792, block 121' \
		'snapshot  *number 8, of the commands below 210,048' || return 1
	run 0 stat --json "$place/round" && told '"start_cmd_seq":183792' '"number":7' || return 1
	run 0 dump "$place/round" --max 1 && told 'the log begins at command 183792' || return 1
	run 0 dump "$place/round" --from 183792 --to 183792 --quiet && [ ! -s "$place/err" ] || return 1
	# names that were defined before the log's start
	run 0 dump "$place/round" --type place --max 5 && told 'symbol=SYM[1-4]' || return 1
	run 0 verify "$place/round" && told 'agrees with every block from command 183,792'
}

# An engine's log of 3000 commands, without its rings, and the yardstick: its state.
real_log() {
	fresh
	start_engine --follower off
	start_producer --generate --seed 9 --count 3000 --rate 20k
	settle
	executed 3000
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" >/dev/null
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	hash_of "$place/log"
}
hash_of() { "$sluice" wal verify "$1" | sed -n 's/.*state hash *//p'; }

give_up() {
	calm=$(real_log)
	[ -n "$calm" ] || return 1
	flip "$place/log/wal-00" 41000
	before=$(digest "$place/log")
	: >"$place/engine"
	start_engine
	ends_with 5 "$engine_pid" || return 1
	run 5 inspect --json "$place/log" || return 1
	text=$(sed 's/.*"text":"\([^"]*\)".*/\1/' "$place/out")
	grep -qF -e "$text" "$place/engine" || {
		echo 'the engine refuses in other words'
		return 1
	}
	run 7 truncate-tail "$place/log" && told 'given up  *block' 'given up  *blocks .* of epoch 1' \
		'lost  *commands' 'the mark of a clean end' 'nothing was changed' || return 1
	lost=$(sed -n 's/.*; \([0-9,]*\) of them can be listed.*/\1/p' "$place/out" | tr -d ,)
	kept=$(sed -n 's/.*kept .*commands below \([0-9]*\)$/\1/p' "$place/out")
	run 7 truncate-tail "$place/log" --list --json
	[ "$(grep -c '"schema":"sluice.wal.dump/1"' "$place/out")" -eq "$lost" ] || return 1
	run 2 truncate-tail "$place/log" --yes && told 'the old bytes must go somewhere' || return 1
	[ "$before" = "$(digest "$place/log")" ] || return 1
	run 0 truncate-tail "$place/log" --yes --backup "$place/undo" || return 1
	run 0 inspect "$place/log" && told ': INTACT' "command $kept:" || return 1
	run 0 truncate-tail "$place/log" --undo "$place/undo" || return 1
	[ "$before" = "$(digest "$place/log")" ] || return 1
	run 1 truncate-tail "$place/log" --yes --backup "$place/undo" && told 'File exists' || return 1
	run 0 truncate-tail "$place/log" --yes --backup "$place/undo.2" || return 1
	# an engine starts on it, and sources that send all of it again bring back what was lost
	start_engine --follower off
	start_producer --generate --seed 9 --count 3000
	settle
	executed $((kept + 3000))
	run 1 truncate-tail "$place/log" --yes --backup "$place/undo.3" || return 1
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" || return 1
	run 4 truncate-tail "$place/log" --undo "$place/undo.2" && told 'written since' || return 1
	"$sluice" book SYM1 --wal "$place/log" --json --depth 1000 | sed 's/"cmd_seq":[0-9]*,//' \
		>"$place/book"
	fresh
	real_log >/dev/null
	"$sluice" book SYM1 --wal "$place/log" --json --depth 1000 | sed 's/"cmd_seq":[0-9]*,//' |
		cmp - "$place/book"
}

# A log that an engine has is not given up, whatever is wrong with it.
in_use() {
	fresh
	start_engine
	ready || return 1
	start_producer --generate --seed 9 --count 2000 --rate 20k
	settle
	executed 2000 || return 1
	flip "$place/log/wal-00" 9000
	run 3 truncate-tail "$place/log" --yes --backup "$place/undo.4" && told 'another engine'
	rc=$?
	[ ! -e "$place/undo.4" ] || rc=1
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	return $rc
}

new_user() {
	made fresh
	run 4 inspect "$place/none" && told 'none' || return 1
	run 4 inspect "$place" && told 'there is no log' || return 1
	run 2 truncate-tail && told 'DIR' || return 1
	run 1 truncate-tail "$place/fresh" && told 'not damaged, nothing needs to be given up' || return 1
	run 4 truncate-tail "$place/fresh" --undo "$place/none" && told 'No such file' || return 1
	run 5 truncate-tail "$place/fresh" --undo "$place/fresh/wal-00" && told 'not a finished backup' ||
		return 1
	run 2 truncte-tail && told 'did you mean "truncate-tail"' || return 1
	run 0 inspect --help && told 'would find in a log' && run 0 truncate-tail --help && told '--backup' '--undo' &&
		run 0 truncate-tail --help-man && told '^.TH'
}

# Inspection and copies of a directory that is being written, and goes round meanwhile.
live() {
	fresh
	start_engine --snapshot-every 2M --reports drop
	ready || return 1
	start_producer --generate --seed 3 --count 240000 --rate 60k
	looks=0
	bad=0
	copies=0
	while kill -0 "$producer_pid" 2>/dev/null && [ "$looks" -lt 40 ]; do
		looks=$((looks + 1))
		run 0 inspect "$place/log" || { bad=$((bad + 1)); show "$place/out"; }
		[ $((looks % 4)) -eq 0 ] && [ "$copies" -lt 4 ] || continue
		copies=$((copies + 1))
		cp -r "$place/log" "$place/copy.$copies"
	done
	wait "$producer_pid"
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" 60 || return 1
	echo "$looks looks, $copies copies"
	[ "$looks" -gt 3 ] && [ "$copies" -gt 0 ] && [ "$bad" -eq 0 ]
}

# Each copy is a valid prefix, with the same commands under the same numbers, or is refused.
live_copies() {
	"$sluice" wal dump "$place/log" --hex --json --quiet |
		sed 's/.*"cmd_seq":\([0-9]*\),.*"hex":"\([0-9a-f]*\)".*/\1 \2/' >"$place/all"
	good=0
	refused=0
	for copy in "$place"/copy.*; do
		if "$sluice" wal inspect "$copy" >"$place/out" 2>&1; then
			good=$((good + 1))
			"$sluice" wal verify "$copy" >"$place/err" 2>&1 || grep -q DAMAGED "$place/err" || return 1
			grep -q DIVERGES "$place/err" && return 1
			"$sluice" wal dump "$copy" --hex --json --quiet 2>/dev/null |
				sed 's/.*"cmd_seq":\([0-9]*\),.*"hex":"\([0-9a-f]*\)".*/\1 \2/' >"$place/some"
			awk 'NR == FNR { all[$1] = $2; next } $1 in all && all[$1] != $2 { bad = 1 } END { exit bad }' \
				"$place/all" "$place/some" || return 1
		else
			refused=$((refused + 1))
			told 'is refused: ' || return 1
		fi
	done
	echo "$good good, $refused refused"
	[ $((good + refused)) -gt 0 ]
}

check 'inspect: whole logs and rotten snapshots' inspect_whole
check 'inspect: writes nothing, locks nothing' inspect_touches_nothing
check 'a log that goes round: stat, dump, verify' goes_round
check 'truncate-tail: told, given up, taken back, started' give_up
check 'truncate-tail: refused beside an engine' in_use
check 'what a new user meets' new_user
check 'inspect: beside a running engine' live
check 'a copy of a live directory is a valid prefix or refused' live_copies
ended
