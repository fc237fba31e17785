/* SPDX-License-Identifier: MIT */
/*
 * test_cold_start.c - a whole group of producers and consumers is killed at one moment, and the
 * next ones start on what they left: with a repair in between, and without one. No published event
 * is lost, repeated or reordered.
 *
 * What the dead did is in anonymous shared memory: each producer counts what it has published, the
 * consumer keeps what it has seen of each producer for its last two positions.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/repair.h"
#include "tests/lib/ring_fixture.h"

#define RING "cold.cmd"
#define PRODUCERS 4
#define NEWCOMER PRODUCERS
#define ROUNDS 12
#define STEP_NS 10000000000ull /* of waiting for what must come */

struct event {
	uint64_t producer;
	uint64_t counter;
	uint64_t check;
};

struct seen { /* of each producer, when the consumer's position was ... */
	_Atomic uint64_t position;
	_Atomic uint64_t next[PRODUCERS];
};

struct oracle {
	_Atomic uint64_t published[PRODUCERS]; /* counters below it */
	struct seen seen[2];
};

static struct oracle *oracle;

static uint64_t check_of(const struct event *event)
{
	return (event->producer + 1) * 0x9e3779b97f4a7c15ull ^
	       event->counter * 0x94d049bb133111ebull;
}

static void attach(struct sluice_segment *ret_segment)
{
	if (sluice_segment_attach(ret_segment, RING, SLUICE_ACCESS_WRITE, NULL))
		_exit(2);
}

/* ------------------------------------------------------------------------------- the victims */

/* Now and then in two parts, with a pause before and between them: most of them die in one. */
static void publish_slowly(struct sluice_producer *producer, uint64_t first, uint64_t n,
			   uint64_t random)
{
	const uint64_t part = random % n;

	if (random >> 32 & 3) {
		sluice_producer_publish_range(producer, first, first + n - 1);
		return;
	}
	usleep(100);
	if (part)
		sluice_producer_publish_range(producer, first, first + part - 1);
	usleep(100);
	sluice_producer_publish_range(producer, first + part, first + n - 1);
}

static void produce(uint64_t id, uint64_t seed)
{
	const struct sluice_producer_options options = {.name = "victim",
							.wait = SLUICE_WAIT_ADAPTIVE};
	static struct sluice_producer producer;
	static struct sluice_segment segment;
	uint64_t counter = 0, first;

	attach(&segment);
	if (sluice_producer_open(&producer, &segment, &options, NULL))
		_exit(3);
	for (;;) {
		const uint64_t n = 1 + test_random(&seed) % 5;

		if (sluice_producer_claim(&producer, n, SLUICE_WAIT_FOREVER, &first))
			_exit(4);
		for (uint64_t i = 0; i < n; i++) {
			struct event event = {.producer = id, .counter = counter + i};

			event.check = check_of(&event);
			memcpy(sluice_producer_slot(&producer, first + i), &event, sizeof(event));
		}
		publish_slowly(&producer, first, n, test_random(&seed));
		counter += n;
		/* relaxed: read when this process is dead */
		atomic_store_explicit(&oracle->published[id], counter, memory_order_relaxed);
	}
}

/* 0: the event follows on what was seen of its producer. */
static int take(uint64_t next[PRODUCERS], const struct event *event)
{
	if (event->producer >= PRODUCERS || event->check != check_of(event) ||
	    event->counter != next[event->producer])
		return -EBADMSG;
	next[event->producer]++;
	return 0;
}

static void remember(uint64_t position, const uint64_t next[PRODUCERS], uint32_t which)
{
	struct seen *seen = &oracle->seen[which];

	/* relaxed, all: read when this process is dead */
	atomic_store_explicit(&seen->position, UINT64_MAX, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < PRODUCERS; i++)
		atomic_store_explicit(&seen->next[i], next[i], memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&seen->position, position, memory_order_relaxed);
}

