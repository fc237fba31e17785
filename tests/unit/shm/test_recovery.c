/* SPDX-License-Identifier: MIT */
/*
 * test_recovery.c - what a dead producer leaves at each point of its protocol, and what recovery
 * makes of it: never anything of the living. The states are made by hand, by children that are then
 * killed; the crash harness (tests/crash) reaches the same ones by running the real code into them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/claim.h"
#include "shm/recovery.h"
#include "shm/table.h"
#include "tests/lib/ring_fixture.h"

#define SLOTS 8u

enum point { P1 = 1, P2, P3, P4, P5, P6, P7, P8, POINTS };

struct fixture {
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer live;
};

static void open_all(struct fixture *f)
{
	assert_int_equal(ring_create(&f->segment, "r", RING_MULTI, SLOTS, 0), 0);
	assert_int_equal(ring_consumer(&f->consumer, &f->segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
	assert_int_equal(sluice_producer_open(&f->live, &f->segment, NULL, NULL), 0);
}

static void close_all(struct fixture *f)
{
	sluice_producer_close(&f->live);
	sluice_consumer_close(&f->consumer, false);
	ring_destroy(&f->segment);
}

static uint64_t tombstones(const struct fixture *f)
{
	return atomic_load(&f->segment.control->tombstones);
}

/* Brings a claim of n slots at the end of the ring to `point`, as the code would have. */
static void go_to(struct sluice_producer *producer, enum point point, uint64_t n)
{
	struct sluice_control *control = producer->ring.control;
	const uint64_t first = atomic_load(&control->claim);
	uint64_t published = 0;

	atomic_store(&producer->self->claim_record,
		     sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, first, n));
	if (point >= P2)
		atomic_store(&control->claim, first + n);
	if (point >= P3)
		atomic_store(&producer->self->claim_record,
			     sluice_claim_pack(SLUICE_CLAIM_CLAIMED, first, n));
	for (uint64_t s = first; point >= P4 && s != first + n; s++) {
		atomic_store(sluice_ring_stamp(&producer->ring, s), SLUICE_STAMP_WRITING | s);
		event_fill(sluice_producer_slot(producer, s),
			   point == P4 ? 16 : producer->ring.payload_bytes, s);
	}
	if (point >= P6)
		published = point == P6 ? 1 : n;
	for (uint64_t s = first; s != first + published; s++)
		atomic_store(sluice_ring_stamp(&producer->ring, s), s + 1);
	if (point == P8)
		atomic_store(&producer->self->claim_record, SLUICE_CLAIM_IDLE);
}

struct stand {
	enum point point;
	uint64_t n;
};

static int stand_at(struct sluice_segment *segment, void *arg)
{
	static struct sluice_producer producer;
	const struct stand *stand = arg;

	if (sluice_producer_open(&producer, segment, NULL, NULL))
		return 1;
	go_to(&producer, stand->point, stand->n);
	return 0;
}

/* A process that stands at `point` with a claim of n. */
static pid_t start_at(enum point point, uint64_t n)
{
	struct stand stand = {point, n};

	return child_ready("r", stand_at, NULL, &stand);
}

static uint64_t voids_of(enum point point, uint64_t n)
{
	return point == P1 ? 0 : point < P6 ? n : point == P6 ? n - 1 : 0;
}

