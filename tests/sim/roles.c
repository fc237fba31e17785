/* SPDX-License-Identifier: MIT */
/*
 * roles.c - producers, engine and consumer as simulated processes: what their programs' main
 * functions do, without options and signals. Whatever stays after a death is in sim_world: what
 * the process has written down for itself.
 */
#include "tests/sim/roles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/signals.h"
#include "engine/engine.h"
#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/segment.h"
#include "tests/sim/trace.h"

#define RETRY_NS 500000u
#define CLAIM_WAIT_NS 5000000u
#define EVENT_WAIT_NS 20000000u
#define SCRATCH 256u

struct sim_world sim_world;

int __wrap_sluice_wal_io_create(struct sluice_wal_io **ret_io, const char *dir, uint32_t backend,
				struct sluice_diag *diag);
void __wrap_sluice_cli_log(const char *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int __wrap_sluice_proc_start_ticks(pid_t pid, uint64_t *ret_ticks);
int __wrap_sluice_proc_pid_namespace(uint64_t *ret_inode);
int __wrap_sluice_proc_boot_id(uint8_t ret_id[16]);

int __wrap_sluice_wal_io_create(struct sluice_wal_io **ret_io, const char *dir, uint32_t backend,
				struct sluice_diag *diag)
{
	(void)dir;
	(void)backend;
	(void)diag;
	return sim_disk_open(ret_io);
}

void __wrap_sluice_cli_log(const char *program, const char *format, ...)
{
	char text[512];
	va_list args;

	(void)program;
	if (!sim_trace_is_verbose())
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%36s says: %s\n", "", text);
}

int __wrap_sluice_proc_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	*ret_ticks = (uint64_t)pid;
	return 0;
}

int __wrap_sluice_proc_pid_namespace(uint64_t *ret_inode)
{
	*ret_inode = 1;
	return 0;
}

int __wrap_sluice_proc_boot_id(uint8_t ret_id[16])
{
	memset(ret_id, 1, 16);
	return 0;
}

static void rest(uint64_t ns)
{
	const struct timespec length = {.tv_nsec = (long)ns};

	nanosleep(&length, NULL);
}

static uint64_t about(uint64_t ns)
{
	return ns ? sim_spread(&sim_world.dice, 0, 2 * ns) : 0;
}

/* ---------------------------------------------------------------------------------- engine */

static const struct engine_options *engine_options(void)
{
	static struct engine_options options;

	options = (struct engine_options){
		.name = SIM_INSTANCE,
		.wal = "simulated",
		.wait = sim_world.wait[SIM_ENGINE],
		.cpu = "none",
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.ring_size = sim_world.ring_slots,
		.window = sim_world.window,
		.symbols_max = sim_world.limits.symbols_max,
		.orders_max = sim_world.limits.orders_max,
		.levels_max = sim_world.limits.levels_max,
		.sessions_max = sim_world.limits.sessions_max,
		.window_ticks = sim_world.limits.window_ticks,
		.follower = ENGINE_FOLLOWER_OFF,
	};
	return &options;
}

static int engine_start(struct engine *engine, struct sluice_diag *diag)
{
	int rc;

	engine->options = *engine_options();
	engine->scratch = calloc(SCRATCH, sizeof(*engine->scratch));
	rc = engine_recover(engine, diag);
	if (rc)
		return rc;
	engine_sink_init(engine);
	engine_notes(engine);
	sim_world.engine_ready = true;
	sim_trace("the engine is ready", 0, 0, 0, 0);
	return 0;
}

void sim_engine(void)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	struct sluice_diag *diag = calloc(1, sizeof(*diag));
	int rc = engine_start(engine, diag);
	const bool started = !rc;

	if (!rc)
		rc = engine_run(engine, diag);
	if (engine->wal)
		sluice_wal_close(engine->wal, false, NULL);
	engine_instance_close(engine);
	sim_check_rings();
	sim_engine_ended(rc == -EINTR && sluice_signals_stop() ? 0 : rc, started, diag->text);
}

/* -------------------------------------------------------------------------------- producers */

void sim_command(uint32_t source, uint64_t client_seq, struct sluice_command *ret_command)
{
	struct sim_random dice = {sim_mix(sim_world.seed ^ (uint64_t)(source + 1) << 40 ^
					  client_seq)};
	const uint64_t kind = sim_below(&dice, 100);
	const uint64_t older = client_seq > 1 ? sim_between(&dice, 1, client_seq - 1) : 1;
	struct sluice_command command = {
		.head = {.type = SLUICE_CMD_PLACE, .length = sizeof(command)},
		.order_id = (uint64_t)(source + 1) << 32 | client_seq,
		.price = (int64_t)sim_between(&dice, 90, 110),
		.qty = (int64_t)sim_between(&dice, 1, 20),
		.account = source + 1,
		.side = (uint8_t)sim_between(&dice, SLUICE_SIDE_BUY, SLUICE_SIDE_SELL),
		.order_type = SLUICE_ORDER_LIMIT,
		.tif = sim_chance(&dice, 150) ? SLUICE_TIF_IOC : SLUICE_TIF_GTC,
		.session = source + 1,
		.client_seq = client_seq,
		.time_ns = client_seq,
	};

	if (source == 0 && client_seq == 1) {
		command = (struct sluice_command){
			.head = {.type = SLUICE_CMD_ADD_SYMBOL, .length = sizeof(command)},
			.session = 1,
			.client_seq = 1,
			.u.define.name = "A",
		};
	} else if (kind >= 70 && kind < 95) {
		command = (struct sluice_command){
			.head = {.type = kind < 90 ? SLUICE_CMD_CANCEL : SLUICE_CMD_REDUCE,
				 .length = sizeof(command)},
			.order_id = (uint64_t)(source + 1) << 32 | older,
			.qty = kind < 90 ? 0 : 1,
			.account = source + 1,
			.session = source + 1,
			.client_seq = client_seq,
		};
	} else if (kind >= 95) {
		command.head.type = 777; /* answered, like everything */
	}
	*ret_command = command;
}

