# A recoverer that asks all records whether they claim a slot, and then all whether they attempt it:
# a record that goes from the one to the other in between says neither.
# file: shm/recovery.c
# run: ring_crash --slots 8 --batch 3 --nap 20
/^static void fill_holes(/i\
static enum owner plant_owner(const struct pass *pass, uint64_t sequence, uint64_t *ret_end)\
{\
	*ret_end = sequence + 1;\
	if (is_claimed_by_live(pass, sequence))\
		return OWNER_LIVE;\
	SLUICE_FAILPOINT(R1);\
	for (uint64_t bits = pass->live; bits; bits &= bits - 1) {\
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);\
		const uint64_t record = sluice_claim_load(pass->ring.segment, index);\
\
		if (sluice_claim_state(record) == SLUICE_CLAIM_ATTEMPT &&\
		    sluice_claim_covers(record, sequence) &&\
		    !is_refuted(pass, index, record, sequence))\
			return OWNER_PERHAPS;\
	}\
	return OWNER_DEAD;\
}\

/^static void fill_holes(/,/^}/s/owner_of(pass, s, &end)/plant_owner(pass, s, \&end)/
