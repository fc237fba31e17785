/* SPDX-License-Identifier: MIT */
/*
 * test_wal_io_enter.c - the rarer answers of io_uring_enter, put there by system call filters and a
 * tracer: interrupted, short of something, refused for ever, half of a pair taken. Each runs in a
 * child whose exit code says what failed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/wal_disk.h"

#define BLOCKS 40u

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_URING;
	*state = fixture;
	return 0;
}

static bool filter_enter(uint32_t action, int *ret_listener)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
	const unsigned long flags = ret_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	long rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return false;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (ret_listener)
		*ret_listener = (int)rc;
	return rc >= 0;
}

static _Atomic int listener = -1;

/* 1000 interruptions, then 150 times short of memory, then 150 times busy; then the real thing. */
static void *answer(void *arg)
{
	struct seccomp_notif question;
	uint32_t n = 0;

	(void)arg;
	while (atomic_load(&listener) < 0)
		usleep(100);
	for (;;) {
		struct seccomp_notif_resp reply;

		memset(&question, 0, sizeof(question));
		/* a call that the kernel took back meanwhile comes again */
		if (ioctl(atomic_load(&listener), SECCOMP_IOCTL_NOTIF_RECV, &question)) {
			if (errno == ENOENT || errno == EINTR)
				continue;
			return NULL;
		}
		reply = (struct seccomp_notif_resp){.id = question.id};
		n++;
		if (n <= 1000)
			reply.error = -EINTR;
		else if (n <= 1300)
			reply.error = n <= 1150 ? -EAGAIN : -EBUSY;
		else
			reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(atomic_load(&listener), SECCOMP_IOCTL_NOTIF_SEND, &reply);
	}
}

static int write_blocks(struct sluice_wal *wal)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		int ret = wal_fixture_block(wal, 30);

		if (ret)
			return ret;
	}
	return wal_fixture_settle(wal);
}

static int refused_at_first(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_wal_stats stats;
	pthread_t thread;
	int fd;

	if (pthread_create(&thread, NULL, answer, NULL))
		return 1;
	if (!filter_enter(SECCOMP_RET_USER_NOTIF, &fd))
		return 77;
	atomic_store(&listener, fd);
	if (write_blocks(wal))
		return 2;
	sluice_wal_stats(wal, &stats);
	if (stats.resubmits) /* the kernel never took a write: none was to be made again */
		return 3;
	return sluice_wal_close(wal, true, NULL) ? 4 : 0;
}

static void test_wal_io_enter__interruptions_and_shortages_pass(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	for (uint32_t sync = SLUICE_WAL_SYNC_DSYNC; sync <= SLUICE_WAL_SYNC_LINK; sync++) {
		int status;

		fixture->options.sync = sync;
		status = wal_disk_in_child(refused_at_first, fixture);
		if (status == 77) {
			print_message("skip: %s: system call filters cannot ask here\n", __func__);
			skip();
		}
		assert_int_equal(status, 0);
		assert_int_equal(wal_fixture_count(fixture, NULL), BLOCKS * 30 * sync);
	}
}

static int refusal; /* of the children below */

/* Never a hang: an error in the end, and the log is halted with it. */
static int refused_for_ever(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);

	if (!filter_enter(SECCOMP_RET_ERRNO | (uint32_t)refusal, NULL))
		return 77;
	if (wal_fixture_block(wal, 30) != -refusal || sluice_wal_error(wal) != -refusal)
		return 2;
	if (!strstr(sluice_wal_error_text(wal), "cannot be submitted"))
		return 3;
	return sluice_wal_close(wal, true, NULL) == -refusal ? 0 : 4;
}

static int refused_to_collect(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);
	int ret = wal_fixture_block(wal, 30);

	if (ret || !filter_enter(SECCOMP_RET_ERRNO | (uint32_t)refusal, NULL))
		return ret ? 1 : 77;
	while (ret >= 0 && sluice_wal_in_flight(wal) > 0)
		ret = sluice_wal_wait(wal, 1000000);
	/* unless the kernel had completed it before */
	return ret == -refusal || (ret >= 0 && sluice_wal_in_flight(wal) == 0) ? 0 : 2;
}

static void test_wal_io_enter__refusals_for_ever_are_an_error(void **state)
{
	static const int refusals[] = {EBUSY, EAGAIN, EBADR, ENXIO};
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		int status;

		refusal = refusals[i];
		fixture->options.sync = i % 2 ? SLUICE_WAL_SYNC_LINK : SLUICE_WAL_SYNC_DSYNC;
		status = wal_disk_in_child(refused_for_ever, fixture);
		if (status == 77) {
			print_message("skip: %s: no system call filters here\n", __func__);
			skip();
		}
		assert_int_equal(status, 0);
		assert_int_equal(wal_disk_in_child(refused_to_collect, fixture), 0);
	}
	refusal = EINTR; /* for ever: bounded too, if late */
	assert_int_equal(wal_disk_in_child(refused_for_ever, fixture), 0);
}

#ifdef __x86_64__
static int traced_life(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_wal_stats stats;

	if (ptrace(PTRACE_TRACEME, 0, 0, 0) || raise(SIGSTOP) ||
	    !filter_enter(SECCOMP_RET_TRACE, NULL))
		return 77;
	if (write_blocks(wal))
		return 2;
	sluice_wal_stats(wal, &stats);
	if (stats.resubmits != 3)
		return 3;
	return sluice_wal_close(wal, true, NULL) ? 4 : 0;
}

/* Lets the kernel see only the first of two entries, three times. Its exit code. */
static int split_pairs(pid_t pid)
{
	struct user_regs_struct regs;
	int status, left = 3;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL))
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	for (;;) {
		if (ptrace(PTRACE_CONT, pid, 0, 0) || waitpid(pid, &status, 0) != pid)
			return -1;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (!WIFSTOPPED(status) || status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
			continue;
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs))
			return -1;
		if (regs.rsi != 2 || left == 0)
			continue;
		left--;
		regs.rsi = 1;
		ptrace(PTRACE_SETREGS, pid, 0, &regs);
	}
}

/* A sync that came apart from its write proves nothing: the block is made again. */
static void test_wal_io_enter__a_pair_taken_in_two_parts_is_made_again(void **state)
{
	struct wal_fixture *fixture = *state;
	int status;
	pid_t pid;

	skip_without_uring(fixture);
	fixture->options.sync = SLUICE_WAL_SYNC_LINK;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(traced_life(fixture));
	status = split_pairs(pid);
	if (status == 77 || status < 0) {
		kill(pid, SIGKILL);
		print_message("skip: %s: nobody may be traced here\n", __func__);
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), BLOCKS * 30);
}
#endif

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_io_enter__interruptions_and_shortages_pass),
		with_log(test_wal_io_enter__refusals_for_ever_are_an_error),
#ifdef __x86_64__
		with_log(test_wal_io_enter__a_pair_taken_in_two_parts_is_made_again),
#endif
	};

	return cmocka_run_group_tests_name("wal_io_enter", tests, NULL, NULL);
}
