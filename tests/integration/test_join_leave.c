/* SPDX-License-Identifier: MIT */
/*
 * test_join_leave.c - consumers that join and leave while producers run at full speed, as
 * processes: no newcomer sees a slot that is being overwritten, none is told that it comes too late
 * to what it was promised, and whoever has left holds nobody up.
 *
 * JOINS=n makes as many joins on every kind of ring; without it, as many as a few seconds allow.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define RUN_NS (1300 * MS)
#define LIMIT_NS (600 * 1000 * MS)
#define SLOTS 32u
#define JOINERS 3
#define PRODUCERS 2

struct board {
	_Atomic uint64_t joins, from_next, from_beginning, followers, alone, events, produced;
	_Atomic uint64_t stale, refused;
	_Atomic uint64_t wrong;
	_Atomic uint64_t stop;
};

static struct board *board;

static void add(_Atomic uint64_t *word, uint64_t n)
{
	atomic_fetch_add(word, n);
}

static void complain(const char *who, const char *what, uint64_t sequence, int rc)
{
	fprintf(stderr, "%s: %s at %llu (%d)\n", who, what, (unsigned long long)sequence, rc);
	add(&board->wrong, 1);
}

static int run_producer(uint64_t seed)
{
	struct sluice_producer producer;
	struct sluice_segment segment;
	uint64_t first;
	int rc = 0;

	if (sluice_segment_attach(&segment, "busy", SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_producer_open(&producer, &segment, NULL, NULL))
		return 2;
	while ((!rc || rc == -ETIMEDOUT) && !atomic_load(&board->stop)) {
		const uint64_t n = test_random(&seed) % 9 + 1;

		rc = sluice_producer_claim(&producer, n, 20 * MS, &first);
		if (rc)
			continue;
		for (uint64_t s = first; s < first + n; s++)
			event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes,
				   s);
		sluice_producer_publish_range(&producer, first, first + n - 1);
		add(&board->produced, n);
	}
	sluice_producer_close(&producer);
	return rc && rc != -ETIMEDOUT ? -rc : 0;
}

/* One poll's worth. A critical one reads in place; the others may be evicted, or lapped. */
static int take(struct sluice_consumer *consumer, const char *name, uint64_t n)
{
	uint8_t copy[64];
	int rc;

	for (uint64_t i = 0; i < n; i++) {
		const uint64_t sequence = consumer->next;
		const void *event = copy;

		if (consumer->policy == SLUICE_POLICY_CRITICAL) {
			event = sluice_consumer_event(consumer, sequence);
		} else {
			rc = sluice_consumer_copy(consumer, sequence, copy);
			if (rc == -ESTALE || rc == -EOVERFLOW)
				return rc;
			if (rc && rc != -ENODATA)
				complain(name, "copy", sequence, rc);
		}
		if (!sluice_consumer_is_void(consumer, sequence) &&
		    !event_is(event, consumer->ring.payload_bytes, sequence))
			complain(name, "wrong event", sequence, 0);
		sluice_consumer_advance(consumer, 1);
	}
	sluice_consumer_release(consumer, consumer->next);
	add(&board->events, n);
	return 0;
}

static void read_some(struct sluice_consumer *consumer, const char *name, uint64_t want)
{
	const uint64_t end_ns = sluice_clock_ns() + 5 * MS;
	uint64_t n;
	int rc;

	while (want && sluice_clock_ns() < end_ns) {
		rc = sluice_consumer_wait(consumer, want, MS, &n);
		if (rc == -ETIMEDOUT)
			continue;
		if (!rc)
			rc = take(consumer, name, n);
		if (rc == -ESTALE) {
			add(&board->stale, 1);
			return;
		}
		if (rc == -EOVERFLOW && consumer->policy == SLUICE_POLICY_LOSSY) {
			sluice_consumer_skip(consumer);
			continue;
		}
		if (rc) {
			complain(name, "wait", consumer->next, rc);
			return;
		}
		want -= n;
	}
}

static void count_join(const struct sluice_segment *segment,
		       const struct sluice_consumer *consumer, uint32_t from)
{
	add(&board->joins, 1);
	add(from == SLUICE_FROM_NEXT ? &board->from_next : &board->from_beginning, 1);
	if (consumer->follows)
		add(&board->followers, 1);
	if (atomic_load(&segment->control->gating) == 1ull << consumer->index)
		add(&board->alone, 1);
}

