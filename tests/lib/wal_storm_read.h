/* SPDX-License-Identifier: MIT */
/*
 * wal_storm_read.h - the reading half of wal_storm.h: ring and file. Private to wal_storm*.c.
 */
#ifndef SLUICE_TESTS_LIB_WAL_STORM_READ_H
#define SLUICE_TESTS_LIB_WAL_STORM_READ_H

#include "tests/lib/wal_storm.h"

#define WAL_STORM_CHUNK (1u << 20)

/* Joins the command ring that is there now; it goes on where the history is, or before. */
int wal_storm_join(struct wal_storm *storm);
void wal_storm_leave(struct wal_storm *storm);

int wal_storm_wrong(struct wal_storm *storm, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
