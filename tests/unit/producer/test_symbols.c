/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "producer/symbols.h"

static void define(struct sluice_symbols *symbols, enum sluice_command_type type, const char *name,
		   int expected)
{
	struct sluice_command command = {.head.type = (uint16_t)type};

	memcpy(command.u.define.name, name, strlen(name));
	command.u.define.price_decimals = 3;
	assert_int_equal(sluice_symbols_define(symbols, &command), expected);
}

static void test_symbols__numbers_each_kind_by_itself(void **state)
{
	struct sluice_symbols symbols;
	struct sluice_resolved resolved;

	(void)state;
	assert_int_equal(sluice_symbols_init(&symbols, NULL), 0);
	define(&symbols, SLUICE_CMD_ADD_SYMBOL, "A", 0);
	define(&symbols, SLUICE_CMD_ADD_ASSET, "A", 0);
	define(&symbols, SLUICE_CMD_ADD_ASSET, "B", 0);
	define(&symbols, SLUICE_CMD_PLACE, "C", 0);
	assert_int_equal(sluice_symbols_find(&symbols, SLUICE_DIRECTORY_ASSET, "B", &resolved), 0);
	assert_int_equal(resolved.id, 1);
	assert_int_equal(sluice_symbols_find(&symbols, SLUICE_DIRECTORY_SYMBOL, "A", &resolved), 0);
	assert_int_equal(resolved.id, 0);
	assert_int_equal(resolved.price_decimals, 3);
	assert_int_equal(sluice_symbols_find(&symbols, SLUICE_DIRECTORY_SYMBOL, "B", &resolved),
			 -ENOENT);
	assert_int_equal(sluice_symbols_find(&symbols, SLUICE_DIRECTORY_SYMBOL, "C", &resolved),
			 -ENOENT);
	assert_string_equal(sluice_symbols_name(&symbols, SLUICE_DIRECTORY_ASSET, 1), "B");
	assert_null(sluice_symbols_name(&symbols, SLUICE_DIRECTORY_SYMBOL, 1));
	sluice_symbols_release(&symbols);
}

static void test_symbols__full(void **state)
{
	struct sluice_symbols symbols;
	struct sluice_resolved resolved;
	char name[16];

	(void)state;
	assert_int_equal(sluice_symbols_init(&symbols, NULL), 0);
	for (uint32_t i = 0; i < SLUICE_DIRECTORY_MAX; i++) {
		snprintf(name, sizeof(name), "S%u", i);
		define(&symbols, SLUICE_CMD_ADD_SYMBOL, name, 0);
	}
	define(&symbols, SLUICE_CMD_ADD_SYMBOL, "S0", 0);
	define(&symbols, SLUICE_CMD_ADD_SYMBOL, "ONEMORE", -ENOSPC);
	for (uint32_t i = 0; i < SLUICE_DIRECTORY_MAX; i++) {
		snprintf(name, sizeof(name), "S%u", i);
		assert_int_equal(
			sluice_symbols_find(&symbols, SLUICE_DIRECTORY_SYMBOL, name, &resolved), 0);
		assert_int_equal(resolved.id, i);
	}
	sluice_symbols_release(&symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols__numbers_each_kind_by_itself),
		cmocka_unit_test(test_symbols__full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
