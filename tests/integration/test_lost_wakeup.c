/* SPDX-License-Identifier: MIT */
/*
 * test_lost_wakeup.c - the hunt for lost wake-ups. Two processes meet before every round; then one
 * publishes (or releases) at the very moment when the other goes to sleep for it. Both use the
 * library's own waits; only the system calls below them are watched.
 *
 * A sleep is lost when it ends by its timeout although the other side had finished, wake-up
 * included, before that timeout: a futex that was woken, or whose word was changed, never says
 * ETIMEDOUT. No tolerance is needed, however slow the machine.
 *
 *	ROUNDS=10000000 tests/integration/test_lost_wakeup	the full hunt; else a bounded one
 *	ONLY=block	one of them			SEED=n
 *
 * The positive control leaves the barrier out. If it misses nothing, the hunt proves nothing.
 */
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <cmocka.h>

#include "tests/integration/wakeup_hunt.h"
#include "tests/lib/forbid.h"

#define MS 1000000ull
/* A bounded hunt takes this long, and longer on a busy machine where it has seen too little. */
#define BOUNDED_NS (200 * MS)
#define PATIENT_NS (6000 * MS)
#define ROUNDS_MIN 500u
#define SLEEPS_MIN 10u
#define CONTROL_NS (20000 * MS) /* the control ends with its first misses */
#define CONTROL_MISSES 2u
#define SKIPPED 77

/* ---------------------------------------------------------------------------------- the rounds */

/* Both sides arrive, then each goes on after a while of its own. False: the hunt is over. */
static bool meet(_Atomic uint64_t *mine, _Atomic uint64_t *other, uint64_t round, uint64_t spins)
{
	uint64_t looks = 0;

	atomic_store(mine, round);
	while (atomic_load(other) < round) {
		if (++looks % 4096)
			sluice_cpu_relax();
		else
			sched_yield();
		if (atomic_load(&hunt->stop))
			return false;
	}
	while (spins--)
		sluice_cpu_relax();
	return !atomic_load(&hunt->stop);
}

static bool may_go_on(uint64_t round, uint64_t started_ns)
{
	uint64_t waited_ns;

	if (atomic_load(&hunt->stop) || round > hunt->rounds_max)
		return false;
	if (atomic_load(&hunt->lost) >= hunt->misses_max)
		return false;
	if (hunt->rounds_max != UINT64_MAX || round % 64)
		return true;
	waited_ns = sluice_clock_ns() - started_ns;
	if (hunt->mode.has_no_barrier)
		return waited_ns < CONTROL_NS;
	return waited_ns < BOUNDED_NS ||
	       (waited_ns < PATIENT_NS &&
		(round < ROUNDS_MIN || atomic_load(&hunt->sleeps) < SLEEPS_MIN));
}

static void be_sleeper(uint64_t random)
{
	for (uint64_t round = 1;
	     meet(&hunt->sleeper_at, &hunt->waker_at, round, test_random(&random) % 32); round++)
		if (!sleep_once())
			_exit(2);
}

static void be_waker(uint64_t random)
{
	const uint64_t started_ns = sluice_clock_ns();
	uint64_t round = 1, sequence = 0;

	if (hunt->mode.sleeper_is_forbidden &&
	    (hunt->mode.sleeps_for == FOR_SPACE || hunt->mode.sleeps_for == FOR_STAGE))
		learn_of_fences();
	for (; may_go_on(round, started_ns); round++) {
		const uint32_t ring = hunt->mode.sleeps_for == FOR_MANY ? round * 7 / 3 % 2 : 0;
		/* about when it looks; now and then anywhere up to when it is asleep */
		const uint64_t spins = test_random(&random) %
				       (test_random(&random) % hunt->late_every ? 48 : 400);

		if (!prepare(ring, &sequence) ||
		    !meet(&hunt->waker_at, &hunt->sleeper_at, round, spins))
			break;
		act(ring, sequence);
		atomic_store(&hunt->finished_ns, sluice_clock_ns());
		atomic_store(&hunt->finished, round);
	}
	hunt->rounds = round - 1;
}

