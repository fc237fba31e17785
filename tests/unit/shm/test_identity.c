/* SPDX-License-Identifier: MIT */
/*
 * Who is alive, when process ids, namespaces, zombies and leftovers try to confuse it. Real
 * processes; what the machine does not allow is skipped by name.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/participant.h"
#include "shm/proc.h"
#include "tests/unit/shm/identity_fixture.h"

/* ------------------------------------------------------------------------------- leftovers */

static void hold_and_hang(void *arg)
{
	(void)arg;
	hold();
}

static void test_identity__file_that_nobody_locks_means_nobody(void **state)
{
	pid_t pid = fixture_start(hold_and_hang, NULL);
	char path[256];
	struct sluice_segment segment;
	const struct sluice_segment_options options = fixture_options("stale");

	(void)state;
	fixture_kill(pid);
	assert_int_equal(access(watched.lock_path, F_OK), 0);
	assert_int_equal(sluice_liveness_probe(&watched, BYTE), 0);
	pid = fixture_start(hold_and_hang, NULL);
	assert_true(pid > 0);
	fixture_kill(pid);
	/* and without a segment it stops nobody from making one */
	fixture_path(path, "stale.lk");
	assert_return_code(close(open(path, O_CREAT | O_WRONLY, 0600)), errno);
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	sluice_segment_close(&segment);
}

static void test_identity__unreaped_parent_does_not_matter(void **state)
{
	const pid_t pid = fixture_start(hold_and_hang, NULL);
	uint64_t ticks;
	siginfo_t info;

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(sluice_proc_start_ticks(pid, &ticks), 0);
	assert_int_equal(sluice_liveness_probe(&watched, BYTE), 0);
	waitpid(pid, NULL, 0);
}

/* ------------------------------------------------------------------------------ namespaces */

static void join_as(const char *name, uint32_t *ret_index)
{
	const struct sluice_participant_options options = {.name = name,
							   .role = SLUICE_ROLE_CONSUMER,
							   .policy = SLUICE_POLICY_EVICTABLE};

	check(!sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_WRITE, NULL));
	check(!sluice_participant_join(&mine, &options, ret_index, NULL, NULL));
}

static bool write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

static void tell(int fd)
{
	check(write(fd, "r", 1) == 1);
}

/* Init of a pid namespace: a participant dies, and an innocent process gets its pid. */
static void reuse_pid(void)
{
	int ready[2];
	uint32_t index;
	char text[16];
	pid_t first, second;

	check(!pipe(ready));
	first = fork();
	if (!first) {
		join_as("mortal", &index);
		tell(ready[1]);
		for (;;)
			pause();
	}
	check(read(ready[0], text, 1) == 1);
	check(sluice_liveness_probe(&watched, 0) == 1);
	fixture_kill(first);
	usleep(30000); /* another start tick */
	snprintf(text, sizeof(text), "%d", (int)first - 1);
	if (!write_text("/proc/sys/kernel/ns_last_pid", text))
		_exit(FIXTURE_SKIP);
	second = fork();
	if (!second)
		for (;;)
			pause();
	check(second == first);
	check(watched.participants[0].pid == (uint32_t)second);
	check(sluice_liveness_probe(&watched, 0) == 0);
	join_as("newcomer", &index);
	check(index == 0);
	fixture_kill(second);
}

/* The parent's mapping of `watched` is not the child's. */
static void watch_in_child(void)
{
	check(!sluice_segment_attach(&watched, NAME, SLUICE_ACCESS_READ, NULL));
}

