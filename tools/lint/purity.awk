# SPDX-License-Identifier: MIT
#
# See purity. Used after c_scan.awk; the files of engine/core are the arguments.

FNR == 1 { c_scan_begin() }

{
	c_scan_line($0)
	text = code[FNR]
	if (text ~ /(^|[^A-Za-z0-9_])(float|double|long double|_Complex|__m128d?)([^A-Za-z0-9_]|$)/ && ++bad)
		print FILENAME ":" FNR ": floating point in the pure core"
	if (text ~ /(^|[^A-Za-z0-9_.])([0-9]+[.][0-9]*|[.][0-9]+|[0-9]+[eE][-+]?[0-9]+)[fFlL]?([^A-Za-z0-9_.]|$)/ && ++bad)
		print FILENAME ":" FNR ": a floating-point constant in the pure core"
	if (text ~ /^[ \t]*#[ \t]*include[ \t]*</ && text !~ /<(limits|stdalign|stdbool|stddef|stdint|string)[.]h>/ && ++bad)
		print FILENAME ":" FNR ": the pure core takes nothing from this header"
	if (text ~ /(^|[^A-Za-z0-9_])(_Atomic|atomic_[a-z_]+|_Thread_local|__thread)([^A-Za-z0-9_]|$)/ && ++bad)
		print FILENAME ":" FNR ": atomics and thread-locals do not belong into the pure core"
}
END { exit bad > 0 }
