# SPDX-License-Identifier: MIT
#
# See style. Used after c_scan.awk; the files to check are the arguments.

BEGIN {
	FUNCTION_LINES = 70
	FILE_LINES = 500
	COLUMNS = 100
	errors = 0
	while ((getline line < ratchet_file) > 0)
		if (line !~ /^[ \t]*(#|$)/) {
			split(line, field, /[ \t]+/)
			ratchet[field[1]] = field[2] + 0
		}
	while ((getline line < banned_file) > 0)
		if (match(line, /[a-z]+[(].*SLUICE_BANNED[(]/)) {
			line = substr(line, RSTART)
			sub(/[(].*/, "", line)
			banned[line] = 1
			names++
		}
	if (!names)
		print_error("banned.h", 1, "lists no function")
}

FNR == 1 {
	if (NR > 1)
		end_file()
	file = FILENAME
	c_scan_begin()
	if ($0 != "/* SPDX-License-Identifier: MIT */")
		print_error(file, 1, "the first line is not /* SPDX-License-Identifier: MIT */")
}

{
	c_scan_line($0)
	check_line(FNR, $0)
	track_function(FNR)
}

END {
	end_file()
	for (entry in ratchet)
		if (!(entry in ratchet_used))
			print_error("tools/lint/style.ratchet", 1, "`" entry "` is no longer needed: remove its line")
	exit errors > 0
}

function print_error(where, line, text)
{
	print where ":" line ": " text
	errors++
}

# Larger than the limit is allowed up to the ratchet's figure.
function check_size(entry, line, size, limit, what)
{
	if (size <= limit)
		return
	if (!(entry in ratchet))
		print_error(file, line, what " has " size " lines, limit " limit)
	else if (size > ratchet[entry])
		print_error(file, line, what " has grown to " size " lines, ratchet " ratchet[entry])
	ratchet_used[entry] = 1
}

function end_file()
{
	check_size(file, 1, lines, FILE_LINES, "the file")
}

function width(text,	columns, at)
{
	columns = 0
	while ((at = index(text, "\t")) > 0) {
		columns += characters(substr(text, 1, at - 1))
		columns += 8 - columns % 8
		text = substr(text, at + 1)
	}
	return columns + characters(text)
}

# UTF-8: continuation bytes are no characters.
function characters(text)
{
	gsub(/[\200-\277]/, "", text)
	return length(text)
}

# A text for people stays in one piece, so that it can be searched for.
function long_literal(text)
{
	return gsub(/"([^"\\]|\\.)*"/, "\"\"", text) && width(text) <= COLUMNS
}

function check_line(n, text,	rest, word)
{
	if (width(text) > COLUMNS && !long_literal(text))
		print_error(file, n, width(text) " columns, limit " COLUMNS)
	if (text ~ /[ \t]$/)
		print_error(file, n, "white space at the end")
	if (text ~ /(^|[^A-Za-z_])(TO[D]O|FIX[M]E|XX[X])([^A-Za-z_]|$)/)
		print_error(file, n, "a leftover note")
	if (code[n] ~ /^ +[^ *]/ && text !~ /^ \*/)
		print_error(file, n, "indented with blanks, not tabs")
	if (code[n] ~ /(^|[^A-Za-z0-9_])typedef[ \t]+struct([^A-Za-z0-9_]|$)/)
		print_error(file, n, "a typedef for a struct")
	if (file ~ /^tests\// || file == banned_file)
		return
	rest = code[n]
	while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*[(]/)) {
		word = substr(rest, RSTART, RLENGTH)
		gsub(/[ \t(]/, "", word)
		if (word in banned)
			print_error(file, n, "`" word "` is banned, see banned.h")
		rest = substr(rest, RSTART + RLENGTH)
	}
}

# A function's body stands between a { and a } in the first column; its name before the first
# parenthesis above.
function track_function(n,	up, text)
{
	if (code[n] ~ /^[{]/) {
		body_from = n
		text = ""
		for (up = n - 1; up > 0 && code[up] !~ /^[ \t]*$|^[}#]|;[ \t]*$/; up--)
			text = code[up] " " text
		name = ""
		sub(/[ \t]*[(].*/, "", text)
		if (match(text, /[A-Za-z_][A-Za-z0-9_]*$/))
			name = substr(text, RSTART)
	} else if (code[n] ~ /^[}]/ && body_from) {
		check_size(file ":" name, body_from, n - body_from + 1, FUNCTION_LINES, "`" name "`")
		body_from = 0
	}
}
