/* SPDX-License-Identifier: MIT */
/* check_cut.c - see check_internal.h. */
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"
#include "tests/sim/trace.h"

#define CUTS_MAX 1024u

static struct sim_block cuts[CUTS_MAX];
static uint32_t used;

void sim_cut_reset(void)
{
	used = 0;
}

void sim_cut_keep(const struct sim_block *block)
{
	if (used == CUTS_MAX)
		sim_fail("sim", "more than %u blocks were cut", CUTS_MAX);
	cuts[used++] = *block;
}

const struct sim_block *sim_cut_find(uint64_t seq, uint64_t prev_link)
{
	for (uint32_t i = 0; i < used; i++)
		if (cuts[i].header.block_seq == seq && cuts[i].header.prev_link == prev_link &&
		    sim_disk_is_whole_on_media(&cuts[i].header, cuts[i].offset))
			return &cuts[i];
	return NULL;
}
