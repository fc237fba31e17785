#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The lint tools themselves: each gets a small tree that is right, and the same tree with one thing
# wrong, and has to tell them apart. Nothing of the project but tools/lint and banned.h is read.
#
# shellcheck disable=SC2016 # the backquotes are those of the complaints

root=$(pwd)
lint=$root/tools/lint
tree=$(mktemp -d "${TMPDIR:-/tmp}/sluice-lint.XXXXXX") || exit 1
trap 'rm -rf "$tree"' EXIT
cd "$tree" || exit 1
failures=0

fresh() {
	rm -rf "${tree:?}"/*
	mkdir -p shm cli engine/core engine/wal tests
	cp "$root/banned.h" .
	put shm/base.h '#include <stdint.h>'
	put shm/layout.h '#include "shm/base.h"'
	put shm/events.h '#include "shm/base.h"'
	put engine/core/core.h '#include "shm/events.h"'
	put engine/core/core.c '#include "engine/core/core.h"' 'int sluice_core_x(int a);' \
		'int sluice_core_x(int a)' '{' '	return a;' '}'
	put engine/wal/wal_io_uring.c '#include <liburing.h>'
	put shm/pair.c '#include <stdatomic.h>' \
		'/* sync: give:A -> take:A; the slot before the stamp */' \
		'void give(void) { atomic_store_explicit(&w, 1, memory_order_release); }' \
		'' '' '' \
		'/* sync: take:A <- give:A; the stamp before the slot */' \
		'int take(void) { return atomic_load_explicit(&w, memory_order_acquire); }'
}

put() { # FILE LINE...
	file=$1
	shift
	{
		echo '/* SPDX-License-Identifier: MIT */'
		printf '%s\n' "$@"
	} >"$file"
}

lint_tool() { # TOOL
	case $1 in
	sync_tags) sh "$lint/sync_tags" check ;;
	purity)
		# shellcheck disable=SC2046 # one word per file
		sh "$lint/purity" $(find engine/core -name '*.o') ;;
	*) sh "$lint/$1" ;;
	esac
}

# Passes on the tree as it is.
accepts() { # TOOL WHAT
	if output=$(lint_tool "$1" 2>&1); then
		echo "pass: $1 accepts $2"
	else
		failures=$((failures + 1))
		echo "fail: $1 refuses $2:"
		echo "$output"
	fi
}

# Refuses it, with a complaint that has these words.
refuses() { # TOOL WHAT WORDS
	if output=$(lint_tool "$1" 2>&1); then
		failures=$((failures + 1))
		echo "fail: $1 accepts $2"
	elif ! echo "$output" | grep -qF -- "$3"; then
		failures=$((failures + 1))
		echo "fail: $1 refuses $2 without saying '$3':"
		echo "$output"
	else
		echo "pass: $1 refuses $2"
	fi
}

# --------------------------------------------------------------------------------- sync_tags
fresh
accepts sync_tags 'a pair'
accepts_body() { # WHAT LINE...
	what=$1
	shift
	put shm/extra.c "$@"
	accepts sync_tags "$what"
	rm shm/extra.c
}
refuses_body() { # WHAT WORDS LINE...
	what=$1 words=$2
	shift 2
	put shm/extra.c "$@"
	refuses sync_tags "$what" "$words"
	rm shm/extra.c
}
store='	atomic_store_explicit(&w, 1, memory_order_release);'
relaxed='	atomic_store_explicit(&w, 1, memory_order_relaxed);'
refuses_body 'an untagged store' 'is ordered and has no tag' "$store"
refuses_body 'an untagged fence' 'is ordered and has no tag' '	atomic_thread_fence(memory_order_seq_cst);'
refuses_body 'an untagged exchange over two lines' 'is ordered and has no tag' \
	'	x = atomic_compare_exchange_strong_explicit(&w, &old, 1,' \
	'		memory_order_acq_rel, memory_order_relaxed);'
