#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Errors that the kernel really makes, under a running engine: a disk that runs full below the
# filesystem, a filesystem that turns read-only, files at their size limit, a disk too small for a
# log, an io_uring_enter that is interrupted or refused. Each time the engine must end with status 1
# and the reason, show nothing that is not in the log, and go on when the disk is whole again, so that
# the consumer has the same file as without the error.
#
# The disk is an ext4 image on a loop device; its backing file lies in a tmpfs of limited size. The
# mounts are in a namespace of this script and end with it.

if [ -z "$SLUICE_MOUNTS" ]; then
	if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
		SLUICE_MOUNTS=own exec unshare --mount sh "$0"
	fi
	SLUICE_MOUNTS=none
fi

. tests/integration/lib.sh
. tests/lib/engine.sh

count=3000 rate=6k
mounted=''

# Loop devices of mounts go with their mounts.
drop_disk() {
	for at in $mounted; do
		umount "$at" 2>/dev/null || umount -l "$at"
	done
	mounted=''
}
leave() {
	trap '' INT TERM
	jobs=$(jobs -p)
	# shellcheck disable=SC2086 # a list of processes
	[ -n "$jobs" ] && kill -9 $jobs 2>/dev/null
	wait 2>/dev/null
	drop_disk
	clean_up
}
trap leave EXIT

# mount_at PLACE OPTION...
mount_at() {
	at=$1
	shift
	mkdir -p "$at" && mount "$@" "$at" && mounted="$at $mounted"
}
# make_disk IMAGE BACKING MKFS-OPTION...: sizes in MiB; mounted at $place/disk
make_disk() {
	drop_disk
	rm -rf "$place/log"
	mount_at "$place/below" -t tmpfs -o "size=${2}m" none || return 1
	truncate -s "${1}M" "$place/below/image" || return 1
	shift 2
	mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=0 "$@" "$place/below/image" || return 1
	mount_image
}
mount_image() {
	mount_at "$place/disk" -o loop,noatime,errors=remount-ro "$place/below/image"
}
remount_image() {
	umount "$place/disk" && mounted="$place/below" && mount_image
}

# $why there cannot be a disk of our own, or nothing
look_for_disk() {
	why=''
	if [ "$SLUICE_MOUNTS" = none ]; then
		why='root and a mount namespace are needed'
	elif ! command -v mkfs.ext4 >/dev/null; then
		why='there is no mkfs.ext4'
	elif ! make_disk 4 8 >"$place/mount" 2>&1; then
		why="no loop device: $(tail -n 1 "$place/mount")"
	fi
}

# The yardstick: the same commands undisturbed.
undisturbed() {
	fresh
	start_engine --once
	start_consumer "$place/calm"
	start_producer --generate --seed 5 --count "$count"
	check 'undisturbed run' ends_with 0 "$engine_pid" 40
	settle
}

# The log is on the disk; `fresh` removes the link only.
log_on_disk() {
	fresh
	mkdir "$place/disk/log" && ln -s "$place/disk/log" "$place/log"
}

logged() { "$bin/sluice" wal dump "$place/log" | grep -c .; }
highest_seen() {
	awk 'match($0, /"cmd_seq":[0-9]+/) { seq = substr($0, RSTART + 10, RLENGTH - 10) }
		END { print seq + 0 }' "$1"
}

# halts LABEL REASON: the engine that runs; then nothing more becomes visible
halts() {
	check "$1: the engine exits with 1" ends_with 1 "$engine_pid" 40
	check "$1: says which file, offset and block, and why" \
		grep -qE "wal-[0-9]* offset [0-9]*.*block [0-9]*.*($2).*halted" "$place/engine"
	pause_ms 200
	seen=$(wc -l <"$place/seen")
	pause_ms 300
	check "$1: nothing more is visible" [ "$(wc -l <"$place/seen")" -eq "$seen" ]
	check "$1: something was" [ "$seen" -gt 10 ]
}

# goes_on LABEL OPTION...: with the disk whole again
goes_on() {
	label=$1
	shift
	check "$label: nothing beyond the log was visible" \
		[ "$(highest_seen "$place/seen")" -lt "$(logged)" ]
	start_engine --once "$@"
	check "$label: goes on when the disk is whole" ends_with 0 "$engine_pid" 60
	check "$label: producer ends with 0" ends_with 0 "$producer_pid" 40
	check "$label: consumer ends with 0" ends_with 0 "$consumer_pid" 40
	check "$label: the same file as undisturbed" cmp "$place/calm" "$place/seen"
	check "$label: the log verifies" verifies "$place/log"
}

start_and_stop() {
	starts=$(grep -c ' ready ' "$place/engine")
	start_engine "$@"
	ready $((starts + 1))
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" 40
}

