# A reader for which a slot that is being written counts as published.
# file: shm/ring.h
# run: ring_crash --slots 64
/^static inline bool sluice_stamp_published(/,/^}/s/return (stamp & SLUICE_STAMP_SEQ) >= sequence + 1;/return stamp >= sequence + 1;/
