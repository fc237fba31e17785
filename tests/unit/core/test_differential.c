/* SPDX-License-Identifier: MIT */
/*
 * test_differential.c - random commands through the core and through the reference book: every
 * report equal in every field, the invariants held, and a book rebuilt from market data equal to
 * the core's. Streams differ in how wide prices are, how full the pool gets and how often the
 * phase changes.
 */
#include "tests/unit/core/stream.h"
#include "tests/lib/reference_book.h"

#define SYMBOLS STREAM_SYMBOLS
#define MIRROR_LEVELS 4096u

/* The levels of one side as market data told them, in no order. */
struct mirror {
	struct sluice_md_depth levels[MIRROR_LEVELS];
	uint32_t n;
};

struct run {
	struct fixture f;
	struct reference_book *reference;
	struct mirror mirrors[SYMBOLS][2];
	struct sluice_md_top tops[SYMBOLS];
	struct stream_state source;
};

/* clang-format off */
static const struct stream streams[] = {
	{ .name = "tight", .commands = 60000, .orders_max = 4096, .window_ticks = 256,
	  .price_low = 100, .price_span = 12, .phases = 400 },
	{ .name = "wide", .commands = 40000, .orders_max = 4096, .window_ticks = 64,
	  .price_low = 1, .price_span = 900, .phases = 1000 },
	{ .name = "far", .commands = 20000, .orders_max = 2048, .window_ticks = 128,
	  .price_low = 1, .price_span = INT64_C(1) << 62, .phases = 500 },
	{ .name = "drift", .commands = 40000, .orders_max = 4096, .window_ticks = 64,
	  .price_low = 1, .price_span = 40, .drift = 3 },
	{ .name = "full", .commands = 30000, .orders_max = 24, .window_ticks = 64,
	  .price_low = 50, .price_span = 30, .phases = 200 },
	{ .name = "wild", .commands = 40000, .orders_max = 512, .window_ticks = 64,
	  .price_low = 50, .price_span = 30, .phases = 50, .wild = 3 },
};
/* clang-format on */

static void compare_reports(struct run *run, const struct sluice_report *want, size_t n)
{
	struct sluice_report have;
	size_t i;

	for (i = 0; i < n; i++) {
		have = *fixture_report(&run->f, i);
		assert_int_equal(have.head.participant, 3);
		have.head.participant = 0;
		if (memcmp(&have, &want[i], sizeof(have))) {
			char a[200], b[200];

			report_text(&have, a, sizeof(a));
			report_text(&want[i], b, sizeof(b));
			fail_msg("command %llu, report %zu: the core says \"%s\", the reference "
				 "\"%s\"",
				 (unsigned long long)want[i].cmd_seq, i, a, b);
		}
	}
	assert_int_equal(run->f.sink.report_next - run->f.first, n);
}

static void mirror_depth(struct mirror *mirror, struct sluice_md_depth depth)
{
	uint32_t i;

	for (i = 0; i < mirror->n && mirror->levels[i].price != depth.price; i++)
		;
	if (depth.count) {
		assert_true(i < MIRROR_LEVELS);
		mirror->levels[i] = depth;
		mirror->n += i == mirror->n;
	} else if (i < mirror->n) {
		mirror->levels[i] = mirror->levels[--mirror->n];
	}
}

/* Takes in the market data of one command; no level may be told twice. */
static void mirror_command(struct run *run, uint16_t command)
{
	const struct sluice_md_event *e;
	uint64_t i, j, tops = 0;

	for (i = 0; run->f.first_md + i < run->f.sink.md_next; i++) {
		e = fixture_md(&run->f, i);
		assert_int_equal(e->n, run->f.first_md + i);
		assert_true(e->symbol < SYMBOLS);
		if (e->head.type == SLUICE_MD_TOP)
			run->tops[e->symbol] = e->u.top;
		tops += e->head.type == SLUICE_MD_TOP;
		if (e->head.type != SLUICE_MD_DEPTH)
			continue;
		mirror_depth(&run->mirrors[e->symbol][e->side - 1], e->u.depth);
		for (j = 0; j < i && i < 64; j++)
			assert_false(fixture_md(&run->f, j)->head.type == SLUICE_MD_DEPTH &&
				     fixture_md(&run->f, j)->symbol == e->symbol &&
				     fixture_md(&run->f, j)->side == e->side &&
				     fixture_md(&run->f, j)->u.depth.price == e->u.depth.price);
	}
	if (command != SLUICE_CMD_MASS_CANCEL)
		assert_true(tops <= 1);
}

