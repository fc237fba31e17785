/* SPDX-License-Identifier: MIT */
/* test_lanes_life.c - lanes that come to grief, and waiting for all of them. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/consumer/lanes_fixture.h"

/* ------------------------------------------------------------------------ lanes that have ended */

struct damage {
	void (*do_it)(struct shore *shore);
	int reason;
};

static void close_ring(struct shore *shore)
{
	sluice_ring_set_state(&shore->segments[1], SLUICE_STATE_DRAINING);
}

static void retire_ring(struct shore *shore)
{
	sluice_ring_set_state(&shore->segments[1], SLUICE_STATE_RETIRED);
}

static void poison_ring(struct shore *shore)
{
	sluice_ring_set_state(&shore->segments[1], SLUICE_STATE_POISONED);
}

static void evict_us(struct shore *shore)
{
	assert_int_equal(sluice_participant_evict(&shore->segments[1],
						  shore->consumers[1].index), 0);
}

static void wreck_state(struct shore *shore)
{
	atomic_store(&shore->segments[1].control->state, 99);
}

static void wreck_claim(struct shore *shore)
{
	atomic_store(&shore->segments[1].control->claim, 1ull << 40);
}

static void wreck_claim_back(struct shore *shore)
{
	atomic_store(&shore->segments[1].control->claim, 1);
}

/* "Everything is published": more than was ever claimed. */
static void wreck_stamps(struct shore *shore)
{
	struct sluice_ring ring;

	sluice_ring_init(&ring, &shore->segments[1]);
	for (uint64_t s = 0; s < 16; s++)
		atomic_store(sluice_ring_stamp(&ring, s), SLUICE_STAMP_SEQ);
}

static const struct damage damages[] = {
	{close_ring, -EPIPE},	 {retire_ring, -ESHUTDOWN}, {poison_ring, -ENOTRECOVERABLE},
	{evict_us, -ESTALE},	 {wreck_state, -EBADMSG},   {wreck_claim, -EBADMSG},
	{wreck_claim_back, -EBADMSG}, {wreck_stamps, -EBADMSG},
};

/* The wait in which a lane is dropped goes on: an event on another lane ends it. */
static void on_drop_put(void *arg, struct sluice_consumer *consumer, int reason)
{
	on_drop(arg, consumer, reason);
	put(arg, 0, 5);
}

/* Polls alone notice it, and so do waits whose polls are only those that they ask for. */
static void notice(struct shore *shore, bool waits)
{
	int rc = 0;

	if (!waits)
		for (int polls = 0; polls < 100; polls++)
			poll_all(shore, 0);
	for (int i = 0; i < 100 && !shore->drops && !rc; i++) {
		rc = sluice_lanes_wait(&shore->lanes, PATIENCE);
		if (!rc)
			poll_all(shore, 0);
	}
}

static void drop_and_go_on(const struct damage *damage, uint32_t order, bool waits)
{
	static uint32_t turn;
	static const uint32_t strategies[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_SPIN,
					      SLUICE_WAIT_BLOCK};
	struct shore *shore = shore_open(3, NULL, (struct sluice_lanes_options){
		.order = order, .wait = strategies[turn++ % 3]});

	for (uint32_t lane = 0; lane < 3; lane++)
		for (uint64_t k = 0; k < 3; k++)
			put(shore, lane, k);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(shore->events, 9);
	damage->do_it(shore);
	if (waits)
		shore->lanes.options.on_drop = on_drop_put;
	notice(shore, waits);
	assert_int_equal(shore->drops, 1);
	assert_ptr_equal(shore->dropped[0], &shore->consumers[1]);
	assert_int_equal(shore->reasons[0], damage->reason);
	assert_int_equal(shore->lanes.count, 2);
	put(shore, 0, 9);
	put(shore, 2, 9);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(shore->taken[0] + shore->taken[2], waits ? 9 : 8);
	assert_int_equal(sluice_lanes_remove(&shore->lanes, &shore->consumers[1]), -ENOENT);
	atomic_store(&shore->segments[1].control->claim, 3);
	shore_close(shore);
}

