/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#ifdef SLUICE_WITH_ZLIB
#include <zlib.h>
#endif

#include "producer/lines.h"
#include "tests/unit/producer/fixture.h"

#define MANY 60000 /* lines: several buffers full */

static void open_lines(struct sluice_lines *lines, const char *path)
{
	struct sluice_diag diag;

	assert_int_equal(sluice_lines_open(lines, path, &diag), 0);
}

static void expect_line(struct sluice_lines *lines, const char *expected)
{
	struct sluice_diag diag;
	char *text;
	size_t bytes;

	assert_int_equal(sluice_lines_next(lines, &text, &bytes, &diag), 1);
	assert_int_equal(bytes, strlen(expected));
	assert_memory_equal(text, expected, bytes);
}

static void expect_end(struct sluice_lines *lines)
{
	struct sluice_diag diag;
	char *text;
	size_t bytes;

	assert_int_equal(sluice_lines_next(lines, &text, &bytes, &diag), 0);
}

static void test_lines__ends_of_lines(void **state)
{
	static const char text[] = "one\n\ntwo\r\n\r\nthree";
	struct sluice_lines lines;
	char path[64];
	int fd = memory_file(text, strlen(text), path);

	(void)state;
	open_lines(&lines, path);
	expect_line(&lines, "one");
	expect_line(&lines, "");
	expect_line(&lines, "two");
	expect_line(&lines, "");
	expect_line(&lines, "three");
	assert_int_equal(lines.line, 5);
	expect_end(&lines);
	expect_end(&lines);
	sluice_lines_close(&lines);
	close(fd);
}

/* Lines of 1 to 100 bytes; the i-th begins with its number. */
static char *many_lines(size_t *ret_bytes)
{
	char *text = malloc(MANY * 101ul), *at = text;

	assert_non_null(text);
	for (uint32_t i = 0; i < MANY; i++)
		at += snprintf(at, 101, "%u%.*s\n", i, (int)(i % 80),
			       "................................................................"
			       "................................");
	*ret_bytes = (size_t)(at - text);
	return text;
}

static void expect_many(struct sluice_lines *lines)
{
	struct sluice_diag diag;
	char *text;
	size_t bytes;

	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(sluice_lines_next(lines, &text, &bytes, &diag), 1);
		assert_int_equal(strtoul(text, NULL, 10), i);
		assert_int_equal(text[bytes], '\n');
	}
	expect_end(lines);
}

static void test_lines__over_many_buffers(void **state)
{
	struct sluice_lines lines;
	size_t bytes;
	char *text = many_lines(&bytes), path[64];
	int fd = memory_file(text, bytes, path);

	(void)state;
	open_lines(&lines, path);
	expect_many(&lines);
	sluice_lines_close(&lines);
	close(fd);
	free(text);
}

static void test_lines__longest_line(void **state)
{
	char text[SLUICE_COMMAND_LINE_MAX * 3], path[64];
	struct sluice_lines lines;
	struct sluice_diag diag;
	size_t bytes = SLUICE_COMMAND_LINE_MAX;
	char *line;
	int fd;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + bytes, "\r\n", 2);
	text[2 * bytes + 3] = '\n';
	memcpy(text + 2 * bytes + 4, "ok\n", 3);
	fd = memory_file(text, 2 * bytes + 7, path);
	open_lines(&lines, path);
	assert_int_equal(sluice_lines_next(&lines, &line, &bytes, &diag), 1);
	assert_int_equal(bytes, SLUICE_COMMAND_LINE_MAX);
	assert_int_equal(sluice_lines_next(&lines, &line, &bytes, &diag), -EBADMSG);
	assert_string_equal(diag.text, "line 2: longer than 4096 bytes");
	expect_line(&lines, "ok");
	assert_int_equal(lines.line, 3);
	expect_end(&lines);
	sluice_lines_close(&lines);
	close(fd);
}

/* Longer than the buffer: skipped in pieces, reported once. */
static void test_lines__endless_line(void **state)
{
	size_t bytes = 1u << 20;
	char *text = malloc(bytes + 8), path[64], *line;
	struct sluice_lines lines;
	struct sluice_diag diag;
	int fd;

	(void)state;
	memset(text, 'x', bytes);
	memcpy(text + bytes, "\nok", 3);
	fd = memory_file(text, bytes + 3, path);
	open_lines(&lines, path);
	assert_int_equal(sluice_lines_next(&lines, &line, &bytes, &diag), -EBADMSG);
	expect_line(&lines, "ok");
	assert_int_equal(lines.line, 2);
	expect_end(&lines);
	sluice_lines_close(&lines);
	close(fd);
	free(text);
}

