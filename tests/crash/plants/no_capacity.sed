# A claim that never looks whether the slots are free.
# file: producer/multi.c
# run: ring_crash --slots 8 --batch 3
/^static int take(/,/^}/s/bool stale = claim + n - producer->gate > slots;/bool stale = slots == 0;/
