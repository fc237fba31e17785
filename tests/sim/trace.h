/* SPDX-License-Identifier: MIT */
/*
 * trace.h - what happened: the last events in words, all of them in one hash.
 */
#ifndef SLUICE_TESTS_SIM_TRACE_H
#define SLUICE_TESTS_SIM_TRACE_H

#include <stdio.h>

#include "shm/base.h"

void sim_trace_reset(bool verbose);
uint64_t sim_trace_hash(void);
bool sim_trace_is_verbose(void);

/* Static text of printf with up to four numbers. */
void sim_trace(const char *format, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* A text that is gone soon: kept only if it will be seen. */
void sim_trace_text(const char *what, const char *text);
void sim_trace_switch(uint32_t role, uint64_t now_ns);
void sim_trace_print(FILE *out);

/*
 * The seed has failed: names the invariant, and does not return. Anywhere.
 */
_Noreturn void sim_fail(const char *invariant, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
