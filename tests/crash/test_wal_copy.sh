#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Copies of a log's directory while it is written, file by file (wal_copy.c says how): each is a
# prefix of the live log, or refused with a reason. COPIES=n, SEED=n; WAL_DIR should be a disk.

TMPDIR=${WAL_DIR:-/var/tmp}
. tests/integration/lib.sh
: "${COPIES:=20}"
build=${SLUICE_BUILD:-build/release}
rings=$(mktemp -d /dev/shm/sluice-copy.XXXXXX) || exit 1
trap 'clean_up; rm -rf "$rings"' EXIT

{
	"$build/tests/crash/wal_copy" --bin "$bin" --place "$place" --shm "$rings" \
		--copies "$COPIES" --seed "$SEED" 2>&1
	echo $? >"$place/status"
} | tee "$place/out"
status=$(cat "$place/status")
last=$(grep '^copies=' "$place/out" | tail -n 1)
figure() { echo "$last" | sed -n "s/.*\\b$1=\\([0-9]*\\).*/\\1/p"; }

check 'copy of a live log: a prefix of it, or refused' [ "$status" -eq 0 ]
check "copy of a live log: $COPIES copies" [ "$(figure copies)" = "$COPIES" ]
check 'copy of a live log: some are whole' [ "$(figure whole)" -ge 1 ]
check 'copy of a live log: an engine starts on them' \
	[ $(($(figure started) + $(figure start_refused))) -ge 1 ]
check 'copy of a live log: snapshots were named meanwhile' [ "$(figure snapshots)" -ge 2 ]
echo "SEED=$SEED"
finish
