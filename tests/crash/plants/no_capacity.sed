# A claim that never looks whether the slots are free.
# file: producer/multi.c
# run: ring_crash --slots 8 --batch 3
/^static int take(/,/^}/s/bool stale = (int64_t)(claim + n - producer->gate) > (int64_t)slots;/bool stale = slots == 0;/
