/* SPDX-License-Identifier: MIT */
/*
 * wal_disk.h - a real backend below the log: opened, locked and armed on a fixture's files, for
 * tests of single writes. Functions return 0 or -errno.
 */
#ifndef SLUICE_TESTS_LIB_WAL_DISK_H
#define SLUICE_TESTS_LIB_WAL_DISK_H

#include "tests/lib/wal_fixture.h"

struct wal_disk {
	struct sluice_wal_io *io;
	unsigned char *buffers; /* IN_FLIGHT_MAX of them, BLOCK_BYTES_MAX each */
};

/* With the backend and sync mode of the fixture's options. */
int wal_disk_open(struct wal_disk *disk, struct wal_fixture *fixture);
void wal_disk_close(struct wal_disk *disk);
/* `bytes` of `fill` from buffer number `buffer`, which is the tag too. */
int wal_disk_write(struct wal_disk *disk, uint16_t file, uint64_t offset, uint32_t bytes,
		   uint16_t buffer, unsigned char fill);
/* Until n are done, by buffer number; fails on a tag that has come already, -ETIME after 20 s. */
int wal_disk_await(struct wal_disk *disk, uint32_t n, int64_t results[SLUICE_WAL_IN_FLIGHT_MAX]);

/* The kernel lets this process have an io_uring; else fixture->diag says why not. */
bool wal_disk_uring_allowed(struct wal_fixture *fixture);
#define skip_without_uring(fixture)                                                                \
	do {                                                                                       \
		if (wal_disk_uring_allowed(fixture))                                               \
			break;                                                                     \
		print_message("skip: %s: %s\n", __func__, (fixture)->diag.text);                   \
		skip();                                                                            \
	} while (0)
/* Exit status of a child that runs the body, -1 if it was killed: for limits and filters. */
int wal_disk_in_child(int (*body)(struct wal_fixture *fixture), struct wal_fixture *fixture);

#endif
