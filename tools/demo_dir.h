/* SPDX-License-Identifier: MIT */
/*
 * demo_dir.h - the demo's temporary directory: where it is put, how large a log fits, and that
 * nothing of it is left. A demo that is killed leaves it; the name says whose it was.
 */
#ifndef SLUICE_TOOLS_DEMO_DIR_H
#define SLUICE_TOOLS_DEMO_DIR_H

#include "shm/diag.h"

#define SLUICE_DEMO_DIR_BYTES 256

struct sluice_demo_dir {
	char path[SLUICE_DEMO_DIR_BYTES];
	uint64_t free_bytes;
	bool is_memory; /* a tmpfs: what is written there survives no power loss */
};

/* TMPDIR, else /tmp, or /var/tmp if /tmp is a tmpfs with less than `wanted` bytes free. */
int sluice_demo_dir_make(struct sluice_demo_dir *ret_dir, uint64_t wanted,
			 struct sluice_diag *diag);

/* Removes the directory and all in it. */
void sluice_demo_dir_remove(const struct sluice_demo_dir *dir);

/*
 * Bytes of a log for that many commands: a 4 KiB block for each in the worst case, at most 1 GiB
 * per ten seconds, and a third of what is free. 0: not even the smallest log fits.
 */
uint64_t sluice_demo_log_bytes(uint64_t commands, uint64_t seconds, uint64_t free_bytes);

/* Most commands that a file of orders can hold; a million for a compressed one and for a pipe. */
uint64_t sluice_demo_file_commands(const char *path);

#endif
