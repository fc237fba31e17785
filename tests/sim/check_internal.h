/* SPDX-License-Identifier: MIT */
/*
 * check_internal.h - what the parts of the judge share: check.c, which follows the log,
 * check_cut.c, which remembers what it cut, and check_end.c.
 */
#ifndef SLUICE_TESTS_SIM_CHECK_INTERNAL_H
#define SLUICE_TESTS_SIM_CHECK_INTERNAL_H

#include "tests/sim/check.h"

struct sim_block {
	struct sluice_wal_block_header header;
	uint64_t offset;
	uint32_t commands; /* index of its first among all that were written */
	bool landed;	   /* whole, on stable media */
};

/* A command as it was executed; NULL: there were fewer. */
const struct sluice_command *sim_check_command(uint64_t cmd_seq);

/*
 * A start cuts a torn block, and the power goes while the block that cuts it is written: some of
 * its sectors, zeros behind the commands, may be just those that the torn one lacked. Nobody was
 * told of the cut yet, so the old block may come back, and those behind it.
 */
void sim_cut_reset(void);
void sim_cut_keep(const struct sim_block *block);
/* The block of this number and link that is whole on stable media; NULL: there is none. */
const struct sim_block *sim_cut_find(uint64_t seq, uint64_t prev_link);

#endif
