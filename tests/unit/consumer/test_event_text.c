/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/event_text.h"
#include "engine/core/core.h"
#include "producer/jsonl.h"
#include "producer/random.h"
#include "producer/source.h"

#ifdef SLUICE_WITH_JANSSON
#include <jansson.h>
#endif

#define SAMPLES "docs/samples/"
#define SLOTS 256u

static struct sluice_names names;
static char buffer[SLUICE_EVENT_TEXT_MAX];

static int setup(void **state)
{
	(void)state;
	return sluice_names_init(&names, NULL) ||
	       sluice_names_add(&names, SLUICE_DIRECTORY_SYMBOL, 0, "AAPL", 2, 0) ||
	       sluice_names_add(&names, SLUICE_DIRECTORY_SYMBOL, 1, "BTC-USD", 1, 4) ||
	       sluice_names_add(&names, SLUICE_DIRECTORY_SYMBOL, 2, "PLAIN", 0, 0) ||
	       sluice_names_add(&names, SLUICE_DIRECTORY_ASSET, 1, "USD", 0, 2);
}

static int teardown(void **state)
{
	(void)state;
	sluice_names_release(&names);
	return 0;
}

static struct sluice_report report_of(enum sluice_report_type type)
{
	return (struct sluice_report){
		.head = {.type = (uint16_t)type, .length = sizeof(struct sluice_report)},
		.n = 12,
		.cmd_seq = 5,
		.order_id = 18446744073709551615u,
		.maker_order_id = 9007199254740993,
		.price = 18950,
		.qty = 100,
		.leaves_qty = 40,
		.maker_leaves_qty = 7,
		.account = 3,
		.maker_account = 4,
		.side = SLUICE_SIDE_BUY,
		.order_type = SLUICE_ORDER_LIMIT,
		.tif = SLUICE_TIF_GTC,
		.command = SLUICE_CMD_PLACE,
		.send_ns = 77,
	};
}

static void report_is(const struct sluice_report *report, const char *json)
{
	size_t bytes = sluice_report_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, report,
					  &names);

	assert_int_equal(bytes, strlen(buffer));
	assert_int_equal(buffer[bytes - 1], '\n');
	buffer[bytes - 1] = '\0';
	assert_string_equal(buffer, json);
}

static void test_event_text__reports_about_orders(void **state)
{
	struct sluice_report r = report_of(SLUICE_REP_ACCEPTED);

	(void)state;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"accepted\",\"symbol\":\"AAPL\","
		      "\"account\":3,\"order_id\":18446744073709551615,\"side\":\"buy\","
		      "\"price\":189.50,\"qty\":100,\"leaves_qty\":40}");
	r.order_type = SLUICE_ORDER_MARKET;
	r.symbol = 1;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"accepted\",\"symbol\":\"BTC-USD\","
		      "\"account\":3,\"order_id\":18446744073709551615,\"side\":\"buy\","
		      "\"qty\":0.0100,\"leaves_qty\":0.0040}");
	r = report_of(SLUICE_REP_REDUCED);
	r.symbol = 2;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"reduced\",\"symbol\":\"PLAIN\","
		      "\"account\":3,\"order_id\":18446744073709551615,\"side\":\"buy\","
		      "\"price\":18950,\"qty\":100,\"leaves_qty\":40}");
	r = report_of(SLUICE_REP_CANCELLED);
	r.reason = SLUICE_REASON_IOC;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"cancelled\",\"symbol\":\"AAPL\","
		      "\"account\":3,\"order_id\":18446744073709551615,\"side\":\"buy\","
		      "\"reason\":\"ioc\",\"qty\":100}");
}

