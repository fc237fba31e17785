/* SPDX-License-Identifier: MIT */
/* proof.c - see proof.h. */
#include "bench/proof.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The scheduler's own count of this thread's moves between CPUs; -1 where the kernel keeps none. */
static int64_t migrations(void)
{
	FILE *file = fopen("/proc/thread-self/sched", "re");
	char line[256];
	int64_t count = -1;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (!strncmp(line, "se.nr_migrations", 16) && colon)
			count = strtoll(colon + 1, NULL, 10);
	}
	fclose(file);
	return count;
}

/* Adds sign times what the kernel has counted so far. */
static void count(struct bench_proof *proof, bool subtract)
{
	const uint64_t sign = subtract ? UINT64_MAX : 1;
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	proof->voluntary += sign * (uint64_t)usage.ru_nvcsw;
	proof->involuntary += sign * (uint64_t)usage.ru_nivcsw;
	proof->minor_faults += sign * (uint64_t)usage.ru_minflt;
	proof->major_faults += sign * (uint64_t)usage.ru_majflt;
}

void bench_proof_begin(struct bench_proof *proof)
{
	memset(proof, 0, sizeof(*proof));
	proof->migrations = migrations();
	proof->cpu_begin = sched_getcpu();
	count(proof, true);
}

void bench_proof_end(struct bench_proof *proof)
{
	const int64_t before = proof->migrations;

	count(proof, false);
	proof->cpu_end = sched_getcpu();
	proof->migrations = before < 0 ? -1 : migrations() - before;
}

void bench_proof_add(struct bench_scenario *scenario, const char *role, uint32_t cpu,
		     const struct bench_proof *proof)
{
	struct bench_process *process = NULL;

	for (uint32_t i = 0; i < scenario->process_count; i++)
		if (!strcmp(scenario->processes[i].role, role) &&
		    scenario->processes[i].cpu == (int32_t)cpu)
			process = &scenario->processes[i];
	if (!process) {
		sluice_assert(scenario->process_count < BENCH_PROCESSES_MAX);
		process = &scenario->processes[scenario->process_count++];
		memset(process, 0, sizeof(*process));
		snprintf(process->role, sizeof(process->role), "%s", role);
		process->cpu = (int32_t)cpu;
	}
	process->runs++;
	process->elsewhere += proof->cpu_begin != process->cpu || proof->cpu_end != process->cpu;
	process->migrations = proof->migrations < 0 || process->migrations < 0 ?
				      -1 :
				      process->migrations + proof->migrations;
	process->voluntary += proof->voluntary;
	process->involuntary += proof->involuntary;
	process->minor_faults += proof->minor_faults;
	process->major_faults += proof->major_faults;
}
