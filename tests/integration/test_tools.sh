#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Drives every command of `sluice` but the demo: against a live instance, against what it leaves, and
# against damaged files. All rings are in a private directory, so that nothing else is seen.

suite=test_tools
. tests/lib/program.sh
SEED=${SEED:-1}

# Runs `sluice ARGUMENTS`, output in $work/out and $work/err, status in $status.
run() {
	"$BIN/sluice" "$@" > "$work/out" 2> "$work/err"
	status=$?
}

# The last run ended with STATUS and every PATTERN is in what it said.
expect() { # NAME STATUS PATTERN...
	name=$1
	if [ "$status" -ne "$2" ]; then
		fail "$name" "exit $status, not $2"
		return 1
	fi
	shift 2
	for pattern; do
		if ! cat "$work/out" "$work/err" | grep -q -e "$pattern"; then
			fail "$name" "there is no '$pattern'"
			return 1
		fi
	done
	pass "$name"
}

start_engine() {
	"$BIN/sluice-engine" --name x --wal "$work/wal" --format --wal-size 64M --reports drop \
		--hugepages off --cpu none 2>> "$work/engine.err" &
	child=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ -e "$SLUICE_SHM_DIR/sluice.x.cmd" ] && "$BIN/sluice" stat -n x --once \
			> /dev/null 2>&1 && return
		sleep 0.3
	done
	cat "$work/engine.err" >&2
	echo 'fail: test_tools__engine_starts'
	exit 1
}

stop_engine() { # SIGNAL
	kill "-$1" "$child"
	wait "$child" 2> /dev/null
	child=
}

feed() { # COUNT ARGUMENTS...
	count=$1
	shift
	"$BIN/sluice-producer" --name x --generate --seed "$SEED" --count "$count" --batch 16 "$@" \
		2>> "$work/producer.err"
}

# The number behind "KEY": in the output.
number() {
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$work/out" | tail -1
}

wait_durable() { # COMMANDS
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		run stat -n x --once --json
		[ "$(number durable_seq)" = "$1" ] && return
		sleep 0.1
	done
}

# ----------------------------------------------------------------------------------- no instance

test_dispatch() {
	run tsat
	expect unknown_command 2 'did you mean "stat"?' 'try: sluice --help'
	run wal vrify DIR
	expect unknown_in_group 2 'did you mean "verify"?'
	run wal
	expect group_without_command 2 'a command is missing'
	run
	expect no_command 2 '^commands' '^programs' '^topics'
	run --help
	expect help 0 '^  demo ' '^  producer ' '^  durability '
	run --help --json
	expect help_json 0 '^{'
	run --help-man
	expect man 0 'wal: look at'
	run producer --help
	expect runs_programs 0 'sluice-producer'
	run bnch
	expect unknown_program 2 'did you mean "bench"?'
	run version --json
	expect version 0 '"schema":"sluice.version/1"'
	run stat --nme x
	expect unknown_option 2 'name'
}

test_help() {
	for topic in hugepages durability wait-strategies formats exit-codes; do
		run help $topic
		expect "help_$topic" 0 '[a-z]'
	done
	run help durabilty
	expect help_unknown 2 'there is no command or topic'
	run help wal dump
	expect help_of_command 0 'until-end'
	missing=
	for command in demo ls stat book gc 'wal dump' 'wal verify' 'wal stat' 'wal inspect' \
		'wal truncate-tail' 'inspect header' 'inspect slot' help completion version; do
		# shellcheck disable=SC2086
		run $command --help && [ "$status" -eq 0 ] || missing="$missing $command:help"
		grep -q 'sluice' "$work/out" || missing="$missing $command:empty"
		# shellcheck disable=SC2086
		run $command --help-complete
		for option in $(sed -n 's/^\(--[a-z-]*\).*/\1/p' "$work/out"); do
			# shellcheck disable=SC2086
			"$BIN/sluice" $command --help-man | sed 's/\\-/-/g' | grep -q -e "$option" ||
				missing="$missing $command:man:$option"
			# shellcheck disable=SC2086
			"$BIN/sluice" $command --help | grep -q -e "$option" ||
				missing="$missing $command:help:$option"
		done
	done
	if [ -z "$missing" ]; then
		pass help_man_and_completion_agree
	else
		fail help_man_and_completion_agree "missing:$missing"
	fi
}

