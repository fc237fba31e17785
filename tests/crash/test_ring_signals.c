/* SPDX-License-Identifier: MIT */
/*
 * test_ring_signals.c - producers that are stopped, traced, starved, killed, dumped, or simply end,
 * with a claim in hand or without. STOP_SECONDS=n for a longer stop than 2 s.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/recovery.h"
#include "tests/crash/ring_scene.h"

#define DUMPED_BYTES (96u << 20)

/* ---------------------------------------------------------------------------------- children */

/* A producer that claims two slots, does `act` in between, and then publishes them. */
static pid_t start_claimer(void (*act)(void))
{
	const pid_t pid = fork();
	struct sluice_segment mine;
	struct sluice_producer producer;
	uint64_t first;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(segment.lock_fd);
	if (sluice_segment_attach(&mine, RING_NAME, SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_producer_open(&producer, &mine, NULL, NULL) ||
	    sluice_producer_try_claim(&producer, 2, &first))
		_exit(2);
	fill(&producer, first, 1);
	act();
	fill(&producer, first + 1, 1);
	sluice_producer_publish_range(&producer, first, first + 1);
	sluice_producer_close(&producer);
	_exit(0);
}

static void act_stop(void)
{
	raise(SIGSTOP);
}

static void act_exit(void)
{
	exit(0);
}

static void act_exec(void)
{
	execl("/bin/sleep", "sleep", "30", (char *)NULL);
	_exit(3);
}

static void act_wait(void)
{
	usleep(300000);
}

/* A core that takes a while to write, into a directory that is removed afterwards. */
static void act_dump(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	char *much = mmap(NULL, DUMPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (much == MAP_FAILED)
		_exit(3);
	for (size_t i = 0; i < DUMPED_BYTES; i += 4096)
		much[i] = (char)(i >> 12);
	setrlimit(RLIMIT_CORE, &all);
	signal(SIGSEGV, SIG_DFL);
	if (chdir(getenv("SLUICE_SHM_DIR")))
		_exit(3);
	raise(SIGSEGV);
}

static void await_stop(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* Until the word is not what it was; within ten seconds. */
static bool await_change(const _Atomic uint64_t *word, uint64_t from)
{
	const uint64_t end_ns = sluice_clock_ns() + 10 * S;

	while (atomic_load(word) == from && sluice_clock_ns() < end_ns)
		usleep(1000);
	return atomic_load(word) != from;
}

/* A claimer lives and does not go on: the line waits for it, however long. */
static void assert_waits_for(uint64_t ns)
{
	const uint64_t end_ns = sluice_clock_ns() + ns;
	uint64_t n;

	publish_one();
	while (sluice_clock_ns() < end_ns) {
		assert_int_equal(sluice_consumer_wait(&consumer, 1, 50 * MS, &n), -ETIMEDOUT);
		assert_true(sluice_recover(&segment) <= 0);
	}
	assert_int_equal(tombstones(), 0);
}

/* ------------------------------------------------------------------------------ stopped, slow */

static void test_ring_signals__stopped_inside_a_claim(void **state)
{
	const char *text = getenv("STOP_SECONDS");
	const uint64_t seconds = text ? strtoull(text, NULL, 10) : 2;
	const uint64_t began_ns = sluice_clock_ns();
	pid_t pid;
	uint64_t since;

	(void)state;
	ring_open();
	pid = start_claimer(act_stop);
	await_stop(pid);
	assert_waits_for(seconds * S);
	/* the alarm that tools show */
	since = atomic_load(&consumer.self->stalled_ns);
	assert_true(since >= began_ns && since < sluice_clock_ns() - seconds * S / 2);
	kill(pid, SIGCONT);
	assert_reads(0, 3);
	assert_int_equal(child_wait(pid, 10), 0);
	assert_int_equal(atomic_load(&consumer.self->stalled_ns), 0);
	ring_end();
}

/* Does `sluice stat` say that the line stands, and who holds it? */
static bool stat_says(pid_t pid, const char *bin)
{
	char command[512], line[512], who[32];
	bool ok = false;
	FILE *stat;

	snprintf(command, sizeof(command), "%s/sluice stat -n signals --once 2>&1", bin);
	snprintf(who, sizeof(who), "%d", (int)pid);
	stat = popen(command, "r");
	if (!stat)
		return false;
	while (fgets(line, sizeof(line), stat)) {
		print_message("  %s", line);
		ok = ok || (strstr(line, "STALLED") && strstr(line, who));
	}
	pclose(stat);
	return ok;
}

static void test_ring_signals__stat_shows_who_is_stopped(void **state)
{
	const char *bin = getenv("SLUICE_BIN");
	pid_t pid;

	(void)state;
	if (!bin)
		bin = "build/release/bin"; /* of one that is run by hand */
	ring_open();
	pid = start_claimer(act_stop);
	await_stop(pid);
	assert_waits_for(1500 * MS);
	assert_true(stat_says(pid, bin));
	kill(pid, SIGCONT);
	assert_reads(0, 3);
	assert_int_equal(child_wait(pid, 10), 0);
	ring_end();
}

static void test_ring_signals__stopped_then_killed(void **state)
{
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_claimer(act_stop);
	await_stop(pid);
	assert_waits_for(100 * MS);
	child_kill(pid);
	assert_reads(2, 1);
	ring_end();
}

static void test_ring_signals__traced_inside_a_claim(void **state)
{
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_claimer(act_wait);
	assert_true(await_change(&segment.control->claim, 0));
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0)) {
		child_kill(pid);
		ring_end();
		printf("skip: test_ring_signals__traced_inside_a_claim: ptrace is refused\n");
		skip();
	}
	await_stop(pid);
	assert_waits_for(500 * MS);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	assert_reads(0, 3);
	assert_int_equal(child_wait(pid, 10), 0);
	ring_end();
}

/* On the claimer's only CPU, ahead of everything else. */
static pid_t start_spinner(pid_t victim, uint64_t ns)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t one;
	pid_t pid;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(victim, sizeof(one), &one);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sched_setaffinity(0, sizeof(one), &one);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		_exit(77);
	for (const uint64_t end_ns = sluice_clock_ns() + ns; sluice_clock_ns() < end_ns;)
		;
	_exit(0);
}