static void compare_mirror(const struct run *run)
{
	struct sluice_core_level level, best[2];
	uint32_t symbol, side, i, j;

	for (symbol = 0; symbol < SYMBOLS; symbol++) {
		memset(best, 0, sizeof(best));
		for (side = BUY; side <= SELL; side++) {
			const struct mirror *mirror = &run->mirrors[symbol][side - 1];

			for (i = 0; sluice_core_depth(run->f.core, symbol, side, i, &level); i++) {
				if (!i)
					best[side - 1] = level;
				for (j = 0; j < mirror->n; j++)
					if (mirror->levels[j].price == level.price)
						break;
				assert_true(j < mirror->n);
				assert_int_equal(mirror->levels[j].qty, level.qty);
				assert_int_equal(mirror->levels[j].count, level.count);
			}
			assert_int_equal(i, mirror->n);
		}
		assert_int_equal(run->tops[symbol].bid_price, best[0].price);
		assert_int_equal(run->tops[symbol].bid_qty, best[0].qty);
		assert_int_equal(run->tops[symbol].ask_price, best[1].price);
		assert_int_equal(run->tops[symbol].ask_qty, best[1].qty);
	}
}

static void step(struct run *run, struct sluice_command command)
{
	const struct sluice_report *want;
	size_t n = reference_book_apply(run->reference, &command, run->f.next_seq, &want);

	fixture_apply(&run->f, command);
	compare_reports(run, want, n);
	mirror_command(run, command.head.type);
}

static void run_stream(const struct stream *stream, uint64_t seed)
{
	struct sluice_core_options options = {
		.symbols_max = SYMBOLS,
		.orders_max = stream->orders_max,
		.levels_max = 2 * stream->orders_max,
		.sessions_max = 4,
		.window_ticks = stream->window_ticks,
	};
	struct reference_limits limits = {SYMBOLS, stream->orders_max, 4};
	struct run *run = calloc(1, sizeof(*run));
	struct sluice_core_stats stats;
	uint32_t i;

	assert_non_null(run);
	run->source.random = seed;
	run->reference = reference_book_new(&limits);
	assert_non_null(run->reference);
	fixture_init(&run->f, &options);
	step(run, define("A"));
	step(run, define("B"));
	step(run, define("C"));
	for (i = 0; i < stream->commands; i++) {
		step(run, stream_command(&run->source, stream, i));
		if (i % 64)
			continue;
		if (sluice_core_check(run->f.core))
			fail_msg("after command %u: %s", i, sluice_core_check(run->f.core));
		compare_mirror(run);
	}
	sluice_core_stats(run->f.core, &stats);
	print_message("%s: %llu reports, %llu trades, %llu rejected, %llu rebases, %u live\n",
		      stream->name, (unsigned long long)stats.reports,
		      (unsigned long long)stats.trades, (unsigned long long)stats.rejected,
		      (unsigned long long)stats.rebases, stats.orders_live);
	assert_true(stats.trades > 100);
	if (stream->drift)
		assert_true(stats.rebases > 10);
	reference_book_free(run->reference);
	fixture_release(&run->f);
	free(run);
}

static void run_by_name(const char *name)
{
	uint64_t seed = seed_of_run(20260711);
	size_t i;

	for (i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		if (!strcmp(streams[i].name, name)) {
			run_stream(&streams[i], seed);
			return;
		}
	}
	fail_msg("no stream %s", name);
}

static void test_differential__tight_prices(void **state)
{
	(void)state;
	run_by_name("tight");
}

static void test_differential__wide_prices(void **state)
{
	(void)state;
	run_by_name("wide");
}

static void test_differential__prices_of_every_magnitude(void **state)
{
	(void)state;
	run_by_name("far");
}

static void test_differential__drifting_prices(void **state)
{
	(void)state;
	run_by_name("drift");
}

static void test_differential__a_full_pool(void **state)
{
	(void)state;
	run_by_name("full");
}

static void test_differential__broken_fields(void **state)
{
	(void)state;
	run_by_name("wild");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differential__tight_prices),
		cmocka_unit_test(test_differential__wide_prices),
		cmocka_unit_test(test_differential__prices_of_every_magnitude),
		cmocka_unit_test(test_differential__drifting_prices),
		cmocka_unit_test(test_differential__a_full_pool),
		cmocka_unit_test(test_differential__broken_fields),
	};

	return cmocka_run_group_tests_name("core/differential", tests, NULL, NULL);
}
