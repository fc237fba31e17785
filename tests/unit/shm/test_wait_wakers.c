/* SPDX-License-Identifier: MIT */
/*
 * test_wait_wakers.c - whatever ends a wait wakes who waits. The library bounds every sleep to some
 * milliseconds, which hides a wake-up that is missing; here the bound is gone, and a sleep that
 * nobody ends takes twenty seconds.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/lib/wait_hook.h"

#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define LONG_NS (20000 * MS)
#define SLOTS 4u

static _Atomic uint32_t asleep, timeouts;

int hook_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	int rc;

	(void)timeout_ns;
	atomic_fetch_add(&asleep, 1);
	rc = sluice_futex_wait(word, value, LONG_NS);
	atomic_fetch_add(&timeouts, rc == -ETIMEDOUT);
	return rc;
}

int hook_futex_waitv(struct futex_waitv *words, uint32_t count, uint64_t until_ns)
{
	return sluice_futex_waitv(words, count, until_ns);
}

int hook_membarrier(int command)
{
	return sluice_membarrier(command);
}

/* A ring with a consumer, a stage behind it, and a producer; one of them sleeps in a thread. */
enum sleeper { CONSUMER, STAGE, PRODUCER };

struct scene {
	struct sluice_segment segment;
	struct sluice_producer producer, other;
	struct sluice_consumer first, second;
	enum sleeper sleeper;
	uint64_t sequence; /* claimed by `other` */
	int rc;
};

static void open_scene(struct scene *scene, uint32_t publication, enum sleeper sleeper)
{
	static const char *const after[] = {"first", NULL};
	const struct sluice_consumer_options first = {.name = "first", .wait = SLUICE_WAIT_BLOCK};
	const struct sluice_consumer_options second = {
		.name = "second",
		.wait = SLUICE_WAIT_BLOCK,
		.after = after,
	};
	const struct sluice_producer_options producer = {.wait = SLUICE_WAIT_BLOCK};

	memset(scene, 0, sizeof(*scene));
	scene->sleeper = sleeper;
	assert_int_equal(ring_create(&scene->segment, NULL, publication, SLOTS, 0), 0);
	assert_int_equal(sluice_consumer_open(&scene->first, &scene->segment, &first, NULL), 0);
	if (sleeper == STAGE)
		assert_int_equal(
			sluice_consumer_open(&scene->second, &scene->segment, &second, NULL), 0);
	assert_int_equal(sluice_producer_open(&scene->producer, &scene->segment, &producer, NULL),
			 0);
	if (sleeper == PRODUCER)
		assert_int_equal(ring_publish(&scene->producer, SLOTS), 0);
	atomic_store(&asleep, 0);
	atomic_store(&timeouts, 0);
}

static void close_scene(struct scene *scene)
{
	sluice_producer_close(&scene->producer);
	if (scene->sleeper == STAGE)
		sluice_consumer_close(&scene->second, false);
	sluice_consumer_close(&scene->first, false);
	ring_destroy(&scene->segment);
}

static void *sleep_in_thread(void *arg)
{
	struct scene *scene = arg;
	uint64_t n;

	scene->rc = scene->sleeper == PRODUCER ?
			    sluice_producer_claim(&scene->producer, 1, LONG_NS, &n) :
			    sluice_consumer_wait(scene->sleeper == STAGE ? &scene->second :
									   &scene->first,
						 8, LONG_NS, &n);
	return NULL;
}

/* Somebody falls asleep, `act` happens, and the wait ends with `expected`, by a wake-up. */
static void ends_by(uint32_t publication, enum sleeper sleeper, void (*act)(struct scene *scene),
		    int expected)
{
	const struct timespec moment = {.tv_nsec = 3 * MS};
	struct scene scene;
	pthread_t thread;

	open_scene(&scene, publication, sleeper);
	assert_int_equal(pthread_create(&thread, NULL, sleep_in_thread, &scene), 0);
	while (!atomic_load(&asleep))
		sched_yield();
	nanosleep(&moment, NULL);
	act(&scene);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&timeouts), 0);
	assert_int_equal(scene.rc, expected);
	close_scene(&scene);
}