static int run_joiner(uint32_t number, uint64_t seed)
{
	static const uint32_t policies[] = {SLUICE_POLICY_CRITICAL, SLUICE_POLICY_CRITICAL,
					    SLUICE_POLICY_EVICTABLE, SLUICE_POLICY_LOSSY};
	struct sluice_segment segment;
	struct sluice_diag diag;
	char name[16];

	if (sluice_segment_attach(&segment, "busy", SLUICE_ACCESS_WRITE, NULL))
		return 2;
	snprintf(name, sizeof(name), "j%u", number);
	while (!atomic_load(&board->stop)) {
		const uint64_t random = test_random(&seed);
		const char other[] = {'j', (char)('0' + random % JOINERS), 0};
		const char *const after[] = {other, NULL};
		const struct sluice_consumer_options options = {
			.name = name,
			.policy = policies[random >> 8 & 3],
			.from = random >> 10 & 1 ? SLUICE_FROM_BEGINNING : SLUICE_FROM_NEXT,
			.wait = random >> 11 & 1 ? SLUICE_WAIT_BLOCK : SLUICE_WAIT_ADAPTIVE,
			.after = random >> 12 & 1 && other[1] != name[1] ? after : NULL,
		};
		struct sluice_consumer consumer;
		const int rc = sluice_consumer_open(&consumer, &segment, &options, &diag);

		if (rc) {
			/* whom it wants to follow comes and goes as well, or is lossy */
			if (!options.after || (rc != -ENOENT && rc != -EINVAL))
				complain(name, diag.text, 0, rc);
			add(&board->refused, 1);
			continue;
		}
		count_join(&segment, &consumer, options.from);
		read_some(&consumer, name, random >> 16 & 63);
		sluice_consumer_close(&consumer, false);
	}
	return 0;
}

static int run_evictor(uint64_t seed)
{
	struct sluice_segment segment;

	if (sluice_segment_attach(&segment, "busy", SLUICE_ACCESS_WRITE, NULL))
		return 2;
	while (!atomic_load(&board->stop)) {
		const uint32_t index = (uint32_t)test_random(&seed) % (JOINERS + PRODUCERS);
		struct sluice_participant_view view;

		/* a critical one reads in place, and must not be evicted while it lives */
		if (sluice_participant_view(&segment, index, &view) &&
		    view.policy == SLUICE_POLICY_EVICTABLE)
			sluice_participant_evict_if(&segment, index,
						    view.generation << 8 | view.state);
		usleep(300);
	}
	return 0;
}

static pid_t start(int number, uint64_t seed)
{
	const pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* joins are to happen while producers run, however few CPUs there are */
	if (number < 0)
		setpriority(PRIO_PROCESS, 0, 5);
	_exit(number < 0	    ? run_producer(seed) :
	      number == JOINERS	    ? run_evictor(seed) :
				      run_joiner((uint32_t)number, seed));
}

static uint64_t joins_wanted(void)
{
	const char *text = getenv("JOINS");

	return text ? strtoull(text, NULL, 0) : 0;
}

static void wait_for_joins(void)
{
	const uint64_t started_ns = sluice_clock_ns(), wanted = joins_wanted();

	while (wanted ? atomic_load(&board->joins) < wanted &&
				sluice_clock_ns() - started_ns < LIMIT_NS :
			sluice_clock_ns() - started_ns < RUN_NS)
		usleep(1000);
	atomic_store(&board->stop, 1);
	print_message("%llu joins (%llu next, %llu beginning, %llu followers, %llu gated alone, "
		      "%llu stale, %llu refused), %llu events by %llu read, %.1f s\n",
		      (unsigned long long)atomic_load(&board->joins),
		      (unsigned long long)atomic_load(&board->from_next),
		      (unsigned long long)atomic_load(&board->from_beginning),
		      (unsigned long long)atomic_load(&board->followers),
		      (unsigned long long)atomic_load(&board->alone),
		      (unsigned long long)atomic_load(&board->stale),
		      (unsigned long long)atomic_load(&board->refused),
		      (unsigned long long)atomic_load(&board->produced),
		      (unsigned long long)atomic_load(&board->events),
		      (double)(sluice_clock_ns() - started_ns) / 1e9);
}

