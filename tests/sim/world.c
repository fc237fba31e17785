/* SPDX-License-Identifier: MIT */
/*
 * world.c - see world.h. Chooses a world by the seed, lets it run, plays the operator: kills, cuts
 * the power, spoils the disk, starts again what has ended; and decides when it is over.
 *
 * A fault comes after a number of points, wherever the process that runs then is. Processes die in
 * the scheduler, between two slices: for the one that ran that is the very point.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_io.h"
#include "shm/wait.h"
#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/kernel.h"
#include "tests/sim/roles.h"
#include "tests/sim/segment.h"
#include "tests/sim/trace.h"

#define POINTS_MAX 40000000u /* half a minute of waiting for a snapshot to be named is fewer */
#define TIME_MAX_NS 400000000000ull
#define SHORTS_PER_SEED 3u
#define GIVE_UP_NS 2000000000u

enum phase { PHASE_RUN = 0, PHASE_LAST_START };

static jmp_buf seed_end;
static struct sim_outcome *outcome;
static struct sim_random dice;
static enum phase phase;
static bool complete; /* at the end everything has been answered */
static enum sim_demand worst;	/* of the faults of this seed */
static uint32_t faults_left, shorts_left, spoils_left;
static uint64_t next_fault; /* at this many points */
static enum sim_fault pending;
static bool tempted; /* to cut the power next */
static uint64_t respawn_ns[SIM_ROLES], next_start_ns;
static uint64_t alarm_ns; /* when a follower found the damage */
static uint32_t excuses; /* ends of the engine with an error that are the disk's fault */

/* --------------------------------------------------------------------------------- the end */

_Noreturn void sim_fail(const char *invariant, const char *format, ...)
{
	va_list args;

	outcome->broken = true;
	snprintf(outcome->invariant, sizeof(outcome->invariant), "%s", invariant);
	va_start(args, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, args);
	va_end(args);
	_longjmp(seed_end, 1);
}

_Noreturn void sim_end_early(void)
{
	_longjmp(seed_end, 1);
}

/* The product's own invariants count as well. */
_Noreturn void sluice_assert_failed(const char *condition, const char *file, int line)
{
	if (!outcome) {
		fprintf(stderr, "sim: broken invariant: %s (%s:%d)\n", condition, file, line);
		_Exit(1);
	}
	sim_fail("assert", "%s (%s:%d)", condition, file, line);
}

/* ------------------------------------------------------------------------------- the operator */

static void plan_next_fault(void)
{
	const bool soon = sim_chance(&dice, 400);

	next_fault = faults_left ? sim_points + 1 + sim_spread(&dice, 0, soon ? 3000 : 40000) :
				   SIM_NEVER;
}

void sim_tempt(uint32_t per_mille)
{
	if (!faults_left || !sim_chance(&dice, per_mille))
		return;
	next_fault = sim_points + sim_spread(&dice, 0, 1500);
	tempted = sim_chance(&dice, 500);
}

static bool is_complete(void)
{
	for (uint32_t i = 0; i < SIM_PRODUCERS; i++)
		if (sim_world.acked[i] < sim_world.commands[i])
			return false;
	return true;
}

static void spoil_log(enum sim_fault fault)
{
	enum sim_demand demand = sim_fault_rule(fault)->demand;
	uint32_t file = 0;
	uint64_t offset = 0;

	if (!spoils_left)
		return;
	if (fault == SIM_ROT_SUPER) {
		const struct sluice_wal_super *newest = sim_disk_super();

		/* the newest more often: it is the one that matters */
		file = SLUICE_WAL_FILE_SUPER;
		offset = newest && sim_chance(&dice, 750) ?
				 newest->sequence % SLUICE_WAL_SUPER_COPIES :
				 sim_below(&dice, SLUICE_WAL_SUPER_COPIES);
		offset *= SLUICE_WAL_ALIGN;
	} else if (fault == SIM_ROT_SNAPSHOT) {
		file = SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)sim_below(&dice, 2);
		offset = sim_below(&dice, 3) * SLUICE_WAL_ALIGN;
	} else if (!sim_check_page(sim_next(&dice), &file, &offset)) {
		return;
	}
	if (fault == SIM_ROT_SNAPSHOT && !sim_can_lose_snapshot(file))
		demand = SIM_REFUSE;
	if (fault == SIM_READ_EIO_FOREVER)
		sim_disk_unreadable(file, offset);
	else if (!sim_disk_rot(file, offset))
		return;
	spoils_left--;
	if (demand == SIM_REFUSE)
		sim_check_damaged();
	if (fault == SIM_ROT_SNAPSHOT)
		sim_world.rotten_snapshot = true;
}