static void in_pid_namespace(void *arg)
{
	void (*const *body)(void) = arg;
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		_exit(FIXTURE_SKIP);
	pid = fork();
	if (!pid) {
		watch_in_child();
		(*body)();
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void test_identity__reused_pid_is_not_the_dead_one(void **state)
{
	void (*body)(void) = reuse_pid;
	const int code = fixture_run(in_pid_namespace, &body);

	(void)state;
	skip_if(code == FIXTURE_SKIP, "no pid namespace, or ns_last_pid cannot be written");
	assert_int_equal(code, 0);
}

static void hold_as_init(void)
{
	uint32_t index;

	check(getpid() == 1);
	join_as("init", &index);
	check(mine.participants[index].pid == 1);
	check(sluice_liveness_hold(&mine, 3) == 0);
	for (;;)
		pause();
}

static void unshare_pid(void *arg)
{
	(void)arg;
	check(!unshare(CLONE_NEWPID));
}

/* In a time namespace a day ahead; its processes are its children. */
static void unshare_time(void *arg)
{
	(void)arg;
	check(!unshare(CLONE_NEWTIME));
	check(write_text("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 86400 0\n"));
}

static void unshare_user(void *arg)
{
	(void)arg;
	check(!unshare(CLONE_NEWUSER));
}

struct apart {
	void (*leave)(void *arg);
	int ready;
	uint32_t index;
};

/* Field 22 of our own, whatever our pid is called where /proc was mounted. */
static uint64_t own_start_ticks(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char text[1024] = "";
	char *at;

	check(file && fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	check(at);
	return strtoull(at + 1, NULL, 10);
}

static void hold_apart(const struct apart *apart)
{
	const pid_t leader = getpid();
	uint32_t index;
	pid_t pid;

	apart->leave(NULL);
	pid = fork();
	if (pid) {
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check(getppid() == leader || getppid() == 0);
	join_as("apart", &index);
	check(mine.participants[index].start_ticks == own_start_ticks());
	tell(apart->ready);
	for (;;)
		pause();
}

/* 0: ready; the process that holds is a child of *ret_leader, and dies with it. */
static int start_apart(void (*leave)(void *arg), pid_t *ret_leader)
{
	struct apart apart = {.leave = leave};
	int ready[2];
	char byte;
	ssize_t got;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	apart.ready = ready[1];
	fflush(NULL);
	*ret_leader = fork();
	if (!*ret_leader) {
		fixture_default_signals();
		hold_apart(&apart);
	}
	close(ready[1]);
	got = read(ready[0], &byte, 1);
	close(ready[0]);
	return got == 1 ? 0 : -1;
}

static void check_apart(void (*leave)(void *arg), enum sluice_process seen)
{
	const struct sluice_participant *entry = &watched.participants[0];
	pid_t leader = 0;
	int status;

	assert_int_equal(start_apart(leave, &leader), 0);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 1);
	/* what the numbers in the entry mean here is not known, or known to be the same */
	assert_int_equal(sluice_proc_look((pid_t)entry->pid, entry->start_ticks, entry->pidns),
			 seen);
	kill(leader, SIGSTOP);
	waitpid(leader, &status, WUNTRACED);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 1);
	fixture_kill(leader);
	assert_true(freed_within_ms(0, 2000));
}

static bool allows(void (*leave)(void *arg))
{
	return fixture_run(leave, NULL) == 0;
}

static void test_identity__other_pid_namespace(void **state)
{
	(void)state;
	skip_if(!allows(unshare_pid), "no pid namespaces here");
	check_apart(unshare_pid, SLUICE_PROCESS_UNKNOWN);
}

static void test_identity__init_of_a_namespace_is_not_ours(void **state)
{
	void (*body)(void) = hold_as_init;
	pid_t pid;

	(void)state;
	skip_if(!allows(unshare_pid), "no pid namespaces here");
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fixture_default_signals();
		in_pid_namespace(&body);
	}
	for (int ms = 0; ms < 5000 && sluice_liveness_probe(&watched, 3) != 1; ms++)
		usleep(1000);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 1);
	assert_int_equal(watched.participants[0].pid, 1);
	/* pid 1 lives here, too, and has nothing to do with it */
	assert_int_equal(sluice_proc_look(1, watched.participants[0].start_ticks,
					  watched.participants[0].pidns),
			 SLUICE_PROCESS_UNKNOWN);
	/* its namespace's init is killed with its only parent's help */
	{
		char path[64];
		FILE *children;
		int init = 0;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
		children = fopen(path, "re");
		if (children && fscanf(children, "%d", &init) != 1)
			init = 0;
		if (children)
			fclose(children);
		if (init > 0)
			kill(init, SIGKILL);
		fixture_kill(pid);
		skip_if(init <= 0, "/proc/PID/task/TID/children is not to be had");
	}
	assert_true(freed_within_ms(0, 2000));
}

static void test_identity__other_time_namespace(void **state)
{
	(void)state;
	skip_if(!allows(unshare_time), "no time namespaces here");
	check_apart(unshare_time, SLUICE_PROCESS_UNKNOWN);
}

static void test_identity__other_user_namespace(void **state)
{
	(void)state;
	skip_if(!allows(unshare_user), "no user namespaces here");
	check_apart(unshare_user, SLUICE_PROCESS_RUNS);
}

static void test_identity__process_is_looked_at_by_pid_and_start(void **state)
{
	const pid_t pid = fixture_start(hold_and_hang, NULL);
	uint64_t ticks, pidns;
	int status;

	(void)state;
	assert_int_equal(sluice_proc_start_ticks(pid, &ticks), 0);
	assert_int_equal(sluice_proc_pid_namespace(&pidns), 0);
	assert_int_equal(sluice_proc_look(pid, ticks, pidns), SLUICE_PROCESS_RUNS);
	assert_int_equal(sluice_proc_look(pid, ticks + 1, pidns), SLUICE_PROCESS_GONE);
	assert_int_equal(sluice_proc_look(pid, 0, pidns), SLUICE_PROCESS_UNKNOWN);
	assert_int_equal(sluice_proc_look(pid, ticks, pidns + 1), SLUICE_PROCESS_UNKNOWN);
	assert_int_equal(sluice_proc_look(0, ticks, pidns), SLUICE_PROCESS_UNKNOWN);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	assert_int_equal(sluice_proc_look(pid, ticks, pidns), SLUICE_PROCESS_STOPPED);
	fixture_kill(pid);
	assert_int_equal(sluice_proc_look(pid, ticks, pidns), SLUICE_PROCESS_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		identity_test(test_identity__file_that_nobody_locks_means_nobody),
		identity_test(test_identity__unreaped_parent_does_not_matter),
		identity_test(test_identity__reused_pid_is_not_the_dead_one),
		identity_test(test_identity__other_pid_namespace),
		identity_test(test_identity__init_of_a_namespace_is_not_ours),
		identity_test(test_identity__other_time_namespace),
		identity_test(test_identity__other_user_namespace),
		identity_test(test_identity__process_is_looked_at_by_pid_and_start),
	};

	return cmocka_run_group_tests_name("identity", tests, fixture_setup, fixture_teardown);
}
