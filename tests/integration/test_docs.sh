#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The documents tell the truth as far as a script can see: figures come from the committed result
# file, links lead somewhere, options that are named exist, samples are read by the programs.

. tests/integration/lib.sh

# Figures: the tables of these pages are what the program makes of the result files they name.
for page in README.md docs/benchmarking.md docs/benchmarking-wal.md; do
	results=$(sed -n 's/^<!-- figures: \(.*\) -->$/\1/p' "$page")
	check "$page names its result files" [ -n "$results" ]
	brief=
	[ "$page" = README.md ] && brief=--brief
	for result in $results; do
		# shellcheck disable=SC2086 # no word or one
		"$bin/sluice-bench" table "$result" $brief >"$place/table" 2>"$place/error" ||
			show "$place/error"
		awk -v from="<!-- figures: $result -->" '$0 == from { on = 1; next }
			/^<!-- end of figures -->$/ { on = 0 } on' "$page" |
			sed '/^$/d' >"$place/shown"
		sed '/^$/d' "$place/table" >"$place/made"
		check "the table in $page is what sluice-bench makes of $result" \
			sh -c '[ -s "$1" ] && cmp "$1" "$2"' - "$place/made" "$place/shown"
	done
done

# Links between the documents.
broken=$(for page in *.md docs/*.md; do
	grep -o '](\([^)#:]*\))' "$page" | sed 's/^](//; s/)$//' | while read -r target; do
		[ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
	done
done)
if [ -z "$broken" ]; then pass 'every link leads to a file'; else fail "links: $broken"; fi

# Options that README and the operations page use.
unknown=$(cat README.md docs/operations.md | grep -o 'sluice-[a-z]* [^|#`]*' | while read -r line; do
	program=${line%% *}
	[ -x "$bin/$program" ] || continue
	for word in $line; do
		case $word in --[a-z]*)
			word=${word%%[!a-z-]*}
			"$bin/$program" --help | grep -q -e "$word\\>" || echo "$program $word"
			;;
		esac
	done
done)
if [ -z "$unknown" ]; then pass 'every option named exists'; else fail "options: $unknown"; fi

# The samples.
"$bin/sluice-producer" --dry-run --from docs/samples/commands.csv >"$place/csv" 2>"$place/error"
check 'docs/samples/commands.csv is read' [ $? -eq 0 ]
"$bin/sluice-producer" --dry-run --from docs/samples/commands.jsonl >"$place/jsonl" 2>>"$place/error"
check 'docs/samples/commands.jsonl is read' [ $? -eq 0 ]
check 'both samples are the same commands' cmp "$place/csv" "$place/jsonl"
"$bin/sluice-engine" --name "$name" --wal "$place/wal" --format --wal-size 16M --once \
	2>>"$place/error" &
"$bin/sluice-consumer" --name "$name" --json >"$place/reports" 2>>"$place/error" &
"$bin/sluice-producer" --name "$name" --from docs/samples/commands.csv 2>>"$place/error"
wait
check 'docs/samples/reports.jsonl is what the engine answers to them' \
	cmp docs/samples/reports.jsonl "$place/reports"
[ "$failures" -eq 0 ] || show "$place/error"
finish
