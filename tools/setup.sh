#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what the build needs and is not there, then builds:
#
#	sh tools/setup.sh		packages and build
#	sh tools/setup.sh demo		... and `make demo`
#	sh tools/setup.sh test		... and `make test`
#
# Says what it installs before it does. Changes nothing else on the machine: no kernel setting, no
# service, no file outside the package manager's and build/. Exit status: 0 ok, 1 the build, demo or
# tests failed, 2 usage, 3 packages are missing and cannot be installed from here.

set -u
cd "$(dirname "$0")/.." || exit 1

usage() {
	echo 'usage: sh tools/setup.sh [demo|test]' >&2
	exit 2
}
[ $# -le 1 ] || usage
goal=${1:-}
packages='make gcc libc6-dev pkg-config liburing-dev libnuma-dev libhwloc-dev libjansson-dev zlib1g-dev'
case $goal in
'') steps=2 ;;
demo) steps=3 ;;
test)
	steps=3
	packages="$packages libcmocka-dev"
	;;
*) usage ;;
esac

module() { # PACKAGE: its name in pkg-config
	case $1 in
	liburing-dev) echo liburing ;;
	libnuma-dev) echo numa ;;
	libhwloc-dev) echo hwloc ;;
	libjansson-dev) echo jansson ;;
	zlib1g-dev) echo zlib ;;
	libcmocka-dev) echo cmocka ;;
	esac
}

# Whether what a package is for works, wherever it came from.
have() { # PACKAGE
	case $1 in
	make | pkg-config) command -v "$1" >/dev/null ;;
	gcc) command -v "${CC:-gcc}" >/dev/null ;;
	libc6-dev) [ -f /usr/include/stdio.h ] ;;
	*) command -v pkg-config >/dev/null && pkg-config --exists "$(module "$1")" ;;
	esac
}

missing=
for package in $packages; do
	have "$package" || missing="$missing $package"
done
missing=${missing# }

# How to run apt-get, or the exit with what to type instead.
choose_root() {
	install_line="apt-get install --no-install-recommends $missing"
	if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
		echo "not a Debian-like system: install what it calls these packages: $missing" >&2
		exit 3
	fi
	if [ "$(id -u)" -eq 0 ]; then
		as_root=
	elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		as_root=sudo
	else
		echo 'not root, and sudo is not usable here; ask an administrator to run:' >&2
		echo "	$install_line" >&2
		exit 3
	fi
}

apt() {
	# shellcheck disable=SC2086 # sudo or nothing
	$as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q \
		-o DPkg::Lock::Timeout=120 "$@" </dev/null
}

apt_update() {
	echo '      package lists: apt-get update'
	apt update >"$log" 2>&1 && return
	failed 'apt-get update'
}

apt_install() {
	# shellcheck disable=SC2086 # one word per package
	apt install -y --no-install-recommends $missing >"$log" 2>&1
}

failed() { # WHAT
	tail -n 20 "$log" >&2
	echo "$1 failed; once packages can be had: $install_line" >&2
	rm -f "$log"
	exit 3
}

install_missing() {
	choose_root
	log=$(mktemp) || exit 1
	trap 'rm -f "$log"' EXIT
	began=$(date +%s)
	echo "[1/$steps] packages to install: $missing"
	# shellcheck disable=SC2086 # one word per package
	apt install --simulate --no-install-recommends $missing >"$log" 2>&1 || apt_update
	# shellcheck disable=SC2086
	apt install --assume-no --no-install-recommends $missing 2>/dev/null |
		sed -n -e 's/^Need to get \(.*\) of archives.*/      download: \1/p' \
			-e 's/^After this operation, \(.*\) of additional.*/      on disk: \1/p'
	if ! apt_install; then
		# The lists may be older than what the mirror still has.
		apt_update
		apt_install || failed 'apt-get install'
	fi
	for package in $missing; do
		have "$package" || failed "$package is installed and still not usable: it"
	done
	echo "      done in $(($(date +%s) - began)) s"
}

if [ -z "$missing" ]; then
	echo "[1/$steps] packages: nothing to do"
else
	install_missing
fi
echo "[2/$steps] build"
make -j"$(nproc)" || exit 1
[ -n "$goal" ] || exit 0
echo "[3/$steps] make $goal"
if [ "$goal" = test ]; then
	make -j"$(nproc)" test || exit 1
else
	make demo || exit 1
fi
