/* SPDX-License-Identifier: MIT */
/*
 * participant.c - see participant.h. A crash in here leaves an entry in JOINING with its byte free:
 * the next joiner takes it over, and a producer that it holds back evicts it (ring.c).
 *
 * A bit of control.gating has no generation. Whoever clears another's bit must therefore know that
 * no newcomer has set it again: entries are taken, and owners evicted, under the table's lock only,
 * which is the recoverer's byte. Leaving needs no lock: the own byte keeps newcomers out meanwhile.
 *
 * sync pairs of this file:
 *   entry:active -> view:state		identity before the state that makes it readable
 *   join:gating -> gate:bits		position before the bit (ring.c)
 *   join:membership -> gate:membership	the bit before the change is announced (producer.c)
 *   claim:dekker -> place:claim	a claim that did not see the newcomer is seen by it
 */
#include "shm/participant.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/proc.h"
#include "shm/ring.h"
#include "shm/wait.h"

/* A joiner waits this long for another one, which takes microseconds unless it is stopped. */
#define TABLE_TRIES 1000u
#define TABLE_NAP_NS 1000000u

/* One at a time in this process: lock bytes do not conflict within one descriptor. */
static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;

static int table_try_lock(const struct sluice_segment *segment)
{
	int rc;

	pthread_mutex_lock(&table_mutex);
	rc = sluice_liveness_hold(segment, SLUICE_LOCK_RECOVERER);
	if (rc)
		pthread_mutex_unlock(&table_mutex);
	return rc;
}

static int table_lock(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct timespec nap = {.tv_nsec = TABLE_NAP_NS};
	int rc = table_try_lock(segment);

	for (uint32_t i = 0; rc == -EAGAIN && i < TABLE_TRIES; i++) {
		nanosleep(&nap, NULL);
		rc = table_try_lock(segment);
	}
	if (rc == -EAGAIN)
		return sluice_diag_set(diag, EBUSY, "%s: another participant stopped while joining",
				       segment->header.name);
	if (rc)
		return sluice_diag_set(diag, -rc, "%s: cannot lock the participant table: %s",
				       segment->header.name, strerror(-rc));
	return 0;
}

static void table_unlock(const struct sluice_segment *segment)
{
	sluice_liveness_release(segment, SLUICE_LOCK_RECOVERER);
	pthread_mutex_unlock(&table_mutex);
}

static uint64_t entry_state(const struct sluice_participant *entry)
{
	/* sync: view:state <- entry:active; the identity that goes with the state */
	return atomic_load_explicit(&entry->state, memory_order_acquire);
}

static void entry_set(struct sluice_participant *entry, uint64_t generation, uint32_t state)
{
	/* sync: entry:active -> view:state; identity before the state */
	atomic_store_explicit(&entry->state,
			      generation << SLUICE_PARTICIPANT_GENERATION_SHIFT | state,
			      memory_order_release);
}

static bool is_critical(const struct sluice_participant *entry)
{
	/* relaxed: identity, read under the table's lock */
	return atomic_load_explicit(&entry->policy, memory_order_relaxed) == SLUICE_POLICY_CRITICAL;
}

static bool name_is(const struct sluice_participant *entry, const char *name)
{
	return !strncmp(entry->name, name, sizeof(entry->name));
}

static int check_name(const char *name, struct sluice_diag *diag)
{
	const size_t length = name ? strlen(name) : 0;

	if (length && length < SLUICE_PARTICIPANT_NAME_BYTES &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		    length)
		return 0;
	return sluice_diag_set(diag, EINVAL,
			       "participant name \"%s\" is not 1 to %d of letters, digits, . _ -",
			       name ? name : "", SLUICE_PARTICIPANT_NAME_BYTES - 1);
}

/* The one CPU that this thread may run on; -1: it has a choice. */
static int32_t pinned_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) != 1)
		return -1;
	for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			return cpu;
	return -1;
}

static void entry_fill(struct sluice_participant *entry,
		       const struct sluice_participant_options *options)
{
	entry->role = options->role;
	/* relaxed: identity, published by the state */
	atomic_store_explicit(&entry->policy, options->policy, memory_order_relaxed);
	entry->pid = (uint32_t)getpid();
	entry->uid = (uint32_t)getuid();
	if (sluice_proc_start_ticks(getpid(), &entry->start_ticks))
		entry->start_ticks = 0;
	if (sluice_proc_pid_namespace(&entry->pidns))
		entry->pidns = 0;
	if (getrandom(&entry->incarnation, sizeof(entry->incarnation), 0) < 0)
		entry->incarnation = sluice_clock_ns();
	entry->joined_realtime_ns = sluice_clock_realtime_ns();
	/* relaxed: as the policy */
	atomic_store_explicit(&entry->lag_max, options->lag_max, memory_order_relaxed);
	entry->wait = options->wait;
	entry->cpu = pinned_cpu();
	memset(entry->name, 0, sizeof(entry->name));
	memcpy(entry->name, options->name, strlen(options->name));
	/* relaxed: nobody reads them before the state says ACTIVE */
	atomic_store_explicit(&entry->claim_record, SLUICE_CLAIM_IDLE, memory_order_relaxed);
	for (_Atomic uint64_t *word = &entry->events; word <= &entry->voids; word++)
		atomic_store_explicit(word, 0, memory_order_relaxed); /* relaxed: as above */
}

