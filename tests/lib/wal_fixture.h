/* SPDX-License-Identifier: MIT */
/*
 * wal_fixture.h - what the log's tests share: a log of small segments in a temporary directory,
 * commands whose bytes follow from their number, whole-log checks, and tampering with files.
 *
 * Functions abort the test program with a message when the test's own set-up fails; what is under
 * test is returned to the caller.
 */
#ifndef SLUICE_TESTS_LIB_WAL_FIXTURE_H
#define SLUICE_TESTS_LIB_WAL_FIXTURE_H

#include "engine/wal/wal_io.h"
#include "tests/lib/fault_io.h"

#define WAL_FIXTURE_SEGMENT_BYTES (1024u * 1024u)
#define WAL_FIXTURE_RECORDS_PER_PAGE 33u /* a 4 KiB block's */

/*
 * Over the blocking backend, unless WAL_BACKEND and WAL_SYNC in the environment say otherwise
 * (numbers of the enums in wal.h): the same tests for every backend.
 */
struct wal_fixture {
	char dir[256];
	struct sluice_diag diag;
	struct sluice_wal_options options;
	unsigned char *image; /* of the first files, if saved */
	uint32_t image_segments;
};

/* A new directory, formatted; with an empty probe, so that thousands of opens time nothing. */
void wal_fixture_make(struct wal_fixture *fixture);
/* The same, as format leaves it. */
void wal_fixture_make_timed(struct wal_fixture *fixture);
/* A new directory, empty. */
void wal_fixture_make_dir(struct wal_fixture *fixture);
void wal_fixture_remove(struct wal_fixture *fixture);
/* cmocka's: make, and remove whatever was made. */
int wal_fixture_setup(void **state);
int wal_fixture_teardown(void **state);

/* Opens with fixture->options. */
int wal_fixture_open(struct wal_fixture *fixture, struct sluice_wal **ret_wal);
/* Opens, checks nothing, starts. */
struct sluice_wal *wal_fixture_start(struct wal_fixture *fixture);
/* Start alone, with the ring uuid and values of the fixture. */
int wal_fixture_start_wal(struct wal_fixture *fixture, struct sluice_wal *wal);
/* Opens over a faulty blocking disk; *ret_io is the faulty one. */
int wal_fixture_open_faulty(struct wal_fixture *fixture, struct sluice_wal **ret_wal,
			    struct sluice_wal_io **ret_io, const struct fault_plan *plan);

/* The command with this number. */
void wal_fixture_command(uint64_t cmd_seq, struct sluice_command *ret_command);
/* Appends n commands to the block under composition; false when there is no room now. */
bool wal_fixture_append(struct sluice_wal *wal, uint32_t n);
/* One block of n commands, submitted; waits for room in the window. 0 or -errno. */
int wal_fixture_block(struct sluice_wal *wal, uint32_t n);
/* Waits until nothing is in flight. */
int wal_fixture_settle(struct sluice_wal *wal);
/* Replays and compares every command. The number of commands, or -errno. */
int64_t wal_fixture_replay(struct sluice_wal *wal, struct sluice_diag *diag);
/* Opens, replays, compares, closes without starting. Commands in the log, or -errno. */
int64_t wal_fixture_count(struct wal_fixture *fixture, struct sluice_wal_position *ret_position);

/* Where the blocks are, as a reader sees them. */
struct wal_fixture_block_place {
	struct sluice_wal_block_header header;
	uint32_t segment_no;
	uint64_t offset;
	uint32_t bytes;
};
uint32_t wal_fixture_list(struct wal_fixture *fixture, struct wal_fixture_block_place *ret_places,
			  uint32_t max);

/* Files. `file` as in wal_io.h. */
void wal_fixture_path(const struct wal_fixture *fixture, uint32_t file, char path[320]);
void wal_fixture_peek(const struct wal_fixture *fixture, uint32_t file, uint64_t offset, void *data,
		      size_t bytes);
void wal_fixture_poke(const struct wal_fixture *fixture, uint32_t file, uint64_t offset,
		      const void *data, size_t bytes);
void wal_fixture_flip(const struct wal_fixture *fixture, uint32_t file, uint64_t offset,
		      unsigned int bit);
/* Checksum of all files' bytes. */
uint32_t wal_fixture_digest(const struct wal_fixture *fixture);

/* Keeps the superblock and the first segments in memory, and puts them back. */
void wal_fixture_save(struct wal_fixture *fixture, uint32_t segments);
void wal_fixture_restore(struct wal_fixture *fixture);

/* SEED= from the environment or the clock; prints it. */
uint64_t wal_fixture_seed(const char *test);
uint64_t wal_fixture_random(uint64_t *seed);

#endif
