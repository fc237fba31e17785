/* SPDX-License-Identifier: MIT */
/*
 * environment.c - what a figure cannot be understood without: the machine, its kernel, what else it
 * was doing, what was built how. Read from the kernel, before and after the run.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/pair.h"
#include "bench/ticks.h"
#include "cli/version.h"
#include "shm/interrupt.h"
#include "shm/placement.h"

/* The first line of a file without its newline, "" if there is none. */
static const char *first_line(const char *path, char *ret_line, size_t bytes)
{
	FILE *file = fopen(path, "re");

	ret_line[0] = '\0';
	if (file) {
		if (!fgets(ret_line, (int)bytes, file))
			ret_line[0] = '\0';
		fclose(file);
	}
	ret_line[strcspn(ret_line, "\n")] = '\0';
	return ret_line;
}

/* What stands behind "key : " in the first line of /proc/cpuinfo or /proc/meminfo that has it. */
static bool field(const char *path, const char *key, char *ret_value, size_t bytes)
{
	FILE *file = fopen(path, "re");
	char line[4096];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, key, strlen(key)))
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(ret_value, bytes, "%s", colon);
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

static void add_cpu(struct bench_result *result)
{
	char text[4096] = "unknown", line[256];
	struct utsname name;

	field("/proc/cpuinfo", "model name", text, sizeof(text));
	bench_fact(result, "cpu_model", "%.150s", text);
	bench_fact(result, "cpus_usable", "%u", sluice_placement_usable());
	text[0] = '\0';
	field("/proc/cpuinfo", "flags", text, sizeof(text));
	bench_fact(result, "hypervisor", "%s", strstr(text, " hypervisor") ? "yes" : "no");
	first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof(line));
	bench_fact(result, "governor", "%.100s", line[0] ? line : "none");
	uname(&name);
	bench_fact(result, "kernel", "%.60s %.60s", name.sysname, name.release);
	bench_fact(result, "clock", "%s",
		   bench_clock.counter ? "processor's counter, invariant" : "CLOCK_MONOTONIC");
}

