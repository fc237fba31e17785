/* SPDX-License-Identifier: MIT */
/*
 * test_wal_io.c - the real backends under real prohibitions: io_uring forbidden by seccomp, no
 * memory to lock, few descriptors, a storm of signals. Each runs in a child; exit codes say what
 * failed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/clock.h"
#include "tests/lib/sys_fault.h"
#include "tests/lib/wal_disk.h"

#define NOBODY 65534u

static void setup_in(struct wal_fixture *fixture)
{
	wal_fixture_make(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_AUTO;
}

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	setup_in(fixture);
	*state = fixture;
	return 0;
}

/* A life of 20 blocks; 0, or the number of the step that went wrong. */
static int live(struct wal_fixture *fixture, const char *text, const char *more)
{
	struct sluice_wal *wal = NULL;

	if (wal_fixture_open(fixture, &wal) || wal_fixture_start_wal(fixture, wal))
		return 10;
	if (!strstr(sluice_wal_backend_text(wal), text) ||
	    !strstr(sluice_wal_backend_text(wal), more)) {
		fprintf(stderr, "backend: %s\n", sluice_wal_backend_text(wal));
		return 11;
	}
	for (uint32_t i = 0; i < 20; i++)
		if (wal_fixture_block(wal, 1 + i * 17))
			return 12;
	if (wal_fixture_settle(wal) || sluice_wal_durable_cmd_seq(wal) != 20 + 17 * 190)
		return 13;
	return sluice_wal_close(wal, true, NULL) ? 14 : 0;
}

static void assert_lived(struct wal_fixture *fixture)
{
	fixture->options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	assert_int_equal(wal_fixture_count(fixture, NULL), 20 + 17 * 190);
}

static bool uring_allowed(struct wal_fixture *fixture)
{
	struct sluice_wal_io *io;

	if (sluice_wal_io_uring_create(&io, fixture->dir, &fixture->diag))
		return false;
	io->ops->close(io);
	return true;
}

static int plain_life(struct wal_fixture *fixture)
{
	return live(fixture, "io_uring", "");
}

static void test_wal_io__uring_is_the_first_choice(void **state)
{
	if (!uring_allowed(*state)) {
		print_message("skip: test_wal_io__uring_is_the_first_choice: %s\n",
			      ((struct wal_fixture *)*state)->diag.text);
		skip();
	}
	assert_int_equal(wal_disk_in_child(plain_life, *state), 0);
	assert_lived(*state);
}

/* What a container's profile does: io_uring_setup answers EPERM. */
static bool forbid_uring(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int forbidden_life(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = NULL;

	if (!forbid_uring())
		return 1;
	fixture->options.backend = SLUICE_WAL_BACKEND_URING;
	if (wal_fixture_open(fixture, &wal) != -EPERM || !strstr(fixture->diag.text, "io_uring"))
		return 2;
	fixture->options.backend = SLUICE_WAL_BACKEND_AUTO;
	return live(fixture, "blocking pwritev2 (io_uring is not available",
		    "Operation not permitted");
}

static void test_wal_io__forbidden_uring_falls_back_and_says_why(void **state)
{
	assert_int_equal(wal_disk_in_child(forbidden_life, *state), 0);
	assert_lived(*state);
}

static bool limit_memlock(rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};

	return !setrlimit(RLIMIT_MEMLOCK, &limit) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY);
}

/* Enough for a ring, not for the 2 MiB of block buffers. */
static int unlockable_life(struct wal_fixture *fixture)
{
	return limit_memlock(256 * 1024) ? live(fixture, "; plain buffers", "RLIMIT_MEMLOCK") : 1;
}

/* Nothing: newer kernels refuse even the ring, older ones only the buffers. */
static int ringless_life(struct wal_fixture *fixture)
{
	return limit_memlock(0) ? live(fixture, "", "RLIMIT_MEMLOCK") : 1;
}

static void give_away(struct wal_fixture *fixture)
{
	char path[320];

	assert_int_equal(chown(fixture->dir, NOBODY, NOBODY), 0);
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		wal_fixture_path(fixture, file, path);
		assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	}
}