/* Every crash point, every batch size, at every place of the ring; the living go on behind it. */
static void test_recovery__death_at_each_point(void **state)
{
	static const uint64_t batches[] = {1, 2, SLOTS / 2, SLOTS - 1};

	(void)state;
	for (enum point point = P1; point < POINTS; point++)
		for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
			const uint64_t n = batches[b], before = point + b;
			const uint64_t claimed = point == P1 ? 0 : n;
			const uint64_t voids = voids_of(point, n);
			struct fixture f;
			pid_t pid;

			open_all(&f);
			for (uint64_t i = 0; i < before; i++) {
				assert_int_equal(ring_publish(&f.live, 1), 0);
				assert_int_equal(ring_consume(&f.consumer, 8), 1);
			}
			pid = start_at(point, n);
			assert_true(pid > 0);
			/* alive: nothing is touched, however long it takes */
			assert_true(sluice_recover(&f.segment) == 0 ||
				    (point == P2 && sluice_recover(&f.segment) == -EAGAIN));
			assert_int_equal(tombstones(&f), 0);
			child_kill(pid);
			assert_int_equal(sluice_recover(&f.segment), voids);
			assert_int_equal(tombstones(&f), voids);
			assert_int_equal(sluice_recover(&f.segment), 0); /* idempotent */
			assert_int_equal(atomic_load(&f.segment.control->claim), before + claimed);
			for (uint64_t s = before; s < before + claimed; s++)
				assert_int_equal(sluice_ring_is_void(&f.live.ring, s),
						 s >= before + claimed - voids);
			assert_int_equal(ring_publish(&f.live, 1), 0);
			assert_int_equal(ring_consume(&f.consumer, 16), claimed + 1);
			close_all(&f);
		}
}

/* A batch as large as the ring, claimed by one that dies while the ring is full of it. */
static void test_recovery__death_with_the_whole_ring(void **state)
{
	(void)state;
	for (enum point point = P2; point < POINTS; point++) {
		struct fixture f;
		uint64_t first;
		pid_t pid;

		open_all(&f);
		assert_int_equal(ring_publish(&f.live, 3), 0);
		assert_int_equal(ring_consume(&f.consumer, 3), 3);
		pid = start_at(point, SLOTS);
		assert_true(pid > 0);
		assert_int_equal(sluice_producer_try_claim(&f.live, 1, &first), -EAGAIN);
		child_kill(pid);
		assert_int_equal(sluice_recover(&f.segment), voids_of(point, SLOTS));
		assert_int_equal(sluice_producer_try_claim(&f.live, 1, &first), -EAGAIN);
		assert_int_equal(ring_consume(&f.consumer, 16), SLOTS);
		assert_int_equal(ring_publish(&f.live, SLOTS), 0);
		assert_int_equal(ring_consume(&f.consumer, 16), SLOTS);
		close_all(&f);
	}
}

static void test_recovery__two_adjacent_orphans(void **state)
{
	struct fixture f;
	pid_t a, b;

	(void)state;
	open_all(&f);
	a = start_at(P2, 2);
	b = start_at(P2, 3);
	assert_true(a > 0 && b > 0);
	child_kill(b);
	/* the second one's are beyond doubt; nobody knows of the first two but their live owner */
	assert_int_equal(sluice_recover(&f.segment), 3);
	child_kill(a);
	assert_int_equal(sluice_recover(&f.segment), 2);
	assert_int_equal(ring_consume(&f.consumer, 16), 5);
	close_all(&f);
}

/*
 * The dead between the living: a live claim before, a live one behind, only the middle is buried.
 */
