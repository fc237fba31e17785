/* SPDX-License-Identifier: MIT */
/*
 * wal_client.c - the process beside the engine: sends commands of a flow as its mode says, reads
 * every report, counts a command as done when its first report is in hand.
 *
 * One thread sends and reads in turns. Without `sleeps` it spins; with it, it sleeps in the kernel
 * where nothing is due for a while, and yields before that.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/pace.h"
#include "bench/wal.h"
#include "shm/counter.h"
#include "shm/events.h"

#define SEND_MAX 64u
#define READ_MAX 256u
#define WARM_UP_ONE 100u
#define WARM_UP_NS_MAX 200000000u
#define SILENCE_NS 20000000000u /* no report for so long: something has stopped */
#define SLEEP_LEAST_NS 50000u
#define REST_ID (1ull << 40)
#define REST_PRICES 4000u
#define SNAPSHOT_NS 3000000000u /* for the first one, of those orders */

struct counters {
	uint64_t engine_ns, engine_user_ns, client_ns;
	uint64_t logged, blocks, bytes, snapshots;
};

struct parties {
	struct bench_load *load;
	struct bench_ends ends;
	uint64_t sent, seen; /* next command to send; next whose first report is awaited */
	uint64_t used;	     /* of the flow */
	uint64_t began_ns;   /* of the schedule: command began_seq + k is due at k gaps after it */
	uint64_t began_seq;
	uint64_t sample_every;
	uint64_t heard_ns;
	bool measuring;
};

static int attach(struct parties *parties)
{
	const struct bench_load *load = parties->load;
	int rc = bench_ends_attach(&parties->ends, load->name,
				   load->sleeps ? SLUICE_WAIT_BLOCK : SLUICE_WAIT_SPIN);

	if (!rc)
		parties->sent = parties->seen = parties->ends.producer.next;
	return rc;
}

/* The flow's next command, or one of the orders that rest far below its prices. */
static void fill(struct parties *parties, uint64_t resting, struct sluice_command *ret_command)
{
	if (!resting) {
		memcpy(ret_command, &parties->load->commands[parties->used++],
		       sizeof(*ret_command));
		return;
	}
	memset(ret_command, 0, sizeof(*ret_command));
	ret_command->head.type = SLUICE_CMD_PLACE;
	ret_command->head.length = sizeof(*ret_command);
	ret_command->order_id = REST_ID + resting;
	ret_command->price = (int64_t)(1 + resting % REST_PRICES);
	ret_command->qty = 1;
	ret_command->side = SLUICE_SIDE_BUY;
	ret_command->order_type = SLUICE_ORDER_LIMIT;
	ret_command->tif = SLUICE_TIF_GTC;
}

/* When the command is due; of an unpaced one, now. */
static uint64_t due_ns(const struct parties *parties, uint64_t sequence, uint64_t now_ns)
{
	if (parties->load->mode == BENCH_LOAD_FULL || !parties->began_ns)
		return now_ns;
	return parties->began_ns +
	       (sequence - parties->began_seq) * 1000000000u / parties->load->rate;
}

/* Sends n commands if the ring takes them: how many. */
static int send_some(struct parties *parties, uint32_t n, uint64_t resting, uint64_t now_ns)
{
	uint64_t first;
	int rc;

	if (!resting && n > parties->load->count - parties->used)
		n = (uint32_t)(parties->load->count - parties->used);
	if (!n)
		return 0;
	rc = sluice_producer_try_claim(&parties->ends.producer, n, &first);
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command command;

		fill(parties, resting ? resting + i : 0, &command);
		command.send_ns = parties->load->mode == BENCH_LOAD_ONE ?
					  sluice_clock_ns() :
					  due_ns(parties, first + i, now_ns);
		memcpy(sluice_producer_slot(&parties->ends.producer, first + i), &command,
		       sizeof(command));
	}
	sluice_producer_publish_range(&parties->ends.producer, first, first + n - 1);
	parties->sent += n;
	return (int)n;
}

/* A report: its command is the one awaited, or it is a further one of the command before. */
static int take(struct parties *parties, const struct sluice_report *report, uint64_t now_ns)
{
	if (report->cmd_seq + 1 == parties->seen)
		return 0;
	if (report->cmd_seq != parties->seen || parties->seen == parties->sent)
		return -EBADMSG;
	parties->seen++;
	if (parties->measuring && report->cmd_seq % parties->sample_every == 0)
		bench_sample(&parties->load->samples,
			     now_ns > report->send_ns ? now_ns - report->send_ns : 0);
	return 0;
}

/* Reads what is there: how many reports. */
static int receive(struct parties *parties)
{
	struct sluice_consumer *reports = &parties->ends.reports;
	uint64_t n, now_ns;
	int rc = sluice_consumer_poll(reports, READ_MAX, &n);

	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	now_ns = sluice_clock_ns();
	for (uint64_t i = 0; i < n && !rc; i++)
		rc = take(parties, sluice_consumer_event(reports, reports->next + i), now_ns);
	if (rc)
		return rc;
	sluice_consumer_advance(reports, n);
	sluice_consumer_release(reports, reports->next);
	parties->heard_ns = now_ns;
	return (int)n;
}

