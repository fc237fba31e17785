/* SPDX-License-Identifier: MIT */
/* snapshot_mutants.pml - what the mutants of snapshot.pml change, and what it is without them. */
#ifdef NO_HOLD
#define held false
#else
#define held (attached && ready != 0)
#endif
#ifdef UNWITNESSED
#define witnessed(k) visible(k)
#define believed_durable LAST
#else
#define witnessed(k) (visible(k) && visible((k) + 1))
#define believed_durable durable
#endif
#ifdef TRUST_WORD
#define can_be_named(q, s) true
#define word_at_start ready
#else
#define can_be_named(q, s) (number_of(head[(q) % 2]) == (q) && \
	place_of(head[(q) % 2]) > place_of(newest(s)) && \
	place_of(head[(q) % 2]) <= believed_durable)
#define word_at_start 0
#endif
#ifdef START_NEWER
#define start_after(s) place_of(newest(s))
#else
#define start_after(s) (older(s) != 0 -> place_of(older(s)) : start_of(s))
#endif
#ifdef NO_CHECK
#define number_to_write(s) (named(s) + 1)
#else
#ifdef OVER_NEWEST
#define number_to_write(s) (named(s) == 0 -> 1 : named(s) + 2)
#else
#define number_to_write(s) (named(s) == 0 || good(newest(s)) -> named(s) + 1 : named(s) + 2)
#endif
#endif
#ifdef NO_SEAL
#define may_seal false
#else
#define may_seal (left > FOR_OPEN && (last_data || \
	(named(super) != 0 && full && place_of(newest(super)) + 1 >= next)))
#endif
#ifdef SAME_COPY
#define after(s) ((s) & ~31 | sequence_of(s) + 2)
#else
#define after(s) ((s) & ~31 | sequence_of(s) + 1)
#endif