static void test_lines__no_such_file(void **state)
{
	struct sluice_lines lines;
	struct sluice_diag diag;

	(void)state;
	assert_int_equal(sluice_lines_open(&lines, "/nonexistent/x", &diag), -ENOENT);
	assert_string_equal(diag.text, "cannot open /nonexistent/x: No such file or directory");
	assert_int_equal(sluice_lines_open(&lines, "/", &diag), 0);
	{
		char *text;
		size_t bytes;

		assert_int_equal(sluice_lines_next(&lines, &text, &bytes, &diag), -EISDIR);
		assert_string_equal(diag.text, "cannot read /: Is a directory");
	}
	sluice_lines_close(&lines);
}

/* Standard input is a pipe that the test writes: only whole lines make it ready. */
static void test_lines__standard_input(void **state)
{
	int ends[2], saved = dup(STDIN_FILENO);
	struct sluice_lines lines;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	open_lines(&lines, "-");
	assert_false(sluice_lines_ready(&lines));
	assert_int_equal(write(ends[1], "one\ntwo\nthr", 11), 11);
	expect_line(&lines, "one");
	assert_true(sluice_lines_ready(&lines));
	expect_line(&lines, "two");
	assert_false(sluice_lines_ready(&lines));
	assert_int_equal(write(ends[1], "ee", 2), 2);
	close(ends[1]);
	expect_line(&lines, "three");
	expect_end(&lines);
	assert_true(sluice_lines_ready(&lines));
	sluice_lines_close(&lines);
	assert_true(dup2(saved, STDIN_FILENO) >= 0);
	close(saved);
	close(ends[0]);
}

static void ignore(int signal)
{
	(void)signal;
}

static void test_lines__a_signal_interrupts_waiting(void **state)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	struct sigaction action = {.sa_handler = ignore}, old;
	int ends[2], saved = dup(STDIN_FILENO);
	struct sluice_lines lines;
	struct sluice_diag diag;
	char *text;
	size_t bytes;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	sigaction(SIGALRM, &action, &old);
	open_lines(&lines, "-");
	assert_int_equal(write(ends[1], "half", 4), 4);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(sluice_lines_next(&lines, &text, &bytes, &diag), -EINTR);
	assert_int_equal(write(ends[1], " and half\n", 10), 10);
	expect_line(&lines, "half and half");
	sluice_lines_close(&lines);
	sigaction(SIGALRM, &old, NULL);
	assert_true(dup2(saved, STDIN_FILENO) >= 0);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

#ifdef SLUICE_WITH_ZLIB
static int gzip_file(const char *text, size_t bytes, size_t cut, char path[64])
{
	static unsigned char packed[1 << 20];
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)text,
			   .avail_in = (unsigned int)bytes,
			   .next_out = packed,
			   .avail_out = sizeof(packed)};

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return memory_file(packed, stream.total_out - cut, path);
}

static void test_lines__gzip(void **state)
{
	struct sluice_lines lines;
	size_t bytes;
	char *text = many_lines(&bytes), path[64];
	int fd = gzip_file(text, bytes, 0, path);

	(void)state;
	open_lines(&lines, path);
	expect_many(&lines);
	sluice_lines_close(&lines);
	close(fd);
	free(text);
}

static void test_lines__gzip_cut_short(void **state)
{
	struct sluice_lines lines;
	struct sluice_diag diag;
	size_t bytes;
	char *text = many_lines(&bytes), path[64], *line;
	int fd = gzip_file(text, bytes, 20, path), ret;

	(void)state;
	open_lines(&lines, path);
	while ((ret = sluice_lines_next(&lines, &line, &bytes, &diag)) == 1)
		;
	assert_int_equal(ret, -EBADMSG);
	assert_non_null(strstr(diag.text, "broken gzip data"));
	sluice_lines_close(&lines);
	close(fd);
	free(text);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines__ends_of_lines),
		cmocka_unit_test(test_lines__over_many_buffers),
		cmocka_unit_test(test_lines__longest_line),
		cmocka_unit_test(test_lines__endless_line),
		cmocka_unit_test(test_lines__no_such_file),
		cmocka_unit_test(test_lines__standard_input),
		cmocka_unit_test(test_lines__a_signal_interrupts_waiting),
#ifdef SLUICE_WITH_ZLIB
		cmocka_unit_test(test_lines__gzip),
		cmocka_unit_test(test_lines__gzip_cut_short),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
