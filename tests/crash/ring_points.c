/* SPDX-License-Identifier: MIT */
/*
 * ring_points.c - one process at a time is killed or stopped at one step of the protocol, and what
 * is left of its claim must be exactly what it ought to be. The parent consumes and recovers; each
 * producer and each other recoverer is a child of its own. Needs PROFILE=crash. Prints a line
 * `pass: NAME` or `fail: NAME` per test; run by test_ring_crash.sh.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/recovery.h"
#include "tests/lib/crash_failpoint.h"
#include "tests/lib/ring_fixture.h"

#define NAME "points"
#define SECONDS_MAX 10
#define BATCH 4u

static struct sluice_segment segment;
static struct sluice_consumer consumer;
static _Atomic uint64_t *shared; /* a word for a child to leave */

static bool failed(const char *condition, int line)
{
	printf("ring_points.c:%d: not so: %s\n", line, condition);
	return false;
}

#define need(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return failed(#cond, __LINE__);                                            \
	} while (0)

/* ---------------------------------------------------------------------------------- children */

struct act {
	enum sluice_failpoint point;
	bool is_stop;
	uint32_t n; /* slots of its claim */
	int (*run)(const struct act *act, struct sluice_segment *segment);
};

static int publish(const struct act *act, struct sluice_segment *mine)
{
	struct sluice_producer producer;
	uint64_t first;

	if (sluice_producer_open(&producer, mine, NULL, NULL))
		return 2;
	crash_arm_once(act->point, act->is_stop);
	if (sluice_producer_claim(&producer, act->n, SECONDS_MAX * 1000000000ull, &first))
		return 3;
	for (uint64_t s = first; s != first + act->n; s++)
		event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes, s);
	sluice_producer_publish_range(&producer, first, first + act->n - 1);
	sluice_producer_close(&producer);
	return 0;
}

static int recover(const struct act *act, struct sluice_segment *mine)
{
	int rc;

	crash_arm_once(act->point, act->is_stop);
	do
		rc = sluice_recover(mine);
	while (rc == -EAGAIN);
	return rc < 0;
}

static int join(const struct act *act, struct sluice_segment *mine)
{
	struct sluice_consumer joiner;

	crash_arm_once(act->point, act->is_stop);
	return ring_consumer(&joiner, mine, "joiner", SLUICE_POLICY_EVICTABLE,
			     SLUICE_FROM_BEGINNING) != 0;
}

/* Sleeps until an event comes, and says so. */
static int sleep_for_one(const struct act *act, struct sluice_segment *mine)
{
	const struct sluice_consumer_options options = {
		.name = "sleeper", .wait = SLUICE_WAIT_BLOCK, .policy = SLUICE_POLICY_EVICTABLE,
	};
	struct sluice_consumer sleeper;
	uint64_t n;

	(void)act;
	if (sluice_consumer_open(&sleeper, mine, &options, NULL))
		return 2;
	atomic_store(shared, 1);
	if (sluice_consumer_wait(&sleeper, 1, SECONDS_MAX * 1000000000ull, &n))
		return 3;
	sluice_consumer_close(&sleeper, false);
	return 0;
}

static pid_t start(struct act act)
{
	struct sluice_segment mine;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(segment.lock_fd);
	close(segment.probe_fd);
	close(segment.fd);
	if (sluice_segment_attach(&mine, NAME, SLUICE_ACCESS_WRITE, NULL))
		_exit(1);
	_exit(act.run(&act, &mine));
}

static bool dies(struct act act)
{
	return child_wait(start(act), SECONDS_MAX) == 1000 + SIGKILL;
}

static bool ends(struct act act)
{
	return child_wait(start(act), SECONDS_MAX) == 0;
}

