/* SPDX-License-Identifier: MIT */
/*
 * faults.h - what may go wrong in a simulated world, and what is demanded then. The one place that
 * says which faults must be survived.
 */
#ifndef SLUICE_TESTS_SIM_FAULTS_H
#define SLUICE_TESTS_SIM_FAULTS_H

#include "tests/sim/random.h"

enum sim_fault {
	SIM_FAULT_NONE = 0,
	/* of processes and power */
	SIM_KILL_ENGINE,
	SIM_KILL_PRODUCER,
	SIM_KILL_CONSUMER,
	SIM_KILL_FOLLOWER,
	SIM_STOP_ENGINE, /* SIGTERM */
	SIM_POWER_CUT,
	SIM_CLOCK_JUMP,
	/* of writes, once each */
	SIM_WRITE_SHORT,
	SIM_WRITE_AGAIN, /* EINTR, EAGAIN, ECANCELED */
	SIM_WRITE_EIO,
	SIM_WRITE_ENOSPC,
	SIM_WRITE_LOST,	 /* completes, and was never done */
	SIM_WRITE_ASTRAY, /* completes, and was done elsewhere */
	/* of reads */
	SIM_READ_EIO,	     /* once */
	SIM_READ_EIO_FOREVER, /* a page of the log */
	/* of media */
	SIM_ROT_LOG,
	SIM_ROT_SUPER,
	SIM_ROT_SNAPSHOT,
	SIM_FAULTS
};

enum sim_demand {
	SIM_SURVIVE = 0, /* nobody may notice but by waiting */
	SIM_HALT = 1,	 /* the engine may end with an error; its next start goes on */
	SIM_REFUSE = 2	 /* it may refuse to start from then on; nothing visible is lost silently,
			  * but for the documented residual */
};

struct sim_fault_rule {
	const char *name;
	enum sim_demand demand;
	uint32_t weight; /* how often it is chosen */
};

const struct sim_fault_rule *sim_fault_rule(enum sim_fault fault);

/* One of those whose demand is at most `worst`, by weight. */
enum sim_fault sim_fault_choose(struct sim_random *dice, enum sim_demand worst);

#endif
