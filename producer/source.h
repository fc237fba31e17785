/* SPDX-License-Identifier: MIT */
/*
 * source.h - where commands come from: a file (plain or gzip), standard input, or the generator,
 * all behind one `next`.
 *
 * Files are CSV, JSON lines or LOBSTER messages; docs/formats.md describes them. Symbols and assets
 * are resolved to ids through the options' resolver (symbols.h), or numbered by the source itself
 * when there is none.
 *
 * One thread. Memory is taken at open. `next` blocks while a pipe is empty, and in the resolver:
 * publish what has been taken so far first. `ready` tells whether a pipe would make it wait.
 */
#ifndef SLUICE_PRODUCER_SOURCE_H
#define SLUICE_PRODUCER_SOURCE_H

#include "producer/command_text.h"
#include "producer/generator.h"

enum sluice_format {
	SLUICE_FORMAT_AUTO = 0, /* by the name, else by the first character */
	SLUICE_FORMAT_CSV = 1,
	SLUICE_FORMAT_JSONL = 2,
	SLUICE_FORMAT_LOBSTER = 3,
	SLUICE_FORMATS = 4
};

struct sluice_source_options {
	const char *path;   /* a file, "-", or NULL: the generator. Must outlive the source */
	uint32_t format;    /* enum sluice_format */
	uint32_t session;   /* given, with a dense client_seq, to commands of files without one */
	const char *symbol; /* LOBSTER: NULL: from the file's name */
	uint32_t lobster_tick; /* in 1/10000 dollar, 0: 100 */
	uint32_t reserved;
	struct sluice_generator_params generator;
	struct sluice_resolver resolver; /* .resolve NULL: number names here */
};

struct sluice_source_item {
	struct sluice_command command;
	char symbol[SLUICE_NAME_BYTES]; /* name that command.symbol or the definition is; "" none */
	uint64_t line;			/* 0: not from a line */
};

struct sluice_source_stats {
	uint64_t lines;
	uint64_t commands;
	uint64_t hidden; /* LOBSTER lines without a command, by kind */
	uint64_t crosses;
	uint64_t halts_skipped;
};

struct sluice_source;

/* -EINVAL: options; -ENOENT, -EACCES ...: the file; -ENOTSUP: gzip in a build without zlib. */
int sluice_source_open(struct sluice_source **ret_source,
		       const struct sluice_source_options *options, struct sluice_diag *diag);
void sluice_source_close(struct sluice_source *source);

/*
 * 1: a command; 0: the end; -EBADMSG: a line is wrong, diag says where and why; -ENOENT: its symbol
 * is nobody's. After these the next call goes on with the next line; after a wrong CSV header
 * nothing follows. -EINTR: a signal came while waiting for input. Any other error is the file's or
 * the resolver's; after one of the resolver's (-EINTR too) the next call asks again for the same
 * command: nothing is lost.
 */
int sluice_source_next(struct sluice_source *source, struct sluice_source_item *ret_item,
		       struct sluice_diag *diag);

/* False when `next` may have to wait for somebody to write into a pipe. */
bool sluice_source_ready(const struct sluice_source *source);

void sluice_source_stats(const struct sluice_source *source, struct sluice_source_stats *ret_stats);

/* What the ids in an item mean, for sluice_command_text_write. Points into item and source. */
void sluice_source_names(struct sluice_source *source, const struct sluice_source_item *item,
			 struct sluice_command_names *ret_names);

/* "csv", "jsonl", "lobster", "auto". */
extern const struct sluice_words sluice_format_words;

#endif
