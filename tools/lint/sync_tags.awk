# SPDX-License-Identifier: MIT
#
# See sync_tags. Used after c_scan.awk; the files to check are the arguments.

BEGIN {
	LABEL = "[A-Za-z_][A-Za-z0-9_]*:[A-Za-z0-9_]+"
	PAIR = LABEL " (->|<-) " LABEL
	PAIRS = "^" PAIR "(, (" PAIR "|" LABEL "))*"
	NEAR = 3
	EXPLICIT = "(^|[^A-Za-z0-9_])atomic_(load|store|exchange|fetch_[a-z]+|compare_exchange_(weak|strong)|" \
		"thread_fence|signal_fence|flag_test_and_set_explicit|flag_clear_explicit)(_explicit)?[ \t]*[(]"
	errors = 0
	while (allow_file != "" && (getline line < allow_file) > 0)
		if (line !~ /^[ \t]*(#|$)/) {
			split(line, field, /[ \t]+/)
			allowed[field[1], field[2]] = 1
		}
}

FNR == 1 {
	if (NR > 1)
		check_file()
	file = FILENAME
	sub(/^\.\//, "", file)
	c_scan_begin()
}

{ c_scan_line($0) }

END {
	if (NR)
		check_file()
	check_pairs()
	if (mode == "table")
		print_table()
	exit errors > 0
}

function complain(line, text)
{
	if (mode != "table")
		print file ":" line ": " text
	errors++
}

function check_file(	n)
{
	find_tags()
	all_relaxed_to = 0
	run_to = -1
	for (n = 1; n <= lines; n++) {
		note_all_relaxed(n)
		check_line(n)
	}
	for (n = 1; n <= tags; n++)
		if (!tag_used[n])
			complain(tag_line[n], "tag `" tag_text[n] \
				"` has no ordered access on its line or in the " NEAR " below")
}

# ------------------------------------------------------------------------------------- tags

function find_tags(	k, rest, at, one, next_at)
{
	tags = 0
	split("", tag_used)
	for (k = 1; k <= comments; k++) {
		rest = comment_text[k]
		while ((at = match(rest, /(^|[ (])sync: /)) > 0) {
			rest = substr(rest, at + RLENGTH)
			next_at = match(rest, /[ (]sync: /)
			one = next_at ? substr(rest, 1, next_at - 1) : rest
			add_tag(k, one)
		}
	}
}

function add_tag(k, text,	head, reason, many, i, own, arrow, word)
{
	gsub(/[ \t]+/, " ", text)
	sub(/^ /, "", text)
	sub(/ $/, "", text)
	tags++
	tag_comment[tags] = k
	tag_line[tags] = comment_from[k]
	tag_text[tags] = text
	if (!match(text, PAIRS)) {
		complain(comment_from[k], "tag `" text "` is not `label:A -> label:B; reason` or `label:B <- label:A; reason`")
		tag_used[tags] = 1
		return
	}
	head = substr(text, 1, RLENGTH)
	reason = substr(text, RLENGTH + 1)
	tag_text[tags] = head
	if (reason !~ /^;/ && reason != "")
		complain(comment_from[k], "tag `" head "`: what follows the labels must be `; reason`")
	sub(/^; */, "", reason)
	if (head ~ / -> / && reason == "")
		complain(comment_from[k], "tag `" head "` gives no reason")
	many = split(head, item, /, /)
	for (i = 1; i <= many; i++) {
		if (split(item[i], word, / /) == 3) {
			own = word[1]
			arrow = word[2]
		}
		add_half(arrow == "->", own, word[3] != "" ? word[3] : word[1], comment_from[k], reason)
		split("", word)
	}
}

function add_half(release, own, partner, line, reason,	key)
{
	key = release ? own SUBSEP partner : partner SUBSEP own
	if (!(key in pair_known)) {
		pair_known[key] = 1
		pair[++pairs] = key
	}
	if (release) {
		left_at[key] = left_at[key] (key in left_at && left_at[key] != "" ? ", " : "") file ":" line
		if (reason != "")
			left_reason[key] = reason
	} else {
		right_at[key] = right_at[key] (key in right_at && right_at[key] != "" ? ", " : "") file ":" line
		if (reason != "")
			right_reason[key] = reason
	}
}

function check_pairs(	i, key, part)
{
	for (i = 1; i <= pairs; i++) {
		key = pair[i]
		split(key, part, SUBSEP)
		if (left_at[key] == "")
			one_sided(right_at[key], part[2] " <- " part[1], part[1] " -> " part[2])
		else if (right_at[key] == "")
			one_sided(left_at[key], part[1] " -> " part[2], part[2] " <- " part[1])
	}
}

function one_sided(where, has, lacks)
{
	sub(/,.*/, "", where)
	if (mode != "table")
		print where ": one-sided pair: `" has "` has no partner `" lacks "`"
	errors++
}

# --------------------------------------------------------------------------------- accesses

function is_allowed(token)
{
	return (file, token) in allowed
}

function check_line(n,	text)
{
	text = code[n]
	if (text ~ /(^|[^A-Za-z0-9_])volatile([^A-Za-z0-9_]|$)/ && !is_allowed("volatile"))
		complain(n, "`volatile` says nothing about ordering: use <stdatomic.h>")
	if (text ~ /(^|[^A-Za-z0-9_])(__)?asm(__)?([^A-Za-z0-9_]|$)/ && !is_allowed("asm"))
		complain(n, "inline assembly")
	if (text ~ /(^|[^A-Za-z0-9_])__(atomic|sync)_[a-z]/)
		complain(n, "compiler builtin: use <stdatomic.h>")
	if (text ~ /syscall *[(] *(SYS|__NR)_(membarrier|futex)/)
		use_tags(n, n)
	while (match(text, EXPLICIT)) {
		check_access(n, text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
	}
}

# The whole call, its lines joined: from the opening parenthesis of line n to the closing one.
function call_text(n, text,	depth, out, i, c)
{
	depth = 1
	out = ""
	call_end = n
	while (1) {
		for (i = 1; i <= length(text); i++) {
			c = substr(text, i, 1)
			if (c == "(")
				depth++
			else if (c == ")" && --depth == 0)
				return out substr(text, 1, i - 1)
		}
		out = out text " "
		if (call_end >= lines)
			return out
		text = code[++call_end]
	}
}

function check_access(n, text, start, len,	name, args, rest, count, relaxed)
{
	name = substr(text, start, len)
	gsub(/[^a-z_]/, "", name)
	args = call_text(n, substr(text, start + len))
	if (name !~ /_(explicit|fence)$/) {
		complain(n, "`" name "` is sequentially consistent without saying so: use " name "_explicit")
		return
	}
	# An inner access of the same call is checked for itself.
	gsub(/atomic_[a-z_]+_explicit *[(][^()]*([(][^()]*[)][^()]*)*[)]/, "", args)
	rest = args
	count = gsub(/memory_order_/, "", rest)
	rest = args
	relaxed = gsub(/memory_order_relaxed/, "", rest)
	if (count && count == relaxed)
		check_relaxed(n, call_end, name)
	else if (!use_tags(n, call_end))
		complain(n, "`" name "` is ordered and has no tag `sync: label:A -> label:B; reason` on its line or in the " NEAR " above")
}

function covers(k, from, to)
{
	return comment_from[k] <= to && comment_to[k] >= from - NEAR
}

# A tag belongs to the accesses on its lines and in the NEAR lines below it.
function use_tags(from, to,	i, found)
{
	found = 0
	for (i = 1; i <= tags; i++)
		if (covers(tag_comment[i], from, to)) {
			tag_used[i] = 1
			found = 1
		}
	return found
}

# Statements that follow each other without a line between share the first one's reason.
function check_relaxed(from, to, name,	k, explained)
{
	explained = use_tags(from, to) || from <= all_relaxed_to || from <= run_to + 1
	for (k = 1; k <= comments && !explained; k++)
		explained = covers(k, from, to)
	if (explained) {
		run_to = to
		return
	}
	complain(from, "relaxed `" name "` does not say why: on its line, in the " NEAR \
		" above, or `relaxed, all: why` for the rest of its function")
}

# Called at each line in turn: how far a comment that begins `relaxed, all:` reaches. It stands in
# the function or right above it.
function note_all_relaxed(n,	k)
{
	for (k = 1; k <= comments; k++)
		if (comment_from[k] == n && tolower(comment_text[k]) ~ /(^|[ .])relaxed, all[a-z ]*:/)
			all_relaxed_to = function_end(comment_to[k])
}

function function_end(n)
{
	while (n < lines && code[n] !~ /^}/)
		n++
	return n
}

# ------------------------------------------------------------------------------------ table

function print_table(	i, j, key, part, sorted, why)
{
	for (i = 1; i <= pairs; i++) {
		key = pair[i]
		for (j = i - 1; j > 0 && sorted[j] > key; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = key
	}
	print "| release | at | acquire | at | why |"
	print "|---|---|---|---|---|"
	for (i = 1; i <= pairs; i++) {
		split(sorted[i], part, SUBSEP)
		key = sorted[i]
		why = left_reason[key]
		if (right_reason[key] != "" && right_reason[key] != why)
			why = why " / " right_reason[key]
		printf "| `%s` | %s | `%s` | %s | %s |\n", part[1], left_at[key], part[2], right_at[key], why
	}
}
