/* SPDX-License-Identifier: MIT */
/*
 * main.h - the parts of sluice-producer. Private to producer/main*.c. One thread.
 *
 * Invariant: a command that names a symbol is sent only after the ring's directory has given the
 * name its id; commands are sent in the source's order, and nothing after the first wrong one.
 */
#ifndef SLUICE_PRODUCER_MAIN_H
#define SLUICE_PRODUCER_MAIN_H

#include "producer/producer.h"
#include "producer/rate.h"
#include "producer/source.h"

#define PRODUCER_PROGRAM "sluice-producer"
#define PRODUCER_BATCH_MAX 1024u

struct producer_options {
	const char *name;
	const char *from;
	const char *cpu;
	const char *symbol;
	const char *params;
	uint32_t format; /* enum sluice_format */
	uint32_t wait;	 /* enum sluice_wait_strategy */
	bool generate;
	bool poisson;
	bool dry_run;
	uint64_t rate;
	uint64_t batch;
	uint64_t session;
	uint64_t count; /* 0: all */
	uint64_t resume_from;
	uint64_t lobster_tick;
	uint64_t wait_timeout_ns; /* 0: for ever */
	struct sluice_generator_params generator;
};

struct producer_run {
	const struct producer_options *options;
	struct sluice_source *source;
	struct sluice_segment segment;
	struct sluice_producer out;
	struct sluice_rate rate;
	struct sluice_command pending[PRODUCER_BATCH_MAX]; /* taken, not sent yet */
	uint32_t pending_count;
	uint64_t pending_ns; /* when they are meant to be sent; 0: now */
	uint64_t taken; /* from the source, skipped ones included */
	uint64_t sent;
	uint64_t started_ns;
	uint64_t late_ns_max;
	bool gate_said;
	bool source_failed; /* the error is the input's, not the ring's */
	char waited_for[SLUICE_NAME_BYTES]; /* symbol that nobody has defined in time */
	struct sluice_diag diag;
};

/* main_symbols.c: the resolver of the source; `arg` is the run. */
int producer_resolve(void *arg, enum sluice_directory_kind kind, const char *name,
		     struct sluice_resolved *ret_resolved);

/*
 * main_send.c: 0 after everything was sent; -EINTR a signal came, -EPIPE the ring was closed or
 * replaced, -ETIMEDOUT nobody answered, or the source's error; run->diag says the rest.
 */
int producer_send_all(struct producer_run *run);
/* Sends what is pending. */
int producer_flush(struct producer_run *run);
/* -EINTR or -EPIPE when going on makes no sense any more, else 0. */
int producer_check(struct producer_run *run);

/* main_dry.c: the source's commands as CSV on stdout. */
int producer_dry_run(struct producer_run *run);

#endif
