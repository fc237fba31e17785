#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Engine, follower, producers and consumer killed at random instants on a log that goes round
# (wal_crash.c says how): every start succeeds, every command of a source is executed once, every
# report comes once and is the one that a run without kills gives. KILLS=n rounds, SEED=n. The log
# lies in WAL_DIR (/var/tmp), which should be a disk.

TMPDIR=${WAL_DIR:-/var/tmp}
. tests/integration/lib.sh
: "${KILLS:=24}"
build=${SLUICE_BUILD:-build/release}
rings=$(mktemp -d /dev/shm/sluice-crash.XXXXXX) || exit 1
trap 'clean_up; rm -rf "$rings"' EXIT

{
	"$build/tests/crash/wal_crash" --bin "$bin" --place "$place" --shm "$rings" \
		--kills "$KILLS" --seed "$SEED" 2>&1
	echo $? >"$place/status"
} | tee "$place/out"
status=$(cat "$place/status")
rounds=$(sed -n 's/^rounds=\([0-9]*\) kills=.*/\1/p' "$place/out")
log_rounds=$(sed -n 's/^log_rounds=\([0-9]*\) .*/\1/p' "$place/out")
snapshots=$(sed -n 's/.*snapshots=\([0-9]*\) .*/\1/p' "$place/out")
count() { sed -n "s/.*\\b$1=\\([0-9]*\\).*/\\1/p" "$place/out" | head -n 1 | grep . || echo 0; }

check 'killed at random: nothing lost, duplicated or changed' [ "$status" -eq 0 ]
check "killed at random: $KILLS rounds" [ "${rounds:-0}" -eq "$KILLS" ]
check 'killed at random: the log went round' [ "${log_rounds:-0}" -ge 1 ]
check 'killed at random: claimed slots became tombstones' [ "$(count tombstones)" -ge 1 ]
check 'killed at random: snapshots were named' [ "${snapshots:-0}" -ge 2 ]
for victim in engine starting follower producer claimer consumer everybody reboot stopped full asked two; do
	check "killed at random: $victim" [ "$(count $victim)" -ge 1 ]
done
echo "SEED=$SEED"
finish
