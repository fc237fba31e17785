# The follower executes blocks that nobody has witnessed.
# file: engine/wal/follower.c
/^static int read_block(/,/^}/s/if (header->durable_seq > follower->witnessed)/follower->witnessed = block_seq + 1;\n\tif (header->durable_seq > follower->witnessed)/
