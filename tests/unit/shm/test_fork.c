/* SPDX-License-Identifier: MIT */
/* What a child of fork() has of its parent's attachments: nothing that passes for a life. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "tests/unit/shm/identity_fixture.h"

/* A child of fork() that lives on, with its parent's handle. */
static void hold_and_fork(void *arg)
{
	int *ends = arg;
	char byte;

	hold();
	if (fork())
		return;
	close(ends[1]);
	check(read(ends[0], &byte, 1) == 0);
	_exit(0);
}

static void test_fork__forked_child_keeps_no_byte(void **state)
{
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fixture_start(hold_and_fork, ends);
	assert_true(pid > 0);
	assert_int_equal(sluice_liveness_probe(&watched, BYTE), 1);
	fixture_kill(pid);
	assert_true(freed_within_ms(BYTE, 2000));
	close(ends[1]);
	close(ends[0]);
}

/* The copy of a handle in a child is good for one thing: being closed. */
static void use_copy(void *arg)
{
	struct sluice_segment fresh;
	const int lock_fd = mine.lock_fd;
	int fd;

	(void)arg;
	check(sluice_liveness_hold(&mine, 0) == -EBADF);
	check(sluice_liveness_release(&mine, BYTE) == -EBADF);
	check(sluice_liveness_probe(&mine, BYTE) == 1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && fd != lock_fd && fd != mine.fd);
	sluice_segment_close(&mine);
	check(fcntl(fd, F_GETFD) >= 0);
	check(fcntl(lock_fd, F_GETFD) < 0);
	check(!sluice_segment_attach(&fresh, NAME, SLUICE_ACCESS_WRITE, NULL));
	check(sluice_liveness_probe(&fresh, BYTE) == 1);
	check(sluice_liveness_hold(&fresh, BYTE) == -EAGAIN);
	check(!sluice_liveness_hold(&fresh, 0));
	sluice_segment_close(&fresh);
}

static void test_fork__child_closes_its_copy_and_attaches_anew(void **state)
{
	(void)state;
	assert_int_equal(sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_WRITE, NULL), 0);
	assert_int_equal(sluice_liveness_hold(&mine, BYTE), 0);
	assert_int_equal(fixture_run(use_copy, NULL), 0);
	assert_int_equal(sluice_liveness_probe(&watched, BYTE), 1);
	assert_int_equal(sluice_liveness_hold(&watched, BYTE), -EAGAIN);
	sluice_segment_close(&mine);
	assert_int_equal(sluice_liveness_probe(&watched, BYTE), 0);
}

/* What lies where the parent's mapping was is the child's own. */
static void close_over_own_mapping(void *arg)
{
	char *own = mmap(mine.base, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	(void)arg;
	check(own != MAP_FAILED);
	*own = 7;
	sluice_segment_close(&mine);
	check(*own == 7);
}

static void test_fork__close_in_a_child_unmaps_nothing(void **state)
{
	(void)state;
#if defined(__SANITIZE_THREAD__)
	skip_if(true, "ThreadSanitizer maps memory of its own into the child");
#endif
	assert_int_equal(sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_WRITE, NULL), 0);
	assert_int_equal(fixture_run(close_over_own_mapping, NULL), 0);
	sluice_segment_close(&mine);
}

static void read_in_child(void *arg)
{
	(void)arg;
	check(mine.base[0] == 0xff);
	check(sluice_liveness_probe(&mine, SLUICE_LOCK_ATTACHED) == 1);
	sluice_segment_close(&mine);
}

static void test_fork__reader_goes_on_in_a_child(void **state)
{
	(void)state;
	assert_int_equal(sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(fixture_run(read_in_child, NULL), 0);
	assert_int_equal(mine.base[0], 0xff);
	sluice_segment_close(&mine);
}

/* exec: the process lives on and the participant is dead. */
static void test_fork__executed_program_has_no_byte(void **state)
{
	const pid_t pid = fork();

	(void)state;
	if (!pid) {
		fixture_default_signals();
		hold();
		execlp("sleep", "sleep", "20", (char *)NULL);
		_exit(1);
	}
	for (int ms = 0; ms < 5000 && sluice_liveness_probe(&watched, SLUICE_LOCK_ATTACHED) == 0;
	     ms++)
		usleep(1000);
	assert_true(freed_within_ms(BYTE, 5000));
	assert_int_equal(kill(pid, 0), 0);
	fixture_kill(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		identity_test(test_fork__forked_child_keeps_no_byte),
		identity_test(test_fork__child_closes_its_copy_and_attaches_anew),
		identity_test(test_fork__close_in_a_child_unmaps_nothing),
		identity_test(test_fork__reader_goes_on_in_a_child),
		identity_test(test_fork__executed_program_has_no_byte),
	};

	return cmocka_run_group_tests_name("fork", tests, fixture_setup, fixture_teardown);
}
