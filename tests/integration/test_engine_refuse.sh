#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What an engine must not start on: rings and a log that do not belong together, a log older than
# what was shown, a report ring that was altered, a place that is taken, wrong options. Each refusal
# has its exit code and says what is wrong; nothing is changed by it.

. tests/integration/lib.sh
. tests/lib/engine.sh

run_commands() { # COUNT TOTAL
	timeout 20 "$bin/sluice-producer" --name "$name" --generate --seed 5 --count "$1" --session 0 \
		--params aggressors=0 >>"$place/producer" 2>&1
	executed "$2" || fail "commands of the producer"
}

stop_engine() { # with everything done
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
}

# refused LABEL STATUS PATTERN: of the engine that was started last
refused() {
	check "$1: exit $2" ends_with "$2" "$engine_pid" 15
	check "$1: says why" grep -q -e "$3" "$place/engine"
}

# its uuid and the size of its segments
which_log() { od -An -tx1 -j16 -N16 "$1/super" && wc -c <"$1/wal-00"; }
sums() { cat "$1"/* | cksum; }

other_log() {
	fresh
	start_engine
	ready
	run_commands 500 500
	stop_engine
	mv "$place/log" "$place/log.right"
	: >"$place/engine"
	start_engine
	refused "another log's rings" 5 'consumed by an engine with another log'
	check 'another log: says what to do' grep -q 'sluice gc -n' "$place/engine"
	rm -rf "$place/log"
	mv "$place/log.right" "$place/log"
	before=$(sums "$place/log")
	: >"$place/engine"
	start_engine
	check 'the right log is taken up' ready
	stop_engine
	check 'a start writes to the log' [ "$before" != "$(sums "$place/log")" ]
}

# Rings that are untouched, but not made for where this log ends.
untouched_rings() {
	fresh
	start_engine
	ready
	run_commands 100 100
	stop_engine
	mv "$place/log" "$place/log.used"
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	: >"$place/engine"
	start_engine
	ready
	kill -STOP "$engine_pid"
	"$helpers/abuse" hostile "$name" 200 || fail 'hostile'
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	rm -rf "$place/log"
	mv "$place/log.used" "$place/log"
	: >"$place/engine"
	start_engine
	refused 'unread rings for another log' 5 'another log'
	rm -rf "$place/log"
}

older_log() {
	fresh
	start_engine
	ready
	run_commands 300 300
	stop_engine
	cp -r "$place/log" "$place/log.old"
	start_engine
	ready 2
	run_commands 300 600
	stop_engine
	rm -rf "$place/log"
	mv "$place/log.old" "$place/log"
	: >"$place/engine"
	before=$(sums "$place/log")
	start_engine
	refused 'a log that was put back' 5 "$name.cmd (the engine's position)"
	check 'a log that was put back: nothing was written' [ "$before" = "$(sums "$place/log")" ]
}

altered_report() {
	fresh
	start_engine
	ready
	run_commands 300 300
	stop_engine
	"$helpers/abuse" flip "$name" 200 || fail 'flip'
	: >"$place/engine"
	start_engine
	refused 'an altered report' 5 "report 200 in $name.rep is not the one"
	"$helpers/abuse" flip "$name" 200
	: >"$place/engine"
	start_engine
	check 'the report put right again: starts' ready
	stop_engine
}

# A ring whose words were found to contradict each other is not opened again by a restart.
poisoned_ring() {
	for ring in cmd rep md; do
		fresh
		start_engine
		ready
		run_commands 50 50
		stop_engine
		# control.state, the first word behind the header
		printf '\004' | dd of="${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.$ring" bs=1 seek=4096 \
			conv=notrunc 2>/dev/null
		: >"$place/engine"
		start_engine
		refused "$ring ring poisoned" 5 "$name.$ring is poisoned"
		check "$ring ring poisoned: says what to do" grep -q 'sluice gc --repair' "$place/engine"
	done
}

# Reports of another log, all of them read: the ring goes, the new log's reports begin at 1.
other_logs_reports() {
	fresh
	start_engine
	ready
	run_commands 100 100
	stop_engine
	start_consumer "$place/other" --until-idle 200ms
	check "another log's reports can be read" ends_with 0 "$consumer_pid"
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.cmd"
	rm -rf "$place/log"
	: >"$place/engine"
	start_engine
	check "another log's reports, read: starts" ready
	run_commands 60 60
	rm -f "$place/own"
	start_consumer "$place/own" --until-idle 500ms
	check "another log's reports, read: the consumer ends" ends_with 0 "$consumer_pid"
	check "another log's reports, read: numbers begin at 1" dense "$place/own"
	stop_engine
}

removed_ring() {
	fresh
	start_engine
	ready
	run_commands 100 100
	stop_engine
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.cmd"
	: >"$place/engine"
	start_engine
	refused 'NAME.cmd removed, reports unread' 5 "$name.rep holds reports that nobody has read"
	check 'the unread reports are still there' [ -e "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name.rep" ]
	start_consumer "$place/unread" --until-idle 200ms
	check 'they can be read' ends_with 0 "$consumer_pid"
	check 'all of them' dense "$place/unread"
	: >"$place/engine"
	start_engine
	check 'NAME.cmd removed, reports read: starts' ready
	stop_engine
}

two_engines() {
	fresh
	start_engine
	ready
	first=$engine_pid
	start_engine
	refused 'two engines at once' 3 "$name has an engine already: process $first\$"
	kill -TERM "$first"
	check 'the first was not disturbed' ends_with 0 "$first"
}

# on_log NAME: an engine of that name on the log $place/taken, talking into $place/NAME
on_log() {
	# shellcheck disable=SC2086 # a list of words
	(exec "$bin/sluice-engine" --name "$1" --wal "$place/taken" --format $small >"$place/$1" 2>&1) &
	engine_pid=$!
}

# The second of two engines waits ten seconds for the log; other things are looked at meanwhile.
taken_begins() {
	on_log "${name}a"
	taker=$engine_pid
	says "$place/${name}a" ' ready '
	on_log "${name}b"
	waiter=$engine_pid
}
taken_ends() {
	on_log "${name}c"
	says "$place/${name}c" 'waiting="somebody has the log'
	kill -TERM "$engine_pid"
	check 'the same log under another name: SIGTERM ends the wait' ends_with 0 "$engine_pid"
	check 'the same log under another name: says it waits' \
		says "$place/${name}b" 'waiting="somebody has the log'
	check 'the same log under another name: exit 3' ends_with 3 "$waiter"
	check 'the same log under another name: says why' \
		grep -q 'another engine has the log in' "$place/${name}b"
	kill -TERM "$taker"
	check 'the one that has it was not disturbed' ends_with 0 "$taker"
}
trap 'clean_up; rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name"[abc].*' EXIT

options() {
	fresh
	start_bare
	refused 'no --wal' 2 'wal DIR is missing'
	: >"$place/engine"
	start_bare --wal "$place/nothing"
	refused 'no log in the directory' 4 '--format'
	check 'no log in the directory: the whole command' \
		grep -q "try: sluice-engine --name $name --wal $place/nothing --format\$" "$place/engine"
	: >"$place/engine"
	start_bare --wal "$place/none/of/this" --format
	refused 'no directory above the log' 4 "try: mkdir -p $place/none/of/this\$"
	: >"$place/file"
	: >"$place/engine"
	start_bare --wal "$place/file" --format
	refused 'a file in the place of the log' 1 'choose another --wal'
	: >"$place/engine"
	start_bare --wal "$place/log" --durability off
	refused 'a log and --durability off' 2 'leave out'
	: >"$place/engine"
	start_bare --wal "$place/log" --parent $$
	refused '--parent without --follow' 2 'add --follow'
	: >"$place/engine"
	start_bare --follow --durability off
	refused '--follow without a log' 2 'nothing to follow'
	: >"$place/engine"
	start_bare --durability off --ring-size 5000
	refused 'ring size 5000' 2 '4096.*8192'
	: >"$place/engine"
	start_bare --durability off --cpu 4095
	refused 'no such CPU' 2 '4095'
	check 'nothing was left behind' \
		sh -c '! ls "${SLUICE_SHM_DIR:-/dev/shm}" | grep "^sluice\.$1\."' - "$name"
	start_engine
	ready
	stop_engine
	cp -r "$place/log" "$place/part"
	rm "$place/part/wal-03"
	: >"$place/engine"
	start_bare --wal "$place/part"
	refused 'a log without one of its files' 5 "try: sluice wal inspect $place/part "
	: >"$place/engine"
	start_bare --follow --wal "$place/part"
	refused 'a follower of it' 5 "try: sluice wal inspect $place/part "
	before=$(which_log "$place/log")
	: >"$place/engine"
	start_engine --wal-size 32M
	ready
	stop_engine
	check '--format keeps an existing log' [ "$before" = "$(which_log "$place/log")" ]
	check '--format says what it keeps' \
		says "$place/engine" 'log_keeps="--wal-size 16777216" reason='
	check 'and not what is as asked for' [ "$(grep -c log_keeps "$place/engine")" -eq 1 ]
	: >"$place/engine"
	start_bare --wal "$place/odd" --format --wal-size 17000000
	refused 'a log of odd size' 2 'multiple of 16 MiB'
	: >"$place/engine"
	start_bare --wal '' --format
	refused 'a log without a name' 2 'wal DIR is missing'
	check 'a log on a disk is not called one in memory' [ "$(on_tmpfs "$place/log")" = \
		"$(says_in_memory "$place/log")" ]
}

on_tmpfs() { case $(stat -f -c %T "$1") in tmpfs | ramfs) echo yes ;; *) echo no ;; esac; }
# whether an engine on it does
says_in_memory() {
	: >"$place/engine"
	start_bare --wal "$1" --format --wal-size 16M
	ready
	stop_engine
	if grep -q 'not_durable="the log is in memory: ' "$place/engine"; then
		echo yes
	else
		echo no
	fi
}

memory() {
	fresh
	if [ "$(on_tmpfs /dev/shm)" = no ]; then
		echo 'skip: a log in memory: /dev/shm is no tmpfs here'
		return
	fi
	memory=$(mktemp -d /dev/shm/sluice-refuse.XXXXXX)
	check 'a log in memory is called that' [ "$(says_in_memory "$memory/log")" = yes ]
	rm -rf "$memory"
}

# A log that belongs to somebody else.
no_permission() {
	if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null; then
		echo 'skip: no permission: needs root and setpriv to become somebody else'
		return
	fi
	fresh
	start_engine
	ready
	stop_engine
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	chmod 755 "$place" "$place/log"
	chmod 644 "$place/log"/*
	cp "$bin/sluice-engine" "$place/program"
	for follow in '' --follow; do
		: >"$place/engine"
		# shellcheck disable=SC2086 # one word or none
		(exec setpriv --reuid 65534 --regid 65534 --clear-groups "$place/program" \
			--name "$name" --wal "$place/log" $follow >>"$place/engine" 2>&1) &
		engine_pid=$!
		refused "no permission ${follow:-to start}" 3 'try: ls -ld .* user 65534 must be able'
	done
}

# A directory on a file system of 8 MiB, in a mount namespace of its own.
no_space() {
	fresh
	mkdir "$place/small"
	if ! unshare -m sh -c 'mount -t tmpfs -o size=8m none "$1"' - "$place/small" 2>/dev/null; then
		echo 'skip: no space while formatting: mounting is not allowed here'
		return
	fi
	# shellcheck disable=SC2016,SC2086
	unshare -m sh -c 'mount -t tmpfs -o size=8m none "$1" && shift && exec "$@"' - \
		"$place/small" "$bin/sluice-engine" --name "$name" --format $small --wal-size 16M \
		--wal "$place/small/log" >"$place/engine" 2>&1 &
	engine_pid=$!
	refused 'no space while formatting' 3 '[Nn]o space'
}

taken_begins
other_log
untouched_rings
older_log
altered_report
removed_ring
poisoned_ring
other_logs_reports
two_engines
options
memory
no_permission
no_space
taken_ends
ended
