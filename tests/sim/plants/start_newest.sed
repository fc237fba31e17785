# The log's start moves to the newest snapshot at once: the older one cannot be started from.
# file: engine/wal/wal_super.c
/^void sluice_wal_super_name(/,/^}/s/super->start = other->place;/super->start = snapshot->place;/
