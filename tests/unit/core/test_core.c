/* SPDX-License-Identifier: MIT */
/*
 * test_core.c - the whole as a state machine: options, commands that are any bytes, batches, and
 * that equal commands give equal bytes.
 */
#include "tests/unit/core/fixture.h"

#define STREAM 20000u

static void test_core__options_out_of_range_are_refused(void **state)
{
	/* clang-format off */
	const struct sluice_core_options bad[] = {
		{ .risk = 1 },
		{ .window_ticks = 32 },
		{ .window_ticks = 100 },
		{ .window_ticks = 1u << 19 },
		{ .symbols_max = UINT32_MAX },
		{ .orders_max = UINT32_MAX },
		{ .levels_max = UINT32_MAX },
		{ .sessions_max = UINT32_MAX },
		{ .symbols_max = 1u << 16, .window_ticks = 1u << 18 },
	};
	/* clang-format on */
	struct sluice_core_options defaults = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(sluice_core_bytes(&bad[i]), 0);
		assert_null(sluice_core_init(NULL, &bad[i]));
	}
	assert_true(sluice_core_bytes(&defaults) > 100u << 20);
}

static void test_core__smallest_options_work(void **state)
{
	struct sluice_core_options options = {1, 1, 1, 1, 64, 0};
	struct fixture f;

	(void)state;
	fixture_init(&f, &options);
	expect(&f, define("X"), "accepted 0");
	expect(&f, place(1, BUY, 1, 1), "accepted 1");
	expect(&f, place(2, SELL, 1, 1), "accepted 2; trade 2x1 1@1 0/0");
	fixture_release(&f);
}

static void test_core__commands_without_a_book(void **state)
{
	struct sluice_command c = command_of(SLUICE_CMD_VOID, 9, 5);
	struct sluice_core_options options = fixture_options();
	struct fixture f;

	(void)state;
	fixture_init(&f, &options);
	c.side = 200;
	expect(&f, c, "void");
	assert_int_equal(fixture_report(&f, 0)->side, 0);
	assert_int_equal(fixture_report(&f, 0)->command, SLUICE_CMD_VOID);
	expect(&f, command_of(SLUICE_CMD_TICK, 0, 0), "accepted 0");
	expect(&f, command_of(SLUICE_CMD_DEPOSIT, 0, 1), "rejected 1 unsupported");
	expect(&f, command_of(SLUICE_CMD_WITHDRAW, 0, 1), "rejected 1 unsupported");
	expect(&f, command_of(SLUICE_CMD_QUERY_BALANCE, 0, 1), "rejected 1 unsupported");
	expect(&f, command_of(SLUICE_CMD_HALT, 0, 1), "rejected 1 unknown_symbol");
	expect(&f, command_of(SLUICE_CMD_MASS_CANCEL, UINT32_MAX, 1), "accepted 1");
	fixture_release(&f);
}

/* Bytes that are now and then almost a command. */
static struct sluice_command random_bytes(uint64_t *random)
{
	uint64_t words[sizeof(struct sluice_command) / sizeof(uint64_t)];
	struct sluice_command c;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		words[i] = random_next(random) >> random_below(random, 64);
	memcpy(&c, words, sizeof(c));
	if (random_below(random, 4))
		c.head.length = sizeof(c);
	if (random_below(random, 4))
		c.head.type = (uint16_t)random_below(random, SLUICE_CMD_TYPES + 1);
	if (random_below(random, 2)) {
		c.side = (uint8_t)random_below(random, 3);
		c.order_type = (uint8_t)random_below(random, 3);
		c.tif = (uint8_t)random_below(random, 6);
		c.stp = 0;
		c.order_flags = 0;
	}
	if (random_below(random, 2))
		c.symbol = random_below(random, 3);
	if (random_below(random, 2))
		memset(&c.u, 0, sizeof(c.u));
	if (random_below(random, 8) == 0)
		c.u.define.name[0] = 'A';
	/* Whole ones among them, so that books fill and phases end. */
	if (random_below(random, 3) == 0)
		c = place(c.order_id, (c.order_id & 1) ? BUY : SELL, 9,
			  1 + random_below(random, 100));
	if (random_below(random, 8) == 0)
		c.head.type = random_below(random, 2) ? SLUICE_CMD_RESUME : SLUICE_CMD_UNCROSS;
	return c;
}

