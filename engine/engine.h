/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the glue between command ring, log, core and report ring. Private to engine/.
 *
 * One thread owns everything here. Invariants:
 *   visible <= durable (durability batch): reports are published only up to a durable mark (D1);
 *   the command ring's position moves only with the durable mark (D6);
 *   what is matched is the copy in the log's block, never the slot.
 * A kill at any instruction leaves: the log's durable prefix, a command ring that still holds
 * everything after it, and a report ring whose published reports the prefix regenerates (D2, D3).
 */
#ifndef SLUICE_ENGINE_ENGINE_H
#define SLUICE_ENGINE_ENGINE_H

#include <sched.h>
#include <stdio.h>

#include "consumer/consumer.h"
#include "engine/core/core.h"
#include "engine/supervise.h"
#include "engine/wal/wal.h"
#include "engine/watch.h"
#include "producer/producer.h"
#include "shm/counter.h"
#include "shm/histogram.h"

#define ENGINE_PROGRAM "sluice-engine"

enum engine_durability { ENGINE_BATCH = 0, ENGINE_ASYNC = 1, ENGINE_OFF = 2 };
enum engine_reports { ENGINE_REPORTS_KEEP = 0, ENGINE_REPORTS_DROP = 1 };
enum engine_follower { ENGINE_FOLLOWER_ON = 0, ENGINE_FOLLOWER_OFF = 1 };

/* Counters of NAME.rep that engine and follower talk through; see supervise.h. */
#define ENGINE_SNAPSHOT_READY "snapshot_ready"
#define ENGINE_FOLLOWER_CMD_SEQ "follower_cmd_seq"
/* What is known to be durable when the ring is made: a file may hold reports up to it already. */
#define ENGINE_REPORTS_RECOVERED "reports_recovered"

struct engine_options {
	const char *name;
	const char *wal;
	bool format;
	uint64_t wal_size;
	uint32_t wal_backend;
	uint32_t wal_sync;
	uint32_t wal_extents;
	uint32_t durability; /* enum engine_durability */
	uint32_t reports;    /* enum engine_reports */
	uint32_t wait;	     /* enum sluice_wait_strategy */
	const char *cpu;
	uint32_t hugepages; /* enum sluice_hugepages */
	uint64_t ring_size;
	uint64_t window;
	bool once;
	uint64_t wait_timeout_ns;
	uint64_t symbols_max;
	uint64_t orders_max;
	uint64_t levels_max;
	uint64_t sessions_max;
	uint64_t window_ticks;
	uint32_t follower; /* enum engine_follower */
	bool follow;	   /* be a follower */
	uint64_t snapshot_every;
	uint64_t snapshot_rate;
	uint64_t parent; /* follower: the engine that started it, 0: started by hand */
};

/* What becomes visible when commands below cmd_seq are durable. */
struct engine_mark {
	uint64_t cmd_seq;
	uint64_t report_next;
	uint64_t md_next;
};
#define ENGINE_MARKS 16u /* above the log's window */

struct engine {
	struct engine_options options;
	struct sluice_segment cmd, rep, md;
	struct sluice_consumer in;  /* of NAME.cmd */
	struct sluice_producer out; /* of NAME.rep */
	struct sluice_producer md_out;
	struct sluice_core *core;
	void *core_memory;
	size_t core_bytes;
	struct sluice_wal *wal; /* NULL: durability off */
	cpu_set_t other_cpus;	/* those a thread of the log may have; none: the engine's */
	struct sluice_sink sink;

	struct engine_mark marks[ENGINE_MARKS]; /* of blocks in flight, oldest at marks_first */
	uint64_t marks_first, marks_next;
	uint64_t executed; /* commands below were given to the core */
	uint64_t visible;  /* commands below have their reports published */
	uint64_t submitted_ns, idle_ns;
	uint64_t tombstones_said; /* of NAME.cmd */
	uint64_t commit_ewma_ns;
	uint64_t *sends; /* send_ns of commands not released yet, by cmd_seq & ring mask */
	uint64_t sends_mask;
	struct sluice_command *scratch; /* durability off: private copies */
	struct engine_supervisor supervisor;
	struct engine_watch watch;
	bool waited_said;
	bool sealed;
	bool closed; /* --once: no producer can come any more */
	int error;   /* the errno that stopped it */

