# A recoverer that does not look at the stamp again after it has asked for owners: the owner may have
# published meanwhile.
# file: shm/recovery.c
# run: ring_crash --slots 8 --batch 1 --nap 10
# note: a window of nanoseconds; the model (tests/model) is the one to find it
/^static void fill_holes(/,/^}/{
/its owner may have published/,/continue;/d
s/switch (owner_of(pass, s, &end))/SLUICE_FAILPOINT(R1);\n\t\t&/
}
