#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The logs that tests/golden keeps of every format version: those of the present one are replayed to
# the same hashes by the programs at hand and by builds of a small replayer with other compilers and
# options; those of other versions are refused, by name.

[ -w /dev/shm ] && TMPDIR=/dev/shm
. tests/integration/lib.sh

build=${SLUICE_BUILD:-build/release}
case $build in /*) ;; *) build=$(pwd)/$build ;; esac
sluice=$bin/sluice
version=$("$sluice" version --json | sed 's/.*"wal_version":\([0-9]*\).*/\1/')

if ! xz --version >/dev/null 2>&1; then
	echo 'skip: test_wal_golden: no xz'
	exit 77
fi

# replayer VARIANT COMPILER FLAG...: core and log built that way, once per content of the sources
sources='tests/integration/replay_log.c engine/core/*.c engine/wal/*.c'
# shellcheck disable=SC2086 # lists of files
content=$(cat $sources engine/core/*.h engine/wal/*.h shm/*.h | cksum)
replayer() {
	variant=$1
	shift
	made=$build/golden/$variant
	[ "$(cat "$made.stamp" 2>/dev/null)" = "$* $content" ] && [ -x "$made" ] && return
	mkdir -p "$build/golden"
	# shellcheck disable=SC2086 # lists of files
	"$@" -std=gnu17 -D_GNU_SOURCE -I. -w -ffunction-sections -Wl,--gc-sections \
		-o "$made" $sources "$build/shm.a" -luring -lpthread >"$place/compile.$variant" 2>&1 &&
		echo "$* $content" >"$made.stamp"
}

# replays PROGRAM NAME: as expected
replays() {
	"$1" "$place/$2" >"$place/found" 2>"$place/err"
	diff "$home/$2.expect" "$place/found" && [ ! -s "$place/err" ]
}

# They are compiled while the logs are looked at.
variants='O0 clang asan'
compiler_of() { # VARIANT
	case $1 in
	O0) echo gcc -O0 ;;
	clang) echo clang -O2 ;;
	asan) echo gcc -O1 -fsanitize=address,undefined ;;
	esac
}
for variant in $variants; do
	# shellcheck disable=SC2046 # words
	replayer "$variant" $(compiler_of "$variant") && : >"$place/made.$variant" &
done

home=tests/golden/$version
names=$(cd "$home" && ls ./*.tar.xz 2>/dev/null | sed 's,^\./,,; s/\.tar\.xz$//')
check "there are golden logs of format $version" [ -n "$names" ]
for name_of in $names; do
	xz -dc "$home/$name_of.tar.xz" | tar -C "$place" -xf -
	check "$name_of: as it was" replays "$build/tests/integration/replay_log" "$name_of"
	hash=$(sed -n 's/^state //p' "$home/$name_of.expect")
	check "$name_of: sluice wal verify has the same state" \
		sh -c '"$1" wal verify --json "$2" | grep -q "\"replay_agrees\":true.*\"state_hash\":\"$3\""' - \
		"$sluice" "$place/$name_of" "$hash"
	if python3 -c '' 2>/dev/null; then
		# where recovery and this reader see the end of it
		check "$name_of: the reader in Python finds the same end" sh -c '
			set -- "$1" $(sed -n "s/^verdict //p; s/^end wal-[0-9]* \([0-9]*\) block \([0-9]*\)/\1 \2/p" "$2")
			PYTHONDONTWRITEBYTECODE=1 python3 tests/golden/wal_reader.py "$1" --from-start |
				grep -q "\"verdict\": \"$2\".*\"offset_bytes\": $3, \"block\": $4,"' - \
			"$place/$name_of" "$home/$name_of.expect"
	else
		echo "skip: $name_of: the reader in Python finds the same end: no python3"
	fi
done

wait
for variant in $variants; do
	# shellcheck disable=SC2046 # words
	set -- "$variant" $(compiler_of "$variant")
	if ! command -v "$2" >/dev/null; then
		echo "skip: the same hashes, $1: no $2"
		continue
	fi
	if [ -f "$build/shm/base.gcno" ]; then
		echo "skip: the same hashes, $1: shm.a counts branches, which another compiler cannot link"
		continue
	fi
	if [ ! -e "$place/made.$1" ]; then
		show "$place/compile.$1"
		fail "the same hashes, $1: it does not compile"
		continue
	fi
	same=yes
	for name_of in $names; do
		replays "$build/golden/$1" "$name_of" || same=no
	done
	check "the same hashes, $1" [ "$same" = yes ]
done

# refused NAME DIR PATTERN: by every program, as of another version, and untouched
refused() {
	before=$(cat "$2"/super "$2"/wal-* | cksum)
	for way in inspect verify stat dump; do
		"$sluice" wal "$way" "$2" >"$place/out" 2>&1
		[ $? -eq 4 ] && grep -q -e "$3" "$place/out" || { echo "wal $way"; return 1; }
	done
	"$bin/sluice-engine" --name "$name" --wal "$2" --format >"$place/out" 2>&1
	[ $? -eq 4 ] && grep -q -e "$3" "$place/out" || { echo 'sluice-engine'; return 1; }
	[ "$before" = "$(cat "$2"/super "$2"/wal-* | cksum)" ]
}
for old in tests/golden/*/; do
	old=${old%/}
	number=${old##*/}
	case $number in "$version" | *[!0-9]*) continue ;; esac
	for file in "$old"/*.tar.xz; do
		rm -rf "$place/old"
		mkdir "$place/old"
		xz -dc "$file" | tar -C "$place/old" -xf -
		check "format $number is refused" refused "format $number" "$place"/old/* \
			"format is version $number, this program knows version $version"
	done
done

# a version that is yet to come, and a block with a flag that nobody knows
if python3 -c '' 2>/dev/null; then
	tamper() { PYTHONDONTWRITEBYTECODE=1 python3 tests/golden/tamper.py "$@"; }
	cp -r "$place/epochs" "$place/next"
	tamper "$place/next" super_version_3
	check 'format 3 is refused' refused 'format 3' "$place/next" \
		"format is version 3, this program knows version $version"
	rm -rf "$place/next"
	cp -r "$place/epochs" "$place/next"
	tamper "$place/next" absurd_flags
	"$sluice" wal inspect "$place/next" >"$place/out"
	check 'an unknown flag is refused' \
		sh -c '[ "$1" -eq 5 ] && grep -q "unknown flags: expected 0x0, found 0x8000" "$2"' - $? "$place/out"
else
	echo 'skip: format 3 is refused: no python3'
	echo 'skip: an unknown flag is refused: no python3'
fi
finish
