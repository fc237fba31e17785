/* SPDX-License-Identifier: MIT */
/* test_placement.c - plans for made-up machines, CPU lists, and pinning on this one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>

#include "shm/placement.h"
#include "tests/unit/shm/fake_sysroot.h"

static struct sluice_placement plan(const char *topology, const char *log_dir)
{
	struct sluice_placement placement;
	struct sluice_diag diag;

	memset(&placement, 0xa5, sizeof(placement));
	setenv("HWLOC_SYNTHETIC", topology, 1);
	assert_int_equal(sluice_placement_plan(log_dir, &placement, &diag), 0);
	return placement;
}

static void test_placement__engine_takes_the_interrupt_cpu(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);

	const struct sluice_placement placement = plan("numa:2 core:8 pu:2", fake->log);

	assert_int_equal(placement.usable_cpus, 32);
	assert_int_equal(placement.usable_cores, 16);
	assert_int_equal(placement.interrupt_cpu, 2);
	assert_int_equal(placement.engine_cpu, 2);
	assert_string_equal(placement.engine_reason,
			    "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
	/* siblings are 2-3, 0-1, 4-5: other cores of the same node, one each */
	assert_int_equal(placement.producer_cpu, 0);
	assert_int_equal(placement.consumer_cpu, 4);
	assert_string_equal(placement.producer_reason,
			    "the nearest free core to the engine's cpu2, in the same NUMA node");
}

static void test_placement__others_stay_on_the_engines_node(void **state)
{
	struct fake_sysroot *fake = *state;
	char interrupts[512] = " ";

	for (int cpu = 0; cpu < 32; cpu++)
		snprintf(interrupts + strlen(interrupts), 16, " CPU%d", cpu);
	strcat(interrupts, "\n 36:");
	for (int cpu = 0; cpu < 32; cpu++)
		strcat(interrupts, cpu == 16 ? " 9" : " 0");
	strcat(interrupts, " PCI-MSIX 1-edge virtio1-req.0\n");
	fake_virtio(fake, interrupts);

	const struct sluice_placement placement = plan("numa:2 core:8 pu:2", fake->log);

	/* cpu16 is the first of the second node: cpu14 is a neighbour only by number */
	assert_int_equal(placement.engine_cpu, 16);
	assert_int_equal(placement.producer_cpu, 18);
	assert_int_equal(placement.consumer_cpu, 20);
}

static void test_placement__a_shared_cache_is_near(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);

	const struct sluice_placement placement = plan("pack:1 l3:2 core:2 pu:1", fake->log);

	assert_int_equal(placement.engine_cpu, 2);
	assert_int_equal(placement.producer_cpu, 3);
	assert_string_equal(placement.producer_reason,
			    "the nearest free core to the engine's cpu2, in the same L3 cache");
	assert_int_equal(placement.consumer_cpu, 1);
	assert_string_equal(placement.consumer_reason,
			    "the nearest free core to the engine's cpu2, in the same NUMA node");
}

static void test_placement__unknown_interrupts_keep_off_the_first_core(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, " CPU0\n");

	const struct sluice_placement placement = plan("core:4 pu:2", fake->log);

	assert_int_equal(placement.interrupt_cpu, -1);
	assert_int_equal(placement.engine_cpu, 2);
	assert_string_equal(placement.engine_reason,
			    "interrupt CPU unknown: /proc/interrupts has no line for vda; "
			    "using cpu2");
	assert_int_equal(placement.producer_cpu, 0);
	assert_int_equal(placement.consumer_cpu, 4);
}

static void test_placement__an_interrupt_cpu_out_of_reach(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);

	const struct sluice_placement placement = plan("core:2 pu:1", fake->log);

	assert_int_equal(placement.interrupt_cpu, 2);
	assert_int_equal(placement.engine_cpu, 1);
	assert_string_equal(placement.engine_reason,
			    "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0), but it is not "
			    "usable here; using cpu1");
}

static void test_placement__two_cpus(void **state)
{
	(void)state;

	const struct sluice_placement placement = plan("core:2 pu:1", NULL);

	assert_int_equal(placement.engine_cpu, 1);
	assert_int_equal(placement.producer_cpu, 0);
	assert_int_equal(placement.consumer_cpu, 0);
	assert_string_equal(placement.engine_reason,
			    "there is no log, so no disk's interrupts matter; using cpu1");
	assert_string_equal(placement.consumer_reason,
			    "shares cpu0 with the producer: there are only two usable CPUs");
}

static void test_placement__siblings_when_there_is_nothing_else(void **state)
{
	(void)state;

	const struct sluice_placement one = plan("core:1 pu:2", NULL);

	assert_int_equal(one.engine_cpu, 0);
	assert_int_equal(one.producer_cpu, 1);
	assert_string_equal(one.producer_reason,
			    "hyper-thread sibling of the engine's cpu0: no other core is free");

	/* the engine keeps its core alone as long as it can */
	const struct sluice_placement two = plan("core:2 pu:2", NULL);

	assert_int_equal(two.engine_cpu, 2);
	assert_int_equal(two.producer_cpu, 0);
	assert_int_equal(two.consumer_cpu, 1);
	assert_string_equal(two.consumer_reason,
			    "hyper-thread sibling of the producer's cpu0: no other core is free");
}

