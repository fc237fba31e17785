/* SPDX-License-Identifier: MIT */
/*
 * test_stages.c - stages as processes of their own: pipeline and diamond while stages and producers
 * are killed and started again, a stage that is stopped, one that is late.
 *
 * Every stage writes down, outside the ring, how far it has worked before it releases. Whoever
 * follows demands that all before it have; whoever comes back, that nothing was skipped.
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
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define RUN_NS (1200 * MS)
#define SLOTS 64u
#define STAGES_MAX 4
#define PRODUCERS 2

struct stage {
	const char *name;
	const char *after[3];
	uint32_t before; /* bit i: follows stage i */
};

static const struct stage pipeline[] = {
	{"journal", {NULL}, 0},
	{"match", {"journal", NULL}, 1},
	{"publish", {"match", NULL}, 2},
};

static const struct stage diamond[] = {
	{"journal", {NULL}, 0},
	{"replica", {NULL}, 0},
	{"match", {"journal", "replica", NULL}, 3},
	{"publish", {"match", NULL}, 4},
};

struct board {
	_Atomic uint64_t done[STAGES_MAX]; /* next sequence to work on */
	_Atomic uint64_t lives[STAGES_MAX];
	_Atomic uint64_t stop;
	_Atomic uint64_t errors;
};

static struct board *board;

static void complain(const char *name, const char *what, uint64_t sequence)
{
	fprintf(stderr, "%s: %s at %llu\n", name, what, (unsigned long long)sequence);
	atomic_fetch_add(&board->errors, 1);
}

static bool all_before_have(const struct stage *stages, int number, uint64_t sequence)
{
	for (int i = 0; i < STAGES_MAX; i++)
		if (stages[number].before >> i & 1 && atomic_load(&board->done[i]) <= sequence)
			return false;
	return true;
}

static void work(const struct stage *stages, int number, struct sluice_consumer *consumer,
		 uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t sequence = consumer->next + i;

		if (!all_before_have(stages, number, sequence))
			complain(stages[number].name, "too early", sequence);
		if (!sluice_consumer_is_void(consumer, sequence) &&
		    !event_is(sluice_consumer_event(consumer, sequence),
			      consumer->ring.payload_bytes, sequence))
			complain(stages[number].name, "wrong event", sequence);
	}
	if (consumer->next + n > atomic_load(&board->done[number]))
		atomic_store(&board->done[number], consumer->next + n);
	sluice_consumer_advance(consumer, n);
	sluice_consumer_release(consumer, consumer->next);
}

static int run_stage(const struct stage *stages, int number, uint64_t seed)
{
	struct sluice_consumer_options options = {
		.name = stages[number].name,
		.after = stages[number].after,
		.from = SLUICE_FROM_BEGINNING,
		.wait = seed % 2 ? SLUICE_WAIT_ADAPTIVE : SLUICE_WAIT_BLOCK,
	};
	struct sluice_diag diag = {.text = ""};
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	uint64_t n;
	int rc;

	if (sluice_segment_attach(&segment, "line", SLUICE_ACCESS_WRITE, &diag) ||
	    sluice_consumer_open(&consumer, &segment, &options, &diag)) {
		fprintf(stderr, "%s: %s\n", options.name, diag.text);
		return 2;
	}
	if (consumer.next > atomic_load(&board->done[number]))
		complain(options.name, "came back too far ahead", consumer.next);
	atomic_fetch_add(&board->lives[number], 1);
	do {
		rc = sluice_consumer_wait(&consumer, test_random(&seed) % 20 + 1, 100 * MS, &n);
		if (!rc)
			work(stages, number, &consumer, n);
	} while (!rc || rc == -ETIMEDOUT);
	sluice_consumer_close(&consumer, false);
	return rc == -EPIPE ? 0 : -rc;
}

static int run_producer(uint64_t seed)
{
	struct sluice_producer producer;
	struct sluice_segment segment;
	uint64_t first, n;
	int rc = 0;

	if (sluice_segment_attach(&segment, "line", SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_producer_open(&producer, &segment, NULL, NULL))
		return 2;
	while ((!rc || rc == -ETIMEDOUT) && !atomic_load(&board->stop)) {
		n = test_random(&seed) % 9 + 1;
		rc = sluice_producer_claim(&producer, n, 20 * MS, &first);
		if (rc)
			continue;
		for (uint64_t s = first; s < first + n; s++)
			event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes,
				   s);
		sluice_producer_publish_range(&producer, first, first + n - 1);
	}
	sluice_producer_close(&producer);
	return rc && rc != -ETIMEDOUT ? -rc : 0;
}

/* number -1, -2: a producer */
static pid_t start(const struct stage *stages, int number, uint64_t seed)
{
	const pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(number < 0 ? run_producer(seed) : run_stage(stages, number, seed));
}

struct line {
	struct sluice_segment segment;
	const struct stage *stages;
	int count;
	pid_t pids[STAGES_MAX];
	pid_t producers[PRODUCERS];
	uint64_t seed;
};

