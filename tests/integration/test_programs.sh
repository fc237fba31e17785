#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sluice-producer, sluice-engine and sluice-consumer through their command lines: any order of
# start, errors with their exit codes, kill -9 of each of the three, and nothing left behind.
# Environment: SLUICE_BIN, the directory of the programs.

LC_ALL=C
export LC_ALL
: "${SLUICE_BIN:=build/release/bin}"
bin=$(cd "$SLUICE_BIN" 2>/dev/null && pwd) || bin=
for program in engine producer consumer; do
	if [ ! -x "$bin/sluice-$program" ]; then
		echo "skip: programs: sluice-$program was not built"
		exit 77
	fi
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-programs.XXXXXX") || exit 1
mkdir "$dir/shm"
SLUICE_SHM_DIR=$dir/shm
SLUICE_HUGETLB_DIR=$dir/shm
SLUICE_HUGEPAGES=off
SLUICE_WAIT_TIMEOUT=20s
export SLUICE_SHM_DIR SLUICE_HUGETLB_DIR SLUICE_HUGEPAGES SLUICE_WAIT_TIMEOUT
pids=
failed=0

clean() {
	for pid in $pids; do
		kill -s KILL "$pid" 2>/dev/null
	done
	rm -rf "$dir"
}
trap clean EXIT
trap 'exit 1' INT TERM
cd "$dir" || exit 1

engine() { # engine ARGS...: started in the background, pid in $engine
	"$bin/sluice-engine" --name x --wal wal --format --wal-size 64M --cpu none "$@" \
		>engine.out 2>>engine.err &
	engine=$!
	pids="$pids $engine"
}

consumer() {
	"$bin/sluice-consumer" --name x --cpu none "$@" >consumer.out 2>consumer.err &
	consumer=$!
	pids="$pids $consumer"
}

producer() {
	"$bin/sluice-producer" --name x --cpu none "$@" >producer.out 2>producer.err
}

producer_in_background() {
	"$bin/sluice-producer" --name x --cpu none "$@" >producer.out 2>producer.err &
	producer=$!
	pids="$pids $producer"
}

check() { # check NAME CONDITION...: the condition is a command
	name=$1
	shift
	if "$@"; then
		echo "pass: $name"
	else
		echo "fail: $name: $*"
		cat engine.err producer.err consumer.err 2>/dev/null
		failed=1
	fi
}

is() {
	[ "$1" = "$2" ]
}

says() { # says FILE TEXT
	grep -qF -- "$2" "$1"
}

