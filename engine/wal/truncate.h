/* SPDX-License-Identifier: MIT */
/*
 * truncate.h - gives up the end of a damaged log, for an operator who has decided to, and takes
 * that back. docs/wal-format.md says what is written and what a crash between leaves.
 *
 * Any thread, blocking, while no engine and no follower has the log. Whoever calls must have shown
 * the loss first: commands are given up whose reports were visible.
 */
#ifndef SLUICE_ENGINE_WAL_TRUNCATE_H
#define SLUICE_ENGINE_WAL_TRUNCATE_H

#include "engine/wal/reader.h"

struct sluice_wal_loss {
	struct sluice_wal_report report; /* the log ends before report.block_seq */
	uint64_t kept_cmd_seq;		 /* commands below stay */
	uint64_t blocks;   /* intact ones that go */
	uint64_t commands; /* in them */
	uint64_t bytes;	   /* of them */
	uint64_t cmd_seq_end; /* the log has held the commands below */
	uint64_t close_block_seq; /* the mark of a clean end that goes, 0: none */
	uint64_t snapshot[SLUICE_WAL_SNAPSHOTS]; /* numbers that go with it, 0: none */
};

/* Called for each intact block that goes, in the order of places. The pointers do not last. */
typedef void (*sluice_wal_loss_visit)(const struct sluice_wal_block_header *header,
				      const struct sluice_command *commands, uint64_t segment_no,
				      uint64_t offset, void *arg);

/*
 * What sluice_wal_truncate would give up. Takes no lock, writes nothing; visit may be NULL.
 * -EALREADY: the log is not damaged, text in diag. -EBADMSG: it is, and not in its tail. Others as
 * sluice_wal_reader_open.
 */
int sluice_wal_truncate_look(const char *dir, sluice_wal_loss_visit visit, void *arg,
			     struct sluice_wal_loss *ret_loss, struct sluice_diag *diag);

/*
 * Makes the damaged log end before block report.block_seq. What will be overwritten is in the new
 * file `backup`, synced, before the first write. -EBUSY: an engine or a follower has the log.
 * -EEXIST: there is such a file. -EBADMSG: it is damaged in a way that no shorter log would mend;
 * what was changed is put back. After any other failure the log ends where it did, or there; the
 * same call with another file, or undo, ends it.
 */
int sluice_wal_truncate(const char *dir, const char *backup, struct sluice_wal_loss *ret_loss,
			struct sluice_diag *diag);

/*
 * Puts back what `backup` holds. -EBADMSG: the file is damaged. -ESTALE: it is of another log, or
 * the log has been written since; nothing is changed then. -EBUSY as above.
 */
int sluice_wal_truncate_undo(const char *dir, const char *backup, struct sluice_diag *diag);

#endif
