/* SPDX-License-Identifier: MIT */
/*
 * test_wait_idle.c - what waiting costs while nothing happens: every stage of a line, producers
 * before a full ring, and consumers before a slot that is claimed and not published. All wait at
 * the same time, each in a thread whose CPU time is asked for afterwards.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/wait.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define IDLE_NS (1000 * MS)
/* Promised is 1 %; a machine with other work accounts some of it to whom it interrupts. */
#define SHARE_MAX 0.03
#define STAGES 3u
#define SLOTS 4u

struct idler {
	struct sluice_consumer consumer;
	struct sluice_producer producer;
	const char *what;
	uint64_t timeout_ns;
	double share; /* of one CPU */
	int rc;
	bool is_producer;
};

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void *idle(void *arg)
{
	struct idler *idler = arg;
	const uint64_t started_ns = sluice_clock_ns();
	const double before = cpu_seconds();
	uint64_t n;

	idler->rc = idler->is_producer ?
			    sluice_producer_claim(&idler->producer, 1, idler->timeout_ns, &n) :
			    sluice_consumer_wait(&idler->consumer, 8, idler->timeout_ns, &n);
	idler->share = (cpu_seconds() - before) / ((double)(sluice_clock_ns() - started_ns) / 1e9);
	return NULL;
}

/* Stage 0 reads the ring, each other one what the one before has released. */
static void open_stages(struct sluice_segment *segment, struct idler *idlers, uint32_t strategy)
{
	static const char *const names[STAGES] = {"one", "two", "three"};
	static const char *const whats[STAGES] = {"first stage", "second stage", "third stage"};

	for (uint32_t i = 0; i < STAGES; i++) {
		const char *const after[] = {i ? names[i - 1] : NULL, NULL};
		const struct sluice_consumer_options options = {
			.name = names[i],
			.wait = strategy,
			.after = after,
		};
		struct sluice_diag diag = {.text = ""};

		assert_int_equal(
			sluice_consumer_open(&idlers[i].consumer, segment, &options, &diag), 0);
		idlers[i].what = whats[i];
	}
}

static void run(struct idler *idlers, uint32_t count)
{
	pthread_t threads[STAGES + 1];

	for (uint32_t i = 0; i < count; i++)
		idlers[i].timeout_ns = IDLE_NS;
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, idle, &idlers[i]), 0);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void judge(const struct idler *idlers, uint32_t count, uint32_t strategy)
{
	for (uint32_t i = 0; i < count; i++)
		print_message("%s, %s: %.2f %% of a CPU\n", sluice_wait_name(strategy),
			      idlers[i].what, idlers[i].share * 100);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(idlers[i].rc, -ETIMEDOUT);
		assert_true(idlers[i].share < SHARE_MAX);
	}
}

/* An empty line of three stages; a producer before a full ring waits in `full`. */
static void idle_line(uint32_t strategy)
{
	static struct idler idlers[STAGES + 1];
	struct sluice_segment segment, full;
	struct sluice_consumer holder;
	const struct sluice_producer_options options = {.wait = strategy};
	struct idler *blocked = &idlers[STAGES];

	memset(idlers, 0, sizeof(idlers));
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, SLOTS, 0), 0);
	assert_int_equal(ring_create(&full, NULL, RING_MULTI, SLOTS, 0), 0);
	open_stages(&segment, idlers, strategy);
	assert_int_equal(
		ring_consumer(&holder, &full, "holder", SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT),
		0);
	assert_int_equal(sluice_producer_open(&blocked->producer, &full, &options, NULL), 0);
	assert_int_equal(ring_publish(&blocked->producer, SLOTS), 0);
	blocked->is_producer = true;
	blocked->what = "producer, ring full";
	run(idlers, STAGES + 1);
	sluice_producer_close(&blocked->producer);
	sluice_consumer_close(&holder, false);
	for (uint32_t i = STAGES; i--;)
		sluice_consumer_close(&idlers[i].consumer, false);
	ring_destroy(&full);
	ring_destroy(&segment);
	judge(idlers, STAGES + 1, strategy);
}

/* One of two producers has claimed and does not publish; the other has published behind it. */
static void idle_before_a_hole(uint32_t strategy)
{
	static struct idler idlers[STAGES];
	struct sluice_segment segment;
	struct sluice_producer slow, quick;
	uint64_t sequence;

	memset(idlers, 0, sizeof(idlers));
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, SLOTS, 0), 0);
	open_stages(&segment, idlers, strategy);
	assert_int_equal(sluice_producer_open(&slow, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_open(&quick, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_try_claim(&slow, 1, &sequence), 0);
	assert_int_equal(ring_publish(&quick, 1), 0);
	idlers[0].what = "first stage, before a hole";
	run(idlers, STAGES);
	sluice_producer_publish(&slow, sequence);
	sluice_producer_close(&slow);
	sluice_producer_close(&quick);
	for (uint32_t i = STAGES; i--;)
		sluice_consumer_close(&idlers[i].consumer, false);
	ring_destroy(&segment);
	judge(idlers, STAGES, strategy);
}

static void test_wait_idle__block(void **state)
{
	(void)state;
	idle_line(SLUICE_WAIT_BLOCK);
}

static void test_wait_idle__adaptive(void **state)
{
	(void)state;
	idle_line(SLUICE_WAIT_ADAPTIVE);
}

static void test_wait_idle__backoff(void **state)
{
	(void)state;
	idle_line(SLUICE_WAIT_BACKOFF);
}

static void test_wait_idle__block_before_a_hole(void **state)
{
	(void)state;
	idle_before_a_hole(SLUICE_WAIT_BLOCK);
}

static void test_wait_idle__adaptive_before_a_hole(void **state)
{
	(void)state;
	idle_before_a_hole(SLUICE_WAIT_ADAPTIVE);
}

static double share_of(uint32_t strategy)
{
	struct idler idler = {.timeout_ns = 300 * MS};
	const struct sluice_consumer_options options = {.name = "hot", .wait = strategy};
	struct sluice_segment segment;

	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, SLOTS, 0), 0);
	assert_int_equal(sluice_consumer_open(&idler.consumer, &segment, &options, NULL), 0);
	idle(&idler);
	print_message("%s: %.1f %% of a CPU\n", sluice_wait_name(strategy), idler.share * 100);
	sluice_consumer_close(&idler.consumer, false);
	ring_destroy(&segment);
	return idler.share;
}

/* The measure shows who does not sleep; what naps cost is printed for the documentation. */
static void test_wait_idle__a_hot_loop_shows(void **state)
{
	(void)state;
	share_of(SLUICE_WAIT_SLEEPING);
	/* whoever has to share the CPU with very many shows it later */
	for (int i = 0; i < 10; i++)
		if (share_of(SLUICE_WAIT_SPIN) > SHARE_MAX)
			return;
	fail_msg("a spinner passes for idle");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_idle__block),
		cmocka_unit_test(test_wait_idle__adaptive),
		cmocka_unit_test(test_wait_idle__backoff),
		cmocka_unit_test(test_wait_idle__block_before_a_hole),
		cmocka_unit_test(test_wait_idle__adaptive_before_a_hole),
		cmocka_unit_test(test_wait_idle__a_hot_loop_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