refuses_body 'a tag too far above' 'has no tag' '/* sync: give:A -> take:A; why */' '' '' '' '' "$store"
refuses_body 'a tag without an access' 'has no ordered access' '/* sync: give:A -> take:A; why */'
refuses_body 'a tag in a string' 'has no tag' '	puts("sync: give:A -> take:A; why");' "$store"
refuses_body 'a partner that is not there' 'one-sided pair' '/* sync: give:B -> take:B; why */' "$store"
refuses_body 'an acquire side alone' 'one-sided pair' '/* sync: take:C <- give:C; why */' \
	'	atomic_load_explicit(&w, memory_order_acquire);'
refuses_body 'a release without a reason' 'gives no reason' '/* sync: give:A -> take:A */' "$store"
refuses_body 'a tag that cannot be read' 'is not' '/* sync: give A to take; why */' "$store"
refuses_body 'an implicit order' 'sequentially consistent without saying so' '	atomic_store(&w, 1);'
refuses_body 'an implicit fetch_add' 'sequentially consistent' '	atomic_fetch_add(&w, 1);'
refuses_body 'volatile' 'volatile' 'static volatile int w;'
refuses_body 'inline assembly' 'inline assembly' '	__asm__ __volatile__("" ::: "memory");'
refuses_body 'a compiler builtin' 'compiler builtin' '	__atomic_store_n(&w, 1, 0);'
refuses_body 'a relaxed access without a word' 'does not say why' '' '' '' "$relaxed"
refuses_body 'a relaxed access in the next function' 'does not say why' 'void f(void)' '{' \
	'	/* relaxed, all: own words */' "$relaxed" '}' '' 'void g(void)' '{' "$relaxed" '}'
accepts_body 'words in comments and strings' '/* volatile asm atomic_store(&w, 1) */' \
	'	puts("volatile");'
accepts_body 'a tag on the same line' "$store /* sync: give:A -> take:A; why */"
accepts_body 'two tags in one comment' '/* sync: give:A -> take:A; why sync: take:A <- give:A */' "$store"
accepts_body 'a tagged membarrier' '/* sync: give:A -> take:A; why */' \
	'	syscall(SYS_membarrier, 0, 0, 0);'
accepts_body 'several partners' '/* sync: take:A <- give:A, take:A <- give:A; why */' "$store"
accepts_body 'a relaxed access with its reason' '	/* relaxed: own word */' "$relaxed"
accepts_body 'one reason for a whole function' 'void f(void)' '{' '	/* relaxed, all: own words */' \
	"$relaxed" '' '' '' '' "$relaxed" '}'
accepts_body 'one reason for statements in a row' '	/* relaxed: own words */' "$relaxed" "$relaxed" \
	"$relaxed" "$relaxed" "$relaxed"
refuses_body 'a row that is broken' 'does not say why' '	/* relaxed: own words */' "$relaxed" \
	"$relaxed" '' '	x++;' "$relaxed"
put shm/extra.c '/* sync: give:B -> take:B; why */' "$store" '' '' '' '/* sync: take:B <- give:B */' \
	'	atomic_load_explicit(&w, memory_order_acquire);'
if sh "$lint/sync_tags" table | grep -qF '| `give:B` | shm/extra.c:2 | `take:B` | shm/extra.c:7 | why |'; then
	echo 'pass: sync_tags tabulates a pair'
else
	failures=$((failures + 1))
	echo 'fail: sync_tags does not tabulate a pair:'
	sh "$lint/sync_tags" table
fi

# ----------------------------------------------------------------------------- include_table
fresh
rm engine/wal/wal_io_uring.c
accepts include_table 'the floor under the core'
put engine/core/more.c '#include "shm/layout.h"'
refuses include_table 'the core with the ring layout' 'engine/core/more.c: may not include shm/layout.h'
put engine/core/more.h '#include "shm/layout.h"'
put engine/core/more.c '#include "engine/core/more.h"'
refuses include_table 'the same through a header' 'engine/core/more.c: may not include shm/layout.h'
fresh
put shm/up.c '#include "engine/core/core.h"'
refuses include_table 'the floor with the engine' 'shm/up.c: may not include engine/core/core.h'
fresh
put cli/up.h '#include "shm/layout.h"'
refuses include_table 'a header of cli with the ring layout' 'cli/up.h: may not include shm/layout.h'
fresh
mkdir misc
put misc/any.c '#include "shm/base.h"'
refuses include_table 'a directory that the table does not know' 'misc/any.c: no line'
fresh
put shm/broken.c '#include "shm/absent.h"'
refuses include_table 'a file that does not preprocess' 'absent.h'