static void consume(void)
{
	static struct sluice_consumer consumer;
	static struct sluice_segment segment;
	uint64_t next[PRODUCERS] = {0};
	uint32_t which = 0;
	uint64_t n;

	attach(&segment);
	if (ring_consumer(&consumer, &segment, "engine", SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT))
		_exit(3);
	while (!sluice_consumer_wait(&consumer, 16, SLUICE_WAIT_FOREVER, &n)) {
		for (uint64_t i = 0; i < n; i++)
			if (!sluice_consumer_is_void(&consumer, consumer.next + i) &&
			    take(next, sluice_consumer_event(&consumer, consumer.next + i)))
				_exit(5);
		sluice_consumer_advance(&consumer, n);
		remember(consumer.next, next, which);
		which = !which;
		sluice_consumer_release(&consumer, consumer.next);
	}
	_exit(6);
}

static void look_on(void)
{
	static struct sluice_consumer consumer;
	static struct sluice_segment segment;
	uint64_t n;

	attach(&segment);
	if (ring_consumer(&consumer, &segment, "other", SLUICE_POLICY_EVICTABLE, SLUICE_FROM_NEXT))
		_exit(3);
	while (!sluice_consumer_wait(&consumer, 64, SLUICE_WAIT_FOREVER, &n)) {
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
	}
	_exit(6);
}

static pid_t start(uint32_t index, uint64_t seed, bool consumes)
{
	const pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (index < PRODUCERS)
		produce(index, seed);
	if (!consumes)
		for (;;)
			pause();
	if (index == PRODUCERS)
		consume();
	look_on();
	_exit(1);
}

/* All of them, some milliseconds later, before any of them can notice. */
static void run_and_kill(uint64_t *seed, bool consumes)
{
	const struct timespec life = {.tv_nsec = (long)(3000000 + test_random(seed) % 25000000)};
	pid_t pids[PRODUCERS + 2];

	fflush(NULL);
	for (uint32_t i = 0; i < PRODUCERS + 2; i++) {
		pids[i] = start(i, test_random(seed), consumes);
		assert_true(pids[i] > 0);
	}
	nanosleep(&life, NULL);
	for (uint32_t i = 0; i < PRODUCERS + 2; i++)
		kill(pids[i], SIGKILL);
	for (uint32_t i = 0; i < PRODUCERS + 2; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		/* nobody had ended by himself: each would have found something wrong */
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

/* ------------------------------------------------------------------------------ the successors */

static void recall(uint64_t position, uint64_t base, uint64_t next[PRODUCERS])
{
	memset(next, 0, PRODUCERS * sizeof(*next));
	if (position == base)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		/* relaxed, both: the writer is dead */
		if (atomic_load_explicit(&oracle->seen[i].position, memory_order_relaxed) !=
		    position)
			continue;
		for (uint32_t k = 0; k < PRODUCERS; k++)
			next[k] = atomic_load_explicit(&oracle->seen[i].next[k],
						       memory_order_relaxed);
		return;
	}
	fail_msg("position %llu was never released", (unsigned long long)position);
}

/* Publishes the newcomer's event, as soon as there is room. */
static bool announce(struct sluice_producer *producer)
{
	const struct event event = {.producer = NEWCOMER};
	uint64_t sequence;
	/* waits a moment: only who waits evicts the dead that hold the ring back */
	const int rc = sluice_producer_claim(producer, 1, 20000000, &sequence);

	if (rc == -ETIMEDOUT)
		return false;
	assert_int_equal(rc, 0);
	memcpy(sluice_producer_slot(producer, sequence), &event, sizeof(event));
	sluice_producer_publish(producer, sequence);
	return true;
}

/* Reads on where the dead consumer was, up to an event of a producer that came later. */
static void start_again(uint64_t base)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer producer;
	uint64_t next[PRODUCERS], n;
	bool is_announced = false, is_over = false;

	assert_int_equal(sluice_segment_attach(&segment, RING, SLUICE_ACCESS_WRITE, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "engine", SLUICE_POLICY_CRITICAL, 0),
			 0);
	assert_true(consumer.resumed);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	recall(consumer.next, base, next);
	while (!is_over) {
		if (!is_announced)
			is_announced = announce(&producer);
		assert_int_equal(sluice_consumer_wait(&consumer, 64, STEP_NS, &n), 0);
		for (uint64_t i = 0; i < n; i++) {
			const struct event *event;

			if (sluice_consumer_is_void(&consumer, consumer.next + i))
				continue;
			event = sluice_consumer_event(&consumer, consumer.next + i);
			is_over = event->producer == NEWCOMER;
			if (!is_over)
				assert_int_equal(take(next, event), 0);
		}
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
	}
	for (uint32_t i = 0; i < PRODUCERS; i++)
		/* relaxed: the writer is dead */
		assert_true(next[i] >= atomic_load_explicit(&oracle->published[i],
							    memory_order_relaxed));
	sluice_producer_close(&producer);
	sluice_consumer_close(&consumer, false);
	sluice_segment_close(&segment);
}