static void test_placement__one_cpu(void **state)
{
	(void)state;

	const struct sluice_placement placement = plan("core:1 pu:1", NULL);

	assert_int_equal(placement.usable_cpus, 1);
	assert_int_equal(placement.engine_cpu, 0);
	assert_int_equal(placement.producer_cpu, 0);
	assert_int_equal(placement.consumer_cpu, 0);
	assert_string_equal(placement.producer_reason,
			    "the only usable CPU: all take turns on it, none may spin");
}

static void check_list(const char *text, uint32_t count, const uint32_t *cpus)
{
	uint32_t list[8];
	uint32_t found = 99;

	assert_int_equal(sluice_placement_parse(text, list, 8, &found, NULL), 0);
	assert_int_equal(found, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(list[i], cpus[i]);
}

static void test_placement__parse_takes_lists_and_ranges(void **state)
{
	(void)state;
	check_list("0", 1, (const uint32_t[]){0});
	check_list("0,2-3", 3, (const uint32_t[]){0, 2, 3});
	check_list("7,1-1,4", 3, (const uint32_t[]){7, 1, 4});
	check_list("0-7", 8, (const uint32_t[]){0, 1, 2, 3, 4, 5, 6, 7});
	check_list("4095", 1, (const uint32_t[]){4095});
}

static void test_placement__parse_refuses_the_rest(void **state)
{
	static const char *const bad[] = {"",	  ",",	 "1,",	"a",	 "1-",	"-1",	 "3-2",
					  "1,,2", "1 2", "0x1", "1-2-3", "1,1", "1-3,2", " 1"};
	uint32_t list[8] = {77};
	uint32_t count = 99;
	struct sluice_diag diag;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sluice_placement_parse(bad[i], list, 8, &count, &diag), -EINVAL);
		assert_non_null(strstr(diag.text, "accepted: numbers and ranges such as 0,2-3"));
	}
	assert_int_equal(sluice_placement_parse("0-8", list, 8, &count, &diag), -ERANGE);
	assert_string_equal(diag.text, "\"0-8\" has too many CPUs: at most 8, numbered below 4096");
	assert_int_equal(sluice_placement_parse("4096", list, 8, &count, &diag), -ERANGE);
	assert_int_equal(sluice_placement_parse("99999999999999999999", list, 8, &count, &diag),
			 -ERANGE);
	assert_int_equal(list[0], 77);
	assert_int_equal(count, 99);
}

/* In a child, so that the other tests run where they did. */
static int bind_and_look(uint32_t cpu)
{
	struct sluice_diag diag;

	if (sluice_placement_bind(cpu, &diag))
		return 1;
	if (sched_getcpu() != (int)cpu || sluice_placement_usable() != 1)
		return 2;
	return 0;
}

static uint32_t last_allowed(void)
{
	cpu_set_t allowed;
	uint32_t last = 0;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			last = cpu;
	return last;
}

static void test_placement__bind_pins(void **state)
{
	int status;
	const pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(bind_and_look(last_allowed()));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_placement__bind_says_what_is_usable(void **state)
{
	struct sluice_diag diag;
	const uint32_t usable = sluice_placement_usable();

	(void)state;
	assert_int_equal(sluice_placement_bind(4095, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "cannot run on cpu4095: Invalid argument; usable: "));
	assert_int_equal(sluice_placement_bind(SLUICE_CPUS_MAX, &diag), -EINVAL);
	assert_int_equal(sluice_placement_bind(UINT32_MAX, NULL), -EINVAL);
	assert_int_equal(sluice_placement_usable(), usable);
}

/* A plan under taskset speaks of that CPU alone. */
static void test_placement__a_plan_honours_the_affinity(void **state)
{
	int status;
	const pid_t child = fork();

	(void)state;
#if defined(__SANITIZE_THREAD__)
	printf("skip: test_placement__a_plan_honours_the_affinity: ThreadSanitizer's own thread "
	       "keeps the process's affinity wide\n");
	skip();
#endif
	if (child == 0) {
		struct sluice_placement placement;
		const uint32_t cpu = last_allowed();

		unsetenv("HWLOC_SYNTHETIC");
		if (sluice_placement_bind(cpu, NULL) ||
		    sluice_placement_plan(NULL, &placement, NULL))
			_exit(1);
		_exit(placement.usable_cpus == 1 && placement.engine_cpu == (int32_t)cpu &&
				      placement.producer_cpu == (int32_t)cpu ?
			      0 :
			      2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_CASE(test_placement__engine_takes_the_interrupt_cpu),
		FAKE_CASE(test_placement__others_stay_on_the_engines_node),
		FAKE_CASE(test_placement__a_shared_cache_is_near),
		FAKE_CASE(test_placement__unknown_interrupts_keep_off_the_first_core),
		FAKE_CASE(test_placement__an_interrupt_cpu_out_of_reach),
		FAKE_CASE(test_placement__two_cpus),
		FAKE_CASE(test_placement__siblings_when_there_is_nothing_else),
		FAKE_CASE(test_placement__one_cpu),
		cmocka_unit_test(test_placement__parse_takes_lists_and_ranges),
		cmocka_unit_test(test_placement__parse_refuses_the_rest),
		cmocka_unit_test(test_placement__bind_pins),
		cmocka_unit_test(test_placement__bind_says_what_is_usable),
		cmocka_unit_test(test_placement__a_plan_honours_the_affinity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