static void publish(struct scene *scene)
{
	ring_publish(&scene->producer, 1);
}

static void release_one(struct scene *scene)
{
	ring_consume(&scene->first, 1);
}

static void publish_and_release(struct scene *scene)
{
	publish(scene);
	release_one(scene);
}

static void test_wait_wakers__publish(void **state)
{
	(void)state;
	ends_by(RING_CURSOR, CONSUMER, publish, 0);
	ends_by(RING_STAMPED, CONSUMER, publish, 0);
	ends_by(RING_MULTI, CONSUMER, publish, 0);
}

static void test_wait_wakers__release(void **state)
{
	(void)state;
	ends_by(RING_CURSOR, PRODUCER, release_one, 0);
	ends_by(RING_STAMPED, PRODUCER, release_one, 0);
	ends_by(RING_MULTI, PRODUCER, release_one, 0);
	ends_by(RING_CURSOR, STAGE, publish_and_release, 0);
	ends_by(RING_MULTI, STAGE, publish_and_release, 0);
}

static void abort_claim(struct scene *scene)
{
	uint64_t sequence;

	if (!sluice_producer_try_claim(&scene->producer, 1, &sequence))
		sluice_producer_abort(&scene->producer);
}

/* Tombstones are events to be got over. */
static void test_wait_wakers__abort(void **state)
{
	(void)state;
	ends_by(RING_STAMPED, CONSUMER, abort_claim, 0);
	ends_by(RING_MULTI, CONSUMER, abort_claim, 0);
}

static void drain(struct scene *scene)
{
	sluice_ring_set_state(&scene->segment, SLUICE_STATE_DRAINING);
}

static void retire(struct scene *scene)
{
	sluice_ring_set_state(&scene->segment, SLUICE_STATE_RETIRED);
}

static void poison(struct scene *scene)
{
	sluice_ring_set_state(&scene->segment, SLUICE_STATE_POISONED);
}

static void test_wait_wakers__a_change_of_the_state(void **state)
{
	(void)state;
	for (enum sleeper sleeper = CONSUMER; sleeper <= PRODUCER; sleeper++) {
		ends_by(RING_CURSOR, sleeper, drain, -EPIPE);
		ends_by(RING_CURSOR, sleeper, retire, -ESHUTDOWN);
		ends_by(RING_CURSOR, sleeper, poison, -ENOTRECOVERABLE);
	}
}

static void interrupt(struct scene *scene)
{
	if (scene->sleeper == PRODUCER)
		sluice_producer_interrupt(&scene->producer);
	else
		sluice_consumer_interrupt(scene->sleeper == STAGE ? &scene->second : &scene->first);
}

static void test_wait_wakers__interrupt(void **state)
{
	(void)state;
	for (enum sleeper sleeper = CONSUMER; sleeper <= PRODUCER; sleeper++)
		ends_by(RING_CURSOR, sleeper, interrupt, -ECANCELED);
}

/* The only one that gated goes, so there is space; or the one that was followed. */
static void leave(struct scene *scene)
{
	sluice_participant_leave(&scene->segment, scene->first.index, false);
}

static void evict(struct scene *scene)
{
	sluice_participant_evict(&scene->segment, scene->first.index);
}

static void test_wait_wakers__leaving_and_evicting(void **state)
{
	(void)state;
	ends_by(RING_CURSOR, PRODUCER, leave, 0);
	ends_by(RING_CURSOR, PRODUCER, evict, 0);
	ends_by(RING_CURSOR, STAGE, leave, -ESTALE);
	ends_by(RING_CURSOR, STAGE, evict, -ESTALE);
	ends_by(RING_CURSOR, CONSUMER, evict, -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_wakers__publish),
		cmocka_unit_test(test_wait_wakers__release),
		cmocka_unit_test(test_wait_wakers__abort),
		cmocka_unit_test(test_wait_wakers__a_change_of_the_state),
		cmocka_unit_test(test_wait_wakers__interrupt),
		cmocka_unit_test(test_wait_wakers__leaving_and_evicting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
