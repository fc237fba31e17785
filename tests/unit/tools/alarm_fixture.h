/* SPDX-License-Identifier: MIT */
/*
 * alarm_fixture.h - for the tests of alarms: one ring of an instance, a look at it as `sluice stat`
 * takes it, and children that take part in it.
 */
#ifndef SLUICE_TESTS_UNIT_TOOLS_ALARM_FIXTURE_H
#define SLUICE_TESTS_UNIT_TOOLS_ALARM_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/ring_fixture.h"
#include "tools/alarm.h"

#define NAME "al"
#define RING NAME ".cmd"

static struct sluice_segment segment;
static struct sluice_tool_alarms alarms;

static inline int make(uint32_t publication)
{
	return ring_create(&segment, RING, publication, 64, 0);
}

static inline int setup(void **state)
{
	(void)state;
	return make(RING_MULTI);
}

static inline int teardown(void **state)
{
	(void)state;
	ring_destroy(&segment);
	return 0;
}

static inline const struct sluice_tool_ring_sample *look(void)
{
	static struct sluice_tool_sample *sample;
	struct sluice_tool_instance instance;

	if (!sample)
		sample = malloc(sizeof(*sample));
	assert_non_null(sample);
	assert_int_equal(sluice_tool_instance_open(&instance, NAME, NULL), 0);
	sluice_tool_sample_take(sample, &instance);
	sluice_tool_instance_close(&instance);
	sluice_tool_alarms_find(sample, &alarms);
	return &sample->ring[SLUICE_TOOL_CMD];
}

static inline const struct sluice_tool_alarm *find(uint32_t kind)
{
	for (uint32_t i = 0; i < alarms.count; i++)
		if (alarms.alarm[i].kind == kind)
			return &alarms.alarm[i];
	return NULL;
}

/* All alarms as they are printed, and as JSON. */
static inline const char *text_of(void)
{
	static char text[8192];
	FILE *file = fmemopen(text, sizeof(text), "w");

	sluice_tool_alarms_text(file, NAME, &alarms);
	fclose(file);
	return text;
}

static inline const char *json_of(void)
{
	static char text[8192];
	struct sluice_json json;

	sluice_json_init_buffer(&json, text, sizeof(text));
	sluice_json_object(&json, NULL);
	sluice_tool_alarms_json(&json, &alarms);
	sluice_json_end(&json);
	assert_int_equal(sluice_json_finish(&json), 0);
	return text;
}

#define assert_says(text, what) assert_non_null(strstr(text, what))

/* A child that runs body and then hangs; returns when body is done. */
static inline pid_t start(void (*body)(struct sluice_segment *own), int release[2])
{
	int ready[2];
	char byte;
	pid_t pid;

	fflush(NULL);
	if (pipe2(ready, O_CLOEXEC) || pipe2(release, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		static struct sluice_segment own;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(release[1]);
		if (sluice_segment_attach(&own, RING, SLUICE_ACCESS_WRITE, NULL))
			_exit(2);
		body(&own);
		if (write(ready[1], "r", 1) != 1)
			_exit(3);
		/* a byte: go on in body's second half; end of file: hang */
		if (read(release[0], &byte, 1) == 1)
			body(NULL);
		for (;;)
			pause();
	}
	close(ready[1]);
	close(release[0]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

#define alarm_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
