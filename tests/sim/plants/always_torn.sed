# No witness is believed: whatever is not valid is a torn tail.
# file: engine/wal/wal_judge.c
/^damaged(/,/^}/s/report->verdict = SLUICE_WAL_DAMAGED;/report->verdict = SLUICE_WAL_TORN;/