# A log of written zeros, whose disk has nothing behind the zeros any more, and space for a few more
# blocks, fewer than the commands need: what the filesystem promised, the device cannot keep.
full_below() { # LABEL OPTION...
	label=$1
	shift
	rm -f "$place/seen"
	make_disk 64 64 && log_on_disk || fail "$label: no disk"
	start_and_stop "$@"
	remount_image || fail "$label: the disk does not come back"
	sync
	fallocate -d "$place/below/image"
	start_and_stop "$@" # what a start writes has its space again
	room=$(df --output=avail -k "$place/below" | tail -n 1)
	fallocate -l "$((room - 300))K" "$place/below/filler" || fail "$label: no filler"
	start_engine "$@"
	start_consumer "$place/seen"
	start_producer --generate --seed 5 --count "$count" --rate "$rate" --wait-timeout 120s
	halts "$label" 'No space left on device|Input/output error'
	rm "$place/below/filler"
	goes_on "$label" "$@"
}

read_only() {
	label='read-only remount'
	rm -f "$place/seen"
	make_disk 64 80 && log_on_disk || fail "$label: no disk"
	device=$(findmnt -n -o SOURCE "$place/disk")
	trigger=/sys/fs/ext4/${device#/dev/}/trigger_fs_error
	if [ ! -w "$trigger" ]; then
		echo "skip: $label: this kernel has no $trigger"
		return
	fi
	start_engine
	start_consumer "$place/seen"
	start_producer --generate --seed 5 --count "$count" --rate "$rate" --wait-timeout 120s
	lines "$place/seen" 500
	echo 'as a test wants' >"$trigger"
	halts "$label" 'Read-only file system|Input/output error'
	umount "$place/disk" && mounted="$place/below"
	fsck.ext4 -fy "$place/below/image" >/dev/null 2>&1
	mount_image
	goes_on "$label"
}

too_small() {
	make_disk 12 16 && log_on_disk || fail 'a disk too small: no disk'
	start_engine
	check 'a disk too small: format fails with 3' ends_with 3 "$engine_pid" 40
	check 'a disk too small: says what is needed and free' \
		grep -q 'No space left on device.*\|needs [0-9]* MiB, [0-9]* MiB are free' "$place/engine"
	check 'a disk too small: leaves nothing behind' [ -z "$(ls "$place/disk/log")" ]
}

size_limit() { # LABEL OPTION...
	label=$1
	shift
	fresh
	rm -f "$place/seen"
	start_engine "$@"
	ready
	kill -9 "$engine_pid"
	wait "$engine_pid" 2>/dev/null
	file_blocks=800
	start_engine "$@"
	file_blocks=''
	ready 2
	start_consumer "$place/seen"
	start_producer --generate --seed 5 --count "$count" --rate "$rate" --wait-timeout 120s
	halts "$label" 'File too large'
	goes_on "$label" "$@"
}

# answered NAME LEAST RULE: the whole run while io_uring_enter fails as the rule of strace says;
# slowly, so that there are enough calls however slow the disk is
answered() {
	fresh
	rm -f "$place/seen"
	under="strace -f -qq -o $place/strace -e trace=io_uring_enter -e inject=io_uring_enter:$3"
	start_engine --once --wal-io io_uring
	under=''
	start_consumer "$place/seen"
	start_producer --generate --seed 5 --count "$count" --rate 2k --wait-timeout 120s
	check "io_uring_enter: $1: ends with 0" ends_with 0 "$engine_pid" 60
	settle
	check "io_uring_enter: $1: it was" [ "$(grep -c INJECTED "$place/strace")" -ge "$2" ]
	check "io_uring_enter: $1: the same file as undisturbed" cmp "$place/calm" "$place/seen"
}

answers() {
	if ! command -v strace >/dev/null ||
		! strace -qq -o /dev/null -e inject=io_uring_enter:error=EINTR:when=1..2 true 2>/dev/null; then
		echo 'skip: io_uring_enter: there is no strace that injects'
		return
	fi
	fresh
	start_engine --wal-io io_uring
	if ! ready; then
		kill "$engine_pid" 2>/dev/null
		echo 'skip: io_uring_enter: io_uring is forbidden here'
		return
	fi
	kill -TERM "$engine_pid"
	ends_with 0 "$engine_pid" 20
	# the first entries are of the start: let it pass, then fail in the middle of things
	answered 'EINTR 1000 times' 1000 error=EINTR:when=200..1199
	answered 'EAGAIN 60 times' 60 error=EAGAIN:when=200..259
	answered 'EBUSY every 7th time' 20 error=EBUSY:when=200+7
}

undisturbed
look_for_disk
if [ -n "$why" ]; then
	echo "skip: a disk of its own: $why"
else
	full_below 'full below, dsync' --wal-io io_uring --wal-sync dsync
	full_below 'full below, link' --wal-io io_uring --wal-sync link
	full_below 'full below, thread' --wal-io thread
	full_below 'full below, blocking' --wal-io blocking
	read_only
	too_small
	drop_disk
fi
size_limit 'size limit, thread' --wal-io thread
answers
ended
