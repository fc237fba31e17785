/* SPDX-License-Identifier: MIT */
/*
 * test_wait_strategies.c - all strategies mean the same: they return at once when there is
 * something, notice it when it comes, put it before the timeout, and an interrupt before it, in
 * each of their phases. Said of consumers of a ring, of stages behind others, and of producers that
 * wait for space.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/wait.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define US 1000ull
#define PATIENCE_NS (20000 * MS) /* only a hang takes so long */
#define SLOTS 4u

/* ------------------------------------------------------------------------- steps by themselves */

static void test_wait_strategies__every_one_expires(void **state)
{
	(void)state;
	for (uint32_t strategy = 0; strategy < SLUICE_WAIT_STRATEGIES; strategy++) {
		const uint64_t started_ns = sluice_clock_ns();
		struct sluice_waiter waiter;
		enum sluice_wait_step step;
		bool slept = false;

		sluice_waiter_init(&waiter, strategy, 5 * MS);
		while ((step = sluice_waiter_step(&waiter)) != SLUICE_WAIT_EXPIRED)
			slept |= step == SLUICE_WAIT_SLEEP;
		assert_true(sluice_clock_ns() - started_ns >= 5 * MS);
		/* those that do sleep may have had no time for it, on a busy machine */
		assert_true(sluice_wait_blocks(strategy) || !slept);
	}
}

/* A time that is over is noticed soon even by those who do not look at the clock every time. */
static void test_wait_strategies__no_phase_overlooks_the_deadline(void **state)
{
	(void)state;
	for (uint32_t strategy = 0; strategy < SLUICE_WAIT_STRATEGIES; strategy++)
		for (uint32_t before = 0; before < 400; before += 13) {
			struct sluice_waiter waiter;
			uint32_t steps = 0;

			sluice_waiter_init(&waiter, strategy, PATIENCE_NS);
			while (steps++ < before)
				assert_int_not_equal(sluice_waiter_step(&waiter),
						     SLUICE_WAIT_EXPIRED);
			waiter.deadline_ns = 1;
			for (steps = 0; sluice_waiter_step(&waiter) != SLUICE_WAIT_EXPIRED; steps++)
				assert_true(steps < 100);
		}
}

static void test_wait_strategies__the_flag_interrupts_at_every_step(void **state)
{
	(void)state;
	for (uint32_t strategy = 0; strategy < SLUICE_WAIT_STRATEGIES; strategy++)
		for (uint32_t before = 0; before < 400; before += 7) {
			_Atomic uint32_t interrupted = 0;
			struct sluice_waiter waiter;

			sluice_waiter_init(&waiter, strategy, PATIENCE_NS);
			waiter.interrupted = &interrupted;
			for (uint32_t step = 0; step < before; step++)
				assert_int_not_equal(sluice_waiter_step(&waiter),
						     SLUICE_WAIT_INTERRUPTED);
			assert_false(sluice_waiter_interrupted(&waiter));
			atomic_store(&interrupted, 1);
			assert_true(sluice_waiter_interrupted(&waiter));
			assert_int_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_INTERRUPTED);
			/* before the timeout, too, and for as long as it is set */
			waiter.deadline_ns = 1;
			assert_int_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_INTERRUPTED);
			atomic_store(&interrupted, 0);
			assert_int_not_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_INTERRUPTED);
		}
}

/* Steps until it wants to sleep, and how long that took. */
static uint32_t steps_to_sleep(uint32_t strategy, uint64_t *ret_ns)
{
	const uint64_t started_ns = sluice_clock_ns();
	struct sluice_waiter waiter;
	uint32_t steps = 1;

	sluice_waiter_init(&waiter, strategy, SLUICE_WAIT_FOREVER);
	while (sluice_waiter_step(&waiter) == SLUICE_WAIT_AGAIN)
		steps++;
	*ret_ns = sluice_clock_ns() - started_ns;
	/* and at every step from then on */
	for (int i = 0; i < 100; i++)
		assert_int_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_SLEEP);
	return steps;
}

