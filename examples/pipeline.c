/* SPDX-License-Identifier: MIT */
/*
 * pipeline NAME journal FILE	writes the number of every quote to FILE, then lets the next stage
 *				have it
 * pipeline NAME act FILE	acts on each quote, and sees for itself that it is in FILE
 *
 * Two stages of one ring in two processes, with `publish` as the third. The ring is made by
 * `ring create NAME act`: the last stage is the one that holds the producers back. Either may be
 * killed and started again: what it had not released comes to it once more.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "quote.h"

struct stage {
	FILE *journal;
	bool acts;
};

/* The events are released behind the batch: what was made of them must be out before that. */
static int finish(FILE *file, bool end_of_batch)
{
	return end_of_batch && fflush(file) ? -EIO : 0;
}

/* Called for every event in order; anything but 0 ends the run. */
static int on_event(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	const struct stage *stage = arg;
	const struct quote *quote = event;
	uint64_t written;

	if (!stage->acts) {
		fprintf(stage->journal, "%" PRIu64 "\n", sequence);
		return finish(stage->journal, end_of_batch);
	}
	do {
		if (fscanf(stage->journal, "%" SCNu64, &written) != 1)
			return -ENODATA;
	} while (written < sequence); /* twice there, of a journal that was killed */
	if (written > sequence)
		return -ENODATA;
	printf("%" PRIu32 " %" PRIu64 "\n", quote->source, quote->number);
	return finish(stdout, end_of_batch);
}

/* A stage can follow only what is there. */
static void join(struct sluice_consumer *ret_consumer, struct sluice_segment *segment, bool acts)
{
	static const char *const after[] = {"journal", NULL};
	const struct sluice_consumer_options options = {
		.name = acts ? "act" : "journal",
		.from = SLUICE_FROM_BEGINNING,
		.after = acts ? after : NULL,
	};
	struct sluice_diag diag;
	int rc;

	while ((rc = sluice_consumer_open(ret_consumer, segment, &options, &diag)) == -ENOENT)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	check(rc, &diag);
}

int main(int argc, char *argv[])
{
	const struct sluice_handler handler = {.on_event = on_event};
	struct sluice_processor processor;
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	int rc;

	if (argc != 4 || (strcmp(argv[2], "journal") && strcmp(argv[2], "act"))) {
		fputs("usage: pipeline NAME journal|act FILE\n", stderr);
		return 2;
	}
	struct stage stage = {.acts = !strcmp(argv[2], "act")};

	stage.journal = fopen(argv[3], "a+"); /* reads from its beginning, writes to its end */
	if (!stage.journal) {
		perror(argv[3]);
		return 1;
	}
	if (!stage.acts)
		fputc('\n', stage.journal); /* of a line that was cut short, if there is one */
	attach(&segment, argv[1], SLUICE_ACCESS_WRITE);
	join(&consumer, &segment, stage.acts);
	sluice_processor_init(&processor, &consumer, &handler, &stage, NULL);
	rc = sluice_processor_run(&processor); /* until the ring is closed and read */
	sluice_consumer_close(&consumer, false);
	sluice_segment_close(&segment);
	if (rc)
		fprintf(stderr, "%s: %s\n", argv[2], strerror(-rc));
	return rc != 0;
}
