/* SPDX-License-Identifier: MIT */
/* follow_fixture.c - see follow_fixture.h. */
#include "tests/lib/follow_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/clock.h"

#define SYMBOLS 4u
#define REPORTS 64u
#define STEPS_MAX 1000000
#define QUIET_ROUNDS 4
#define WAIT_NS 100000000u
#define NS_PER_MS 1000000ull

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s\n", what);
	abort();
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void make_command(const struct follow_world *world, uint64_t seq,
			 struct sluice_command *ret_command)
{
	const uint64_t r = mix(seq + 1);
	struct sluice_command made = {
		.head = {.type = SLUICE_CMD_PLACE, .length = sizeof(made)},
		.order_id = seq,
		.symbol = (uint32_t)(r % SYMBOLS),
		.session = 1 + (uint32_t)(r >> 8) % 5,
		.client_seq = seq,
	};
	const bool buys = r >> 20 & 1;

	*ret_command = made;
	if (seq < SYMBOLS) {
		made.head.type = SLUICE_CMD_ADD_SYMBOL;
		made.symbol = 0;
		made.order_id = 0;
		snprintf(made.u.define.name, sizeof(made.u.define.name), "S%u", (unsigned int)seq);
	} else if (r >> 24 & 3 || world->deep) {
		/* deep: the sides do not meet */
		made.price = 1000 + (int64_t)(r >> 32) % 40 +
			     (world->deep ? (buys ? -100 : 100) : 0);
		made.qty = 1 + (int64_t)(r >> 40 & 7);
		made.side = buys ? SLUICE_SIDE_BUY : SLUICE_SIDE_SELL;
		made.order_type = SLUICE_ORDER_LIMIT;
		made.tif = SLUICE_TIF_GTC;
	} else {
		made.head.type = SLUICE_CMD_CANCEL;
		made.order_id = seq - 1 - (r >> 32) % 50;
		made.symbol = (uint32_t)(mix(made.order_id + 1) % SYMBOLS);
	}
	*ret_command = made;
}

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + REPORTS;
	sink->md_limit = UINT64_MAX;
}

static void init_sink(struct sluice_sink *sink, struct sluice_report *reports)
{
	*sink = (struct sluice_sink){
		.reports = reports,
		.report_mask = REPORTS - 1,
		.report_next = 1,
		.md_next = 1,
		.make_room = make_room,
	};
	make_room(sink);
}

void follow_world_make(struct follow_world *world, uint32_t orders_max)
{
	*world = (struct follow_world){.wal = NULL};
	wal_fixture_make_dir(&world->fixture);
	if (orders_max)
		world->fixture.options.core.orders_max = orders_max;
	world->fixture.options.core.symbols_max = 8;
	world->fixture.options.core.levels_max = 1024;
	world->fixture.options.core.sessions_max = 16;
	world->fixture.options.core.window_ticks = 256;
	need(!sluice_wal_format(world->fixture.dir, &world->fixture.options, &world->diag),
	     world->diag.text);
	world->core_memory =
		aligned_alloc(64, (sluice_core_bytes(&world->fixture.options.core) + 63) / 64 * 64);
	need(world->core_memory, "core");
}

void follow_world_remove(struct follow_world *world)
{
	if (world->wal)
		follow_world_stop(world, false);
	free(world->core_memory);
	wal_fixture_remove(&world->fixture);
}

static int replay_block(const struct sluice_wal_block_header *header,
			const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct follow_world *world = arg;

	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN) &&
	    (header->state_hash != sluice_core_chain_hash(world->core) ||
	     header->report_first != world->sink.report_next))
		return -EILSEQ;
	sluice_core_apply_batch(world->core, commands, n, header->first_cmd_seq, &world->sink);
	return 0;
}

int follow_world_start(struct follow_world *world)
{
	static const uint8_t ring_uuid[16] = {9, 8, 7};
	struct sluice_wal_position position;
	int ret = wal_fixture_open_faulty(&world->fixture, &world->wal, &world->disk, NULL);

	world->diag = world->fixture.diag;
	if (ret)
		return ret;
	init_sink(&world->sink, world->reports);
	ret = sluice_wal_restore(world->wal, world->core_memory, &world->core, &world->diag);
	if (!ret) {
		sluice_wal_position(world->wal, &position);
		world->sink.report_next = position.start_report;
		world->sink.md_next = position.start_md;
		make_room(&world->sink);
		ret = sluice_wal_replay(world->wal, replay_block, world, &world->diag);
	}
	if (!ret)
		ret = sluice_wal_start(world->wal, ring_uuid, sluice_core_chain_hash(world->core),
				       world->sink.report_next, &world->diag);
	if (ret)
		follow_world_stop(world, false);
	return ret;
}