static void test_lanes_life__drop_what_has_ended_and_go_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
		for (uint32_t order = 0; order < 2; order++)
			for (int waits = 0; waits < 2; waits++)
				drop_and_go_on(&damages[i], order, waits);
}

/* What was published before the close comes first. */
static void test_lanes_life__closed_lane_is_emptied_first(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 2; order++) {
		struct shore *shore = shore_open(3, NULL,
						 (struct sluice_lanes_options){.order = order});

		for (uint32_t lane = 0; lane < 3; lane++) {
			for (uint64_t k = 0; k < 10; k++)
				put(shore, lane, k);
			sluice_ring_set_state(&shore->segments[lane], SLUICE_STATE_DRAINING);
		}
		while (poll_all(shore, 4) == SLUICE_POLL_PROCESSING)
			;
		assert_int_equal(shore->events, 30);
		assert_int_equal(shore->drops, 3);
		assert_int_equal(poll_all(shore, 0), -EPIPE);
		assert_int_equal(sluice_lanes_wait(&shore->lanes, PATIENCE), -EPIPE);
		shore_close(shore);
	}
}

static void test_lanes_life__lane_whose_ring_is_removed_goes(void **state)
{
	struct shore *shore = shore_open(2, "gone", (struct sluice_lanes_options){.wait = 0});
	const uint64_t started_ns = sluice_clock_ns();

	(void)state;
	put(shore, 1, 0);
	assert_int_equal(sluice_segment_unlink("gone1", NULL), 0);
	/* its producer is still there and may publish */
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(sluice_lanes_wait(&shore->lanes, 150 * MS), -ETIMEDOUT);
	assert_int_equal(shore->drops, 0);
	put(shore, 1, 0);
	sluice_producer_close(&shore->producers[1]);
	shore->producers[1].self = NULL;
	/* what it left comes first */
	assert_int_equal(sluice_lanes_wait(&shore->lanes, PATIENCE), 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(shore->events, 2);
	while (!shore->drops && sluice_clock_ns() - started_ns < PATIENCE)
		assert_int_equal(sluice_lanes_wait(&shore->lanes, 20 * MS), -ETIMEDOUT);
	assert_int_equal(shore->drops, 1);
	assert_int_equal(shore->reasons[0], -ENOENT);
	put(shore, 0, 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	shore_close(shore);
}

/* ----------------------------------------------------------------------------------- waiting */

struct sender {
	struct shore *shore;
	uint32_t lane, count;
};

static void *send_slowly(void *arg)
{
	const struct sender *sender = arg;
	struct sluice_producer *producer = &sender->shore->producers[sender->lane];

	for (uint64_t i = 0; i < sender->count; i++) {
		struct item item = {.key = i, .lane = sender->lane, .number = i};
		uint64_t sequence;

		item.check = item.key ^ item.lane << 32 ^ item.number << 8;
		if (sluice_producer_claim(producer, 1, PATIENCE, &sequence))
			return (void *)1;
		memcpy(sluice_producer_slot(producer, sequence), &item, sizeof(item));
		sluice_producer_publish(producer, sequence);
		if (i % 64 == 0)
			usleep(2000);
	}
	return NULL;
}

/* Five producers on five rings of three kinds: everything comes, each lane in its order. */
static void test_lanes_life__wait_for_all_of_them(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK,
					 SLUICE_WAIT_YIELD, SLUICE_WAIT_SLEEPING,
					 SLUICE_WAIT_BACKOFF};

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct shore *shore = shore_open(LANES, NULL, (struct sluice_lanes_options){
			.order = i % 2, .wait = waits[i / 2]});
		struct sender senders[LANES];
		pthread_t threads[LANES];
		uint64_t total = 0;
		int rc = 0;

		for (uint32_t lane = 0; lane < LANES; lane++) {
			senders[lane] = (struct sender){shore, lane, 300};
			pthread_create(&threads[lane], NULL, send_slowly, &senders[lane]);
		}
		while (total < 300 * LANES && !rc) {
			rc = sluice_lanes_wait(&shore->lanes, PATIENCE);
			while (!rc && poll_all(shore, 0) == SLUICE_POLL_PROCESSING)
				;
			total = 0;
			for (uint32_t lane = 0; lane < LANES; lane++)
				total += shore->taken[lane];
		}
		assert_int_equal(rc, 0);
		for (uint32_t lane = 0; lane < LANES; lane++) {
			void *result;

			pthread_join(threads[lane], &result);
			assert_null(result);
		}
		assert_int_equal(total, 300 * LANES);
		shore_close(shore);
	}
}