/* With everybody away that gates from the start: nothing is lost before the consumer is there. */
static void create(uint64_t slots, uint64_t base)
{
	static const char *const reserve[] = {"engine", NULL};
	const struct sluice_segment_options options = {
		.name = RING,
		.slot_count = slots,
		.slot_stride = 64,
		.publication = SLUICE_PUBLICATION_STAMPED,
		.producer_mode = SLUICE_PRODUCER_MULTI,
		.base_sequence = base,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
		.reserve = reserve,
	};
	struct sluice_segment segment;

	assert_int_equal(ring_directory(), 0);
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	sluice_segment_close(&segment);
	memset(oracle, 0, sizeof(*oracle));
	oracle->seen[0].position = UINT64_MAX;
	oracle->seen[1].position = UINT64_MAX;
}

enum between { NOTHING, REPAIR, REPAIR_KILLED };

static void repair(uint64_t *seed, enum between between, uint64_t *tombstones)
{
	const struct timespec nap = {.tv_nsec = (long)(test_random(seed) % 1000000)};
	struct sluice_repair_result result;
	pid_t pid;

	if (between == NOTHING)
		return;
	fflush(NULL);
	if (between == REPAIR_KILLED) {
		pid = fork();
		if (!pid) {
			sluice_segment_repair(RING, false, NULL, &result, NULL);
			_exit(0);
		}
		nanosleep(&nap, NULL);
		child_kill(pid);
		return; /* whoever attaches next finishes it */
	}
	assert_int_equal(sluice_segment_repair(RING, false, NULL, &result, NULL), 0);
	assert_true(result.needed);
	assert_int_equal(result.epoch_after, 1);
	assert_int_equal(result.kept, 1);
	*tombstones += result.tombstones;
	assert_int_equal(sluice_segment_repair(RING, false, NULL, &result, NULL), 0);
	assert_false(result.needed);
}

static void rounds(enum between between, bool consumes, const uint64_t slots)
{
	uint64_t seed = test_seed() + slots + (uint64_t)between * 7919 + consumes;
	uint64_t tombstones = 0;
	uint64_t published = 0;

	for (int round = 0; round < ROUNDS; round++) {
		const uint64_t base = test_random(&seed) % 1000000;

		create(slots, base);
		run_and_kill(&seed, consumes);
		repair(&seed, between, &tombstones);
		start_again(base);
		for (uint32_t i = 0; i < PRODUCERS; i++)
			published += oracle->published[i];
		assert_int_equal(sluice_segment_unlink(RING, NULL), 0);
	}
	print_message("%llu slots: %llu events published by the dead, %llu tombstones by repairs\n",
		      (unsigned long long)slots, (unsigned long long)published,
		      (unsigned long long)tombstones);
	assert_true(published > 0);
}

static void test_cold_start__without_a_repair(void **state)
{
	(void)state;
	rounds(NOTHING, true, 1024);
	rounds(NOTHING, true, 8);
}

static void test_cold_start__after_a_repair(void **state)
{
	(void)state;
	rounds(REPAIR, true, 1024);
	rounds(REPAIR, true, 8);
}

static void test_cold_start__after_a_repair_that_was_killed(void **state)
{
	(void)state;
	rounds(REPAIR_KILLED, true, 1024);
}

/* The ring is full, the producers wait, and the consumer has never come. */
static void test_cold_start__of_a_full_ring(void **state)
{
	(void)state;
	rounds(NOTHING, false, 64);
	rounds(REPAIR, false, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cold_start__without_a_repair),
		cmocka_unit_test(test_cold_start__after_a_repair),
		cmocka_unit_test(test_cold_start__after_a_repair_that_was_killed),
		cmocka_unit_test(test_cold_start__of_a_full_ring),
	};

	oracle = mmap(NULL, sizeof(*oracle), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (oracle == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests_name("cold_start", tests, NULL, NULL);
}
