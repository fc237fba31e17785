/* SPDX-License-Identifier: MIT */
/*
 * pair.c - see pair.h. The parent's thread and, between fork and _exit, the two children's.
 *
 * sync pairs of this file:
 *   start:arrived -> start:both	what a side has set up is there when the other begins
 */
#include "bench/pair.h"

#include <errno.h>
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
	uint32_t count;
	struct bench_proof proofs[2];
	int errors[2];
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

/* In a group of its own: a Ctrl-C is the parent's business. */
static _Noreturn void become(const struct bench_side *side, uint32_t i, struct bench_pair *pair,
			     void *arg, pid_t parent)
{
	int rc;

	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	rc = sluice_placement_bind(side->cpu, NULL);
	if (!rc)
		rc = side->run(pair, i, arg);
	pair->errors[i] = rc;
	if (rc)
		/* relaxed: a lone flag */
		atomic_store_explicit(&pair->cancelled, 1, memory_order_relaxed);
	_exit(rc ? 1 : 0);
}

/* Ends all at once; the caller waits for them. */
static void cancel(struct bench_pair *pair, const pid_t pids[2])
{
	/* relaxed: a lone flag */
	atomic_store_explicit(&pair->cancelled, 1, memory_order_relaxed);
	for (int i = 0; i < 2; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
}

/* The error of the side that has ended, 0 if it ended well. */
static int error_of(const struct bench_pair *pair, const pid_t pids[2], pid_t pid, int status)
{
	for (int i = 0; i < 2; i++)
		if (pids[i] == pid && status)
			return WIFEXITED(status) && pair->errors[i] ? pair->errors[i] : -ECHILD;
	return 0;
}

/* Waits for the group, and for nobody else's children. */
static int wait_all(struct bench_pair *pair, pid_t pids[2], pid_t group)
{
	int left = (pids[0] > 0) + (pids[1] > 0), rc = 0, status;

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
		if (!rc) {
			rc = error_of(pair, pids, pid, status);
			/* the one that was told to give up is not the one to blame */
			rc = rc == -ECANCELED ? 0 : rc;
		}
		pids[pid == pids[1]] = 0;
		left--;
		if (rc)
			cancel(pair, pids);
	}
	return rc;
}

static int start_all(const struct bench_side *sides, struct bench_pair *pair, void *arg,
		     pid_t pids[2])
{
	const pid_t parent = getpid();

	fflush(NULL);
	for (uint32_t i = 0; i < pair->count; i++) {
		pids[i] = fork();
		if (!pids[i])
			become(&sides[i], i, pair, arg, parent);
		if (pids[i] < 0)
			return -errno;
		setpgid(pids[i], pids[0]);
	}
	return 0;
}

int bench_pair_run(const struct bench_side *sides, uint32_t count, void *arg,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct bench_pair *pair = bench_shared_alloc(sizeof(*pair));
	pid_t pids[2] = {0};
	int rc, waited;

	sluice_assert(count == 1 || count == 2);
	if (!pair)
		return sluice_diag_set(diag, ENOMEM, "no memory for two processes");
	pair->count = count;
	rc = start_all(sides, pair, arg, pids);
	if (rc)
		cancel(pair, pids);
	waited = wait_all(pair, pids, pids[0]);
	rc = rc ? rc : waited;
	if (rc && rc != -EINTR)
		sluice_diag_set(diag, -rc, "%s: %s%s%s failed: %s", scenario->name, sides[0].role,
				count > 1 ? " or " : "", count > 1 ? sides[1].role : "",
				strerror(-rc));
	for (uint32_t i = 0; i < count && !rc; i++)
		bench_proof_add(scenario, sides[i].role, sides[i].cpu, &pair->proofs[i]);
	bench_shared_free(pair, sizeof(*pair));
	return rc;
}

int bench_ring_create(const char *name, uint64_t slot_count, uint32_t stride,
		      struct sluice_diag *diag)
{
	const struct sluice_segment_options options = {
		.name = name,
		.slot_count = slot_count,
		.slot_stride = stride,
		.publication = SLUICE_PUBLICATION_CURSOR,
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
