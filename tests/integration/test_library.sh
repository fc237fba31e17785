#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library as its users get it: installed, found by pkg-config alone, the examples built against
# the installed headers and run together, everything taken away again. Environment: SLUICE_BUILD.

LC_ALL=C
export LC_ALL
. tests/integration/lib.sh

build=${SLUICE_BUILD:-build/release}
root=$(pwd)
case ${build##*/} in
release | debug | asan | ubsan | tsan | cov | crash) profile=PROFILE=${build##*/} ;;
*-release | *-debug | *-asan | *-ubsan | *-tsan) profile=PROFILE=${build##*-} ;;
*) profile= ;;
esac
case $profile in
*san)
	cut -f 3 tests/scenarios/library.table | while read -r name; do
		echo "skip: $name: programs without the sanitizer's runtime cannot load the library"
	done
	exit 77
	;;
esac
if ! command -v pkg-config >/dev/null; then
	echo 'skip: library: no pkg-config'
	exit 77
fi
prefix=$place/prefix
mkdir "$place/rings"
SLUICE_SHM_DIR=$place/rings SLUICE_HUGETLB_DIR=$place/rings
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export SLUICE_SHM_DIR SLUICE_HUGETLB_DIR PKG_CONFIG_PATH
compilers=gcc
command -v clang >/dev/null && compilers='gcc clang'

install_to() { # GOAL VARIABLE...
	# shellcheck disable=SC2086 # one word or none
	make -j1 BUILD="$build" $profile "$@" >"$place/make" 2>&1 || { show "$place/make"; return 1; }
}
all_files() { (cd "$1" && find . ! -type d | sort); }