static void test_wait_strategies__phases_last_as_long_as_they_say(void **state)
{
	uint64_t block_ns, adaptive_ns, backoff_ns;

	(void)state;
	assert_int_equal(steps_to_sleep(SLUICE_WAIT_BLOCK, &block_ns), 1);
	assert_true(steps_to_sleep(SLUICE_WAIT_ADAPTIVE, &adaptive_ns) > 1);
	assert_true(adaptive_ns >= SLUICE_WAIT_ADAPTIVE_YIELD_NS);
	assert_true(steps_to_sleep(SLUICE_WAIT_BACKOFF, &backoff_ns) > 1);
	assert_true(backoff_ns >= SLUICE_WAIT_BACKOFF_SPIN_NS + SLUICE_WAIT_BACKOFF_YIELD_NS);
}

static void *nap_in_thread(void *arg)
{
	struct sluice_waiter waiter;
	uint64_t started_ns, naps_ns = UINT64_MAX;

	sluice_waiter_init(&waiter, SLUICE_WAIT_SLEEPING, SLUICE_WAIT_FOREVER);
	for (uint32_t i = 0; i < SLUICE_WAIT_SLEEPING_SPINS + SLUICE_WAIT_SLEEPING_YIELDS; i++)
		sluice_waiter_step(&waiter);
	for (int i = 0; i < 50; i++) {
		started_ns = sluice_clock_ns();
		sluice_waiter_step(&waiter);
		if (sluice_clock_ns() - started_ns < naps_ns)
			naps_ns = sluice_clock_ns() - started_ns;
	}
	((uint64_t *)arg)[0] = naps_ns;
	((uint64_t *)arg)[1] = (uint64_t)prctl(PR_GET_TIMERSLACK, 0ul, 0ul, 0ul, 0ul);
	return NULL;
}

/* Of every thread that naps: a slack of 50 us would double the nap. */
static void test_wait_strategies__naps_are_short_and_exact(void **state)
{
	uint64_t result[2];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, nap_in_thread, result), 0);
	pthread_join(thread, NULL);
	assert_true(result[0] >= SLUICE_WAIT_NAP_NS);
	assert_int_equal(result[1], 1);
	/* a nap is not longer than what is left */
	for (int i = 0; i < 1000; i++) {
		struct sluice_waiter waiter;
		const uint64_t started_ns = sluice_clock_ns();

		sluice_waiter_init(&waiter, SLUICE_WAIT_SLEEPING, 1000 * MS);
		waiter.misses = 1000;
		waiter.deadline_ns = sluice_clock_ns() + 5 * US;
		sluice_waiter_step(&waiter);
		if (sluice_clock_ns() - started_ns < 5 * US + SLUICE_WAIT_NAP_NS)
			return;
	}
	fail_msg("naps go on beyond the deadline");
}

static void test_wait_strategies__umwait_watches_a_word(void **state)
{
	_Atomic uint64_t word = 0;
	struct sluice_waiter waiter;

	(void)state;
	if (!sluice_wait_umwait_supported()) {
		print_message("skip: umwait_watches_a_word: this CPU has no WAITPKG\n");
		skip();
	}
	for (int with_word = 0; with_word < 2; with_word++) {
		sluice_waiter_init(&waiter, SLUICE_WAIT_UMWAIT, SLUICE_WAIT_FOREVER);
		waiter.watch = with_word ? &word : NULL;
		for (int i = 0; i < 1000; i++)
			assert_int_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_AGAIN);
	}
}

/* ------------------------------------------------------------------------- the library's waits */

enum place { ON_CURSOR, ON_STAMP, ON_MULTI, ON_STAGE, ON_SPACE, PLACES };

/* One that waits, and what another thread does to end it. */
struct scene {
	enum place place;
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer first, second;
	uint64_t sequence; /* claimed, to be published */
	uint64_t delay_ns;
	_Atomic uint64_t done_ns; /* when it was there, not later */
	bool interrupts;
};

static void open_scene(struct scene *scene, enum place place, uint32_t strategy)
{
	static const char *const after[] = {"first", NULL};
	const struct sluice_consumer_options first = {.name = "first", .wait = strategy};
	const struct sluice_consumer_options second = {
		.name = "second",
		.wait = strategy,
		.after = after,
	};
	const struct sluice_producer_options producer = {.wait = strategy};
	struct sluice_diag diag = {.text = ""};

	memset(scene, 0, sizeof(*scene));
	scene->place = place;
	assert_int_equal(ring_create(&scene->segment, NULL,
				     place == ON_STAMP ? RING_STAMPED :
				     place == ON_MULTI ? RING_MULTI :
							 RING_CURSOR,
				     SLOTS, 0),
			 0);
	assert_int_equal(sluice_consumer_open(&scene->first, &scene->segment, &first, &diag), 0);
	if (place == ON_STAGE)
		assert_int_equal(
			sluice_consumer_open(&scene->second, &scene->segment, &second, &diag), 0);
	assert_int_equal(sluice_producer_open(&scene->producer, &scene->segment, &producer, &diag),
			 0);
}

