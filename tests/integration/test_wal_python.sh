#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs/wal-format.md is enough: a reader in Python, written from it, agrees with `sluice wal inspect`,
# `verify` and `dump` and with recovery, on logs that are whole and on logs damaged in every way.

# Many copies of a log, each read a few times: in memory, where there is some.
[ -w /dev/shm ] && TMPDIR=/dev/shm
. tests/integration/lib.sh

helpers=${SLUICE_BUILD:-build/release}/tests/integration
case $helpers in /*) ;; *) helpers=$(pwd)/$helpers ;; esac
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then
	echo 'skip: test_wal_python: no python3 (3.7 or later)'
	exit 77
fi
mkdir "$place/logs"
PYTHONDONTWRITEBYTECODE=1 python3 tests/golden/compare.py "$bin" "$helpers" "$place/logs"
