/* SPDX-License-Identifier: MIT */
/* test_define.c - symbols and assets: names, duplicates, dense ids, a full table. */
#include "tests/unit/core/fixture.h"

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
}

static void test_define__ids_are_dense_and_names_kept(void **state)
{
	struct sluice_command c = define("Ab-9/._z");
	struct fixture f;

	(void)state;
	setup(&f);
	assert_null(sluice_core_symbol(f.core, 0));
	c.u.define.price_decimals = 2;
	c.u.define.qty_decimals = 3;
	c.symbol = 99;
	expect(&f, c, "accepted 0");
	assert_int_equal(fixture_report(&f, 0)->symbol, 0);
	expect(&f, define("A23456789012345678901 2"), "rejected 0 bad_name");
	expect(&f, define("A2345678901234567890123"), "accepted 0");
	assert_int_equal(fixture_report(&f, 0)->symbol, 1);
	assert_string_equal(sluice_core_symbol(f.core, 0)->name, "Ab-9/._z");
	assert_string_equal(sluice_core_symbol(f.core, 1)->name, "A2345678901234567890123");
	assert_int_equal(sluice_core_symbol(f.core, 0)->price_decimals, 2);
	assert_int_equal(sluice_core_symbol(f.core, 0)->qty_decimals, 3);
	assert_int_equal(sluice_core_symbol(f.core, 1)->id, 1);
	assert_int_equal(sluice_core_symbol(f.core, 1)->cmd_seq, 2);
	assert_null(sluice_core_symbol(f.core, 2));
	fixture_release(&f);
}

static void test_define__bad_names_are_refused(void **state)
{
	static const char *const names[] = {"",	  " ",	 "A B", "A,B", "\xc3\xa4",
					    "A*", "A\n", "A@B", "A:B", "123456789012345678901234"};
	struct sluice_command c;
	struct fixture f;
	size_t i;

	(void)state;
	setup(&f);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		expect(&f, define(names[i]), "rejected 0 bad_name");
	c = define("A");
	c.u.define.reserved[5] = 1;
	expect(&f, c, "rejected 0 malformed");
	assert_null(sluice_core_symbol(f.core, 0));
	fixture_release(&f);
}

static void test_define__duplicate_names_the_existing_symbol(void **state)
{
	struct sluice_command c = define("B");
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, define("A"), "accepted 0");
	expect(&f, define("B"), "accepted 0");
	c.u.define.name[10] = 'x'; /* after the name's end: no part of it */
	c.symbol = 0;
	expect(&f, c, "rejected 0 symbol_exists");
	assert_int_equal(fixture_report(&f, 0)->symbol, 1);
	expect(&f, define("b"), "accepted 0");
	expect(&f, define("BB"), "accepted 0");
	expect(&f, define("C"), "rejected 0 too_many_symbols");
	expect(&f, define("A"), "rejected 0 symbol_exists");
	assert_int_equal(fixture_report(&f, 0)->symbol, 0);
	fixture_release(&f);
}

static void test_define__assets_are_accepted(void **state)
{
	struct sluice_command c = define("EUR");
	struct fixture f;

	(void)state;
	setup(&f);
	c.head.type = SLUICE_CMD_ADD_ASSET;
	expect(&f, c, "accepted 0");
	c.u.define.name[0] = '\0';
	expect(&f, c, "rejected 0 bad_name");
	assert_null(sluice_core_symbol(f.core, 0));
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_define__ids_are_dense_and_names_kept),
		cmocka_unit_test(test_define__bad_names_are_refused),
		cmocka_unit_test(test_define__duplicate_names_the_existing_symbol),
		cmocka_unit_test(test_define__assets_are_accepted),
	};

	return cmocka_run_group_tests_name("core/define", tests, NULL, NULL);
}