test_completion() {
	run completion fish
	expect completion_unknown_shell 2 'bash or zsh'
	if ! command -v bash > /dev/null; then
		skip completion 'there is no bash here'
		return
	fi
	cat > "$work/complete.bash" <<-'END'
		PATH="$1:$PATH"
		source <(sluice completion bash)
		try() {
			COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_sluice; echo "${COMPREPLY[*]}"
		}
		try sluice sta
		try sluice wal ver
		try sluice stat --inter
		try sluice demo --scenario c
		try sluice-engine --durabil
	END
	bash "$work/complete.bash" "$BIN" > "$work/out" 2> "$work/err"
	printf 'stat\nverify\n--interval\ncalm crash\n--durability\n' > "$work/expected"
	if cmp -s "$work/out" "$work/expected"; then
		pass completion
	else
		fail completion 'other words than expected'
	fi
}

test_nothing_there() {
	run ls
	expect ls_empty 0 'no rings'
	run stat
	expect stat_no_instance 4 'no instance' 'try:'
	run stat -n nobody
	expect stat_not_found 4 'nobody'
	run book AAPL
	expect book_no_instance 4 'no instance'
	run inspect header nobody.cmd
	expect inspect_not_found 4 'nobody.cmd'
	run wal verify "$work/none"
	expect wal_not_found 4 'none'
	run gc
	expect gc_empty 0 '0 examined'
}

# --------------------------------------------------------------------------------- live instance

test_ls() {
	run ls
	expect ls_live 0 '^x.cmd  *commands  *ready .* alive ' '^x.rep  *reports' '^x.md  *market_data'
	run ls --json
	if [ "$(grep -c '"schema":"sluice.ls/1".*"state":"ready".*"page_bytes":4096' "$work/out")" = 3 ]
	then
		pass ls_json
	else
		fail ls_json 'not three rings of 4 KiB pages'
	fi
}

test_stat() {
	run stat -n x --json -c 2 -i 100ms
	if [ "$status" -eq 0 ] && [ "$(grep -c '"schema":"sluice.stat/1"' "$work/out")" = 2 ] &&
		[ "$(number commands_count)" = 20000 ] && grep -q '"durability":"batch"' "$work/out" &&
		grep -q '"durable_seq":20000' "$work/out" &&
		grep -q '"name":"engine","role":"consumer","policy":"critical".*"alive":true' "$work/out"
	then
		pass stat_json
	else
		fail stat_json 'counts or participants are wrong'
	fi
	run stat --once
	expect stat_block 0 'durability batch, durable below 20000' 'publish_to_report_ns .* p99' \
		'commands 20,000' 'useful polls'
	run stat -i 50ms -c 2
	expect stat_lines 0 '^x .* 0%'
}

test_stat_rates() {
	feed 25000 --session 2 --rate 5000 &
	run stat -n x --json -c 3 -i 500ms
	wait $!
	rate=$(number commands_per_s)
	if [ "${rate:-0}" -gt 3000 ] && [ "$rate" -lt 7000 ]; then
		pass stat_rate_of_load
	else
		fail stat_rate_of_load "5000/s offered, ${rate:-nothing} shown"
	fi
}

test_book() {
	run book SYM1 -n x --json --depth 1000
	sed 's/.*"bids"/"bids"/' "$work/out" > "$work/market"
	expect book_of_market_data 0 '"complete":true' '"source":"market_data"' 'price_ticks'
	run book SYM1 --wal "$work/wal" --json --depth 1000
	sed 's/.*"bids"/"bids"/' "$work/out" > "$work/log"
	if [ -s "$work/log" ] && cmp -s "$work/log" "$work/market"; then
		pass book_of_log_is_the_same
	else
		fail book_of_log_is_the_same 'market data and log give other levels'
	fi
	run book SYM1 --depth 1
	expect book_text 0 'market data: complete' 'ask ' 'bid '
	run book NOPE
	expect book_unknown_symbol 4 'no symbol "NOPE"'
}

