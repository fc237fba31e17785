/* SPDX-License-Identifier: MIT */
/*
 * signals.h - Ctrl-C and SIGTERM as a flag that loops look at; a second one ends the process at
 * once. SIGPIPE is ignored: a closed pipe is an EPIPE of the write.
 */
#ifndef SLUICE_CLI_SIGNALS_H
#define SLUICE_CLI_SIGNALS_H

#include <stdatomic.h>

#include "shm/base.h"

extern _Atomic int sluice_signals_flag; /* number of the first signal; read it by the functions */

/*
 * Main thread, before other threads start. System calls are not restarted: they return EINTR, so
 * that a blocked loop looks at the flag. 0 or -errno.
 */
int sluice_signals_install(void);

/* Number of the signal that asked to stop, 0 if none has. Any thread, any loop: one load. */
static inline int sluice_signals_stop(void)
{
	/* relaxed: a lone flag; nothing else is published through it */
	return atomic_load_explicit(&sluice_signals_flag, memory_order_relaxed);
}

/* 128 + n after signal n, else `otherwise`: the exit code after a loop has ended. */
int sluice_signals_exit(int otherwise);

#endif
