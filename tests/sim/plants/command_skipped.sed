# A start goes on one command too late.
# file: engine/recover.c
/^static int begin(/,/^}/s/engine->in.next = next;/engine->in.next = next + (engine->wal \&\& next > 5);/
