# A start and a clean end write the superblock once: one page that rots brings the one before back.
# file: engine/wal/wal_super.c
/^int sluice_wal_super_write_twice(/,/^}/s/return ret ? ret : .*/return ret;/
