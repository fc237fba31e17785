/* SPDX-License-Identifier: MIT */
/*
 * wal_io.c - which backend a log gets, and what a caller may ask of it. Called by the log's owner
 * thread.
 */
#include "engine/wal/wal_io.h"

#include <errno.h>
#include <stdio.h>

#include "engine/wal/wal_internal.h"

int sluice_wal_io_create(struct sluice_wal_io **ret_io, const char *dir, uint32_t backend,
			 struct sluice_diag *diag)
{
	struct sluice_diag why = {"", ""};
	int ret;

	if (backend > SLUICE_WAL_BACKEND_THREAD)
		return sluice_diag_set(diag, EINVAL, "there is no log backend number %u", backend);
	if (backend == SLUICE_WAL_BACKEND_BLOCKING)
		return sluice_wal_io_blocking_create(ret_io, dir, diag);
	if (backend == SLUICE_WAL_BACKEND_THREAD)
		return sluice_wal_io_thread_create(ret_io, dir, diag);
	ret = sluice_wal_io_uring_create(ret_io, dir,
					 backend == SLUICE_WAL_BACKEND_AUTO ? &why : diag);
	if (!ret || backend == SLUICE_WAL_BACKEND_URING)
		return ret;
	ret = sluice_wal_io_blocking_create(ret_io, dir, diag);
	if (!ret)
		snprintf((*ret_io)->text, sizeof((*ret_io)->text), "blocking pwritev2 (%.180s)",
			 why.text);
	return ret;
}

const char *sluice_wal_mended_text(const struct sluice_wal *wal)
{
	return wal->io->mended;
}

uint64_t sluice_wal_calibrated_ns(const struct sluice_wal *wal)
{
	return wal->io->calibrated_p50_ns;
}