static void test_lanes_life__wait_times_out_and_is_interrupted(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK,
					 SLUICE_WAIT_SPIN, SLUICE_WAIT_SLEEPING};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct shore *shore = shore_open(3, NULL,
						 (struct sluice_lanes_options){.wait = waits[i]});
		const uint64_t started_ns = sluice_clock_ns();

		assert_int_equal(sluice_lanes_wait(&shore->lanes, 15 * MS), -ETIMEDOUT);
		assert_true(sluice_clock_ns() - started_ns >= 15 * MS);
		sluice_lanes_interrupt(&shore->lanes);
		assert_int_equal(sluice_lanes_wait(&shore->lanes, PATIENCE), -ECANCELED);
		put(shore, 2, 0);
		assert_int_equal(sluice_lanes_wait(&shore->lanes, PATIENCE), -ECANCELED);
		sluice_lanes_resume(&shore->lanes);
		assert_int_equal(sluice_lanes_wait(&shore->lanes, PATIENCE), 0);
		shore_close(shore);
	}
}

static void *interrupt_soon(void *arg)
{
	usleep(20000);
	sluice_lanes_interrupt(arg);
	return NULL;
}

static void test_lanes_life__sleep_is_interrupted(void **state)
{
	struct shore *shore = shore_open(3, NULL, (struct sluice_lanes_options){
		.wait = SLUICE_WAIT_BLOCK});
	const uint64_t started_ns = sluice_clock_ns();
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, interrupt_soon, &shore->lanes);
	assert_int_equal(sluice_lanes_wait(&shore->lanes, SLUICE_WAIT_FOREVER), -ECANCELED);
	pthread_join(thread, NULL);
	assert_true(sluice_clock_ns() - started_ns < PATIENCE);
	shore_close(shore);
}

/* A lane whose producer died inside a claim gets help, and holds up no other meanwhile. */
static void test_lanes_life__dead_producers_claim_is_dealt_with(void **state)
{
	struct shore *shore = shore_open(3, "dead", (struct sluice_lanes_options){
		.wait = SLUICE_WAIT_BLOCK});
	const uint64_t started_ns = sluice_clock_ns();
	pid_t pid;
	int rc;

	(void)state;
	pid = fork();
	if (!pid) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		uint64_t first;

		/* lane 2 is a multi-producer ring */
		if (sluice_segment_attach(&segment, "dead2", SLUICE_ACCESS_WRITE, NULL) ||
		    sluice_producer_open(&producer, &segment, NULL, NULL) ||
		    sluice_producer_try_claim(&producer, 2, &first))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(child_wait(pid, 20), 0);
	put(shore, 2, 0);
	put(shore, 0, 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(shore->events, 1);
	do {
		rc = sluice_lanes_wait(&shore->lanes, PATIENCE);
		if (!rc)
			poll_all(shore, 0);
	} while (!rc && shore->events < 2 && sluice_clock_ns() - started_ns < PATIENCE);
	assert_int_equal(shore->events, 2);
	assert_int_equal(atomic_load(&shore->consumers[2].self->voids), 2);
	/* asked for as soon as it makes sense, not by the polls of many sleeps */
	assert_true(atomic_load(&shore->consumers[2].self->polls) < 128);
	shore_close(shore);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes_life__drop_what_has_ended_and_go_on),
		cmocka_unit_test(test_lanes_life__closed_lane_is_emptied_first),
		cmocka_unit_test(test_lanes_life__lane_whose_ring_is_removed_goes),
		cmocka_unit_test(test_lanes_life__wait_for_all_of_them),
		cmocka_unit_test(test_lanes_life__wait_times_out_and_is_interrupted),
		cmocka_unit_test(test_lanes_life__sleep_is_interrupted),
		cmocka_unit_test(test_lanes_life__dead_producers_claim_is_dealt_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
