# A recoverer for which only a claim that is recorded as made is anybody's.
# file: shm/recovery.c
# run: ring_points
# run: ring_crash --slots 64
/^static enum owner owner_of(/,/^}/s/owner = OWNER_PERHAPS;/;/