static void line_open(struct line *line, const struct stage *stages, int count)
{
	*line = (struct line){.stages = stages, .count = count, .seed = test_seed()};
	memset(board, 0, sizeof(*board));
	assert_int_equal(ring_create(&line->segment, "line", RING_MULTI, SLOTS, 0), 0);
	for (int i = 0; i < count; i++) {
		const uint64_t end_ns = sluice_clock_ns() + 20000 * MS;

		line->pids[i] = start(stages, i, test_random(&line->seed));
		/* the next one needs its name */
		while (!atomic_load(&board->lives[i]) && sluice_clock_ns() < end_ns)
			usleep(200);
		assert_int_equal(atomic_load(&board->lives[i]), 1);
	}
	for (int i = 0; i < PRODUCERS; i++)
		line->producers[i] = start(stages, -1 - i, test_random(&line->seed));
}

static uint64_t claimed(const struct line *line)
{
	return atomic_load(&line->segment.control->claim);
}

/* Everybody to the end, in his own time. */
static void line_close(struct line *line)
{
	uint64_t lives = 0, end;

	atomic_store(&board->stop, 1);
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(child_wait(line->producers[i], 20), 0);
	end = claimed(line);
	sluice_ring_set_state(&line->segment, SLUICE_STATE_DRAINING);
	for (int i = 0; i < line->count; i++) {
		assert_int_equal(child_wait(line->pids[i], 20), 0);
		assert_int_equal(atomic_load(&board->done[i]), end);
		lives += atomic_load(&board->lives[i]);
	}
	assert_int_equal(atomic_load(&board->errors), 0);
	assert_int_equal(atomic_load(&line->segment.control->gating), 0);
	print_message("%llu events, %llu tombstones, %llu lives of %d stages\n",
		      (unsigned long long)end,
		      (unsigned long long)atomic_load(&line->segment.control->tombstones),
		      (unsigned long long)lives, line->count);
	ring_destroy(&line->segment);
}

static void kill_for_a_while(struct line *line)
{
	const uint64_t end_ns = sluice_clock_ns() + RUN_NS;

	while (sluice_clock_ns() < end_ns) {
		const uint64_t random = test_random(&line->seed);
		const int victim = (int)(random % (uint64_t)(line->count + PRODUCERS));
		const int producer = victim - line->count;

		usleep((unsigned)(random >> 16) % 20000);
		if (producer >= 0) {
			child_kill(line->producers[producer]);
			line->producers[producer] = start(line->stages, -1 - producer, random >> 3);
			continue;
		}
		child_kill(line->pids[victim]);
		/* sometimes its place stays empty for a moment */
		usleep(random >> 40 & 1 ? (unsigned)(random >> 20) % 3000 : 0);
		line->pids[victim] = start(line->stages, victim, random >> 3);
	}
}

static void run_and_kill(const struct stage *stages, int count)
{
	struct line line;

	line_open(&line, stages, count);
	kill_for_a_while(&line);
	line_close(&line);
}

/* D12, D27, S14 */
static void test_stages__killed_stages_of_a_pipeline_lose_nothing(void **state)
{
	(void)state;
	run_and_kill(pipeline, 3);
}

static void test_stages__killed_stages_of_a_diamond_lose_nothing(void **state)
{
	(void)state;
	run_and_kill(diamond, 4);
}

static bool reaches(const _Atomic uint64_t *word, uint64_t value)
{
	const uint64_t end_ns = sluice_clock_ns() + 20000 * MS;

	while (atomic_load(word) < value && sluice_clock_ns() < end_ns)
		usleep(500);
	return atomic_load(word) >= value;
}

/* D13: one in the middle is stopped, or dead: all before it run on to it, all behind stop. */
static void middle_stands(bool dead)
{
	struct line line;
	uint64_t position;

	line_open(&line, pipeline, 3);
	assert_true(reaches(&board->done[2], 1000));
	if (dead)
		child_kill(line.pids[1]);
	else
		kill(line.pids[1], SIGSTOP);
	/* signals arrive when they do: it may have gone on a little */
	usleep(20000);
	position = atomic_load(&line.segment.participants[1].position);
	assert_true(reaches(&line.segment.participants[2].position, position));
	assert_true(reaches(&board->done[0], position + SLOTS));
	usleep(100000);
	/* the last gates: at its position, exactly one ring */
	assert_int_equal(claimed(&line), position + SLOTS);
	assert_int_equal(atomic_load(&board->done[0]), position + SLOTS);
	assert_int_equal(atomic_load(&board->done[2]), position);
	assert_int_equal(atomic_load(&line.segment.control->gating), 1u << 2);
	if (dead)
		line.pids[1] = start(pipeline, 1, 5);
	else
		kill(line.pids[1], SIGCONT);
	assert_true(reaches(&board->done[2], position + 10 * SLOTS));
	line_close(&line);
}

static void test_stages__stopped_in_the_middle_stops_all_but_those_before(void **state)
{
	(void)state;
	middle_stands(false);
}

static void test_stages__dead_in_the_middle_is_waited_for(void **state)
{
	(void)state;
	middle_stands(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages__killed_stages_of_a_pipeline_lose_nothing),
		cmocka_unit_test(test_stages__killed_stages_of_a_diamond_lose_nothing),
		cmocka_unit_test(test_stages__stopped_in_the_middle_stops_all_but_those_before),
		cmocka_unit_test(test_stages__dead_in_the_middle_is_waited_for),
	};

	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
