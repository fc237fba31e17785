/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "producer/csv.h"
#include "tests/unit/producer/fixture.h"

#define CSV SLUICE_FORMAT_CSV

static void test_csv__columns_in_any_order(void **state)
{
	struct sluice_command c = last_command(CSV, "qty,side,cmd,price,symbol\n,,add_symbol,,X\n"
						    "3,sell,place,44,X\n");

	(void)state;
	assert_int_equal(c.qty, 3);
	assert_int_equal(c.price, 44);
	assert_int_equal(c.side, SLUICE_SIDE_SELL);
}

static void test_csv__line_ends_blanks_and_comments(void **state)
{
	struct reading r;

	(void)state;
	reading_open(&r, CSV,
		     "\xef\xbb\xbf# a comment\r\n\r\ncmd,time_ns\r\n  \t\r\n"
		     "# another, with commas\r\ntick,1\r\n  # third\n\ntick,2");
	assert_int_equal(reading_next(&r), 1);
	assert_int_equal(r.item.command.time_ns, 1);
	assert_int_equal(r.item.line, 6);
	assert_int_equal(reading_next(&r), 1);
	assert_int_equal(r.item.command.time_ns, 2);
	assert_int_equal(r.item.line, 9);
	assert_int_equal(reading_next(&r), 0);
	assert_int_equal(reading_next(&r), 0);
	reading_close(&r);
}

static void test_csv__quotes_and_blanks_around_fields(void **state)
{
	struct sluice_command c = last_command(CSV, "\"cmd\" , \"symbol\",time_ns\nadd_symbol,X,\n"
						    " \"halt\",\t\"X\" , 5 \n");

	(void)state;
	assert_int_equal(c.head.type, SLUICE_CMD_HALT);
	assert_int_equal(c.time_ns, 5);
	expect_error(
		CSV, "cmd,symbol\nhalt,\"a\"\"b,c\"\n",
		"line 2, column \"symbol\": \"a\"b,c\" is not a name: 1 to 23 of A-Z a-z 0-9 . "
		"_ / -");
	expect_error(
		CSV, "cmd,symbol\nhalt,\"X\n",
		"line 2, field 2: a quoted field must end with \" before the next comma or the "
		"line's end");
	expect_error(
		CSV, "cmd,symbol\n\"halt\"x,X\n",
		"line 2, field 1: a quoted field must end with \" before the next comma or the "
		"line's end");
	expect_error(
		CSV, "cmd,\"symbol\n",
		"line 1, field 2: a quoted field must end with \" before the next comma or the "
		"line's end");
}

static void test_csv__bad_headers(void **state)
{
	struct reading r;

	(void)state;
	expect_error(CSV, "cmd,simbol\n",
		     "line 1: \"simbol\" is not a column; did you mean \"symbol\"? known are cmd, "
		     "symbol, account, order_id, side, type, tif, price, qty, stop_price, "
		     "display_qty, min_qty, expire_ns, post_only, stp, new_price, new_qty, asset, "
		     "amount, session, client_seq, time_ns, price_decimals, qty_decimals, "
		     "base_asset, quote_asset");
	expect_error(CSV, "cmd,wxyzwxyz\n",
		     "line 1: \"wxyzwxyz\" is not a column; known are cmd, symbol, account, "
		     "order_id, side, type, tif, price, qty, stop_price, display_qty, min_qty, "
		     "expire_ns, post_only, stp, new_price, new_qty, asset, amount, session, "
		     "client_seq, time_ns, price_decimals, qty_decimals, base_asset, quote_asset");
	expect_error(CSV, "cmd,qty,qty\n", "line 1: column \"qty\" comes twice");
	expect_error(CSV, "symbol,qty\n", "line 1: the header has no column \"cmd\"");
	reading_open(&r, CSV, "nonsense\ntick\n");
	assert_int_equal(reading_next(&r), -EBADMSG);
	assert_int_equal(reading_next(&r), 0);
	reading_close(&r);
}

static void test_csv__wrong_number_of_fields(void **state)
{
	(void)state;
	expect_error(CSV, "cmd,time_ns,session\ntick,1\n",
		     "line 2: 2 fields, but the header names 3");
	expect_error(CSV, "cmd,time_ns\ntick,1,,\n", "line 2: 4 fields, but the header names 2");
	expect_error(CSV, "cmd,time_ns\ntick,1,\n", "line 2: 3 fields, but the header names 2");
}

static void test_csv__goes_on_after_a_bad_line(void **state)
{
	struct reading r;

	(void)state;
	reading_open(&r, CSV, "cmd,time_ns\ntick,x\ntick\ntick,3\n");
	assert_int_equal(reading_next(&r), -EBADMSG);
	assert_int_equal(reading_next(&r), -EBADMSG);
	assert_int_equal(reading_next(&r), 1);
	assert_int_equal(r.item.command.time_ns, 3);
	reading_close(&r);
}

static void test_csv__a_nul_byte_is_no_digit(void **state)
{
	struct sluice_csv csv;
	struct sluice_row row;
	struct sluice_symbols symbols;
	struct sluice_command command;
	struct sluice_diag diag;
	char header[] = "cmd,time_ns",
	     line[] = "tick,1\0"
		      "2",
	     name[SLUICE_NAME_BYTES];

	(void)state;
	assert_int_equal(sluice_symbols_init(&symbols, NULL), 0);
	assert_int_equal(sluice_csv_header(&csv, header, strlen(header), 1, &diag), 0);
	assert_int_equal(sluice_csv_row(&csv, line, sizeof(line) - 1, 2, &row, &diag), 0);
	assert_int_equal(sluice_command_text_parse(&row, &symbols, &command, name, &diag),
			 -EBADMSG);
	assert_string_equal(diag.text, "line 2, column \"time_ns\": \"1\\x002\" is not an integer");
	sluice_symbols_release(&symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv__columns_in_any_order),
		cmocka_unit_test(test_csv__line_ends_blanks_and_comments),
		cmocka_unit_test(test_csv__quotes_and_blanks_around_fields),
		cmocka_unit_test(test_csv__bad_headers),
		cmocka_unit_test(test_csv__wrong_number_of_fields),
		cmocka_unit_test(test_csv__goes_on_after_a_bad_line),
		cmocka_unit_test(test_csv__a_nul_byte_is_no_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
