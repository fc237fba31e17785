/* SPDX-License-Identifier: MIT */
/*
 * identity_fixture.h - for the tests of who is alive: a segment that the test watches, and children
 * that hold a byte of it.
 */
#ifndef SLUICE_TESTS_UNIT_SHM_IDENTITY_FIXTURE_H
#define SLUICE_TESTS_UNIT_SHM_IDENTITY_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shm/segment_fixture.h"

#define NAME "who"
#define BYTE 2

static struct sluice_segment watched;

static inline int setup(void **state)
{
	const struct sluice_segment_options options = fixture_options(NAME);

	(void)state;
	return sluice_segment_create(&watched, &options, NULL);
}

static inline int teardown(void **state)
{
	sluice_segment_close(&watched);
	return fixture_clean(state);
}

static struct sluice_segment mine; /* a child's */

static inline void hold(void)
{
	check(!sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_WRITE, NULL));
	check(!sluice_liveness_hold(&mine, BYTE));
}

/* The kernel frees a killed process's files some time after the signal. */
static inline bool freed_within_ms(uint32_t index, int ms)
{
	for (; ms > 0; ms--) {
		if (sluice_liveness_probe(&watched, index) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

#define skip_if(condition, reason)                                                                 \
	do {                                                                                       \
		if (condition) {                                                                   \
			print_message("skip: %s: %s\n", __func__, reason);                         \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

#define identity_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
