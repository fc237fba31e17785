/* SPDX-License-Identifier: MIT */
/*
 * test_wait.c - waiting and waking. The hunt for lost wake-ups runs between two processes and
 * sleeps with a timeout of seconds instead of the library's milliseconds: a sleep that ends by
 * timeout while there is something to do was never woken.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/wait.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define ROUNDS 200000u
#define HUNT_NS (2000 * MS)
#define COLLIDE_NS (5000 * MS)

static void test_wait__names_go_both_ways(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(sluice_wait_parse(sluice_wait_name(i)), i);
	assert_int_equal(sluice_wait_parse("busy"), -EINVAL);
	assert_string_equal(sluice_wait_name(4), "unknown");
}

static void test_wait__every_strategy_expires(void **state)
{
	(void)state;
	for (uint32_t strategy = 0; strategy < 4; strategy++) {
		const uint64_t started_ns = sluice_clock_ns();
		struct sluice_waiter waiter;
		enum sluice_wait_step step;
		bool slept = false;

		sluice_waiter_init(&waiter, strategy, 5 * MS);
		while ((step = sluice_waiter_step(&waiter)) != SLUICE_WAIT_EXPIRED)
			slept |= step == SLUICE_WAIT_SLEEP;
		assert_true(sluice_clock_ns() - started_ns >= 5 * MS);
		assert_int_equal(slept, strategy == SLUICE_WAIT_BLOCK ||
						strategy == SLUICE_WAIT_ADAPTIVE);
	}
}

static void test_wait__block_sleeps_at_once_and_adaptive_at_last(void **state)
{
	struct sluice_waiter waiter;
	uint32_t steps = 1;

	(void)state;
	sluice_waiter_init(&waiter, SLUICE_WAIT_BLOCK, SLUICE_WAIT_FOREVER);
	assert_int_equal(sluice_waiter_step(&waiter), SLUICE_WAIT_SLEEP);
	sluice_waiter_init(&waiter, SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_FOREVER);
	while (sluice_waiter_step(&waiter) == SLUICE_WAIT_AGAIN)
		steps++;
	assert_true(steps > 1);
}

/* What the sleeper's side leaves behind: no bit, whether it slept or not; bounded sleep. */
static void test_wait__sleep_withdraws_its_bit(void **state)
{
	struct sluice_segment segment;
	_Atomic uint64_t *sleepers;
	uint64_t started_ns;
	uint32_t ticket;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	sluice_barrier_register();
	sleepers = &segment.control->consumer_sleepers;
	for (int sleep = 0; sleep < 2; sleep++) {
		ticket = sluice_sleep_begin(&segment, sleepers, 7);
		assert_int_equal(atomic_load(sleepers), 1u << 7);
		started_ns = sluice_clock_ns();
		sluice_sleep_end(&segment, sleepers, 7, ticket, sleep, SLUICE_WAIT_FOREVER);
		assert_int_equal(atomic_load(sleepers), 0);
		assert_int_equal(sluice_clock_ns() - started_ns >= 5 * MS, sleep);
		assert_true(sluice_clock_ns() - started_ns < 5000 * MS);
	}
	/* a wake between the look and the sleep is not slept through */
	ticket = sluice_sleep_begin(&segment, sleepers, 7);
	sluice_wake(&segment, sleepers);
	assert_int_equal(atomic_load(sleepers), 0);
	assert_int_equal(atomic_load(&segment.participants[7].wake), ticket + 1);
	ring_destroy(&segment);
}

/* --------------------------------------------------------------------------------- the hunt */

struct hunter { /* one process' side */
	uint64_t sleeps;
	uint64_t lost;
	uint64_t wrong;
};

struct hunt {
	_Atomic uint32_t ready;
	_Atomic uint32_t stop;
	struct hunter producer, consumer;
};

static long futex_wait(_Atomic uint32_t *word, uint32_t ticket)
{
	const struct timespec timeout = {.tv_sec = 2};

	return syscall(SYS_futex, word, FUTEX_WAIT, ticket, &timeout, NULL, 0) ? errno : 0;
}