static void test_core__any_bytes_are_answered(void **state)
{
	struct sluice_core_options options = fixture_options();
	uint64_t random = seed_of_run(1);
	struct sluice_core_stats stats;
	struct fixture f;
	uint32_t i;

	(void)state;
	options.orders_max = 64;
	options.levels_max = 32;
	options.window_ticks = 64;
	fixture_init(&f, &options);
	fixture_apply(&f, define("X"));
	for (i = 0; i < 300000; i++) {
		fixture_apply(&f, random_bytes(&random));
		assert_true(fixture_report(&f, 0)->head.type != SLUICE_REP_REJECTED ||
			    fixture_report(&f, 0)->reason < SLUICE_REASON_USER);
		assert_true(fixture_report(&f, 0)->command < SLUICE_CMD_TYPES);
		assert_true(fixture_report(&f, 0)->side <= SELL);
		if (i % 256 == 0 && sluice_core_check(f.core))
			fail_msg("after command %u: %s", i, sluice_core_check(f.core));
	}
	sluice_core_stats(f.core, &stats);
	assert_int_equal(stats.commands, 300001);
	assert_true(stats.trades > 0);
	assert_true(stats.symbols > 1);
	fixture_release(&f);
}

static struct sluice_command *stream_of(uint64_t seed)
{
	struct sluice_command *commands = calloc(STREAM, sizeof(*commands));
	uint32_t i;

	assert_non_null(commands);
	commands[0] = define("A");
	commands[1] = define("B");
	for (i = 2; i < STREAM; i++) {
		uint32_t kind = random_below(&seed, 10);
		int side = random_below(&seed, 2) ? BUY : SELL;
		int64_t qty = 1 + random_below(&seed, 50), price = 50 + random_below(&seed, 200);
		uint64_t id = i - 1 - random_below(&seed, i < 300 ? i - 1 : 300);

		commands[i] = kind < 6	? place(i, side, qty, price) :
			      kind < 8	? cancel(id) :
			      kind == 8 ? replace(id, qty, price) :
					  random_bytes(&seed);
		commands[i].symbol &= 1;
	}
	return commands;
}

static void run(struct fixture *f, const struct sluice_command *commands, uint32_t batch)
{
	struct sluice_core_options options = fixture_options();
	uint32_t i, n;

	options.window_ticks = 64;
	fixture_init(f, &options);
	for (i = 0; i < STREAM; i += n) {
		n = STREAM - i < batch ? STREAM - i : batch;
		sluice_core_apply_batch(f->core, &commands[i], n, i, &f->sink);
	}
}

static void test_core__batches_of_any_size_give_the_same_bytes(void **state)
{
	static const uint32_t sizes[] = {2, 7, 8, 9, 17, 256, STREAM};
	struct sluice_command *commands = stream_of(seed_of_run(9));
	struct fixture one, many;
	size_t i;

	(void)state;
	run(&one, commands, 1);
	assert_null(sluice_core_check(one.core));
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		run(&many, commands, sizes[i]);
		assert_int_equal(one.sink.report_next, many.sink.report_next);
		assert_int_equal(one.sink.md_next, many.sink.md_next);
		assert_memory_equal(one.sink.reports, many.sink.reports,
				    FIXTURE_RING * sizeof(struct sluice_report));
		assert_memory_equal(one.sink.md, many.sink.md,
				    FIXTURE_RING * sizeof(struct sluice_md_event));
		assert_int_equal(sluice_core_state_hash(one.core),
				 sluice_core_state_hash(many.core));
		fixture_release(&many);
	}
	sluice_core_apply_batch(one.core, commands, 0, 0, &one.sink);
	assert_int_equal(one.sink.report_next, many.sink.report_next);
	fixture_release(&one);
	free(commands);
}

static void test_core__other_commands_give_another_hash(void **state)
{
	struct sluice_command *commands = stream_of(9);
	struct fixture a, b;

	(void)state;
	run(&a, commands, 64);
	commands[STREAM / 2].order_id ^= 1;
	run(&b, commands, 64);
	assert_int_not_equal(sluice_core_chain_hash(a.core), sluice_core_chain_hash(b.core));
	assert_int_not_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	fixture_release(&a);
	fixture_release(&b);
	free(commands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core__options_out_of_range_are_refused),
		cmocka_unit_test(test_core__smallest_options_work),
		cmocka_unit_test(test_core__commands_without_a_book),
		cmocka_unit_test(test_core__any_bytes_are_answered),
		cmocka_unit_test(test_core__batches_of_any_size_give_the_same_bytes),
		cmocka_unit_test(test_core__other_commands_give_another_hash),
	};

	return cmocka_run_group_tests_name("core/core", tests, NULL, NULL);
}
