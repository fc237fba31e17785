/* SPDX-License-Identifier: MIT */
/* test_signals.c - each case in a child of its own, which answers by its exit code. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/signals.h"

static int run(int (*body)(void))
{
	int status;
	const pid_t child = fork();

	if (child == 0) {
		alarm(5); /* a lost signal must not hang the suite */
		_exit(sluice_signals_install() ? 90 : body());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int no_signal(void)
{
	return sluice_signals_stop() == 0 && sluice_signals_exit(7) == 7 ? 0 : 1;
}

static int first_interrupt(void)
{
	raise(SIGINT);
	return sluice_signals_stop() == SIGINT ? sluice_signals_exit(0) : 1;
}

static int first_terminate(void)
{
	raise(SIGTERM);
	return sluice_signals_stop() == SIGTERM ? sluice_signals_exit(0) : 1;
}

static int interrupt_twice(void)
{
	raise(SIGINT);
	raise(SIGINT);
	return 1;
}

static int terminate_after_interrupt(void)
{
	raise(SIGINT);
	raise(SIGTERM);
	return 1;
}

static int write_to_a_closed_pipe(void)
{
	int ends[2];

	if (pipe(ends))
		return 2;
	close(ends[0]);
	return write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 1;
}

/* A read that went on after the signal would never look at the flag. */
static int read_is_interrupted(void)
{
	const struct timespec short_ns = {.tv_nsec = 50000000};
	const pid_t self = getpid();
	int ends[2];
	char byte;

	if (pipe(ends))
		return 2;

	const pid_t child = fork();

	if (child == 0) {
		nanosleep(&short_ns, NULL);
		kill(self, SIGTERM);
		_exit(0);
	}

	const ssize_t result = read(ends[0], &byte, 1);
	const int error = errno;

	waitpid(child, NULL, 0);
	return result == -1 && error == EINTR && sluice_signals_stop() == SIGTERM ? 0 : 1;
}

static void test_signals__none_keeps_the_code(void **state)
{
	(void)state;
	assert_int_equal(run(no_signal), 0);
}

static void test_signals__the_first_asks_to_stop(void **state)
{
	(void)state;
	assert_int_equal(run(first_interrupt), 128 + SIGINT);
	assert_int_equal(run(first_terminate), 128 + SIGTERM);
}

static void test_signals__the_second_ends_at_once(void **state)
{
	(void)state;
	assert_int_equal(run(interrupt_twice), 128 + SIGINT);
	assert_int_equal(run(terminate_after_interrupt), 128 + SIGTERM);
}

static void test_signals__a_closed_pipe_is_an_error_of_write(void **state)
{
	(void)state;
	assert_int_equal(run(write_to_a_closed_pipe), 0);
}

static void test_signals__blocking_calls_return(void **state)
{
	(void)state;
	assert_int_equal(run(read_is_interrupted), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals__none_keeps_the_code),
		cmocka_unit_test(test_signals__the_first_asks_to_stop),
		cmocka_unit_test(test_signals__the_second_ends_at_once),
		cmocka_unit_test(test_signals__a_closed_pipe_is_an_error_of_write),
		cmocka_unit_test(test_signals__blocking_calls_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
