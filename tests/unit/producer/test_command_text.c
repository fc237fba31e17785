/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "producer/command_text.h"
#include "producer/random.h"
#include "tests/unit/producer/fixture.h"

#define ADD "cmd,symbol,price_decimals,qty_decimals\n"

static void test_command_text__fills_every_field_of_place(void **state)
{
	struct sluice_command c = last_command(
		SLUICE_FORMAT_CSV,
		"cmd,symbol,account,order_id,side,type,tif,price,qty,stop_price,display_qty,"
		"min_qty,expire_ns,post_only,stp,session,client_seq,time_ns\n"
		"add_symbol,X,,,,,,,,,,,,,,,,\n"
		"add_symbol,Y,,,,,,,,,,,,,,,,\n"
		"place,Y,7,18446744073709551615,sell,stop_limit,gtd,9223372036854775807,5,6,7,8,9,"
		"1,decrement,11,12,13\n");

	(void)state;
	assert_int_equal(c.head.type, SLUICE_CMD_PLACE);
	assert_int_equal(c.head.length, sizeof(c));
	assert_int_equal(c.symbol, 1);
	assert_int_equal(c.account, 7);
	assert_true(c.order_id == UINT64_MAX);
	assert_int_equal(c.side, SLUICE_SIDE_SELL);
	assert_int_equal(c.order_type, SLUICE_ORDER_STOP_LIMIT);
	assert_int_equal(c.tif, SLUICE_TIF_GTD);
	assert_true(c.price == INT64_MAX);
	assert_int_equal(c.qty, 5);
	assert_int_equal(c.u.order.stop_price, 6);
	assert_int_equal(c.u.order.display_qty, 7);
	assert_int_equal(c.u.order.min_qty, 8);
	assert_int_equal(c.u.order.expire_ns, 9);
	assert_int_equal(c.order_flags, SLUICE_ORDER_POST_ONLY);
	assert_int_equal(c.stp, SLUICE_STP_DECREMENT);
	assert_int_equal(c.session, 11);
	assert_int_equal(c.client_seq, 12);
	assert_int_equal(c.time_ns, 13);
	assert_int_equal(c.send_ns, 0);
}

static void test_command_text__defaults(void **state)
{
	struct sluice_command c = last_command(SLUICE_FORMAT_CSV, "cmd,symbol,side,price,qty\n"
								  "add_symbol,X,,,\n"
								  "place,X,buy,10,1\n");

	(void)state;
	assert_int_equal(c.order_type, SLUICE_ORDER_LIMIT);
	assert_int_equal(c.tif, SLUICE_TIF_GTC);
	assert_int_equal(c.stp, SLUICE_STP_NONE);
	assert_int_equal(c.account, 0);
	assert_int_equal(c.order_id, 0);
	c = last_command(SLUICE_FORMAT_CSV, "cmd,account\nmass_cancel,3\n");
	assert_true(c.symbol == UINT32_MAX);
	assert_int_equal(c.account, 3);
}

static void test_command_text__words_none_are_values(void **state)
{
	struct sluice_command c = last_command(SLUICE_FORMAT_CSV, "cmd,symbol,side,type,tif\n"
								  "add_symbol,X,,,\n"
								  "place,X,none,none,none\n");

	(void)state;
	assert_int_equal(c.side, SLUICE_SIDE_NONE);
	assert_int_equal(c.order_type, SLUICE_ORDER_NONE);
	assert_int_equal(c.tif, SLUICE_TIF_NONE);
}

static void test_command_text__replace_and_reduce(void **state)
{
	struct sluice_command c = last_command(SLUICE_FORMAT_CSV,
					       "cmd,symbol,order_id,new_price,new_qty\n"
					       "add_symbol,X,,,\nreplace,X,5,101,7\n");

	(void)state;
	assert_int_equal(c.head.type, SLUICE_CMD_REPLACE);
	assert_int_equal(c.price, 101);
	assert_int_equal(c.qty, 7);
	c = last_command(SLUICE_FORMAT_CSV,
			 "cmd,symbol,order_id,qty\nadd_symbol,X,,\nreduce,X,5,4\n");
	assert_int_equal(c.head.type, SLUICE_CMD_REDUCE);
	assert_int_equal(c.qty, 4);
}

