# A failed write is tried again.
# file: engine/wal/wal_writer.c
/^static int again(/,/^}/s/result == -EINTR ||/result == -EINTR || result == -EIO || result == -ENOSPC ||/