static void close_scene(struct scene *scene)
{
	sluice_producer_close(&scene->producer);
	if (scene->place == ON_STAGE)
		sluice_consumer_close(&scene->second, false);
	sluice_consumer_close(&scene->first, false);
	ring_destroy(&scene->segment);
}

/* Everything but the last store. */
static void prepare(struct scene *scene)
{
	if (scene->place == ON_SPACE) {
		assert_int_equal(ring_publish(&scene->producer, SLOTS), 0);
		sluice_consumer_advance(&scene->first, SLOTS);
		return;
	}
	assert_int_equal(sluice_producer_try_claim(&scene->producer, 1, &scene->sequence), 0);
	event_fill(sluice_producer_slot(&scene->producer, scene->sequence),
		   scene->producer.ring.payload_bytes, scene->sequence);
	if (scene->place == ON_STAGE) {
		sluice_producer_publish(&scene->producer, scene->sequence);
		sluice_consumer_advance(&scene->first, 1);
	}
}

static void provide(struct scene *scene)
{
	if (scene->place == ON_SPACE || scene->place == ON_STAGE)
		sluice_consumer_release(&scene->first, scene->first.next);
	else
		sluice_producer_publish(&scene->producer, scene->sequence);
}

static int wait_for_it(struct scene *scene, uint64_t timeout_ns)
{
	struct sluice_consumer *consumer = scene->place == ON_STAGE ? &scene->second :
								      &scene->first;
	uint64_t n = 0;
	int rc;

	if (scene->place == ON_SPACE)
		return sluice_producer_claim(&scene->producer, 1, timeout_ns, &n);
	rc = sluice_consumer_wait(consumer, 8, timeout_ns, &n);
	if (!rc)
		assert_int_equal(n, 1);
	return rc;
}

static void set_interrupt(struct scene *scene, bool on)
{
	struct sluice_consumer *consumer = scene->place == ON_STAGE ? &scene->second :
								      &scene->first;

	if (scene->place == ON_SPACE && on)
		sluice_producer_interrupt(&scene->producer);
	else if (scene->place == ON_SPACE)
		sluice_producer_resume(&scene->producer);
	else if (on)
		sluice_consumer_interrupt(consumer);
	else
		sluice_consumer_resume(consumer);
}

static void *act_later(void *arg)
{
	struct scene *scene = arg;
	const struct timespec delay = {.tv_nsec = (long)scene->delay_ns};

	nanosleep(&delay, NULL);
	if (scene->interrupts)
		set_interrupt(scene, true);
	else
		provide(scene);
	atomic_store(&scene->done_ns, sluice_clock_ns());
	return NULL;
}

static int wait_while(struct scene *scene, uint64_t delay_ns, uint64_t timeout_ns)
{
	pthread_t thread;
	int rc;

	scene->delay_ns = delay_ns;
	assert_int_equal(pthread_create(&thread, NULL, act_later, scene), 0);
	rc = wait_for_it(scene, timeout_ns);
	pthread_join(thread, NULL);
	return rc;
}

static void for_all(void (*check)(enum place place, uint32_t strategy))
{
	for (enum place place = ON_CURSOR; place < PLACES; place++)
		for (uint32_t strategy = 0; strategy < SLUICE_WAIT_STRATEGIES; strategy++)
			check(place, strategy);
}

static void available_at_once(enum place place, uint32_t strategy)
{
	struct scene scene;

	open_scene(&scene, place, strategy);
	prepare(&scene);
	assert_int_equal(wait_for_it(&scene, 0), -ETIMEDOUT);
	assert_int_equal(wait_for_it(&scene, 2 * MS), -ETIMEDOUT);
	provide(&scene);
	/* there: no time is needed, and none is taken */
	assert_int_equal(wait_for_it(&scene, 0), 0);
	assert_int_equal(atomic_load(&scene.segment.control->consumer_sleepers), 0);
	assert_int_equal(atomic_load(&scene.segment.control->producer_sleepers), 0);
	assert_int_equal(atomic_load(&scene.segment.control->stage_sleepers), 0);
	close_scene(&scene);
}