static void test_event_text__trades(void **state)
{
	struct sluice_report r = report_of(SLUICE_REP_TRADE);

	(void)state;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"trade\",\"symbol\":\"AAPL\","
		      "\"side\":\"buy\",\"maker_order_id\":9007199254740993,"
		      "\"taker_order_id\":18446744073709551615,\"maker_account\":4,"
		      "\"taker_account\":3,\"price\":189.50,\"qty\":100,\"maker_leaves_qty\":7,"
		      "\"taker_leaves_qty\":40,\"fees\":{\"maker\":0,\"taker\":0}}");
	r.head.flags = SLUICE_REPORT_AUCTION | SLUICE_REPORT_ASYNC;
	r.maker_fee = -3;
	r.taker_fee = 9;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"trade\",\"symbol\":\"AAPL\","
		      "\"side\":\"buy\",\"maker_order_id\":9007199254740993,"
		      "\"taker_order_id\":18446744073709551615,\"maker_account\":4,"
		      "\"taker_account\":3,\"price\":189.50,\"qty\":100,\"maker_leaves_qty\":7,"
		      "\"taker_leaves_qty\":40,\"fees\":{\"maker\":-3,\"taker\":9},"
		      "\"auction\":true,\"durability\":\"async\"}");
}

static void test_event_text__says_less_than_durable(void **state)
{
	struct sluice_report r = report_of(SLUICE_REP_VOID);

	(void)state;
	r.head.flags = SLUICE_REPORT_NO_LOG;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"void\",\"durability\":\"off\"}");
	r.head.flags = SLUICE_REPORT_DURABLE;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"void\"}");
}

static void test_event_text__other_commands(void **state)
{
	struct sluice_report r = report_of(SLUICE_REP_ACCEPTED);

	(void)state;
	r.command = SLUICE_CMD_ADD_SYMBOL;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"accepted\",\"cmd\":\"add_symbol\","
		      "\"symbol\":\"AAPL\"}");
	r.command = SLUICE_CMD_TICK;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"accepted\",\"cmd\":\"tick\"}");
	r.command = SLUICE_CMD_MASS_CANCEL;
	r.symbol = UINT32_MAX;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"accepted\",\"cmd\":\"mass_cancel\","
		      "\"account\":3}");
	r = report_of(SLUICE_REP_REJECTED);
	r.command = SLUICE_CMD_CANCEL;
	r.reason = SLUICE_REASON_UNKNOWN_ORDER;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"rejected\",\"cmd\":\"cancel\","
		      "\"reason\":\"unknown_order\",\"symbol\":\"AAPL\",\"account\":3,"
		      "\"order_id\":18446744073709551615}");
	r.command = SLUICE_CMD_PLACE;
	r.reason = SLUICE_REASON_UNKNOWN_SYMBOL;
	r.symbol = 99;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"rejected\",\"cmd\":\"place\","
		      "\"reason\":\"unknown_symbol\",\"account\":3,"
		      "\"order_id\":18446744073709551615,\"side\":\"buy\",\"price\":18950,"
		      "\"qty\":100}");
	r = report_of(SLUICE_REP_BALANCE);
	r.symbol = 1;
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"balance\",\"account\":3,"
		      "\"asset\":\"USD\",\"free\":189.50,\"held\":1.00}");
	r = report_of(SLUICE_REP_VOID);
	report_is(&r, "{\"n\":12,\"cmd_seq\":5,\"type\":\"void\"}");
}

static void test_event_text__lines_for_people(void **state)
{
	struct sluice_report r = report_of(SLUICE_REP_TRADE);

	(void)state;
	sluice_report_text(buffer, sizeof(buffer), SLUICE_EVENT_LINE, &r, &names);
	assert_string_equal(buffer, "n=12 cmd_seq=5 type=trade symbol=AAPL side=buy "
				    "maker_order_id=9007199254740993 "
				    "taker_order_id=18446744073709551615 maker_account=4 "
				    "taker_account=3 price=189.50 qty=100 maker_leaves_qty=7 "
				    "taker_leaves_qty=40\n");
	r.taker_fee = 2;
	sluice_report_text(buffer, sizeof(buffer), SLUICE_EVENT_LINE, &r, &names);
	assert_non_null(strstr(buffer, " maker_fee=0 taker_fee=2\n"));
}

static void md_is(const struct sluice_md_event *event, const char *json)
{
	size_t bytes = sluice_md_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, event, &names);

	assert_int_equal(bytes, strlen(buffer));
	assert_string_equal(buffer, json);
}

