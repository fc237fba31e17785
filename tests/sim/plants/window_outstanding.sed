# The window counts the writes under way, and not what is between the next block and the durable one.
# file: engine/wal/wal_writer.c
/^static bool window_open(/,/^}/s/return .*/return wal->outstanding < wal->window \&\& wal->chain.block_seq - wal->durable_seq < SLUICE_WAL_WINDOW_MAX;/
