/* SPDX-License-Identifier: MIT */
/*
 * fault_stage.h - for the tests whose system calls fail (sys_fault.h): a body in a child of its
 * own, and what such bodies share. Asserts and skips; only for test programs.
 */
#ifndef SLUICE_TESTS_UNIT_WAL_FAULT_STAGE_H
#define SLUICE_TESTS_UNIT_WAL_FAULT_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/sys_fault.h"
#include "tests/lib/wal_disk.h"

#define FAULT_NO_FILTERS 77 /* a child's exit status */

/* A body's first: 0, or the status that it ends with. */
static inline int fault_begin(const long *numbers, size_t n)
{
	return sys_fault_begin(numbers, n) ? FAULT_NO_FILTERS : 0;
}

/* The body's status is 0, or it has no filters here: the test is skipped. */
static inline void fault_run(struct wal_fixture *fixture, int (*body)(struct wal_fixture *),
			     const char *test)
{
	const int status = wal_disk_in_child(body, fixture);

	if (status == FAULT_NO_FILTERS) {
		print_message("skip: %s: system call filters cannot ask here\n", test);
		skip();
	}
	assert_int_equal(status, 0);
}

/* Every call of the kind from now on. */
static inline void fault_always(long number, int error, int64_t (*ask)(const uint64_t *args))
{
	const struct sys_fault fault = {number, 1, error, true, ask};

	sys_fault_set(&fault, 1);
}

/* One write of a page into the first segment; its result, or the error of submit or reap. */
static inline int64_t fault_write_page(struct wal_disk *disk, uint64_t offset)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	int ret = wal_disk_write(disk, 0, offset, SLUICE_WAL_ALIGN, 0, 7);

	if (!ret)
		ret = wal_disk_await(disk, 1, results);
	return ret ? ret : results[0];
}

#endif