static void test_recovery__leaves_the_living_alone(void **state)
{
	struct sluice_producer other;
	struct fixture f;
	uint64_t first, behind;
	pid_t pid;

	(void)state;
	open_all(&f);
	assert_int_equal(sluice_producer_open(&other, &f.segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_try_claim(&f.live, 2, &first), 0);
	pid = start_at(P4, 2);
	assert_true(pid > 0);
	assert_int_equal(sluice_producer_try_claim(&other, 2, &behind), 0);
	assert_int_equal(behind, 4);
	child_kill(pid);
	assert_int_equal(sluice_recover(&f.segment), 2);
	for (uint64_t s = 0; s < 6; s++)
		assert_int_equal(sluice_ring_published(&f.live.ring, s, 1), s == 2 || s == 3 ?
									      s + 1 : s);
	event_fill(sluice_producer_slot(&other, 5), other.ring.payload_bytes, 5);
	event_fill(sluice_producer_slot(&other, 4), other.ring.payload_bytes, 4);
	sluice_producer_publish_range(&other, 4, 5);
	for (uint64_t s = 0; s < 2; s++)
		event_fill(sluice_producer_slot(&f.live, s), f.live.ring.payload_bytes, s);
	sluice_producer_publish_range(&f.live, 0, 1);
	assert_int_equal(ring_consume(&f.consumer, 16), 6);
	sluice_producer_close(&other);
	close_all(&f);
}

/*
 * A live producer that stands at an orphan's sequence with an attempt: it may yet prove to be the
 * owner, so nothing is done. An attempt that somebody else's publication or claim disproves does
 * not hold anything up.
 */
static void test_recovery__undecided_until_refuted(void **state)
{
	_Atomic uint64_t *attempt;
	struct fixture f;
	pid_t pid;

	(void)state;
	open_all(&f);
	attempt = &f.live.self->claim_record;
	pid = start_at(P2, 2);
	assert_true(pid > 0);
	child_kill(pid);
	atomic_store(attempt, sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 0, 1));
	assert_int_equal(sluice_recover(&f.segment), 1); /* sequence 1 is not in it */
	assert_int_equal(sluice_ring_published(&f.live.ring, 0, 1), 0);
	assert_int_equal(sluice_recover(&f.segment), -EAGAIN);
	/* it has noticed, and waits for space: then it announces nothing */
	atomic_store(attempt, SLUICE_CLAIM_IDLE);
	assert_int_equal(sluice_recover(&f.segment), 1);
	assert_int_equal(ring_consume(&f.consumer, 16), 2);

	assert_int_equal(ring_publish(&f.live, 1), 0); /* sequence 2 */
	pid = start_at(P2, 2);			       /* 3, 4 */
	assert_true(pid > 0);
	child_kill(pid);
	/* an attempt at 2..4: 2 is somebody else's publication, so it has failed as a whole */
	atomic_store(attempt, sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 2, 3));
	assert_int_equal(sluice_recover(&f.segment), 2);
	atomic_store(attempt, SLUICE_CLAIM_IDLE);
	assert_int_equal(ring_consume(&f.consumer, 16), 3);
	close_all(&f);
}

/* A slot that was consumed and reused while the pass stood still is published for what it asks. */
static void test_recovery__later_lap_counts_as_published(void **state)
{
	struct fixture f;

	(void)state;
	open_all(&f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ring_publish(&f.live, SLOTS), 0);
		assert_int_equal(ring_consume(&f.consumer, SLOTS), SLOTS);
	}
	for (uint64_t s = 0; s < 3 * SLOTS; s++)
		assert_true(sluice_stamp_published(
			atomic_load(sluice_ring_stamp(&f.live.ring, s)), s));
	/* and what is being written for a later lap */
	assert_true(sluice_stamp_published(SLUICE_STAMP_WRITING | 24, 16));
	assert_false(sluice_stamp_published(SLUICE_STAMP_WRITING | 24, 24));
	assert_true(sluice_stamp_published(SLUICE_STAMP_VOID | 25, 24));
	close_all(&f);
}

static void test_recovery__frees_the_entries_of_the_dead(void **state)
{
	struct sluice_participant_view view;
	struct fixture f;
	uint32_t found = 0;
	pid_t pid;

	(void)state;
	open_all(&f);
	pid = start_at(P4, 2);
	assert_true(pid > 0);
	child_kill(pid);
	assert_int_equal(sluice_recover(&f.segment), 2);
	for (uint32_t i = 0; i < f.segment.header.participant_count; i++)
		if (sluice_participant_view(&f.segment, i, &view) &&
		    view.state != SLUICE_PARTICIPANT_FREE)
			found++;
	assert_int_equal(found, 2); /* the consumer and the live producer */
	close_all(&f);
}

/* Storm: more dead producers than the table has entries; nobody but the joiners cleans up. */
static void test_recovery__joining_over_a_table_of_the_dead(void **state)
{
	struct sluice_producer late;
	struct fixture f;

	(void)state;
	open_all(&f);
	for (int i = 0; i < 70; i++) {
		const pid_t pid = start_at(i % 2 ? P2 : P4, 1);

		assert_true(pid > 0);
		child_kill(pid);
		/* now and then somebody must make room in the ring, as a consumer's wait does */
		if (i % 4 == 3) {
			sluice_recover(&f.segment);
			assert_true(ring_consume(&f.consumer, 16) <= SLOTS);
		}
	}
	assert_int_equal(sluice_producer_open(&late, &f.segment, NULL, NULL), 0);
	sluice_producer_close(&late);
	close_all(&f);
}

