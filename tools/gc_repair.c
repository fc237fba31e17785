/* SPDX-License-Identifier: MIT */
/*
 * gc_repair.c - see gc_repair.h. One thread. A ring that is in use is left alone; a damaged one is
 * said and the next one is looked at. Killed anywhere: run it again (shm/repair.h).
 */
#include "tools/gc_repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "shm/repair.h"
#include "tools/attach.h"
#include "tools/tool.h"

struct repair_run {
	const struct sluice_gc_repair *options;
	struct sluice_json json;
	const char *name; /* of the ring at hand */
	uint32_t examined;
	uint32_t live;
	uint32_t needed;
	uint32_t damaged;
	uint32_t refused; /* for another reason */
};

static void finding(const struct sluice_repair_finding *found, void *arg)
{
	struct repair_run *run = arg;

	if (!run->options->is_json) {
		printf("  %s at %#" PRIx64 ": %s: %" PRIu64, found->damage ? "DAMAGE" : "repair",
		       found->offset, found->what, found->found);
		if (found->least == found->most)
			printf(" -> %" PRIu64 "\n", found->least);
		else
			printf(", %" PRIu64 " to %" PRIu64 " expected\n", found->least,
			       found->most);
		return;
	}
	sluice_json_object(&run->json, NULL);
	sluice_json_string(&run->json, "schema", "sluice.repair.finding/1");
	sluice_json_string(&run->json, "name", run->name);
	sluice_json_bool(&run->json, "damage", found->damage);
	sluice_json_u64(&run->json, "offset_bytes", found->offset);
	sluice_json_string(&run->json, "what", found->what);
	sluice_json_u64(&run->json, "found", found->found);
	sluice_json_u64(&run->json, "expected_least", found->least);
	sluice_json_u64(&run->json, "expected_most", found->most);
	sluice_json_end(&run->json);
	sluice_json_finish(&run->json);
}

static const char *verdict_of(const struct repair_run *run, int err,
			      const struct sluice_repair_result *result)
{
	if (err == -EBUSY)
		return "live";
	if (err == -EBADMSG)
		return "damaged";
	if (err)
		return "refused";
	if (!result->needed)
		return "in order";
	return run->options->yes ? "repaired" : "would be repaired";
}

static void ring_json(struct repair_run *run, const char *verdict, const char *trouble,
		      const struct sluice_repair_result *result)
{
	struct sluice_json *json = &run->json;

	sluice_json_object(json, NULL);
	sluice_json_string(json, "schema", "sluice.repair/1");
	sluice_json_string(json, "name", run->name);
	sluice_json_string(json, "verdict", verdict);
	if (trouble)
		sluice_json_string(json, "trouble", trouble);
	sluice_json_bool(json, "changed", run->options->yes && !strcmp(verdict, "repaired"));
	sluice_json_string(json, "state", sluice_tool_state_name(result->state_after));
	sluice_json_u64(json, "epoch", result->epoch_after);
	sluice_json_u64(json, "tombstones_count", result->tombstones);
	sluice_json_u64(json, "producers_freed_count", result->producers);
	sluice_json_u64(json, "consumers_freed_count", result->dropped);
	sluice_json_u64(json, "consumers_away_count", result->kept);
	sluice_json_u64(json, "damages_count", result->damages);
	sluice_json_end(json);
	sluice_json_finish(json);
}

static void ring_text(const struct repair_run *run, const char *verdict, const char *trouble,
		      const struct sluice_repair_result *result)
{
	printf("%-24s %s", run->name, verdict);
	if (trouble && strcmp(verdict, "live") != 0)
		printf(": %s", trouble);
	if (!trouble && result->needed)
		printf(": %" PRIu64
		       " tombstones, %u producers and %u consumers freed, %u consumers away; %s, epoch %" PRIu64,
		       result->tombstones, result->producers, result->dropped, result->kept,
		       sluice_tool_state_name(result->state_after), result->epoch_after);
	putchar('\n');
}

static int repair_ring(struct repair_run *run, const char *name, struct sluice_diag *diag)
{
	const struct sluice_repair_report report = {.finding = finding, .arg = run};
	struct sluice_repair_result result = {.needed = false};
	const char *verdict;
	int err;

	run->name = name;
	err = sluice_segment_repair(name, !run->options->yes, &report, &result, diag);
	if (err == -ENOENT)
		return err;
	verdict = verdict_of(run, err, &result);
	if (run->options->is_json)
		ring_json(run, verdict, err ? diag->text : NULL, &result);
	else
		ring_text(run, verdict, err ? diag->text : NULL, &result);
	run->examined++;
	run->live += err == -EBUSY;
	run->needed += !err && result.needed;
	run->damaged += err == -EBADMSG;
	run->refused += err && err != -EBUSY && err != -EBADMSG;
	return err;
}

static int visit(const struct sluice_segment_entry *entry, void *arg)
{
	struct repair_run *run = arg;
	const char *prefix = run->options->prefix;
	struct sluice_diag diag;

	if (entry->is_temporary || entry->is_lock_only ||
	    (prefix && strncmp(entry->name, prefix, strlen(prefix))))
		return 0;
	repair_ring(run, entry->name, &diag);
	return 0;
}

static void summary(const struct repair_run *run)
{
	if (run->options->is_json)
		return;
	printf("%u examined, %u live, %u %s, %u damaged\n", run->examined, run->live, run->needed,
	       run->options->yes ? "repaired" : "to be repaired", run->damaged);
	if (run->needed && !run->options->yes)
		fputs("nothing was changed; repeat with --yes to repair them\n", stderr);
}

int sluice_tool_gc_repair(const struct sluice_gc_repair *options)
{
	struct repair_run run = {.options = options};
	struct sluice_diag diag;
	int err;

	sluice_json_init_file(&run.json, stdout);
	if (options->ring) {
		err = repair_ring(&run, options->ring, &diag);
		if (err) {
			fflush(stdout);
			return sluice_cli_fail(options->program, err, &diag);
		}
	} else {
		err = sluice_segment_each(visit, &run, &diag);
		if (err)
			return sluice_cli_fail(options->program, err, &diag);
		summary(&run);
	}
	return sluice_tool_finish(options->program, run.damaged ? SLUICE_EXIT_DAMAGED :
						    run.refused ? SLUICE_EXIT_FAILED :
								  SLUICE_EXIT_OK);
}
