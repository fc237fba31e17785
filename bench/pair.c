/* SPDX-License-Identifier: MIT */
/*
 * pair.c - see pair.h. The parent's thread and, between fork and _exit, those of the children.
 *
 * sync pairs of this file:
 *   start:arrived -> start:both	what a side has set up is there when the other begins
 */
#include "bench/pair.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/proof.h"
#include "cli/signals.h"
#include "shm/placement.h"

struct bench_pair {
	_Atomic uint32_t arrived;
	_Atomic uint32_t cancelled;
	uint32_t count;	    /* of the sides */
	uint32_t processes; /* one each, or one of threads */
	struct bench_proof proofs[BENCH_SIDES_MAX];
	int errors[BENCH_SIDES_MAX];
};

/* What a thread is told; in the memory of the process that starts it. */
struct seat {
	const struct bench_side *side;
	struct bench_pair *pair;
	void *arg;
	uint32_t index;
};

void *bench_shared_alloc(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void bench_shared_touch(void *memory, size_t bytes)
{
	madvise(memory, bytes, MADV_POPULATE_WRITE); /* an old kernel: faults, which are counted */
}

void bench_shared_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

bool bench_pair_cancelled(const struct bench_pair *pair)
{
	/* relaxed: a lone flag */
	return atomic_load_explicit(&pair->cancelled, memory_order_relaxed);
}

int bench_pair_start(struct bench_pair *pair, uint32_t side)
{
	/* sync: start:arrived -> start:both; everything a side has set up */
	atomic_fetch_add_explicit(&pair->arrived, 1, memory_order_release);
	/* sync: start:both <- start:arrived; both have arrived */
	while (atomic_load_explicit(&pair->arrived, memory_order_acquire) < pair->count) {
		if (bench_pair_cancelled(pair))
			return -ECANCELED;
		sched_yield();
	}
	bench_proof_begin(&pair->proofs[side]);
	return 0;
}

void bench_pair_stop(struct bench_pair *pair, uint32_t side)
{
	bench_proof_end(&pair->proofs[side]);
}

static int run_side(const struct seat *seat)
{
	struct bench_pair *pair = seat->pair;
	int rc = sluice_placement_bind(seat->side->cpu, NULL);

	if (!rc)
		rc = seat->side->run(pair, seat->index, seat->arg);
	pair->errors[seat->index] = rc;
	if (rc)
		/* relaxed: a lone flag */
		atomic_store_explicit(&pair->cancelled, 1, memory_order_relaxed);
	return rc;
}

/* An error ends the process, and so the other threads wherever they wait. */
static void *thread_main(void *arg)
{
	if (run_side(arg))
		_exit(1);
	return NULL;
}

static int run_threads(struct seat *seats, uint32_t count)
{
	pthread_t threads[BENCH_SIDES_MAX];

	for (uint32_t i = 0; i < count; i++) {
		const int rc = pthread_create(&threads[i], NULL, thread_main, &seats[i]);

		if (rc) {
			seats->pair->errors[i] = -rc;
			return -rc;
		}
	}
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* In a group of its own: a Ctrl-C is the parent's business. */
static _Noreturn void become(struct seat *seats, uint32_t count, pid_t parent)
{
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	_exit((count == 1 ? run_side(seats) : run_threads(seats, count)) ? 1 : 0);
}

/* Ends all at once; the caller waits for them. */
static void cancel(struct bench_pair *pair, const pid_t *pids)
{
	/* relaxed: a lone flag */
	atomic_store_explicit(&pair->cancelled, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < pair->processes; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
}

/* Why the process that has ended did so, 0 if it ended well. Threads share one fate. */
static int error_of(const struct bench_pair *pair, uint32_t process, int status)
{
	const uint32_t first = pair->processes == 1 ? 0 : process;
	const uint32_t end = pair->processes == 1 ? pair->count : process + 1;
	int rc = 0;

	if (!status)
		return 0;
	for (uint32_t i = first; i < end && WIFEXITED(status); i++)
		if (pair->errors[i] && (!rc || rc == -ECANCELED))
			rc = pair->errors[i];
	return rc ? rc : -ECHILD;
}

/* Waits for the group, and for nobody else's children. */
static int wait_all(struct bench_pair *pair, pid_t *pids, pid_t group)
{
	uint32_t left = 0, ended = 0;
	int rc = 0, status;

	for (uint32_t i = 0; i < pair->processes; i++)
		left += pids[i] > 0;
	while (left) {
		const pid_t pid = waitpid(-group, &status, 0);

		if (pid < 0 && errno == EINTR) {
			if (sluice_signals_stop()) {
				cancel(pair, pids);
				rc = -EINTR;
			}
			continue;
		}
		if (pid < 0)
			return -errno;
		for (ended = 0; ended + 1 < pair->processes && pids[ended] != pid; ended++)
			;
		if (!rc) {
			rc = error_of(pair, ended, status);
			/* the one that was told to give up is not the one to blame */
			rc = rc == -ECANCELED ? 0 : rc;
		}
		pids[ended] = 0;
		left--;
		if (rc)
			cancel(pair, pids);
	}
	return rc;
}

static int start_all(struct bench_pair *pair, struct seat *seats, pid_t *pids)
{
	const pid_t parent = getpid();

	fflush(NULL);
	for (uint32_t i = 0; i < pair->processes; i++) {
		pids[i] = fork();
		if (!pids[i])
			become(&seats[i], pair->count / pair->processes, parent);
		if (pids[i] < 0)
			return -errno;
		setpgid(pids[i], pids[0]);
	}
	return 0;
}

static int run_all(const struct bench_side *sides, struct bench_pair *pair, void *arg,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct seat seats[BENCH_SIDES_MAX];
	pid_t pids[BENCH_SIDES_MAX] = {0};
	int rc, waited;

	for (uint32_t i = 0; i < pair->count; i++)
		seats[i] = (struct seat){&sides[i], pair, arg, i};
	rc = start_all(pair, seats, pids);
	if (rc)
		cancel(pair, pids);
	waited = wait_all(pair, pids, pids[0]);
	rc = rc ? rc : waited;
	if (rc && rc != -EINTR)
		sluice_diag_set(diag, -rc, "%s: %s%s%s failed: %s", scenario->name, sides[0].role,
				pair->count > 1 ? " or " : "",
				pair->count > 1 ? sides[pair->count - 1].role : "", strerror(-rc));
	for (uint32_t i = 0; i < pair->count && !rc; i++)
		bench_proof_add(scenario, sides[i].role, sides[i].cpu, &pair->proofs[i]);
	return rc;
}

static int run_in(const struct bench_side *sides, uint32_t count, bool threads, void *arg,
		  struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct bench_pair *pair = bench_shared_alloc(sizeof(*pair));
	int rc;

	sluice_assert(count >= 1 && count <= BENCH_SIDES_MAX);
	if (!pair)
		return sluice_diag_set(diag, ENOMEM, "no memory for the processes");
	pair->count = count;
	pair->processes = threads ? 1 : count;
	rc = run_all(sides, pair, arg, scenario, diag);
	bench_shared_free(pair, sizeof(*pair));
	return rc;
}

int bench_pair_run(const struct bench_side *sides, uint32_t count, void *arg,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	return run_in(sides, count, false, arg, scenario, diag);
}

int bench_threads_run(const struct bench_side *sides, uint32_t count, void *arg,
		      struct bench_scenario *scenario, struct sluice_diag *diag)
{
	return run_in(sides, count, true, arg, scenario, diag);
}

static int create(const char *name, uint64_t slot_count, uint32_t stride, uint32_t publication,
		  struct sluice_diag *diag)
{
	const struct sluice_segment_options options = {
		.name = name,
		.slot_count = slot_count,
		.slot_stride = stride,
		.publication = publication,
		.producer_mode = SLUICE_PRODUCER_SINGLE,
		.event_kind = SLUICE_EVENT_RAW,
		.numa_node = -1,
	};
	struct sluice_segment segment;
	int rc = sluice_segment_create(&segment, &options, diag);

	if (!rc)
		sluice_segment_close(&segment);
	return rc;
}

int bench_ring_create(const char *name, uint64_t slot_count, uint32_t stride,
		      struct sluice_diag *diag)
{
	return create(name, slot_count, stride, SLUICE_PUBLICATION_CURSOR, diag);
}

int bench_ring_create_stamped(const char *name, uint64_t slot_count, uint32_t stride,
			      struct sluice_diag *diag)
{
	return create(name, slot_count, stride, SLUICE_PUBLICATION_STAMPED, diag);
}

int bench_ring_attach(struct sluice_segment *ret_segment, const char *name)
{
	int rc = sluice_segment_attach(ret_segment, name, SLUICE_ACCESS_WRITE, NULL);

	if (rc)
		return rc;
	if (madvise(ret_segment->base, ret_segment->total_bytes, MADV_POPULATE_WRITE) &&
	    errno != EINVAL)
		return -errno;
	return 0;
}
