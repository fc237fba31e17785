/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "shm/event_names.h"

static void test_event_names__words_and_values_agree(void **state)
{
	static const struct sluice_words *const all[] = {
		&sluice_command_type_words, &sluice_side_words, &sluice_order_type_words,
		&sluice_tif_words, &sluice_stp_words};

	(void)state;
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		for (uint32_t i = 0; i < all[k]->count; i++) {
			const char *word = all[k]->words[i];

			if (word)
				assert_int_equal(sluice_words_find(all[k], word, strlen(word)), i);
		}
		assert_int_equal(sluice_words_find(all[k], "", 0), -1);
		assert_int_equal(sluice_words_find(all[k], "buyer", 5), -1);
	}
	assert_int_equal(sluice_words_find(&sluice_side_words, "buyer", 3), SLUICE_SIDE_BUY);
	assert_int_equal(sluice_words_find(&sluice_side_words, "buy\0xyz", 7), -1);
	assert_int_equal(sluice_words_find(&sluice_side_words, "BUY", 3), -1);
	assert_int_equal(sluice_words_find(&sluice_side_words, "bu", 2), -1);
}

static void test_event_names__every_value_has_a_name(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < SLUICE_CMD_TYPES; i++)
		assert_string_not_equal(sluice_command_type_name(i), "unknown");
	for (uint32_t i = 1; i < SLUICE_REP_TYPES; i++)
		assert_string_not_equal(sluice_report_type_name(i), "unknown");
	for (uint32_t i = 1; i < SLUICE_MD_TYPES; i++)
		assert_string_not_equal(sluice_md_type_name(i), "unknown");
	for (uint32_t i = 0; i <= SLUICE_REASON_TOO_MANY_LEVELS; i++)
		assert_string_not_equal(sluice_reason_name(i), "unknown");
	for (uint32_t i = SLUICE_REASON_USER; i <= SLUICE_REASON_HALTED; i++)
		assert_string_not_equal(sluice_reason_name(i), "unknown");
	assert_string_equal(sluice_reason_name(SLUICE_REASON_DUPLICATE_COMMAND),
			    "duplicate_command");
	assert_string_equal(sluice_phase_name(SLUICE_PHASE_AUCTION), "auction");
}

static void test_event_names__other_values_are_unknown(void **state)
{
	(void)state;
	assert_string_equal(sluice_command_type_name(0), "unknown");
	assert_string_equal(sluice_command_type_name(SLUICE_CMD_TYPES), "unknown");
	assert_string_equal(sluice_report_type_name(UINT32_MAX), "unknown");
	assert_string_equal(sluice_reason_name(30), "unknown");
	assert_string_equal(sluice_reason_name(255), "unknown");
	assert_string_equal(sluice_side_name(3), "unknown");
	assert_string_equal(sluice_order_type_name(5), "unknown");
	assert_string_equal(sluice_tif_name(6), "unknown");
	assert_string_equal(sluice_stp_name(5), "unknown");
	assert_string_equal(sluice_md_type_name(5), "unknown");
	assert_string_equal(sluice_phase_name(3), "unknown");
}

static void test_event_names__nearest(void **state)
{
	const struct sluice_words *words = &sluice_command_type_words;

	(void)state;
	assert_string_equal(sluice_words_nearest(words, "cancle", 6), "cancel");
	assert_string_equal(sluice_words_nearest(words, "add_symbo", 9), "add_symbol");
	assert_string_equal(sluice_words_nearest(words, "plac", 4), "place");
	assert_null(sluice_words_nearest(words, "xyzzy", 5));
	assert_null(sluice_words_nearest(words, "", 0));
	assert_null(sluice_words_nearest(words, "an unreasonably long word", 25));
}

static void test_event_names__names(void **state)
{
	(void)state;
	assert_true(sluice_name_is_valid("a", 1));
	assert_true(sluice_name_is_valid("BTC-USD_2.x/9", 13));
	assert_true(sluice_name_is_valid("ABCDEFGHIJKLMNOPQRSTUVW", 23));
	assert_false(sluice_name_is_valid("ABCDEFGHIJKLMNOPQRSTUVWX", 24));
	assert_false(sluice_name_is_valid("", 0));
	for (int c = 0; c < 256; c++) {
		char text = (char)c;
		bool valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || (c && c < 128 && strchr("._/-", c));

		assert_int_equal(sluice_name_is_valid(&text, 1), valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_names__words_and_values_agree),
		cmocka_unit_test(test_event_names__every_value_has_a_name),
		cmocka_unit_test(test_event_names__other_values_are_unknown),
		cmocka_unit_test(test_event_names__nearest),
		cmocka_unit_test(test_event_names__names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