fresh() {
	rm -rf wal ./*.jsonl ./*.err ./*.out "$SLUICE_SHM_DIR"/*
}

# The numbers of a file of reports are 1, 2, 3, ...
dense() {
	sed -n 's/^{"n":\([0-9]*\),.*}$/\1/p' "$1" | awk '$1 != NR { exit 1 } END { exit !NR }' &&
		[ "$(wc -l <"$1")" = "$(grep -c '^{"n":[0-9]*,.*}$' "$1")" ]
}

wait_lines() { # wait_lines FILE N: until the file has that many
	i=0
	while [ "$(cat "$1" 2>/dev/null | wc -l)" -lt "$2" ]; do
		i=$((i + 1))
		[ $i -gt 400 ] && return 1
		sleep 0.05
	done
}

wait_text() { # wait_text FILE TEXT
	i=0
	until says "$1" "$2"; do
		i=$((i + 1))
		[ $i -gt 400 ] && return 1
		sleep 0.05
	done
}

# Reports of commands that were executed: not of repetitions and tombstones.
executed() {
	grep -v '"reason":"duplicate_command"\|"type":"void"' "$1"
}

reference() { # what a run without any trouble gives, in reference.jsonl
	fresh
	engine --once
	consumer --output r.jsonl
	producer "$@"
	wait "$engine" "$consumer"
	mv r.jsonl "$dir/reference.keep"
}

# ------------------------------------------------------------------------ any order, one pass
for order in 'engine consumer producer' 'producer consumer engine' 'consumer engine producer'; do
	fresh
	for program in $order; do
		case $program in
		engine) engine --once ;;
		consumer) consumer --output r.jsonl ;;
		producer) producer_in_background --generate --count 3000 --session 5 ;;
		esac
		sleep 0.2
	done
	wait "$producer"; producer_rc=$?
	wait "$engine"; engine_rc=$?
	wait "$consumer"; consumer_rc=$?
	check "order: $order" is "$producer_rc $engine_rc $consumer_rc" '0 0 0'
	check "order: $order: dense" dense r.jsonl
	check "order: $order: summary" says producer.err 'done commands=3000'
	check "order: $order: nothing lost" says consumer.err 'lost=0 duplicated=0'
	check "order: $order: nothing left" is "$(ls "$SLUICE_SHM_DIR")" ''
done

# ---------------------------------------------------------------- errors, on a running engine
fresh
engine
printf 'cmd,symbol,order_id,side,price,qty\nadd_symbol,A,,,,\nplace,A,1,buy,10,5\nplace,B,2,buy,10,5\nplace,A,3,buy,10,5\n' >unknown.csv
producer --from unknown.csv
check 'an unknown symbol ends the producer' is $? 1
check 'it names the line' says producer.err 'line 4'
check 'what came before was sent' says producer.err 'done commands=2'
printf 'cmd,symbol,order_id,side,price,qty\nplace,A,4,sell,10,2\nplace,A,5,sell,1x,2\n' |
	producer --from - --json
check 'a wrong line ends the producer' is $? 1
check 'the summary is JSON' says producer.out '"commands":1,'
check 'the error is JSON' says producer.err '"code":1,'
consumer --count 4 --output r.jsonl
wait "$consumer"
check 'a consumer that has enough ends' is $? 0
check 'nothing after the wrong line' is "$(grep -c '"order_id":3' r.jsonl)" 0
check 'the trade is there' says r.jsonl '"type":"trade"'
"$bin/sluice-consumer" --name x --policy tap --from -1 --until-idle 100ms --cpu none >tap.out 2>tap.err
check 'a tap sees the last one again' is "$(cat tap.out)" "$(tail -n 1 r.jsonl)"
"$bin/sluice-consumer" --name x --ring md --until-idle 100ms --cpu none >tap.out 2>tap.err
check 'market data are dense' dense tap.out
"$bin/sluice-consumer" --name x --ring cmd --until-idle 100ms --cpu none >tap.out 2>tap.err
check 'commands can be seen' says tap.out '"cmd":"add_symbol","symbol":"A"'
consumer
sleep 0.3
"$bin/sluice-consumer" --name x --cpu none >second.out 2>second.err
check 'a second critical consumer of the name is refused' is $? 3
check 'it says who is there' says second.err "pid $consumer"
kill "$consumer"
wait "$consumer"
check 'a consumer ends by SIGTERM' is $? 143
producer_in_background --generate --rate 1000
sleep 0.5
"$bin/sluice-producer" --name x --generate --count 2000 --cpu none 2>second.err
check 'a second producer runs beside it' is $? 0
check 'all of its commands were sent' says second.err 'done commands=2000'
kill -s INT "$producer"
wait "$producer"
check 'a producer ends by SIGINT' is $? 130
check 'with a summary' says producer.err 'done commands='
kill "$engine"
wait "$engine"
check 'an engine ends by SIGTERM' is $? 0

# -------------------------------------------------------------------------- nobody is there
fresh
producer --generate --count 1 --wait-timeout 1200ms
check 'a producer gives up' is $? 6
check 'it said what it waited for' says producer.err 'waiting="ring x.cmd'
"$bin/sluice-consumer" --name x --wait-timeout 100ms 2>consumer.err
check 'a consumer gives up' is $? 6
producer --generate --from x.csv
check 'contradictory options are refused' is $? 2
"$bin/sluice-consumer" --name x --from sometime 2>consumer.err
check 'a wrong --from is refused at once' is $? 2

# ------------------------------------------------------------------ back-pressure says for whom
fresh
engine --ring-size 2048
producer_in_background --generate --count 30000 --session 1
wait_text producer.err 'is full" gate='
check 'a blocked producer says for whom' says producer.err 'is full" gate='
consumer --output r.jsonl
wait "$producer"
check 'and goes on when it is read' is $? 0
kill "$engine"
wait "$engine"
kill "$consumer"
wait "$consumer"
check 'reports are dense after back-pressure' dense r.jsonl

# ------------------------------------------------------------------------- kill -9 of each
reference --generate --count 20000 --seed 3 --session 5

fresh
engine --once
producer_in_background --generate --count 20000 --seed 3 --session 5 --rate 20k
consumer --output r.jsonl
for lines in 1000 3000 7000 12000; do
	wait_lines r.jsonl $lines
	kill -s KILL "$consumer"
	wait "$consumer" 2>/dev/null
	consumer --output r.jsonl
done
wait "$consumer"
check 'a killed consumer goes on in its file' is $? 0
check 'each report once' cmp -s r.jsonl reference.keep
wait "$engine"

fresh
engine --once
consumer --output r.jsonl
producer_in_background --generate --count 20000 --seed 3 --session 5 --rate 20k
for lines in 1000 5000 9000; do
	wait_lines r.jsonl $lines
	kill -s KILL "$engine"
	wait "$engine" 2>/dev/null
	engine --once
done
wait "$producer"
check 'a producer survives kill -9 of the engine' is $? 0
wait "$engine"
check 'the engine ends well after three kills' is $? 0
wait "$consumer"
check 'so does the consumer' is $? 0
check 'the same reports as without a kill' cmp -s r.jsonl reference.keep

fresh
engine
consumer --output r.jsonl
for rest in 1 2 3; do
	producer_in_background --generate --count 20000 --seed 3 --session 5 --rate 20k
	wait_lines r.jsonl $((rest * 2000))
	kill -s KILL "$producer"
	wait "$producer" 2>/dev/null
done
producer --generate --count 20000 --seed 3 --session 5
check 'a killed producer sends again' is $? 0
i=0
while [ "$(executed r.jsonl | wc -l)" -lt "$(wc -l <reference.keep)" ] && [ $i -lt 200 ]; do
	i=$((i + 1))
	sleep 0.05
done
kill "$engine"
wait "$engine"
kill "$consumer"
wait "$consumer"
check 'duplicates are answered' says r.jsonl '"reason":"duplicate_command"'
sed 's/^{"n":[0-9]*,"cmd_seq":[0-9]*,//' reference.keep >expected
executed r.jsonl | sed 's/^{"n":[0-9]*,"cmd_seq":[0-9]*,//' >got
check 'and nothing was executed twice' cmp got expected

# an incomplete last line is cut off, a foreign file is left alone
fresh
engine
producer --generate --count 50 --session 5
consumer --output r.jsonl --count 20
wait "$consumer"
printf '{"n":21,"cmd_s' >>r.jsonl
consumer --output r.jsonl --until-idle 300ms
wait "$consumer"
check 'an incomplete line is written anew' dense r.jsonl
echo 'my notes' >notes.txt
consumer --output notes.txt --until-idle 100ms
wait "$consumer"
check 'a foreign file is refused' is $? 2
check 'and untouched' is "$(cat notes.txt)" 'my notes'
kill "$engine"
wait "$engine"

exit $failed
