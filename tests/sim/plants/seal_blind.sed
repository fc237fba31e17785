# The idle block witnesses no more than the block before it did.
# file: engine/wal/wal_writer.c
s/\.durable_seq = wal->durable_seq,/.durable_seq = type \& SLUICE_WAL_SEAL ? chain->durable_seq : wal->durable_seq,/
