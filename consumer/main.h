/* SPDX-License-Identifier: MIT */
/*
 * main.h - the parts of sluice-consumer. Private to consumer/main*.c. One thread.
 *
 * Invariant: a position is released only after write(2), and with --sync fdatasync(2), has taken
 * the lines of everything before it. Killed at any instruction, the program has lost nothing; what
 * it wrote and did not release it finds at the end of --output when it comes back, and does not
 * write again.
 */
#ifndef SLUICE_CONSUMER_MAIN_H
#define SLUICE_CONSUMER_MAIN_H

#include "consumer/consumer.h"
#include "consumer/event_text.h"
#include "consumer/names.h"
#include "consumer/tap.h"
#include "shm/histogram.h"

#define CONSUMER_PROGRAM "sluice-consumer"
#define CONSUMER_OUTPUT_BYTES (512u * 1024u)
#define CONSUMER_IDLE_NS 50000000u /* between two looks at the signals */

enum consumer_ring { CONSUMER_REP = 0, CONSUMER_MD = 1, CONSUMER_CMD = 2 };
enum consumer_policy { /* the first four as in enum sluice_policy */
	CONSUMER_AUTO = 0,
	CONSUMER_CRITICAL = SLUICE_POLICY_CRITICAL,
	CONSUMER_EVICTABLE = SLUICE_POLICY_EVICTABLE,
	CONSUMER_LOSSY = SLUICE_POLICY_LOSSY,
	CONSUMER_TAP = 4
};

struct consumer_options {
	const char *name;
	const char *as;
	const char *from;
	const char *output;
	const char *cpu;
	uint32_t ring;	 /* enum consumer_ring */
	uint32_t policy; /* enum consumer_policy; AUTO until the ring is known */
	uint32_t wait;	 /* enum sluice_wait_strategy */
	bool text;
	bool sync;
	uint64_t lag_max;
	uint64_t count;
	uint64_t until_idle_ns; /* 0: no */
	uint64_t wait_timeout_ns;
};

struct consumer_output {
	const char *path; /* NULL: standard output */
	int fd;		  /* -1: nothing is written */
	uint32_t used;
	char *buffer; /* CONSUMER_OUTPUT_BYTES and one line more */
};

struct consumer_run {
	const struct consumer_options *options;
	struct sluice_segment segment;
	struct sluice_consumer in;
	struct sluice_tap tap;
	struct sluice_names names;
	struct sluice_histogram *latency; /* NULL: not recorded */
	struct consumer_output output;
	uint64_t events;
	uint64_t trades;
	uint64_t voids;
	uint64_t first_n, last_n; /* 0: none yet */
	uint64_t expected_n;	  /* 0: any */
	uint64_t written_n;	  /* the file's last one when we started */
	uint64_t lost;
	uint64_t duplicated;
	uint64_t active_ns; /* when the last event came */
	struct sluice_diag diag;
};

/* main_loop.c: 0 at the end of the ring, of --count or --until-idle; -EINTR, -ESTALE, -EIO ... */
int consumer_run_participant(struct consumer_run *run);
int consumer_run_tap(struct consumer_run *run);

/* main_event.c: counts, checks and prints one event; `event` is a private copy. 0 or -errno. */
int consumer_take(struct consumer_run *run, const void *event, uint64_t sequence);

/* main_output.c */
int consumer_output_open(struct consumer_run *run);
int consumer_output_flush(struct consumer_run *run);
void consumer_output_close(struct consumer_run *run);
/* Room for one more line, SLUICE_EVENT_TEXT_MAX long. */
static inline char *consumer_output_line(struct consumer_output *output)
{
	return output->buffer + output->used;
}
static inline bool consumer_output_is_full(const struct consumer_output *output)
{
	return output->used >= CONSUMER_OUTPUT_BYTES;
}

#endif
