/* SPDX-License-Identifier: MIT */
/*
 * participant.h - entering and leaving a ring's participant table.
 *
 * An entry is owned by whoever holds its lock byte; the kernel frees the byte when the owner's
 * memory is gone, which is the only proof of death that anything here acts on. Cold path; any
 * thread; needs a writable attachment. Nothing blocks.
 */
#ifndef SLUICE_SHM_PARTICIPANT_H
#define SLUICE_SHM_PARTICIPANT_H

#include "shm/segment.h"

enum sluice_from { /* where a new consumer starts; one that comes back starts at its position */
	SLUICE_FROM_NEXT = 0,	  /* the next event to be published */
	SLUICE_FROM_BEGINNING = 1, /* the oldest event still in the ring */
	SLUICE_FROM_SEQUENCE = 2
};

struct sluice_participant_options {
	const char *name; /* [A-Za-z0-9._-], unique among critical consumers */
	uint32_t role;	  /* enum sluice_role */
	uint32_t policy;  /* consumers: enum sluice_policy */
	uint32_t wait;	  /* enum sluice_wait_strategy */
	uint32_t from;	  /* enum sluice_from */
	uint64_t sequence; /* for SLUICE_FROM_SEQUENCE */
	uint64_t lag_max;  /* evictable: 0 no limit */
	/*
	 * Consumers: NULL-terminated names of those that must have released an event first, as
	 * stages before this one. One that follows others starts at or behind their positions, and
	 * gates in their stead. NULL or empty: none.
	 */
	const char *const *after;
};

/* What a participant may be called, [A-Za-z0-9._-]{1,31}: else -EINVAL with the rule. */
int sluice_participant_check_name(const char *name, struct sluice_diag *diag);

/*
 * Takes an entry. A critical consumer whose name is already in the table and away comes back at its
 * saved position (*ret_resumed true). -EBUSY: a live participant has the name or, on a
 * single-producer ring, the producer's place. -EAGAIN: the table is full. -ERANGE: the sequence
 * asked for is not in the ring any more (or not yet), or the saved position is ahead of a stage to
 * be followed. -ENOENT: a stage to be followed is not there; -EINVAL: it cannot be followed. Needs
 * a writable attachment (-EACCES).
 */
SLUICE_API int sluice_participant_join(struct sluice_segment *segment,
				       const struct sluice_participant_options *options,
				       uint32_t *ret_index, bool *ret_resumed,
				       struct sluice_diag *diag);

/*
 * Gives the entry back. keep: a critical consumer's position goes on gating until it returns. Those
 * who follow one that has left get -ESTALE. One that follows others waits up to a second for the
 * table's lock; who has it is then left to hand over what it kept.
 */
SLUICE_API void sluice_participant_leave(struct sluice_segment *segment, uint32_t index, bool keep);

/*
 * Creates a critical consumer that is away: its position gates from `sequence` on until somebody
 * joins under this name. For the creator of a ring, before anything is published. 0 or -errno.
 */
SLUICE_API int sluice_participant_reserve(struct sluice_segment *segment, const char *name,
					  uint64_t sequence, struct sluice_diag *diag);

/*
 * Stops a consumer from gating for ever; it notices and gets -ESTALE. -ENOENT: no consumer there.
 * -EAGAIN: somebody is joining or evicting right now; call again.
 */
SLUICE_API int sluice_participant_evict(struct sluice_segment *segment, uint32_t index);

/* The same if the entry's state word, which has its generation, is still `state`. */
int sluice_participant_evict_if(struct sluice_segment *segment, uint32_t index, uint64_t state);

/* Evicts an evictable consumer that is dead or further behind `claim` than it may be: was it so? */
bool sluice_participant_evict_unfit(struct sluice_segment *segment, uint32_t index, uint64_t claim);

/* ------------------------------------------------------------------------------- stages */

/* All bits that stand for an entry of this segment. */
static inline uint64_t sluice_participant_bits(const struct sluice_segment *segment)
{
	return UINT64_MAX >> (SLUICE_PARTICIPANTS_MAX - segment->header.participant_count);
}

/* The least position of the consumers in `follows`, of which there must be one. Any thread. */
uint64_t sluice_stage_limit(const struct sluice_segment *segment, uint64_t follows);

/* Those of `follows` that have left or were evicted; not one that is away or dead. Any thread. */
uint64_t sluice_stage_gone(const struct sluice_segment *segment, uint64_t follows);

/* A checked copy of one entry, for tools: torn or absurd content gives false. Read-only will do. */
struct sluice_participant_view {
	uint32_t index;
	uint32_t state; /* enum sluice_participant_state */
	uint64_t generation;
	uint32_t role;
	uint32_t policy;
	uint32_t pid;
	uint32_t wait;
	uint64_t position;
	uint64_t claim_record;
	uint64_t start_ticks; /* with the pid and its namespace, a process: sluice_proc_look */
	uint64_t pidns;
	uint64_t joined_realtime_ns;
	uint64_t lag_max;
	int32_t alive; /* 1 holds its byte, 0 does not, -1 cannot tell */
	uint32_t gating;
	uint64_t follows; /* bit i: reads only what entry i has released */
	int32_t cpu; /* pinned to, -1 none */
	char name[SLUICE_PARTICIPANT_NAME_BYTES];
	uint64_t events, batches, polls, empty_polls, sleeps, full_waits, progress_ns, lag_high;
	uint64_t gaps, voids;
	uint64_t stalled_ns; /* CLOCK_MONOTONIC; see struct sluice_participant */
	uint64_t failed;
};
SLUICE_API bool sluice_participant_view(const struct sluice_segment *segment, uint32_t index,
					struct sluice_participant_view *ret_view);

/* Number of live participants of a role; -errno if liveness cannot be asked. */
SLUICE_API int sluice_participant_count(const struct sluice_segment *segment, uint32_t role);

#endif
