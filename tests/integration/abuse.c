/* SPDX-License-Identifier: MIT */
/*
 * abuse.c - does to a running instance what the real programs never do, for the scripts beside it.
 *
 *	abuse hostile NAME COUNT	publishes COUNT commands of random bytes (SEED=n)
 *	abuse die NAME GOOD CLAIM	publishes GOOD cancels, claims CLAIM slots more, scribbles
 *					into them and is killed
 *	abuse claim NAME SECONDS	claims a slot, sits on it, then publishes a cancel
 *	abuse flip NAME N		changes one byte of the visible report N
 *	abuse unlog NAME DIR		zeroes what NAME's rings do not prove to be durable: the
 *					blocks of the log behind the (dead) engine's position and,
 *					unless they say async, the visible reports; prints how many
 *					commands that were, and of how many reports were visible
 *	abuse hold NAME SECONDS N	is the critical consumer "reports": sits still that long,
 *					then reads N reports
 *
 * One thread, the main one. A crash leaves what a crash of any producer or consumer leaves.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "consumer/consumer.h"
#include "engine/wal/reader.h"
#include "producer/producer.h"
#include "shm/events.h"

#define ATTACH_TRIES 1000
#define WAIT_NS 20000000000ull

static int attach(struct sluice_segment *segment, const char *name, const char *suffix)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	struct sluice_diag diag = {.text = ""};
	char full[SLUICE_SEGMENT_NAME_BYTES];
	int rc = -ENOENT;

	snprintf(full, sizeof(full), "%s.%s", name, suffix);
	for (int i = 0; rc == -ENOENT && i < ATTACH_TRIES; i++) {
		rc = sluice_segment_attach(segment, full, SLUICE_ACCESS_WRITE, &diag);
		if (rc == -ENOENT)
			nanosleep(&nap, NULL);
	}
	if (rc)
		fprintf(stderr, "abuse: %s\n", diag.text);
	return rc;
}

static int join(struct sluice_producer *producer, struct sluice_segment *segment, const char *name)
{
	struct sluice_diag diag = {.text = ""};
	int rc = attach(segment, name, "cmd");

	if (!rc) {
		rc = sluice_producer_open(producer, segment, NULL, &diag);
		if (rc)
			fprintf(stderr, "abuse: %s\n", diag.text);
	}
	return rc;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_command(uint64_t *state, struct sluice_command *ret_command)
{
	struct sluice_command command;
	uint8_t *bytes = (uint8_t *)&command;

	for (size_t i = 0; i < sizeof(command); i++)
		bytes[i] = (uint8_t)random_next(state);
	/* most get past the first checks, one in eight is left as it is */
	if (random_next(state) % 8) {
		command.head.type = (uint16_t)(random_next(state) % (SLUICE_CMD_TYPES + 1));
		command.head.length = sizeof(command);
		command.symbol = (uint32_t)(random_next(state) % 6);
		command.side = (uint8_t)(random_next(state) % 4);
		command.order_type = (uint8_t)(random_next(state) % 6);
		command.tif = (uint8_t)(random_next(state) % 7);
		command.stp = (uint8_t)(random_next(state) % 6);
		command.order_flags &= 1;
		command.order_id = 1 + random_next(state) % 500;
		command.session = 0;
		command.client_seq = 0;
	}
	if (random_next(state) % 2) {
		command.price = 1000 + (int64_t)(random_next(state) % 50);
		command.qty = 1 + (int64_t)(random_next(state) % 50);
		memset(&command.u, 0, sizeof(command.u));
		if (command.head.type == SLUICE_CMD_ADD_SYMBOL)
			snprintf(command.u.define.name, sizeof(command.u.define.name), "H%u",
				 (unsigned int)(random_next(state) % 10));
	}
	*ret_command = command;
}

static int publish(struct sluice_producer *producer, const struct sluice_command *command)
{
	uint64_t sequence;
	int rc = sluice_producer_claim(producer, 1, WAIT_NS, &sequence);

	if (rc)
		return rc;
	memcpy(sluice_producer_slot(producer, sequence), command, sizeof(*command));
	sluice_producer_publish(producer, sequence);
	return 0;
}

static int hostile(const char *name, uint64_t count)
{
	const char *seed = getenv("SEED");
	uint64_t state = (seed ? strtoull(seed, NULL, 10) : 1) * 0x9e3779b97f4a7c15u + 1;
	struct sluice_segment segment = {0};
	struct sluice_producer producer;
	int rc = join(&producer, &segment, name);

	if (rc)
		return rc;
	for (uint64_t i = 0; !rc && i < count; i++) {
		struct sluice_command command;

		random_command(&state, &command);
		rc = publish(&producer, &command);
	}
	sluice_producer_close(&producer);
	sluice_segment_close(&segment);
	return rc;
}

static const struct sluice_command cancel = {
	.head = {.type = SLUICE_CMD_CANCEL, .length = sizeof(cancel)},
	.order_id = 1152921504606846976u, /* of nobody */
};

static int die(const char *name, uint64_t good, uint64_t claim)
{
	struct sluice_segment segment = {0};
	struct sluice_producer producer;
	uint64_t first;
	int rc = join(&producer, &segment, name);

	for (uint64_t i = 0; !rc && i < good; i++)
		rc = publish(&producer, &cancel);
	if (!rc)
		rc = sluice_producer_claim(&producer, claim, WAIT_NS, &first);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < claim; i++)
		memcpy(sluice_producer_slot(&producer, first + i), &cancel, sizeof(cancel));
	raise(SIGKILL);
	return -EIO;
}

