/* SPDX-License-Identifier: MIT */
/*
 * test_image_twins.c - a core made of a row is the core that the row was taken from: at random
 * points of random streams the row is made a core in other memory, which from there on gets the
 * same commands and must say the same to the end, byte for byte, also where limits are used up and
 * windows move. Some twins are made of another twin's row.
 */
#include "tests/unit/core/image_row.h"
#include "tests/unit/core/stream.h"

#define TWINS 3u
#define SWEEP 1500u /* commands from one cancelling of everything to the next */

enum must {
	MUST_ORDERS = 1, /* somebody is refused because the orders are used up, and so on */
	MUST_LEVELS = 2,
	MUST_SESSIONS = 4,
	MUST_DUPLICATES = 8,
	MUST_REBASE = 16,
	MUST_AUCTION = 32, /* trades of an uncross */
	MUST_TRADE = 64
};

struct case_of {
	struct stream stream;
	uint32_t levels_max;
	uint32_t sessions_max;
	uint32_t must; /* happen while a twin runs along */
};

struct twins {
	struct sluice_core_options options;
	struct fixture original;
	struct fixture twins[TWINS];
	uint32_t oldest;
	uint32_t seen; /* of enum must */
	uint64_t restored;
	uint64_t random;
};

/* clang-format off */
static const struct case_of cases[] = {
	{ { .name = "tight", .commands = 40000, .orders_max = 512, .window_ticks = 256,
	    .price_low = 100, .price_span = 12, .phases = 100 },
	  .levels_max = 16, .sessions_max = 4,
	  .must = MUST_TRADE | MUST_AUCTION | MUST_DUPLICATES },
	{ { .name = "wide", .commands = 40000, .orders_max = 512, .window_ticks = 64,
	    .price_low = 1, .price_span = 900, .phases = 100 },
	  .levels_max = 40, .sessions_max = 4, .must = MUST_LEVELS | MUST_REBASE | MUST_AUCTION },
	{ { .name = "far", .commands = 30000, .orders_max = 256, .window_ticks = 128,
	    .price_low = 1, .price_span = INT64_C(1) << 62, .phases = 100 },
	  .levels_max = 30, .sessions_max = 4, .must = MUST_LEVELS | MUST_REBASE | MUST_AUCTION },
	{ { .name = "wander", .commands = 50000, .orders_max = 1024, .window_ticks = 64,
	    .price_low = 1, .price_span = 40, .drift = 5, .turn = 50, .phases = 500 },
	  .levels_max = 300, .sessions_max = 4, .must = MUST_REBASE | MUST_TRADE },
	{ { .name = "full", .commands = 30000, .orders_max = 24, .window_ticks = 64,
	    .price_low = 50, .price_span = 200, .sources = 40, .phases = 200 },
	  .levels_max = 4, .sessions_max = 20,
	  .must = MUST_ORDERS | MUST_LEVELS | MUST_SESSIONS | MUST_DUPLICATES },
	{ { .name = "wild", .commands = 40000, .orders_max = 200, .window_ticks = 64,
	    .price_low = 50, .price_span = 30, .phases = 50, .wild = 3 },
	  .levels_max = 10, .sessions_max = 4, .must = MUST_AUCTION | MUST_DUPLICATES },
};
/* clang-format on */

/* The oldest twin gives way to one that is made of the original's row, or of another twin's. */
static void replace_twin(struct twins *t)
{
	struct fixture *twin = &t->twins[t->oldest];
	const struct fixture *from = &t->original;
	struct row row, again;

	t->oldest = (t->oldest + 1) % TWINS;
	if (t->restored > TWINS && random_below(&t->random, 4) == 0)
		from = &t->twins[t->oldest];
	row = row_of(from->core, &t->options);
	free(twin->core);
	twin->core = row_core(&row, &t->options);
	twin->next_seq = from->next_seq;
	twin->sink.report_next = from->sink.report_next;
	twin->sink.report_limit = from->sink.report_limit;
	twin->sink.md_next = from->sink.md_next;
	twin->sink.md_limit = from->sink.md_limit;
	again = row_of(twin->core, &t->options);
	assert_true(row_equal(&row, &again));
	row_free(&row);
	row_free(&again);
	t->restored++;
}

static void compare_rows(const struct twins *t)
{
	struct row want = row_of(t->original.core, &t->options);
	const char *wrong;
	uint32_t i;

	for (i = 0; i < TWINS; i++) {
		struct row have = row_of(t->twins[i].core, &t->options);

		wrong = sluice_core_check(t->twins[i].core);
		if (wrong)
			fail_msg("%s", wrong);
		assert_true(row_equal(&have, &want));
		assert_int_equal(sluice_core_state_hash(t->twins[i].core),
				 sluice_core_state_hash(t->original.core));
		row_free(&have);
	}
	row_free(&want);
}

static void note(struct twins *t)
{
	uint64_t i;

	for (i = 0; t->original.first + i < t->original.sink.report_next; i++) {
		const struct sluice_report *r = fixture_report(&t->original, i);

		if (r->head.type == SLUICE_REP_TRADE)
			t->seen |= r->head.flags & SLUICE_REPORT_AUCTION ? MUST_AUCTION :
									   MUST_TRADE;
		if (r->reason == SLUICE_REASON_TOO_MANY_ORDERS)
			t->seen |= MUST_ORDERS;
		if (r->reason == SLUICE_REASON_TOO_MANY_LEVELS)
			t->seen |= MUST_LEVELS;
		if (r->reason == SLUICE_REASON_TOO_MANY_SESSIONS)
			t->seen |= MUST_SESSIONS;
		if (r->reason == SLUICE_REASON_DUPLICATE_COMMAND)
			t->seen |= MUST_DUPLICATES;
	}
}