static void arm_disk(enum sim_fault fault)
{
	if (fault == SIM_WRITE_LOST || fault == SIM_WRITE_ASTRAY) {
		if (!spoils_left)
			return;
		spoils_left--;
		sim_check_damaged();
	}
	if (fault == SIM_WRITE_SHORT) {
		if (!shorts_left)
			return;
		shorts_left--;
	}
	if (sim_fault_rule(fault)->demand == SIM_HALT)
		excuses++;
	sim_disk_arm(fault, fault == SIM_WRITE_AGAIN ? 1 + (uint32_t)sim_below(&dice, 8) : 1);
}

static void happen(enum sim_fault fault)
{
	sim_trace_text("the operator", sim_fault_rule(fault)->name);
	outcome->count[SIM_COUNT_FAULTS]++;
	switch (fault) {
	case SIM_KILL_ENGINE:
	case SIM_KILL_PRODUCER:
	case SIM_KILL_CONSUMER:
	case SIM_KILL_FOLLOWER:
	case SIM_POWER_CUT:
		pending = fault; /* by the scheduler */
		break;
	case SIM_STOP_ENGINE:
		sim_signal(SIM_ENGINE, SIGTERM);
		break;
	case SIM_CLOCK_JUMP:
		sim_clock_jump((int64_t)sim_below(&dice, 7200000000000ull) - 3600000000000ll);
		break;
	case SIM_ROT_LOG:
	case SIM_ROT_SUPER:
	case SIM_ROT_SNAPSHOT:
	case SIM_READ_EIO_FOREVER:
		spoil_log(fault);
		break;
	default:
		arm_disk(fault);
		break;
	}
}

bool sim_operate(void)
{
	if (sim_self() == SIM_ENGINE)
		sim_check_rings();
	if (sim_points < next_fault)
		return false;
	faults_left--;
	plan_next_fault();
	if (tempted && sim_chance(&dice, 150))
		happen(SIM_ROT_SUPER); /* and then the power: what was just begun is not there */
	happen(tempted ? SIM_POWER_CUT : sim_fault_choose(&dice, worst));
	tempted = false;
	return pending != SIM_FAULT_NONE;
}

static void respawn(enum sim_role role)
{
	respawn_ns[role] = sim_now() + (sim_chance(&dice, 500) ? 0 : sim_below(&dice, 5000000));
	next_start_ns = respawn_ns[role] < next_start_ns ? respawn_ns[role] : next_start_ns;
}

void sim_process_ended(enum sim_role role, bool killed)
{
	(void)killed;
	sim_segments_drop(role);
	sim_disk_process_died(role);
	if (role == SIM_ENGINE) {
		sim_check_engine_ended();
		sim_world.engine_ready = false;
	}
	respawn(role);
}

static void cut_power(void)
{
	outcome->count[SIM_COUNT_POWER]++;
	sim_check_rings();
	for (uint32_t role = 0; role < SIM_ROLES; role++)
		sim_kill((enum sim_role)role);
	sim_disk_power_cut();
	sim_check_media();
	sim_segments_clear();
	sim_check_rings_gone();
	/* what was not answered may be gone with the ring */
	for (uint32_t i = 0; i < SIM_PRODUCERS; i++)
		sim_world.sent[i] = sim_world.acked[i];
}

static void carry_out(enum sim_fault fault)
{
	pending = SIM_FAULT_NONE;
	if (fault == SIM_POWER_CUT) {
		cut_power();
	} else if (fault == SIM_KILL_PRODUCER) {
		sim_kill((enum sim_role)(SIM_PRODUCER + sim_below(&dice, SIM_PRODUCERS)));
	} else {
		if (fault == SIM_KILL_ENGINE)
			sim_check_rings();
		sim_kill(fault == SIM_KILL_ENGINE   ? SIM_ENGINE :
			 fault == SIM_KILL_CONSUMER ? SIM_CONSUMER :
						      SIM_FOLLOWER);
	}
}

/* ------------------------------------------------------------------------------ ends and starts */

static bool is_damage(int error)
{
	return error == -EBADMSG || error == -EIO || error == -EPROTO || error == -ENODATA;
}