static void run(uint32_t scheme)
{
	const int producers = scheme == RING_MULTI ? PRODUCERS : 1;
	struct sluice_segment segment;
	uint64_t seed = test_seed();
	pid_t pids[JOINERS + 1 + PRODUCERS];
	int count = 0;

	memset(board, 0, sizeof(*board));
	assert_int_equal(ring_create(&segment, "busy", scheme, SLOTS, 0), 0);
	for (int i = 0; i < producers; i++)
		pids[count++] = start(-1 - i, test_random(&seed));
	/* they run before anybody is there: the first one arrives late */
	while (atomic_load(&segment.control->claim) < 3 * SLOTS)
		usleep(100);
	for (int i = 0; i <= JOINERS; i++)
		pids[count++] = start(i, test_random(&seed));
	wait_for_joins();
	for (int i = 0; i < count; i++)
		assert_int_equal(child_wait(pids[i], 20), 0);
	assert_int_equal(atomic_load(&board->wrong), 0);
	/* both kinds, and stages; the last one that left held nobody up */
	assert_true(atomic_load(&board->from_next) > 10);
	assert_true(atomic_load(&board->from_beginning) > 10);
	assert_true(atomic_load(&board->followers) > 0);
	assert_true(atomic_load(&board->joins) >= joins_wanted());
	assert_int_equal(atomic_load(&segment.control->gating), 0);
	for (uint32_t i = 0; i < segment.header.participant_count; i++)
		assert_int_equal(atomic_load(&segment.participants[i].state) &
					 SLUICE_PARTICIPANT_STATE_MASK, SLUICE_PARTICIPANT_FREE);
	ring_destroy(&segment);
}

/* D22, S17, S18 */
static void test_join_leave__under_full_load_on_a_cursor_ring(void **state)
{
	(void)state;
	run(RING_CURSOR);
}

static void test_join_leave__under_full_load_on_a_stamped_ring(void **state)
{
	(void)state;
	run(RING_STAMPED);
}

static void test_join_leave__under_full_load_with_many_producers(void **state)
{
	(void)state;
	run(RING_MULTI);
}

/* D22: blocked by the last and only consumer, which leaves: the producer goes on at once. */
static void test_join_leave__last_one_leaves_a_blocked_producer(void **state)
{
	static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED, RING_MULTI};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		uint64_t end_ns;
		pid_t pid;

		memset(board, 0, sizeof(*board));
		assert_int_equal(ring_create(&segment, "busy", schemes[i], SLOTS, 0), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		pid = start(-1, test_seed());
		/* claims are of nine at most: full means less than that is left */
		end_ns = sluice_clock_ns() + 20000 * MS;
		while (atomic_load(&segment.control->claim) < SLOTS - 8 &&
		       sluice_clock_ns() < end_ns)
			usleep(200);
		usleep(5000);
		assert_true(atomic_load(&board->produced) <= SLOTS);
		sluice_consumer_close(&consumer, false);
		while (atomic_load(&board->produced) < 20 * SLOTS && sluice_clock_ns() < end_ns)
			usleep(200);
		assert_true(atomic_load(&board->produced) >= 20 * SLOTS);
		/* nobody, then somebody again: who holds it up as before */
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		usleep(30000);
		atomic_store(&board->stop, 1);
		assert_int_equal(child_wait(pid, 20), 0);
		assert_true(atomic_load(&segment.control->claim) - consumer.next <= SLOTS);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, SLOTS + 1), -EAGAIN);
		assert_int_equal(ring_consume(&consumer, 10 * SLOTS), SLOTS);
		sluice_producer_close(&producer);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_leave__under_full_load_on_a_cursor_ring),
		cmocka_unit_test(test_join_leave__under_full_load_on_a_stamped_ring),
		cmocka_unit_test(test_join_leave__under_full_load_with_many_producers),
		cmocka_unit_test(test_join_leave__last_one_leaves_a_blocked_producer),
	};

	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
