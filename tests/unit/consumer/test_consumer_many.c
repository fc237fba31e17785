/* SPDX-License-Identifier: MIT */
/* test_consumer_many.c - several rings and mappings in one process; a stopped consumer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/ring_fixture.h"

#define MS 1000000ull

/* D34: nothing is kept per process or per address. */
static void test_consumer_many__two_rings_and_two_mappings_do_not_mix(void **state)
{
	struct sluice_segment one, two, again;
	struct sluice_producer producers[2];
	struct sluice_consumer consumers[3];
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&one, "one", RING_MULTI, 8, 0), 0);
	assert_int_equal(ring_create(&two, "two", RING_CURSOR, 32, 1000), 0);
	assert_int_equal(sluice_segment_attach(&again, "one", SLUICE_ACCESS_WRITE, NULL), 0);
	assert_ptr_not_equal(one.base, again.base);
	assert_int_equal(sluice_producer_open(&producers[0], &one, NULL, NULL), 0);
	assert_int_equal(sluice_producer_open(&producers[1], &two, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumers[0], &one, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(ring_consumer(&consumers[1], &two, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	/* the same ring by another mapping: the name is taken, the events are the same */
	assert_int_equal(ring_consumer(&consumers[2], &again, "c", SLUICE_POLICY_CRITICAL, 0),
			 -EBUSY);
	assert_int_equal(ring_consumer(&consumers[2], &again, "d", SLUICE_POLICY_CRITICAL, 0), 0);
	for (int round = 0; round < 50; round++) {
		assert_int_equal(ring_publish(&producers[0], 5), 0);
		assert_int_equal(ring_publish(&producers[1], 17), 0);
		assert_int_equal(sluice_consumer_poll(&consumers[2], 100, &n), 0);
		assert_int_equal(n, 5);
		assert_int_equal(ring_consume(&consumers[1], 100), 17);
		assert_int_equal(ring_consume(&consumers[0], 100), 5);
		/* one is still held by its second reader, two is not */
		assert_int_equal(sluice_producer_remaining(&producers[0]), 3);
		assert_int_equal(sluice_producer_remaining(&producers[1]), 32);
		assert_int_equal(ring_consume(&consumers[2], 100), 5);
	}
	for (int i = 0; i < 3; i++)
		sluice_consumer_close(&consumers[i], false);
	sluice_producer_close(&producers[0]);
	sluice_producer_close(&producers[1]);
	sluice_segment_close(&again);
	ring_destroy(&two);
	ring_destroy(&one);
}

/* A single producer takes a claim back when it finds that somebody joined: nobody is fooled. */
static void test_consumer_many__claim_to_be_taken_back_fools_nobody(void **state)
{
	static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED};
	const struct sluice_consumer_options old = {.name = "old", .from = SLUICE_FROM_BEGINNING};
	const struct sluice_consumer_options beyond = {
		.name = "old", .from = SLUICE_FROM_SEQUENCE, .sequence = 9,
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_consumer consumer, away, late;
		struct sluice_producer producer;
		struct sluice_segment segment;
		uint8_t event[64];
		uint64_t first;

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "e", SLUICE_POLICY_EVICTABLE,
					       SLUICE_FROM_NEXT), 0);
		assert_int_equal(ring_consumer(&away, &segment, "away", SLUICE_POLICY_CRITICAL, 0),
				 0);
		sluice_consumer_close(&away, true);
		assert_int_equal(ring_publish(&producer, 4), 0);
		assert_int_equal(sluice_producer_try_claim(&producer, 4, &first), 0);
		atomic_store(&segment.control->claim, 16);
		assert_int_equal(sluice_consumer_copy(&consumer, 0, event), 0);
		assert_true(event_is(event, consumer.ring.payload_bytes, 0));
		assert_int_equal(sluice_consumer_copy(&consumer, 4, event), -EAGAIN);
		assert_int_equal(ring_consumer(&away, &segment, "away", SLUICE_POLICY_CRITICAL, 0),
				 0);
		assert_int_equal(away.next, 0);
		assert_int_equal(sluice_consumer_open(&late, &segment, &old, NULL), 0);
		assert_int_equal(late.next, 4);
		sluice_consumer_close(&late, false);
		assert_int_equal(ring_consumer(&late, &segment, "l", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		assert_int_equal(late.next, 4);
		sluice_consumer_close(&late, false);
		assert_int_equal(sluice_consumer_open(&late, &segment, &beyond, NULL), -ERANGE);
		sluice_consumer_close(&away, false);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* Copies an event, is stopped, and asks before it acts. 0: it did not act. */
static int act_after_a_stop(_Atomic uint64_t *effects)
{
	const struct sluice_consumer_options options = {
		.name = "slow", .policy = SLUICE_POLICY_EVICTABLE, .lag_max = 4,
	};
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	uint8_t event[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sluice_segment_attach(&segment, "slow", SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_consumer_open(&consumer, &segment, &options, NULL))
		return 1;
	atomic_fetch_add(effects, 1);
	while (sluice_consumer_copy(&consumer, 0, event) == -EAGAIN)
		usleep(200);
	raise(SIGSTOP);
	if (sluice_consumer_copy(&consumer, 0, event) != -ESTALE)
		atomic_fetch_add(effects, 1);
	if (sluice_consumer_wait(&consumer, 8, 0, &(uint64_t){0}) != -ESTALE)
		atomic_fetch_add(effects, 1);
	sluice_consumer_close(&consumer, false);
	return 0;
}

/* S15 */
static void test_consumer_many__evicted_while_stopped_acts_on_nothing(void **state)
{
	_Atomic uint64_t *effects = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "slow", RING_MULTI, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	pid = fork();
	if (!pid)
		_exit(act_after_a_stop(effects));
	while (!atomic_load(effects))
		usleep(200);
	assert_int_equal(ring_publish(&producer, 8), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	/* full, and it is beyond its limit: it goes, alive as it is, and slot 0 is used again */
	assert_int_equal(sluice_producer_claim(&producer, 8, 20000 * MS, &first), 0);
	for (uint64_t s = first; s < first + 8; s++)
		event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes, s);
	sluice_producer_publish_range(&producer, first, first + 7);
	kill(pid, SIGCONT);
	assert_int_equal(child_wait(pid, 20), 0);
	assert_int_equal(atomic_load(effects), 1);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
	munmap(effects, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer_many__two_rings_and_two_mappings_do_not_mix),
		cmocka_unit_test(test_consumer_many__claim_to_be_taken_back_fools_nobody),
		cmocka_unit_test(test_consumer_many__evicted_while_stopped_acts_on_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