/* May a newcomer have this entry, given that its byte is free? */
static bool entry_is_free(const struct sluice_participant *entry)
{
	switch (entry_state(entry) & SLUICE_PARTICIPANT_STATE_MASK) {
	case SLUICE_PARTICIPANT_FREE:
	case SLUICE_PARTICIPANT_JOINING:
	case SLUICE_PARTICIPANT_EVICTED:
		return true;
	case SLUICE_PARTICIPANT_ACTIVE:
		/* dead: what it held open must not be lost with the entry */
		return entry->role == SLUICE_ROLE_CONSUMER ?
			       !is_critical(entry) :
			       atomic_load_explicit(&entry->claim_record, memory_order_relaxed) ==
				       SLUICE_CLAIM_IDLE; /* relaxed: its owner is dead */
	default:
		return false;
	}
}

static void gating_set(struct sluice_segment *segment, uint32_t index, bool gates)
{
	struct sluice_control *control = segment->control;

	if (gates)
		/* sync: join:gating -> gate:bits; position before the bit */
		atomic_fetch_or_explicit(&control->gating, 1ull << index, memory_order_seq_cst);
	else
		/* sync: join:gating -> gate:bits; the same word */
		atomic_fetch_and_explicit(&control->gating, ~(1ull << index), memory_order_seq_cst);
	/* sync: join:membership -> gate:membership; the bit before its announcement */
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_seq_cst);
	sluice_wake(segment, &control->producer_sleepers);
}

/* Every registered producer has passed a fence: its claim is visible, its next look is fresh. */
static bool barrier(void)
{
	/* sync: place:claim <- claim:dekker; what was claimed before is seen after it */
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

/* First sequence that is not published; what is before it and in the ring can be read. */
static uint64_t published_end(const struct sluice_ring *ring)
{
	if (!ring->stamped)
		/* sync: ring:cursor <- publish:cursor; the events before the cursor */
		return atomic_load_explicit(&ring->control->cursor, memory_order_acquire);
	/* a claim that has not seen us yet may be published meanwhile: two rings at most */
	return sluice_ring_published(ring, sluice_ring_oldest(ring), 2 * ring->slot_count);
}

static int not_in_ring(const struct sluice_ring *ring, uint64_t wanted, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, ERANGE, "%s: sequence %llu is not in the ring (it holds %llu "
			       "up to %llu)", ring->segment->header.name, (unsigned long long)wanted,
			       (unsigned long long)sluice_ring_oldest(ring),
			       (unsigned long long)published_end(ring));
}

static bool holds(const struct sluice_ring *ring, uint64_t sequence)
{
	const uint64_t oldest = sluice_ring_oldest(ring);

	return sequence - oldest <= published_end(ring) - oldest;
}

/*
 * Chooses the position of a new consumer. A gating one sets its bit first: while its entry says
 * JOINING it holds producers back, whatever its position says. Then
 *
 *	producer (try_claim)                    newcomer
 *	store claim                             set bit, bump membership
 *	  -- no fence --                        membarrier(GLOBAL_EXPEDITED)
 *	load membership                         load claim
 *
 * so either the claim is seen here, and decides what is still in the ring, or the producer sees the
 * newcomer and looks at its position before it writes a slot. The first unpublished sequence needs
 * none of this: no producer claims more than a ring beyond it.
 */
static int consumer_place(struct sluice_segment *segment, uint32_t index,
			  const struct sluice_participant_options *options,
			  struct sluice_diag *diag)
{
	struct sluice_participant *entry = &segment->participants[index];
	const bool gates = options->policy != SLUICE_POLICY_LOSSY;
	struct sluice_ring ring;
	uint64_t wanted;

