/* SPDX-License-Identifier: MIT */
/*
 * wal_io.h - what the log needs of a disk, as an ops struct, so that a simulated disk fits.
 *
 * One thread, the log's owner. Results are 0 or -errno unless said otherwise. Nothing here judges a
 * result: short writes and errors of submitted writes come back through reap as they are, and the
 * writer decides. Offsets, lengths and addresses are multiples of SLUICE_WAL_ALIGN.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_IO_H
#define SLUICE_ENGINE_WAL_WAL_IO_H

#include "engine/wal/wal.h"

#define SLUICE_WAL_FILE_SUPER SLUICE_WAL_SEGMENTS	    /* files 0..15 are the segments */
#define SLUICE_WAL_FILE_SNAPSHOT (SLUICE_WAL_SEGMENTS + 1u) /* the first of two */
#define SLUICE_WAL_FILE_PROBE (SLUICE_WAL_FILE_SNAPSHOT + SLUICE_WAL_SNAPSHOTS)
#define SLUICE_WAL_FILES (SLUICE_WAL_FILE_PROBE + 1u)
#define SLUICE_WAL_FILE_DIR SLUICE_WAL_FILES		      /* sync only */
#define SLUICE_WAL_IN_FLIGHT_MAX (SLUICE_WAL_WINDOW_MAX + 1u) /* blocks, and one superblock */

enum sluice_wal_io_mode {
	SLUICE_WAL_IO_READ = 0,
	SLUICE_WAL_IO_WRITE = 1, /* the engine: everything */
	SLUICE_WAL_IO_FOLLOW = 2 /* the follower: writes snapshots, reads the rest */
};

enum sluice_wal_io_part {
	SLUICE_WAL_IO_LOG = 0,	    /* superblock and segments */
	SLUICE_WAL_IO_SNAPSHOTS = 1 /* the snapshot files */
};

struct sluice_wal_io_write { /* of one whole block, durable when it completes with all its bytes */
	uint64_t tag;
	uint64_t offset;
	const void *data;
	uint32_t bytes;
	uint16_t file;
	uint16_t buffer; /* number of the armed buffer that `data` is */
};

struct sluice_wal_io_done {
	uint64_t tag;
	int64_t result; /* bytes written, or -errno */
};

struct sluice_wal_io;
struct sluice_wal_reader;

struct sluice_wal_io_ops {
	/*
	 * All files; -ENOENT: no superblock file; -EBADMSG: another is missing or no file. The
	 * probe may be missing.
	 */
	int (*open)(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
		    struct sluice_diag *diag);
	/*
	 * Excludes every other writer of the part, waiting up to wait_ns. -EBUSY. Then whatever was
	 * never written in its files is written over, or refused with -EBADMSG.
	 */
	int (*lock)(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
		    struct sluice_diag *diag);
	int (*size)(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes);
	/* All bytes or an error; -ENODATA past the file's end. */
	int (*read)(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		    size_t bytes);
	/* Durable when it returns 0; in a snapshot file only after the next sync of it. */
	int (*write)(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
		     size_t bytes);
	int (*sync)(struct sluice_wal_io *io, uint32_t file);
	/*
	 * A writer announces the n buffers of `each` bytes that submit will use, at most
	 * IN_FLIGHT_MAX. Commits of the first one's first page are timed on the probe.
	 */
	int (*arm)(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each);
	/* Starts a write. At most SLUICE_WAL_IN_FLIGHT_MAX may be in flight. */
	int (*submit)(struct sluice_wal_io *io, const struct sluice_wal_io_write *write);
	/* Number of completions, in any order; sleeps up to timeout_ns for the first. */
	int (*reap)(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		    uint64_t timeout_ns);
	uint64_t (*monotonic_ns)(struct sluice_wal_io *io);
	uint64_t (*realtime_ns)(struct sluice_wal_io *io);
	/* Frees io. Writes still in flight may yet reach the disk. */
	void (*close)(struct sluice_wal_io *io);
};

struct sluice_wal_io {
	const struct sluice_wal_io_ops *ops;
	char text[256];		      /* what it is, and why it is not the first choice */
	char mended[256];	      /* what lock wrote over, "" if nothing */
	uint32_t sync;		      /* enum sluice_wal_sync, set before open */
	uint32_t extents;	      /* enum sluice_wal_extents, likewise */
	const cpu_set_t *thread_cpus; /* where open puts a thread of its own; NULL: nowhere */
	uint64_t calibrated_p50_ns;   /* of a commit of 4 KiB, by arm; 0: not measured */
	/*
	 * While a log is opened, restored and replayed: non-zero when whoever waits for it wants it
	 * no more. Looked at before each larger read, which then gives -EINTR. NULL: never.
	 */
	int (*stopping)(void);
};

static inline bool sluice_wal_io_stopping(const struct sluice_wal_io *io)
{
	return io->stopping && io->stopping();
}

/* -ENOSYS, -EPERM and others where the kernel forbids it. Needs no file yet. */
int sluice_wal_io_uring_create(struct sluice_wal_io **ret_io, const char *dir,
			       struct sluice_diag *diag);
int sluice_wal_io_blocking_create(struct sluice_wal_io **ret_io, const char *dir,
				  struct sluice_diag *diag);

/* A thread that has an io_uring, or if it may not, a blocking one. */
int sluice_wal_io_thread_create(struct sluice_wal_io **ret_io, const char *dir,
				struct sluice_diag *diag);

/* By enum sluice_wal_backend; AUTO falls back to blocking and says why in the text. */
int sluice_wal_io_create(struct sluice_wal_io **ret_io, const char *dir, uint32_t backend,
			 struct sluice_diag *diag);

/* sluice_wal_open and sluice_wal_reader_open over any disk; io is theirs, also on failure. */
int sluice_wal_open_io(struct sluice_wal **ret_wal, struct sluice_wal_io *io,
		       const struct sluice_wal_options *options, struct sluice_diag *diag);
int sluice_wal_reader_open_io(struct sluice_wal_reader **ret_reader, struct sluice_wal_io *io,
			      struct sluice_diag *diag);

#endif
