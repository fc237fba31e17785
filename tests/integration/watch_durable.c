/* SPDX-License-Identifier: MIT */
/*
 * watch_durable.c - takes the place of sluice-consumer and checks, for every report that it can
 * see, that the report's command is in the log's valid prefix at that moment (D1), that numbers are
 * dense (D3), and that commands do not go back.
 *
 *	watch_durable NAME DIR
 *
 * Reads NAME.rep to its end. Prints `reports=N commands=N ahead=N wrong=N`; ahead counts reports
 * that the log did not hold yet. Exits with 1 if there was one, or a number was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer/consumer.h"
#include "engine/wal/reader.h"
#include "shm/events.h"

#define TRIES 1000
#define BATCH 16u
#define WAIT_NS 20000000000ull

struct watch {
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_wal_reader *log;
	uint64_t durable; /* commands below are in the log */
	uint64_t reports, ahead, wrong, last_cmd_seq;
};

static int open_all(struct watch *watch, const char *name, const char *dir,
		    struct sluice_diag *diag)
{
	const struct sluice_consumer_options options = {
		.name = "reports", .policy = SLUICE_POLICY_CRITICAL, .from = SLUICE_FROM_BEGINNING};
	const struct timespec nap = {.tv_nsec = 10000000};
	char full[SLUICE_SEGMENT_NAME_BYTES];
	int rc = -ENOENT;

	snprintf(full, sizeof(full), "%s.rep", name);
	for (int i = 0; rc == -ENOENT && i < TRIES; i++) {
		rc = sluice_segment_attach(&watch->segment, full, SLUICE_ACCESS_WRITE, diag);
		if (rc == -ENOENT)
			nanosleep(&nap, NULL);
	}
	if (!rc)
		rc = sluice_consumer_open(&watch->consumer, &watch->segment, &options, diag);
	if (!rc)
		rc = sluice_wal_reader_open(&watch->log, dir, diag);
	return rc;
}

/* Reads the log on to the end of its prefix, if it must. */
static int catch_up(struct watch *watch, uint64_t cmd_seq)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int rc = 1;

	while (watch->durable <= cmd_seq && rc == 1) {
		rc = sluice_wal_reader_next(watch->log, &header, &commands, &segment_no, &offset);
		if (rc == 1 && header->n_cmds)
			watch->durable = header->first_cmd_seq + header->n_cmds;
	}
	return rc < 0 ? rc : 0;
}

static int look(struct watch *watch, uint64_t sequence)
{
	const struct sluice_report report =
		*(const struct sluice_report *)sluice_consumer_event(&watch->consumer, sequence);
	int rc = catch_up(watch, report.cmd_seq);

	if (watch->durable <= report.cmd_seq) {
		if (!watch->ahead)
			printf("first ahead: report %llu of command %llu, the log ends before %llu\n",
			       (unsigned long long)report.n, (unsigned long long)report.cmd_seq,
			       (unsigned long long)watch->durable);
		watch->ahead++;
	}
	watch->wrong += report.n != sequence + 1 || report.cmd_seq < watch->last_cmd_seq;
	watch->last_cmd_seq = report.cmd_seq;
	watch->reports++;
	return rc;
}

int main(int argc, char **argv)
{
	struct sluice_diag diag = {.text = ""};
	struct watch watch = {.durable = 0};
	uint64_t n;
	int rc;

	if (argc != 3)
		return 2;
	rc = open_all(&watch, argv[1], argv[2], &diag);
	while (!rc) {
		rc = sluice_consumer_wait(&watch.consumer, BATCH, WAIT_NS, &n);
		for (uint64_t i = 0; !rc && i < n; i++)
			rc = look(&watch, watch.consumer.next + i);
		if (rc)
			break;
		sluice_consumer_advance(&watch.consumer, n);
		sluice_consumer_release(&watch.consumer, watch.consumer.next);
	}
	printf("reports=%llu commands=%llu ahead=%llu wrong=%llu\n",
	       (unsigned long long)watch.reports, (unsigned long long)watch.last_cmd_seq + 1,
	       (unsigned long long)watch.ahead, (unsigned long long)watch.wrong);
	if (rc != -EPIPE && rc != -ESHUTDOWN) {
		fprintf(stderr, "watch_durable: %s %s\n", strerror(-rc), diag.text);
		return 1;
	}
	sluice_consumer_close(&watch.consumer, true);
	return watch.ahead || watch.wrong || !watch.reports;
}