static void test_wal_io__without_lockable_memory_writes_are_plain(void **state)
{
	if (geteuid() != 0 || !uring_allowed(*state)) {
		print_message("skip: test_wal_io__without_lockable_memory_writes_are_plain: needs "
			      "root and io_uring\n");
		skip();
	}
	give_away(*state);
	assert_int_equal(wal_disk_in_child(unlockable_life, *state), 0);
	assert_lived(*state);
	wal_fixture_remove(*state);
	setup_in(*state);
	give_away(*state);
	assert_int_equal(wal_disk_in_child(ringless_life, *state), 0);
	assert_lived(*state);
}

static int crowded_life(struct wal_fixture *fixture)
{
	struct rlimit limit = {12, 12};
	struct sluice_wal *wal = NULL;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	return wal_fixture_open(fixture, &wal) == -EMFILE && strstr(fixture->diag.text, "wal-") &&
			       strstr(fixture->diag.hint, "ulimit -n") ?
		       0 :
		       2;
}

static void test_wal_io__too_few_descriptors_are_an_error_with_a_name(void **state)
{
	assert_int_equal(wal_disk_in_child(crowded_life, *state), 0);
}

static void ignore(int signal_number)
{
	(void)signal_number;
}

static int stormy_life(struct wal_fixture *fixture)
{
	struct sigaction action = {.sa_handler = ignore};
	struct itimerval storm = {{0, 100}, {0, 100}};

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &storm, NULL))
		return 1;
	return live(fixture, "", "");
}

static void test_wal_io__a_storm_of_signals_changes_nothing(void **state)
{
	struct wal_fixture *fixture = *state;

	assert_int_equal(wal_disk_in_child(stormy_life, fixture), 0);
	assert_lived(fixture);
	wal_fixture_remove(fixture);
	wal_fixture_make(fixture); /* blocking */
	assert_int_equal(wal_disk_in_child(stormy_life, fixture), 0);
	assert_lived(fixture);
}

/* Nothing in flight: back at once. Something held: back after the time given, with nothing. */
static void test_wal_io__wait_is_bounded(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	uint64_t start_ns = sluice_clock_ns();
	struct sluice_wal_io_done done;
	struct sluice_wal_io *io;

	assert_int_equal(sluice_wal_wait(wal, 60000000000u), 0);
	assert_true(sluice_clock_ns() - start_ns < 10000000000u);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	if (sluice_wal_io_uring_create(&io, fixture->dir, NULL))
		return;
	start_ns = sluice_clock_ns();
	assert_int_equal(io->ops->reap(io, &done, 1, 20000000), 0);
	assert_true(sluice_clock_ns() - start_ns >= 19000000);
	io->ops->close(io);
}

/* Not one byte more, for any of them. */
static int refused_memory(struct wal_fixture *fixture)
{
	struct sluice_wal_io *io;

	for (uint32_t i = SLUICE_WAL_BACKEND_URING; i <= SLUICE_WAL_BACKEND_THREAD; i++) {
		fixture->diag.text[0] = '\0';
		if (sluice_wal_io_create(&io, fixture->dir, i, &fixture->diag) != -ENOMEM ||
		    !strstr(fixture->diag.text, "no memory for the"))
			return 2;
	}
	return 0;
}

static int no_memory(struct wal_fixture *fixture)
{
	struct rlimit before, none;
	int ret;

	if (getrlimit(RLIMIT_AS, &before))
		return 1;
	none = (struct rlimit){1, before.rlim_max};
	if (setrlimit(RLIMIT_AS, &none))
		return 1;
	for (size_t bytes = 1u << 20; bytes > 8; bytes /= 2)
		while (malloc(bytes))
			;
	ret = refused_memory(fixture);
	setrlimit(RLIMIT_AS, &before);
	return ret;
}

static void test_wal_io__without_memory_there_is_no_backend(void **state)
{
	if (sys_fault_is_sanitizers(SYS_mmap)) {
		print_message("skip: %s: a sanitizer needs memory of its own\n", __func__);
		skip();
	}
	assert_int_equal(wal_disk_in_child(no_memory, *state), 0);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_io__uring_is_the_first_choice),
		with_log(test_wal_io__forbidden_uring_falls_back_and_says_why),
		with_log(test_wal_io__without_lockable_memory_writes_are_plain),
		with_log(test_wal_io__too_few_descriptors_are_an_error_with_a_name),
		with_log(test_wal_io__a_storm_of_signals_changes_nothing),
		with_log(test_wal_io__wait_is_bounded),
		with_log(test_wal_io__without_memory_there_is_no_backend),
	};

	return cmocka_run_group_tests_name("wal_io", tests, NULL, NULL);
}
