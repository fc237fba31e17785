/* SPDX-License-Identifier: MIT */
/*
 * instance.h - a real sluice-engine in a process of its own, and the process that sends it commands
 * and reads their reports.
 */
#ifndef SLUICE_BENCH_INSTANCE_H
#define SLUICE_BENCH_INSTANCE_H

#include "bench/pair.h"
#include "bench/samples.h"
#include "consumer/consumer.h"
#include "producer/producer.h"
#include "shm/histogram.h"

#define BENCH_ARGUMENTS_MAX 16

struct bench_instance {
	char name[40];
	char dir[4096]; /* of the log, or "" with durability off; and of what the engine says */
	char error_path[4200];
	uint32_t cpu;
	uint32_t wait;
	uint64_t wal_bytes;
	const char *arguments[BENCH_ARGUMENTS_MAX]; /* more of them, until NULL */
	bool stays;				    /* does not end with its client */
	int pid;
};

/* Starts it and waits until its rings are there. */
int bench_instance_start(struct bench_instance *instance, bool durable, struct sluice_diag *diag);

/* Ends one that stays: cleanly, or as a crash does. The rings are removed, the log is left. */
int bench_instance_terminate(struct bench_instance *instance, struct sluice_diag *diag);
void bench_instance_kill(struct bench_instance *instance);

/* Waits for its end, which comes when the client has left; removes the rings if any are left. */
int bench_instance_stop(struct bench_instance *instance, struct sluice_diag *diag);

/* Removes a directory of plain files; the log of an instance whose directory this is. */
void bench_remove_dir(const char *path);
void bench_remove_log(const char *dir);

/* What a client has of the rings NAME.cmd and NAME.rep; the consumer is the critical "reports". */
struct bench_ends {
	struct sluice_segment cmd, rep;
	struct sluice_producer producer;
	struct sluice_consumer reports;
};

/* In the client's process. 0 or -errno. */
int bench_ends_attach(struct bench_ends *ret_ends, const char *name, uint32_t wait);

struct bench_client {		      /* in memory shared with the parent */
	struct bench_samples samples; /* ns from the intended time to the report in hand */
	struct bench_samples service; /* from the publish */
	struct sluice_histogram_snapshot take, commit, report; /* the engine's, of that time */
	char name[40];
	uint64_t run_ns;
	uint64_t rate;
	uint32_t wait;
	char pages[64]; /* behind the command ring, by the kernel's word */
};

/* A side for bench_pair_run; arg is a struct bench_client. */
int bench_client_run(struct bench_pair *pair, uint32_t side, void *arg);

#endif