void sim_engine_ended(int error, bool started, const char *text)
{
	sim_trace("the engine ends with error %llu, started %llu", (uint64_t)-error, started, 0, 0);
	if (error)
		sim_trace_text("its words", text);
	if (!error)
		return;
	if (excuses && (error == -EIO || error == -ENOSPC)) {
		excuses--;
		return;
	}
	if (sim_check_is_damaged() && !started && is_damage(error)) {
		outcome->count[SIM_COUNT_REFUSED]++;
		sim_end_early();
	}
	sim_fail(started ? "halt" : "refusal", "error %d: %s", -error, text);
}

void sim_follower_ended(int error, const char *text)
{
	if (error == -EBADMSG && !sim_check_is_damaged())
		sim_fail("follower", "error %d: %s", -error, text);
	if (sim_check_is_damaged() && is_damage(error) && alarm_ns == SIM_NEVER)
		alarm_ns = sim_now();
}

static void (*const mains[SIM_ROLES])(void) = {sim_engine,   sim_consumer, sim_follower,
					       sim_producer, sim_producer, sim_producer};

/* The time of the next start. */
static uint64_t start_processes(void)
{
	uint64_t next_ns = SIM_NEVER;

	if (sim_now() < next_start_ns)
		return next_start_ns;
	for (uint32_t role = 0; role < SIM_ROLES; role++) {
		if (respawn_ns[role] <= sim_now()) {
			respawn_ns[role] = SIM_NEVER;
			sim_spawn((enum sim_role)role, mains[role]);
			outcome->count[SIM_COUNT_STARTS] += role == SIM_ENGINE;
		}
		if (respawn_ns[role] < next_ns)
			next_ns = respawn_ns[role];
	}
	next_start_ns = next_ns;
	return next_ns;
}

/* --------------------------------------------------------------------------------- one world */

static uint32_t choose_wait(void)
{
	static const uint32_t strategies[] = {SLUICE_WAIT_BLOCK, SLUICE_WAIT_BLOCK,
					      SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_SLEEPING};

	return strategies[sim_below(&dice, 4)];
}

static void choose_world(uint64_t seed)
{
	const uint64_t class = sim_below(&dice, 100);

	sim_world = (struct sim_world){
		.seed = seed,
		.limits = {.symbols_max = 1, .orders_max = 256, .levels_max = 32, .sessions_max = 4,
			   .window_ticks = 64},
		.window = sim_chance(&dice, 500) ? 4 :
						   (uint32_t)sim_between(&dice, 1,
									 SLUICE_WAL_WINDOW_MAX),
		.ring_slots = 64u << sim_below(&dice, 3),
		.slow_ns = sim_chance(&dice, 200) ? 5000000 : 50000,
		.every_bytes = (uint64_t)SLUICE_WAL_SEGMENT_BYTES_MIN * sim_between(&dice, 1, 6),
		.dice = {sim_next(&dice)},
	};
	worst = class < 60 ? SIM_SURVIVE : class < 75 ? SIM_HALT : SIM_REFUSE;
	faults_left = sim_chance(&dice, 50) ? 0 : (uint32_t)sim_between(&dice, 1, 10);
	shorts_left = SHORTS_PER_SEED;
	spoils_left = 1;
	for (uint32_t role = 0; role < SIM_ROLES; role++)
		sim_world.wait[role] = choose_wait();
}

/* Producers are mostly about as fast as the disk, so that there are many small blocks. */
static void choose_load(uint64_t latency_ns)
{
	const uint32_t producers = (uint32_t)sim_between(&dice, 1, SIM_PRODUCERS);
	const bool slow = sim_chance(&dice, 600);
	const bool sparse = sim_chance(&dice, 150); /* the log is idle in between, and seals */

	for (uint32_t i = 0; i < producers; i++) {
		sim_world.commands[i] = sim_between(&dice, 10, slow ? 150 : 100);
		sim_world.think_ns[i] = sim_chance(&dice, 200) ?
						0 : sim_below(&dice, (slow ? 30 : 4) * latency_ns);
		if (sparse)
			sim_world.think_ns[i] = 800000 + sim_below(&dice, 1500000);
	}
}

