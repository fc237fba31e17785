#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes the golden logs of the present format: small real logs, packed, with what replaying them must
# give. `make golden` runs it, once per format version; what is there already is never made anew,
# because the point is that later versions read these very bytes.
#
#	sh tests/golden/generate.sh BUILD

set -eu
build=${1:-build/release}
place=$(mktemp -d "${TMPDIR:-/tmp}/sluice-golden.XXXXXX")
trap 'rm -rf "$place"' EXIT
sluice=$build/bin/sluice
make_log=$build/tests/integration/make_log
version=$("$sluice" version --json | sed 's/.*"wal_version":\([0-9]*\).*/\1/')
home=tests/golden/$version
mkdir -p "$home"

# pack NAME: $place/NAME, without the clock and the user
pack() {
	if [ -e "$home/$1.tar.xz" ]; then
		echo "$home/$1.tar.xz is there"
		return
	fi
	tar -C "$place" --owner=0 --group=0 --numeric-owner --mtime=@0 --sort=name -cf - "$1" |
		xz -9e >"$home/$1.tar.xz"
	"$build/tests/integration/replay_log" "$place/$1" >"$home/$1.expect" || true
	ls -l "$home/$1.tar.xz"
}

for shape in fresh clean open epochs snap round; do
	"$make_log" "$place/$shape" "$shape" 2
	pack "$shape"
done
# a tail that a crash has cut: half of the last block is not there
cp -r "$place/open" "$place/torn"
offset=$("$sluice" wal inspect --json "$place/open" | sed 's/.*"offset_bytes":\([0-9]*\).*/\1/')
dd if=/dev/zero of="$place/torn/wal-00" bs=512 seek=$(((offset - 3584) / 512)) count=7 conv=notrunc \
	2>/dev/null
pack torn
