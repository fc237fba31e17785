/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#ifdef SLUICE_WITH_JANSSON
#include <jansson.h>
#endif

#include "producer/jsonl.h"
#include "producer/random.h"
#include "tests/unit/producer/fixture.h"

#define JSONL SLUICE_FORMAT_JSONL
#define ADD "{\"cmd\":\"add_symbol\",\"symbol\":\"X\",\"price_decimals\":2}\n"

static void test_jsonl__numbers_and_strings(void **state)
{
	struct sluice_command c = last_command(
		JSONL,
		ADD " { \"cmd\" : \"place\" , \"symbol\":\"X\",\"order_id\":"
		    "18446744073709551615,\"price\":189.50,\"qty\":\"12\",\"side\":\"b\\u0075y"
		    "\",\"post_only\":true,\"tif\":null,\"account\":\"\"}\t\r\n");

	(void)state;
	assert_true(c.order_id == UINT64_MAX);
	assert_int_equal(c.price, 18950);
	assert_int_equal(c.qty, 12);
	assert_int_equal(c.side, SLUICE_SIDE_BUY);
	assert_int_equal(c.tif, SLUICE_TIF_GTC);
	assert_int_equal(c.order_flags, SLUICE_ORDER_POST_ONLY);
	c = last_command(JSONL, ADD "{\"cmd\":\"place\",\"symbol\":\"X\",\"post_only\":false}");
	assert_int_equal(c.order_flags, 0);
}

static void test_jsonl__decimals_are_not_rounded(void **state)
{
	struct sluice_command c = last_command(
		JSONL, ADD "{\"cmd\":\"place\",\"symbol\":\"X\",\"price\":90071992547409.93}");

	(void)state;
	assert_int_equal(c.price, 9007199254740993);
	expect_error(JSONL,
		     ADD "{\"cmd\":\"place\",\"symbol\":\"X\",\"price\":1.0000000000000000001}",
		     "line 2, column \"price\": \"1.0000000000000000001\" has more than 2 decimals "
		     "for X");
	expect_error(JSONL, ADD "{\"cmd\":\"place\",\"symbol\":\"X\",\"price\":1e2}",
		     "line 2, column \"price\": \"1e2\" is not a decimal number");
}

