/* SPDX-License-Identifier: MIT */
/*
 * placement.h - which CPUs the engine, a producer and a consumer should run on, with the reasons;
 * and pinning. Start-up only, any thread; a plan takes some 10 ms.
 *
 * The topology is the kernel's, less what cgroups and the caller's affinity (taskset) forbid. For
 * tests and what-if questions HWLOC_SYNTHETIC="numa:2 core:8 pu:2" replaces it.
 */
#ifndef SLUICE_SHM_PLACEMENT_H
#define SLUICE_SHM_PLACEMENT_H

#include "shm/diag.h"
#include "shm/interrupt.h"

#define SLUICE_PLACEMENT_REASON_BYTES 400

struct sluice_placement {
	int32_t engine_cpu;    /* the disk's interrupt CPU if that is known and usable */
	int32_t producer_cpu;  /* the nearest other core */
	int32_t consumer_cpu;  /* the next one; the producer's again if there are but two CPUs */
	int32_t interrupt_cpu; /* -1: unknown */
	uint32_t usable_cpus;
	uint32_t usable_cores;
	char engine_reason[SLUICE_PLACEMENT_REASON_BYTES];
	char producer_reason[SLUICE_PLACEMENT_REASON_BYTES];
	char consumer_reason[SLUICE_PLACEMENT_REASON_BYTES];
};

/*
 * Plans for an engine whose log is in log_dir (NULL: no log). 0; -EIO or -ENOMEM: the topology
 * cannot be read. Everything else that is not known only makes the reasons longer.
 */
SLUICE_API int sluice_placement_plan(const char *log_dir, struct sluice_placement *ret_placement,
				     struct sluice_diag *diag);

/* The same for an engine that runs on this CPU already: where do the others go? */
SLUICE_API int sluice_placement_beside(uint32_t engine_cpu, struct sluice_placement *ret_placement,
				       struct sluice_diag *diag);

/* Pins the calling thread. -EINVAL: the CPU does not exist here or is not allowed. */
SLUICE_API int sluice_placement_bind(uint32_t cpu, struct sluice_diag *diag);

/*
 * "0,2-3" as 0, 2, 3, in the order given. -EINVAL: no list of CPUs, or one twice; -ERANGE: more
 * than `capacity` CPUs, or a number that no machine has.
 */
SLUICE_API int sluice_placement_parse(const char *text, uint32_t *ret_cpus, uint32_t capacity,
				      uint32_t *ret_count, struct sluice_diag *diag);

/* Pins the calling thread to all CPUs of such a list. -EINVAL as above. */
SLUICE_API int sluice_placement_bind_list(const char *text, struct sluice_diag *diag);

/* How many CPUs the calling thread may run on, at least 1. Cheap. */
SLUICE_API uint32_t sluice_placement_usable(void);

#endif
