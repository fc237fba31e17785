/* SPDX-License-Identifier: MIT */
/* test_pair.c - two pinned processes: they start together, are proved pinned, and fail together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pair.h"

struct shared {
	_Atomic int32_t process[2];
	_Atomic uint32_t set_up[2];
	_Atomic uint32_t saw[2]; /* what the side saw of the other after the start */
	_Atomic uint32_t cpu[2];
};

static uint32_t first_cpu(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			return cpu;
	return 0;
}

static int meet(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct shared *shared = arg;
	int rc;

	if (side)
		usleep(20000); /* the other one has to wait */
	/* relaxed, all: the meeting point orders them */
	atomic_store_explicit(&shared->set_up[side], 1, memory_order_relaxed);
	rc = bench_pair_start(pair, side);
	atomic_store_explicit(&shared->saw[side],
			      atomic_load_explicit(&shared->set_up[!side], memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&shared->cpu[side], (uint32_t)sched_getcpu(), memory_order_relaxed);
	atomic_store_explicit(&shared->process[side], getpid(), memory_order_relaxed);
	bench_pair_stop(pair, side);
	return rc;
}

static int refuse(struct bench_pair *pair, uint32_t side, void *arg)
{
	(void)pair, (void)side, (void)arg;
	return -EBADMSG;
}

static __attribute__((noreturn)) int crash(struct bench_pair *pair, uint32_t side, void *arg)
{
	(void)pair, (void)side, (void)arg;
	signal(SIGABRT, SIG_DFL);
	abort();
}

static __attribute__((noreturn)) int for_ever(struct bench_pair *pair, uint32_t side, void *arg)
{
	(void)pair, (void)side, (void)arg;
	for (;;)
		pause();
}

static int arrive(struct bench_pair *pair, uint32_t side, void *arg)
{
	(void)arg;
	return bench_pair_start(pair, side);
}

static int run(const struct bench_side sides[2], void *arg, struct bench_scenario *scenario)
{
	struct sluice_diag diag;

	return bench_pair_run(sides, 2, arg, scenario, &diag);
}

static void test_pair__starts_together_and_proves_it_stayed(void **state)
{
	struct shared *shared = bench_shared_alloc(sizeof(*shared));
	struct bench_scenario scenario = {.name = "x"};
	const uint32_t cpu = first_cpu();
	const struct bench_side sides[2] = {{"one", cpu, meet}, {"two", cpu, meet}};

	(void)state;
	for (int n = 0; n < 2; n++) {
		memset(shared, 0, sizeof(*shared));
		assert_int_equal(run(sides, shared, &scenario), 0);
		/* relaxed, all: both have ended */
		for (int i = 0; i < 2; i++) {
			assert_int_equal(
				atomic_load_explicit(&shared->saw[i], memory_order_relaxed), 1);
			assert_int_equal(
				atomic_load_explicit(&shared->cpu[i], memory_order_relaxed), cpu);
		}
	}
	assert_int_equal(scenario.process_count, 2);
	assert_string_equal(scenario.processes[1].role, "two");
	assert_int_equal(scenario.processes[0].runs, 2);
	assert_int_equal(scenario.processes[0].elsewhere, 0);
	assert_int_equal(scenario.processes[0].cpu, cpu);
	assert_true(scenario.processes[0].migrations <= 0);
	bench_shared_free(shared, sizeof(*shared));
}

static void test_pair__one_side_alone(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	const struct bench_side side = {"one", first_cpu(), arrive};
	struct sluice_diag diag;

	(void)state;
	assert_int_equal(bench_pair_run(&side, 1, NULL, &scenario, &diag), 0);
	assert_int_equal(scenario.process_count, 1);
}

static void test_pair__an_error_ends_the_other(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	const uint32_t cpu = first_cpu();
	const struct bench_side failing[][2] = {
		{{"one", cpu, refuse}, {"two", cpu, for_ever}},
		{{"one", cpu, for_ever}, {"two", cpu, refuse}},
		{{"one", cpu, arrive}, {"two", cpu, refuse}},
	};
	const struct bench_side crashing[2] = {{"one", cpu, for_ever}, {"two", cpu, crash}};

	(void)state;
	alarm(20);
	for (int i = 0; i < 3; i++)
		assert_int_equal(run(failing[i], NULL, &scenario), -EBADMSG);
	assert_int_equal(run(crashing, NULL, &scenario), -ECHILD);
	alarm(0);
	assert_int_equal(scenario.process_count, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_pair__threads_share_a_process_that_is_not_ours(void **state)
{
	struct shared *shared = bench_shared_alloc(sizeof(*shared));
	struct bench_scenario scenario = {.name = "x"};
	const uint32_t cpu = first_cpu();
	const struct bench_side sides[2] = {{"one", cpu, meet}, {"two", cpu, meet}};
	struct sluice_diag diag;
	int32_t process;

	(void)state;
	assert_int_equal(bench_threads_run(sides, 2, shared, &scenario, &diag), 0);
	/* relaxed, all: both have ended */
	process = atomic_load_explicit(&shared->process[0], memory_order_relaxed);
	assert_int_equal(process, atomic_load_explicit(&shared->process[1], memory_order_relaxed));
	assert_int_not_equal(process, getpid());
	for (int i = 0; i < 2; i++)
		assert_int_equal(atomic_load_explicit(&shared->saw[i], memory_order_relaxed), 1);
	assert_int_equal(scenario.process_count, 2);
	assert_int_equal(scenario.processes[1].elsewhere, 0);
	bench_shared_free(shared, sizeof(*shared));
}

static void test_pair__an_error_of_a_thread_ends_the_others(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	const uint32_t cpu = first_cpu();
	const struct bench_side sides[3] = {
		{"one", cpu, for_ever}, {"two", cpu, arrive}, {"three", cpu, refuse}};
	struct sluice_diag diag;

	(void)state;
	alarm(20);
	assert_int_equal(bench_threads_run(sides, 3, NULL, &scenario, &diag), -EBADMSG);
	assert_int_equal(bench_pair_run(sides, 3, NULL, &scenario, &diag), -EBADMSG);
	alarm(0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_pair__a_cpu_that_is_none(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	const struct bench_side sides[2] = {{"one", 4000, arrive}, {"two", first_cpu(), arrive}};

	(void)state;
	assert_int_equal(run(sides, NULL, &scenario), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair__starts_together_and_proves_it_stayed),
		cmocka_unit_test(test_pair__one_side_alone),
		cmocka_unit_test(test_pair__an_error_ends_the_other),
		cmocka_unit_test(test_pair__threads_share_a_process_that_is_not_ours),
		cmocka_unit_test(test_pair__an_error_of_a_thread_ends_the_others),
		cmocka_unit_test(test_pair__a_cpu_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