static void test_ring_signals__starved_inside_a_claim(void **state)
{
	pid_t pid, spinner;
	int spun;

	(void)state;
	ring_open();
	pid = start_claimer(act_stop);
	await_stop(pid);
	spinner = start_spinner(pid, 300 * MS);
	kill(pid, SIGCONT);
	publish_one();
	assert_reads(0, 3);
	spun = child_wait(spinner, 10);
	assert_int_equal(child_wait(pid, 10), 0);
	assert_int_equal(tombstones(), 0);
	ring_end();
	if (spun == 77) {
		printf("skip: test_ring_signals__starved_inside_a_claim: SCHED_FIFO is refused\n");
		skip();
	}
	assert_int_equal(spun, 0);
}

/* --------------------------------------------------------------------------------------- ended */

/* Dead, and not reaped yet: a zombie stores nothing any more. */
static void await_zombie(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void test_ring_signals__exit_with_a_claim(void **state)
{
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_claimer(act_exit);
	await_zombie(pid);
	publish_one();
	assert_reads(2, 1);
	assert_int_equal(child_wait(pid, 10), 0);
	ring_end();
}

/* The process lives on as another program, whose memory cannot be the ring's. */
static void test_ring_signals__exec_with_a_claim(void **state)
{
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_claimer(act_exec);
	assert_true(await_change(&segment.control->claim, 0));
	publish_one();
	assert_reads(2, 1);
	assert_int_equal(kill(pid, 0), 0);
	child_kill(pid);
	ring_end();
}

/* While the core is written the byte is held, so nothing is buried; then it is. */
static void test_ring_signals__core_dump_with_a_claim(void **state)
{
	siginfo_t info = {0};
	uint32_t entry = 0;
	uint64_t looks = 0;
	pid_t pid;
	int status;

	(void)state;
	ring_open();
	pid = start_claimer(act_dump);
	assert_true(await_change(&segment.control->claim, 0));
	while (segment.participants[entry].role != SLUICE_ROLE_PRODUCER)
		entry++;
	do {
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG), 0);
		assert_true(sluice_recover(&segment) >= -EAGAIN);
		/* held after the recovery, so held throughout it */
		if (sluice_liveness_probe(&segment, entry) == 1)
			assert_int_equal(tombstones(), 0);
		looks += info.si_pid == 0;
		if (!info.si_pid)
			usleep(2000);
	} while (!info.si_pid);
	publish_one();
	assert_reads(2, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	print_message("core dumped: %s, %llu looks while it died\n",
		      WCOREDUMP(status) ? "yes" : "no", (unsigned long long)looks);
	ring_end();
}

