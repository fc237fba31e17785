# A recoverer that asks who lives before it looks how far slots are claimed, and before it has the
# table's lock: who joins and claims in between is taken for dead.
# file: shm/recovery.c
# run: ring_crash --slots 8 --batch 3 --nap 20
/^static int recover_multi(/i\
static struct pass plant_early;\

/^static int recover_multi(/,/^}/s/rc = sample(&pass);/pass.live = plant_early.live; pass.dead = plant_early.dead; rc = 0;/
/^int sluice_recover(/,/^}/s/rc = sluice_table_try_lock(segment);/plant_early = (struct pass){0}; sluice_ring_init(\&plant_early.ring, segment); if (sample(\&plant_early)) return -EAGAIN; SLUICE_FAILPOINT(R1); &/