static void be_onlooker(void)
{
	while (!atomic_load(&hunt->stop)) {
		_Atomic uint32_t *word = &segments[0].participants[hunt->sleeper_index].wake;

		atomic_fetch_add(&hunt->onlooks, !sluice_futex_wait(word, atomic_load(word), MS));
	}
}

/* ------------------------------------------------------------------------------- the processes */

/* The n-th CPU that this process may use; both sides on one CPU would hardly ever collide. */
static bool pin(uint32_t n)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !n--) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			return !sched_setaffinity(0, sizeof(one), &one);
		}
	return false;
}

static bool wait_joined(uint32_t count)
{
	while (atomic_load(&hunt->joined) < count && !atomic_load(&hunt->stop))
		sched_yield();
	return !atomic_load(&hunt->stop);
}

enum side { WAKER = 0, SLEEPER = 1, ONLOOKER = 2 };

static void run_side(enum side side)
{
	const bool is_forbidden = side == SLEEPER ? hunt->mode.sleeper_is_forbidden :
						    hunt->mode.waker_is_forbidden;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (side != ONLOOKER)
		pin(side);
	if (is_forbidden && forbid_syscall(SYS_membarrier))
		_exit(SKIPPED);
	/* the waker's participants first: a stage cannot follow one that is not there */
	if (!wait_joined(side) || !(side == WAKER   ? open_waker() :
				    side == SLEEPER ? open_sleeper() :
						      attach(1, SLUICE_ACCESS_READ)))
		_exit(1);
	if (side == SLEEPER)
		hunt->sleeper_index = hunt->mode.sleeps_for == FOR_SPACE ? producers[0].index :
									   consumers[0].index;
	atomic_fetch_add(&hunt->joined, 1);
	if (!wait_joined(side == WAKER ? 2 : side))
		_exit(1);
	if (side == WAKER)
		be_waker(hunt->random);
	else if (side == SLEEPER)
		be_sleeper(hunt->random + 1);
	else
		be_onlooker();
	atomic_store(&hunt->stop, 1);
	_exit(0);
}

static pid_t start(enum side side)
{
	const pid_t pid = fork();

	if (!pid)
		run_side(side);
	return pid;
}

/* 0, or the first side's exit status that is not. */
static int run_processes(int seconds)
{
	pid_t pids[3];
	const int count = hunt->mode.has_onlooker ? 3 : 2;
	int status = 0;

	for (int i = 0; i < count; i++)
		pids[i] = start((enum side)i);
	for (int i = 0; i < count; i++) {
		const int rc = child_wait(pids[i], seconds);

		atomic_store(&hunt->stop, 1);
		seconds = 30;
		if (rc && !status)
			status = rc;
	}
	return status;
}

static void report(const struct mode *mode)
{
	print_message("%s: %llu rounds, %llu sleeps, %llu ended by timeout, %llu lost, %.1f s\n",
		      mode->name, (unsigned long long)hunt->rounds,
		      (unsigned long long)hunt->sleeps, (unsigned long long)hunt->timeouts,
		      (unsigned long long)atomic_load(&hunt->lost),
		      (double)(sluice_clock_ns() - hunt->started_ns) / 1e9);
}

static int hunt_in(const struct mode *mode)
{
	const char *rounds = getenv("ROUNDS");
	struct sluice_segment rings[2];
	int rc;

	hunt = mmap(NULL, sizeof(*hunt), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hunt, MAP_FAILED);
	hunt->mode = *mode;
	hunt->random = test_seed();
	hunt->rounds_max = rounds ? strtoull(rounds, NULL, 0) : UINT64_MAX;
	hunt->late_every = rounds ? 64 : 8; /* a real sleep takes as long as ten rounds */
	hunt->misses_max = rounds ? UINT64_MAX : mode->has_no_barrier ? CONTROL_MISSES : 1;
	hunt->started_ns = sluice_clock_ns();
	assert_int_equal(ring_create(&rings[0], "hunt", mode->publication, 4, 0), 0);
	assert_int_equal(ring_create(&rings[1], "hunt2", mode->publication, 4, 0), 0);
	rc = run_processes(rounds ? 36000 : 60);
	ring_destroy(&rings[0]);
	ring_destroy(&rings[1]);
	report(mode);
	return rc;
}