# The ring has gone round: what is shown is right, and it is said that it is not all.
test_book_overwritten() {
	run book SYM1 -n x
	expect book_incomplete 0 'NOT complete' 'are missing' 'book SYM1 --wal'
	"$BIN/sluice" book SYM1 --depth 1000 | grep -e '^  ask ' -e '^  bid ' | sort > "$work/market"
	"$BIN/sluice" book SYM1 --depth 1000 --wal "$work/wal" | grep -e '^  ask ' -e '^  bid ' |
		sort > "$work/log"
	if [ -s "$work/market" ] && [ -z "$(comm -23 "$work/market" "$work/log")" ]; then
		pass book_shows_only_true_levels
	else
		fail book_shows_only_true_levels 'a level is not that of the log'
	fi
}

test_inspect() {
	run inspect header x
	expect inspect_header 0 'attach  *yes' 'magic .* right' 'header_crc .* right' 'claim'
	run inspect slot 4 -n x.cmd --hex
	expect inspect_slot_command 0 'sequence 4' 'published' 'cmd=place' '^  0070'
	run inspect slot 4 -n x.rep --json
	expect inspect_slot_report 0 '"state":"published"' '"n":5'
	run inspect slot 99999999 -n x.cmd
	expect inspect_slot_future 1 'never written\|not written yet'
	run inspect slot 99999999 -n x.rep
	expect inspect_slot_unclaimed 1 'not claimed yet\|being written now'
	run inspect slot four -n x.cmd
	expect inspect_slot_usage 2 'no sequence'
	run inspect header 'x;rm'
	expect inspect_bad_name 2 'may hold'
}

test_wal_live() {
	run wal verify "$work/wal"
	expect wal_verify_live 0 'commands  *45,000' 'agrees with every block'
	run wal dump "$work/wal" --json
	if [ "$(grep -c '"schema":"sluice.wal.dump/1"' "$work/out")" = 45000 ]; then
		pass wal_dump_all
	else
		fail wal_dump_all 'not 45000 lines'
	fi
	run wal dump "$work/wal" --from 100 --to 109
	if [ "$(wc -l < "$work/out")" = 10 ] && grep -q '^ *100 ' "$work/out" &&
		grep -q '^ *109 ' "$work/out"; then
		pass wal_dump_range
	else
		fail wal_dump_range 'not the ten commands 100 to 109'
	fi
	run wal dump "$work/wal" --type add_symbol --max 3 --hex
	if [ "$(grep -c 'cmd=add_symbol symbol=SYM' "$work/out")" = 3 ] && grep -q '^  0000 ' "$work/out"
	then
		pass wal_dump_type
	else
		fail wal_dump_type 'not three add_symbol with their bytes'
	fi
	run wal dump "$work/wal" --type plce
	expect wal_dump_bad_type 2 'did you mean "place"?'
	run wal stat "$work/wal" --json
	expect wal_stat 0 '"commands_count":45000' '"epochs_count":1' '"closed":false'
}

test_follow() {
	"$BIN/sluice" wal dump "$work/wal" --follow --from 45000 > "$work/followed" &
	follower=$!
	feed 2000 --session 3 --rate 4000
	wait_durable 47000
	sleep 0.3
	kill -TERM $follower
	wait $follower
	status=$?
	lines=$(wc -l < "$work/followed")
	last=$(awk 'END { print $1 }' "$work/followed")
	if [ "$lines" = 2000 ] && [ "$last" = 46999 ] && [ $status -eq 143 ]; then
		pass wal_dump_follow
	else
		fail wal_dump_follow "$lines lines, last $last, exit $status"
	fi
	feed 20000 --session 4 --rate 4000 &
	feeder=$!
	run wal dump "$work/wal" --until-end
	lines=$(wc -l < "$work/out")
	if [ "$status" -eq 0 ] && [ "$lines" -ge 47000 ] && [ "$lines" -lt 67000 ]; then
		pass wal_dump_until_end
	else
		fail wal_dump_until_end "$lines lines, exit $status"
	fi
	wait $feeder
}

