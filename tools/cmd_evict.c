/* SPDX-License-Identifier: MIT */
/*
 * cmd_evict.c - `sluice evict`: an operator lets go of a consumer that is dead, away or stuck, so
 * that the ring goes on without it. It says first what that consumer loses. Writes the consumer's
 * entry and nothing else; a crash in here leaves it evicted or not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "shm/participant.h"
#include "shm/ring.h"
#include "tools/rings.h"
#include "tools/tool.h"

#define EVICT_TRIES 1000
#define EVICT_NAP_NS 1000000

enum evict_ring { EVICT_ANY = SLUICE_TOOL_RINGS };

struct evict_options {
	const char *name;
	const char *participant;
	uint32_t ring;
	bool yes;
};

struct victim { /* copied out of the mapping */
	char ring[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_participant_view view;
	uint64_t published; /* first sequence that is not */
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct evict_options, name), .value = "NAME",
	 .required = true, .help = "the instance, or one ring by its full name"},
	{"ring", 0, SLUICE_OPTION_CHOICE(struct evict_options, ring), .words = "cmd|rep|md|any",
	 .initial = "any", .help = "the ring of the instance"},
	{"yes", 'y', SLUICE_OPTION_FLAG(struct evict_options, yes),
	 .help = "evict; without it nothing is touched"},
};

static const struct sluice_cli_command command = {
	.program = "sluice evict",
	.summary = "let a ring go on without one of its consumers",
	.description =
		"A critical consumer that is away or stuck holds its events, and with them the "
		"producers, until it comes back: nobody but an operator decides that it will not. "
		"Shows how many events it has not taken; they are lost to it. It gets an error at "
		"its next step if it lives, and starts at the newest event when it joins again. "
		"Stages that follow it get an error, too.\n\n"
		"Without --yes nothing is touched and the exit code is 7.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "PARTICIPANT",
			 .help = "the consumer's name, or the number of its entry",
			 .offset = offsetof(struct evict_options, participant)}},
	.examples = {{"sluice evict -n x risk", "what would be lost to consumer risk"},
		     {"sluice evict -n x --ring rep risk --yes", "let it go"}},
};

static bool is_meant(const struct sluice_participant_view *view, const char *participant)
{
	char *end;
	unsigned long index;

	if (!strncmp(view->name, participant, sizeof(view->name)))
		return true;
	index = strtoul(participant, &end, 10);
	return *participant && !*end && index == view->index;
}

static void copy(const struct sluice_segment *segment, const struct sluice_participant_view *view,
		 struct victim *ret_victim)
{
	struct sluice_ring ring;

	sluice_ring_init(&ring, (struct sluice_segment *)(uintptr_t)segment);
	memcpy(ret_victim->ring, segment->header.name, sizeof(ret_victim->ring));
	ret_victim->view = *view;
	ret_victim->published = sluice_ring_published(&ring, view->position, ring.slot_count);
}

/* -EEXIST: there are several, the text says where. */
static int find_in(const char *name, const char *participant, struct victim *victim,
		   uint32_t *found, struct sluice_diag *diag)
{
	struct sluice_segment segment;
	int err = sluice_segment_attach(&segment, name, SLUICE_ACCESS_READ, diag);

	for (uint32_t i = 0; !err && i < segment.header.participant_count; i++) {
		struct sluice_participant_view view;

		if (!sluice_participant_view(&segment, i, &view) ||
		    view.role != SLUICE_ROLE_CONSUMER || !is_meant(&view, participant))
			continue;
		if ((*found)++) {
			err = sluice_diag_set(diag, EEXIST,
					      "\"%s\" means entry %u of %s and entry %u of %s",
					      participant, victim->view.index, victim->ring, i,
					      name);
			sluice_diag_hint(diag, "sluice evict --name %s %u\nsluice evict --name %s %u",
					 victim->ring, victim->view.index, name, i);
			break;
		}
		copy(&segment, &view, victim);
	}
	if (!err || err == -EEXIST)
		sluice_segment_close(&segment);
	return err;
}

static int find(const struct evict_options *options, struct victim *victim,
		struct sluice_diag *diag)
{
	const char *suffix = options->ring == EVICT_ANY ? NULL :
							  sluice_tool_ring_suffix[options->ring];
	struct sluice_tool_rings rings;
	uint32_t found = 0;
	int err = sluice_tool_rings_find(options->name, suffix, &rings, diag);

