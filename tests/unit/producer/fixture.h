/* SPDX-License-Identifier: MIT */
/* fixture.h - for the tests of command text: texts as files in memory, read through a source. */
#ifndef SLUICE_TESTS_UNIT_PRODUCER_FIXTURE_H
#define SLUICE_TESTS_UNIT_PRODUCER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "producer/source.h"

/* A file without a name that holds the bytes; its path is in `path`. Close the descriptor. */
static inline int memory_file(const void *bytes, size_t count, char path[64])
{
	int fd = memfd_create("test", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, count), (ssize_t)count);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

struct reading {
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	char path[64];
	int fd;
};

static inline void reading_open(struct reading *r, uint32_t format, const char *text)
{
	struct sluice_source_options options = {.path = r->path, .format = format};

	memset(r, 0, sizeof(*r));
	r->fd = memory_file(text, strlen(text), r->path);
	assert_int_equal(sluice_source_open(&r->source, &options, &r->diag), 0);
}

static inline int reading_next(struct reading *r)
{
	r->diag.text[0] = r->diag.hint[0] = '\0';
	return sluice_source_next(r->source, &r->item, &r->diag);
}

static inline void reading_close(struct reading *r)
{
	sluice_source_close(r->source);
	close(r->fd);
}

/* Reads until the first error, whose text must be `expected`. */
static inline void expect_error(uint32_t format, const char *text, const char *expected)
{
	struct reading r;
	int ret;

	reading_open(&r, format, text);
	while ((ret = reading_next(&r)) == 1)
		;
	if (strcmp(r.diag.text, expected) != 0)
		print_message("of: %s\n", text);
	assert_string_equal(r.diag.text, expected);
	assert_true(ret < 0);
	reading_close(&r);
}

/* The last of the commands in the text, all of which must be good. */
static inline struct sluice_command last_command(uint32_t format, const char *text)
{
	struct reading r;
	int ret;

	reading_open(&r, format, text);
	while ((ret = reading_next(&r)) == 1)
		;
	if (ret)
		print_message("%s\n", r.diag.text);
	assert_int_equal(ret, 0);
	reading_close(&r);
	return r.item.command;
}

static inline void assert_commands_equal(const struct sluice_command *a,
					 const struct sluice_command *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static inline uint64_t test_seed(void)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)getpid() * 2654435761u;

	print_message("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

#endif
