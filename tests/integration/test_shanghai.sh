#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A real trading day through the real processes: every fill of the engine must be the exchange's own,
# in order, byte for byte after the same formatting; once undisturbed, once with kill -9 of the
# engine in the middle.

. tests/integration/lib.sh

day=$data/shanghai_20230711
for file in "${day}_commands.csv.gz" "${day}_trades.csv.gz" "${day}_auction_trades.csv.gz"; do
	if [ ! -r "$file" ]; then
		echo "skip: shanghai day: no $(basename "$file") in $data (SLUICE_DATA says where)"
		exit 77
	fi
done

# Trades of a JSON lines file as CSV: symbol,maker,taker,price,qty. $1: auction or continuous
fills() {
	awk -v auction="$1" '
	function field(key,  rest) {
		if (!match($0, "\"" key "\":"))
			return ""
		rest = substr($0, RSTART + RLENGTH)
		sub(/[,}].*/, "", rest)
		gsub(/"/, "", rest)
		return rest
	}
	/"type":"trade"/ && (/"auction":true/ ? auction == "auction" : auction == "continuous") {
		print field("symbol") "," field("maker_order_id") "," field("taker_order_id") "," \
			field("price") "," field("qty")
	}' "$2"
}

# In the order of each symbol: that is what the exchange's files say.
by_symbol() { sort -s -t , -k 1,1; }

zcat "${day}_trades.csv.gz" | tail -n +2 | by_symbol >"$place/expected"
zcat "${day}_auction_trades.csv.gz" | tail -n +2 |
	awk -F, '{ print $1 "," $4 "," $3 "," $5 "," $6 }' | by_symbol >"$place/expected_auction"

# In the background only: the job's pid is the program's.
engine() {
	exec "$bin/sluice-engine" --name "$name" --wal "$place/wal" --format --wal-size 256M --once \
		>>"$place/engine" 2>&1
}

run() { # LABEL RATE KILLS
	rm -rf "$place/wal" "$place/reports"
	: >"$place/engine"
	engine &
	engine_pid=$!
	"$bin/sluice-consumer" --name "$name" --json --output "$place/reports" >"$place/consumer" 2>&1 &
	consumer_pid=$!
	"$bin/sluice-producer" --name "$name" --from "${day}_commands.csv.gz" --rate "$2" \
		>"$place/producer" 2>&1 &
	producer_pid=$!
	kills=0
	while [ "$kills" -lt "$3" ]; do
		random_below 500
		pause_ms $((600 + random))
		kill -9 "$engine_pid" 2>/dev/null
		wait "$engine_pid"
		# 137: killed. Else it had ended by itself, and there is nothing to go on with.
		[ $? -eq 137 ] || break
		kills=$((kills + 1))
		engine &
		engine_pid=$!
	done
	wait "$producer_pid" && wait "$consumer_pid" && wait "$engine_pid"
	check "$1: all programs end with 0" [ $? -eq 0 ]
	fills continuous "$place/reports" | by_symbol >"$place/got"
	fills auction "$place/reports" | by_symbol >"$place/got_auction"
	check "$1: $(wc -l <"$place/expected") continuous fills are the exchange's own" \
		cmp "$place/expected" "$place/got"
	check "$1: $(wc -l <"$place/expected_auction") auction fills are the exchange's own" \
		cmp "$place/expected_auction" "$place/got_auction"
	[ "$failures" -eq 0 ] || show "$place/engine" "$place/producer" "$place/consumer"
}

run undisturbed max 0
cp "$place/reports" "$place/undisturbed"
run 'killed engine' 40k 2
check "the engine was killed in the middle ($kills times)" [ "$kills" -ge 1 ]
check 'killed engine: the same report file' cmp "$place/undisturbed" "$place/reports"
# An engine that was killed while it made a ring has left an unnamed one: gc is for that.
"$bin/sluice" gc -n "$name." --yes >/dev/null
check 'nothing is left' sh -c '! ls "${SLUICE_SHM_DIR:-/dev/shm}" | grep "^sluice\.'"$name"'\."'
finish