static void test_wait_strategies__available_is_returned_at_once(void **state)
{
	(void)state;
	for_all(available_at_once);
}

static void after_a_delay(enum place place, uint32_t strategy)
{
	static const uint64_t delays_ns[] = {1 * MS, 2 * MS, 10 * MS};

	for (int i = 0; i < 3; i++) {
		const uint64_t started_ns = sluice_clock_ns();
		struct scene scene;

		open_scene(&scene, place, strategy);
		prepare(&scene);
		assert_int_equal(wait_while(&scene, delays_ns[i], PATIENCE_NS), 0);
		assert_true(sluice_clock_ns() - started_ns >= delays_ns[i]);
		close_scene(&scene);
	}
}

static void test_wait_strategies__a_delayed_event_is_noticed(void **state)
{
	(void)state;
	for_all(after_a_delay);
}

/* It comes about when the time is over: what came before that is never refused. */
static void before_the_timeout(enum place place, uint32_t strategy)
{
	uint64_t random = test_seed() + strategy;

	for (int i = 0; i < 8; i++) {
		struct scene scene;
		uint64_t deadline_ns;
		int rc;

		open_scene(&scene, place, strategy);
		prepare(&scene);
		deadline_ns = sluice_clock_ns() + 500 * US;
		rc = wait_while(&scene, test_random(&random) % 700 * US, 500 * US);
		if (rc)
			assert_int_equal(rc, -ETIMEDOUT);
		if (atomic_load(&scene.done_ns) < deadline_ns)
			assert_int_equal(rc, 0);
		close_scene(&scene);
	}
}

static void test_wait_strategies__availability_beats_the_timeout(void **state)
{
	(void)state;
	for_all(before_the_timeout);
}

/* In the first spins, among the yields, and asleep. */
static void interrupted_in_phases(enum place place, uint32_t strategy)
{
	static const uint64_t delays_ns[] = {1, 30 * US, 300 * US, 3 * MS};

	for (int i = 0; i < 4; i++) {
		struct scene scene;

		open_scene(&scene, place, strategy);
		prepare(&scene);
		scene.interrupts = true;
		assert_int_equal(wait_while(&scene, delays_ns[i], PATIENCE_NS), -ECANCELED);
		/* it stays so, until it is taken back */
		assert_int_equal(wait_for_it(&scene, PATIENCE_NS), -ECANCELED);
		set_interrupt(&scene, false);
		assert_int_equal(wait_for_it(&scene, 100 * US), -ETIMEDOUT);
		provide(&scene);
		assert_int_equal(wait_for_it(&scene, PATIENCE_NS), 0);
		close_scene(&scene);
	}
}

static void test_wait_strategies__an_interrupt_ends_every_phase(void **state)
{
	(void)state;
	for_all(interrupted_in_phases);
}

/* A consumer that is to stop takes nothing more; a producer that has space does not wait. */
static void interrupt_and_event(enum place place, uint32_t strategy)
{
	struct scene scene;

	open_scene(&scene, place, strategy);
	prepare(&scene);
	provide(&scene);
	set_interrupt(&scene, true);
	assert_int_equal(wait_for_it(&scene, PATIENCE_NS), place == ON_SPACE ? 0 : -ECANCELED);
	set_interrupt(&scene, false);
	if (place != ON_SPACE)
		assert_int_equal(wait_for_it(&scene, PATIENCE_NS), 0);
	close_scene(&scene);
}

static void test_wait_strategies__an_interrupt_beats_availability(void **state)
{
	(void)state;
	for_all(interrupt_and_event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_strategies__every_one_expires),
		cmocka_unit_test(test_wait_strategies__no_phase_overlooks_the_deadline),
		cmocka_unit_test(test_wait_strategies__the_flag_interrupts_at_every_step),
		cmocka_unit_test(test_wait_strategies__phases_last_as_long_as_they_say),
		cmocka_unit_test(test_wait_strategies__naps_are_short_and_exact),
		cmocka_unit_test(test_wait_strategies__umwait_watches_a_word),
		cmocka_unit_test(test_wait_strategies__available_is_returned_at_once),
		cmocka_unit_test(test_wait_strategies__a_delayed_event_is_noticed),
		cmocka_unit_test(test_wait_strategies__availability_beats_the_timeout),
		cmocka_unit_test(test_wait_strategies__an_interrupt_ends_every_phase),
		cmocka_unit_test(test_wait_strategies__an_interrupt_beats_availability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
