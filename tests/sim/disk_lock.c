/* SPDX-License-Identifier: MIT */
/*
 * disk_lock.c - the locks of a log's files: held by an open file, and by every write that is on its
 * way to it, whether the process that began it lives or not.
 */
#include <errno.h>
#include <string.h>

#include "tests/sim/disk_internal.h"
#include "tests/sim/kernel.h"

#define NOBODY UINT32_MAX /* has the lock but writes that are still on their way */

static uint32_t lock_owner[2]; /* pid by enum sluice_wal_io_part; 0: free */

void sim_locks_reset(void)
{
	memset(lock_owner, 0, sizeof(lock_owner));
}

/* Locks of the dead are free when the last of their writes is. */
static void free_locks(void)
{
	for (uint32_t part = 0; part < 2; part++) {
		struct sim_process_view view;
		bool lives = false;

		for (uint32_t role = 0; lock_owner[part] && role < SIM_ROLES && !lives; role++) {
			sim_view((enum sim_role)role, &view);
			lives = view.alive && view.pid == lock_owner[part];
		}
		for (uint32_t i = 0; lock_owner[part] && i < SIM_WRITES_MAX && !lives; i++)
			lives = sim_transfers[i].stage != SIM_STAGE_FREE && !sim_transfers[i].pid;
		if (!lives)
			lock_owner[part] = 0;
	}
}

int sim_disk_try_lock(enum sluice_wal_io_part part, uint32_t pid)
{
	uint32_t *owner = &lock_owner[part == SLUICE_WAL_IO_LOG ? 0 : 1];

	sim_disk_advance();
	free_locks();
	if (*owner && *owner != pid)
		return -EBUSY;
	*owner = pid;
	return 0;
}

void sim_disk_closed(uint32_t pid)
{
	sim_disk_orphan(pid);
	for (uint32_t part = 0; part < 2; part++)
		if (lock_owner[part] == pid)
			lock_owner[part] = NOBODY;
}
