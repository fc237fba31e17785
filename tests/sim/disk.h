/* SPDX-License-Identifier: MIT */
/*
 * disk.h - the simulated disk: a struct sluice_wal_io over memory that forgets, tears and lies.
 *
 * Every file has two images: what reads see (the device's volatile cache included), and what is on
 * stable media. A write goes through three instants: its sectors arrive in the cache, they reach
 * stable media, its completion is there to be reaped. A power cut in between leaves any subset of
 * its 512-byte sectors; a process's death leaves the device to finish what it was given, or not.
 * What a disk may do wrong beyond that is in faults.h.
 */
#ifndef SLUICE_TESTS_SIM_DISK_H
#define SLUICE_TESTS_SIM_DISK_H

#include "engine/wal/wal_io.h"
#include "tests/sim/faults.h"
#include "tests/sim/fiber.h"

#define SIM_SECTOR 512u

struct sim_disk_knobs {
	uint64_t latency_ns;	  /* a write's, about */
	uint32_t spike_per_mille; /* of writes: a hundred times as long */
	uint32_t keep_per_mille;  /* of a power cut's sectors under way: those that landed */
	bool in_order;		  /* no write overtakes another */
};

/* A log just formatted, with these limits. */
void sim_disk_format(uint64_t seed, const struct sim_disk_knobs *knobs,
		     const struct sluice_core_options *limits);

/* The io of a process that opens the log. */
int sim_disk_open(struct sluice_wal_io **ret_io);
/* What is on stable media, for the checker: reads and sizes only. */
struct sluice_wal_io *sim_disk_media(void);
/* The newest superblock on stable media that is whole; NULL: there is none. */
const struct sluice_wal_super *sim_disk_super(void);
/* Its predecessor, likewise. */
const struct sluice_wal_super *sim_disk_super_before(const struct sluice_wal_super *super);

/* Moves what is under way as far as the clock says. The time of the next step, or SIM_NEVER. */
uint64_t sim_disk_advance(void);

void sim_disk_process_died(enum sim_role role);
void sim_disk_power_cut(void);

/* The next n operations of the kind that the fault is about fail by it. */
void sim_disk_arm(enum sim_fault fault, uint32_t n);
/* True when a fault that was armed has happened. */
bool sim_disk_fired(enum sim_fault fault);
/* Somebody's write to the file is under way. */
bool sim_disk_is_written(uint32_t file);
/* Flips a bit of stable media somewhere in what was written to the file. */
bool sim_disk_rot(uint32_t file, uint64_t offset);
/* From now on a page cannot be read. */
void sim_disk_unreadable(uint32_t file, uint64_t offset);

bool sim_disk_is_whole_on_media(const struct sluice_wal_block_header *header, uint64_t offset);

#endif
