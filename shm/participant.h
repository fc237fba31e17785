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
};

/*
 * Takes an entry. A critical consumer whose name is already in the table and away comes back at its
 * saved position (*ret_resumed true). -EBUSY: a live participant has the name or, on a
 * single-producer ring, the producer's place. -EAGAIN: the table is full. -ERANGE: the sequence
 * asked for is not in the ring any more (or not yet). Needs a writable attachment (-EACCES).
 */
SLUICE_API int sluice_participant_join(struct sluice_segment *segment,
				       const struct sluice_participant_options *options,
				       uint32_t *ret_index, bool *ret_resumed,
				       struct sluice_diag *diag);

/*
 * Gives the entry back. keep: a critical consumer's position goes on gating until it returns.
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
	uint64_t joined_realtime_ns;
	uint64_t lag_max;
	int32_t alive; /* 1 holds its byte, 0 does not, -1 cannot tell */
	uint32_t gating;
	int32_t cpu; /* pinned to, -1 none */
	char name[SLUICE_PARTICIPANT_NAME_BYTES];
	uint64_t events, batches, polls, empty_polls, sleeps, full_waits, progress_ns, lag_high;
	uint64_t gaps, voids;
};
SLUICE_API bool sluice_participant_view(const struct sluice_segment *segment, uint32_t index,
					struct sluice_participant_view *ret_view);

/* Number of live participants of a role; -errno if liveness cannot be asked. */
SLUICE_API int sluice_participant_count(const struct sluice_segment *segment, uint32_t role);

#endif