/* The same answers: reports and market data in every byte, and what only the core knows. */
static void compare_answers(const struct fixture *have, const struct fixture *want)
{
	struct sluice_core_stats a, b;
	uint64_t i;

	assert_int_equal(have->sink.report_next, want->sink.report_next);
	assert_int_equal(have->sink.md_next, want->sink.md_next);
	for (i = 0; want->first + i < want->sink.report_next; i++)
		assert_memory_equal(fixture_report(have, i), fixture_report(want, i),
				    sizeof(struct sluice_report));
	for (i = 0; want->first_md + i < want->sink.md_next; i++)
		assert_memory_equal(fixture_md(have, i), fixture_md(want, i),
				    sizeof(struct sluice_md_event));
	assert_int_equal(sluice_core_chain_hash(have->core), sluice_core_chain_hash(want->core));
	sluice_core_stats(have->core, &a);
	sluice_core_stats(want->core, &b);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void apply_to_all(struct twins *t, struct sluice_command command)
{
	struct sluice_core_stats before, after;
	uint32_t i;

	sluice_core_stats(t->original.core, &before);
	fixture_apply(&t->original, command);
	sluice_core_stats(t->original.core, &after);
	if (after.rebases > before.rebases)
		t->seen |= MUST_REBASE;
	note(t);
	for (i = 0; i < TWINS; i++) {
		fixture_apply(&t->twins[i], command);
		compare_answers(&t->twins[i], &t->original);
	}
}

static void begin(struct twins *t, const struct case_of *c, uint64_t seed)
{
	uint32_t i;

	memset(t, 0, sizeof(*t));
	t->random = seed ^ 1;
	t->options = (struct sluice_core_options){
		.symbols_max = STREAM_SYMBOLS,
		.orders_max = c->stream.orders_max,
		.levels_max = c->levels_max,
		.sessions_max = c->sessions_max,
		.window_ticks = c->stream.window_ticks,
	};
	fixture_init(&t->original, &t->options);
	for (i = 0; i < TWINS; i++)
		fixture_init(&t->twins[i], &t->options);
}

/* Now and then everything is cancelled, so that what was used up gets room again. */
static struct sluice_command next_command(struct stream_state *source, const struct stream *stream,
					  uint32_t i)
{
	struct sluice_command c = stream_command(source, stream, i);
	uint32_t account = i % SWEEP;

	if (c.head.type == SLUICE_CMD_TICK)
		c.time_ns = i;
	if (account >= STREAM_ACCOUNTS)
		return c;
	return by_account(command_of(SLUICE_CMD_MASS_CANCEL, UINT32_MAX, 0), account);
}

static void run_case(const struct case_of *c, uint64_t seed)
{
	static const char *const names[] = {"A", "B", "C"};
	struct stream_state source = {.random = seed};
	struct twins *t = malloc(sizeof(*t));
	uint32_t i;

	assert_non_null(t);
	begin(t, c, seed);
	for (i = 0; i < STREAM_SYMBOLS; i++) {
		replace_twin(t);
		apply_to_all(t, define(names[i]));
	}
	for (i = 0; i < c->stream.commands; i++) {
		struct sluice_command command = next_command(&source, &c->stream, i);

		if (random_below(&t->random, 64) == 0)
			replace_twin(t);
		apply_to_all(t, command);
		if (i % 256 == 0)
			compare_rows(t);
	}
	compare_rows(t);
	print_message("%s: %llu restored, %llu records, seen 0x%x\n", c->stream.name,
		      (unsigned long long)t->restored,
		      (unsigned long long)sluice_image_records_max(&t->options), t->seen);
	assert_int_equal(t->seen & c->must, c->must);
	fixture_release(&t->original);
	for (i = 0; i < TWINS; i++)
		fixture_release(&t->twins[i]);
	free(t);
}

static void run_by_name(const char *name)
{
	uint64_t seed = seed_of_run(20261122);
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!strcmp(cases[i].stream.name, name)) {
			run_case(&cases[i], seed);
			return;
		}
	}
	fail_msg("no stream %s", name);
}

static void test_image_twins__goes_on_as_the_original_tight_prices(void **state)
{
	(void)state;
	run_by_name("tight");
}

static void test_image_twins__goes_on_as_the_original_wide_prices(void **state)
{
	(void)state;
	run_by_name("wide");
}

static void test_image_twins__goes_on_as_the_original_prices_of_every_magnitude(void **state)
{
	(void)state;
	run_by_name("far");
}

static void test_image_twins__goes_on_as_the_original_wandering_prices(void **state)
{
	(void)state;
	run_by_name("wander");
}

static void test_image_twins__goes_on_as_the_original_everything_used_up(void **state)
{
	(void)state;
	run_by_name("full");
}

static void test_image_twins__goes_on_as_the_original_broken_fields(void **state)
{
	(void)state;
	run_by_name("wild");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_twins__goes_on_as_the_original_tight_prices),
		cmocka_unit_test(test_image_twins__goes_on_as_the_original_wide_prices),
		cmocka_unit_test(
			test_image_twins__goes_on_as_the_original_prices_of_every_magnitude),
		cmocka_unit_test(test_image_twins__goes_on_as_the_original_wandering_prices),
		cmocka_unit_test(test_image_twins__goes_on_as_the_original_everything_used_up),
		cmocka_unit_test(test_image_twins__goes_on_as_the_original_broken_fields),
	};

	return cmocka_run_group_tests_name("core/image_twins", tests, NULL, NULL);
}
