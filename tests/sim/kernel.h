/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what the linker gives the product in place of libc's clock, sleeps, futexes, memory
 * and chance (-Wl,--wrap). Outside of a fiber every call is the real one.
 */
#ifndef SLUICE_TESTS_SIM_KERNEL_H
#define SLUICE_TESTS_SIM_KERNEL_H

#include "tests/sim/fiber.h"

void sim_kernel_reset(uint64_t seed);

/* A new process: its memory is empty. */
void sim_memory_reset(enum sim_role role);

/* CLOCK_REALTIME jumps. */
void sim_clock_jump(int64_t ns);

#endif