/* Nothing to send and nothing to read before `until_ns`. */
static int idle(struct parties *parties, uint64_t until_ns)
{
	const uint64_t now_ns = sluice_clock_ns();
	uint64_t n;
	int rc;

	if (parties->seen != parties->sent && now_ns - parties->heard_ns > SILENCE_NS)
		return -ETIMEDOUT;
	if (!parties->load->sleeps) {
		sluice_cpu_relax();
		return 0;
	}
	if (until_ns <= now_ns + SLEEP_LEAST_NS) {
		sched_yield();
		return 0;
	}
	if (parties->seen == parties->sent) {
		bench_pace(until_ns);
		return 0;
	}
	rc = sluice_consumer_wait(&parties->ends.reports, 1, until_ns - now_ns, &n);
	return rc == -ETIMEDOUT ? 0 : rc;
}

/* How many may be sent now, and when the next one is due if that is none. */
static uint32_t due(const struct parties *parties, uint64_t now_ns, uint64_t *ret_until_ns)
{
	const struct bench_load *load = parties->load;
	const uint64_t next_ns = due_ns(parties, parties->sent, now_ns);
	const bool one = load->mode == BENCH_LOAD_ONE;

	*ret_until_ns = now_ns + 1000000;
	if (one && parties->seen != parties->sent)
		return 0;
	if (load->mode == BENCH_LOAD_FULL)
		return SEND_MAX;
	if (next_ns > now_ns) {
		*ret_until_ns = next_ns < *ret_until_ns || one ? next_ns : *ret_until_ns;
		return 0;
	}
	return one ? 1 :
		     (uint32_t)(due_ns(parties, parties->sent + SEND_MAX - 1, now_ns) <= now_ns ?
					SEND_MAX :
					1 + (now_ns - next_ns) * load->rate / 1000000000u);
}

/* Sends as the mode says until the time, reading all along. */
static int drive(struct parties *parties, uint64_t end_ns)
{
	uint64_t now_ns = sluice_clock_ns(), until_ns;
	int sent, rc = 0;

	while (now_ns < end_ns && rc >= 0 && parties->used < parties->load->count) {
		const uint32_t n = due(parties, now_ns, &until_ns);

		sent = send_some(parties, n, 0, now_ns);
		if (sent < 0)
			return sent;
		rc = receive(parties);
		if (!rc && !sent)
			rc = idle(parties, n ? now_ns + 1000000 : until_ns);
		now_ns = sluice_clock_ns();
	}
	return rc < 0 ? rc : 0;
}

/* Reads until every command has its report. */
static int settle(struct parties *parties)
{
	int rc = 0;

	parties->heard_ns = sluice_clock_ns();
	while (parties->seen != parties->sent && rc >= 0) {
		rc = receive(parties);
		if (!rc)
			rc = idle(parties, sluice_clock_ns() + 1000000);
	}
	return rc < 0 ? rc : 0;
}

/* n commands at once: of the flow, or orders that rest. */
static int put(struct parties *parties, uint64_t n, bool rest)
{
	int sent, rc = 0;

	parties->heard_ns = sluice_clock_ns();
	for (uint64_t i = 0; i < n && rc >= 0;) {
		const uint64_t left = n - i;

		sent = send_some(parties, (uint32_t)(left < SEND_MAX ? left : SEND_MAX),
				 rest ? 1 + i : 0, sluice_clock_ns());
		if (sent < 0)
			return sent;
		i += (uint64_t)sent;
		rc = receive(parties);
		if (!rc && !sent)
			rc = idle(parties, sluice_clock_ns() + 1000000);
	}
	return rc < 0 ? rc : settle(parties);
}

static uint64_t definitions(const struct bench_load *load)
{
	uint64_t n = 0;

	while (n < load->count && load->commands[n].head.type == SLUICE_CMD_ADD_SYMBOL)
		n++;
	return n;
}

static uint64_t counter(const struct parties *parties, const char *label)
{
	const struct sluice_segment *rep = &parties->ends.rep;
	char found[SLUICE_LABEL_BYTES];

	for (uint32_t i = 0; i < rep->header.counter_count; i++)
		if (sluice_counter_label(&rep->counters[i], found) && !strcmp(found, label))
			/* relaxed: a statistic */
			return atomic_load_explicit(&rep->counters[i].value, memory_order_relaxed);
	return 0;
}

static void commit_histogram(const struct parties *parties,
			     struct sluice_histogram_snapshot *ret_snapshot)
{
	const struct sluice_segment *rep = &parties->ends.rep;
	char found[SLUICE_LABEL_BYTES];

