/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "producer/lobster.h"
#include "tests/unit/producer/fixture.h"

#define LOBSTER SLUICE_FORMAT_LOBSTER

static void next_is(struct reading *r, enum sluice_command_type type, uint64_t order_id)
{
	if (reading_next(r) != 1)
		fail_msg("%s", r->diag.text);
	assert_int_equal(r->item.command.head.type, type);
	assert_int_equal(r->item.command.head.length, sizeof(r->item.command));
	assert_true(r->item.command.order_id == order_id);
}

static void test_lobster__every_type(void **state)
{
	struct sluice_source_stats stats;
	const struct sluice_command *c;
	struct reading r;

	(void)state;
	reading_open(&r, LOBSTER,
		     "34200.017459617,1,16113575,18,5853300,1\n"
		     "34200.2,2,16113575,5,5853300,1\n"
		     "34200.3,4,16113575,3,5853300,1\n"
		     "34200.4,4,77,9,5853400,-1\n"
		     "34200.5,5,0,100,5853350,-1\n"
		     "34200.6,6,0,100,5853350,0\n"
		     "34201,7,0,0,-1,-1\n"
		     "34202,7,0,0,0,-1\n"
		     "34203,7,0,0,1,-1\n"
		     "34204.5,3,16113575,10,5853300,1\n");
	c = &r.item.command;
	next_is(&r, SLUICE_CMD_ADD_SYMBOL, 0);
	assert_string_equal(c->u.define.name, "LOBSTER");
	assert_int_equal(c->u.define.price_decimals, 2);
	next_is(&r, SLUICE_CMD_PLACE, 16113575);
	assert_string_equal(r.item.symbol, "LOBSTER");
	assert_true(c->time_ns == 34200017459617);
	assert_int_equal(c->side, SLUICE_SIDE_BUY);
	assert_int_equal(c->tif, SLUICE_TIF_GTC);
	assert_int_equal(c->order_type, SLUICE_ORDER_LIMIT);
	assert_int_equal(c->price, 58533);
	assert_int_equal(c->qty, 18);
	next_is(&r, SLUICE_CMD_REDUCE, 16113575);
	assert_int_equal(c->qty, 5);
	assert_int_equal(c->price, 0);
	next_is(&r, SLUICE_CMD_PLACE, SLUICE_LOBSTER_OWN_IDS);
	assert_int_equal(c->tif, SLUICE_TIF_IOC);
	assert_int_equal(c->side, SLUICE_SIDE_SELL);
	assert_int_equal(c->price, 58533);
	assert_int_equal(c->qty, 3);
	next_is(&r, SLUICE_CMD_PLACE, SLUICE_LOBSTER_OWN_IDS + 1);
	assert_int_equal(c->side, SLUICE_SIDE_BUY);
	next_is(&r, SLUICE_CMD_HALT, 0);
	assert_int_equal(r.item.line, 7);
	next_is(&r, SLUICE_CMD_RESUME, 0);
	assert_int_equal(r.item.line, 8);
	next_is(&r, SLUICE_CMD_CANCEL, 16113575);
	assert_true(c->time_ns == 34204500000000);
	assert_int_equal(reading_next(&r), 0);
	sluice_source_stats(r.source, &stats);
	assert_int_equal(stats.lines, 10);
	assert_int_equal(stats.commands, 8);
	assert_int_equal(stats.hidden, 1);
	assert_int_equal(stats.crosses, 1);
	assert_int_equal(stats.halts_skipped, 1);
	reading_close(&r);
}

