/* SPDX-License-Identifier: MIT */
/*
 * signals.c - the handler touches one lock-free word and _exit only, both async-signal-safe. The
 * first signal asks, the second does not: a program that hangs on its way out can be left.
 */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/exit.h"

SLUICE_STATIC_ASSERT(ATOMIC_INT_LOCK_FREE == 2, "a signal handler stores it");

_Atomic int sluice_signals_flag;

static void handle(int number)
{
	/* relaxed: a lone flag, and the handler's own order with itself */
	if (atomic_exchange_explicit(&sluice_signals_flag, number, memory_order_relaxed))
		_exit(SLUICE_EXIT_SIGNAL + number);
}

int sluice_signals_install(void)
{
	struct sigaction action = {.sa_handler = handle};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigemptyset(&action.sa_mask);
	/* neither interrupts the other's handler: two different signals also count as two */
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	sigemptyset(&ignore.sa_mask);
	if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL) ||
	    sigaction(SIGPIPE, &ignore, NULL))
		return -errno;
	return 0;
}

int sluice_signals_exit(int otherwise)
{
	const int number = sluice_signals_stop();

	return number ? SLUICE_EXIT_SIGNAL + number : otherwise;
}
