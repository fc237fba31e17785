# A producer that takes positions which are older than the claim word for damage.
# file: shm/ring.c
# run: ring_crash --slots 8 --batch 3
/^uint64_t sluice_gate_claim(/,/^}/s/while (sluice_unlikely(\*ret_error && claim != before))/while (0)/