	struct sluice_counter *commands, *reports, *trades, *rejected, *duplicates, *wal_bytes,
		*wal_blocks, *wal_commands, *orders_live, *wal_in_flight, *recovered;
	struct sluice_histogram *take_ns, *report_ns, *commit_hist_ns;
};

/* instance.c: the three segments. */
int engine_instance_open(struct engine *engine, uint64_t cmd_base, uint64_t report_base,
			 uint64_t md_base, struct sluice_diag *diag);
bool engine_instance_exists(const struct engine *engine);
int engine_instance_check_free(const struct engine *engine, struct sluice_diag *diag);
int engine_instance_attach(struct engine *engine, struct sluice_diag *diag);
int engine_instance_join(struct engine *engine, struct sluice_diag *diag);
void engine_instance_close(struct engine *engine);
void engine_instance_retire(struct engine *engine);

/* recover.c: from the log's prefix to a running state. */
int engine_recover(struct engine *engine, struct sluice_diag *diag);
/* What to type after the log's error rc, where the log, which knows no options, did not say. */
void engine_log_hint(const struct engine_options *options, int rc, struct sluice_diag *diag);

/*
 * recover_check.c: -EBADMSG if rings that survived prove more than the log holds, or are older than
 * it (D4); if rings that the log does not know show more than it gives, which replay has told; and
 * if the command ring does not hold everything from `next` on that the log does not.
 */
int engine_check_rings(struct engine *engine, const struct sluice_wal_position *position,
		       struct sluice_diag *diag);
int engine_check_numbers(const struct engine *engine, const struct sluice_wal_position *position,
			 const struct sluice_sink *replayed, struct sluice_diag *diag);
int engine_check_continuity(const struct engine *engine, uint64_t next, struct sluice_diag *diag);

/*
 * loop.c: a step executes, submits, publishes, or waits a little; a round is what is done every
 * ENGINE_ROUND_NS besides. Both: 0, or the error that ends the engine. run does them until a
 * signal, and then finishes.
 */
#define ENGINE_ROUND_NS 50000000u
#define ENGINE_COMMIT_WAIT_NS 200000u
void engine_take(struct engine *engine, uint64_t sequence, struct sluice_command *ret_command);
int engine_step(struct engine *engine);
int engine_step_submit(struct engine *engine);
int engine_round(struct engine *engine, uint64_t now_ns);
int engine_run(struct engine *engine, struct sluice_diag *diag);

/* finish.c: the clean end, and the other one. */
bool engine_end_once(struct engine *engine);
void engine_say_tombstones(struct engine *engine);
int engine_finish(struct engine *engine, struct sluice_diag *diag);
int engine_stop(struct engine *engine, int error, struct sluice_diag *diag);

/* main_follow.c: be a follower until a signal or an error. */
int engine_follow(const struct engine_options *options, struct sluice_diag *diag);

/* main_log.c: says, once it is open, in what the log is not what one may take it for. */
void engine_say_log(const struct engine *engine);

/* publish.c */
uint16_t engine_report_flags(const struct engine *engine);
void engine_sink_init(struct engine *engine);
void engine_mark_push(struct engine *engine);
void engine_publish(struct engine *engine);
int engine_room(struct engine *engine, uint64_t timeout_ns);
void engine_say_waiting(struct engine *engine);
void engine_notes(struct engine *engine);
void engine_tell_taken(struct engine *engine);
void engine_directory(struct engine *engine, uint64_t below_cmd_seq);
int engine_halt(struct engine *engine, int error);

#endif
