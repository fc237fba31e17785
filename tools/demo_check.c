/* SPDX-License-Identifier: MIT */
/*
 * demo_check.c - is what came out right? Takes the consumer's own count of what it has seen,
 * executes the log once more in a core of the demo's own, and compares fills with the expected
 * ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "tools/demo.h"
#include "tools/replay.h"

#define DONE_BYTES 4096

/* The number behind " key=" in the last line that starts a summary; false if it is not there. */
static bool done_number(const char *line, const char *key, uint64_t *ret_value)
{
	char wanted[32];
	const char *at;
	char *end;

	snprintf(wanted, sizeof(wanted), " %s=", key);
	at = strstr(line, wanted);
	if (!at)
		return false;
	at += strlen(wanted);
	*ret_value = strtoull(at, &end, 10);
	return end != at;
}

/* Whole file's last "done" line, "" if there is none. */
static void done_line(const char *path, char ret_line[DONE_BYTES])
{
	char line[DONE_BYTES];
	FILE *file = fopen(path, "re");

	ret_line[0] = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "done ") && strstr(line, "reports="))
			memcpy(ret_line, line, sizeof(line));
	fclose(file);
}

static int take_done(struct sluice_demo *demo)
{
	struct sluice_demo_found *found = &demo->found;
	struct sluice_diag diag;
	char line[DONE_BYTES];

	done_line(demo->consumer.error_path, line);
	if (!line[0])
		done_line(demo->consumer.out_path, line);
	if (done_number(line, "reports", &found->reports) &&
	    done_number(line, "trades", &found->trades) &&
	    done_number(line, "lost", &found->lost) &&
	    done_number(line, "duplicated", &found->duplicated))
		return SLUICE_EXIT_OK;
	sluice_diag_set(&diag, EBADMSG, "sluice-consumer has ended without its summary");
	sluice_diag_hint(&diag, "sluice demo --keep");
	return sluice_cli_error("sluice demo", SLUICE_EXIT_FAILED, &diag);
}

static int replay_open(struct sluice_demo *demo, struct sluice_tool_replay *replay,
		       struct sluice_diag *diag)
{
	struct sluice_wal_reader *reader;
	struct sluice_wal_report report;
	int err = sluice_wal_reader_open(&reader, demo->log_path, diag);

	if (err)
		return err;
	err = sluice_tool_replay_init(replay, reader, diag);
	if (!err) {
		err = sluice_tool_replay_log(replay, reader, UINT64_MAX);
		if (!err && !replay->diverged)
			err = sluice_wal_reader_verdict(reader, &report);
		if (err)
			sluice_diag_set(diag, -err, "cannot read the log: %s", strerror(-err));
		else if (!replay->diverged && report.verdict != SLUICE_WAL_INTACT)
			err = sluice_diag_set(diag, EBADMSG, "the log is not intact: %.512s",
					      report.text);
	}
	sluice_wal_reader_close(reader);
	return err;
}

/* The log once more, by code that has seen nothing of the live run. */
static int check_replay(struct sluice_demo *demo)
{
	static struct sluice_tool_replay replay;
	struct sluice_demo_found *found = &demo->found;
	struct sluice_core_stats stats;
	struct sluice_diag diag = {.text = ""};
	int err;

	if (demo->options.durability == 2)
		return SLUICE_EXIT_OK;
	err = replay_open(demo, &replay, &diag);
	if (err) {
		sluice_tool_replay_release(&replay);
		sluice_diag_hint(&diag, "sluice demo --keep; sluice wal verify DIR");
		return sluice_cli_error("sluice demo", SLUICE_EXIT_DAMAGED, &diag);
	}
	sluice_core_stats(replay.core, &stats);
	found->has_replay = true;
	found->replay_agrees = !replay.diverged;
	found->replay_commands = replay.next_cmd_seq;
	found->replay_reports = replay.sink.report_next - 1;
	found->replay_trades = stats.trades;
	found->replay_hash = sluice_core_state_hash(replay.core);
	sluice_tool_replay_release(&replay);
	return SLUICE_EXIT_OK;
}

static int compare_fills(struct sluice_demo *demo, const char *path, bool auction)
{
	struct sluice_demo_fills *expected, *found;
	struct sluice_diag diag = {.text = ""};
	int err;

	if (!path)
		return SLUICE_EXIT_OK;
	err = sluice_demo_fills_read(&expected, path, &diag);
	if (err)
		return sluice_cli_fail("sluice demo", err, &diag);
	err = sluice_demo_fills_of_reports(&found, demo->reports_path, auction, &diag);
	if (err) {
		sluice_demo_fills_free(expected);
		return sluice_cli_fail("sluice demo", err, &diag);
	}
	sluice_demo_fills_compare(expected, found, &demo->found.fills[auction]);
	demo->found.has_fills[auction] = true;
	sluice_demo_fills_free(expected);
	sluice_demo_fills_free(found);
	return SLUICE_EXIT_OK;
}

int sluice_demo_check(struct sluice_demo *demo)
{
	const struct sluice_segment *rep = &demo->instance.ring[SLUICE_TOOL_REP];
	struct sluice_demo_found *found = &demo->found;
	int code = take_done(demo);

	found->orders = demo->now.count[SLUICE_TOOL_COMMANDS];
	found->live_hash = sluice_tool_note(rep, SLUICE_NOTE_STATE_HASH);
	found->live_hash_seq = sluice_tool_note(rep, SLUICE_NOTE_HASH_SEQ);
	found->has_live_hash = found->live_hash_seq == found->orders;
	if (!code)
		code = check_replay(demo);
	if (!code)
		code = compare_fills(demo, demo->options.expect, false);
	if (!code)
		code = compare_fills(demo, demo->options.expect_auction, true);
	return code;
}
