#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library's manual pages and docs/shm-layout.md against the headers: every public function has its
# place in a page, every page is sound roff, every word of the layout is in the document.

LC_ALL=C
export LC_ALL
. tests/integration/lib.sh

# ------------------------------------------------------------------------------- manual pages
pages=$(ls docs/man/*.[357]) || pages=/dev/null
for page in sluice.7 sluice_segment.3 sluice_producer.3 sluice_consumer.3 sluice_processor.3 sluice_wait.3 sluice-shm.5; do
	check "there is a page $page" [ -s "docs/man/$page" ]
done

# A function is documented where a SYNOPSIS declares it.
# shellcheck disable=SC2086 # one word per file
awk '/^\.SH / { on = /SYNOPSIS/ } on' $pages | tr -c 'a-z0-9_' '\n' | grep '^sluice_' | sort -u >"$place/named"
sh lib/api functions >"$place/functions"
missing=$(comm -23 "$place/functions" "$place/named" | tr '\n' ' ')
check "every public function is in a SYNOPSIS $missing" [ -s "$place/functions" -a -z "$missing" ]

# Inline functions, too, and nothing that is no more.
for header in $(sh lib/api headers); do
	sed -n 's/^static inline .*[ *]\(sluice_[a-z0-9_]*\)(.*/\1/p' "$header"
done | sort -u >"$place/inline"
cat "$place/functions" "$place/inline" | sort -u >"$place/all"
# shellcheck disable=SC2046,SC2086 # one word per file
{ # names in the headers, environment variables, the pages themselves
	cat $(sh lib/api headers)
	grep -h 'getenv(' shm/*.c
	basename -a $pages
} | tr -c 'a-zA-Z0-9_' '\n' | sort -u >"$place/words"
# shellcheck disable=SC2086 # one word per file
stale=$(cat $pages | sed 's/\\-/-/g' | tr -c 'a-zA-Z0-9_' '\n' |
	grep -E '^(sluice_[a-z0-9_]+|SLUICE_[A-Z0-9_]+)$' | sort -u | comm -23 - "$place/words" | tr '\n' ' ')
check "no page names what the headers do not have $stale" [ -z "$stale" ]

# Pages that are named exist.
broken=
for page in $pages; do
	for other in $(sed -n 's/^\.BR \([a-z_-]*\) (\([357]\)).*/\1.\2/p' "$page"); do
		case $other in sluice*) [ -s "docs/man/$other" ] || broken="$broken $page:$other" ;; esac
	done
done
check "pages refer to pages that exist$broken" [ -z "$broken" ]

if command -v groff >/dev/null; then
	back=$(printf '\b') escape=$(printf '\033')
	for page in $pages; do
		groff -Tutf8 -man -ww "$page" >"$place/page" 2>"$place/warnings"
		check "${page##*/} is sound roff" [ ! -s "$place/warnings" ]
		show "$place/warnings"
		# bold is printed twice, or between escape sequences
		sed "s/.$back//g; s/$escape\[[0-9;]*m//g" "$place/page" >"$place/plain"
		wide=$(LC_ALL=C.UTF-8 grep '.\{81,\}' "$place/plain")
		check "${page##*/} fits 80 columns $wide" [ -s "$place/plain" -a -z "$wide" ]
	done
elif command -v mandoc >/dev/null; then
	for page in $pages; do
		check "${page##*/} is sound roff" mandoc -Tlint -Wwarning "$page"
	done
else
	echo 'skip: manual pages are sound roff: neither groff nor mandoc'
fi

# --------------------------------------------------------------------------- the layout's words
# A section of the document begins with "`struct NAME`, BYTES bytes" and has a row per field.
layout() { # one line per assert: struct field offset, or struct - bytes
	tr -d '\n' <shm/layout.h | tr ';' '\n' | sed -n \
		-e 's/.*SLUICE_ASSERT_OFFSET(\([a-z_]*\), \([a-z_]*\), *\([0-9]*\)).*/\1 \2 \3/p' \
		-e 's/.*SLUICE_ASSERT_SIZE(\([a-z_]*\), *\([0-9+* ]*\)).*/\1 - \2/p'
}
layout | while read -r struct field offset; do
	[ "$field" != - ] || offset=$(($offset))
	echo "$struct $field $offset"
done >"$place/asserts"
undocumented=$(awk -v asserts="$place/asserts" '
	match($0, /`struct sluice_[a-z_]*`, [0-9]* bytes/) {
		split(substr($0, RSTART, RLENGTH), word, /[`, ]+/)
		struct = word[3]
		size[struct] = word[4]
	}
	/^## / { struct = "" }
	/^\| [0-9]+ \|/ && struct {
		split($0, cell, / *\| */)
		for (i = 3; i <= 4; i++)
			if (match(cell[i], /^`[a-z_]+/))
				row[struct " " substr(cell[i], 2, RLENGTH - 1) " " cell[2]]
	}
	END {
		while ((getline line < asserts) > 0) {
			n++
			split(line, want, " ")
			if (want[2] == "-" ? size[want[1]] != want[3] : !(line in row))
				print line
		}
		if (n < 100)
			print "only " n " asserts were found"
	}' docs/shm-layout.md)
check 'docs/shm-layout.md has every field, offset and size of shm/layout.h' [ -z "$undocumented" ]
[ -z "$undocumented" ] || echo "$undocumented"
version=$(sed -n 's/^#define SLUICE_ABI_M[AI][JN]OR \([0-9]*\).*/\1/p' shm/layout.h | paste -sd.)
check "docs/shm-layout.md describes ABI $version" grep -q "ABI version $version" docs/shm-layout.md
finish
