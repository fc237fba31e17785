/* SPDX-License-Identifier: MIT */
/*
 * cmd_close.c - `sluice drain` and `sluice retire`: an operator ends a ring that nobody else ends,
 * because its owner is gone or is a library's user. Writes the state word; retire then removes the
 * name. Killed in between, retire leaves a retired ring with its name: run it again, or gc.
 */
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "shm/participant.h"
#include "shm/ring.h"
#include "tools/rings.h"
#include "tools/tool.h"

struct close_options {
	const char *name;
	bool yes;
};

struct closing { /* one command's run */
	const struct sluice_cli_command *command;
	struct close_options options;
	enum sluice_segment_state target;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"yes", 'y', SLUICE_OPTION_FLAG(struct close_options, yes),
	 .help = "do it; without it nothing is touched"},
};

#define RING_POSITIONAL                                                                            \
	{                                                                                          \
		.name = "NAME", .help = "a ring, or an instance: all of its rings",                \
		.offset = offsetof(struct close_options, name)                                     \
	}

static const struct sluice_cli_command drain_command = {
	.program = "sluice drain",
	.summary = "close a ring: no more claims, consumers take what is there",
	.description =
		"Producers get an error at their next claim, also those that wait for space. "
		"Consumers read what is published and then learn that this is all. An engine that "
		"starts on a closed ring opens it again.\n\n"
		"Without --yes nothing is touched and the exit code is 7.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {RING_POSITIONAL},
	.examples = {{"sluice drain x.cmd", "who would be told"},
		     {"sluice drain x.cmd --yes", "close it"}},
};

static const struct sluice_cli_command retire_command = {
	.program = "sluice retire",
	.summary = "take a ring out of use and remove its name",
	.description =
		"Everybody who has the ring gets an error at his next step, and the name is free "
		"for a new one: for a ring that is poisoned, or whose users hang on to it. What was "
		"published and not read is lost; drain first to keep it.\n\n"
		"Without --yes nothing is touched and the exit code is 7.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {RING_POSITIONAL},
	.examples = {{"sluice retire x.md", "what would be taken out of use"},
		     {"sluice retire x.md --yes", "do it"}},
};

static void show(const struct closing *closing, const char *name, uint32_t state, int live)
{
	const char *was = sluice_tool_state_name(state);
	const char *target = sluice_tool_state_name(closing->target);
	struct sluice_json json;

	if (!closing->is_json) {
		printf("%s: %s -> %s%s, %d participants live\n", name, was, target,
		       closing->options.yes ? "" : " (not done)", live < 0 ? 0 : live);
		return;
	}
	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.close/1");
	sluice_json_string(&json, "ring", name);
	sluice_json_string(&json, "state", was);
	sluice_json_string(&json, "target", target);
	sluice_json_bool(&json, "changed", closing->options.yes);
	sluice_json_u64(&json, "participants_live_count", live < 0 ? 0 : (uint64_t)live);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int live_count(const struct sluice_segment *segment)
{
	const int producers = sluice_participant_count(segment, SLUICE_ROLE_PRODUCER);
	const int consumers = sluice_participant_count(segment, SLUICE_ROLE_CONSUMER);

	return producers < 0 ? producers : consumers < 0 ? consumers : producers + consumers;
}

/* Only a ready ring can be drained: poison and retirement are not to be undone by it. */
static int check(const struct closing *closing, const char *name, uint32_t state,
		 struct sluice_diag *diag)
{
	if (closing->target == SLUICE_STATE_RETIRED || state == SLUICE_STATE_READY ||
	    state == SLUICE_STATE_DRAINING)
		return 0;
	return sluice_diag_set(diag, EINVAL, "ring %s is %s: only a ready one can be drained", name,
			       sluice_tool_state_name(state));
}

static int close_ring(const struct closing *closing, const char *name, struct sluice_diag *diag)
{
	const bool retires = closing->target == SLUICE_STATE_RETIRED;
	struct sluice_segment segment;
	struct sluice_ring ring;
	uint32_t state;
	int err = sluice_segment_attach(&segment, name, closing->options.yes ? SLUICE_ACCESS_WRITE :
									       SLUICE_ACCESS_READ,
					diag);

	if (err)
		return err;
	sluice_ring_init(&ring, &segment);
	state = sluice_ring_state(&ring);
	err = check(closing, name, state, diag);
	if (!err && closing->options.yes && state != closing->target)
		sluice_ring_set_state(&segment, closing->target);
	if (!err)
		show(closing, name, state, live_count(&segment));
	sluice_segment_close(&segment);
	return err || !retires || !closing->options.yes ? err : sluice_segment_unlink(name, diag);
}

static int close_all(const struct closing *closing)
{
	struct sluice_tool_rings rings;
	struct sluice_diag diag;
	int err = sluice_tool_rings_find(closing->options.name, NULL, &rings, &diag);

	if (err == -EINVAL)
		return sluice_cli_error(closing->command->program, SLUICE_EXIT_USAGE, &diag);
	for (uint32_t i = 0; !err && i < rings.count; i++)
		err = close_ring(closing, rings.name[i], &diag);
	if (err) {
		fflush(stdout);
		return sluice_cli_fail(closing->command->program, err, &diag);
	}
	if (!closing->options.yes)
		fputs("nothing was changed; repeat with --yes\n", stderr);
	return sluice_tool_finish(closing->command->program, closing->options.yes ?
								     SLUICE_EXIT_OK :
								     SLUICE_EXIT_NEEDS_YES);
}

static int run(const struct sluice_cli_command *command, enum sluice_segment_state target, int argc,
	       char **argv)
{
	struct closing closing = {.command = command, .target = target};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, command, argc, argv, &closing.options, &code))
		return code;
	closing.is_json = options.standard.json;
	code = close_all(&closing);
	sluice_options_release(&options);
	return code;
}

static int run_drain(int argc, char **argv)
{
	return run(&drain_command, SLUICE_STATE_DRAINING, argc, argv);
}

static int run_retire(int argc, char **argv)
{
	return run(&retire_command, SLUICE_STATE_RETIRED, argc, argv);
}

const struct sluice_tool sluice_tool_drain = {
	.name = "drain", .command = &drain_command, .run = run_drain};
const struct sluice_tool sluice_tool_retire = {
	.name = "retire", .command = &retire_command, .run = run_retire};
