#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A log that goes round: snapshots of the follower and of a clean end, starts from them, a follower
# that is missing, rotten snapshots, a reboot that takes the rings away, and rings and logs that do
# not belong together any more. What comes out is compared with a run that had no interruption and a
# log that was large enough.

# shellcheck disable=SC2086 # $often is a list of words

. tests/integration/lib.sh
. tests/lib/engine.sh
: "${COMMANDS:=200000}"
# so that a log of 16 MiB is passed several times
often='--snapshot-every 1M --snapshot-rate 0'

# summed FILE: a consumer whose lines become a checksum, as $consumer_pid
summed() {
	(
		"$bin/sluice-consumer" --name "$name" --json 2>>"$place/consumer" |
			sed "$unmark" | cksum >"$1"
	) &
	consumer_pid=$!
}
unmark='s/,"durability":"[a-z_]*"//'

figure() { "$bin/sluice" stat -n "$name" --json --once 2>/dev/null | grep -q "$1"; }
# The last state that the engine has told, without its time.
last_state() { sed -n 's/.* done commands=/commands=/p' "$place/engine" | tail -n 1; }
same_state() { [ "$(last_state)" = "$state" ] || { last_state; echo "$state"; false; }; }
# VALUE of the last start: recovered_commands, snapshot, republished ...
recovery() { sed -n "s/.*[ =]$1=\([0-9]*\) .*/\1/p" "$place/engine" | tail -n 1; }
forget() { : >"$place/engine"; }
stop_engine() {
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid"
}
kill_engine() {
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
}
sums() { cat "$1"/* | cksum; }

# the yardstick
calm() {
	fresh
	start_engine --once --wal-size 256M --follower off
	summed "$place/calm.sum"
	start_producer --generate --seed 5 --count "$COMMANDS"
	check 'calm: the engine ends with 0' ends_with 0 "$engine_pid" 60
	settle
	state=$(last_state)
	check 'calm: says its state' [ -n "$state" ]
}

goes_round() { # LABEL OPTION...
	label=$1
	shift
	fresh
	start_engine --once $often "$@"
	summed "$place/round.sum"
	start_producer --generate --seed 5 --count "$COMMANDS"
	check "$label: the engine ends with 0" ends_with 0 "$engine_pid" 60
	check "$label: the producer ends with 0" ends_with 0 "$producer_pid"
	settle
	check "$label: the state of the calm run" same_state
	check "$label: the reports of the calm run" cmp "$place/calm.sum" "$place/round.sum"
	check "$label: snapshots were named" [ "$(grep -c snapshot=named "$place/engine")" -ge 3 ]
	check "$label: the log verifies" verifies "$place/log"
}

# The log of goes_round, whose rings are gone.
clean_start() {
	check 'clean end: says that it took a snapshot' grep -q snapshot=written "$place/engine"
	forget
	start_engine --follower off
	check 'clean end: starts' ready
	check 'clean end: no command is read again' [ "$(recovery recovered_commands)" = 0 ]
	check 'clean end: the snapshot is of all commands' \
		[ "$(recovery snapshot_commands)" = "$COMMANDS" ]
	newest=$(recovery snapshot)
	forget
	check 'clean end: ends again' stop_engine
	check 'clean end: the same state' same_state
}

flip() { # FILE OFFSET: all bits of one byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # the byte is the format
	printf "\\$(printf '%03o' $((255 - byte)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# The same log, $newest its newest snapshot.
rotten() {
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	flip "$place/log/snap-$((newest % 2))" 9000
	forget
	start_engine --follower off
	check 'rotten snapshot: starts' ready
	check 'rotten snapshot: says which, and where' \
		grep -q "snapshot_passed_over=.*snap-$((newest % 2))" "$place/engine"
	check 'rotten snapshot: the one before is used' \
		[ "$(recovery snapshot)" = $((newest - 1)) ]
	kill_engine
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
	flip "$place/log/snap-$(((newest + 1) % 2))" 9000
	before=$(sums "$place/log")
	forget
	start_engine --follower off
	check 'two rotten snapshots: refused with 5' ends_with 5 "$engine_pid"
	check 'two rotten snapshots: names both' sh -c \
		'grep -q snap-0 "$1" && grep -q snap-1 "$1"' - "$place/engine"
	check 'two rotten snapshots: nothing is written' [ "$before" = "$(sums "$place/log")" ]
	flip "$place/log/snap-$(((newest + 1) % 2))" 9000
	forget
	start_engine --follower off
	check 'one put right: starts' ready
	forget
	check 'one put right: ends' stop_engine
	check 'one put right: the same state' same_state
}

follow_by_hand() { # OPTION...
	(exec "$bin/sluice-engine" --follow --name "$name" --wal "$place/log" "$@" \
		>>"$place/follower" 2>&1) &
	follower_pid=$!
}

fill_log() {
	fresh
	start_engine --once --follower off
	summed "$place/hand.sum"
	start_producer --generate --seed 5 --count "$COMMANDS"
	check "$1: the log is full, and it is said" \
		says "$place/engine" 'is full: .*no follower takes snapshots'
}

drained() {
	check "$1: the engine goes on" says "$place/engine" going_on
	check "$1: everything is done" ends_with 0 "$engine_pid" 60
	settle
	check "$1: the state of the calm run" same_state
	check "$1: the reports of the calm run" cmp "$place/calm.sum" "$place/hand.sum"
	kill -TERM "$follower_pid" 2>/dev/null
	check "$1: SIGTERM ends the follower with 0" ends_with 0 "$follower_pid"
}

by_hand() {
	fill_log 'no follower'
	check 'no follower: says what to type' grep -q 'sluice-engine --follow --name' "$place/engine"
	check 'no follower: the producer waits' kill -0 "$producer_pid"
	check 'no follower: the counter says so' figure '"log_full":1,'
	follow_by_hand $often
	drained 'follower by hand'
	check 'with its lock held: the clean end says why it took no snapshot' \
		grep -q snapshot=skipped "$place/engine"
	# its first snapshot is of the end, and nothing can be written that a second one could be of
	fill_log 'no follower again'
	pause_ms 300
	follow_by_hand --snapshot-every 1G --snapshot-rate 0
	drained 'a first snapshot of the very end'
}

# Everything dies, and the rings with it.
power_off() {
	kill -9 "$engine_pid" "$producer_pid" "$consumer_pid" 2>/dev/null
	for pid in "$engine_pid" "$producer_pid" "$consumer_pid"; do
		wait "$pid" 2>/dev/null
	done
	rm -f "${SLUICE_SHM_DIR:-/dev/shm}/sluice.$name."*
}

# The fields that tell what happened, without those that count.
happened() { sed -e 's/"n":[0-9]*,//' -e 's/"cmd_seq":[0-9]*,\{0,1\}//' "$@"; }

reboots() {
	fresh
	rm -f "$place/once"
	start_engine --once --follower off --wal-size 64M
	start_consumer "$place/once"
	start_producer --generate --seed 5 --count 30000
	check 'reboot: the run without' ends_with 0 "$engine_pid"
	settle
	fresh
	rm -f "$place/booted"
	boots=0 next=0
	while [ "$boots" -lt 4 ]; do
		start_engine $often --reports keep
		start_consumer "$place/booted" --sync
		start_producer --generate --seed 5 --count 30000 --resume-from "$next" --rate 15k
		lines "$place/booted" $((boots * 5000 + 3000)) || fail 'reboot: lines'
		# what it does not take must be kept
		[ $((boots % 2)) -eq 1 ] || kill -STOP "$consumer_pid"
		random_below 200
		pause_ms $((100 + random))
		power_off
		boots=$((boots + 1))
		forget
		# it finds rings that end before its file does, until everything is published again;
		# and they are too short for that without it
		start_consumer "$place/booted" --sync
		start_engine $often --reports keep --ring-size 2048
		check "reboot $boots: starts" ready
		next=$(($(recovery recovered_commands) + $(recovery snapshot_commands)))
		republished=$(recovery republished)
		echo "reboot $boots: commands=$next republished=$republished snapshot=$(recovery snapshot)"
		if [ $((boots % 2)) -eq 0 ]; then
			kill_engine # while it publishes again, or soon after
		else
			check "reboot $boots: SIGTERM" stop_engine
		fi
		check "reboot $boots: the consumer waits for what it has" kill -0 "$consumer_pid"
		kill -9 "$consumer_pid" 2>/dev/null
		wait "$consumer_pid" 2>/dev/null
	done
	start_engine --once $often --reports keep
	start_consumer "$place/booted" --sync
	start_producer --generate --seed 5 --count 30000 --resume-from "$next"
	check 'reboot: the end' ends_with 0 "$engine_pid"
	check 'reboot: the consumer has lost nothing, and nothing twice' ends_with 0 "$consumer_pid"
	settle
	check 'reboot: every report once, as without' cmp "$place/once" "$place/booted"
}

run_commands() { # COUNT TOTAL
	timeout 20 "$bin/sluice-producer" --name "$name" --generate --seed "$2" --count "$1" --session 0 \
		--params aggressors=0 >>"$place/producer" 2>&1
	executed "$2" || fail "commands of the producer"
}

# What --sync promises cannot be had of a pipe; and the disk is asked before reports are given up.
synced() {
	fresh
	start_engine --follower off
	ready
	"$bin/sluice-consumer" --name "$name" --sync >"$place/out" 2>&1
	check 'sync: needs a file' [ $? -eq 2 ]
	echo '{"n":100000,"type":"accepted"}' >"$place/foreign"
	timeout 20 "$bin/sluice-consumer" --name "$name" --output "$place/foreign" >"$place/out" 2>&1
	check "a file of another instance: refused at once with 2" [ $? -eq 2 ]
	check "a file of another instance: says why" grep -q "another instance's file" "$place/out"
	if ! command -v strace >/dev/null; then
		echo 'skip: sync: no strace here'
		return
	fi
	run_commands 200 200
	strace -f -e trace=write,fdatasync -o "$place/calls" "$bin/sluice-consumer" \
		--name "$name" --json --output "$place/synced" --sync --until-idle 300ms \
		2>>"$place/consumer"
	if ! grep -q 'write(' "$place/calls"; then
		echo 'skip: sync: strace may not trace here'
	else
		check 'sync: every write of the file is followed by a sync' awk '
			/write\(/ && /"n/ { writes++; open = 1 }
			/fdatasync\(/ { open = 0; syncs++ }
			END { exit !(writes && syncs >= writes && !open) }' "$place/calls"
	fi
	stop_engine || fail 'sync: the engine ends'
}

# A producer that does not know what arrived sends everything again, under the same session.
sent_again() {
	fresh
	rm -f "$place/again"
	start_engine $often
	start_consumer "$place/again"
	start_producer --generate --seed 5 --count 30000 --rate 20k
	lines "$place/again" 5000 || fail 'sent again: lines'
	power_off
	forget
	start_engine --once $often
	ready
	accepted=$(($(recovery recovered_commands) + $(recovery snapshot_commands)))
	start_consumer "$place/again"
	start_producer --generate --seed 5 --count 30000
	check 'sent again: the engine ends with 0' ends_with 0 "$engine_pid"
	check 'sent again: the consumer ends with 0' ends_with 0 "$consumer_pid"
	settle
	check 'sent again: each one that had arrived is answered as a duplicate' \
		[ "$(grep -c duplicate_command "$place/again")" -eq "$accepted" ]
	happened "$place/once" >"$place/once.happened"
	grep -v duplicate_command "$place/again" >"$place/again.new"
	happened "$place/again.new" >"$place/again.happened"
	check 'sent again: nothing is executed twice, nothing is missing' \
		cmp "$place/once.happened" "$place/again.happened"
}

refused() { # LABEL PATTERN
	check "$1: refused with 5" ends_with 5 "$engine_pid" 15
	check "$1: says why" grep -q -e "$2" "$place/engine"
}

# Rings and log are of one engine, but not of one time.
backups() {
	shm=${SLUICE_SHM_DIR:-/dev/shm}
	fresh
	start_engine --reports drop --hugepages off
	ready
	run_commands 3000 3000
	check 'backup: SIGTERM' stop_engine
	check 'backup: a snapshot of the clean end' grep -q snapshot=written "$place/engine"
	mkdir "$place/shm.old"
	cp -p --sparse=always "$shm/sluice.$name."* "$place/shm.old"
	cp -r "$place/log" "$place/log.old"
	start_engine --reports drop --hugepages off
	ready 2
	run_commands 3000 6000
	check 'backup: SIGTERM again' stop_engine
	mv "$place/log" "$place/log.new"
	mv "$place/log.old" "$place/log"
	before=$(sums "$place/log")
	forget
	start_engine --reports drop --hugepages off
	refused "yesterday's log, today's rings" "$name.cmd (the engine's position)"
	check "yesterday's log, today's rings: nothing is written" \
		[ "$before" = "$(sums "$place/log")" ]
	mv "$place/log" "$place/log.old"
	mv "$place/log.new" "$place/log"
	mkdir "$place/shm.new"
	mv "$shm/sluice.$name."* "$place/shm.new"
	cp -p --sparse=always "$place/shm.old/"* "$shm"
	before=$(sums "$place/log")
	forget
	start_engine --reports drop --hugepages off
	refused "today's log, yesterday's rings" 'the rings are older than the log'
	check "today's log, yesterday's rings: nothing is written" \
		[ "$before" = "$(sums "$place/log")" ]
	rm -f "$shm/sluice.$name."*
	mv "$place/shm.new/"* "$shm"
	forget
	start_engine --reports drop --hugepages off
	check "today's log, today's rings: starts" ready
	check "today's log, today's rings: ends" stop_engine
	rm -rf "$place/log" "$place/log.old" "$place/shm.old" "$place/shm.new"
	forget
	start_engine --reports drop --hugepages off
	refused 'rings of another engine' 'consumed by an engine with another log'
}

no_log() {
	fresh
	start_bare --durability off --once
	summed "$place/off.sum"
	start_producer --generate --seed 5 --count "$COMMANDS"
	check 'off: ends with 0' ends_with 0 "$engine_pid" 60
	settle
	check 'off: has no follower' [ "$(grep -c follower= "$place/engine")" -eq 0 ]
	check 'off: the reports of the calm run' cmp "$place/calm.sum" "$place/off.sum"
}

calm
goes_round batch
clean_start
rotten
goes_round async --durability async
by_hand
reboots
sent_again
synced
backups
no_log
ended