	memset(ret_snapshot, 0, sizeof(*ret_snapshot));
	for (uint32_t i = 0; i < rep->header.histogram_count; i++)
		if (sluice_histogram_label(&rep->histograms[i], found) &&
		    !strcmp(found, "commit_ns"))
			sluice_histogram_snapshot(&rep->histograms[i], ret_snapshot);
}

/* CPU time of a process with all its threads. */
static uint64_t cpu_ns(pid_t pid)
{
	struct timespec spent;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &spent))
		return 0;
	return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

/* The user's part, in the kernel's ticks: of a whole second good to a per cent. */
static uint64_t user_ns(pid_t pid)
{
	char path[32], line[1024];
	unsigned long long ticks = 0;
	const char *fields;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file)) {
		fields = strrchr(line, ')'); /* state, then ten numbers, then utime */
		for (int i = 0; i < 12 && fields; i++)
			fields = strchr(fields + 1, ' ');
		if (fields)
			ticks = strtoull(fields, NULL, 10);
	}
	if (file)
		fclose(file);
	return ticks * (1000000000u / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static void look(const struct parties *parties, struct counters *ret_counters)
{
	ret_counters->engine_ns = cpu_ns(parties->load->engine);
	ret_counters->engine_user_ns = user_ns(parties->load->engine);
	ret_counters->client_ns = cpu_ns(getpid());
	ret_counters->logged = counter(parties, "wal_commands");
	ret_counters->blocks = counter(parties, "wal_blocks");
	ret_counters->bytes = counter(parties, "wal_bytes");
	ret_counters->snapshots = counter(parties, "snapshots");
}

static void subtract(struct bench_load *load, const struct counters *from,
		     const struct counters *to)
{
	load->engine_ns = to->engine_ns - from->engine_ns;
	load->engine_user_ns = to->engine_user_ns - from->engine_user_ns;
	load->client_ns = to->client_ns - from->client_ns;
	load->logged = to->logged - from->logged;
	load->blocks = to->blocks - from->blocks;
	load->bytes = to->bytes - from->bytes;
	load->snapshots = to->snapshots - from->snapshots;
}

/* The follower has come as far as this and takes snapshots; if it does not, the row says so. */
static void await_snapshot(const struct parties *parties)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	const uint64_t end_ns = sluice_clock_ns() + SNAPSHOT_NS;

	while (!counter(parties, "snapshots") && sluice_clock_ns() < end_ns)
		nanosleep(&pause, NULL);
}

/* The schedule starts now: what is sent before the clock runs is on it as well. */
static int warm_up(struct parties *parties)
{
	const struct bench_load *load = parties->load;
	uint64_t ns = load->run_ns / 5 < WARM_UP_NS_MAX ? load->run_ns / 5 : WARM_UP_NS_MAX;

	parties->began_ns = parties->heard_ns = sluice_clock_ns();
	parties->began_seq = parties->sent;
	if (load->mode == BENCH_LOAD_ONE)
		ns = WARM_UP_ONE * 1000000000u / load->rate;
	return drive(parties, parties->began_ns + ns);
}

static int measure(struct parties *parties)
{
	static struct sluice_histogram_snapshot before;
	struct bench_load *load = parties->load;
	struct counters from, to;
	uint64_t began_ns;
	int rc;

	look(parties, &from);
	commit_histogram(parties, &before);
	load->first_seq = parties->seen;
	parties->measuring = true;
	began_ns = sluice_clock_ns();
	rc = drive(parties, began_ns + load->run_ns);
	load->window_ns = sluice_clock_ns() - began_ns;
	load->done = parties->seen - load->first_seq;
	look(parties, &to);
	commit_histogram(parties, &load->commit);
	subtract(load, &from, &to);
	sluice_histogram_subtract(&load->commit, &before);
	/* those that are still on their way waited as well: all of them are counted */
	return rc ? rc : settle(parties);
}

static int run(struct parties *parties)
{
	struct bench_load *load = parties->load;
	int rc;

	if (load->mode == BENCH_LOAD_PUT)
		return put(parties, load->count, false);
	rc = put(parties, definitions(load), false);
	if (!rc)
		rc = put(parties, load->rest, true);
	if (!rc && load->rest)
		await_snapshot(parties);
	parties->sample_every = 1 + load->rate * (load->run_ns / 1000000 + 1) / 1000 /
					    (BENCH_SAMPLES_MAX / 2);
	if (!rc)
		rc = warm_up(parties);
	return rc ? rc : measure(parties);
}

int bench_load_run(struct bench_pair *pair, uint32_t side, void *arg)
{
	static struct parties parties;
	int rc;

	parties.load = arg;
	rc = attach(&parties);
	if (rc)
		return rc;
	bench_shared_touch(arg, sizeof(*parties.load));
	rc = bench_pair_start(pair, side);
	if (!rc)
		rc = run(&parties);
	bench_pair_stop(pair, side);
	sluice_producer_close(&parties.ends.producer);
	sluice_consumer_close(&parties.ends.reports, false);
	return rc;
}
