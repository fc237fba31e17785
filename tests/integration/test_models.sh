#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The protocol models at their smaller bounds, and every mutant; `make model` has all bounds. The lines
# of tests/model/run are those of a suite. LIMIT is generous: sanitizer builds may share the machine.

LIMIT=${LIMIT:-40} exec sh tests/model/run --quick
