# Nobody waits for the writes of a killed predecessor.
# file: engine/wal/wal_open.c
s/ret = io->ops->lock(io, SLUICE_WAL_IO_LOG, lock_wait_ns, diag);/(void)lock_wait_ns;/