static int send(struct sluice_producer *producer, uint32_t source, uint64_t client_seq, uint64_t n)
{
	uint64_t first;
	int rc = sluice_producer_claim(producer, n, CLAIM_WAIT_NS, &first);

	for (uint64_t i = 0; !rc && i < n; i++) {
		struct sluice_command command;

		sim_command(source, client_seq + i, &command);
		command.send_ns = sim_now();
		memcpy(sluice_producer_slot(producer, first + i), &command, sizeof(command));
	}
	if (rc)
		return rc;
	sluice_producer_publish_range(producer, first, first + n - 1);
	if (client_seq + n - 1 > sim_world.sent[source])
		sim_world.sent[source] = client_seq + n - 1;
	return 0;
}

static void produce(struct sluice_producer *producer, struct sluice_segment *segment,
		    uint32_t source)
{
	const uint64_t acked = sim_world.acked[source], sent = sim_world.sent[source];
	uint64_t next = sim_between(&sim_world.dice, acked + 1, (sent > acked ? sent : acked) + 1);
	int rc = 0;

	while ((!rc || rc == -ETIMEDOUT) && sluice_segment_is_named(segment)) {
		const uint64_t left = sim_world.commands[source] + 1 - next;
		uint64_t n = sim_chance(&sim_world.dice, 200) ?
				     sim_between(&sim_world.dice, 2, 6) :
				     1;

		if (!left) {
			rest(5 * RETRY_NS);
			continue;
		}
		n = n < left ? n : left;
		rc = send(producer, source, next, n);
		if (!rc)
			next += n;
		rest(about(sim_world.think_ns[source]));
	}
}

void sim_producer(void)
{
	const uint32_t source = (uint32_t)sim_self() - SIM_PRODUCER;
	const struct sluice_producer_options options = {.wait = sim_world.wait[sim_self()]};
	struct sluice_segment segment;
	struct sluice_producer producer;

	for (;;) {
		memset(&segment, 0, sizeof(segment));
		if (sluice_segment_attach(&segment, SIM_INSTANCE ".cmd", SLUICE_ACCESS_WRITE,
					  NULL)) {
			rest(RETRY_NS);
			continue;
		}
		memset(&producer, 0, sizeof(producer));
		if (!sluice_producer_open(&producer, &segment, &options, NULL)) {
			produce(&producer, &segment, source);
			sluice_producer_close(&producer);
		}
		sluice_segment_close(&segment);
		rest(RETRY_NS);
	}
}

/* --------------------------------------------------------------------------------- consumer */

static void see(const struct sluice_report *report)
{
	const uint32_t source = report->session - 1;

	sim_check_rings();
	sim_check_report(report);
	if (source < SIM_PRODUCERS && report->client_seq > sim_world.acked[source])
		sim_world.acked[source] = report->client_seq;
}

static int consume(struct sluice_consumer *consumer)
{
	uint64_t n;
	int rc = sluice_consumer_wait(consumer, sim_between(&sim_world.dice, 1, 64), EVENT_WAIT_NS,
				      &n);

	if (rc)
		return rc == -ETIMEDOUT || rc == -EAGAIN ? 0 : rc;
	for (uint64_t i = 0; i < n; i++)
		see(sluice_consumer_event(consumer, consumer->next + i));
	sluice_consumer_advance(consumer, n);
	if (sim_chance(&sim_world.dice, 300))
		rest(about(sim_world.slow_ns));
	sluice_consumer_release(consumer, consumer->next);
	return 0;
}

void sim_consumer(void)
{
	const struct sluice_consumer_options options = {
		.name = "reports",
		.wait = sim_world.wait[SIM_CONSUMER],
		.from = SLUICE_FROM_BEGINNING,
	};
	struct sluice_segment segment;
	struct sluice_consumer consumer;

	for (;;) {
		memset(&segment, 0, sizeof(segment));
		memset(&consumer, 0, sizeof(consumer));
		if (sluice_segment_attach(&segment, SIM_INSTANCE ".rep", SLUICE_ACCESS_WRITE,
					  NULL)) {
			rest(RETRY_NS);
			continue;
		}
		if (!sluice_consumer_open(&consumer, &segment, &options, NULL)) {
			while (sluice_segment_is_named(&segment) && !consume(&consumer))
				;
			sluice_consumer_close(&consumer, true);
		}
		sluice_segment_close(&segment);
		rest(RETRY_NS);
	}
}
