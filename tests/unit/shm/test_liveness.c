/* SPDX-License-Identifier: MIT */
/* Lock bytes: what keeps one, what frees it, who can take it. Real processes, real signals. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/syscall.h>

#include "tests/unit/shm/segment_fixture.h"

static struct sluice_segment watched;

static int setup(void **state)
{
	const struct sluice_segment_options options = fixture_options("live");

	(void)state;
	return sluice_segment_create(&watched, &options, NULL);
}

static int teardown(void **state)
{
	sluice_segment_close(&watched);
	return fixture_clean(state);
}

static struct sluice_segment attach(void)
{
	struct sluice_segment segment;

	assert_int_equal(sluice_segment_attach(&segment, "live", SLUICE_ACCESS_WRITE, NULL), 0);
	return segment;
}

/* Byte `*arg` is held for the life of the process. */
static void hold_byte(void *arg)
{
	static struct sluice_segment segment;

	check(!sluice_segment_attach(&segment, "live", SLUICE_ACCESS_WRITE, NULL));
	check(!sluice_liveness_hold(&segment, *(uint32_t *)arg));
}

/* The kernel frees a killed process's files some time after the signal. */
static bool freed_within_ms(uint32_t index, int ms)
{
	for (; ms > 0; ms--) {
		if (sluice_liveness_probe(&watched, index) == 0)
			return true;
		usleep(1000);
	}
	return false;
}

static void test_liveness__held_by_the_living(void **state)
{
	uint32_t byte = 2;
	const pid_t pid = fixture_start(hold_byte, &byte);

	(void)state;
	assert_true(pid > 0);
	assert_int_equal(sluice_liveness_probe(&watched, 2), 1);
	assert_int_equal(sluice_liveness_probe(&watched, 1), 0);
	assert_int_equal(sluice_liveness_probe(&watched, 3), 0);
	assert_int_equal(sluice_liveness_hold(&watched, 2), -EAGAIN);
	fixture_kill(pid);
	assert_int_equal(sluice_liveness_probe(&watched, 2), 0);
	assert_int_equal(sluice_liveness_hold(&watched, 2), 0);
}

static void test_liveness__stopped_is_alive(void **state)
{
	uint32_t byte = 0;
	const pid_t pid = fixture_start(hold_byte, &byte);
	int status;

	(void)state;
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	usleep(50000);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 1);
	assert_int_equal(sluice_liveness_hold(&watched, 0), -EAGAIN);
	fixture_kill(pid);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 0);
}

static void test_liveness__zombie_is_dead(void **state)
{
	uint32_t byte = 1;
	const pid_t pid = fixture_start(hold_byte, &byte);
	siginfo_t info;

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(sluice_liveness_probe(&watched, 1), 0);
	waitpid(pid, NULL, 0);
}

static void test_liveness__own_bytes_show_as_held(void **state)
{
	(void)state;
	assert_int_equal(sluice_liveness_hold(&watched, 3), 0);
	assert_int_equal(sluice_liveness_probe(&watched, 3), 1);
	assert_int_equal(sluice_liveness_hold(&watched, 3), -EAGAIN);
	assert_int_equal(sluice_liveness_release(&watched, 3), 0);
	assert_int_equal(sluice_liveness_probe(&watched, 3), 0);
}

static void test_liveness__open_and_close_elsewhere_keeps_the_byte(void **state)
{
	struct sluice_segment second = attach();
	const int fd = open(watched.lock_path, O_RDWR);

	(void)state;
	assert_int_equal(sluice_liveness_hold(&watched, 0), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(sluice_liveness_probe(&second, 0), 1);
	assert_int_equal(sluice_liveness_hold(&second, 0), -EAGAIN);
	sluice_segment_close(&second);
	second = attach();
	assert_int_equal(sluice_liveness_probe(&second, 0), 1);
	assert_int_equal(sluice_liveness_release(&second, 0), 0);
	assert_int_equal(sluice_liveness_probe(&second, 0), 1);
	sluice_segment_close(&second);
}

struct racer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int won;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	for (uint32_t i = 0; i < 60; i++) {
		pthread_barrier_wait(racer->barrier);
		racer->won += !sluice_liveness_hold(&watched, i);
	}
	return NULL;
}

static void test_liveness__one_of_two_threads_gets_the_byte(void **state)
{
	pthread_barrier_t barrier;
	struct racer racers[2] = {{.barrier = &barrier}, {.barrier = &barrier}};

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(racers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(racers[0].won + racers[1].won, 60);
}

/* An inherited descriptor is the same open file, and a bare clone() runs no fork handler. */
static void hold_and_clone(void *arg)
{
	static struct sluice_segment segment;
	int *ends = arg;
	char byte;

	check(!sluice_segment_attach(&segment, "live", SLUICE_ACCESS_WRITE, NULL));
	check(!sluice_liveness_hold(&segment, 2));
	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL))
		return;
	close(ends[1]);
	check(read(ends[0], &byte, 1) == 0);
	_exit(0);
}

