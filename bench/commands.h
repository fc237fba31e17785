/* SPDX-License-Identifier: MIT */
/*
 * commands.h - order flow in memory, made or read before any clock starts: the generator's, or a
 * file's. One thread; children that are forked later have it as well.
 */
#ifndef SLUICE_BENCH_COMMANDS_H
#define SLUICE_BENCH_COMMANDS_H

#include "producer/source.h"

#define BENCH_FLOW_SEED 7u

struct bench_commands {
	struct sluice_command *commands;
	uint64_t count, capacity;
};

/* Everything that a source has, or its next `max` commands, over what is there. -ENOMEM, ... */
int bench_commands_next(struct bench_commands *flow, struct sluice_source *source, uint64_t max,
			struct sluice_diag *diag);
int bench_commands_load(struct bench_commands *flow, const struct sluice_source_options *options,
			struct sluice_diag *diag);
void bench_commands_free(struct bench_commands *flow);

/* The benchmark's generated flow of so many commands. */
void bench_commands_options(struct sluice_source_options *ret_options, uint64_t count);

#endif
