/* SPDX-License-Identifier: MIT */
#include "shm/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void sluice_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "sluice: broken invariant: %s (%s:%d); restart recovers from the log\n",
		condition, file, line);
	abort();
}