static void test_liveness__inherited_descriptor_keeps_the_byte(void **state)
{
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fixture_start(hold_and_clone, ends);
	fixture_kill(pid);
	usleep(20000);
	assert_int_equal(sluice_liveness_probe(&watched, 2), 1);
	close(ends[1]);
	close(ends[0]);
	assert_true(freed_within_ms(2, 2000));
}

/* A reader cannot keep a participant out: it cannot lock what it opened read-only for writing. */
static void test_liveness__reader_cannot_take_a_byte(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	struct sluice_segment reader;
	int data_fd;

	(void)state;
	assert_int_equal(sluice_segment_attach(&reader, "live", SLUICE_ACCESS_READ, NULL), 0);
	assert_true(reader.probe_fd >= 0);
	assert_int_equal(fcntl(reader.probe_fd, F_OFD_SETLK, &lock), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(sluice_liveness_probe(&reader, 0), 0);
	/* locks on the data file mean nothing */
	lock.l_type = F_RDLCK;
	lock.l_len = 0;
	data_fd = open(watched.path, O_RDONLY);
	assert_int_equal(fcntl(data_fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(sluice_liveness_hold(&watched, 0), 0);
	assert_int_equal(sluice_liveness_probe(&reader, 0), 1);
	close(data_fd);
	sluice_segment_close(&reader);
	assert_int_equal(sluice_liveness_probe(&watched, 0), 1);
}

static void test_liveness__bytes_have_bounds(void **state)
{
	(void)state;
	assert_int_equal(sluice_liveness_hold(&watched, SLUICE_LOCK_ATTACHED), -EINVAL);
	assert_int_equal(sluice_liveness_release(&watched, SLUICE_LOCK_ATTACHED), -EINVAL);
	assert_int_equal(sluice_liveness_probe(&watched, SLUICE_LOCK_ATTACHED), 1);
	assert_int_equal(sluice_liveness_probe(&watched, SLUICE_LOCK_ATTACHED + 1), -EINVAL);
	assert_int_equal(sluice_liveness_probe(&watched, SLUICE_LOCK_CREATOR), 0);
	assert_int_equal(sluice_liveness_hold(&watched, SLUICE_LOCK_RECOVERER), 0);
	assert_int_equal(sluice_liveness_hold(&watched, SLUICE_LOCK_PRODUCER), 0);
}

/* A free byte proves that no store of the dead can follow. */
static void test_liveness__nothing_is_stored_after_the_byte_is_free(void **state)
{
	_Atomic uint64_t *word = (void *)watched.slots;

	(void)state;
	for (int round = 0; round < 40; round++) {
		const pid_t pid = fork();
		uint64_t seen;

		if (!pid) {
			struct sluice_segment segment;

			fixture_default_signals();
			check(!sluice_segment_attach(&segment, "live", SLUICE_ACCESS_WRITE, NULL));
			check(!sluice_liveness_hold(&segment, 1));
			word = (void *)segment.slots;
			for (;;) /* relaxed: one writer, only looked at for change */
				atomic_store_explicit(
					word, 1 + atomic_load_explicit(word, memory_order_relaxed),
					memory_order_relaxed);
		}
		while (sluice_liveness_probe(&watched, 1) == 0)
			usleep(100);
		kill(pid, SIGKILL);
		while (sluice_liveness_probe(&watched, 1) == 1)
			;
		/* relaxed: the kernel's release of the lock orders it */
		seen = atomic_load_explicit(word, memory_order_relaxed);
		usleep(2000);
		/* relaxed: as above */
		assert_int_equal(atomic_load_explicit(word, memory_order_relaxed), seen);
		waitpid(pid, NULL, 0);
	}
}

#define live_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		live_test(test_liveness__held_by_the_living),
		live_test(test_liveness__stopped_is_alive),
		live_test(test_liveness__zombie_is_dead),
		live_test(test_liveness__own_bytes_show_as_held),
		live_test(test_liveness__open_and_close_elsewhere_keeps_the_byte),
		live_test(test_liveness__one_of_two_threads_gets_the_byte),
		live_test(test_liveness__inherited_descriptor_keeps_the_byte),
		live_test(test_liveness__reader_cannot_take_a_byte),
		live_test(test_liveness__bytes_have_bounds),
		live_test(test_liveness__nothing_is_stored_after_the_byte_is_free),
	};

	return cmocka_run_group_tests_name("liveness", tests, fixture_setup, fixture_teardown);
}