# Observers open read-only, take no lock, write no byte.
test_harmless() {
	followers=$(cat "/proc/$child/task/$child/children" 2> /dev/null)
	# shellcheck disable=SC2086 # a list of numbers
	kill -STOP "$child" $followers
	before=$(cat "$SLUICE_SHM_DIR"/sluice.x.* | cksum)
	for command in 'ls' 'stat -n x --json -c 3 -i 20ms' 'book SYM1' 'inspect header x' \
		'inspect slot 7 -n x.cmd' 'gc'; do
		# shellcheck disable=SC2086
		run $command
	done
	after=$(cat "$SLUICE_SHM_DIR"/sluice.x.* | cksum)
	if [ "$before" = "$after" ]; then
		pass observers_write_no_byte
	else
		fail observers_write_no_byte 'a ring has changed'
	fi
	if ! command -v strace > /dev/null; then
		skip observers_take_no_lock 'there is no strace here'
	else
		strace -f -o "$work/trace" -e trace=openat,open,fcntl,flock,mmap \
			"$BIN/sluice" stat -n x --json -c 3 -i 20ms > "$work/out" 2> "$work/err"
		if ! grep -q "sluice.x.cmd\", O_RDONLY" "$work/trace"; then
			fail observers_take_no_lock 'the trace does not show the ring being opened'
		elif grep -e 'O_WRONLY' -e 'O_RDWR' -e 'O_CREAT' "$work/trace" | grep -q sluice; then
			fail observers_take_no_lock 'a ring was opened for writing'
		elif grep -q -e 'F_OFD_SETLK' -e 'F_SETLK' -e 'flock(' "$work/trace"; then
			fail observers_take_no_lock 'a lock was taken'
		elif grep -q -e 'PROT_WRITE.*MAP_SHARED' "$work/trace"; then
			fail observers_take_no_lock 'a writable shared mapping was made'
		else
			pass observers_take_no_lock
		fi
	fi
	# shellcheck disable=SC2086 # a list of numbers
	kill -CONT "$child" $followers
}

test_gc_live() {
	run gc --yes
	if [ "$status" -eq 0 ] && [ -e "$SLUICE_SHM_DIR/sluice.x.cmd" ] && grep -q '3 live' "$work/out"
	then
		pass gc_spares_the_living
	else
		fail gc_spares_the_living 'a live ring was removed, or not seen'
	fi
}

# --------------------------------------------------------------------------- after a kill, damage

test_vanished() {
	"$BIN/sluice" stat -n x -i 50ms > "$work/out" 2> "$work/err" &
	watcher=$!
	sleep 0.4
	stop_engine KILL
	run_gc=$("$BIN/sluice" gc --name x. --yes)
	sleep 0.4
	kill -TERM $watcher
	wait $watcher
	status=$?
	expect stat_vanished 143 'removed or replaced' 'waiting until it is back'
	case $run_gc in
	*'3 stale'*) pass gc_removes_the_dead ;;
	*) fail gc_removes_the_dead "$run_gc" ;;
	esac
}

# Overwrites one byte of a file with another value.
flip() { # FILE OFFSET
	byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}

# The log of a killed engine; $used bytes of it are in use, in segments of 4 MiB.
test_wal_damage() {
	run wal stat "$work/wal" --json
	used=$(number used_bytes)
	last_file=$(printf 'wal-%02d' $(((used - 1) / 4194304)))
	last_offset=$(((used - 4096) % 4194304))

	cp -r "$work/wal" "$work/torn"
	flip "$work/torn/$last_file" "$last_offset"
	run wal verify "$work/torn"
	expect wal_torn 0 ': TORN' "$last_file offset $last_offset" 'never acknowledged' 'agrees'
	run wal dump "$work/torn" --max 0
	expect wal_dump_torn 0 "TORN: $last_file offset $last_offset"
	cp -r "$work/wal" "$work/damaged"
	flip "$work/damaged/wal-00" 4112 # block 1 follows the one that opens the log
	run wal verify "$work/damaged"
	expect wal_damaged 5 ': DAMAGED' 'wal-00 offset 4096, block 1' 'commands  *0'
	run wal verify "$work/damaged" --json --no-replay
	expect wal_damaged_json 5 '"verdict":"DAMAGED","file":"wal-00","offset_bytes":4096'
	run wal dump "$work/damaged"
	expect wal_dump_damaged 5 'DAMAGED: wal-00 offset 4096:'
	rm -f "$work/damaged/super"
	run wal verify "$work/damaged"
	if [ "$status" -eq 4 ] || [ "$status" -eq 5 ]; then
		pass wal_without_superblock
	else
		fail wal_without_superblock "exit $status"
	fi
}

