# A producer that waits for space with its attempt announced: the recoverer cannot tell it from a
# claim, the consumers wait for the recoverer, and it waits for the consumers.
# file: producer/multi.c
# run: ring_crash --slots 8 --batch 3 --kill-ms 0 --stop-ms 0 --recoverer-rate 0 --stuck-seconds 3 --nap 5
/^static int take(/,/^}/s/^\t\t\t\trecord_set(producer, SLUICE_CLAIM_IDLE);/\t\t\t\t(void)announced;/
