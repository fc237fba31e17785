# One segment too many may be written over.
# file: engine/wal/wal_flip.c
s/const uint64_t end = flip->next.start.segment_no + SLUICE_WAL_SEGMENTS;/const uint64_t end = flip->next.start.segment_no + SLUICE_WAL_SEGMENTS + 1;/