/* One sleep as the library does it, but for the length; is_ready says whether there is a reason. */
static void hunt_sleep(struct hunter *hunter, struct sluice_segment *segment,
		       _Atomic uint64_t *sleepers, uint32_t index, bool (*is_ready)(void *arg),
		       void *arg)
{
	const uint32_t ticket = sluice_sleep_begin(segment, sleepers, index);

	if (!is_ready(arg)) {
		hunter->sleeps++;
		if (futex_wait(&segment->participants[index].wake, ticket) == ETIMEDOUT)
			hunter->lost += is_ready(arg);
	}
	sluice_sleep_end(segment, sleepers, index, ticket, false, SLUICE_WAIT_FOREVER);
}

static bool has_space(void *arg)
{
	struct sluice_producer *producer = arg;

	return sluice_producer_refresh(producer, 1) != -EAGAIN;
}

static bool has_event(void *arg)
{
	struct sluice_consumer *consumer = arg;
	uint64_t n;

	return sluice_consumer_poll(consumer, 1, &n) != -EAGAIN;
}

/* Adaptive spins a little before it sleeps, so that collisions fall everywhere; block does not. */
static bool spin_for(uint32_t strategy, uint64_t *random, bool (*is_ready)(void *arg), void *arg)
{
	/* mostly so few that it sleeps on an idle machine, too */
	uint64_t spins = test_random(random) % 8 ? test_random(random) % 12 : 200;

	if (strategy == SLUICE_WAIT_BLOCK)
		spins = 0;

	while (spins--) {
		if (is_ready(arg))
			return true;
		sluice_cpu_relax();
	}
	return is_ready(arg);
}

static void hunt_consume(struct hunt *hunt, uint32_t strategy, uint64_t random)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	uint64_t n;

	if (sluice_segment_attach(&segment, "hunt", SLUICE_ACCESS_WRITE, NULL) ||
	    ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_BEGINNING))
		_exit(1);
	atomic_store(&hunt->ready, 1);
	for (;;) {
		const int rc = sluice_consumer_poll(&consumer, 1, &n);

		if (rc == -EPIPE)
			_exit(0);
		if (!rc)
			hunt->consumer.wrong += ring_consume(&consumer, 1) != 1;
		else if (!spin_for(strategy, &random, has_event, &consumer))
			hunt_sleep(&hunt->consumer, &segment, &segment.control->consumer_sleepers,
				   consumer.index, has_event, &consumer);
	}
}

static uint64_t hunt_produce(struct hunt *hunt, struct sluice_segment *segment, uint32_t strategy,
			     uint64_t random)
{
	const uint64_t end_ns = sluice_clock_ns() + HUNT_NS;
	struct sluice_producer producer;

	if (sluice_producer_open(&producer, segment, NULL, NULL))
		return 0;
	while (producer.next < ROUNDS && (producer.next % 64 || sluice_clock_ns() < end_ns))
		if (ring_publish(&producer, 1) == -EAGAIN &&
		    !spin_for(strategy, &random, has_space, &producer))
			hunt_sleep(&hunt->producer, segment, &segment->control->producer_sleepers,
				   producer.index, has_space, &producer);
	sluice_ring_set_state(segment, SLUICE_STATE_DRAINING);
	sluice_producer_close(&producer);
	return producer.next;
}

static void hunt(uint32_t strategy, uint64_t slots)
{
	struct hunt *hunt = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				 0);
	const uint64_t random = test_seed();
	struct sluice_segment segment;
	uint64_t rounds;
	pid_t pid;

	assert_ptr_not_equal(hunt, MAP_FAILED);
	assert_int_equal(ring_create(&segment, "hunt", RING_CURSOR, slots, 0), 0);
	sluice_barrier_register();
	pid = fork();
	if (!pid)
		hunt_consume(hunt, strategy, random + 1);
	while (!atomic_load(&hunt->ready))
		sched_yield();
	rounds = hunt_produce(hunt, &segment, strategy, random);
	assert_int_equal(child_wait(pid, 20), 0);
	print_message("hunt %s, %llu slots: %llu events, %llu + %llu sleeps, %llu + %llu lost\n",
		      sluice_wait_name(strategy), (unsigned long long)slots,
		      (unsigned long long)rounds, (unsigned long long)hunt->producer.sleeps,
		      (unsigned long long)hunt->consumer.sleeps,
		      (unsigned long long)hunt->producer.lost,
		      (unsigned long long)hunt->consumer.lost);
	assert_true(rounds > 1000);
	assert_true(hunt->producer.sleeps + hunt->consumer.sleeps > 100);
	assert_int_equal(hunt->producer.lost, 0);
	assert_int_equal(hunt->consumer.lost, 0);
	assert_int_equal(hunt->consumer.wrong, 0);
	munmap(hunt, 4096);
	ring_destroy(&segment);
}

