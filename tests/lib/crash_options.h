/* SPDX-License-Identifier: MIT */
/* crash_options.h - how the crash harness is asked to torment a ring. The driver, at its start. */
#ifndef SLUICE_TESTS_LIB_CRASH_OPTIONS_H
#define SLUICE_TESTS_LIB_CRASH_OPTIONS_H

#include "tests/lib/crash_board.h"

struct crash_options {
	struct crash_config config;
	uint64_t seconds;
	uint64_t deaths_wanted; /* of producers, then it ends; 0: as many as there are */
	uint64_t stuck_ns;	/* without progress, and nobody stopped: it stands still */
	uint64_t kill_every_ns; /* from outside, on average; 0 never */
	uint64_t stop_every_ns;
	uint64_t stop_ns;
};

/* False: the usage was printed. */
bool crash_options_parse(int argc, char **argv, struct crash_options *ret_options);

#endif