static void add_pages(struct bench_result *result)
{
	char line[256], total[64] = "?", unused[64] = "?", name[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_segment segment;

	first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
	bench_fact(result, "thp", "%.100s", line);
	first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", line, sizeof(line));
	bench_fact(result, "thp_shmem", "%.100s", line);
	field("/proc/meminfo", "HugePages_Total", total, sizeof(total));
	field("/proc/meminfo", "HugePages_Free", unused, sizeof(unused));
	bench_fact(result, "hugetlb_pool", "%s of %s pages free", unused, total);
	snprintf(name, sizeof(name), "bench.%d.pages", (int)getpid());
	if (bench_ring_create(name, 65536, 64, NULL))
		return;
	if (!sluice_segment_attach(&segment, name, SLUICE_ACCESS_READ, NULL)) {
		bench_fact(result, "ring_pages", "%s: %llu of %llu bytes in huge pages",
			   sluice_backing_name(segment.header.backing),
			   (unsigned long long)segment.header.huge_bytes,
			   (unsigned long long)segment.header.total_bytes);
		sluice_segment_close(&segment);
	}
	sluice_segment_unlink(name, NULL);
}

/* The line of /proc/self/mountinfo with this device: "... - TYPE SOURCE OPTIONS". */
static void filesystem(const char *dir, char *ret_text, size_t bytes)
{
	char line[4096], device[32], type[64], source[128];
	struct stat st;
	FILE *file = fopen("/proc/self/mountinfo", "re");

	snprintf(ret_text, bytes, "unknown");
	if (file && !stat(dir, &st)) {
		snprintf(device, sizeof(device), " %u:%u ", major(st.st_dev), minor(st.st_dev));
		while (fgets(line, sizeof(line), file)) {
			const char *rest = strstr(line, " - ");

			if (strstr(line, device) && rest &&
			    sscanf(rest, " - %63s %127s", type, source) == 2)
				snprintf(ret_text, bytes, "%s on %s", type, source);
		}
	}
	if (file)
		fclose(file);
}

static void add_disk(struct bench_result *result, const struct bench_plan *plan)
{
	struct sluice_interrupt interrupt;
	char text[256], path[160], line[160];

	filesystem(plan->dir, text, sizeof(text));
	bench_fact(result, "wal_filesystem", "%.150s", text);
	sluice_interrupt_find(plan->dir, &interrupt);
	snprintf(path, sizeof(path), "/sys/block/%.63s/queue/scheduler", interrupt.device);
	first_line(path, line, sizeof(line));
	bench_fact(result, "wal_device", "%.60s, scheduler %.60s, interrupts on cpu %d",
		   interrupt.device, line, interrupt.cpu);
}

/* One line of a command's output; "" if it says nothing. */
static const char *ask(const char *command, char *ret_line, size_t bytes)
{
	FILE *pipe = popen(command, "re");

	ret_line[0] = '\0';
	if (pipe) {
		if (!fgets(ret_line, (int)bytes, pipe))
			ret_line[0] = '\0';
		pclose(pipe);
	}
	ret_line[strcspn(ret_line, "\n")] = '\0';
	return ret_line;
}

static void add_build(struct bench_result *result)
{
	char line[256];

#ifdef __clang__
	bench_fact(result, "compiler", "%s", __VERSION__);
#else
	bench_fact(result, "compiler", "gcc %s", __VERSION__);
#endif
#ifdef SLUICE_RELEASE
	bench_fact(result, "profile", "release");
#else
	bench_fact(result, "profile", "other than release");
#endif
	bench_fact(result, "version", "%s", SLUICE_VERSION);
	ask("git rev-parse --short=12 --verify -q HEAD 2>/dev/null", line, sizeof(line));
	bench_fact(result, "git_commit", "%.60s", line[0] ? line : "unknown");
	ask("GIT_OPTIONAL_LOCKS=0 git status --porcelain 2>/dev/null", line, sizeof(line));
	bench_fact(result, "git_dirty", "%s", line[0] ? "yes" : "no");
}

static void add_load(struct bench_result *result, const char *when)
{
	char line[160], key[32];

	first_line("/proc/loadavg", line, sizeof(line));
	snprintf(key, sizeof(key), "load_%s", when);
	bench_fact(result, key, "%.100s", line);
	first_line("/proc/pressure/cpu", line, sizeof(line));
	snprintf(key, sizeof(key), "cpu_pressure_%s", when);
	bench_fact(result, key, "%.100s", line[0] ? line : "unknown");
	first_line("/proc/pressure/io", line, sizeof(line));
	snprintf(key, sizeof(key), "io_pressure_%s", when);
	bench_fact(result, key, "%.100s", line[0] ? line : "unknown");
}

/* Of all CPUs, since the machine started: what the host gave to others while we wanted it. */
static void add_steal(struct bench_result *result, const char *when)
{
	unsigned long long spent[8] = {0}, all = 0;
	char line[256], key[32];

	first_line("/proc/stat", line, sizeof(line));
	if (sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &spent[0], &spent[1],
		   &spent[2], &spent[3], &spent[4], &spent[5], &spent[6], &spent[7]) != 8)
		return;
	for (int i = 0; i < 8; i++)
		all += spent[i];
	snprintf(key, sizeof(key), "steal_%s", when);
	bench_fact(result, key, "%llu of %llu ticks, idle %llu", spent[7], all, spent[3]);
}

/* The interrupts that one CPU has taken: its column of /proc/interrupts, added up. */
static unsigned long long interrupts(uint32_t cpu)
{
	FILE *file = fopen("/proc/interrupts", "re");
	unsigned long long sum = 0;
	char line[8192];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':');

		if (!at)
			continue;
		at++;
		for (uint32_t i = 0; i < cpu; i++)
			strtoull(at, &at, 10);
		sum += strtoull(at, NULL, 10);
	}
	if (file)
		fclose(file);
	return sum;
}

static void add_interrupts(struct bench_result *result, const struct bench_plan *plan,
			   const char *when)
{
	char key[32];

	snprintf(key, sizeof(key), "interrupts_%s", when);
	bench_fact(result, key, "%llu on cpu%u, the engine's", interrupts(plan->cpus[0]),
		   plan->cpus[0]);
}

void bench_environment(struct bench_result *result, const struct bench_plan *plan)
{
	add_load(result, "start");
	add_steal(result, "start");
	add_interrupts(result, plan, "start");
	add_cpu(result);
	add_pages(result);
	add_disk(result, plan);
	add_build(result);
}

void bench_environment_end(struct bench_result *result, const struct bench_plan *plan)
{
	add_load(result, "end");
	add_steal(result, "end");
	add_interrupts(result, plan, "end");
}