static void skip_because(const char *name, const char *reason)
{
	print_message("skip: %s: %s\n", name, reason);
	skip();
}

static void nothing_is_lost(void **state)
{
	const struct mode *mode = *state;
	const int rc = hunt_in(mode);

	if (rc == SKIPPED)
		skip_because(mode->name, "filters of system calls are not allowed here");
	assert_int_equal(rc, 0);
	assert_int_equal(hunt->lost, 0);
	assert_true(hunt->rounds >= ROUNDS_MIN);
	assert_true(hunt->sleeps >= SLEEPS_MIN);
	if (mode->has_onlooker)
		assert_true(hunt->onlooks > 10);
	munmap(hunt, sizeof(*hunt));
}

/* If this loses nothing, the others prove nothing. */
static void some_are_lost(void **state)
{
	const struct mode *mode = *state;
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	if (CPU_COUNT(&all) < 2)
		skip_because(mode->name, "one CPU: nothing collides");
	assert_int_equal(hunt_in(mode), 0);
	assert_true(hunt->lost > 0);
	munmap(hunt, sizeof(*hunt));
}

#define NAME(behaviour) "test_lost_wakeup__" behaviour
#define BLOCK .strategy = SLUICE_WAIT_BLOCK

static struct mode modes[] = {
	{NAME("without_the_barrier"), BLOCK, .publication = RING_CURSOR, .has_no_barrier = true},
	{NAME("block"), BLOCK, .publication = RING_CURSOR},
	{NAME("block_stamped"), BLOCK, .publication = RING_STAMPED},
	{NAME("block_multi"), BLOCK, .publication = RING_MULTI},
	{NAME("adaptive"), .strategy = SLUICE_WAIT_ADAPTIVE, .publication = RING_CURSOR},
	{NAME("backoff"), .strategy = SLUICE_WAIT_BACKOFF, .publication = RING_STAMPED},
	{NAME("space"), BLOCK, .publication = RING_CURSOR, .sleeps_for = FOR_SPACE},
	{NAME("space_multi"), BLOCK, .publication = RING_MULTI, .sleeps_for = FOR_SPACE},
	{NAME("stage"), BLOCK, .publication = RING_CURSOR, .sleeps_for = FOR_STAGE},
	{NAME("many_rings"), BLOCK, .publication = RING_STAMPED, .sleeps_for = FOR_MANY},
	{NAME("onlooker"), BLOCK, .publication = RING_CURSOR, .has_onlooker = true},
	{NAME("fenced"), BLOCK, .publication = RING_CURSOR, .sleeper_is_forbidden = true,
	 .waker_is_forbidden = true},
	{NAME("fenced_sleeper"), BLOCK, .publication = RING_CURSOR, .sleeper_is_forbidden = true},
	{NAME("fenced_waker"), BLOCK, .publication = RING_CURSOR, .waker_is_forbidden = true},
	{NAME("fenced_space"), BLOCK, .publication = RING_CURSOR, .sleeps_for = FOR_SPACE,
	 .sleeper_is_forbidden = true},
	{NAME("fenced_stage"), BLOCK, .publication = RING_CURSOR, .sleeps_for = FOR_STAGE,
	 .sleeper_is_forbidden = true},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

int main(void)
{
	struct CMUnitTest tests[MODES];
	char only[64];

	for (size_t i = 0; i < MODES; i++)
		tests[i] = (struct CMUnitTest){
			.name = modes[i].name,
			.test_func = modes[i].has_no_barrier ? some_are_lost : nothing_is_lost,
			.initial_state = &modes[i],
		};
	if (getenv("ONLY")) {
		snprintf(only, sizeof(only), NAME("%s"), getenv("ONLY"));
		cmocka_set_test_filter(only);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
