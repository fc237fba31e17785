/* SPDX-License-Identifier: MIT */
/*
 * image.c - see image.h.
 */
#include "engine/core/image.h"

#include "engine/core/core_internal.h"

#define RECORDS_ONCE 4u	      /* CORE, two of STATS, END */
#define RECORDS_PER_SYMBOL 4u /* SYMBOL, NAME, two of LADDER */

uint64_t sluice_image_records_max(const struct sluice_core_options *options)
{
	struct sluice_core_options full;

	if (!sluice_core_resolve(options, &full))
		return 0;
	return RECORDS_ONCE + RECORDS_PER_SYMBOL * (uint64_t)full.symbols_max + full.orders_max +
	       full.sessions_max;
}