static void test_event_text__market_data(void **state)
{
	struct sluice_md_event e = {.head = {.type = SLUICE_MD_DEPTH},
				    .n = 1,
				    .cmd_seq = 2,
				    .side = SLUICE_SIDE_SELL,
				    .u.depth = {.price = 18950, .qty = 30, .count = 2}};

	(void)state;
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"depth\",\"symbol\":\"AAPL\","
		  "\"side\":\"sell\",\"price\":189.50,\"qty\":30,\"orders\":2}\n");
	e.head.type = SLUICE_MD_TRADE;
	e.side = SLUICE_SIDE_NONE;
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"trade\",\"symbol\":\"AAPL\","
		  "\"price\":189.50,\"qty\":30}\n");
	e.head.type = SLUICE_MD_TOP;
	e.u.top = (struct sluice_md_top){.bid_price = 18949, .bid_qty = 5};
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"top\",\"symbol\":\"AAPL\","
		  "\"bid_price\":189.49,\"bid_qty\":5}\n");
	e.u.top = (struct sluice_md_top){.ask_price = 18951, .ask_qty = 6};
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"top\",\"symbol\":\"AAPL\","
		  "\"ask_price\":189.51,\"ask_qty\":6}\n");
	e.head.type = SLUICE_MD_STATE;
	e.u.depth = (struct sluice_md_depth){.qty = SLUICE_PHASE_HALTED};
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"state\",\"symbol\":\"AAPL\","
		  "\"state\":\"halted\"}\n");
	e.u.depth.qty = 1ll << 32;
	e.symbol = 7;
	md_is(&e, "{\"n\":1,\"cmd_seq\":2,\"type\":\"state\",\"symbol\":\"#7\","
		  "\"state\":\"unknown\"}\n");
}

/* --------------------------------------------------------------------------------- commands */

static void back_and_forth(const struct sluice_command *command, struct sluice_symbols *symbols)
{
	struct sluice_command again;
	struct sluice_row row;
	struct sluice_diag diag;
	char name[SLUICE_NAME_BYTES];
	size_t bytes = sluice_command_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, command,
					   &names);

	if (sluice_jsonl_row(buffer, bytes - 1, 1, &row, &diag) ||
	    sluice_command_text_parse(&row, symbols, &again, name, &diag))
		fail_msg("%s", diag.text);
	assert_memory_equal(&again, command, sizeof(again));
}

static void test_event_text__commands_can_be_read_back(void **state)
{
	struct sluice_source_options options = {.path = SAMPLES "commands.csv"};
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_symbols symbols;
	struct sluice_diag diag;

	(void)state;
	assert_int_equal(sluice_symbols_init(&symbols, NULL), 0);
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	while (sluice_source_next(source, &item, &diag) == 1) {
		back_and_forth(&item.command, &symbols);
		sluice_symbols_define(&symbols, &item.command);
	}
	item.command = (struct sluice_command){
		.head = {.type = SLUICE_CMD_PLACE, .length = sizeof(item.command)},
		.symbol = 1,
		.account = 2,
		.order_id = UINT64_MAX,
		.side = SLUICE_SIDE_SELL,
		.order_type = SLUICE_ORDER_STOP_LIMIT,
		.tif = SLUICE_TIF_GTD,
		.stp = SLUICE_STP_DECREMENT,
		.order_flags = SLUICE_ORDER_POST_ONLY,
		.price = INT64_MAX,
		.qty = INT64_MAX,
		.session = 5,
		.client_seq = 6,
		.time_ns = 7,
		.u.order = {.stop_price = 1, .display_qty = 2, .min_qty = 3, .expire_ns = 4}};
	back_and_forth(&item.command, &symbols);
	sluice_source_close(source);
	sluice_symbols_release(&symbols);
}

static void test_event_text__funds_and_lines(void **state)
{
	struct sluice_command c = {
		.head = {.type = SLUICE_CMD_DEPOSIT}, .account = 4, .asset = 1, .qty = 1250};

	(void)state;
	sluice_command_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, &c, &names);
	assert_string_equal(buffer, "{\"cmd\":\"deposit\",\"account\":4,\"asset\":\"USD\","
				    "\"amount\":12.50}\n");
	sluice_command_text(buffer, sizeof(buffer), SLUICE_EVENT_LINE, &c, &names);
	assert_string_equal(buffer, "cmd=deposit account=4 asset=USD amount=12.50\n");
	c = (struct sluice_command){.head = {.type = SLUICE_CMD_ADD_SYMBOL},
				    .u.define = {.name = "X\"Y", .base_asset = 1}};
	sluice_command_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, &c, &names);
	assert_string_equal(buffer, "{\"cmd\":\"add_symbol\",\"symbol\":\"unknown\","
				    "\"base_asset\":\"USD\"}\n");
}

