/* SPDX-License-Identifier: MIT */
/*
 * participant.c - see participant.h. A crash in here leaves an entry in JOINING with its byte free:
 * the next joiner takes it over, and a producer that it holds back evicts it (ring.c).
 *
 * A bit of control.gating has no generation. Whoever clears another's bit must therefore know that
 * no newcomer has set it again: entries are taken, and owners evicted, under the table's lock only,
 * which is the recoverer's byte. Leaving needs no lock of one that follows nobody: the own byte
 * keeps newcomers out meanwhile. EVICTED is also what a leaver's entry says until its bit is
 * cleared: if it dies in between, whoever evicts goes on. participant_stage.c: rules of stages.
 *
 * sync pairs of this file:
 *   entry:active -> view:state		identity before the state that makes it readable
 */
#include "shm/participant_internal.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/failpoint.h"
#include "shm/proc.h"
#include "shm/recovery.h"
#include "shm/table.h"
#include "shm/wait.h"

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

int sluice_participant_check_name(const char *name, struct sluice_diag *diag)
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
		       const struct sluice_participant_options *options, uint64_t follows)
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
	/* relaxed, both: as the policy */
	atomic_store_explicit(&entry->follows, follows, memory_order_relaxed);
	atomic_store_explicit(&entry->lag_max, options->lag_max, memory_order_relaxed);
	entry->wait = options->wait;
	entry->cpu = pinned_cpu();
	memset(entry->name, 0, sizeof(entry->name));
	memcpy(entry->name, options->name, strlen(options->name));
	/* relaxed: nobody reads them before the state says ACTIVE */
	atomic_store_explicit(&entry->claim_record, SLUICE_CLAIM_IDLE, memory_order_relaxed);
	for (_Atomic uint64_t *word = &entry->events; word <= &entry->failed; word++)
		atomic_store_explicit(word, 0, memory_order_relaxed); /* relaxed: as above */
}

/* May a newcomer have this entry, given that its byte is free? */
static bool entry_is_free(const struct sluice_participant *entry)
{
	switch (sluice_entry_state(entry)) {
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

/* The entry of a critical consumer with this name, or -ENOENT. */
static int find_critical(const struct sluice_segment *segment, const char *name)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		const struct sluice_participant *entry = &segment->participants[i];

		if (sluice_entry_is_present(entry) && entry->role == SLUICE_ROLE_CONSUMER &&
		    is_critical(entry) && sluice_entry_is_named(entry, name))
			return (int)i;
	}
	return -ENOENT;
}

/* What died in this entry may still gate, for others as well; or has handed its bit over. */
static void clear_predecessor(struct sluice_segment *segment, uint32_t index)
{
	struct sluice_participant *entry = &segment->participants[index];
	/* relaxed: changed by whoever holds the entry, which we do, or the table's lock */
	const uint64_t bits = atomic_load_explicit(&segment->control->gating, memory_order_relaxed);

	if (!(bits >> index & 1))
		return;
	entry_set(entry, sluice_entry_word(entry) >> SLUICE_PARTICIPANT_GENERATION_SHIFT,
		  SLUICE_PARTICIPANT_EVICTED);
	sluice_stage_hand_over(segment, index);
}