check 'make install' install_to install PREFIX="$prefix"
[ "$failures" -eq 0 ] || finish
absent=
for page in docs/man/*.[357]; do
	[ -s "$prefix/share/man/man${page##*.}/${page##*/}" ] || absent="$absent ${page##*/}"
done
check "every manual page is installed$absent" [ -z "$absent" ]
if command -v man >/dev/null; then
	check 'man finds them' [ -n "$(man -M "$prefix/share/man" -w 3 sluice_producer 2>/dev/null)" ]
else
	echo 'skip: man finds them: no man'
fi

# ------------------------------------------------------------------------------- what is exported
sh lib/api functions >"$place/declared"
nm -D --defined-only "$prefix/lib/libsluice.so" | sed -n 's/.* [TDBRVW] //p' | sed 's/@.*//' | sort >"$place/so"
nm -g --defined-only "$prefix/lib/libsluice.a" | sed -n 's/.* [TDBRVWC] //p' | sort >"$place/a"
same() { # FILE FILE
	[ -s "$1" ] && cmp -s "$1" "$2" && return
	diff "$1" "$2"
	return 1
}
check 'libsluice.so exports what the public headers declare' same "$place/declared" "$place/so"
check 'libsluice.a exports what the public headers declare' same "$place/declared" "$place/a"
sh lib/api map >"$place/map"
check 'sluice.map is up to date (sh lib/api map >sluice.map)' same "$place/map" sluice.map
readelf -d "$prefix/lib/libsluice.so" >"$place/dynamic"
check 'the soname is libsluice.so.1' grep -q 'SONAME.*\[libsluice.so.1\]' "$place/dynamic"
check 'nothing but libc and libnuma is needed' sh -c \
	'! grep NEEDED "$1" | grep -v -e "libc.so" -e "libnuma.so" -e "libgcc_s" -e "ld-linux"' - "$place/dynamic"

# --------------------------------------------------------------------------------- the headers
strict='-Wall -Wextra -Wconversion -Wshadow -Wpedantic -Wundef -Wstrict-prototypes -Werror'
cd "$place" || exit 1
mkdir shm
echo '#error "a directory of the user was taken for ours"' | tee shm/base.h >shm/segment.h
printf '#include <sluice.h>\nint main(void)\n{\n\treturn 0;\n}\n' >user.c
for cc in $compilers; do
	for std in gnu11 gnu17; do
		# shellcheck disable=SC2046,SC2086 # many words
		"$cc" -std=$std -O1 $strict -I. $(pkg-config --cflags sluice) -c user.c -o user.o 2>error
		check "sluice.h under $cc -std=$std is silent" [ ! -s error ]
		show error
	done
	[ "$cc" = gcc ] || continue
	alone=
	for header in $(cd "$prefix/include/sluice" && find . -name '*.h' | sed 's,^\./,,'); do
		printf '#include <sluice/%s>\n#include <sluice/%s>\n' "$header" "$header" >alone.c
		# shellcheck disable=SC2086 # many words
		"$cc" -std=gnu11 $strict -I. -I "$prefix/include" -fsyntax-only alone.c 2>>error ||
			alone="$alone $header"
	done
	check "every installed header stands alone$alone" [ -z "$alone" ]
	[ -z "$alone" ] || show error
done

# Inline functions may call only what is exported.
# shellcheck disable=SC2046 # many words
gcc -std=gnu17 -O0 -fkeep-inline-functions user.c $(pkg-config --cflags --libs sluice) -o inline 2>error
check 'every inline function can be linked' [ ! -s error ]
show error

# What the headers define, less what the system headers that they include define.
grep -h '^#include <' $(find "$prefix/include/sluice" -name '*.h') | sort -u >system.h
gcc -std=gnu17 -dM -E -x c system.h | awk '{ print $2 }' | sed 's/(.*//' | sort -u >theirs
# shellcheck disable=SC2046 # many words
gcc -std=gnu17 $(pkg-config --cflags sluice) -dM -E user.c | awk '{ print $2 }' | sed 's/(.*//' |
	sort -u | comm -23 - theirs >macros
check 'every macro is one of ours by name' [ -z "$(grep -v -i '^sluice' macros)" ]
check 'no setting of our build is among them' [ -z "$(grep -x -e SLUICE_RELEASE -e SLUICE_FAILPOINTS macros)" ]

printf '#include <sluice.h>\n#include <stdio.h>\nint main(void)\n{\n\tsluice_assert_hot(0);\n\tputs("on");\n}\n' >hot.c
for define in '' -DNDEBUG; do
	# shellcheck disable=SC2046,SC2086 # many words
	gcc -std=gnu17 $define hot.c $(pkg-config --cflags --libs sluice) -Wl,-rpath,"$prefix/lib" -o hot
	sh -c 'ulimit -c 0; exec ./hot' >hot.out 2>&1
	case $define in
	'') check 'without NDEBUG inline functions check their arguments' grep -q 'sluice_assert\|hot.c' hot.out ;;
	*) check 'with NDEBUG they do not' grep -qx on hot.out ;;
	esac
done

if command -v g++ >/dev/null; then
	# shellcheck disable=SC2046 # many words
	g++ -fsyntax-only -x c++ user.c $(pkg-config --cflags sluice) 2>error
	check 'C++ is told why not' grep -q 'error.*C++ does not have' error
else
	echo 'skip: C++ is told why not: no g++'
fi

# -------------------------------------------------------------------------------- the examples
cp -r "$root/examples" examples
: >built
for cc in $compilers; do
	for static in '' 1; do
		[ "$cc$static" != clang1 ] || continue
		make -j1 -C examples -B CC=$cc STATIC=$static CFLAGS="-O2 $strict" >make 2>&1 &&
			echo "$cc$static" >>built
		check "examples build without a warning: $cc${static:+, static}" grep -qx "$cc$static" built
		grep -qx "$cc$static" built || show make
		rm -rf "bin$cc$static"
		mkdir "bin$cc$static" && find examples -type f -perm -100 -exec cp {} "bin$cc$static" \;
	done
done
needs_library() { readelf -d "$1" | grep -q 'NEEDED.*libsluice.so.1'; }
check 'the shared build uses libsluice.so.1' needs_library bingcc/publish
check 'the static build does not' sh -c '! readelf -d bingcc1/publish | grep -q "NEEDED.*libsluice"'

