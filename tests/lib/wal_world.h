/* SPDX-License-Identifier: MIT */
/*
 * wal_world.h - what the tests of snapshots share: a log and the core that its commands were given
 * to, so that a state that comes back can be compared with the one that was there.
 *
 * Commands follow from their number and the world's stream. Functions abort when the test's own
 * set-up fails; what is under test is returned.
 */
#ifndef SLUICE_TESTS_LIB_WAL_WORLD_H
#define SLUICE_TESTS_LIB_WAL_WORLD_H

#include "engine/wal/reader.h"
#include "engine/wal/snapshot.h"
#include "tests/lib/wal_fixture.h"

#define WAL_WORLD_REPORTS 64u

struct wal_world_state { /* a core and its numbers */
	void *memory;
	struct sluice_core *core;
	struct sluice_sink sink;
	struct sluice_report reports[WAL_WORLD_REPORTS];
};

struct wal_world {
	struct wal_fixture fixture;
	struct wal_world_state live;
	struct sluice_wal *wal;
	uint64_t stream;       /* which commands */
	uint64_t cmd_seq;      /* of the next one */
	uint64_t snapshot;     /* number of the newest written */
	char passed_over[512]; /* sluice_wal_snapshot_text of the last recovery */
};

/* A new log of 16 MiB, formatted, and an empty core. */
void wal_world_make(struct wal_world *world, uint64_t stream);
void wal_world_remove(struct wal_world *world);

void wal_world_command(const struct wal_world *world, uint64_t cmd_seq,
		       struct sluice_command *ret_command);

/*
 * Opens the log and brings a state of its own up to its end: restore, then replay, comparing hash
 * and first report at every block. 0 or -errno, text in fixture.diag; ret_position may be NULL.
 */
int wal_world_recover(struct wal_world *world, struct wal_world_state *ret_state,
		      struct sluice_wal_position *ret_position);
void wal_world_state_release(struct wal_world_state *state);
/* Hashes, numbers and statistics are equal. */
bool wal_world_same(const struct wal_world_state *a, const struct wal_world_state *b);

/* Recovers, and the live state becomes what came out; then starts. */
void wal_world_start(struct wal_world *world);
/* Starts with the live state as it is, without replay: the log must end where it does. */
void wal_world_go_on(struct wal_world *world);
/* n commands executed and logged as one block (or more, at a segment's end), durable. */
void wal_world_block(struct wal_world *world, uint32_t n);
/* The same without waiting, in flight until something waits; false: only a part found room. */
bool wal_world_submit(struct wal_world *world, uint32_t n);
/*
 * One block that ends at the next eighth of a segment: for a log in which every block does, but an
 * OPEN at the beginning of one. Fill writes them until the log's end is the beginning of this
 * segment, with a snapshot every `every` segments, 0: none.
 */
void wal_world_eighth(struct wal_world *world);
void wal_world_fill(struct wal_world *world, uint64_t segment_no, uint64_t every);
/* Where the log ends now, which is where the live state is. */
void wal_world_place(const struct wal_world *world, struct sluice_wal_place *ret_place);
void wal_world_close(struct wal_world *world, bool clean);

/* Writes snapshot number `sequence` of the live state to its file, through a disk of its own. */
void wal_world_write_snapshot(struct wal_world *world, uint64_t sequence,
			      const struct sluice_wal_place *place,
			      struct sluice_wal_snapshot *ret_snapshot);
/* The next snapshot, written, offered and named. */
void wal_world_snapshot(struct wal_world *world);

/* Flips a bit of a record in a snapshot's file and makes all checksums in it right again. */
void wal_world_forge(const struct wal_world *world, uint64_t sequence, uint64_t record,
		     uint32_t byte, struct sluice_snapshot_header *ret_header);

/* What a reader says of the log, from its start to the end. */
void wal_world_verdict(struct wal_world *world, struct sluice_wal_report *ret_report);

/* The newest superblock on disk, and a successor in its place, without the log's owner. */
void wal_world_super(const struct wal_world *world, struct sluice_wal_super *ret_super);
void wal_world_put_super(const struct wal_world *world, struct sluice_wal_super *super);

#endif
