/* SPDX-License-Identifier: MIT */
/* test_commands.c - the flow of a benchmark: as long as wanted, always the same; ends by signal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/commands.h"
#include "cli/signals.h"

static void test_commands__one_flow_for_all(void **state)
{
	struct sluice_source_options options;
	struct bench_commands one = {0}, two = {0};
	struct sluice_source *source;

	(void)state;
	bench_commands_options(&options, 1000);
	assert_int_equal(bench_commands_load(&one, &options, NULL), 0);
	assert_int_equal(one.count, 1000);
	assert_int_equal(sluice_source_open(&source, &options, NULL), 0);
	assert_int_equal(bench_commands_next(&two, source, 300, NULL), 0);
	assert_int_equal(two.count, 300);
	assert_memory_equal(two.commands, one.commands, 300 * sizeof(*one.commands));
	assert_int_equal(bench_commands_next(&two, source, 5000, NULL), 0);
	assert_int_equal(two.count, 700);
	assert_memory_equal(two.commands, one.commands + 300, 700 * sizeof(*one.commands));
	sluice_source_close(source);
	bench_commands_free(&one);
	bench_commands_free(&two);
}

/* 1 if a signal did not end it with -EINTR. */
static int make_much(void)
{
	struct sluice_source_options options;
	struct bench_commands flow = {0};
	int rc;

	bench_commands_options(&options, 1u << 20);
	if (sluice_signals_install())
		return 1;
	raise(SIGTERM);
	rc = bench_commands_load(&flow, &options, NULL);
	bench_commands_free(&flow);
	return rc != -EINTR;
}

static void test_commands__a_signal_ends_the_making(void **state)
{
	const pid_t child = fork(); /* the flag stays up */
	int status;

	(void)state;
	if (!child)
		_exit(make_much());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands__one_flow_for_all),
		cmocka_unit_test(test_commands__a_signal_ends_the_making),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