/*
 * The same with aim: both sides meet before every round, then one publishes (or releases) at the
 * very moment when the other goes to sleep.
 */
struct meeting {
	_Atomic uint64_t sleeper_at, waker_at;
	struct hunter sleeper;
	uint64_t random;
};

static void meet(_Atomic uint64_t *mine, _Atomic uint64_t *other, uint64_t round, uint64_t *random)
{
	uint64_t spins = 0;

	atomic_store(mine, round);
	while (atomic_load(other) < round)
		if (++spins % 4096)
			sluice_cpu_relax();
		else
			sched_yield();
	for (spins = test_random(random) % 48; spins; spins--)
		sluice_cpu_relax();
}

/* Round r sleeps for event r; a round that is too late finds it and does not sleep. */
static void collide_consumer(struct meeting *meeting, bool sleeps)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	uint64_t random = meeting->random;

	if (sluice_segment_attach(&segment, "collide", SLUICE_ACCESS_WRITE, NULL) ||
	    ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_BEGINNING))
		_exit(1);
	for (uint64_t round = 1; sluice_ring_state(&consumer.ring) == SLUICE_STATE_READY; round++) {
		if (!sleeps) {
			meet(&meeting->waker_at, &meeting->sleeper_at, round, &random);
			ring_consume(&consumer, 1);
			continue;
		}
		meet(&meeting->sleeper_at, &meeting->waker_at, round, &random);
		hunt_sleep(&meeting->sleeper, &segment, &segment.control->consumer_sleepers,
			   consumer.index, has_event, &consumer);
		while (!ring_consume(&consumer, 1) &&
		       sluice_ring_state(&consumer.ring) == SLUICE_STATE_READY)
			sched_yield();
	}
	_exit(0);
}

static uint64_t collide_producer(struct meeting *meeting, struct sluice_segment *segment,
				 bool sleeps)
{
	const uint64_t end_ns = sluice_clock_ns() + COLLIDE_NS;
	struct sluice_producer producer;
	uint64_t round = 0;

	if (sluice_producer_open(&producer, segment, NULL, NULL) ||
	    (sleeps && ring_publish(&producer, 2)))
		return 0;
	while (round < ROUNDS && !meeting->sleeper.lost &&
	       (round % 64 || sluice_clock_ns() < end_ns)) {
		round++;
		if (!sleeps) {
			meet(&meeting->waker_at, &meeting->sleeper_at, round, &meeting->random);
			while (ring_publish(&producer, 1))
				sched_yield();
			continue;
		}
		meet(&meeting->sleeper_at, &meeting->waker_at, round, &meeting->random);
		hunt_sleep(&meeting->sleeper, segment, &segment->control->producer_sleepers,
			   producer.index, has_space, &producer);
		while (ring_publish(&producer, 1))
			sched_yield();
	}
	sluice_ring_set_state(segment, SLUICE_STATE_RETIRED);
	atomic_store(&meeting->sleeper_at, UINT64_MAX);
	atomic_store(&meeting->waker_at, UINT64_MAX);
	sluice_producer_close(&producer);
	return round;
}

static void collide(bool producer_sleeps)
{
	struct meeting *meeting = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sluice_segment segment;
	uint64_t rounds;
	pid_t pid;

	assert_ptr_not_equal(meeting, MAP_FAILED);
	meeting->random = test_seed();
	assert_int_equal(ring_create(&segment, "collide", RING_CURSOR, 2, 0), 0);
	assert_int_equal(sluice_participant_reserve(&segment, "c", 0, NULL), 0);
	pid = fork();
	if (!pid)
		collide_consumer(meeting, !producer_sleeps);
	rounds = collide_producer(meeting, &segment, producer_sleeps);
	assert_int_equal(child_wait(pid, 20), 0);
	print_message("collide, %s sleeps: %llu rounds, %llu sleeps, %llu lost\n",
		      producer_sleeps ? "producer" : "consumer", (unsigned long long)rounds,
		      (unsigned long long)meeting->sleeper.sleeps,
		      (unsigned long long)meeting->sleeper.lost);
	assert_int_equal(meeting->sleeper.lost, 0);
	assert_true(rounds > 1000);
	assert_true(meeting->sleeper.sleeps > 10);
	munmap(meeting, 4096);
	ring_destroy(&segment);
}