static bool stops(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

static bool goes_on(pid_t pid)
{
	return !kill(pid, SIGCONT) && child_wait(pid, SECONDS_MAX) == 0;
}

/* ------------------------------------------------------------------------------ the parent's */

static bool open_ring(uint64_t slots)
{
	const struct sluice_segment_options options = {
		.name = NAME, .slot_count = slots, .slot_stride = 64,
		.publication = SLUICE_PUBLICATION_STAMPED, .producer_mode = SLUICE_PRODUCER_MULTI,
		.event_kind = SLUICE_EVENT_RAW, .base_sequence = 100, .participant_count = 16,
		.hugepages = SLUICE_HUGEPAGES_OFF, .numa_node = -1,
	};

	return !ring_directory() && !sluice_segment_create(&segment, &options, NULL) &&
	       !ring_consumer(&consumer, &segment, "consumer", SLUICE_POLICY_CRITICAL,
			      SLUICE_FROM_BEGINNING);
}

static void close_ring(void)
{
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

static int recover_all(void)
{
	const uint64_t end_ns = sluice_clock_ns() + SECONDS_MAX * 1000000000ull;
	int rc;

	do
		rc = sluice_recover(&segment);
	while (rc == -EAGAIN && sluice_clock_ns() < end_ns);
	return rc;
}

/* What can be read now is `events` whole ones, then `voids` tombstones, and it is released. */
static bool reads(uint64_t voids, uint64_t events)
{
	for (uint64_t i = 0; i < voids + events; i++) {
		uint64_t n;

		need(!sluice_consumer_poll(&consumer, 1, &n));
		need(sluice_consumer_is_void(&consumer, consumer.next) == (i < voids));
		need(i < voids || event_is(sluice_consumer_event(&consumer, consumer.next),
					   consumer.ring.payload_bytes, consumer.next));
		sluice_consumer_advance(&consumer, 1);
	}
	sluice_consumer_release(&consumer, consumer.next);
	return true;
}

static bool reads_nothing(void)
{
	uint64_t n;

	return sluice_consumer_poll(&consumer, 1, &n) == -EAGAIN;
}

static const struct act good = {.n = BATCH, .run = publish};

/* ------------------------------------------------------------------------------------- tests */

/* Dead at each point: what is left, and the line goes on. */
static bool dead_at(enum sluice_failpoint point, uint64_t events, uint64_t voids)
{
	need(ends(good));
	need(dies((struct act){point, false, BATCH, publish}));
	need(ends(good));
	need(reads(0, BATCH));
	need(recover_all() == (int)voids);
	need(reads(0, events) && reads(voids, 0) && reads(0, BATCH));
	need(recover_all() == 0);
	need(ends(good) && reads(0, BATCH) && reads_nothing());
	return true;
}

static bool dead_at_p1(void) { return dead_at(SLUICE_FAIL_P1, 0, 0); }
static bool dead_at_p2(void) { return dead_at(SLUICE_FAIL_P2, 0, BATCH); }
static bool dead_at_p3(void) { return dead_at(SLUICE_FAIL_P3, 0, BATCH); }
static bool dead_at_p4(void) { return dead_at(SLUICE_FAIL_P4, 0, BATCH); }
static bool dead_at_p5(void) { return dead_at(SLUICE_FAIL_P5, 0, BATCH); }
static bool dead_at_p6(void) { return dead_at(SLUICE_FAIL_P6, 1, BATCH - 1); }
static bool dead_at_p7(void) { return dead_at(SLUICE_FAIL_P7, BATCH, 0); }
static bool dead_at_p8(void) { return dead_at(SLUICE_FAIL_P8, BATCH, 0); }

/* One slot, half of the ring, all of it, and across its end. */
static bool dead_with_n_slots(void)
{
	static const uint32_t sizes[] = {1, 8, 3, 16, 16};

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const uint32_t n = sizes[i];

		need(dies((struct act){SLUICE_FAIL_P2, false, n, publish}));
		need(recover_all() == (int)n && reads(n, 0));
		need(dies((struct act){SLUICE_FAIL_P5, false, n, publish}));
		need(recover_all() == (int)n && reads(n, 0));
		need(ends(good) && reads(0, BATCH));
	}
	return true;
}

static bool two_dead_side_by_side(void)
{
	need(ends(good));
	need(dies((struct act){SLUICE_FAIL_P2, false, 3, publish}));
	need(dies((struct act){SLUICE_FAIL_P2, false, 2, publish}));
	need(ends(good));
	need(recover_all() == 5);
	need(reads(0, BATCH) && reads(5, 0) && reads(0, BATCH));
	return true;
}

/* Its attempt covers slots that a dead producer owns: that cannot be told until it goes on. */
static bool stopped_attempt_on_a_dead_claim(void)
{
	const pid_t pid = start((struct act){SLUICE_FAIL_P1, true, BATCH, publish});

	need(stops(pid));
	need(dies((struct act){SLUICE_FAIL_P2, false, BATCH, publish}));
	for (int i = 0; i < 100; i++)
		need(sluice_recover(&segment) == -EAGAIN);
	need(reads_nothing());
	need(goes_on(pid));
	need(recover_all() == (int)BATCH);
	need(reads(BATCH, 0) && reads(0, BATCH));
	return true;
}

/* Its first slot was published by another: the attempt has failed, the dead behind it can go. */
static bool stopped_attempt_that_has_failed(void)
{
	const pid_t pid = start((struct act){SLUICE_FAIL_P1, true, BATCH, publish});

	need(stops(pid));
	need(ends((struct act){.n = 1, .run = publish}));
	need(dies((struct act){SLUICE_FAIL_P2, false, BATCH, publish}));
	need(recover_all() == (int)BATCH);
	need(reads(0, 1) && reads(BATCH, 0));
	need(goes_on(pid));
	need(reads(0, BATCH));
	return true;
}

/* Stopped for long with a claim in hand, then killed or not: never buried while it lives. */
static bool stopped_with_a_claim(void)
{
	for (enum sluice_failpoint point = SLUICE_FAIL_P2; point <= SLUICE_FAIL_P5; point++) {
		const bool is_killed = point % 2;
		const pid_t pid = start((struct act){point, true, BATCH, publish});

		need(stops(pid));
		need(ends(good));
		for (int i = 0; i < 50; i++) {
			const int rc = sluice_recover(&segment);

			need(rc == 0 || rc == -EAGAIN);
			usleep(2000);
		}
		need(reads_nothing());
		if (is_killed) {
			child_kill(pid);
			need(recover_all() == (int)BATCH && reads(BATCH, 0));
		} else {
			need(goes_on(pid) && reads(0, BATCH));
		}
		need(reads(0, BATCH));
	}
	return true;
}

static bool recoverer_dead_at(enum sluice_failpoint point, uint64_t done)
{
	need(dies((struct act){SLUICE_FAIL_P3, false, BATCH, publish}));
	need(ends(good));
	need(dies((struct act){point, false, 0, recover}));
	need(recover_all() == (int)(BATCH - done));
	need(reads(BATCH, 0) && reads(0, BATCH));
	return true;
}

static bool recoverer_dead_at_r1(void) { return recoverer_dead_at(SLUICE_FAIL_R1, 1); }
static bool recoverer_dead_at_r2(void) { return recoverer_dead_at(SLUICE_FAIL_R2, BATCH); }

static bool second_recoverer_keeps_out(void)
{
	pid_t pid;

	need(dies((struct act){SLUICE_FAIL_P3, false, BATCH, publish}));
	pid = start((struct act){SLUICE_FAIL_R1, true, 0, recover});
	need(stops(pid));
	need(sluice_recover(&segment) == -EAGAIN);
	need(reads(1, 0) && reads_nothing());
	need(goes_on(pid));
	need(recover_all() == 0 && reads(BATCH - 1, 0));
	return true;
}

/* While a pass stands still the ring goes round: slots that it has yet to look at are others'. */
static bool pass_overtaken_by_a_lap(void)
{
	pid_t pid;

	need(dies((struct act){SLUICE_FAIL_P3, false, 1, publish}));
	need(ends((struct act){.n = 15, .run = publish}));
	/* the live producers' entries were given back: one that lives must not need the table */
	struct sluice_producer producer;

	need(!sluice_producer_open(&producer, &segment, NULL, NULL));
	pid = start((struct act){SLUICE_FAIL_R1, true, 0, recover});
	need(stops(pid));
	need(reads(1, 0) && reads(0, 15));
	need(!ring_publish(&producer, 16));
	need(goes_on(pid));
	need(reads(0, 16) && reads_nothing());
	sluice_producer_close(&producer);
	return true;
}

static bool joiner_dead_at(enum sluice_failpoint point)
{
	need(dies((struct act){point, false, 0, join}));
	for (int i = 0; i < 8; i++)
		need(ends(good) && reads(0, BATCH));
	need(ends((struct act){.run = join}));
	return true;
}

static bool joiner_dead_at_j1(void) { return joiner_dead_at(SLUICE_FAIL_J1); }
static bool joiner_dead_at_j2(void) { return joiner_dead_at(SLUICE_FAIL_J2); }

/* Published, and dead before it woke anybody. */
static bool dead_before_the_wake(void)
{
	pid_t pid;

	atomic_store(shared, 0);
	pid = start((struct act){.run = sleep_for_one});
	while (!atomic_load(shared))
		usleep(1000);
	usleep(20000);
	need(dies((struct act){SLUICE_FAIL_P8, false, 1, publish}));
	need(child_wait(pid, 5) == 0);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(void);
	uint64_t slots;
} tests[] = {
	{"dead at P1: nothing was claimed", dead_at_p1, 16},
	{"dead at P2: tombstones without a record", dead_at_p2, 16},
	{"dead at P3", dead_at_p3, 16},
	{"dead at P4", dead_at_p4, 16},
	{"dead at P5: written, not published", dead_at_p5, 16},
	{"dead at P6: what is published stands", dead_at_p6, 16},
	{"dead at P7: all published", dead_at_p7, 16},
	{"dead at P8: all published, nobody woken", dead_at_p8, 16},
	{"dead with 1, half, all slots, across the end", dead_with_n_slots, 16},
	{"two dead side by side", two_dead_side_by_side, 16},
	{"stopped in ATTEMPT on a dead claim", stopped_attempt_on_a_dead_claim, 16},
	{"stopped in an ATTEMPT that has failed", stopped_attempt_that_has_failed, 16},
	{"stopped with a claim at P2 to P5", stopped_with_a_claim, 16},
	{"recoverer dead at R1", recoverer_dead_at_r1, 16},
	{"recoverer dead at R2", recoverer_dead_at_r2, 16},
	{"a second recoverer keeps out", second_recoverer_keeps_out, 16},
	{"a pass is overtaken by a lap", pass_overtaken_by_a_lap, 16},
	{"joiner dead at J1", joiner_dead_at_j1, 16},
	{"joiner dead at J2", joiner_dead_at_j2, 16},
	{"dead before the wake, consumer asleep", dead_before_the_wake, 16},
};

int main(void)
{
	int failures = 0;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (uint32_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		const bool ok = open_ring(tests[i].slots) && tests[i].run();

		printf("%s: point: %s\n", ok ? "pass" : "fail", tests[i].name);
		failures += !ok;
		close_ring();
	}
	return failures != 0;
}