static int find_free(struct sluice_segment *segment, uint32_t *ret_index)
{
	const uint64_t pinned = sluice_stage_pinned(segment);

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_participant *entry = &segment->participants[i];
		const bool was_private = segment->lock_fd < 0;

		/* without lock bytes (private segments) only an entry given back is free */
		if (pinned >> i & 1 ||
		    (was_private && sluice_entry_state(entry) != SLUICE_PARTICIPANT_FREE))
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

static int take_free(struct sluice_segment *segment, uint32_t *ret_index, struct sluice_diag *diag)
{
	int rc = find_free(segment, ret_index);

	/* entries of dead producers are given back with what they had claimed */
	if (rc && sluice_recover_locked(segment) >= 0)
		rc = find_free(segment, ret_index);
	if (rc)
		return sluice_diag_set(diag, EAGAIN, "%s: all %u participant entries are taken",
				       segment->header.name, segment->header.participant_count);
	return 0;
}

static int join_new(struct sluice_segment *segment,
		    const struct sluice_participant_options *options, uint32_t *ret_index,
		    struct sluice_diag *diag)
{
	struct sluice_participant *entry;
	uint64_t generation, follows;
	uint32_t index;
	int rc = sluice_stage_find(segment, SLUICE_PARTICIPANT_NONE, options, &follows, diag);

	if (!rc)
		rc = take_free(segment, &index, diag);
	if (rc)
		return rc;
	entry = &segment->participants[index];
	generation = (sluice_entry_word(entry) >> SLUICE_PARTICIPANT_GENERATION_SHIFT) + 1;
	clear_predecessor(segment, index);
	entry_set(entry, generation, SLUICE_PARTICIPANT_JOINING);
	SLUICE_FAILPOINT(J1);
	entry_fill(entry, options, follows);
	if (options->role == SLUICE_ROLE_CONSUMER) {
		rc = sluice_place_choose(segment, index, options, follows, diag);
		if (rc) {
			entry_set(entry, generation, SLUICE_PARTICIPANT_FREE);
			sluice_liveness_release(segment, index);
			return rc;
		}
	}
	entry_set(entry, generation, SLUICE_PARTICIPANT_ACTIVE);
	sluice_stage_tidy(segment, follows);
	/* a producer that looked while the position was too old may sleep */
	sluice_wake(segment, &segment->control->producer_sleepers);
	*ret_index = index;
	return 0;
}

/* One that comes back must not be ahead of those it follows: its bit stands for theirs. */
static int check_behind(const struct sluice_segment *segment, uint32_t index,
			const struct sluice_participant_options *options, uint64_t follows,
			struct sluice_diag *diag)
{
	/* relaxed: its owner is away, and its byte is ours */
	const uint64_t position = atomic_load_explicit(&segment->participants[index].position,
						       memory_order_relaxed);
	uint64_t limit;

	if (!follows)
		return 0;
	limit = sluice_stage_limit(segment, follows);
	if ((int64_t)(limit - position) >= 0)
		return 0;
	return sluice_diag_set(diag, ERANGE, "%s: \"%s\" has read up to %llu, and a stage that it "
			       "shall follow only up to %llu", segment->header.name, options->name,
			       (unsigned long long)position, (unsigned long long)limit);
}

static int join_again(struct sluice_segment *segment, uint32_t index,
		      const struct sluice_participant_options *options, struct sluice_diag *diag)
{
	struct sluice_participant *entry = &segment->participants[index];
	const uint64_t state = sluice_entry_word(entry);
	const uint64_t generation = state >> SLUICE_PARTICIPANT_GENERATION_SHIFT;
	uint64_t follows, kept;
	int rc = sluice_stage_find(segment, index, options, &follows, diag);

	if (rc)
		return rc;
	if ((segment->lock_fd < 0 &&
	     (state & SLUICE_PARTICIPANT_STATE_MASK) == SLUICE_PARTICIPANT_ACTIVE) ||
	    sluice_liveness_hold(segment, index)) {
		sluice_diag_set(diag, EBUSY, "%s: consumer \"%s\" is running already (pid %u)",
				segment->header.name, options->name, entry->pid);
		return -EBUSY;
	}
	rc = check_behind(segment, index, options, follows, diag);
	if (rc) {
		sluice_liveness_release(segment, index);
		return rc;
	}
	/* those it followed before gate again, and so does it, whatever its bit has been through */
	kept = sluice_stage_keep(segment, index);
	sluice_gating_change(segment, 1ull << index, 0);
	entry_fill(entry, options, follows);
	entry_set(entry, generation + 1, SLUICE_PARTICIPANT_ACTIVE);
	/* until the new line is drawn */
	sluice_stage_tidy(segment, kept | follows | 1ull << index);
	return 0;
}

int sluice_participant_join(struct sluice_segment *segment,
			    const struct sluice_participant_options *options, uint32_t *ret_index,
			    bool *ret_resumed, struct sluice_diag *diag)
{
	uint32_t index = 0;
	bool resumed = false;
	int rc = sluice_participant_check_name(options->name, diag);

	if (rc)
		return rc;
	if (!segment->writable)
		return sluice_diag_set(diag, EACCES, "%s: attached read-only",
				       segment->header.name);
	sluice_barrier_announce(segment);
	rc = sluice_table_lock(segment, diag);
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
	sluice_table_unlock(segment);
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
	uint64_t state = sluice_entry_word(entry);
	const uint64_t left = (state & ~SLUICE_PARTICIPANT_STATE_MASK) | to;

	if ((state & SLUICE_PARTICIPANT_STATE_MASK) != SLUICE_PARTICIPANT_ACTIVE)
		return false;
	/* sync: entry:active -> view:state; the last use of the entry, before its bit is cleared */
	return atomic_compare_exchange_strong_explicit(&entry->state, &state, left,
						       memory_order_seq_cst, memory_order_relaxed);
}

static void leave_for_good(struct sluice_segment *segment, uint32_t index)
{
	struct sluice_participant *entry = &segment->participants[index];
	/* relaxed: own word */
	const bool follows = atomic_load_explicit(&entry->follows, memory_order_relaxed);
	const bool locked = follows && !sluice_table_lock(segment, NULL);

	entry_leave(entry, SLUICE_PARTICIPANT_EVICTED);
	if (follows && !locked) /* whoever evicts it, or takes its entry, hands over */
		return;
	if (follows)
		sluice_stage_hand_over(segment, index);
	else
		sluice_gating_change(segment, 0, 1ull << index);
	/* an evictor that is at it knows that nobody can take the entry before it is done */
	entry_set(entry, sluice_entry_word(entry) >> SLUICE_PARTICIPANT_GENERATION_SHIFT,
		  SLUICE_PARTICIPANT_FREE);
	if (locked)
		sluice_table_unlock(segment);
}

void sluice_participant_leave(struct sluice_segment *segment, uint32_t index, bool keep)
{
	struct sluice_participant *entry = &segment->participants[index];

	sluice_assert(index < segment->header.participant_count);
	if (!keep || entry->role != SLUICE_ROLE_CONSUMER || !is_critical(entry) ||
	    !entry_leave(entry, SLUICE_PARTICIPANT_DETACHED))
		leave_for_good(segment, index);
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
		if (sluice_entry_word(entry) != state)
			return -ENOENT;
		break;
	default:
		return -ENOENT;
	}
	sluice_stage_hand_over(segment, index);
	/* it may be asleep itself */
	sluice_wake_participant(segment, index);
	return 0;
}

