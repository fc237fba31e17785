/* SPDX-License-Identifier: MIT */
/* test_demo_expect.c - fills read from CSV and reports; every kind of difference is seen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/demo_expect.h"

static char directory[256];

static const char *write_file(const char *name, const char *text)
{
	static char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

#define HEADER "symbol,maker_order_id,taker_order_id,price,qty\n"
#define TRADE(symbol, maker, taker, price, qty, more)                                              \
	"{\"n\":1,\"cmd_seq\":0,\"type\":\"trade\",\"symbol\":\"" symbol                           \
	"\",\"maker_order_id\":" maker ",\"taker_order_id\":" taker ",\"price\":" price            \
	",\"qty\":" qty more "}\n"
#define REPORTS                                                                                    \
	"{\"n\":1,\"type\":\"accepted\",\"symbol\":\"A\",\"order_id\":1}\n" TRADE("A", "1", "2",   \
										  "100", "5", "")  \
		TRADE("B", "7", "8", "1.50", "3", "") TRADE("A", "1", "3", "100", "6", "")         \
			TRADE("A", "9", "10", "99", "1", ",\"auction\":true")

static struct sluice_demo_match compare(const char *csv, bool auction)
{
	struct sluice_demo_fills *expected, *found;
	struct sluice_demo_match match;

	assert_int_equal(sluice_demo_fills_read(&expected, write_file("e.csv", csv), NULL), 0);
	assert_int_equal(
		sluice_demo_fills_of_reports(&found, write_file("r.jsonl", REPORTS), auction, NULL),
		0);
	sluice_demo_fills_compare(expected, found, &match);
	sluice_demo_fills_free(expected);
	sluice_demo_fills_free(found);
	return match;
}

static void test_demo_expect__equal(void **state)
{
	/* other column order, other order of symbols, extra column, CRLF, blank line */
	const struct sluice_demo_match match =
		compare("qty,price,time,taker_order_id,maker_order_id,symbol\r\n"
			"3,1.50,09:00,8,7,B\r\n\r\n5,100,09:01,2,1,A\r\n6,100,09:02,3,1,A\r\n",
			false);

	(void)state;
	assert_int_equal(match.equal, 3);
	assert_int_equal(match.expected, 3);
	assert_int_equal(match.found, 3);
	assert_string_equal(match.first_difference, "");
}

static void test_demo_expect__auction_is_buyer_and_seller(void **state)
{
	/* in an auction the report's taker is the buyer */
	struct sluice_demo_match match =
		compare("symbol,buy_order_id,sell_order_id,price,qty\nA,10,9,99,1\n", true);

	(void)state;
	assert_int_equal(match.equal, 1);
	assert_int_equal(match.found, 1);
	match = compare("symbol,buy_order_id,sell_order_id,price,qty\nA,9,10,99,1\n", true);
	assert_int_equal(match.equal, 0);
}

static void test_demo_expect__differences(void **state)
{
	static const struct {
		const char *csv;
		uint64_t equal;
		const char *difference;
	} cases[] = {
		{HEADER "A,1,2,100,5\nA,1,3,100,7\nB,7,8,1.50,3\n", 2,
		 "A fill 2: expected 1/3 at 100 x 7, got 1/3 at 100 x 6"},
		{HEADER "A,1,3,100,6\nA,1,2,100,5\nB,7,8,1.50,3\n", 1,
		 "A fill 1: expected 1/3 at 100 x 6, got 1/2 at 100 x 5"},
		{HEADER "A,1,2,100,5\nB,7,8,1.50,3\n", 2,
		 "A fill 2: expected none, got 1/3 at 100 x 6"},
		{HEADER "A,1,2,100,5\nA,1,3,100,6\nB,7,8,1.50,3\nC,1,1,1,1\n", 3,
		 "C fill 1: expected 1/1 at 1 x 1, got none"},
		{HEADER "A,1,2,100,5\nA,1,3,100,6\nB,7,8,1.5,3\n", 2,
		 "B fill 1: expected 7/8 at 1.5 x 3, got 7/8 at 1.50 x 3"},
		{HEADER, 0, "A fill 1: expected none, got 1/2 at 100 x 5"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct sluice_demo_match match = compare(cases[i].csv, false);

		assert_int_equal(match.equal, cases[i].equal);
		assert_int_equal(match.found, 3);
		assert_string_equal(match.first_difference, cases[i].difference);
	}
}

static void test_demo_expect__refuses_what_it_does_not_understand(void **state)
{
	static const char *const bad[] = {
		"",
		"symbol,price,qty\nA,1,2\n",
		HEADER "A,1,2,100\n",
		HEADER "A,1,2,,5\n",
		HEADER "A,1,2,100000000000000000000000000000,5\n",
	};
	struct sluice_demo_fills *fills = NULL;
	struct sluice_diag diag;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		diag.text[0] = '\0';
		assert_int_equal(sluice_demo_fills_read(&fills, write_file("b.csv", bad[i]), &diag),
				 -EBADMSG);
		assert_non_null(strstr(diag.text, "b.csv"));
		assert_null(fills);
	}
	assert_int_equal(sluice_demo_fills_of_reports(
				 &fills, write_file("b.jsonl", "{\"type\":\"trade\",\"qty\":1}\n"),
				 false, &diag),
			 -EBADMSG);
	assert_int_equal(sluice_demo_fills_read(&fills, "/nonexistent/file", &diag), -ENOENT);
}

static int set_up(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	snprintf(directory, sizeof(directory), "%s/sluice-expect-XXXXXX", parent ? parent : "/tmp");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"e.csv", "r.jsonl", "b.csv", "b.jsonl"};
	char path[512];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		unlink(path);
	}
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demo_expect__equal),
		cmocka_unit_test(test_demo_expect__auction_is_buyer_and_seller),
		cmocka_unit_test(test_demo_expect__differences),
		cmocka_unit_test(test_demo_expect__refuses_what_it_does_not_understand),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