static int sit_on_claim(const char *name, uint64_t seconds)
{
	const struct timespec nap = {.tv_sec = (time_t)seconds};
	struct sluice_segment segment = {0};
	struct sluice_producer producer;
	uint64_t sequence;
	int rc = join(&producer, &segment, name);

	if (!rc)
		rc = sluice_producer_claim(&producer, 1, WAIT_NS, &sequence);
	if (rc)
		return rc;
	nanosleep(&nap, NULL);
	memcpy(sluice_producer_slot(&producer, sequence), &cancel, sizeof(cancel));
	sluice_producer_publish(&producer, sequence);
	sluice_producer_close(&producer);
	sluice_segment_close(&segment);
	return 0;
}

static int flip(const char *name, uint64_t n)
{
	struct sluice_segment segment = {0};
	struct sluice_ring ring;
	int rc = attach(&segment, name, "rep");

	if (rc)
		return rc;
	sluice_ring_init(&ring, &segment);
	((struct sluice_report *)sluice_ring_payload(&ring, n - 1))->price ^= 1;
	sluice_segment_close(&segment);
	return 0;
}

static int hold(const char *name, uint64_t seconds, uint64_t count)
{
	const struct sluice_consumer_options options = {
		.name = "reports", .policy = SLUICE_POLICY_CRITICAL, .from = SLUICE_FROM_BEGINNING};
	const struct timespec nap = {.tv_sec = (time_t)seconds};
	struct sluice_diag diag = {.text = ""};
	struct sluice_segment segment = {0};
	struct sluice_consumer consumer;
	uint64_t n;
	int rc = attach(&segment, name, "rep");

	if (!rc)
		rc = sluice_consumer_open(&consumer, &segment, &options, &diag);
	if (rc)
		return rc;
	nanosleep(&nap, NULL);
	for (; !rc && count; count -= n) {
		rc = sluice_consumer_wait(&consumer, count, WAIT_NS, &n);
		if (rc)
			break;
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
	}
	sluice_consumer_close(&consumer, true);
	sluice_segment_close(&segment);
	return rc;
}

/* The engine's position in NAME.cmd, and the newest visible report. */
static int acknowledged(const char *name, uint64_t *ret_position, struct sluice_report *ret_report)
{
	struct sluice_segment cmd = {0}, rep = {0};
	struct sluice_participant_view view;
	struct sluice_ring ring;
	uint64_t end;
	int rc = attach(&cmd, name, "cmd");

	if (!rc)
		rc = attach(&rep, name, "rep");
	if (rc)
		return rc;
	rc = -ENOENT;
	for (uint32_t i = 0; i < cmd.header.participant_count; i++)
		if (sluice_participant_view(&cmd, i, &view) && !strcmp(view.name, "engine")) {
			*ret_position = view.position;
			rc = 0;
		}
	sluice_ring_init(&ring, &rep);
	end = sluice_ring_published(&ring, sluice_ring_oldest(&ring), UINT64_MAX);
	memset(ret_report, 0, sizeof(*ret_report));
	if (end)
		*ret_report = *(struct sluice_report *)sluice_ring_payload(&ring, end - 1);
	sluice_segment_close(&cmd);
	sluice_segment_close(&rep);
	return rc;
}

/* A write that never happened. */
static int zero_block(const char *dir, uint32_t segment_no, uint64_t offset, uint32_t bytes)
{
	static const uint8_t zeros[SLUICE_WAL_BLOCK_BYTES_MAX];
	char path[512];
	FILE *file;
	size_t written;

	snprintf(path, sizeof(path), "%s/wal-%02u", dir, segment_no);
	file = fopen(path, "r+b");
	if (!file)
		return -errno;
	written = fseek(file, (long)offset, SEEK_SET) ? 0 : fwrite(zeros, 1, bytes, file);
	return fclose(file) || written != bytes ? -EIO : 0;
}

static int unlog(const char *name, const char *dir)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_diag diag = {.text = ""};
	struct sluice_wal_reader *reader = NULL;
	struct sluice_report report;
	uint64_t position, offset, cut = 0;
	uint32_t segment_no;
	int rc = acknowledged(name, &position, &report);
	const bool async = report.head.flags & SLUICE_REPORT_ASYNC;

	if (!rc && report.n && !async && report.cmd_seq + 1 > position)
		position = report.cmd_seq + 1;
	if (!rc)
		rc = sluice_wal_reader_open(&reader, dir, &diag);
	while (!rc &&
	       sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset) == 1) {
		if (!cut && (!header->n_cmds || header->first_cmd_seq < position))
			continue;
		cut += header->n_cmds;
		rc = zero_block(dir, segment_no, offset, sluice_wal_block_bytes(header->n_cmds));
	}
	sluice_wal_reader_close(reader);
	printf("unlogged=%llu visible=%d\n", (unsigned long long)cut,
	       cut && report.n && report.cmd_seq >= position);
	return rc;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	const uint64_t a = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	const uint64_t b = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	int rc = -EINVAL;

	if (!strcmp(what, "hostile"))
		rc = hostile(argv[2], a);
	else if (!strcmp(what, "die"))
		rc = die(argv[2], a, b);
	else if (!strcmp(what, "claim"))
		rc = sit_on_claim(argv[2], a);
	else if (!strcmp(what, "flip"))
		rc = flip(argv[2], a);
	else if (!strcmp(what, "unlog") && argc > 3)
		rc = unlog(argv[2], argv[3]);
	else if (!strcmp(what, "hold"))
		rc = hold(argv[2], a, b);
	if (rc)
		fprintf(stderr, "abuse %s: %s\n", what, strerror(-rc));
	return rc ? 1 : 0;
}
