# SPDX-License-Identifier: MIT
#
# Splits C into code and comments. c_scan_line() is called once per input line, c_scan_begin() at a
# file's first; afterwards
#
#	code[n]		line n with strings, characters and comments blanked out
#	comments	how many comments; comment k covers lines comment_from[k]..comment_to[k],
#	comment_text[k]	its words on one line
#
# Consecutive // lines are comments of their own.

function c_scan_begin(	k)
{
	split("", code)
	split("", comment_from)
	split("", comment_to)
	split("", comment_text)
	comments = 0
	scan_in_comment = 0
	lines = 0
}

function scan_blank(length_,	out)
{
	out = ""
	while (length_-- > 0)
		out = out " "
	return out
}

# Length of the string or character literal that `text` begins with.
function scan_literal(text, quote,	i, c)
{
	for (i = 2; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "\\")
			i++
		else if (c == quote)
			return i
	}
	return length(text)
}

function scan_add(text)
{
	gsub(/^[ \t*]+/, "", text)
	comment_text[comments] = comment_text[comments] " " text
	comment_to[comments] = lines
}

function scan_open()
{
	comment_from[++comments] = lines
	comment_text[comments] = ""
}

function c_scan_line(text,	out, at, two, one, n)
{
	lines++
	out = ""
	while (text != "") {
		if (scan_in_comment) {
			at = index(text, "*/")
			n = at ? at + 1 : length(text)
			scan_add(at ? substr(text, 1, at - 1) : text)
			out = out scan_blank(n)
			text = substr(text, n + 1)
			scan_in_comment = !at
			continue
		}
		if (!match(text, /["'\/]/)) {
			out = out text
			break
		}
		out = out substr(text, 1, RSTART - 1)
		text = substr(text, RSTART)
		two = substr(text, 1, 2)
		one = substr(text, 1, 1)
		n = 1
		if (two == "/*") {
			scan_open()
			scan_in_comment = 1
			n = 2
			out = out "  "
		} else if (two == "//") {
			scan_open()
			scan_add(substr(text, 3))
			n = length(text)
		} else if (one == "/") {
			out = out "/"
		} else {
			n = scan_literal(text, one)
			# An #include's name is code.
			if (out ~ /^[ \t]*#[ \t]*include/)
				out = out substr(text, 1, n)
			else
				out = out one scan_blank(n - 2) one
		}
		text = substr(text, n + 1)
	}
	if (scan_in_comment && comment_to[comments] != lines)
		scan_add("")
	code[lines] = out
}
