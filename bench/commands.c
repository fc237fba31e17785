/* SPDX-License-Identifier: MIT */
/* commands.c - see commands.h. */
#include "bench/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/signals.h"

#define CAPACITY_FIRST (1u << 17)

static int append(struct bench_commands *flow, const struct sluice_command *command)
{
	if (flow->count == flow->capacity) {
		const uint64_t capacity = flow->capacity ? flow->capacity * 2 : CAPACITY_FIRST;
		void *grown = realloc(flow->commands, capacity * sizeof(*flow->commands));

		if (!grown)
			return -ENOMEM;
		flow->commands = grown;
		flow->capacity = capacity;
	}
	flow->commands[flow->count++] = *command;
	return 0;
}

int bench_commands_next(struct bench_commands *flow, struct sluice_source *source, uint64_t max,
			struct sluice_diag *diag)
{
	struct sluice_source_item item;
	int rc = 1;

	flow->count = 0;
	while (flow->count < max && (rc = sluice_source_next(source, &item, diag)) == 1) {
		if (append(flow, &item.command))
			return sluice_diag_set(diag, ENOMEM, "no memory for the commands");
		if (sluice_signals_stop())
			return -EINTR;
	}
	return rc < 0 ? rc : 0;
}

int bench_commands_load(struct bench_commands *flow, const struct sluice_source_options *options,
			struct sluice_diag *diag)
{
	struct sluice_source *source;
	int rc = sluice_source_open(&source, options, diag);

	if (rc)
		return rc;
	rc = bench_commands_next(flow, source, UINT64_MAX, diag);
	sluice_source_close(source);
	return rc;
}

void bench_commands_free(struct bench_commands *flow)
{
	free(flow->commands);
	memset(flow, 0, sizeof(*flow));
}

void bench_commands_options(struct sluice_source_options *ret_options, uint64_t count)
{
	memset(ret_options, 0, sizeof(*ret_options));
	sluice_generator_defaults(&ret_options->generator);
	ret_options->generator.seed = BENCH_FLOW_SEED;
	ret_options->generator.count = count;
}
