# A recoverer that takes a slot for unpublished unless its stamp is exactly the one expected: it may
# have been consumed, claimed again and published since.
# file: shm/recovery.c
# run: ring_points
# run: ring_crash --slots 8 --batch 3 --nap 20
/^static bool is_published(/i\
static bool plant_equal(uint64_t stamp, uint64_t sequence)\
{\
	return (stamp & SLUICE_STAMP_SEQ) == sequence + 1;\
}\

/^static bool is_published(/,/^}/s/return sluice_stamp_published(/return plant_equal(/