	for (uint32_t i = 0; !err && i < rings.count; i++)
		err = find_in(rings.name[i], options->participant, victim, &found, diag);
	if (err || found)
		return err;
	sluice_diag_set(diag, ENOENT, "there is no consumer \"%.40s\" on %s%s%s",
			options->participant, options->name, suffix ? "." : "",
			suffix ? suffix : "");
	sluice_diag_hint(diag, "sluice stat --name %s --once", options->name);
	return -ENOENT;
}

static int evict(const struct victim *victim, struct sluice_diag *diag)
{
	const uint64_t state = victim->view.generation << SLUICE_PARTICIPANT_GENERATION_SHIFT |
			       victim->view.state;
	const struct timespec nap = {.tv_nsec = EVICT_NAP_NS};
	struct sluice_segment segment;
	int err = sluice_segment_attach(&segment, victim->ring, SLUICE_ACCESS_WRITE, diag);

	if (err)
		return err;
	err = sluice_participant_evict_if(&segment, victim->view.index, state);
	for (int i = 0; err == -EAGAIN && i < EVICT_TRIES; i++) {
		nanosleep(&nap, NULL);
		err = sluice_participant_evict_if(&segment, victim->view.index, state);
	}
	sluice_segment_close(&segment);
	if (err == -EAGAIN)
		return sluice_diag_set(diag, EBUSY, "%s: somebody who joins or evicts is stopped",
				       victim->ring);
	if (err)
		return sluice_diag_set(diag, ENOENT,
				       "%s: consumer \"%.31s\" came, went or was evicted meanwhile: look again",
				       victim->ring, victim->view.name);
	return 0;
}

static uint64_t lost(const struct victim *victim)
{
	return victim->published - victim->view.position;
}

static const char *state_name(const struct sluice_participant_view *view)
{
	if (view->state == SLUICE_PARTICIPANT_DETACHED)
		return "away";
	if (view->state == SLUICE_PARTICIPANT_EVICTED)
		return "evicted already";
	if (view->state == SLUICE_PARTICIPANT_JOINING)
		return "joining";
	return view->alive < 0 ? "unknown" : view->alive ? "alive" : "dead";
}

static void show_json(const struct victim *victim, bool is_evicted)
{
	static const char *const policies[] = {"none", "critical", "evictable", "lossy"};
	const struct sluice_participant_view *view = &victim->view;
	struct sluice_json json;

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.evict/1");
	sluice_json_string(&json, "ring", victim->ring);
	sluice_json_string_bounded(&json, "participant", view->name, sizeof(view->name));
	sluice_json_u64(&json, "index", view->index);
	sluice_json_string(&json, "policy", policies[view->policy & 3]);
	sluice_json_string(&json, "state", state_name(view));
	sluice_json_u64(&json, "pid", view->pid);
	sluice_json_u64(&json, "position", view->position);
	sluice_json_u64(&json, "lost_events", lost(victim));
	sluice_json_bool(&json, "evicted", is_evicted);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static void show_text(const struct victim *victim, bool is_evicted)
{
	const struct sluice_participant_view *view = &victim->view;

	printf("%s: consumer %.31s (entry %u, pid %u, %s) is at %" PRIu64 "; ", victim->ring,
	       view->name, view->index, view->pid, state_name(view), view->position);
	if (lost(victim))
		printf("%" PRIu64 " events, up to %" PRIu64 ", %s lost to it\n", lost(victim),
		       victim->published - 1, is_evicted ? "are" : "would be");
	else
		printf("nothing %s lost to it\n", is_evicted ? "is" : "would be");
}

static int run_evict(const struct evict_options *options, bool is_json)
{
	struct victim victim;
	struct sluice_diag diag;
	int err = find(options, &victim, &diag);

	if (err == -EEXIST || err == -EINVAL)
		return sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	if (!err && options->yes)
		err = evict(&victim, &diag);
	if (err)
		return sluice_cli_fail(command.program, err, &diag);
	if (is_json)
		show_json(&victim, options->yes);
	else
		show_text(&victim, options->yes);
	if (!options->yes)
		fputs("nothing was changed; repeat with --yes to evict it\n", stderr);
	return sluice_tool_finish(command.program,
				  options->yes ? SLUICE_EXIT_OK : SLUICE_EXIT_NEEDS_YES);
}

static int run(int argc, char **argv)
{
	struct evict_options values = {.yes = false};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &code))
		return code;
	code = run_evict(&values, options.standard.json);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_evict = {.name = "evict", .command = &command, .run = run};
