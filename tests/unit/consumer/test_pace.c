/* SPDX-License-Identifier: MIT */
/*
 * test_pace.c - taking lines changes nothing in them, whoever else writes there; resting starts
 * seldom, goes on while it pays, and stops when it does not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "consumer/pace.h"
#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define PAGE 4096u
#define WRITES 2000000u
#define TAKES 1000000u
#define TIME_NS_MAX 2000000000u

/* Slots that end where the mapping ends, so that one byte too far is a fault. */
static struct sluice_ring ring_of(uint8_t *page, uint32_t stride, uint64_t slot_count, bool stamped)
{
	const struct sluice_ring ring = {
		.slots = page,
		.slot_count = slot_count,
		.mask = slot_count - 1,
		.stride = stride,
		.stamped = stamped,
	};

	return ring;
}

static uint8_t *map_page(void)
{
	uint8_t *page = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	return page + PAGE;
}

static void test_pace__take_changes_no_byte(void **state)
{
	static const uint32_t strides[] = {8, 24, 32, 40, 64, 72, 128, 256};
	uint8_t *page = map_page(), before[PAGE];
	uint64_t seed = test_seed();

	(void)state;
	for (uint32_t round = 0; round < 4000; round++) {
		const uint32_t stride = strides[test_random(&seed) % 8];
		uint64_t slots = 2, from, n;

		while (slots * 2 * stride <= PAGE && test_random(&seed) % 8)
			slots *= 2;
		for (uint32_t i = 0; i < PAGE; i++)
			page[i] = test_random(&seed) % 4 ? (uint8_t)test_random(&seed) : 0;
		memcpy(before, page, PAGE);
		from = test_random(&seed);
		n = 1 + test_random(&seed) % slots;
		const struct sluice_ring ring = ring_of(page, stride, slots, round % 2);

		sluice_pace_take(&ring, from, n);
		assert_memory_equal(page, before, PAGE);
	}
	munmap(page - PAGE, 3 * PAGE);
}

struct zombie {
	struct sluice_ring ring;
	_Atomic uint32_t stop;
	_Atomic uint64_t takes;
};

static void *take_for_ever(void *arg)
{
	struct zombie *zombie = arg;

	/* relaxed: a lone flag */
	while (!atomic_load_explicit(&zombie->stop, memory_order_relaxed)) {
		sluice_pace_take(&zombie->ring, 0, zombie->ring.slot_count);
		/* relaxed: a count for the other to look at */
		atomic_fetch_add_explicit(&zombie->takes, 1, memory_order_relaxed);
	}
	return NULL;
}

/*
 * A consumer that was evicted and does not know it takes lines that a producer writes: nothing that
 * is written may be lost. The writer looks at each word again before it writes the next value.
 */
static void test_pace__a_zombie_loses_no_write(void **state)
{
	struct zombie zombie;
	uint8_t *page = map_page();
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)page;
	const uint64_t began_ns = sluice_clock_ns();
	uint64_t last[4] = {0}, lost = 0;
	pthread_t thread;

	(void)state;
	memset(&zombie, 0, sizeof(zombie));
	zombie.ring = ring_of(page, 32, 8, false);
	assert_int_equal(pthread_create(&thread, NULL, take_for_ever, &zombie), 0);
	/* relaxed: only a count */
	for (uint64_t n = 1;
	     n <= WRITES || (atomic_load_explicit(&zombie.takes, memory_order_relaxed) < TAKES &&
			     sluice_clock_ns() - began_ns < TIME_NS_MAX);
	     n++) {
		_Atomic uint64_t *word = &words[n % 4 * 8];

		/* relaxed, both: one thread's own word; the other changes nothing */
		lost += atomic_load_explicit(word, memory_order_relaxed) != last[n % 4];
		last[n % 4] = n % 3 ? n : 0;
		atomic_store_explicit(word, last[n % 4], memory_order_relaxed);
	}
	/* relaxed: a lone flag */
	atomic_store_explicit(&zombie.stop, 1, memory_order_relaxed);
	pthread_join(thread, NULL);
	assert_true(atomic_load_explicit(&zombie.takes, memory_order_relaxed) > 0);
	assert_int_equal(lost, 0);
	munmap(page - PAGE, 3 * PAGE);
}