void follow_world_started(struct follow_world *world)
{
	need(!follow_world_start(world), world->diag.text);
}

void follow_world_stop(struct follow_world *world, bool clean)
{
	fault_io_hold(world->disk, false);
	sluice_wal_close(world->wal, clean, NULL);
	world->wal = NULL;
	world->disk = NULL;
}

int follow_world_block(struct follow_world *world, uint32_t n)
{
	while (n > 0) {
		uint32_t room = 0;
		struct sluice_command *record;

		if (!world->quiet_consumer)
			sluice_wal_reports_taken(world->wal, world->sink.report_next);
		record = sluice_wal_reserve(world->wal,
					    sluice_core_chain_hash(world->core) + world->hash_lie,
					    world->sink.report_next + world->report_lie, &room);
		if (!record) {
			need(!sluice_wal_error(world->wal), sluice_wal_error_text(world->wal));
			if (sluice_wal_full(world->wal))
				return -ENOSPC;
			need(sluice_wal_wait(world->wal, WAIT_NS) >= 0, "wait");
			continue;
		}
		make_command(world, sluice_wal_next_cmd_seq(world->wal), record);
		sluice_core_apply(world->core, record, sluice_wal_next_cmd_seq(world->wal),
				  &world->sink);
		sluice_wal_append(world->wal, 1);
		n--;
	}
	need(!sluice_wal_submit(world->wal), "submit");
	return 0;
}

void follow_world_settle(struct follow_world *world)
{
	need(!wal_fixture_settle(world->wal), "settle");
}

int follow_world_settled_block(struct follow_world *world, uint32_t n)
{
	int ret = follow_world_block(world, n);

	follow_world_settle(world);
	return ret;
}

void follow_world_write(struct follow_world *world, uint64_t bytes)
{
	const uint64_t before = sluice_wal_live_bytes(world->wal);

	while (sluice_wal_live_bytes(world->wal) - before < bytes)
		if (follow_world_settled_block(world, SLUICE_WAL_RECORDS_MAX / 2))
			return;
}

void follow_world_seal(struct follow_world *world)
{
	follow_world_settle(world);
	need(!sluice_wal_seal(world->wal), "seal");
	follow_world_settle(world);
}

int follow_world_offer(struct follow_world *world, uint64_t sequence)
{
	int ret;

	if (!world->quiet_consumer)
		sluice_wal_reports_taken(world->wal, world->sink.report_next);
	ret = sluice_wal_offer(world->wal, sequence, &world->diag);
	while (!ret && sluice_wal_snapshot_named(world->wal) != sequence) {
		need(sluice_wal_wait(world->wal, WAIT_NS) >= 0, "wait for a superblock");
		need(!sluice_wal_error(world->wal), "offer");
	}
	return ret;
}

uint64_t follow_world_hash_at(const struct follow_world *world, uint64_t cmd_seq)
{
	static struct sluice_report reports[REPORTS];
	void *memory =
		aligned_alloc(64, (sluice_core_bytes(&world->fixture.options.core) + 63) / 64 * 64);
	struct sluice_core *core;
	struct sluice_sink sink;
	uint64_t hash;

	need(memory, "core");
	core = sluice_core_init(memory, &world->fixture.options.core);
	init_sink(&sink, reports);
	for (uint64_t seq = 0; seq < cmd_seq; seq++) {
		struct sluice_command command;

		make_command(world, seq, &command);
		sluice_core_apply(core, &command, seq, &sink);
	}
	hash = sluice_core_state_hash(core);
	free(memory);
	return hash;
}

struct wal_fixture_block_place follow_world_place(struct follow_world *world, uint64_t block_seq)
{
	enum { MAX = 16384 };
	struct wal_fixture_block_place *places = malloc(MAX * sizeof(*places));
	struct wal_fixture_block_place found;
	uint32_t n, i = 0;

	need(places, "places");
	n = wal_fixture_list(&world->fixture, places, MAX);
	while (i < n && places[i].header.block_seq < block_seq)
		i++;
	need(i < n, "the block is in the log");
	found = places[i];
	free(places);
	return found;
}

