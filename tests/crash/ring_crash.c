/* SPDX-License-Identifier: MIT */
/*
 * ring_crash.c - kills and stops producers, consumers and recoverers of one multi-producer ring,
 * as fast as they can be started again, and tells whether anything was lost, repeated, swapped or
 * torn, or stood still. The driver: one thread, starts each process, reaps it, judges at the end.
 *
 * Prints key=value lines; ends with 0 if nothing was wrong, 1 if something was, 2 for a usage
 * error. Needs PROFILE=crash to die inside the protocol; else it only kills from outside.
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
#include "tests/lib/crash_failpoint.h"
#include "tests/lib/crash_options.h"
#include "tests/lib/crash_oracle.h"
#include "tests/lib/crash_report.h"
#include "tests/lib/crash_roles.h"
#include "tests/lib/ring_fixture.h"

#define S 1000000000ull
#define NAME "crash"
#define END_NS (20 * S)	       /* for everybody to end by himself */
#define KILL_EVERYBODY_NS (3 * S)

struct place {
	pid_t pid;
	uint64_t stopped_ns; /* 0: it runs */
	uint64_t resume_ns;
};

static struct {
	struct crash_options options;
	struct crash_board *board;
	struct sluice_segment segment;
	struct crash_tally tally;
	struct place places[CRASH_PLACES_MAX];
	uint32_t places_used;
	uint64_t random;
	bool is_ending;
} driver;

static uint64_t random_below(uint64_t n)
{
	return test_random(&driver.random) % n;
}

/* --------------------------------------------------------------------------------- processes */

static bool is_producer(uint32_t i)
{
	return i < driver.options.config.producers;
}

static enum crash_role role_of(uint32_t i)
{
	return (enum crash_role)(i - driver.options.config.producers);
}

static _Noreturn void child(uint32_t i, uint64_t seed)
{
	struct crash_place *place = &driver.board->places[i];
	struct sluice_segment segment;
	struct crash_process process = {
		.config = &driver.options.config, .board = driver.board, .place = place,
		.segment = &segment, .seed = seed,
	};
	struct sluice_diag diag;
	bool ok;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the driver's, which hold no byte of a participant */
	close(driver.segment.lock_fd);
	close(driver.segment.probe_fd);
	close(driver.segment.fd);
	if (sluice_segment_attach(&segment, NAME, SLUICE_ACCESS_WRITE, &diag)) {
		crash_wrong(driver.board, CRASH_UNEXPECTED, "attach: %s", diag.text);
		_exit(1);
	}
	crash_arm(&driver.options.config, driver.board, place, seed + 1);
	if (is_producer(i))
		ok = crash_produce(&process);
	else if (role_of(i) < CRASH_CRITICAL)
		ok = crash_consume(&process, role_of(i));
	else
		ok = crash_sample(&process, role_of(i));
	_exit(ok ? 0 : 1);
}

static void start(uint32_t i)
{
	struct crash_place *shared = &driver.board->places[i];
	const uint64_t seed = test_random(&driver.random);
	pid_t pid;

	atomic_store(&shared->died_at, 0);
	atomic_store(&shared->is_stopping, 0);
	atomic_store(&shared->has_joined, 0);
	if (is_producer(i))
		atomic_store(&shared->life, atomic_fetch_add(&driver.board->lives, 1));
	fflush(stdout);
	pid = fork();
	if (!pid)
		child(i, seed);
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	driver.places[i] = (struct place){.pid = pid};
}

static void count_death(uint32_t i)
{
	const uint64_t point = atomic_load(&driver.board->places[i].died_at);

	driver.tally.deaths[is_producer(i)][point < SLUICE_FAIL_COUNT ? point : 0]++;
}

static bool may_start(uint32_t i)
{
	return !driver.is_ending &&
	       (!is_producer(i) || atomic_load(&driver.board->lives) < CRASH_LIVES_MAX);
}

static void reap_one(pid_t pid, int status)
{
	uint32_t i = 0;

	while (i < driver.places_used && driver.places[i].pid != pid)
		i++;
	if (i == driver.places_used)
		return;
	if (WIFSTOPPED(status)) {
		driver.tally.stops++;
		driver.places[i].stopped_ns = sluice_clock_ns();
		/* some for longer than anything that anybody waits for */
		driver.places[i].resume_ns = driver.places[i].stopped_ns +
					     driver.options.stop_ns * (random_below(32) ? 1 : 20);
		return;
	}
	driver.places[i] = (struct place){0};
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		count_death(i);
	else if (WIFSIGNALED(status))
		crash_wrong(driver.board, CRASH_UNEXPECTED, "place %u died of signal %d", i,
			    WTERMSIG(status));
	if (may_start(i))
		start(i);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0)
		reap_one(pid, status);
}

