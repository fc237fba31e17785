/* SPDX-License-Identifier: MIT */
/* test_json.c - the writer's exact bytes, its escapes, and its errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/json.h"

static char buffer[4096];
static struct sluice_json json;

static void start(void)
{
	memset(buffer, 0x55, sizeof(buffer));
	sluice_json_init_buffer(&json, buffer, sizeof(buffer));
}

static const char *finish(void)
{
	assert_int_equal(sluice_json_finish(&json), 0);
	return buffer;
}

static void test_json__every_kind_nested(void **state)
{
	(void)state;
	start();
	sluice_json_object(&json, NULL);
	sluice_json_u64(&json, "u", UINT64_MAX);
	sluice_json_u64(&json, "zero", 0);
	sluice_json_i64(&json, "i", INT64_MIN);
	sluice_json_i64(&json, "j", 5);
	sluice_json_decimal(&json, "d", 1.25, 3);
	sluice_json_decimal(&json, "e", -0.5, 0);
	sluice_json_decimal(&json, "nan", (double)NAN, 2);
	sluice_json_decimal(&json, "inf", (double)-INFINITY, 2);
	sluice_json_bool(&json, "t", true);
	sluice_json_bool(&json, "f", false);
	sluice_json_null(&json, "n");
	sluice_json_array(&json, "a");
	sluice_json_u64(&json, NULL, 1);
	sluice_json_object(&json, NULL);
	sluice_json_end(&json);
	sluice_json_array(&json, NULL);
	sluice_json_end(&json);
	sluice_json_string(&json, NULL, "x");
	sluice_json_end(&json);
	sluice_json_object(&json, "o");
	sluice_json_u64(&json, "k", 2);
	sluice_json_end(&json);
	sluice_json_end(&json);
	assert_string_equal(
		finish(),
		"{\"u\":18446744073709551615,\"zero\":0,\"i\":-9223372036854775808,\"j\":5,"
		"\"d\":1.250,\"e\":-0,\"nan\":null,\"inf\":null,\"t\":true,\"f\":false,\"n\":null,"
		"\"a\":[1,{},[],\"x\"],\"o\":{\"k\":2}}");
}

static void check_string(const char *text, const char *expected)
{
	start();
	sluice_json_string(&json, NULL, text);
	assert_string_equal(finish(), expected);
}

static void test_json__escapes(void **state)
{
	(void)state;
	check_string("", "\"\"");
	check_string("a\"b\\c", "\"a\\\"b\\\\c\"");
	check_string("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
	check_string("\001\033\177", "\"\\u0001\\u001b\\u007f\"");
	check_string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		     "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
	start();
	sluice_json_object(&json, NULL);
	sluice_json_bool(&json, "a\"\n", true);
	sluice_json_end(&json);
	assert_string_equal(finish(), "{\"a\\\"\\n\":true}");
}

#define BAD "\xef\xbf\xbd"

static void test_json__bytes_that_are_no_utf8_are_replaced(void **state)
{
	(void)state;
	check_string("a\xff z", "\"a" BAD " z\"");
	check_string("\x80", "\"" BAD "\"");
	check_string("\xc3", "\"" BAD "\"");		     /* cut */
	check_string("\xc3(", "\"" BAD "(\"");		     /* no continuation */
	check_string("\xc0\xaf", "\"" BAD BAD "\"");	     /* overlong */
	check_string("\xe0\x80\xaf", "\"" BAD BAD BAD "\""); /* overlong */
	check_string("\xed\xa0\x80", "\"" BAD BAD BAD "\""); /* a surrogate */
	check_string("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	check_string("\xf0\x9f\x98", "\"" BAD BAD BAD "\"");
}

static void test_json__bounded_strings_stop_in_time(void **state)
{
	const char label[4] = {'a', 'b', 'c', '\xc3'};

	(void)state;
	start();
	sluice_json_string_bounded(&json, NULL, label, sizeof(label));
	assert_string_equal(finish(), "\"abc" BAD "\"");
	start();
	sluice_json_string_bounded(&json, NULL, "ab\0cd", 5);
	assert_string_equal(finish(), "\"ab\"");
	start();
	sluice_json_string_bounded(&json, NULL, label, 0);
	assert_string_equal(finish(), "\"\"");
}

static void test_json__a_full_buffer_is_an_error(void **state)
{
	char small[8];

	(void)state;
	sluice_json_init_buffer(&json, small, sizeof(small));
	sluice_json_string(&json, NULL, "12345"); /* with quotes and NUL: just fits */
	assert_int_equal(sluice_json_finish(&json), 0);
	assert_string_equal(small, "\"12345\"");
	sluice_json_string(&json, NULL, "123456");
	assert_int_equal(sluice_json_finish(&json), -ENOSPC);
	assert_string_equal(small, "\"123456");
	sluice_json_u64(&json, NULL, 7); /* the error is gone */
	assert_int_equal(sluice_json_finish(&json), 0);
	assert_string_equal(small, "7");
}

static void test_json__a_file_gets_one_line_each(void **state)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	(void)state;
	sluice_json_init_file(&json, file);
	for (uint64_t i = 1; i <= 2; i++) {
		sluice_json_object(&json, NULL);
		sluice_json_u64(&json, "n", i);
		sluice_json_end(&json);
		assert_int_equal(sluice_json_finish(&json), 0);
	}
	fclose(file);
	assert_string_equal(text, "{\"n\":1}\n{\"n\":2}\n");
	free(text);
}

static void test_json__a_broken_file_is_an_error(void **state)
{
	FILE *file = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	sluice_json_init_file(&json, file);
	sluice_json_u64(&json, NULL, 1);
	assert_int_equal(sluice_json_finish(&json), -EIO);
	fclose(file);
}

/* Misuse aborts: each in a child. */
static void misuse(int how)
{
	freopen("/dev/null", "w", stderr);
	start();
	switch (how) {
	case 0:
		sluice_json_end(&json);
		break;
	case 1:
		sluice_json_u64(&json, "key", 1);
		break;
	case 2:
		sluice_json_object(&json, NULL);
		sluice_json_u64(&json, NULL, 1);
		break;
	case 3:
		sluice_json_array(&json, NULL);
		sluice_json_u64(&json, "key", 1);
		break;
	case 4:
		sluice_json_object(&json, NULL);
		sluice_json_finish(&json);
		break;
	case 5:
		for (int i = 0; i <= SLUICE_JSON_DEPTH_MAX; i++)
			sluice_json_array(&json, NULL);
		break;
	case 6:
		sluice_json_u64(&json, NULL, 1);
		sluice_json_u64(&json, NULL, 2);
		break;
	}
	_exit(0);
}

static void test_json__misuse_is_a_broken_invariant(void **state)
{
	(void)state;
	for (int how = 0; how < 7; how++) {
		int status;
		const pid_t child = fork();

		if (child == 0)
			misuse(how);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			fail_msg("misuse %d went unnoticed", how);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json__every_kind_nested),
		cmocka_unit_test(test_json__escapes),
		cmocka_unit_test(test_json__bytes_that_are_no_utf8_are_replaced),
		cmocka_unit_test(test_json__bounded_strings_stop_in_time),
		cmocka_unit_test(test_json__a_full_buffer_is_an_error),
		cmocka_unit_test(test_json__a_file_gets_one_line_each),
		cmocka_unit_test(test_json__a_broken_file_is_an_error),
		cmocka_unit_test(test_json__misuse_is_a_broken_invariant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