# Every quote of each source once and in order; $2 sources of $3 quotes.
complete() { # FILE SOURCES COUNT
	awk -v sources="$2" -v count="$3" '
		$2 != next_of[$1] { print "source " $1 ": " $2 " instead of " next_of[$1]; exit bad = 1 }
		$1 > sources && $1 != 9 { print "source " $1 " was never published"; exit bad = 1 }
		{ next_of[$1]++ }
		END {
			for (s = 1; s <= sources; s++)
				if (next_of[s] != count && !bad)
					bad = "source " s " ends at " next_of[s]
			if (bad)
				print bad
			exit bad ? 1 : 0
		}' "$1"
}
bounded() { timeout 60 "$@" 2>>errors; }

for dir in bingcc binclang bingcc1; do
	[ -d $dir ] || continue
	: >errors
	bounded $dir/ring create quotes reader >/dev/null
	for source in 1 2 3; do
		bounded $dir/publish quotes $source 20000 &
		eval "publisher$source=$!"
	done
	bounded $dir/consume quotes reader >quotes &
	reader=$!
	# shellcheck disable=SC2154 # set by eval
	wait "$publisher1" && wait "$publisher2" && wait "$publisher3" && bounded $dir/ring close quotes
	wait "$reader"
	check "$dir: the reader ends when the ring is closed and read" [ $? -eq 0 ]
	check "$dir: three publishers, one reader: everything, in order" complete quotes 3 20000
	bounded $dir/ring remove quotes
	[ ! -s errors ] || show errors
done

# A publisher that is killed stops nobody: what it had published comes, and all of the others.
: >errors
bingcc/ring create quotes reader >/dev/null
bounded bingcc/consume quotes reader >quotes &
reader=$!
bingcc/publish quotes 9 1000000000 2>/dev/null &
victim=$!
bounded bingcc/publish quotes 1 50000 &
publisher1=$!
tries=0
until grep -q '^9 5' quotes || [ $((tries += 1)) -gt 500 ]; do pause_ms 10; done
kill -9 $victim
wait $victim 2>/dev/null
bounded bingcc/publish quotes 2 50000
wait $publisher1
bounded bingcc/ring close quotes
wait $reader
check 'the reader outlives a killed publisher' [ $? -eq 0 ]
check 'nothing of the others is missing' complete quotes 2 50000
check 'of the killed one there is a beginning' grep -q '^9 5' quotes

bounded bingcc/ring remove quotes

# One that dies inside its claim leaves tombstones, and nothing of what it was writing.
cat >dies.c <<'END'
#include <signal.h>
#include "examples/quote.h"
int main(void)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_diag diag;
	uint64_t first;

	attach(&segment, "quotes", SLUICE_ACCESS_WRITE);
	check(sluice_producer_open(&producer, &segment, NULL, &diag), &diag);
	if (sluice_producer_claim(&producer, 3, SLUICE_WAIT_FOREVER, &first))
		return 1;
	for (uint64_t s = first; s != first + 3; s++)
		((struct quote *)sluice_producer_slot(&producer, s))->source = 7;
	return raise(SIGKILL);
}
END
# shellcheck disable=SC2046 # many words
gcc -std=gnu17 $strict dies.c $(pkg-config --cflags --libs sluice) -Wl,-rpath,"$prefix/lib" -o dies
bounded bingcc/ring create quotes reader >/dev/null
bounded ./dies
died=$?
bounded bingcc/publish quotes 1 900
bounded bingcc/ring close quotes
bounded bingcc/consume quotes reader >quotes
check 'the reader passes over the claim of one that died in it' [ $?.$died = 0.137 ]
check 'and sees all that came after it, but nothing of it' complete quotes 1 900
bounded bingcc/ring remove quotes

