/* SPDX-License-Identifier: MIT */
/*
 * wal_storm.h - an instance of real programs that can be killed and started again, and what they
 * must have said: sluice-engine with its follower, a sluice-consumer that writes a file, and
 * sluice-producers, each a source with numbers of its own that after its death sends again from
 * what it has seen the reports of, and a little before. Log and file lie below `place`, rings in a
 * directory of their own.
 *
 * The harness is a critical reader of the command ring, so that it knows the order of all commands,
 * and reads the consumer's file as it grows. Every wait is bounded and goes on reading. One thread.
 * Functions return 0, or -errno with a sentence in `wrong`.
 */
#ifndef SLUICE_TESTS_LIB_WAL_STORM_H
#define SLUICE_TESTS_LIB_WAL_STORM_H

#include <sys/types.h>

#include "consumer/consumer.h"
#include "tests/lib/wal_history.h"

#define WAL_STORM_SOURCES WAL_HISTORY_SOURCES
#define WAL_STORM_WAIT_NS (40ull * 1000000000u)

struct wal_storm_options {
	const char *bin;   /* directory of the programs */
	const char *place; /* a directory for log and files, */
	const char *shm;   /* and one for rings; both are the caller's */
	uint64_t seed;
	uint64_t rate; /* of each source; a batch is 1 to 8 */
	const char *wal_size;
};

struct wal_storm_process {
	const char *what; /* as in the name of its file */
	pid_t pid;	  /* 0: it does not run */
	off_t said_from;  /* of its file, in this life */
	bool ready;
	uint64_t started_ns;
};

struct wal_storm {
	struct wal_storm_options options;
	char log[256], reports[256], name[32];
	struct wal_storm_process engine, rival, consumer, producers[WAL_STORM_SOURCES];
	struct wal_history history;
	struct sluice_segment ring;
	struct sluice_consumer tap; /* of the ring, if `attached` */
	bool attached;
	bool finishing;	  /* producers may end */
	bool slow_engine; /* its next life takes its snapshots slowly */
	int reports_fd;
	off_t reports_at, reports_freed;
	char *chunk;
	uint64_t random;
	uint64_t starts, start_ns_max, start_ns_sum, passed_over;
	char wrong[1400];
};

int wal_storm_open(struct wal_storm *storm, const struct wal_storm_options *options);
/* Ends everybody. */
void wal_storm_close(struct wal_storm *storm);

uint64_t wal_storm_random(struct wal_storm *storm, uint64_t below);

/* Starts what does not run. The sources send without end, or up to `count`. */
int wal_storm_engine(struct wal_storm *storm, struct wal_storm_process *process);
int wal_storm_consumer(struct wal_storm *storm);
int wal_storm_producer(struct wal_storm *storm, uint32_t source, uint64_t count);
int wal_storm_start_all(struct wal_storm *storm);

/* Until an engine has said that it is ready, with the ring joined. */
int wal_storm_ready(struct wal_storm *storm);

/* SIGKILL, waits, and reads what is left. The follower: false if there is none. */
int wal_storm_kill(struct wal_storm *storm, struct wal_storm_process *process);
bool wal_storm_kill_follower(struct wal_storm *storm);
/* A process claims up to n slots of the command ring and is killed before it publishes them. */
void wal_storm_claim(const struct wal_storm *storm, uint64_t n);
/* Takes the rings away; everybody is dead. */
int wal_storm_reboot(struct wal_storm *storm);

/* Waits for a process to end with this status. */
int wal_storm_ends(struct wal_storm *storm, struct wal_storm_process *process, int status);

/* Reads ring and file, checks them, looks whether somebody has ended by himself. */
int wal_storm_look(struct wal_storm *storm);
/* Only the ring: commands are noted, and none is executed. */
int wal_storm_note(struct wal_storm *storm);
/* The same again and again for this long. */
int wal_storm_pass(struct wal_storm *storm, uint64_t ns);
/* The same until commands below cmd_seq have been executed here. */
int wal_storm_reach(struct wal_storm *storm, uint64_t cmd_seq);
/* All sources get to one number, the line empties, and everybody ends well. */
int wal_storm_finish(struct wal_storm *storm);

/* Has the process said this line in this life? *ret_value: the number behind it, if there is. */
bool wal_storm_said(const struct wal_storm *storm, const struct wal_storm_process *process,
		    const char *text, uint64_t *ret_value);
/* How often the log has gone round, and the newest snapshot's number; 0: none, or no log. */
void wal_storm_log(const struct wal_storm *storm, uint64_t *ret_rounds, uint64_t *ret_snapshot);
/* Runs a program to its end, its words into `file`; its exit status, or -errno. */
int wal_storm_run(const struct wal_storm *storm, const char *file, const char *const *arguments);
/* The last words of everybody, to standard output. */
void wal_storm_show(const struct wal_storm *storm);

#endif
