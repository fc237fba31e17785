/* SPDX-License-Identifier: MIT */
/*
 * participant_internal.h - what the files of the participant table share: participant.c (joining
 * and leaving), participant_place.c (where a new consumer starts), participant_stage.c (who follows
 * whom, and who gates). Not installed. All of it under the table's lock, unless it says otherwise.
 */
#ifndef SLUICE_SHM_PARTICIPANT_INTERNAL_H
#define SLUICE_SHM_PARTICIPANT_INTERNAL_H

#include <string.h>

#include "shm/participant.h"

#define SLUICE_PARTICIPANT_NONE UINT32_MAX

/* The whole state word; its state alone. Without the lock as well. */
static inline uint64_t sluice_entry_word(const struct sluice_participant *entry)
{
	/* sync: view:state <- entry:active; the identity that goes with the state */
	return atomic_load_explicit(&entry->state, memory_order_acquire);
}

static inline uint32_t sluice_entry_state(const struct sluice_participant *entry)
{
	return (uint32_t)(sluice_entry_word(entry) & SLUICE_PARTICIPANT_STATE_MASK);
}

/* In its place, or away and expected back. Without the lock as well. */
static inline bool sluice_entry_is_present(const struct sluice_participant *entry)
{
	const uint32_t state = sluice_entry_state(entry);

	return state == SLUICE_PARTICIPANT_ACTIVE || state == SLUICE_PARTICIPANT_DETACHED;
}

static inline bool sluice_entry_is_named(const struct sluice_participant *entry, const char *name)
{
	return !strncmp(entry->name, name, sizeof(entry->name));
}

/*
 * Sets and then clears bits of control.gating, tells the producers, and wakes who waits for others'
 * positions. Of one's own bit, without the lock as well.
 */
void sluice_gating_change(struct sluice_segment *segment, uint64_t set, uint64_t clear);

/*
 * The consumers that `options` names in `after`, as bits. `index`: the entry that comes back, or
 * SLUICE_PARTICIPANT_NONE. -ENOENT: no such consumer. -EINVAL: it does not gate, or it waits for
 * this very stage.
 */
int sluice_stage_find(const struct sluice_segment *segment, uint32_t index,
		      const struct sluice_participant_options *options, uint64_t *ret_follows,
		      struct sluice_diag *diag);

/* Entries that somebody follows: not to be given to anybody else, be they free or not. */
uint64_t sluice_stage_pinned(const struct sluice_segment *segment);

/*
 * Sets the bits of those whose events entry `index` keeps from being overwritten in their stead;
 * who they are. More than needed hold nobody up.
 */
uint64_t sluice_stage_keep(struct sluice_segment *segment, uint32_t index);

/* The same for an entry whose state says that it is gone, and then clears its own bit. */
void sluice_stage_hand_over(struct sluice_segment *segment, uint32_t index);

/* Takes the gating bits of those in `mask` who have a follower that gates in their stead. */
void sluice_stage_tidy(struct sluice_segment *segment, uint64_t mask);

/* Chooses entry `index`'s first position while it is JOINING. On failure it does not gate. */
int sluice_place_choose(struct sluice_segment *segment, uint32_t index,
			const struct sluice_participant_options *options, uint64_t follows,
			struct sluice_diag *diag);

#endif