# The monitor sees everybody and leaves no trace.
bounded bingcc/ring create quotes reader >/dev/null
bounded bingcc/publish quotes 1 700
cksum "$SLUICE_SHM_DIR"/* >before
bounded bingcc/monitor quotes >seen
cksum "$SLUICE_SHM_DIR"/* >after
check 'monitor shows who is behind' grep -q 'reader .* 700 behind' seen
check 'monitor changes no byte' cmp before after
mkdir unlocked && cp "$SLUICE_SHM_DIR/sluice.quotes" unlocked && chmod 444 unlocked/sluice.quotes
check 'monitor needs no lock file' sh -c \
	'SLUICE_SHM_DIR=$PWD/unlocked SLUICE_HUGETLB_DIR=$PWD/unlocked bingcc/monitor quotes | grep -q "reader .* 700 behind"'
bounded bingcc/consume quotes nobody >nothing &
stranger=$!
tries=0
until bingcc/monitor quotes | grep -q '^nobody .* alive' || [ $((tries += 1)) -gt 500 ]; do pause_ms 10; done
bounded bingcc/monitor quotes >seen
check 'monitor shows who is alive' grep -q '^nobody .* alive' seen
bounded bingcc/ring close quotes
wait $stranger
bounded bingcc/ring remove quotes

# Three processes in a row. A stage that acted before the journal had the event would find its line
# missing and fail.
bounded bingcc/ring create line act >/dev/null
bounded bingcc/pipeline line act journal >acted &
last=$!
bounded bingcc/pipeline line journal journal &
first=$!
bounded bingcc/publish line 1 30000 && bounded bingcc/ring close line
wait $first
check 'pipeline: the journal ends well' [ $? -eq 0 ]
wait $last
check 'pipeline: every event was in the journal when it was acted upon' [ $? -eq 0 ]
check 'pipeline: all of them, in order' complete acted 1 30000
bounded bingcc/ring remove line

# The same, with both stages killed and started again on the way: nothing is missing, the end of what
# was not released comes twice.
until_size() { # FILE BYTES: it has grown to that
	tries=0
	until [ "$(wc -c <"$1")" -ge "$2" ] || [ $((tries += 1)) -gt 1000 ]; do pause_ms 5; done
}
rm -f journal acted
bounded bingcc/ring create line act >/dev/null
bounded bingcc/publish line 1 300000 &
publisher=$!
: >journal
: >acted
bingcc/pipeline line journal journal 2>>errors &
first=$!
bingcc/pipeline line act journal >>acted 2>>errors &
last=$!
until_size journal 50000
kill -9 $first
wait $first 2>/dev/null
bounded bingcc/pipeline line journal journal &
first=$!
until_size acted 200000
kill -9 $last
wait $last 2>/dev/null
bounded bingcc/pipeline line act journal >acted_again &
last=$!
wait $publisher && bounded bingcc/ring close line
wait $first
check 'pipeline: a journal that was killed goes on' [ $? -eq 0 ]
wait $last
check 'pipeline: a stage that was killed goes on' [ $? -eq 0 ]
sed '$d' acted >whole # without the last line ...
[ -n "$(tail -c 1 acted)" ] || tail -n 1 acted >>whole # ... if it was cut short
check 'pipeline: nothing is missing after both were killed' awk '
	FNR == 1 && NR > 1 && $2 > next_number { print "begins again at " $2 " after " next_number; exit bad = 1 }
	FNR > 1 && $2 != next_number { print $2 " instead of " next_number; exit bad = 1 }
	{ next_number = $2 + 1 }
	END { exit bad || next_number != 300000 }' whole acted_again
bounded bingcc/ring remove line

bounded bingcc/threads 200000 >sum
check 'threads: all in order' grep -qx "sum 19999900000, all in order" sum
[ "$failures" -eq 0 ] || show errors
check 'the examples leave nothing behind' [ -z "$(ls "$SLUICE_SHM_DIR")" ]

# ---------------------------------------------------------------------------------- and gone
cd "$root" || exit 1
all_files "$prefix" >"$place/installed"
check 'make install with DESTDIR' install_to install DESTDIR="$place/stage" PREFIX=/usr
all_files "$place/stage/usr" >"$place/staged"
check 'DESTDIR gets the same files' same "$place/installed" "$place/staged"
check 'sluice.pc names the final place' grep -qx 'prefix=/usr' "$place/stage/usr/lib/pkgconfig/sluice.pc"
check 'no file names the stage' sh -c '! grep -rqF "$1" "$1/usr/lib/pkgconfig" "$1/usr/include"' - "$place/stage"
check 'make uninstall' install_to uninstall DESTDIR="$place/stage" PREFIX=/usr
left=$(all_files "$place/stage")
check "make uninstall leaves nothing $left" [ -z "$left" ]
check 'nor its own directory of headers' [ ! -e "$place/stage/usr/include/sluice" ]
finish