struct thread_claim {
	struct sluice_producer *producer;
	bool is_cancelled;
};

static void *claim_and_end(void *arg)
{
	struct thread_claim *claim = arg;
	uint64_t first;

	if (sluice_producer_try_claim(claim->producer, 3, &first))
		return NULL;
	fill(claim->producer, first, 1);
	sluice_producer_publish(claim->producer, first);
	if (claim->is_cancelled)
		for (;;)
			pause();
	pthread_exit(NULL);
}

/* No lock byte tells of it: the process lives. */
static void thread_ends(bool is_cancelled)
{
	struct sluice_producer producer;
	struct thread_claim claim = {&producer, is_cancelled};
	pthread_t thread;

	ring_open();
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, claim_and_end, &claim), 0);
	if (is_cancelled) {
		assert_true(await_change(&segment.control->claim, 0));
		usleep(20000);
		pthread_cancel(thread);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_reads(0, 1);
	assert_reads(2, 0);
	/* the handle is as good as new */
	sluice_producer_abort(&producer);
	assert_int_equal(ring_publish(&producer, SLOTS), 0);
	assert_reads(0, SLOTS);
	sluice_producer_close(&producer);
	ring_end();
}

static void test_ring_signals__thread_exits_with_a_claim(void **state)
{
	(void)state;
	thread_ends(false);
}

static void test_ring_signals__thread_is_cancelled_with_a_claim(void **state)
{
	(void)state;
	thread_ends(true);
}

/* ------------------------------------------------------------------------------ a full ring */

/* Fills the ring and waits for space. */
static pid_t start_filler(void)
{
	const pid_t pid = fork();
	struct sluice_segment mine;
	struct sluice_producer producer;
	uint64_t first;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(segment.lock_fd);
	if (sluice_segment_attach(&mine, RING_NAME, SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_producer_open(&producer, &mine, NULL, NULL) || ring_publish(&producer, SLOTS))
		_exit(2);
	sluice_producer_claim(&producer, 2, SLUICE_WAIT_FOREVER, &first);
	_exit(3);
}

static void test_ring_signals__death_with_a_full_ring(void **state)
{
	pid_t pid;
	uint32_t entry = 0;

	(void)state;
	ring_open();
	pid = start_filler();
	while (segment.participants[entry].role != SLUICE_ROLE_PRODUCER)
		entry = (entry + 1) % segment.header.participant_count;
	assert_true(await_change(&segment.participants[entry].full_waits, 0));
	usleep(20000);
	assert_int_equal(atomic_load(&segment.participants[entry].claim_record), SLUICE_CLAIM_IDLE);
	assert_int_equal(atomic_load(&segment.control->claim), SLOTS);
	child_kill(pid);
	assert_reads(0, SLOTS);
	publish_one();
	assert_reads(0, 1);
	assert_int_equal(tombstones(), 0);
	ring_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_signals__stopped_inside_a_claim),
		cmocka_unit_test(test_ring_signals__stat_shows_who_is_stopped),
		cmocka_unit_test(test_ring_signals__stopped_then_killed),
		cmocka_unit_test(test_ring_signals__traced_inside_a_claim),
		cmocka_unit_test(test_ring_signals__starved_inside_a_claim),
		cmocka_unit_test(test_ring_signals__exit_with_a_claim),
		cmocka_unit_test(test_ring_signals__exec_with_a_claim),
		cmocka_unit_test(test_ring_signals__core_dump_with_a_claim),
		cmocka_unit_test(test_ring_signals__thread_exits_with_a_claim),
		cmocka_unit_test(test_ring_signals__thread_is_cancelled_with_a_claim),
		cmocka_unit_test(test_ring_signals__death_with_a_full_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