static void test_wait__no_collision_loses_the_consumers_wake_up(void **state)
{
	(void)state;
	collide(false);
}

static void test_wait__no_collision_loses_the_producers_wake_up(void **state)
{
	(void)state;
	collide(true);
}

static void test_wait__no_wake_up_is_lost_when_blocking(void **state)
{
	(void)state;
	hunt(SLUICE_WAIT_BLOCK, 2);
}

static void test_wait__no_wake_up_is_lost_when_adaptive(void **state)
{
	(void)state;
	hunt(SLUICE_WAIT_ADAPTIVE, 2);
}

static void test_wait__idle_block_costs_no_cpu(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct timespec before, after;
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, 8, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	consumer.wait = SLUICE_WAIT_BLOCK;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	assert_int_equal(sluice_consumer_wait(&consumer, 1, 500 * MS, &n), -ETIMEDOUT);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec <
		    100 * 1000000);
	assert_true(atomic_load(&consumer.self->sleeps) >= 10);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* ---------------------------------------------------------------- more spinners than CPUs */

struct spinner {
	struct sluice_consumer consumer;
	uint64_t got;
};

static void *spin(void *arg)
{
	struct spinner *spinner = arg;
	uint64_t n;

	while (!sluice_consumer_wait(&spinner->consumer, 64, 20000 * MS, &n))
		spinner->got += ring_consume(&spinner->consumer, n);
	return NULL;
}

static void pin(uint32_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void test_wait__oversubscribed_spinners_make_progress(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_SPIN, SLUICE_WAIT_YIELD, SLUICE_WAIT_ADAPTIVE};
	cpu_set_t all;

	(void)state;
	sched_getaffinity(0, sizeof(all), &all);
	for (int w = 0; w < 3; w++) {
		static struct spinner spinners[3];
		struct sluice_segment segment;
		struct sluice_producer producer;
		const struct sluice_producer_options options = {.wait = waits[w]};
		const uint64_t end_ns = sluice_clock_ns() + 1500 * MS;
		pthread_t threads[3];
		uint64_t first, total = 0;

		memset(spinners, 0, sizeof(spinners));
		assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, 64, 0), 0);
		for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &all)) {
				pin(cpu); /* one CPU for all four */
				break;
			}
		for (int i = 0; i < 3; i++) {
			assert_int_equal(ring_consumer(&spinners[i].consumer, &segment,
						       (const char *[]){"a", "b", "c"}[i],
						       SLUICE_POLICY_CRITICAL,
						       SLUICE_FROM_NEXT), 0);
			spinners[i].consumer.wait = waits[w];
			pthread_create(&threads[i], NULL, spin, &spinners[i]);
		}
		assert_int_equal(sluice_producer_open(&producer, &segment, &options, NULL), 0);
		while (sluice_clock_ns() < end_ns &&
		       !sluice_producer_claim(&producer, 1, 20000 * MS, &first)) {
			event_fill(sluice_producer_slot(&producer, first),
				   producer.ring.payload_bytes, first);
			sluice_producer_publish(&producer, first);
			total++;
		}
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
		for (int i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(spinners[i].got, total);
			sluice_consumer_close(&spinners[i].consumer, false);
		}
		sched_setaffinity(0, sizeof(all), &all);
		print_message("one CPU, 4 x %s: %llu events\n", sluice_wait_name(waits[w]),
			      (unsigned long long)total);
		/* a pure spinner burns its slice; even so every slice moves a ring on */
		assert_true(total > 640);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait__names_go_both_ways),
		cmocka_unit_test(test_wait__every_strategy_expires),
		cmocka_unit_test(test_wait__block_sleeps_at_once_and_adaptive_at_last),
		cmocka_unit_test(test_wait__sleep_withdraws_its_bit),
		cmocka_unit_test(test_wait__no_collision_loses_the_consumers_wake_up),
		cmocka_unit_test(test_wait__no_collision_loses_the_producers_wake_up),
		cmocka_unit_test(test_wait__no_wake_up_is_lost_when_blocking),
		cmocka_unit_test(test_wait__no_wake_up_is_lost_when_adaptive),
		cmocka_unit_test(test_wait__idle_block_costs_no_cpu),
		cmocka_unit_test(test_wait__oversubscribed_spinners_make_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
