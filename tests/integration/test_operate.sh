#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What an operator does about a live, a killed and a damaged instance: looks at its alarms, lets go of
# a consumer, has its rings put in order, closes and retires them. All rings are in a private directory.

. tests/integration/lib.sh

SLUICE_SHM_DIR=$(mktemp -d /dev/shm/sluice-test-operate.XXXXXX) || exit 1
SLUICE_HUGETLB_DIR=$place/no-hugetlb
export SLUICE_SHM_DIR SLUICE_HUGETLB_DIR
mkdir "$SLUICE_HUGETLB_DIR"
trap 'clean_up; rm -rf "$SLUICE_SHM_DIR"' EXIT

# Runs `sluice ARGUMENTS`: $status, $place/out, $place/err.
run() {
	"$bin/sluice" "$@" >"$place/out" 2>"$place/err"
	status=$?
}
# said NAME STATUS PATTERN...: the last run ended so, and said all of that
said() {
	what=$1
	wanted=$2
	shift 2
	if [ "$status" -ne "$wanted" ]; then
		fail "$what"
		echo "  exit $status, not $wanted"
		show "$place/out" "$place/err"
		return
	fi
	for pattern; do
		cat "$place/out" "$place/err" | grep -q -e "$pattern" && continue
		fail "$what"
		echo "  there is no '$pattern'"
		show "$place/out" "$place/err"
		return
	done
	pass "$what"
}
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$place/out" | head -1; }

