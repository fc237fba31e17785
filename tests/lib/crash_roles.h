/* SPDX-License-Identifier: MIT */
/*
 * crash_roles.h - what the processes of the crash harness do until they are killed, or told to
 * stop. One thread each, in a process that has attached the ring itself. True: ended as it should.
 */
#ifndef SLUICE_TESTS_LIB_CRASH_ROLES_H
#define SLUICE_TESTS_LIB_CRASH_ROLES_H

#include "shm/segment.h"
#include "tests/lib/crash_board.h"

struct crash_process {
	const struct crash_config *config;
	struct crash_board *board;
	struct crash_place *place;
	struct sluice_segment *segment;
	uint64_t seed;
};

extern const char *const crash_role_names[CRASH_CONSUMERS];

bool crash_produce(struct crash_process *process);
/* The engine and the stage: critical, each event checked and accounted for. */
bool crash_consume(struct crash_process *process, enum crash_role role);
/* The evictable and the lossy one: each copy checked. */
bool crash_sample(struct crash_process *process, enum crash_role role);

#endif