# What a dump prints can be fed again and gives the same state.
test_round_trip() {
	run wal verify "$work/wal" --json
	hash=$(sed -n 's/.*"state_hash":"\([0-9a-f]*\)".*/\1/p' "$work/out")
	"$BIN/sluice" wal dump "$work/wal" --json 2> "$work/err" |
		sed 's/.*"command":\({.*}\)}$/\1/' > "$work/again.jsonl"
	TMPDIR="$work" run demo --from "$work/again.jsonl" --json
	if [ "$status" -eq 0 ] && [ -n "$hash" ] && grep -q "\"state_hash\":\"$hash\"" "$work/out"; then
		pass wal_dump_round_trip
	else
		fail wal_dump_round_trip "the state is not $hash"
	fi
}

test_broken_rings() {
	start_engine
	wait_durable 67000
	cp "$SLUICE_SHM_DIR/sluice.x.cmd" "$work/copy.cmd"
	cp "$work/copy.cmd" "$SLUICE_SHM_DIR/sluice.crc.cmd"
	flip "$SLUICE_SHM_DIR/sluice.crc.cmd" 72
	head -c 100000 "$work/copy.cmd" > "$SLUICE_SHM_DIR/sluice.short.cmd"
	head -c 100 "$work/copy.cmd" > "$SLUICE_SHM_DIR/sluice.stub.cmd"
	: > "$SLUICE_SHM_DIR/sluice.cut.cmd.tmp.1.0000000000000000"
	: > "$SLUICE_SHM_DIR/sluice.alone.cmd.lk"
	run ls
	expect ls_broken 0 '^x.cmd .* ready' '^crc.cmd .* BROKEN' '^short.cmd .* BROKEN' \
		'^stub.cmd .* BROKEN' '^cut.cmd .* leftover' '^alone.cmd .* leftover' '^x.rep .* ready'
	run ls --json
	expect ls_broken_json 0 '"name":"crc.cmd".*"state":"broken","trouble":"'
	run inspect header crc.cmd
	expect inspect_header_damaged 5 'header_crc .* WRONG' 'slot_count'
	run inspect header stub.cmd
	expect inspect_header_stub 5 'only 100 of 328 bytes'
	run inspect header "$SLUICE_SHM_DIR/sluice.short.cmd"
	expect inspect_header_short 5 'header_crc .* right'
	run inspect slot 1 -n crc.cmd
	expect inspect_slot_damaged_geometry 5 'crc\|CRC\|checksum'
	cp "$work/copy.cmd" "$SLUICE_SHM_DIR/sluice.flag.cmd"
	flip "$SLUICE_SHM_DIR/sluice.flag.cmd" 230
	run inspect slot 66999 -n flag.cmd
	expect inspect_slot_of_refused_ring 1 'not attachable'
	run gc
	expect gc_dry_run 0 'cut.cmd' 'alone.cmd' 'nothing was removed'
	if [ -e "$SLUICE_SHM_DIR/sluice.alone.cmd.lk" ]; then
		pass gc_dry_run_removes_nothing
	else
		fail gc_dry_run_removes_nothing 'the lock file is gone'
	fi
	run gc --yes
	if [ ! -e "$SLUICE_SHM_DIR/sluice.alone.cmd.lk" ] && [ -e "$SLUICE_SHM_DIR/sluice.x.cmd" ]; then
		pass gc_removes_leftovers
	else
		fail gc_removes_leftovers 'a leftover is still there or a live ring is gone'
	fi
	stop_engine TERM
}

test_dispatch
test_help
test_completion
test_nothing_there
start_engine
feed 20000
wait_durable 20000
test_ls
test_stat
test_book
test_stat_rates
wait_durable 45000
test_inspect
test_wal_live
test_follow
wait_durable 67000
test_book_overwritten
test_harmless
test_gc_live
test_vanished
test_wal_damage
test_round_trip
test_broken_rings
exit $((failures != 0))