	sluice_ring_init(&ring, segment);
	wanted = options->from == SLUICE_FROM_SEQUENCE ? options->sequence : published_end(&ring);
	if (options->from == SLUICE_FROM_SEQUENCE && !holds(&ring, wanted))
		return not_in_ring(&ring, wanted, diag);
	/* relaxed: published by the bit below */
	atomic_store_explicit(&entry->position, wanted, memory_order_relaxed);
	if (gates)
		gating_set(segment, index, true);
	if (gates && !barrier() && options->from != SLUICE_FROM_NEXT) {
		gating_set(segment, index, false);
		return sluice_diag_set(diag, ENOSYS, "%s: joining behind the newest event needs "
				       "membarrier, which is refused here", segment->header.name);
	}
	if (options->from == SLUICE_FROM_BEGINNING)
		wanted = sluice_ring_oldest(&ring);
	else if (options->from == SLUICE_FROM_NEXT)
		wanted = published_end(&ring);
	else if (!holds(&ring, wanted)) {
		if (gates)
			gating_set(segment, index, false);
		return not_in_ring(&ring, wanted, diag);
	}
	/* sync: release:position -> gate:position; a higher position only frees slots */
	atomic_store_explicit(&entry->position, wanted, memory_order_release);
	return 0;
}

/* The entry of a critical consumer with this name, or -ENOENT. */
static int find_critical(const struct sluice_segment *segment, const char *name)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		const struct sluice_participant *entry = &segment->participants[i];
		const uint64_t state = entry_state(entry) & SLUICE_PARTICIPANT_STATE_MASK;

		if ((state == SLUICE_PARTICIPANT_ACTIVE || state == SLUICE_PARTICIPANT_DETACHED) &&
		    entry->role == SLUICE_ROLE_CONSUMER &&
		    is_critical(entry) && name_is(entry, name))
			return (int)i;
	}
	return -ENOENT;
}

static int take_free(struct sluice_segment *segment, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_participant *entry = &segment->participants[i];
		const bool was_private = segment->lock_fd < 0;

		/* without lock bytes (private segments) only an entry given back is free */
		if (was_private && (entry_state(entry) & SLUICE_PARTICIPANT_STATE_MASK) !=
					   SLUICE_PARTICIPANT_FREE)
			continue;
		if (sluice_liveness_hold(segment, i))
			continue;
		if (entry_is_free(entry)) {
			*ret_index = i;
			return 0;
		}
		sluice_liveness_release(segment, i);
	}
	return -EAGAIN;
}

static int join_new(struct sluice_segment *segment,
		    const struct sluice_participant_options *options, uint32_t *ret_index,
		    struct sluice_diag *diag)
{
	struct sluice_participant *entry;
	uint64_t generation;
	uint32_t index;
	int rc = take_free(segment, &index);

	if (rc)
		return sluice_diag_set(diag, EAGAIN, "%s: all %u participant entries are taken",
				       segment->header.name, segment->header.participant_count);
	entry = &segment->participants[index];
	generation = (entry_state(entry) >> SLUICE_PARTICIPANT_GENERATION_SHIFT) + 1;
	/* a dead predecessor of the entry may still gate; under the table's lock */
	gating_set(segment, index, false);
	entry_set(entry, generation, SLUICE_PARTICIPANT_JOINING);
	entry_fill(entry, options);
	if (options->role == SLUICE_ROLE_CONSUMER) {
		rc = consumer_place(segment, index, options, diag);
		if (rc) {
			entry_set(entry, generation, SLUICE_PARTICIPANT_FREE);
			sluice_liveness_release(segment, index);
			return rc;
		}
	}
	entry_set(entry, generation, SLUICE_PARTICIPANT_ACTIVE);
	/* a producer that looked while the position was too old may sleep */
	sluice_wake(segment, &segment->control->producer_sleepers);
	*ret_index = index;
	return 0;
}

static int join_again(struct sluice_segment *segment, uint32_t index,
		      const struct sluice_participant_options *options, struct sluice_diag *diag)
{
	struct sluice_participant *entry = &segment->participants[index];
	const uint64_t state = entry_state(entry);
	const uint64_t generation = state >> SLUICE_PARTICIPANT_GENERATION_SHIFT;

	if ((segment->lock_fd < 0 &&
	     (state & SLUICE_PARTICIPANT_STATE_MASK) == SLUICE_PARTICIPANT_ACTIVE) ||
	    sluice_liveness_hold(segment, index)) {
		sluice_diag_set(diag, EBUSY, "%s: consumer \"%s\" is running already (pid %u)",
				segment->header.name, options->name, entry->pid);
		return -EBUSY;
	}
	entry_fill(entry, options);
	entry_set(entry, generation + 1, SLUICE_PARTICIPANT_ACTIVE);
	/* it may have died between its position and its bit, or have been reserved only */
	gating_set(segment, index, true);
	return 0;
}