/* How many times a reader that catches up again and again does so before it rests; it then does. */
static uint32_t until_rest(struct sluice_pace *pace)
{
	uint32_t n = 1;

	while (!sluice_pace_rest(pace) && n < 100000)
		n++;
	return n;
}

static void test_pace__rests_ever_less_often_for_nothing(void **state)
{
	struct sluice_pace pace;
	uint32_t before;

	(void)state;
	sluice_pace_init(&pace);
	before = until_rest(&pace);
	assert_in_range(before, 64, 1024);
	for (int i = 0; i < 12; i++) {
		uint32_t n;

		sluice_pace_rested(&pace, 1); /* a reply: one event, as without a rest */
		n = until_rest(&pace);
		assert_true(n >= before);
		before = n;
	}
	assert_in_range(before, 4096, 65536);
}

static void test_pace__goes_on_while_it_pays(void **state)
{
	struct sluice_pace pace;

	(void)state;
	sluice_pace_init(&pace);
	until_rest(&pace);
	for (int i = 0; i < 20; i++) {
		sluice_pace_rested(&pace, 100);
		assert_int_equal(until_rest(&pace), 1);
	}
	sluice_pace_rested(&pace, 2);
	assert_true(until_rest(&pace) > 64);
	sluice_pace_rested(&pace, 0);
	assert_true(until_rest(&pace) > 64);
}

/* What an event may wait at most: a few microseconds, however well it pays. */
static void test_pace__a_rest_is_short(void **state)
{
	struct sluice_pace pace;
	uint64_t least_ns = UINT64_MAX, most_ns = 0;

	(void)state;
	sluice_pace_init(&pace);
	until_rest(&pace);
	for (int i = 0; i < 200; i++) {
		uint64_t began_ns, took_ns;

		sluice_pace_rested(&pace, 1000000);
		most_ns = pace.rest_ns > most_ns ? pace.rest_ns : most_ns;
		began_ns = sluice_clock_ns();
		assert_true(sluice_pace_rest(&pace));
		took_ns = sluice_clock_ns() - began_ns;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
	}
	assert_true(least_ns >= 1000);
	assert_true(most_ns <= 5000);
}

/* A million events in a ring whose consumer takes lines and rests: all of them, in order. */
static void *publish_many(void *arg)
{
	struct sluice_producer *producer = arg;

	for (uint64_t i = 0; i < 1000000; i++) {
		uint64_t first;

		if (sluice_producer_claim(producer, 1, 10000000000u, &first))
			return producer;
		event_fill(sluice_producer_slot(producer, first), producer->ring.payload_bytes,
			   first);
		sluice_producer_publish(producer, first);
	}
	return NULL;
}

static void stream(uint32_t publication)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	const struct sluice_producer_options options = {.wait = SLUICE_WAIT_YIELD};
	uint64_t read = 0, n, wrong = 0;
	pthread_t thread;
	void *failed;

	assert_int_equal(ring_create(&segment, NULL, publication, 1024, 0), 0);
	assert_int_equal(
		ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT),
		0);
	assert_int_equal(sluice_producer_open(&producer, &segment, &options, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, publish_many, &producer), 0);
	while (read < 1000000 && !sluice_consumer_wait(&consumer, 256, 10000000000u, &n)) {
		for (uint64_t i = 0; i < n; i++)
			wrong += !event_is(sluice_consumer_event(&consumer, consumer.next + i),
					   consumer.ring.payload_bytes, read + i);
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
		read += n;
	}
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_int_equal(wrong, 0);
	assert_int_equal(read, 1000000);
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_pace__a_stream_arrives_whole(void **state)
{
	(void)state;
	stream(RING_CURSOR);
	stream(RING_STAMPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace__take_changes_no_byte),
		cmocka_unit_test(test_pace__a_zombie_loses_no_write),
		cmocka_unit_test(test_pace__rests_ever_less_often_for_nothing),
		cmocka_unit_test(test_pace__goes_on_while_it_pays),
		cmocka_unit_test(test_pace__a_rest_is_short),
		cmocka_unit_test(test_pace__a_stream_arrives_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
