/* SPDX-License-Identifier: MIT */
#include "shm/diag.h"

#include <stdarg.h>
#include <stdio.h>

int sluice_diag_set(struct sluice_diag *diag, int error, const char *format, ...)
{
	va_list args;

	sluice_assert(error > 0);
	if (!diag)
		return -error;
	va_start(args, format);
	vsnprintf(diag->text, sizeof(diag->text), format, args);
	va_end(args);
	diag->hint[0] = '\0';
	return -error;
}

void sluice_diag_hint(struct sluice_diag *diag, const char *format, ...)
{
	va_list args;

	if (!diag)
		return;
	va_start(args, format);
	vsnprintf(diag->hint, sizeof(diag->hint), format, args);
	va_end(args);
}