int sluice_participant_join(struct sluice_segment *segment,
			    const struct sluice_participant_options *options, uint32_t *ret_index,
			    bool *ret_resumed, struct sluice_diag *diag)
{
	uint32_t index = 0;
	bool resumed = false;
	int rc = check_name(options->name, diag);

	if (rc)
		return rc;
	if (!segment->writable)
		return sluice_diag_set(diag, EACCES, "%s: attached read-only",
				       segment->header.name);
	sluice_barrier_register();
	rc = table_lock(segment, diag);
	if (rc)
		return rc;
	rc = options->role == SLUICE_ROLE_CONSUMER && options->policy == SLUICE_POLICY_CRITICAL ?
		     find_critical(segment, options->name) :
		     -ENOENT;
	if (rc >= 0) {
		index = (uint32_t)rc;
		resumed = true;
		rc = join_again(segment, index, options, diag);
	} else {
		rc = join_new(segment, options, &index, diag);
	}
	table_unlock(segment);
	if (rc)
		return rc;
	*ret_index = index;
	if (ret_resumed)
		*ret_resumed = resumed;
	return 0;
}

/* From ACTIVE only: an evictor may have come first, and its verdict stands. */
static bool entry_leave(struct sluice_participant *entry, uint32_t to)
{
	uint64_t state = entry_state(entry);
	const uint64_t left = (state & ~SLUICE_PARTICIPANT_STATE_MASK) | to;

	if ((state & SLUICE_PARTICIPANT_STATE_MASK) != SLUICE_PARTICIPANT_ACTIVE)
		return false;
	/* sync: entry:active -> view:state; the last use of the entry before it is given up */
	return atomic_compare_exchange_strong_explicit(&entry->state, &state, left,
						       memory_order_acq_rel, memory_order_relaxed);
}

void sluice_participant_leave(struct sluice_segment *segment, uint32_t index, bool keep)
{
	struct sluice_participant *entry = &segment->participants[index];
	bool left;

	sluice_assert(index < segment->header.participant_count);
	if (keep && entry->role == SLUICE_ROLE_CONSUMER &&
	    is_critical(entry)) {
		left = entry_leave(entry, SLUICE_PARTICIPANT_DETACHED);
	} else {
		gating_set(segment, index, false);
		left = entry_leave(entry, SLUICE_PARTICIPANT_FREE);
	}
	if (!left && !table_try_lock(segment)) {
		/* evicted, and the evictor is done with the bit: nobody knows the entry any more */
		if ((entry_state(entry) & SLUICE_PARTICIPANT_STATE_MASK) ==
		    SLUICE_PARTICIPANT_EVICTED)
			entry_set(entry, entry_state(entry) >> SLUICE_PARTICIPANT_GENERATION_SHIFT,
				  SLUICE_PARTICIPANT_FREE);
		table_unlock(segment);
	}
	sluice_liveness_release(segment, index);
}

int sluice_participant_reserve(struct sluice_segment *segment, const char *name, uint64_t sequence,
			       struct sluice_diag *diag)
{
	const struct sluice_participant_options options = {
		.name = name, .role = SLUICE_ROLE_CONSUMER, .policy = SLUICE_POLICY_CRITICAL,
		.from = SLUICE_FROM_SEQUENCE, .sequence = sequence,
	};
	uint32_t index;
	int rc = sluice_participant_join(segment, &options, &index, NULL, diag);

	if (rc)
		return rc;
	sluice_participant_leave(segment, index, true);
	return 0;
}

/* Under the table's lock, so an entry in JOINING is one whose joiner has died. */
static int evict_locked(struct sluice_segment *segment, uint32_t index, uint64_t state)
{
	struct sluice_participant *entry = &segment->participants[index];
	const uint64_t evicted =
		(state & ~SLUICE_PARTICIPANT_STATE_MASK) | SLUICE_PARTICIPANT_EVICTED;

	switch (state & SLUICE_PARTICIPANT_STATE_MASK) {
	case SLUICE_PARTICIPANT_ACTIVE:
	case SLUICE_PARTICIPANT_DETACHED:
	case SLUICE_PARTICIPANT_JOINING:
		if (entry->role != SLUICE_ROLE_CONSUMER)
			return -ENOENT;
		/* sync: entry:active -> view:state; evicted before its slots are rewritten */
		if (!atomic_compare_exchange_strong_explicit(&entry->state, &state, evicted,
							     memory_order_seq_cst,
							     memory_order_relaxed))
			return -ENOENT;
		break;
	case SLUICE_PARTICIPANT_EVICTED: /* by somebody who died before the bit was cleared */
		if (entry_state(entry) != state)
			return -ENOENT;
		break;
	default:
		return -ENOENT;
	}
	gating_set(segment, index, false);
	return 0;
}

int sluice_participant_evict_if(struct sluice_segment *segment, uint32_t index, uint64_t state)
{
	int rc;

	if (index >= segment->header.participant_count)
		return -ENOENT;
	rc = table_try_lock(segment);
	if (rc)
		return rc;
	rc = evict_locked(segment, index, state);
	table_unlock(segment);
	return rc;
}

int sluice_participant_evict(struct sluice_segment *segment, uint32_t index)
{
	if (index >= segment->header.participant_count)
		return -ENOENT;
	return sluice_participant_evict_if(segment, index,
					   entry_state(&segment->participants[index]));
}
