/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h - which CPU takes the interrupts of the disk under a directory. The completion of a
 * durable write runs in an ordinary kernel thread on that CPU, so that is where the engine goes.
 *
 * Reads /sys and /proc; SLUICE_SYSROOT puts a directory before both (tests). Start-up only, any
 * thread; allocates and frees.
 */
#ifndef SLUICE_SHM_INTERRUPT_H
#define SLUICE_SHM_INTERRUPT_H

#include "shm/base.h"

#define SLUICE_CPUS_MAX 4096

struct sluice_interrupt {
	int32_t cpu;	  /* -1: unknown, and `reason` says why */
	bool per_cpu;	  /* a queue for every CPU: completions come to the CPU that submits */
	char device[64];  /* the disk, e.g. "vda"; "" if it was not found */
	char reason[256]; /* a phrase for people */
};

/*
 * Never fails: what cannot be found out is said in `reason`. Partitions, md, dm and loop devices
 * are followed down to their disks. A directory that does not exist yet stands for its parent;
 * NULL: no log.
 */
SLUICE_API void sluice_interrupt_find(const char *log_dir, struct sluice_interrupt *ret_interrupt);

#endif
