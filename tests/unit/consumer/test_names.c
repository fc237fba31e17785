/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "consumer/names.h"

#define SYMBOL SLUICE_DIRECTORY_SYMBOL
#define ASSET SLUICE_DIRECTORY_ASSET

static struct sluice_segment segment;
static struct sluice_names names;

static int setup(void **state)
{
	const struct sluice_segment_options options = {
		.slot_count = 4,
		.slot_stride = 64,
		.publication = SLUICE_PUBLICATION_CURSOR,
		.producer_mode = SLUICE_PRODUCER_SINGLE,
		.directory_count = 8,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
	};
	struct sluice_diag diag;

	(void)state;
	if (sluice_segment_create(&segment, &options, &diag)) {
		print_message("%s\n", diag.text);
		return -1;
	}
	return sluice_names_init(&names, &segment);
}

static int teardown(void **state)
{
	(void)state;
	sluice_names_release(&names);
	sluice_segment_close(&segment);
	return 0;
}

static void publish(uint64_t index, struct sluice_directory_entry entry)
{
	segment.directory[index] = entry;
	atomic_store_explicit(&segment.control->directory_used, index + 1, memory_order_release);
}

static void test_names__appear_when_they_are_asked_for(void **state)
{
	const struct sluice_name *name;

	(void)state;
	assert_null(sluice_names_get(&names, SYMBOL, 0));
	publish(0, (struct sluice_directory_entry){.name = "AAPL",
						   .id = 0,
						   .kind = SYMBOL,
						   .price_decimals = 2,
						   .qty_decimals = 1});
	publish(1, (struct sluice_directory_entry){.name = "USD", .id = 0, .kind = ASSET});
	name = sluice_names_get(&names, SYMBOL, 0);
	assert_non_null(name);
	assert_string_equal(name->name, "AAPL");
	assert_int_equal(name->bytes, 4);
	assert_int_equal(name->price_decimals, 2);
	assert_int_equal(name->qty_decimals, 1);
	assert_string_equal(sluice_names_get(&names, ASSET, 0)->name, "USD");
	assert_null(sluice_names_get(&names, SYMBOL, 1));
}

static void test_names__entries_below_the_count_only(void **state)
{
	(void)state;
	segment.directory[0] = (struct sluice_directory_entry){.name = "X", .kind = SYMBOL};
	assert_null(sluice_names_get(&names, SYMBOL, 0));
	atomic_store_explicit(&segment.control->directory_used, UINT64_MAX, memory_order_release);
	assert_non_null(sluice_names_get(&names, SYMBOL, 0));
	assert_int_equal(names.seen, 8); /* never beyond the directory's end */
}

static void test_names__damaged_entries_are_refused(void **state)
{
	struct sluice_directory_entry good = {.name = "GOOD", .id = 3, .kind = SYMBOL}, bad;

	(void)state;
	bad = good;
	memset(bad.name, 'A', sizeof(bad.name)); /* no NUL */
	publish(0, bad);
	bad = good;
	bad.id = SLUICE_DIRECTORY_MAX;
	publish(1, bad);
	bad = good;
	bad.kind = 3;
	publish(2, bad);
	bad = good;
	bad.price_decimals = 19;
	publish(3, bad);
	bad = good;
	bad.qty_decimals = 255;
	publish(4, bad);
	bad = good;
	memcpy(bad.name, "A\"B", 4);
	publish(5, bad);
	bad = good;
	bad.name[0] = '\0';
	publish(6, bad);
	assert_null(sluice_names_get(&names, SYMBOL, 3));
	assert_int_equal(names.refused, 7);
	publish(7, good);
	assert_string_equal(sluice_names_get(&names, SYMBOL, 3)->name, "GOOD");
	assert_int_equal(names.refused, 7);
}

static void test_names__first_name_of_an_id_stays(void **state)
{
	(void)state;
	assert_int_equal(sluice_names_add(&names, SYMBOL, 5, "ONE", 1, 0), 0);
	assert_int_equal(sluice_names_add(&names, SYMBOL, 5, "TWO", 2, 0), 0);
	assert_string_equal(sluice_names_get(&names, SYMBOL, 5)->name, "ONE");
	assert_int_equal(sluice_names_get(&names, SYMBOL, 5)->price_decimals, 1);
	assert_null(sluice_names_get(&names, SYMBOL, UINT32_MAX));
	assert_int_equal(sluice_names_add(&names, SYMBOL, UINT32_MAX, "X", 0, 0), -EINVAL);
	assert_int_equal(sluice_names_add(&names, SYMBOL, 1, "", 0, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names__appear_when_they_are_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_names__entries_below_the_count_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_names__damaged_entries_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_names__first_name_of_an_id_stays, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