static void test_lobster__bad_lines(void **state)
{
	static const char *const cases[][2] = {
		{"1,1,2,3,100", "line 1: 5 fields; a LOBSTER message has 6: time, type, order id, "
				"size, price, direction"},
		{"1,1,2,3,100,1,", "line 1: 7 fields; a LOBSTER message has 6: time, type, order "
				   "id, size, price, direction"},
		{"x,1,2,3,100,1", "line 1, time: \"x\" is not a time in seconds with at most 9 "
				  "decimals"},
		{"1.0000000001,1,2,3,100,1", "line 1, time: \"1.0000000001\" is not a time in "
					     "seconds with at most 9 decimals"},
		{"1,0,2,3,100,1", "line 1, type: \"0\" is not a type from 1 to 7"},
		{"1,8,2,3,100,1", "line 1, type: \"8\" is not a type from 1 to 7"},
		{"1,1,-2,3,100,1", "line 1, order id: \"-2\" is not an order id below 2^40"},
		{"1,1,1099511627776,3,100,1",
		 "line 1, order id: \"1099511627776\" is not an order id below 2^40"},
		{"1,1,2,3.5,100,1", "line 1, size: \"3.5\" is not an integer"},
		{"1,1,2,3,1e2,1", "line 1, price: \"1e2\" is not an integer"},
		{"1,1,2,3,-100,1", "line 1, price: \"-100\" is negative"},
		{"1,1,2,3,150,1", "line 1, price: \"150\" is not a whole tick"},
		{"1,1,2,3,100,0", "line 1, direction: \"0\" is neither 1 nor -1"},
		{"1,1,2,3,100,", "line 1, direction: \"\" is neither 1 nor -1"},
		{"1,7,0,0,2,1", "line 1, price: \"2\" is not -1, 0 or 1 as a halt has it"},
		{"1,7,0,0,-0,1", "line 1, price: \"-0\" is not -1, 0 or 1 as a halt has it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_error(LOBSTER, cases[i][0], cases[i][1]);
}

static void test_lobster__symbol_of_the_name(void **state)
{
	char name[SLUICE_NAME_BYTES];

	(void)state;
	sluice_lobster_symbol("/data/x_y/AAPL_2012-06-21_34200000_57600000_message_10.csv", name);
	assert_string_equal(name, "AAPL");
	sluice_lobster_symbol("MSFT_message.csv", name);
	assert_string_equal(name, "MSFT");
	sluice_lobster_symbol("-", name);
	assert_string_equal(name, "LOBSTER");
	sluice_lobster_symbol("_x", name);
	assert_string_equal(name, "LOBSTER");
	sluice_lobster_symbol("A B_x", name);
	assert_string_equal(name, "LOBSTER");
}

static void test_lobster__ticks(void **state)
{
	struct sluice_lobster lobster;
	struct sluice_command c;
	struct sluice_diag diag;

	(void)state;
	assert_int_equal(sluice_lobster_init(&lobster, 7, &diag), -EINVAL);
	assert_string_equal(diag.text,
			    "LOBSTER tick 7: it is 100, 10 or 1 ten-thousandths of a dollar");
	assert_int_equal(sluice_lobster_init(&lobster, 1, &diag), 0);
	sluice_lobster_define(&lobster, "X", &c);
	assert_int_equal(c.u.define.price_decimals, 4);
	assert_int_equal(sluice_lobster_command(&lobster, "1,1,2,3,151,1", 13, 1, &c, &diag), 1);
	assert_int_equal(c.price, 151);
	assert_int_equal(sluice_lobster_init(&lobster, 10, &diag), 0);
	assert_int_equal(sluice_lobster_command(&lobster, "1,1,2,3,151,1", 13, 1, &c, &diag),
			 -EBADMSG);
	assert_string_equal(diag.hint, "use a tick of 1 instead of 10");
	assert_int_equal(sluice_lobster_init(&lobster, 0, &diag), 0);
	assert_int_equal(sluice_lobster_command(&lobster, "1,1,2,3,150,1", 13, 1, &c, &diag),
			 -EBADMSG);
	assert_string_equal(diag.hint, "use a tick of 10 instead of 100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lobster__every_type),
		cmocka_unit_test(test_lobster__bad_lines),
		cmocka_unit_test(test_lobster__symbol_of_the_name),
		cmocka_unit_test(test_lobster__ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
