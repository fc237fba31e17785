/* SPDX-License-Identifier: MIT */
/*
 * check.h - the judge: knows what was written, what is on stable media, what was visible, and what
 * the commands of the log must give. Independent of the engine but for the core, of which it has a
 * copy of its own that executes the log in its order.
 *
 *	I1 published <= durable			I7 nothing cut comes back
 *	I2 durable is a contiguous prefix	I8 hashes are equal
 *	I3 the command ring's gate likewise	I9 report n has the same bytes in every life
 *	I4 one block, one content		I10 a segment is reused after its time
 *	I5 next - durable <= window		I11 nothing is done after a halt
 *	I6 what was acknowledged is recovered	I13 every command is executed once, in order
 */
#ifndef SLUICE_TESTS_SIM_CHECK_H
#define SLUICE_TESTS_SIM_CHECK_H

#include "engine/core/core.h"
#include "engine/wal/wal_format.h"
#include "tests/sim/fiber.h"

void sim_check_reset(const struct sluice_core_options *limits, uint32_t window);

/* The disk: a process hands a block over; its last sector has reached stable media. */
void sim_check_submit(uint32_t file, uint64_t offset, const void *data);
void sim_check_landed(const void *data);
/* A superblock has reached stable media; its writer lives. */
void sim_check_super(const struct sluice_wal_super *super, bool by_living);
/* After a power cut: what is on stable media now. */
void sim_check_media(void);
/* An error of this write was given to the engine: it may not survive it. */
void sim_check_halted(uint64_t tag);
void sim_check_engine_ended(void);

/* Whenever the engine may have published: its rings against what is durable. */
void sim_check_rings(void);
/* A reboot: the rings are gone. */
void sim_check_rings_gone(void);

/* A consumer sees a report; true: it is one that it has not seen before. */
bool sim_check_report(const struct sluice_report *report);
/* A follower has executed the blocks below, with this outcome. */
void sim_check_follower(uint64_t block_seq, uint64_t chain_hash, uint64_t cmd_seq);

/* Blocks of the log were damaged by the disk on purpose, or may have been. */
void sim_check_damaged(void);
bool sim_check_is_damaged(void);
/* The log lost acknowledged commands and could not know it: the documented residual. */
bool sim_check_is_residual(void);

/* The end: every command of every producer exactly once. */
void sim_check_end(const uint64_t last[SIM_PRODUCERS], bool complete);

/* A place that a superblock names must be one of the durable log. */
void sim_check_place(const struct sluice_wal_place *place);
/* A page of some block in the live log, by chance; false: there is none. */
bool sim_check_page(uint64_t chance, uint32_t *ret_file, uint64_t *ret_offset);

/* Statistics; reused: segments that were written again. */
void sim_check_count(uint64_t *ret_blocks, uint64_t *ret_commands, uint64_t *ret_reused);

#endif
