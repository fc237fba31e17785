# Sources come back from a snapshot without the numbers that they had.
# file: engine/recover.c
s/#include "engine\/collect.h"/&\n#include "engine\/core\/core_internal.h"/
/rc = sluice_wal_restore(/,/return rc;/s/return rc;/&\n\tfor (uint32_t i = 0; i <= engine->core->sessions.mask; i++)\n\t\tif (engine->core->sessions.entries[i].id)\n\t\t\tengine->core->sessions.entries[i].last = 0;/
