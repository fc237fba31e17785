# A start goes on in the epoch of the one before.
# file: engine/wal/wal_recover.c
s/next.epoch = epoch + 1;/next.epoch = epoch ? epoch : 1;/
