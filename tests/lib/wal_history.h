/* SPDX-License-Identifier: MIT */
/*
 * wal_history.h - what a run with kills must have said: the commands that sources sent are known
 * (the generator makes them again from source and number), the order in which the command ring
 * took them is noted from the ring itself, and from both follows every line that a consumer may
 * have written. Nothing of what the engine, its log or its snapshots say is believed.
 *
 * A command is executed by the matching core of this process and by the reference book, and both
 * must agree. One thread. Functions that check return -EBADMSG and leave a sentence in `wrong`.
 */
#ifndef SLUICE_TESTS_LIB_WAL_HISTORY_H
#define SLUICE_TESTS_LIB_WAL_HISTORY_H

#include "consumer/names.h"
#include "engine/core/core.h"
#include "producer/generator.h"
#include "tests/lib/reference_book.h"

#define WAL_HISTORY_SOURCES 2u
#define WAL_HISTORY_WINDOW 65536u /* commands that are remembered of each source, and noted */
#define WAL_HISTORY_REPORTS 65536u
#define WAL_HISTORY_SYMBOLS 4u

struct wal_history_source { /* number i sends as session i + 1 */
	struct sluice_generator *generator;
	struct sluice_command *commands; /* by client_seq % window */
	uint64_t made;
	uint64_t executed; /* client_seq of the newest command that was no duplicate */
};

struct wal_history_note {
	uint64_t client_seq;
	uint64_t source; /* UINT64_MAX: a tombstone */
};

struct wal_history {
	struct wal_history_source sources[WAL_HISTORY_SOURCES];
	struct wal_history_note *notes; /* by cmd_seq % window */
	uint64_t noted;			/* commands below are noted */
	uint64_t next;			/* command to execute next */
	uint64_t voids, duplicates;
	struct sluice_core *core;
	void *core_memory;
	struct reference_book *reference;
	struct sluice_sink sink;
	uint64_t line; /* number of the next line to come */
	struct sluice_names names;
	char wrong[1024];
};

/* The generator's parameters of source i, for who sends what it makes: `seed` is the run's. */
uint64_t wal_history_seed(uint64_t seed, uint32_t source);

/* -ENOMEM, or what the generator says. */
int wal_history_init(struct wal_history *history, const struct sluice_core_options *limits,
		     uint64_t seed, const char *params);
void wal_history_release(struct wal_history *history);

/* The command ring holds this command under this number; NULL: a tombstone. */
int wal_history_note(struct wal_history *history, uint64_t cmd_seq,
		     const struct sluice_command *command);

/*
 * A command ring that was made anew begins with number `base`: what an earlier one held from there
 * on was never in the log. No report of it may have been seen.
 */
int wal_history_rewind(struct wal_history *history, uint64_t base);

/*
 * The next line of the consumer's file, without its newline. -EAGAIN: its command is not noted yet.
 */
int wal_history_line(struct wal_history *history, const char *line, size_t bytes);

/* Executes up to, not including, command `next`, whose lines may come later. -EAGAIN as above. */
int wal_history_execute(struct wal_history *history, uint64_t next);

#endif
