/* SPDX-License-Identifier: MIT */
/* wal_storm_read.c - see wal_storm_read.h. */
#include "tests/lib/wal_storm_read.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/reader.h"
#include "producer/producer.h"
#include "shm/clock.h"

#define READER "history"
#define FREE_BYTES (16ll << 20) /* of checked lines, before their space is given back */
#define KEEP_BYTES (1ll << 20)	/* a consumer looks at the end of its file */

/* -------------------------------------------------------------------------------- the ring */

int wal_storm_join(struct wal_storm *storm)
{
	const struct sluice_consumer_options options = {
		.name = READER, .policy = SLUICE_POLICY_CRITICAL, .from = SLUICE_FROM_BEGINNING};
	struct sluice_diag diag = {.text = ""};
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "%s.cmd", storm->name);
	rc = sluice_segment_attach(&storm->ring, name, SLUICE_ACCESS_WRITE, &diag);
	if (!rc)
		rc = sluice_consumer_open(&storm->tap, &storm->ring, &options, &diag);
	if (rc)
		return wal_storm_wrong(storm, -rc, "%s", diag.text);
	storm->attached = true;
	rc = wal_history_rewind(&storm->history, storm->tap.next);
	return rc ? wal_storm_wrong(storm, -rc, "%s", storm->history.wrong) : 0;
}

void wal_storm_leave(struct wal_storm *storm)
{
	if (!storm->attached)
		return;
	storm->attached = false;
	sluice_consumer_close(&storm->tap, true);
	sluice_segment_close(&storm->ring);
}

int wal_storm_note(struct wal_storm *storm)
{
	struct sluice_command command;
	uint64_t n;
	int rc = 0;

	while (storm->attached && !sluice_consumer_poll(&storm->tap, 1024, &n)) {
		for (uint64_t i = 0; !rc && i < n; i++) {
			const uint64_t sequence = storm->tap.next + i;
			const bool is_void = sluice_consumer_is_void(&storm->tap, sequence);

			memcpy(&command, sluice_consumer_event(&storm->tap, sequence),
			       sizeof(command));
			rc = wal_history_note(&storm->history, sequence, is_void ? NULL : &command);
		}
		if (rc)
			return wal_storm_wrong(storm, -rc, "%s", storm->history.wrong);
		sluice_consumer_advance(&storm->tap, n);
		sluice_consumer_release(&storm->tap, storm->tap.next);
	}
	return 0;
}

/* In the child, which has nothing of its parent's attachment. */
static void claim_and_die(const struct wal_storm *storm, uint64_t n)
{
	const struct sluice_producer_options options = {.name = "claimer"};
	static struct sluice_segment segment;
	static struct sluice_producer producer;
	char name[64];
	uint64_t first;

	snprintf(name, sizeof(name), "%s.cmd", storm->name);
	if (!sluice_segment_attach(&segment, name, SLUICE_ACCESS_WRITE, NULL) &&
	    !sluice_producer_open(&producer, &segment, &options, NULL))
		while (n && sluice_producer_try_claim(&producer, n, &first) == -EAGAIN)
			n /= 2;
	raise(SIGKILL);
}

