/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/core/core.h"
#include "producer/generator.h"
#include "shm/crc32c.h"
#include "tests/unit/producer/fixture.h"

#define COUNT 100000u
#define SLOTS 1024u

/* The commands of a release are the commands of every build; a new value is a new workload. */
#define CRC_OF_DEFAULTS 0x6552ee33u
#define CRC_OF_OTHERS 0x19dc3405u

static struct sluice_generator *open_with(const char *set)
{
	struct sluice_generator_params params;
	struct sluice_generator *generator = NULL;
	struct sluice_diag diag;

	sluice_generator_defaults(&params);
	if (sluice_generator_set(&params, set, &diag) ||
	    sluice_generator_open(&generator, &params, &diag))
		fail_msg("%s", diag.text);
	return generator;
}

static uint32_t crc_of(const char *set)
{
	struct sluice_generator *generator = open_with(set);
	struct sluice_command command;
	uint32_t crc = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		assert_true(sluice_generator_next(generator, &command));
		crc = sluice_crc32c(crc, &command, sizeof(command));
	}
	sluice_generator_close(generator);
	return crc;
}

static void test_generator__same_commands_everywhere(void **state)
{
	(void)state;
	assert_int_equal(crc_of(""), CRC_OF_DEFAULTS);
	assert_int_equal(crc_of("seed=42,symbols=17,accounts=9,hawkes=0,depth=2000,zipf=50,"
				"price_decimals=2,session=3,distance_alpha=77,size_alpha=333"),
			 CRC_OF_OTHERS);
	assert_int_not_equal(crc_of("seed=2"), CRC_OF_DEFAULTS);
}

/* What the engine makes of a generator's commands. */
struct outcome {
	uint64_t places, ioc, market, cancels, replaces, reduces, symbol[64];
	uint64_t first_ns, last_ns;
	struct sluice_core_stats stats;
	uint32_t live_max;
};

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + SLOTS;
}

static void tally(struct outcome *o, const struct sluice_command *c)
{
	o->places += c->head.type == SLUICE_CMD_PLACE;
	o->ioc += c->head.type == SLUICE_CMD_PLACE && c->tif == SLUICE_TIF_IOC;
	o->market += c->order_type == SLUICE_ORDER_MARKET;
	o->cancels += c->head.type == SLUICE_CMD_CANCEL;
	o->replaces += c->head.type == SLUICE_CMD_REPLACE;
	o->reduces += c->head.type == SLUICE_CMD_REDUCE;
	o->symbol[c->symbol % 64]++;
	assert_true(c->time_ns >= o->last_ns);
	o->last_ns = c->time_ns;
}

static struct outcome run(const char *set, uint32_t count)
{
	static struct sluice_report reports[SLOTS];
	const struct sluice_core_options options = {.orders_max = 1u << 16};
	struct sluice_generator *generator = open_with(set);
	void *memory = aligned_alloc(64, (sluice_core_bytes(&options) + 63) / 64 * 64);
	struct sluice_core *core = sluice_core_init(memory, &options);
	struct sluice_sink sink = {.reports = reports,
				   .report_mask = SLOTS - 1,
				   .report_next = 1,
				   .report_limit = 1 + SLOTS,
				   .md_next = 1,
				   .make_room = make_room};
	struct sluice_command command;
	struct outcome o = {0};

	assert_non_null(core);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(sluice_generator_next(generator, &command));
		if (i == 0)
			o.first_ns = command.time_ns;
		tally(&o, &command);
		sluice_core_apply(core, &command, i, &sink);
		if (i % 1000 == 0) {
			sluice_core_stats(core, &o.stats);
			if (o.stats.orders_live > o.live_max)
				o.live_max = o.stats.orders_live;
		}
	}
	sluice_core_stats(core, &o.stats);
	assert_null(sluice_core_check(core));
	sluice_generator_close(generator);
	free(memory);
	return o;
}

static void test_generator__mix_of_the_defaults(void **state)
{
	struct outcome o = run("", 300000);
	uint64_t resting = o.places - o.ioc;

	(void)state;
	assert_int_equal(o.stats.rejected, 0); /* alone, it knows what is live */
	assert_in_range(o.cancels * 1000 / resting, 850, 930);
	assert_in_range(o.ioc, 12900, 14100); /* 4.5 % */
	assert_in_range(o.market * 100 / o.ioc, 18, 22);
	assert_in_range(o.replaces, 5700, 6300);       /* 2 % */
	assert_in_range(o.reduces, 250, 750);	       /* 0.5 %, but small orders are cancelled */
	assert_in_range(o.stats.trades, 15000, 24000); /* 5 to 8 % of the commands */
	assert_in_range(o.live_max, 1200, 2600);       /* 4 symbols, depth 500 */
	/* Zipf: 12/25, 6/25, 4/25, 3/25 */
	assert_in_range(o.symbol[0], 142000, 146000);
	assert_in_range(o.symbol[1], 70500, 73500);
	assert_in_range(o.symbol[2], 47000, 49500);
	assert_in_range(o.symbol[3], 35000, 37000);
	/* 100,000 commands per second of simulated time */
	assert_in_range((o.last_ns - o.first_ns) / 1000000, 2850, 3150);
}

