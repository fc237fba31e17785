/* SPDX-License-Identifier: MIT */
/* demo_dir.c - see demo_dir.h. */
#include "tools/demo_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB (1ull << 20)
#define LOG_BYTES_MIN (16 * MIB) /* of sluice-engine --wal-size */
#define LOG_BYTES_PER_TEN_SECONDS (1024 * MIB)
#define BLOCK_BYTES 4096ull
#define FILE_COMMANDS_MAX 1000000u /* what the log is sized for when the number is not known */
#define LINE_BYTES_MIN 8u	   /* of a line of orders */
#define SYMBOLS_MAX 1024u	   /* which some formats do not have in lines of their own */

static uint64_t free_of(const char *path, bool *ret_is_memory)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return 0;
	*ret_is_memory = fs.f_type == TMPFS_MAGIC;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

int sluice_demo_dir_make(struct sluice_demo_dir *ret_dir, uint64_t wanted, struct sluice_diag *diag)
{
	const char *given = getenv("TMPDIR");
	const char *parent = given && *given ? given : "/tmp";
	struct sluice_demo_dir dir = {.path = ""};

	dir.free_bytes = free_of(parent, &dir.is_memory);
	if (parent != given && dir.is_memory && dir.free_bytes < wanted &&
	    !access("/var/tmp", W_OK)) {
		parent = "/var/tmp";
		dir.free_bytes = free_of(parent, &dir.is_memory);
	}
	if (snprintf(dir.path, sizeof(dir.path), "%s/sluice-demo-%d-XXXXXX", parent,
		     (int)getpid()) >= (int)sizeof(dir.path))
		return sluice_diag_set(diag, ENAMETOOLONG, "TMPDIR is too long: %.64s...", parent);
	if (!mkdtemp(dir.path)) {
		sluice_diag_set(diag, errno, "cannot make a directory in %s: %s", parent,
				strerror(errno));
		sluice_diag_hint(diag, "TMPDIR=/var/tmp sluice demo");
		return -EACCES;
	}
	*ret_dir = dir;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	remove(path);
	return 0;
}

void sluice_demo_dir_remove(const struct sluice_demo_dir *dir)
{
	if (dir->path[0])
		nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

uint64_t sluice_demo_log_bytes(uint64_t commands, uint64_t seconds, uint64_t free_bytes)
{
	const uint64_t most = (seconds + 9) / 10 * LOG_BYTES_PER_TEN_SECONDS;
	uint64_t bytes = commands > most / BLOCK_BYTES ? most : commands * BLOCK_BYTES;

	/* restarts and the ends of segments take blocks of their own */
	bytes += 2 * LOG_BYTES_MIN;
	if (bytes > most)
		bytes = most;
	if (bytes > free_bytes / 3)
		bytes = free_bytes / 3;
	bytes = bytes / LOG_BYTES_MIN * LOG_BYTES_MIN;
	return bytes;
}

static bool is_gzip(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char magic[2] = {0, 0};
	ssize_t n = -1;

	if (fd >= 0) {
		n = pread(fd, magic, sizeof(magic), 0);
		close(fd);
	}
	return n == (ssize_t)sizeof(magic) && magic[0] == 0x1f && magic[1] == 0x8b;
}

uint64_t sluice_demo_file_commands(const char *path)
{
	uint64_t commands;
	struct stat st;

	/* who opens a pipe and goes away ends its writer */
	if (stat(path, &st) || !S_ISREG(st.st_mode) || is_gzip(path))
		return FILE_COMMANDS_MAX;
	commands = (uint64_t)st.st_size / LINE_BYTES_MIN + SYMBOLS_MAX;
	return commands < FILE_COMMANDS_MAX ? commands : FILE_COMMANDS_MAX;
}