/* --------------------------------------------------------------------------------- malevolence */

static bool is_anybody_stopped(void)
{
	for (uint32_t i = 0; i < driver.places_used; i++)
		if (driver.places[i].stopped_ns)
			return true;
	return false;
}

static void resume(uint64_t now_ns)
{
	for (uint32_t i = 0; i < driver.places_used; i++) {
		struct place *place = &driver.places[i];

		if (!place->stopped_ns || now_ns < place->resume_ns)
			continue;
		place->stopped_ns = 0;
		/* stopped, then killed, is one more way to die */
		if (!driver.is_ending && !random_below(4)) {
			kill(place->pid, SIGKILL);
			continue;
		}
		kill(place->pid, SIGCONT);
		atomic_store(&driver.board->places[i].is_stopping, 0);
	}
}

/* Producers three times as often as consumers. */
static uint32_t choose(void)
{
	return (uint32_t)(random_below(4) ? random_below(driver.options.config.producers) :
					    driver.options.config.producers +
						    random_below(driver.places_used -
								 driver.options.config.producers));
}

static void torment(uint64_t now_ns)
{
	static uint64_t kill_ns, stop_ns, everybody_ns;
	uint32_t i;

	if (driver.options.kill_every_ns && now_ns >= kill_ns) {
		kill_ns = now_ns + random_below(2 * driver.options.kill_every_ns);
		i = choose();
		if (driver.places[i].pid && !driver.places[i].stopped_ns)
			kill(driver.places[i].pid, SIGKILL);
	}
	if (driver.options.stop_every_ns && now_ns >= stop_ns) {
		stop_ns = now_ns + random_below(2 * driver.options.stop_every_ns);
		i = choose();
		if (driver.places[i].pid && !driver.places[i].stopped_ns) {
			atomic_store(&driver.board->places[i].is_stopping, 1);
			kill(driver.places[i].pid, SIGSTOP);
		}
	}
	if (driver.options.kill_every_ns && now_ns >= everybody_ns) {
		for (i = 0; everybody_ns && i < driver.places_used; i++)
			if (driver.places[i].pid)
				kill(driver.places[i].pid, SIGKILL);
		driver.tally.massacres += everybody_ns != 0;
		everybody_ns = now_ns + KILL_EVERYBODY_NS;
	}
}

/* ------------------------------------------------------------------------------------ the run */

static uint64_t seen(void)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t r = 0; r < (driver.options.config.has_crowd ? CRASH_CRITICAL : 1u); r++) {
		const uint64_t at = atomic_load(&driver.board->readers[r].sequence);

		least = at < least ? at : least;
	}
	return least;
}

static bool is_stuck(uint64_t now_ns)
{
	static uint64_t last, since_ns;
	const uint64_t at = seen();

	if (at != last || !since_ns || is_anybody_stopped()) {
		if (since_ns && at != last && now_ns - since_ns > driver.tally.still_ns)
			driver.tally.still_ns = now_ns - since_ns;
		last = at;
		since_ns = now_ns;
	}
	return now_ns - since_ns > driver.options.stuck_ns;
}

static void nap(void)
{
	const struct timespec most = {.tv_nsec = 1000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &most);
}

static void kill_all(void)
{
	for (uint32_t i = 0; i < driver.places_used; i++)
		if (driver.places[i].pid)
			child_kill(driver.places[i].pid);
}

static bool is_wrong(void)
{
	for (enum crash_wrong w = CRASH_LOST; w < CRASH_WRONGS; w++)
		if (atomic_load(&driver.board->wrong[w]))
			return true;
	return false;
}

static uint64_t producer_deaths(void)
{
	uint64_t deaths = 0;

	for (uint32_t p = 0; p < SLUICE_FAIL_COUNT; p++)
		deaths += driver.tally.deaths[1][p];
	return deaths;
}

/* Until it is time to end, or something is wrong. False: it stands still. */
static bool run(void)
{
	const uint64_t begin_ns = sluice_clock_ns();

	for (;;) {
		const uint64_t now_ns = sluice_clock_ns();

		nap();
		reap();
		resume(now_ns);
		torment(now_ns);
		driver.tally.run_ns = now_ns - begin_ns;
		if (is_stuck(now_ns))
			return false;
		if (is_wrong() || driver.tally.run_ns >= driver.options.seconds * S ||
		    atomic_load(&driver.board->lives) >= CRASH_LIVES_MAX ||
		    (driver.options.deaths_wanted &&
		     producer_deaths() >= driver.options.deaths_wanted))
			return true;
	}
}

