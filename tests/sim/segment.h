/* SPDX-License-Identifier: MIT */
/*
 * segment.h - the rings' files in the simulation: names, memory and lock bytes, in place of
 * shm/segment_create.c, segment_attach.c, lockfile.c and liveness.c. Headers are the real ones,
 * and everything that happens in a segment is.
 *
 * All processes see a segment at one address. A lock byte belongs to a process, and is free as soon
 * as that is dead: what the kernel's word would be.
 */
#ifndef SLUICE_TESTS_SIM_SEGMENT_H
#define SLUICE_TESTS_SIM_SEGMENT_H

#include "shm/segment.h"
#include "tests/sim/fiber.h"

/* A reboot, and the beginning of a seed: no name, no memory. The scheduler. */
void sim_segments_clear(void);

/* A process is gone, with its mappings and lock bytes. */
void sim_segments_drop(enum sim_role role);

/* The segment of that name, for the checker; NULL: there is none. */
const struct sluice_segment *sim_segment_find(const char *name);
uint64_t sim_segment_changes(void); /* of the names */

#endif