/* ------------------------------------------------------------------------- untrusted events */

static void check_text(size_t bytes)
{
	assert_true(bytes > 0 && bytes < sizeof(buffer));
	assert_int_equal(buffer[bytes], '\0');
	for (size_t i = 0; i + 1 < bytes; i++)
		assert_in_range(buffer[i], 0x20, 0x7e);
#ifdef SLUICE_WITH_JANSSON
	json_t *object = json_loads(buffer, JSON_REJECT_DUPLICATES, NULL);
	json_error_t error;

	if (!object) /* integers above 2^63 are too large for that reader, and only those */
		assert_null(json_loads(buffer, JSON_REJECT_DUPLICATES, &error));
	if (!object)
		assert_int_equal(json_error_code(&error), json_error_numeric_overflow);
	json_decref(object);
#endif
}

static void test_event_text__any_bytes_print_bounded(void **state)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 20260102;
	static struct sluice_random random;
	union {
		uint64_t words[16];
		struct sluice_report report;
		struct sluice_command command;
		struct sluice_md_event md;
	} any;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	sluice_random_init(&random, seed);
	for (uint32_t i = 0; i < 60000; i++) {
		uint64_t keep = i % 3 ? UINT64_MAX : 0xff00ff00ff00ff;

		for (uint32_t k = 0; k < 16; k++)
			any.words[k] = sluice_random_next(&random) & keep;
		any.report.head.type = (uint16_t)(i % 24);
		check_text(sluice_report_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON,
					      &any.report, &names));
		check_text(sluice_command_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON,
					       &any.command, &names));
		check_text(
			sluice_md_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, &any.md, &names));
	}
}

/* ----------------------------------------------------------------------------------- sample */

static void no_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next;
}

/* docs/samples/reports.jsonl is what the engine answers to commands.csv, byte for byte. */
static void test_event_text__sample_of_reports(void **state)
{
	static struct sluice_report reports[SLOTS];
	const struct sluice_core_options core_options = {.orders_max = 1024};
	struct sluice_source_options options = {.path = SAMPLES "commands.csv"};
	void *memory = aligned_alloc(64, (sluice_core_bytes(&core_options) + 63) / 64 * 64);
	struct sluice_core *core = sluice_core_init(memory, &core_options);
	struct sluice_sink sink = {.reports = reports,
				   .report_mask = SLOTS - 1,
				   .report_next = 1,
				   .report_limit = SLOTS,
				   .md_next = 1,
				   .make_room = no_room};
	FILE *expected = fopen(SAMPLES "reports.jsonl", "r");
	const char *print = getenv("SLUICE_PRINT_SAMPLE");
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	uint64_t seq = 0;
	char line[SLUICE_EVENT_TEXT_MAX];

	(void)state;
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	while (sluice_source_next(source, &item, &diag) == 1)
		sluice_core_apply(core, &item.command, seq++, &sink);
	assert_int_equal(seq, 21);
	assert_non_null(expected);
	for (uint64_t n = 1; n < sink.report_next; n++) {
		sluice_report_text(buffer, sizeof(buffer), SLUICE_EVENT_JSON, &reports[n - 1],
				   &names);
		if (print) {
			fputs(buffer, stderr);
			continue;
		}
		assert_non_null(fgets(line, sizeof(line), expected));
		assert_string_equal(buffer, line);
	}
	assert_null(fgets(line, sizeof(line), expected));
	fclose(expected);
	sluice_source_close(source);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_text__reports_about_orders),
		cmocka_unit_test(test_event_text__trades),
		cmocka_unit_test(test_event_text__says_less_than_durable),
		cmocka_unit_test(test_event_text__other_commands),
		cmocka_unit_test(test_event_text__lines_for_people),
		cmocka_unit_test(test_event_text__market_data),
		cmocka_unit_test(test_event_text__commands_can_be_read_back),
		cmocka_unit_test(test_event_text__funds_and_lines),
		cmocka_unit_test(test_event_text__any_bytes_print_bounded),
		cmocka_unit_test(test_event_text__sample_of_reports),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
