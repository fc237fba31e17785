/* SPDX-License-Identifier: MIT */
/* exit.c - the mapping from an operating error to an exit code, and the words for each code. */
#include "cli/exit.h"

#include <errno.h>

int sluice_exit_from_error(int error)
{
	switch (-error) {
	case 0:
		return SLUICE_EXIT_OK;
	case ENOENT:
	case EPROTO:
	case ESTALE:
		return SLUICE_EXIT_NOT_FOUND;
	case EBADMSG:
		return SLUICE_EXIT_DAMAGED;
	case EACCES:
	case EPERM:
	case ENOMEM:
	case ENOSPC:
	case EBUSY:
	case ENOSYS:
		return SLUICE_EXIT_ENVIRONMENT;
	case ETIMEDOUT:
		return SLUICE_EXIT_TIMED_OUT;
	default:
		return SLUICE_EXIT_FAILED;
	}
}

const char *sluice_exit_text(int code)
{
	switch (code) {
	case SLUICE_EXIT_OK:
		return "done; the answer is yes";
	case SLUICE_EXIT_FAILED:
		return "failed, or the answer is no";
	case SLUICE_EXIT_USAGE:
		return "wrong use: an option, SLUICE_* variable or config file";
	case SLUICE_EXIT_ENVIRONMENT:
		return "this machine cannot do or does not allow what was asked";
	case SLUICE_EXIT_NOT_FOUND:
		return "ring or log not found, stale, or of another version";
	case SLUICE_EXIT_DAMAGED:
		return "stored data is damaged";
	case SLUICE_EXIT_TIMED_OUT:
		return "timed out";
	case SLUICE_EXIT_NEEDS_YES:
		return "would destroy something; repeat with --yes";
	case SLUICE_EXIT_SIGNAL:
		return "plus n: ended by signal n";
	default:
		return NULL;
	}
}