start_engine() {
	"$bin/sluice-engine" --name x --wal "$place/wal" --format --wal-size 16M --hugepages off \
		--cpu none 2>>"$place/engine.err" &
	engine=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		"$bin/sluice" stat -n x --once --json 2>/dev/null |
			grep -q '"name":"engine","role":"consumer".*"alive":true' && return
		pause_ms 200
	done
	fail engine_starts
	show "$place/engine.err"
	exit 1
}
kill_engine() {
	kill -9 "$engine"
	wait "$engine" 2>/dev/null
}
feed() {
	"$bin/sluice-producer" --name x --generate --seed 7 --count "$1" --batch 16 2>>"$place/feed.err"
}
# poke RING OFFSET: eight bytes of 0x2a at OFFSET of the ring's file
poke() {
	printf '********' | dd of="$SLUICE_SHM_DIR/sluice.$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# ------------------------------------------------------------------------------ nothing there
run evict -n nobody risk
said evict_without_a_ring 4 'there is no ring "nobody"' 'sluice ls'
run evict -n nobody
said evict_without_a_participant 2 PARTICIPANT
run drain nobody
said drain_without_a_ring 4 'there is no ring'
run retire 'a b'
said retire_of_a_bad_name 2 'segment name'
run gc --repair
said repair_of_nothing 0 '0 examined'
run gc --repair nobody
said repair_of_a_missing_ring 4 'no segment named'
run gc x.cmd
said ring_without_repair 2 'goes with --repair'

# --------------------------------------------------------------------------------- it is alive
start_engine
"$bin/sluice-consumer" --name x --as reports --json --output "$place/reports" 2>>"$place/consumer.err" &
consumer=$!
feed 2000
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	[ "$(wc -l <"$place/reports" 2>/dev/null || echo 0)" -gt 100 ] && break
	pause_ms 100
done
run stat -n x --once --json
said calm_instance_has_no_alarm 0 '"alarms":\[\]' '"epoch":0' '"follows":\[\]'
run stat -n x --once
if [ "$status" -eq 0 ] && ! grep -q ALARM "$place/out"; then
	pass calm_instance_prints_no_alarm
else
	fail calm_instance_prints_no_alarm
	show "$place/out"
fi
run gc --repair x.cmd --yes
said repair_spares_the_living 3 'is in use (1 participants live)'
run gc --repair --name x. --json
said repair_lists_the_living 0 '"name":"x.cmd","verdict":"live"' '"name":"x.rep","verdict":"live"'
run evict -n x nobody
said evict_of_a_stranger 4 'there is no consumer "nobody" on x'
run evict -n x engine
said evict_needs_yes 7 '^x.cmd: consumer engine (entry 0, pid' 'alive' 'would be lost' 'repeat with --yes'
run evict -n x --ring rep engine
said evict_is_for_consumers 4 'there is no consumer "engine" on x.rep'

# -------------------------------------------------------------------- a consumer that is stopped
kill -9 "$consumer"
wait "$consumer" 2>/dev/null
feed 500
run stat -n x --once
said away_is_an_alarm 0 'ALARM x.rep AWAY: critical consumer reports is not here and holds [1-9]'
run evict -n x reports --json
said evict_shows_what_is_lost 7 '"schema":"sluice.evict/1","ring":"x.rep","participant":"reports"' \
	'"evicted":false'
lost=$(number lost_events)
check evict_counts_what_is_lost [ "${lost:-0}" -ge 500 ]
run evict -n x.rep reports --yes
said evict_lets_go 0 'events, up to [0-9]*, are lost to it'
run stat -n x --once
said evicted_is_an_alarm 0 'ALARM x.rep EVICTED: consumer reports'
run evict -n x reports --yes
said evict_twice_is_harmless 0 'evicted already'

# ------------------------------------------------------------------------------ everybody dies
feed 200
kill_engine
run stat -n x --once --json
said dead_engine_is_an_alarm 0 '"kind":"away","ring":"cmd","participant":"engine"'
run gc --repair --name x.
said repair_dry_run 0 '^x.cmd .*would be repaired' 'critical consumer 0 "engine" is away' \
	'repeat with --yes'
run stat -n x --once --json
said repair_dry_run_changes_nothing 0 '"epoch":0'
run gc --repair x.cmd --yes --json
said repair_of_one_ring 0 '"schema":"sluice.repair/1","name":"x.cmd","verdict":"repaired"' \
	'"epoch":1' '"consumers_away_count":1' '"schema":"sluice.repair.finding/1"'
run gc --repair --name x. --yes
said repair_of_the_rest 0 '^x.cmd .*in order' '^x.rep .*repaired' '3 examined, 0 live'
run gc --repair --name x. --yes
said repair_is_idempotent 0 '3 examined, 0 live, 0 repaired, 0 damaged'
start_engine
feed 300
run stat -n x --once
said repaired_rings_go_on 0 'x.cmd .*ready .*epoch 1'
kill_engine
start_engine # and without a repair
feed 100
run stat -n x --once --json
said next_start_needs_no_repair 0 '"state":"ready"'
kill_engine

# ------------------------------------------------------------------------------------- damage
poke x.md 4352 # the cursor of the ring
run gc --repair x.md
said damage_is_found 5 'DAMAGE at 0x1100: the cursor: 3038287259199220266' 'offset 0x1100'
run gc --repair x.md --yes
said damage_is_poison 5 'offset 0x1100'
run gc --repair --name x. --yes --json
said damage_is_one_of_several 5 '"name":"x.md","verdict":"damaged","trouble":"' '"state":"poisoned"' \
	'"damage":true,"offset_bytes":4352' '"name":"x.rep"'
run stat -n x --once
said poison_is_an_alarm 0 'ALARM x.md STATE: poisoned: damaged: stop everybody'
run drain x.md --yes
said poison_is_not_drained 1 'ring x.md is poisoned'

# ------------------------------------------------------------------------------ drain and retire
run drain x.cmd
said drain_needs_yes 7 'x.cmd: ready -> draining (not done), 0 participants live'
run drain x.cmd --yes --json
said drain_closes 0 '"ring":"x.cmd","state":"ready","target":"draining","changed":true'
run stat -n x --once
said drained_is_an_alarm 0 'ALARM x.cmd STATE: draining: closed'
timeout 20 "$bin/sluice-producer" --name x --generate --count 10 --wait-timeout 2s >"$place/out" 2>"$place/err"
check drained_ring_takes_no_claims [ $? -ne 0 ]
run retire x
said retire_needs_yes 7 'x.md: poisoned -> retired (not done)' 'x.cmd: draining -> retired'
check retire_without_yes_removes_nothing [ -e "$SLUICE_SHM_DIR/sluice.x.md" ]
run retire x --yes
said retire_removes 0 'x.cmd: draining -> retired' 'x.rep: ready -> retired'
check retire_leaves_no_file [ -z "$(ls "$SLUICE_SHM_DIR")" ]
start_engine
feed 100
run stat -n x --once --json
said next_start_makes_new_rings 0 '"state":"ready","epoch":0' \
	'"alarms":\[{"kind":"away","ring":"rep","participant":"reports","position":[0-9]*,"held_events":[1-9][0-9]*}\]'
kill_engine

finish