int follow_open(struct follow_world *world, const struct sluice_follower_options *options,
		void (*patch)(struct sluice_wal_io *io), struct sluice_follower **ret_follower)
{
	struct sluice_wal_io *io;

	need(!sluice_wal_io_blocking_create(&io, world->fixture.dir, &world->diag),
	     world->diag.text);
	if (patch)
		patch(io);
	return sluice_follower_open(ret_follower, io, options, &world->diag);
}

struct sluice_follower *follow_opened(struct follow_world *world,
				      const struct sluice_follower_options *options)
{
	struct sluice_follower *follower = NULL;

	need(!follow_open(world, options, NULL, &follower), world->diag.text);
	return follower;
}

struct sluice_follower_view follow_view(const struct sluice_follower *follower)
{
	struct sluice_follower_view view;

	sluice_follower_view(follower, &view);
	return view;
}

bool follow_is_at_end(const struct follow_world *world, const struct sluice_follower *follower)
{
	return follow_view(follower).cmd_seq == sluice_wal_durable_cmd_seq(world->wal) &&
	       sluice_core_state_hash(sluice_follower_core(follower)) ==
		       sluice_core_state_hash(world->core);
}

void follow_check(const struct follow_world *world, const struct sluice_follower *follower)
{
	const struct sluice_follower_view view = follow_view(follower);

	if (world->wal)
		need(view.cmd_seq <= sluice_wal_durable_cmd_seq(world->wal),
		     "only durable commands are executed");
	need(view.live_bytes <= view.log_bytes, "no more is live than there is");
	need(view.snapshot_named <= view.snapshot_whole || view.writing, "what is named was whole");
}

int follow_drain(struct follow_world *world, struct sluice_follower *follower)
{
	int quiet = 0;

	for (int i = 0; i < STEPS_MAX; i++) {
		int ret = sluice_follower_step(follower, &world->diag);

		if (ret < 0)
			return ret;
		follow_check(world, follower);
		quiet = ret ? 0 : quiet + 1;
		if (quiet == QUIET_ROUNDS)
			return 0;
	}
	need(false, "a follower comes to rest");
	return 0;
}

int follow_wait(struct follow_world *world, struct sluice_follower *follower, uint32_t ms)
{
	const uint64_t end_ns = sluice_clock_ns() + ms * NS_PER_MS;
	int ret;

	do {
		ret = follow_drain(world, follower);
		nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS * 2}, NULL);
	} while (!ret && sluice_clock_ns() < end_ns);
	return ret;
}

uint64_t follow_next_snapshot(struct follow_world *world, struct sluice_follower *follower)
{
	const uint64_t before = follow_view(follower).snapshot_whole;

	for (int i = 0; i < 200 && follow_view(follower).snapshot_whole == before; i++) {
		follow_world_write(world, 100000);
		follow_world_seal(world);
		need(!follow_drain(world, follower), world->diag.text);
	}
	need(follow_view(follower).snapshot_whole != before, "a snapshot is taken");
	return follow_view(follower).snapshot_whole;
}

void follow_two_snapshots(struct follow_world *world, const struct sluice_follower_options *options)
{
	struct sluice_follower *follower = follow_opened(world, options);

	follow_world_started(world);
	follow_world_write(world, 500000); /* a deep world has some thousand orders then */
	for (uint64_t q = 1; q <= 2; q++) {
		need(follow_next_snapshot(world, follower) == q, "the next number");
		need(!follow_world_offer(world, q), world->diag.text);
		need(!follow_drain(world, follower), world->diag.text);
	}
	sluice_follower_close(follower);
	follow_world_write(world, 400000);
	follow_world_seal(world);
}

bool follow_starts_from(struct follow_world *world, uint64_t sequence)
{
	const uint64_t cmd_seq = sluice_wal_durable_cmd_seq(world->wal);
	const uint64_t hash = sluice_core_state_hash(world->core);
	struct sluice_wal_position position;

	follow_world_stop(world, false);
	if (follow_world_start(world)) {
		fprintf(stderr, "%s\n", world->diag.text);
		return false;
	}
	sluice_wal_position(world->wal, &position);
	if (position.snapshot == sequence && position.next_cmd_seq == cmd_seq &&
	    sluice_core_state_hash(world->core) == hash)
		return true;
	fprintf(stderr, "started from snapshot %llu at command %llu\n",
		(unsigned long long)position.snapshot, (unsigned long long)position.next_cmd_seq);
	return false;
}