# ------------------------------------------------------------------------------------ purity
compile_core() {
	for source in engine/core/*.c; do
		${CC:-gcc} -std=gnu17 -I. -O2 -w -c "$source" -o "${source%.c}.o" || exit 1
	done
}
fresh
compile_core
accepts purity 'integers'
impure() { # WHAT WORDS LINE...
	what=$1 words=$2
	shift 2
	fresh
	put engine/core/more.c "$@"
	compile_core
	refuses purity "$what" "$words"
}
impure 'a call of malloc' 'refers to `malloc`' '#include <stddef.h>' 'void *malloc(size_t);' \
	'void *f(size_t n) { return malloc(n); }'
impure 'the clock' 'refers to `time`' 'long time(long *); long f(void) { return time(0); }'
impure 'a double' 'floating point' 'int f(int a) { double b = a; return b > 3; }'
impure 'a floating constant' 'floating-point constant' 'int f(int a) { return a * 1.5; }'
impure 'stdio' 'takes nothing from this header' '#include <stdio.h>'
impure 'an atomic' 'atomics' '_Atomic int w;'
fresh
put engine/core/more.c 'int sluice_core_x(int); /* double */ int f(int a) { return sluice_core_x(a); }'
compile_core
accepts purity 'a call within the core'
put shm/second.c '#include <liburing.h>'
refuses purity 'a second file with liburing' 'exactly one file'
rm shm/second.c engine/wal/wal_io_uring.c
refuses purity 'no file with liburing' 'exactly one file'
fresh
refuses purity 'no objects' 'no objects'

# ------------------------------------------------------------------------------------- style
fresh
accepts style 'a small tree'
ugly() { # WHAT WORDS LINE...
	what=$1 words=$2
	shift 2
	put shm/extra.c "$@"
	refuses style "$what" "$words"
	rm shm/extra.c
}
long_function() { # LINES
	echo 'int f(void)'
	echo '{'
	awk -v n="$1" 'BEGIN { while (n-- > 2) print "\t;" }'
	echo '}'
}
put shm/extra.c "$(long_function 70)"
accepts style 'a function of 70 lines'
put shm/extra.c "$(long_function 71)"
refuses style 'a function of 71 lines' '`f` has 71 lines'
put shm/extra.c "$(awk 'BEGIN { while (n++ < 500) print "int a" n ";" }')"
refuses style 'a file of 501 lines' 'the file has 501 lines'
wide=$(awk 'BEGIN { while (n++ < 92) printf "x" }')
put shm/extra.c "	$wide"
accepts style '100 columns'
ugly '101 columns' '101 columns' "	${wide}x"
put shm/extra.c "	puts(\"$wide\");"
accepts style 'a long text in one piece'
rm shm/extra.c
for banned in strcpy strcat sprintf gets strtok atoi; do
	ugly "$banned" "\`$banned\` is banned" "	$banned (a);"
done
put shm/extra.c '	my_strcpy(a); snprintf(a); /* strcpy(a) */'
accepts style 'names that look like banned ones'
rm shm/extra.c
ugly 'a leftover note' 'a leftover note' "/* TO""DO: later */"
ugly 'blanks at the end' 'white space at the end' 'int a; '
ugly 'blanks for tabs' 'indented with blanks' '    int a;'
ugly 'a typedef for a struct' 'a typedef for a struct' 'typedef struct a a;'
echo 'int a;' >shm/extra.c
refuses style 'a file without a licence line' 'SPDX'
rm shm/extra.c
echo 'echo a' >tests/x.sh
refuses style 'a script without a licence line' 'tests/x.sh:1: no line'
fresh
: >banned.h
refuses style 'an empty list of banned functions' 'lists no function'

echo "$failures failures"
[ "$failures" -eq 0 ]