static void test_jsonl__bad_lines(void **state)
{
	static const char *const cases[][2] = {
		{"x", "line 1, byte 1: expected { at the beginning of an object"},
		{"{", "line 1, byte 2: expected a key in double quotes"},
		{"{cmd:1}", "line 1, byte 2: expected a key in double quotes"},
		{"{\"cmd\"}", "line 1, byte 7: expected a colon"},
		{"{\"cmd\":}", "line 1, byte 8: not a JSON value"},
		{"{\"cmd\":tick}", "line 1, byte 8: not a JSON value"},
		{"{\"cmd\":\"tick\"", "line 1, byte 14: expected a comma or }"},
		{"{\"cmd\":\"tick\",}", "line 1, byte 15: expected a key in double quotes"},
		{"{\"cmd\":\"tick}", "line 1, byte 14: the string is not closed"},
		{"{\"cmd\":\"ti\\x\"}", "line 1, byte 12: unknown escape"},
		{"{\"cmd\":\"ti\\u12g4\"}", "line 1, byte 13: \\u needs four hexadecimal digits"},
		{"{\"cmd\":\"ti\\u00e4\"}",
		 "line 1, byte 17: no column takes a character that ASCII cannot print"},
		{"{\"cmd\":\"ti\tck\"}", "line 1, byte 11: a control character in a string"},
		{"{\"cmd\":[1]}", "line 1, byte 8: a value must be a string or a number"},
		{"{\"cmd\":{}}", "line 1, byte 8: a value must be a string or a number"},
		{"{\"cmd\":true}", "line 1, byte 12: only post_only may be true or false"},
		{"{\"cmd\":\"tick\",\"cmd\":\"tick\"}", "line 1, byte 20: the key came before"},
		{"{\"cmd\":\"tick\",\"cmd\":null}", "line 1, byte 20: the key came before"},
		{"{\"cmd\":\"tick\"} {}",
		 "line 1, byte 16: something follows the object; one object per line"},
		{"{\"time_ns\":01}", "line 1, byte 14: not a JSON value"},
		{"{\"time_ns\":1.}", "line 1, byte 14: a digit must follow the point"},
		{"{\"time_ns\":1e}", "line 1, byte 14: a digit must follow the exponent's sign"},
		{"{\"time_ns\":-}", "line 1, byte 13: not a JSON value"},
		{"{}", "line 1: column \"cmd\" is empty; it names the command, such as place or "
		       "cancel"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(JSONL, cases[i][0], cases[i][1]);
}

static void test_jsonl__unknown_key_lists_the_known(void **state)
{
	struct reading r;

	(void)state;
	reading_open(&r, JSONL, "{\"cmd\":\"tick\",\"time\":1}\n");
	assert_int_equal(reading_next(&r), -EBADMSG);
	assert_non_null(strstr(r.diag.text, "line 1: \"time\" is not a column; "));
	assert_non_null(strstr(r.diag.text, "known are cmd, symbol, account"));
	reading_close(&r);
}

#ifdef SLUICE_WITH_JANSSON
/* Whatever is read here must also be what a general JSON reader sees. */
static void compare_with_jansson(const char *text, size_t bytes, uint32_t *both, uint32_t *neither)
{
	char copy[256];
	struct sluice_row row;
	json_error_t error;
	json_t *object;

	memcpy(copy, text, bytes);
	object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!object && json_error_code(&error) == json_error_numeric_overflow)
		return; /* a limit of that reader, not of JSON */
	if (sluice_jsonl_row(copy, bytes, 1, &row, NULL)) {
		*neither += object == NULL;
		json_decref(object);
		return;
	}
	assert_non_null(object);
	(*both)++;
	for (uint32_t i = 0; i < SLUICE_COLUMNS; i++) {
		json_t *value = json_object_get(object, sluice_column_words.words[i]);
		char number[32];
		const char *expected = number;
		size_t length;

		if (!(row.present >> i & 1)) {
			assert_true(!value || json_is_null(value) ||
				    (json_is_string(value) && !json_string_length(value)));
			continue;
		}
		assert_non_null(value);
		if (json_is_string(value))
			expected = json_string_value(value);
		else if (json_is_integer(value))
			snprintf(number, sizeof(number), "%lld",
				 (long long)json_integer_value(value));
		else
			continue; /* true, false, or a real that lost its text there */
		if (strcmp(expected, "0") == 0) /* -0 */
			continue;
		length = json_is_string(value) ? json_string_length(value) : strlen(expected);
		assert_int_equal(row.field[i].bytes, length);
		assert_memory_equal(row.field[i].text, expected, length);
	}
	json_decref(object);
}
#endif

static void test_jsonl__agrees_with_a_general_reader(void **state)
{
#ifdef SLUICE_WITH_JANSSON
	static const char seed_text[] = "{\"cmd\":\"pl\\u0061ce\",\"symbol\":\"X\",\"price\":-12.5e"
					"+3,\"qty\":10,\"post_only\":true,\"tif\":null}";
	static const char alphabet[] = "{}[]\",:\\u0061 eE+-.019tfnull\t\x01";
	static struct sluice_random random;
	uint32_t both = 0, neither = 0;

	(void)state;
	sluice_random_init(&random, test_seed());
	for (uint32_t i = 0; i < 200000; i++) {
		char text[sizeof(seed_text)];
		uint32_t changes = sluice_random_below(&random, 3);

		memcpy(text, seed_text, sizeof(text));
		while (changes--)
			text[sluice_random_below(&random, sizeof(text) - 1)] =
				alphabet[sluice_random_below(&random, sizeof(alphabet) - 1)];
		compare_with_jansson(text, sizeof(text) - 1, &both, &neither);
	}
	assert_true(both > 1000);
	assert_true(neither > 1000);
#else
	(void)state;
	print_message("skip: test_jsonl__agrees_with_a_general_reader: built without jansson\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jsonl__numbers_and_strings),
		cmocka_unit_test(test_jsonl__decimals_are_not_rounded),
		cmocka_unit_test(test_jsonl__bad_lines),
		cmocka_unit_test(test_jsonl__unknown_key_lists_the_known),
		cmocka_unit_test(test_jsonl__agrees_with_a_general_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