static void test_command_text__funds_name_their_asset(void **state)
{
	struct sluice_command c = last_command(SLUICE_FORMAT_CSV,
					       "cmd,account,asset,amount,qty_decimals\n"
					       "add_asset,,EUR,,2\nadd_asset,,USD,,2\n"
					       "deposit,4,USD,12.50,\n");

	(void)state;
	assert_int_equal(c.asset, 1);
	assert_int_equal(c.account, 4);
	assert_int_equal(c.qty, 1250);
	c = last_command(SLUICE_FORMAT_CSV, "cmd,symbol,asset,base_asset,quote_asset\n"
					    "add_asset,,EUR,,\nadd_asset,,USD,,\n"
					    "add_symbol,EUR/USD,,EUR,USD\n");
	assert_int_equal(c.u.define.base_asset, 0);
	assert_int_equal(c.u.define.quote_asset, 1);
	assert_string_equal(c.u.define.name, "EUR/USD");
}

static int64_t price_of(const char *decimals, const char *price)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "cmd,symbol,side,price,qty,price_decimals\nadd_symbol,X,,,,%s\n"
		 "place,X,buy,%s,1,\n",
		 decimals, price);
	return last_command(SLUICE_FORMAT_CSV, text).price;
}

static void test_command_text__decimals_convert_exactly(void **state)
{
	(void)state;
	assert_int_equal(price_of("2", "190"), 19000);
	assert_int_equal(price_of("2", "189.5"), 18950);
	assert_int_equal(price_of("2", "189.50"), 18950);
	assert_int_equal(price_of("2", "189.5000"), 18950);
	assert_int_equal(price_of("2", "0.01"), 1);
	assert_int_equal(price_of("2", "007.01"), 701);
	assert_int_equal(price_of("18", "9.223372036854775807"), INT64_MAX);
	assert_int_equal(price_of("2", "92233720368547758.07"), INT64_MAX);
	assert_int_equal(price_of("0", "9223372036854775807"), INT64_MAX);
}

static void expect_bad_price(const char *decimals, const char *price, const char *why)
{
	char text[256], expected[256];

	snprintf(text, sizeof(text),
		 "cmd,symbol,price,price_decimals\nadd_symbol,X,,%s\n"
		 "place,X,%s,\n",
		 decimals, price);
	snprintf(expected, sizeof(expected), "line 3, column \"price\": \"%s\" %s", price, why);
	expect_error(SLUICE_FORMAT_CSV, text, expected);
}

static void test_command_text__refuses_bad_numbers(void **state)
{
	(void)state;
	expect_bad_price("0", "12x", "is not an integer");
	expect_bad_price("0", "+5", "is not an integer");
	expect_bad_price("0", "1e3", "is not an integer");
	expect_bad_price("0", "0x10", "is not an integer");
	expect_bad_price("0", "-", "is not an integer");
	expect_bad_price("0", "-5", "is negative");
	expect_bad_price("0", "9223372036854775808", "is too large");
	expect_bad_price("0", "99999999999999999999999999", "is too large");
	expect_bad_price("0", "190.5", "is not an integer, and X is defined without decimals");
	expect_bad_price("0", "190.0", "is not an integer, and X is defined without decimals");
	expect_bad_price("2", "189.505", "has more than 2 decimals for X");
	expect_bad_price("2", "189.5001", "has more than 2 decimals for X");
	expect_bad_price("2", "1.2.3", "is not a decimal number");
	expect_bad_price("2", ".5", "is not a decimal number");
	expect_bad_price("2", "5.", "is not a decimal number");
	expect_bad_price("2", "-0.5", "is negative");
	expect_bad_price("2", "92233720368547758.08", "is too large");
	expect_bad_price("18", "10", "is too large");
}

static void test_command_text__refuses_bad_words(void **state)
{
	(void)state;
	expect_error(SLUICE_FORMAT_CSV, "cmd\nplcae\n",
		     "line 2, column \"cmd\": \"plcae\" is no command; did you mean \"place\"?");
	expect_error(SLUICE_FORMAT_CSV, "cmd\nzzzzzzzzz\n",
		     "line 2, column \"cmd\": \"zzzzzzzzz\" is no command; one of add_asset, "
		     "add_symbol, deposit, withdraw, place, cancel, reduce, replace, mass_cancel, "
		     "halt, resume, auction, uncross, query_balance, query_order, tick");
	expect_error(SLUICE_FORMAT_CSV, "cmd\nvoid\n",
		     "line 2, column \"cmd\": \"void\" is no command; one of add_asset, "
		     "add_symbol, deposit, withdraw, place, cancel, reduce, replace, mass_cancel, "
		     "halt, resume, auction, uncross, query_balance, query_order, tick");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,side\nadd_symbol,X,\nplace,X,bid\n",
		     "line 3, column \"side\": \"bid\" is no side; one of none, buy, sell");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,type\nadd_symbol,X,\nplace,X,limt\n",
		     "line 3, column \"type\": \"limt\" is no order type; did you mean "
		     "\"limit\"?");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,tif\nadd_symbol,X,\nplace,X,forever\n",
		     "line 3, column \"tif\": \"forever\" is no time in force; one of none, gtc, "
		     "ioc, fok, day, gtd");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,stp\nadd_symbol,X,\nplace,X,cancel_newst\n",
		     "line 3, column \"stp\": \"cancel_newst\" is no self-trade prevention; did "
		     "you mean \"cancel_newest\"?");
}

