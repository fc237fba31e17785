# A completion counts for everything before it as well.
# file: engine/wal/wal_writer.c
/^static int advance_durable(/,/^}/{
s/if (!slot->done)/bool later = false;\n\t\tfor (uint64_t b = wal->durable_seq; b != wal->chain.block_seq; b++)\n\t\t\tlater |= wal->slots[slot_index(b)].done;\n\t\tif (!later)/
}
