/* SPDX-License-Identifier: MIT */
/*
 * wal_super.h - choosing and writing the superblock. The log's owner thread, or a reader.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_SUPER_H
#define SLUICE_ENGINE_WAL_WAL_SUPER_H

#include "engine/wal/wal_io.h"

/* Makes `super` the successor of `parent` and computes its checksum. */
void sluice_wal_super_seal(struct sluice_wal_super *super, const struct sluice_wal_super *parent);

/* Places one copy into a zeroed 4 KiB page. */
void sluice_wal_super_page(const struct sluice_wal_super *super, void *page);

/*
 * The newest valid copy. `area` is room for all copies, aligned. -EBADMSG: none is valid, or two
 * contradict each other. -EPROTO: of another version or of other matching rules.
 */
int sluice_wal_super_load(struct sluice_wal_io *io, void *area, struct sluice_wal_super *ret_super,
			  struct sluice_diag *diag);

/* How many valid copies, as load has left them in `area`, name this as the newest snapshot. */
uint32_t sluice_wal_super_naming(const void *area, const struct sluice_wal_snapshot *newest);

/* Every file has the size that the superblock says. -EBADMSG. */
int sluice_wal_super_check_sizes(struct sluice_wal_io *io, const struct sluice_wal_super *super,
				 struct sluice_diag *diag);

/*
 * Writes `next`, a changed copy of *super, as its successor, durable, and replaces *super. `next`
 * gets its number and checksum here. The page is aligned.
 */
int sluice_wal_super_write(struct sluice_wal_io *io, void *page, struct sluice_wal_super *next,
			   struct sluice_wal_super *super);

/*
 * The same in two copies, one after the other: one page that goes bad later does not bring back a
 * superblock that the log has left behind.
 */
int sluice_wal_super_write_twice(struct sluice_wal_io *io, void *page,
				 struct sluice_wal_super *next, struct sluice_wal_super *super);

/*
 * Names a snapshot newer than those that are named. It takes the place of the one in its file; the
 * log's start moves to the one that stays, if there is one.
 */
void sluice_wal_super_name(struct sluice_wal_super *super,
			   const struct sluice_wal_snapshot *snapshot);

#endif