static void test_generator__books_stay_bounded(void **state)
{
	(void)state;
	assert_in_range(run("symbols=1,depth=50,cancels=0,aggressors=0", 100000).live_max, 45, 100);
	assert_in_range(run("symbols=1,depth=4", 50000).live_max, 2, 8);
	assert_in_range(run("symbols=1,depth=300,cancels=100", 100000).live_max, 200, 600);
	assert_int_equal(
		run("symbols=2,aggressors=500,replaces=200,reduces=200", 100000).stats.rejected, 0);
}

static void test_generator__hawkes_clusters(void **state)
{
	static const char *const sets[] = {"hawkes=0,rate=1000000", "hawkes=60,rate=1000000"};
	uint64_t variance[2];

	(void)state;
	for (uint32_t k = 0; k < 2; k++) {
		struct sluice_generator *generator = open_with(sets[k]);
		uint64_t start_ns = 34200000000000, bins[1000] = {0}, squares = 0;
		struct sluice_command c;

		/* arrivals per 100 us, 100 expected */
		while (sluice_generator_next(generator, &c) &&
		       c.time_ns - start_ns < 1000 * 100000ull)
			bins[(c.time_ns - start_ns) / 100000]++;
		for (uint32_t i = 0; i < 1000; i++)
			squares += (bins[i] - 100) * (bins[i] - 100);
		variance[k] = squares / 1000;
		sluice_generator_close(generator);
	}
	assert_in_range(variance[0], 85, 115); /* Poisson: the mean */
	assert_in_range(variance[1], 200, 900);
}

static void test_generator__numbers_are_dense(void **state)
{
	struct sluice_generator *generator = open_with("session=5,count=1000,symbols=3,accounts=4");
	struct sluice_command c;
	uint64_t next_id = (4ull << 40) + 1, made = 0, accounts = 0;

	(void)state;
	while (sluice_generator_next(generator, &c)) {
		made++;
		assert_int_equal(c.session, 5);
		assert_int_equal(c.client_seq, made);
		assert_int_equal(c.head.type == SLUICE_CMD_ADD_SYMBOL, made <= 3);
		if (made > 3)
			assert_in_range(c.account, 1, 4);
		accounts |= 1u << c.account;
		if (c.head.type == SLUICE_CMD_PLACE)
			assert_true(c.order_id == next_id++);
	}
	assert_int_equal(made, 1000);
	assert_int_equal(accounts, 0x1f);
	assert_string_equal(sluice_generator_symbol(generator, 2), "SYM3");
	sluice_generator_close(generator);
	generator = open_with("session=0,count=10");
	while (sluice_generator_next(generator, &c))
		assert_true(c.session == 0 && c.client_seq == 0);
	sluice_generator_close(generator);
}

static void expect_refused(const char *set, const char *text)
{
	struct sluice_generator_params params, before;
	struct sluice_diag diag;

	sluice_generator_defaults(&params);
	before = params;
	assert_int_equal(sluice_generator_set(&params, set, &diag), -EINVAL);
	assert_string_equal(diag.text, text);
	assert_memory_equal(&params, &before, sizeof(params));
}

static void test_generator__parameters(void **state)
{
	struct sluice_generator_params params;
	struct sluice_generator *generator;
	struct sluice_diag diag;
	char text[SLUICE_GENERATOR_TEXT_MAX];

	(void)state;
	expect_refused("seed=5,symbols=0", "generator: symbols=\"0\": a number from 1 to 1024");
	expect_refused("symbols=1025", "generator: symbols=\"1025\": a number from 1 to 1024");
	expect_refused("symbols=x", "generator: symbols=\"x\": a number from 1 to 1024");
	expect_refused("symbols", "generator: symbols=\"\": a number from 1 to 1024");
	expect_refused("symbls=1", "generator: no parameter \"symbls\"; did you mean \"symbols\"?");
	expect_refused("=1", "generator: no parameter \"\"; known are seed, count, symbols, zipf, "
			     "accounts, session, rate, start_ns, hawkes, depth, price, "
			     "distance_alpha, lot, size_alpha, cancels, aggressors, market, "
			     "replaces, reduces, price_decimals, qty_decimals");
	sluice_generator_defaults(&params);
	assert_int_equal(sluice_generator_set(&params, "depth=9,seed=18446744073709551615,", &diag),
			 0);
	sluice_generator_describe(&params, text, sizeof(text));
	assert_string_equal(text,
			    "seed=18446744073709551615 count=0 symbols=4 zipf=100 accounts=0 "
			    "session=1 rate=100000 start_ns=34200000000000 hawkes=60 depth=9 "
			    "price=10000 distance_alpha=150 lot=100 size_alpha=200 cancels=90 "
			    "aggressors=45 market=20 replaces=20 reduces=5 price_decimals=0 "
			    "qty_decimals=0");
	sluice_generator_describe(&params, text, 10);
	assert_string_equal(text, "seed=1844");
	params.lot = 0;
	assert_int_equal(sluice_generator_open(&generator, &params, &diag), -EINVAL);
	assert_string_equal(diag.text, "generator: lot=\"0\": a number from 1 to 1000000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generator__same_commands_everywhere),
		cmocka_unit_test(test_generator__mix_of_the_defaults),
		cmocka_unit_test(test_generator__books_stay_bounded),
		cmocka_unit_test(test_generator__hawkes_clusters),
		cmocka_unit_test(test_generator__numbers_are_dense),
		cmocka_unit_test(test_generator__parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