void wal_storm_claim(const struct wal_storm *storm, uint64_t n)
{
	const pid_t pid = fork();

	if (!pid)
		claim_and_die(storm, n);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int wal_storm_reboot(struct wal_storm *storm)
{
	char path[600];
	const char *const arguments[] = {"/bin/sh", "-c", path, NULL};
	int rc = wal_storm_look(storm);

	wal_storm_leave(storm);
	snprintf(path, sizeof(path), "rm -f '%s'/*", storm->options.shm);
	return rc ? rc : wal_storm_run(storm, "rm", arguments);
}

/* -------------------------------------------------------------------------------- the file */

/* Gives back the space of what was checked; the file keeps its length. */
static void give_back(struct wal_storm *storm)
{
	const off_t end = (storm->reports_at - KEEP_BYTES) / 4096 * 4096;

	if (end - storm->reports_freed < FREE_BYTES)
		return;
	fallocate(storm->reports_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  storm->reports_freed, end - storm->reports_freed);
	storm->reports_freed = end;
}

/* Whole lines only: what is behind the last of them may be cut off by the consumer's next life. */
static int read_lines(struct wal_storm *storm, size_t bytes)
{
	const char *line = storm->chunk, *const limit = storm->chunk + bytes;
	const char *end;
	int rc = 0;

	while ((end = memchr(line, '\n', (size_t)(limit - line)))) {
		rc = wal_history_line(&storm->history, line, (size_t)(end - line));
		if (rc)
			break;
		line = end + 1;
	}
	storm->reports_at += line - storm->chunk;
	return rc;
}

static int read_file(struct wal_storm *storm)
{
	ssize_t bytes;
	int rc;

	if (storm->reports_fd < 0)
		storm->reports_fd = open(storm->reports, O_RDWR | O_CLOEXEC);
	if (storm->reports_fd < 0)
		return 0;
	do {
		bytes = pread(storm->reports_fd, storm->chunk, WAL_STORM_CHUNK - 1,
			      storm->reports_at);
		if (bytes <= 0)
			return 0;
		storm->chunk[bytes] = 0;
		/* a command is in the ring before its report is anywhere */
		rc = wal_storm_note(storm);
		if (!rc)
			rc = read_lines(storm, (size_t)bytes);
		if (rc == -EAGAIN)
			return wal_storm_wrong(
				storm, EBADMSG,
				"report %llu is of a command that the ring never had",
				(unsigned long long)storm->history.line);
		if (rc)
			return storm->wrong[0] ?
				       rc :
				       wal_storm_wrong(storm, -rc, "%s", storm->history.wrong);
		give_back(storm);
	} while (bytes == WAL_STORM_CHUNK - 1);
	return 0;
}

/* Nobody ends unless asked to. */
static int look_after(struct wal_storm *storm)
{
	struct wal_storm_process *const all[] = {&storm->engine, &storm->consumer,
						 &storm->producers[0], &storm->producers[1]};
	const size_t n = storm->finishing ? 2 : sizeof(all) / sizeof(all[0]);
	int status;

	for (size_t i = 0; i < n; i++) {
		if (!all[i]->pid || waitpid(all[i]->pid, &status, WNOHANG) != all[i]->pid)
			continue;
		all[i]->pid = 0;
		return wal_storm_wrong(storm, ECHILD, "%s ended by itself: %s %d", all[i]->what,
				       WIFEXITED(status) ? "status" : "signal",
				       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	return 0;
}

int wal_storm_look(struct wal_storm *storm)
{
	int rc = wal_storm_note(storm);

	if (!rc)
		rc = read_file(storm);
	return rc ? rc : look_after(storm);
}

int wal_storm_reach(struct wal_storm *storm, uint64_t cmd_seq)
{
	const uint64_t started_ns = sluice_clock_ns();
	int rc = 0;

	while (!rc && (storm->history.next < cmd_seq ||
		       storm->history.line != storm->history.sink.report_next)) {
		rc = wal_storm_pass(storm, 1000000);
		if (!rc && sluice_clock_ns() - started_ns > WAL_STORM_WAIT_NS)
			rc = wal_storm_wrong(storm, ETIMEDOUT,
					     "lost: no report of command %llu has come",
					     (unsigned long long)cmd_seq - 1);
	}
	return rc;
}

void wal_storm_log(const struct wal_storm *storm, uint64_t *ret_rounds, uint64_t *ret_snapshot)
{
	const struct sluice_wal_super *super;
	struct sluice_wal_reader *reader;

	*ret_rounds = *ret_snapshot = 0;
	if (sluice_wal_reader_open(&reader, storm->log, NULL))
		return;
	super = sluice_wal_reader_super(reader);
	*ret_rounds = super->start.segment_no / SLUICE_WAL_SEGMENTS;
	for (int i = 0; i < 2; i++)
		if (super->snapshot[i].sequence > *ret_snapshot)
			*ret_snapshot = super->snapshot[i].sequence;
	sluice_wal_reader_close(reader);
}