/*
 * Nobody reads, so nobody but the blocked producer itself can find out that the hole is a dead
 * one's.
 */
static void test_recovery__blocked_producer_helps_itself(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "r", RING_MULTI, SLOTS, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	pid = start_at(P4, 2);
	assert_true(pid > 0);
	assert_int_equal(ring_publish(&producer, SLOTS), -EAGAIN); /* behind the hole */
	assert_int_equal(producer.next, SLOTS);
	/* it lives: waited for */
	assert_int_equal(sluice_producer_claim(&producer, 1, 50000000, &first), -ETIMEDOUT);
	child_kill(pid);
	assert_int_equal(sluice_producer_claim(&producer, 1, 20000000000, &first), 0);
	assert_int_equal(first, SLOTS);
	assert_int_equal(atomic_load(&segment.control->tombstones), 2);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_recovery__one_at_a_time(void **state)
{
	struct fixture f;
	pid_t dead, holder;
	int status;

	(void)state;
	open_all(&f);
	dead = start_at(P4, 1);
	assert_true(dead > 0);
	child_kill(dead);
	assert_int_equal(sluice_table_try_lock(&f.segment), 0);
	holder = fork();
	if (!holder) {
		struct sluice_segment segment;

		if (sluice_segment_attach(&segment, "r", SLUICE_ACCESS_WRITE, NULL))
			_exit(1);
		_exit(sluice_recover(&segment) == -EAGAIN ? 0 : 2);
	}
	waitpid(holder, &status, 0);
	sluice_table_unlock(&f.segment);
	assert_int_equal(status, 0);
	assert_int_equal(sluice_recover(&f.segment), 1);
	close_all(&f);
}

static void test_recovery__needs_a_writable_named_ring(void **state)
{
	struct sluice_segment view, private;
	struct sluice_producer producer;
	struct fixture f;
	uint64_t first;

	(void)state;
	open_all(&f);
	assert_int_equal(sluice_segment_attach(&view, "r", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(sluice_recover(&view), -EACCES);
	sluice_segment_close(&view);
	assert_int_equal(ring_create(&private, NULL, RING_MULTI, SLOTS, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &private, NULL, NULL), 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), 0);
	assert_int_equal(sluice_recover(&private), 0); /* its producers are in this process */
	assert_int_equal(atomic_load(&private.control->tombstones), 0);
	sluice_producer_close(&producer);
	ring_destroy(&private);
	close_all(&f);
}

/* Stopped for longer than any timeout of ours: it is not dead, and what it claimed is its own. */
static void test_recovery__stopped_is_not_dead(void **state)
{
	struct fixture f;
	pid_t pid;

	(void)state;
	open_all(&f);
	pid = start_at(P4, 2);
	assert_true(pid > 0);
	kill(pid, SIGSTOP);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(sluice_recover(&f.segment), 0);
		usleep(1000);
	}
	assert_int_equal(tombstones(&f), 0);
	child_kill(pid);
	assert_int_equal(sluice_recover(&f.segment), 2);
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recovery__death_at_each_point),
		cmocka_unit_test(test_recovery__death_with_the_whole_ring),
		cmocka_unit_test(test_recovery__two_adjacent_orphans),
		cmocka_unit_test(test_recovery__leaves_the_living_alone),
		cmocka_unit_test(test_recovery__undecided_until_refuted),
		cmocka_unit_test(test_recovery__later_lap_counts_as_published),
		cmocka_unit_test(test_recovery__frees_the_entries_of_the_dead),
		cmocka_unit_test(test_recovery__joining_over_a_table_of_the_dead),
		cmocka_unit_test(test_recovery__blocked_producer_helps_itself),
		cmocka_unit_test(test_recovery__one_at_a_time),
		cmocka_unit_test(test_recovery__needs_a_writable_named_ring),
		cmocka_unit_test(test_recovery__stopped_is_not_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