static void test_command_text__refuses_bad_integers(void **state)
{
	(void)state;
	expect_error(SLUICE_FORMAT_CSV, "cmd,account\nmass_cancel,4294967296\n",
		     "line 2, column \"account\": \"4294967296\" is too large; at most "
		     "4294967295");
	expect_error(SLUICE_FORMAT_CSV, "cmd,time_ns\ntick,18446744073709551616\n",
		     "line 2, column \"time_ns\": \"18446744073709551616\" is too large; at most "
		     "18446744073709551615");
	expect_error(SLUICE_FORMAT_CSV, "cmd,time_ns\ntick,-1\n",
		     "line 2, column \"time_ns\": \"-1\" is negative");
	expect_error(SLUICE_FORMAT_CSV, "cmd,time_ns\ntick,1.5\n",
		     "line 2, column \"time_ns\": \"1.5\" is not an integer");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,price_decimals\nadd_symbol,X,19\n",
		     "line 2, column \"price_decimals\": \"19\" is too large; at most 18");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,post_only\nadd_symbol,X,\nplace,X,2\n",
		     "line 3, column \"post_only\": \"2\" is too large; at most 1");
}

static void test_command_text__refuses_bad_names(void **state)
{
	(void)state;
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol\nadd_symbol,A B\n",
		     "line 2, column \"symbol\": \"A B\" is not a name: 1 to 23 of A-Z a-z 0-9 . _ "
		     "/ -");
	expect_error(
		SLUICE_FORMAT_CSV, "cmd,symbol\nadd_symbol,ABCDEFGHIJKLMNOPQRSTUVWX\n",
		"line 2, column \"symbol\": \"ABCDEFGHIJKLMNOPQRSTUVWX\" is not a name: 1 to 23 "
		"of A-Z a-z 0-9 . _ / -");
	expect_error(
		SLUICE_FORMAT_CSV, "cmd,symbol\nadd_symbol,A\x1b[2J\n",
		"line 2, column \"symbol\": \"A\\x1b[2J\" is not a name: 1 to 23 of A-Z a-z 0-9 "
		". _ / -");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol\nhalt,NOBODY\n",
		     "line 2, column \"symbol\": \"NOBODY\" is no symbol that anybody added");
	expect_error(SLUICE_FORMAT_CSV, "cmd,asset,amount\ndeposit,EUR,1\n",
		     "line 2, column \"asset\": \"EUR\" is no asset that anybody added");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol\nhalt,\n",
		     "line 2: halt needs column \"symbol\"");
	expect_error(SLUICE_FORMAT_CSV, "cmd,asset\nadd_asset,\n",
		     "line 2: add_asset needs column \"asset\"");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol\n,X\n",
		     "line 2: column \"cmd\" is empty; it names the command, such as place or "
		     "cancel");
}

static void test_command_text__a_long_text_is_cut_in_messages(void **state)
{
	char text[1200];
	struct sluice_quoted quoted;

	(void)state;
	memset(text, 1, sizeof(text));
	quoted = sluice_quote(text, sizeof(text));
	assert_true(strlen(quoted.text) < sizeof(quoted.text));
	assert_string_equal(quoted.text + strlen(quoted.text) - 8, "\\x01...\"");
}