/* Waits for places [from, to) to end by themselves. */
static bool await(uint32_t from, uint32_t to)
{
	const uint64_t end_ns = sluice_clock_ns() + END_NS;

	for (;;) {
		uint32_t left = 0;

		nap();
		reap();
		resume(UINT64_MAX);
		for (uint32_t i = from; i < to; i++)
			left += driver.places[i].pid != 0;
		if (!left)
			return true;
		if (sluice_clock_ns() > end_ns)
			return false;
	}
}

/* All claims are published or buried, everything is read to its end. */
static bool end(void)
{
	const struct crash_rates none = {0};

	atomic_store(&driver.board->is_stopped, 1);
	/* who starts from here on is to live */
	driver.options.config.producer = driver.options.config.recoverer = none;
	driver.options.config.joiner = none;
	for (uint32_t i = driver.options.config.producers; i < driver.places_used; i++)
		if (driver.places[i].pid)
			kill(driver.places[i].pid, SIGKILL);
	driver.is_ending = true;
	/* the killed as well: one that dies slowly would not be started again */
	if (!await(0, driver.places_used))
		return false;
	driver.is_ending = false;
	await(0, 0);
	for (uint32_t i = driver.options.config.producers; i < driver.places_used; i++)
		if (!driver.places[i].pid)
			start(i);
	driver.is_ending = true;
	sluice_ring_set_state(&driver.segment, SLUICE_STATE_DRAINING);
	return await(0, driver.places_used);
}

static void judge(void)
{
	const uint64_t claim = atomic_load(&driver.segment.control->claim);

	for (uint32_t r = 0; r < (driver.options.config.has_crowd ? CRASH_CRITICAL : 1u); r++)
		crash_account(driver.board, &driver.board->readers[r], claim);
}

/* --------------------------------------------------------------------------------------- setup */

static int create(void)
{
	struct sluice_segment_options options = {
		.name = NAME, .slot_count = driver.options.config.slot_count, .slot_stride = 64,
		.publication = SLUICE_PUBLICATION_STAMPED, .producer_mode = SLUICE_PRODUCER_MULTI,
		.event_kind = SLUICE_EVENT_RAW,
		.base_sequence = driver.options.config.base_sequence,
		.participant_count = 24, .hugepages = SLUICE_HUGEPAGES_OFF, .numa_node = -1,
	};
	struct sluice_diag diag;
	int rc = ring_directory();

	if (!rc)
		rc = sluice_segment_create(&driver.segment, &options, &diag);
	if (rc)
		fprintf(stderr, "create: %s\n", diag.text);
	return rc;
}

/* The critical consumers come before the first event, the engine before the stage behind it. */
static bool start_all(void)
{
	const uint32_t consumers = driver.options.config.has_crowd ? CRASH_CONSUMERS : 1;
	const struct crash_rates joiner = driver.options.config.joiner;
	const uint64_t end_ns = sluice_clock_ns() + END_NS;

	driver.places_used = driver.options.config.producers + consumers;
	memset(&driver.options.config.joiner, 0, sizeof(joiner));
	for (uint32_t r = 0; r < CRASH_CRITICAL; r++)
		atomic_store(&driver.board->readers[r].sequence,
			     driver.options.config.base_sequence);
	for (uint32_t r = 0; r < consumers && r < CRASH_CRITICAL; r++) {
		const uint32_t i = driver.options.config.producers + r;

		start(i);
		while (!atomic_load(&driver.board->places[i].has_joined)) {
			nap();
			if (sluice_clock_ns() > end_ns)
				return false;
		}
	}
	driver.options.config.joiner = joiner;
	for (uint32_t i = 0; i < driver.places_used; i++)
		if (!driver.places[i].pid)
			start(i);
	return true;
}

int main(int argc, char **argv)
{
	sigset_t set;
	bool ok;

	if (!crash_options_parse(argc, argv, &driver.options))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	driver.random = test_seed();
	driver.board = mmap(NULL, sizeof(*driver.board), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (driver.board == MAP_FAILED || create())
		return 1;
	ok = start_all() && run();
	/* what is wrong already is enough; it may keep the rest from ending */
	if (ok && !is_wrong()) {
		ok = end();
		if (ok)
			judge();
	}
	if (!ok) {
		crash_wrong(driver.board, CRASH_STUCK, "at %llu", (unsigned long long)seen());
		crash_dump(&driver.segment);
	}
	kill_all();
	ok = crash_report(driver.board, &driver.options.config, &driver.segment, &driver.tally);
	ring_destroy(&driver.segment);
	return ok ? 0 : 1;
}