int sluice_participant_evict_if(struct sluice_segment *segment, uint32_t index, uint64_t state)
{
	int rc;

	if (index >= segment->header.participant_count)
		return -ENOENT;
	rc = sluice_table_try_lock(segment);
	if (rc)
		return rc;
	rc = evict_locked(segment, index, state);
	sluice_table_unlock(segment);
	return rc;
}

int sluice_participant_evict(struct sluice_segment *segment, uint32_t index)
{
	if (index >= segment->header.participant_count)
		return -ENOENT;
	return sluice_participant_evict_if(segment, index,
					   sluice_entry_word(&segment->participants[index]));
}

bool sluice_participant_evict_unfit(struct sluice_segment *segment, uint32_t index, uint64_t claim)
{
	const struct sluice_participant *entry = &segment->participants[index];
	const uint64_t state = sluice_entry_word(entry);
	uint64_t lag, lag_max;

	/* relaxed, all: only compared; the eviction itself is bound to the state read above */
	if ((state & SLUICE_PARTICIPANT_STATE_MASK) != SLUICE_PARTICIPANT_ACTIVE ||
	    atomic_load_explicit(&entry->policy, memory_order_relaxed) != SLUICE_POLICY_EVICTABLE)
		return false;
	lag = claim - atomic_load_explicit(&entry->position, memory_order_relaxed);
	lag_max = atomic_load_explicit(&entry->lag_max, memory_order_relaxed);
	if ((!lag_max || lag <= lag_max) && sluice_liveness_probe(segment, index) != 0)
		return false;
	return !sluice_participant_evict_if(segment, index, state);
}