static void choose_disk(void)
{
	static const uint32_t keeps[] = {0, 100, 500, 500, 900, 1000};
	static const uint32_t spikes[] = {0, 0, 20, 100};
	const struct sim_disk_knobs knobs = {
		.latency_ns = sim_spread(&dice, 20000, 2000000),
		.spike_per_mille = spikes[sim_below(&dice, 4)],
		.keep_per_mille = keeps[sim_below(&dice, 6)],
		.in_order = sim_chance(&dice, 200),
	};

	choose_load(knobs.latency_ns);
	sim_disk_format(sim_next(&dice), &knobs, &sim_world.limits);
}

static void begin(uint64_t seed)
{
	dice.state = sim_mix(seed);
	choose_world(seed);
	sim_fibers_reset(sim_next(&dice), 1ull << sim_between(&dice, 3, 11));
	sim_kernel_reset(sim_next(&dice));
	sim_segments_clear();
	choose_disk();
	sim_check_reset(&sim_world.limits, sim_world.window);
	phase = PHASE_RUN;
	pending = SIM_FAULT_NONE;
	tempted = false;
	excuses = 0;
	alarm_ns = SIM_NEVER;
	memset(respawn_ns, 0, sizeof(respawn_ns));
	next_start_ns = 0;
	plan_next_fault();
}

/* Everything was answered once: a last power cut, and all of it must still be there. */
static bool is_too_long(void)
{
	return sim_points > POINTS_MAX || sim_now() > TIME_MAX_NS;
}

static bool is_over(void)
{
	/* without a follower the log gets full: that is the end of what can be seen */
	const bool given_up = alarm_ns != SIM_NEVER && sim_now() > alarm_ns + GIVE_UP_NS;
	/* the same while the follower waits for a block that the disk has lost */
	const bool stalled = sim_check_is_damaged() && is_too_long();

	if (phase == PHASE_RUN && (is_complete() || given_up || stalled)) {
		outcome->count[SIM_COUNT_STALLED] += stalled;
		complete = is_complete();
		phase = PHASE_LAST_START;
		faults_left = 0;
		next_fault = SIM_NEVER;
		sim_trace("all commands are answered", 0, 0, 0, 0);
		cut_power();
	}
	return phase == PHASE_LAST_START && sim_world.engine_ready;
}

static void run(void)
{
	while (!is_over()) {
		uint64_t next_ns = start_processes();
		const uint64_t disk_ns = sim_disk_advance();

		if (pending) {
			carry_out(pending);
			continue;
		}
		sim_schedule(disk_ns < next_ns ? disk_ns : next_ns);
		if (is_too_long() &&
		    (!sim_check_is_damaged() || sim_points > POINTS_MAX + POINTS_MAX / 4))
			sim_fail("stuck", "after %llu points and %llu ms: answered %llu/%llu "
				 "%llu/%llu %llu/%llu", (unsigned long long)sim_points,
				 (unsigned long long)sim_now() / 1000000,
				 (unsigned long long)sim_world.acked[0],
				 (unsigned long long)sim_world.commands[0],
				 (unsigned long long)sim_world.acked[1],
				 (unsigned long long)sim_world.commands[1],
				 (unsigned long long)sim_world.acked[2],
				 (unsigned long long)sim_world.commands[2]);
	}
	sim_check_end(sim_world.commands, complete);
}

static void finish(void)
{
	const struct sluice_wal_super *super;

	sim_fibers_abandon();
	super = sim_disk_super();
	outcome->trace = sim_trace_hash();
	sim_check_count(&outcome->count[SIM_COUNT_BLOCKS], &outcome->count[SIM_COUNT_COMMANDS],
			&outcome->count[SIM_COUNT_ROUNDS]);
	outcome->count[SIM_COUNT_RESIDUAL] = sim_check_is_residual();
	outcome->count[SIM_COUNT_POINTS] = sim_points;
	for (uint32_t i = 0; super && i < SLUICE_WAL_SNAPSHOTS; i++)
		if (super->snapshot[i].sequence > outcome->count[SIM_COUNT_SNAPSHOTS])
			outcome->count[SIM_COUNT_SNAPSHOTS] = super->snapshot[i].sequence;
}

void sim_run(uint64_t seed, bool verbose, struct sim_outcome *ret_outcome)
{
	memset(ret_outcome, 0, sizeof(*ret_outcome));
	outcome = ret_outcome;
	sim_trace_reset(verbose);
	if (!_setjmp(seed_end)) {
		begin(seed);
		run();
	}
	finish();
}