static void test_command_text__columns_of_other_commands(void **state)
{
	struct sluice_command c;

	(void)state;
	expect_error(SLUICE_FORMAT_CSV,
		     "cmd,symbol,order_id,price\nadd_symbol,X,,\nreplace,X,1,5\n",
		     "line 3, column \"price\": \"5\" has no meaning for replace; use new_price");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,order_id,qty\nadd_symbol,X,,\nreplace,X,1,5\n",
		     "line 3, column \"qty\": \"5\" has no meaning for replace; use new_qty");
	expect_error(SLUICE_FORMAT_CSV, "cmd,symbol,order_id,qty\nadd_symbol,X,,\ncancel,X,1,5\n",
		     "line 3, column \"qty\": \"5\" has no meaning for cancel");
	c = last_command(SLUICE_FORMAT_CSV,
			 "cmd,symbol,order_id,price,side,type,tif,stp\nadd_symbol,X,,,,,,\n"
			 "cancel,X,1,0,sell,limit,gtc,none\n");
	assert_int_equal(c.side, 0);
	assert_int_equal(c.order_id, 1);
	c = last_command(SLUICE_FORMAT_CSV, "cmd,symbol,time_ns\ntick,IGNORED,9\n");
	assert_int_equal(c.time_ns, 9);
}

static void test_command_text__hint_tells_what_to_add(void **state)
{
	struct reading r;

	(void)state;
	reading_open(&r, SLUICE_FORMAT_CSV, "cmd,symbol\nhalt,ABC\n");
	assert_int_equal(reading_next(&r), -ENOENT);
	assert_string_equal(r.diag.hint, "put a row with cmd add_symbol and symbol ABC before it");
	reading_close(&r);
}

/* ------------------------------------------------------------------------------ round trips */

/* A command of any kind with every field that the kind has. */
static struct sluice_command random_command(struct sluice_random *random)
{
	struct sluice_command c = {.head = {.length = sizeof(c)}};
	uint64_t bits = sluice_random_next(random);

	c.head.type = (uint16_t)(SLUICE_CMD_PLACE + bits % 4);
	c.order_id = sluice_random_next(random) >> (bits >> 8 & 63);
	c.account = (uint32_t)sluice_random_next(random) >> (bits >> 14 & 31);
	c.session = (uint32_t)(bits >> 20 & 3);
	c.client_seq = sluice_random_next(random) >> (bits >> 24 & 63);
	c.time_ns = sluice_random_next(random) >> (bits >> 30 & 63);
	if (c.head.type != SLUICE_CMD_CANCEL)
		c.qty = (int64_t)(sluice_random_next(random) >> 1 >> (bits >> 36 & 63));
	if (c.head.type == SLUICE_CMD_PLACE || c.head.type == SLUICE_CMD_REPLACE)
		c.price = (int64_t)(sluice_random_next(random) >> 1 >> (bits >> 42 & 63));
	if (c.head.type != SLUICE_CMD_PLACE)
		return c;
	c.side = (uint8_t)(bits >> 48 & 3) % 3;
	c.order_type = (uint8_t)((bits >> 50 & 7) % SLUICE_ORDER_TYPES);
	c.tif = (uint8_t)((bits >> 53 & 7) % SLUICE_TIFS);
	c.stp = (uint8_t)((bits >> 56 & 7) % SLUICE_STPS);
	c.order_flags = bits >> 59 & 1;
	c.u.order.stop_price = (int64_t)(sluice_random_next(random) >> 60);
	c.u.order.display_qty = (int64_t)(sluice_random_next(random) >> 61);
	c.u.order.min_qty = (int64_t)(sluice_random_next(random) >> 62);
	c.u.order.expire_ns = sluice_random_next(random) >> 1;
	return c;
}

static void round_trip(uint8_t price_decimals, uint8_t qty_decimals, uint64_t seed)
{
	enum { COUNT = 3000 };
	const struct sluice_command_names names = {
		.symbol = "X", .price_decimals = price_decimals, .qty_decimals = qty_decimals};
	struct sluice_command *commands = calloc(COUNT, sizeof(*commands));
	char *text = malloc((COUNT + 2) * (size_t)SLUICE_COMMAND_TEXT_MAX), *at = text;
	static struct sluice_random random;
	struct sluice_command add = {.head = {.type = SLUICE_CMD_ADD_SYMBOL, .length = sizeof(add)},
				     .u.define = {.name = "X"}};
	struct reading r;

	add.u.define.price_decimals = price_decimals;
	add.u.define.qty_decimals = qty_decimals;
	sluice_random_init(&random, seed);
	at += sluice_command_text_header(at, SLUICE_COMMAND_TEXT_MAX);
	at += sluice_command_text_write(&add, &names, at, SLUICE_COMMAND_TEXT_MAX);
	for (uint32_t i = 0; i < COUNT; i++) {
		commands[i] = random_command(&random);
		at += sluice_command_text_write(&commands[i], &names, at, SLUICE_COMMAND_TEXT_MAX);
	}
	*at = '\0';
	reading_open(&r, SLUICE_FORMAT_CSV, text);
	assert_int_equal(reading_next(&r), 1);
	assert_commands_equal(&r.item.command, &add);
	for (uint32_t i = 0; i < COUNT; i++) {
		if (reading_next(&r) != 1)
			fail_msg("%s", r.diag.text);
		assert_string_equal(r.item.symbol, "X");
		assert_commands_equal(&r.item.command, &commands[i]);
	}
	assert_int_equal(reading_next(&r), 0);
	reading_close(&r);
	free(text);
	free(commands);
}

