/* SPDX-License-Identifier: MIT */
/*
 * proof.h - that a process or thread stayed on its CPU while it measured: where it was at both
 * ends, and what the kernel counted between. The measured thread itself.
 */
#ifndef SLUICE_BENCH_PROOF_H
#define SLUICE_BENCH_PROOF_H

#include "bench/bench.h"

struct bench_proof {
	int32_t cpu_begin, cpu_end;
	int64_t migrations; /* -1: unknown */
	uint64_t voluntary, involuntary, minor_faults, major_faults;
};

void bench_proof_begin(struct bench_proof *proof);
void bench_proof_end(struct bench_proof *proof);

/* Adds one run's proof to what the scenario knows of this role. */
void bench_proof_add(struct bench_scenario *scenario, const char *role, uint32_t cpu,
		     const struct bench_proof *proof);

#endif
