/* SPDX-License-Identifier: MIT */
/*
 * client.c - the process that sends a live engine one command at a time and waits for its report:
 * producer of NAME.cmd and the critical consumer "reports" of NAME.rep, as the real programs are.
 */
#include <errno.h>
#include <string.h>

#include "bench/instance.h"
#include "bench/pace.h"
#include "shm/counter.h"
#include "shm/events.h"

#define WARM_UP 200u
#define REPORT_TIMEOUT_NS 10000000000u
#define PRICE 1000

struct parties {
	struct bench_ends ends;
	uint64_t sent;
};

int bench_ends_attach(struct bench_ends *ret_ends, const char *name, uint32_t wait)
{
	const struct sluice_producer_options producer = {.name = "bench", .wait = wait};
	const struct sluice_consumer_options reports = {.name = "reports", .wait = wait};
	char segment[SLUICE_SEGMENT_NAME_BYTES];
	int rc;

	snprintf(segment, sizeof(segment), "%s.cmd", name);
	rc = bench_ring_attach(&ret_ends->cmd, segment);
	snprintf(segment, sizeof(segment), "%s.rep", name);
	if (!rc)
		rc = bench_ring_attach(&ret_ends->rep, segment);
	if (!rc)
		rc = sluice_consumer_open(&ret_ends->reports, &ret_ends->rep, &reports, NULL);
	if (!rc)
		rc = sluice_producer_open(&ret_ends->producer, &ret_ends->cmd, &producer, NULL);
	return rc;
}

/* A symbol first; then an order that rests, and its cancel, in turns: one report each. */
static void fill(struct sluice_command *command, uint64_t n, uint64_t send_ns)
{
	memset(command, 0, sizeof(*command));
	command->head.length = sizeof(*command);
	command->send_ns = send_ns;
	if (!n) {
		command->head.type = SLUICE_CMD_ADD_SYMBOL;
		memcpy(command->u.define.name, "BENCH", sizeof("BENCH"));
		return;
	}
	command->head.type = n % 2 ? SLUICE_CMD_PLACE : SLUICE_CMD_CANCEL;
	command->order_id = (n + 1) / 2;
	if (n % 2) {
		command->price = PRICE;
		command->qty = 1;
		command->side = SLUICE_SIDE_BUY;
		command->order_type = SLUICE_ORDER_LIMIT;
		command->tif = SLUICE_TIF_GTC;
	}
}

static int send(struct parties *parties, uint64_t send_ns)
{
	struct sluice_command command;
	uint64_t first;
	int rc;

	fill(&command, parties->sent, send_ns);
	rc = sluice_producer_claim(&parties->ends.producer, 1, REPORT_TIMEOUT_NS, &first);
	if (rc)
		return rc;
	memcpy(sluice_producer_slot(&parties->ends.producer, first), &command, sizeof(command));
	sluice_producer_publish(&parties->ends.producer, first);
	parties->sent++;
	return 0;
}

/* The one report that the newest command has; checked. */
static int receive(struct parties *parties)
{
	const uint64_t cmd_seq = parties->sent - 1;
	struct sluice_report report;
	uint64_t n;
	int rc = sluice_consumer_wait(&parties->ends.reports, 1, REPORT_TIMEOUT_NS, &n);

	if (rc)
		return rc;
	memcpy(&report, sluice_consumer_event(&parties->ends.reports, parties->ends.reports.next),
	       sizeof(report));
	sluice_consumer_advance(&parties->ends.reports, 1);
	sluice_consumer_release(&parties->ends.reports, parties->ends.reports.next);
	if (report.cmd_seq != cmd_seq ||
	    report.head.type !=
		    (cmd_seq % 2 || !cmd_seq ? SLUICE_REP_ACCEPTED : SLUICE_REP_CANCELLED))
		return -EBADMSG;
	return 0;
}

static int exchange(struct bench_client *client, struct parties *parties, uint64_t intended_ns,
		    bool warm)
{
	uint64_t published_ns, now_ns;
	int rc;

	bench_pace(intended_ns);
	published_ns = sluice_clock_ns();
	rc = send(parties, intended_ns);
	if (!rc)
		rc = receive(parties);
	now_ns = sluice_clock_ns();
	if (rc || !warm)
		return rc;
	bench_sample(&client->samples, now_ns - intended_ns);
	bench_sample(&client->service, now_ns - published_ns);
	return 0;
}

/* The engine's histograms as they are now, for subtraction. */
static void engine_histograms(struct parties *parties, struct sluice_histogram_snapshot *take,
			      struct sluice_histogram_snapshot *commit,
			      struct sluice_histogram_snapshot *report)
{
	const struct sluice_segment *segments[] = {&parties->ends.cmd, &parties->ends.rep};
	char label[SLUICE_LABEL_BYTES];

	for (int s = 0; s < 2; s++)
		for (uint32_t i = 0; i < segments[s]->header.histogram_count; i++) {
			const struct sluice_histogram *histogram = &segments[s]->histograms[i];

			if (!sluice_histogram_label(histogram, label))
				continue;
			if (!strcmp(label, "publish_to_take_ns"))
				sluice_histogram_snapshot(histogram, take);
			else if (!strcmp(label, "commit_ns"))
				sluice_histogram_snapshot(histogram, commit);
			else if (!strcmp(label, "publish_to_report_ns"))
				sluice_histogram_snapshot(histogram, report);
		}
}

static int loop(struct bench_client *client, struct parties *parties)
{
	static struct sluice_histogram_snapshot take, commit, report;
	const uint64_t gap_ns = 1000000000u / client->rate;
	uint64_t intended_ns = sluice_clock_ns() + gap_ns, end_ns = 0;
	int rc = 0;

	for (uint64_t n = 0; !rc && (n <= WARM_UP || intended_ns < end_ns); n++) {
		if (n == WARM_UP) {
			engine_histograms(parties, &take, &commit, &report);
			end_ns = intended_ns + client->run_ns;
		}
		rc = exchange(client, parties, intended_ns, n >= WARM_UP);
		intended_ns += gap_ns;
	}
	engine_histograms(parties, &client->take, &client->commit, &client->report);
	sluice_histogram_subtract(&client->take, &take);
	sluice_histogram_subtract(&client->commit, &commit);
	sluice_histogram_subtract(&client->report, &report);
	return rc;
}

int bench_client_run(struct bench_pair *pair, uint32_t side, void *arg)
{
	static struct parties parties;
	struct bench_client *client = arg;
	int rc = bench_ends_attach(&parties.ends, client->name, client->wait);

	if (rc)
		return rc;
	snprintf(client->pages, sizeof(client->pages), "%s, %u KiB",
		 sluice_backing_name(parties.ends.cmd.header.backing),
		 parties.ends.cmd.header.page_bytes / 1024);
	bench_shared_touch(client, sizeof(*client));
	rc = bench_pair_start(pair, side);
	if (!rc)
		rc = loop(client, &parties);
	bench_pair_stop(pair, side);
	sluice_producer_close(&parties.ends.producer);
	sluice_consumer_close(&parties.ends.reports, false);
	return rc;
}