static void test_command_text__csv_round_trip(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	round_trip(0, 0, seed);
	round_trip(2, 0, seed + 1);
	round_trip(4, 8, seed + 2);
	round_trip(18, 18, seed + 3);
}

static void test_command_text__writes_the_other_commands(void **state)
{
	static const char text[] = "add_asset,,,,,,,,,,,,,,,,,USD,,,,,,2,,\n"
				   "add_asset,,,,,,,,,,,,,,,,,BTC,,,,,,8,,\n"
				   "add_symbol,BTC-USD,,,,,,,,,,,,,,,,,,,,,2,8,BTC,USD\n"
				   "deposit,,7,,,,,,,,,,,,,,,USD,100.25,,,,,,,\n"
				   "query_balance,,7,,,,,,,,,,,,,,,USD,,,,,,,,\n"
				   "mass_cancel,,7,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "mass_cancel,BTC-USD,7,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "query_order,BTC-USD,7,9,,,,,,,,,,,,,,,,,,,,,,\n"
				   "auction,BTC-USD,,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "uncross,BTC-USD,,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "halt,BTC-USD,,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "resume,BTC-USD,,,,,,,,,,,,,,,,,,,,,,,,\n"
				   "tick,,,,,,,,,,,,,,,,,,,,,77,,,,\n";
	char whole[8192], again[4096], *at = again;
	struct sluice_command_names names;
	struct reading r;
	int ret;

	(void)state;
	at += sluice_command_text_header(at, sizeof(again));
	*at = '\0';
	snprintf(whole, sizeof(whole), "%s%s", again, text);
	reading_open(&r, SLUICE_FORMAT_CSV, whole);
	while ((ret = reading_next(&r)) == 1) {
		sluice_source_names(r.source, &r.item, &names);
		at += sluice_command_text_write(&r.item.command, &names, at,
						SLUICE_COMMAND_TEXT_MAX);
	}
	*at = '\0';
	assert_string_equal(r.diag.text, "");
	assert_int_equal(ret, 0);
	assert_string_equal(again, whole);
	reading_close(&r);
}

static void test_command_text__any_bytes_can_be_written(void **state)
{
	struct sluice_command c;
	struct sluice_command_names names = {0};
	char buffer[SLUICE_COMMAND_TEXT_MAX];

	(void)state;
	memset(&c, 0xff, sizeof(c));
	for (uint32_t type = 0; type < 70000; type++) {
		c.head.type = (uint16_t)type;
		assert_true(sluice_command_text_write(&c, &names, buffer, sizeof(buffer)) > 0);
		if (type == SLUICE_CMD_TYPES + 2)
			type = 65530;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_text__fills_every_field_of_place),
		cmocka_unit_test(test_command_text__defaults),
		cmocka_unit_test(test_command_text__words_none_are_values),
		cmocka_unit_test(test_command_text__replace_and_reduce),
		cmocka_unit_test(test_command_text__funds_name_their_asset),
		cmocka_unit_test(test_command_text__decimals_convert_exactly),
		cmocka_unit_test(test_command_text__refuses_bad_numbers),
		cmocka_unit_test(test_command_text__refuses_bad_words),
		cmocka_unit_test(test_command_text__refuses_bad_integers),
		cmocka_unit_test(test_command_text__refuses_bad_names),
		cmocka_unit_test(test_command_text__a_long_text_is_cut_in_messages),
		cmocka_unit_test(test_command_text__columns_of_other_commands),
		cmocka_unit_test(test_command_text__hint_tells_what_to_add),
		cmocka_unit_test(test_command_text__csv_round_trip),
		cmocka_unit_test(test_command_text__writes_the_other_commands),
		cmocka_unit_test(test_command_text__any_bytes_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
