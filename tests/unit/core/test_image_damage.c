/* SPDX-License-Identifier: MIT */
/*
 * test_image_damage.c - rows that no core has handed out: one state's records with every bit
 * flipped, every word at its extremes, dropped, doubled, swapped, cut off and mixed at random.
 * Never anything but a refusal, or a core that is whole, hands out that very row and answers on.
 */
#include "tests/unit/core/image_rich.h"

struct verdicts {
	uint32_t refused;
	uint32_t taken;
};

/* Commands that touch everything: what was let in must bear them. */
static void use(struct sluice_core *core)
{
	static struct fixture f;
	const char *wrong;
	uint32_t i;

	if (!f.sink.reports) {
		fixture_init(&f, &limits);
		free(f.core);
	}
	f.core = core;
	for (i = 0; i < 4; i++) {
		fixture_apply(&f, on_symbol(place(900 + i, BUY, 40, 104), i));
		fixture_apply(&f, on_symbol(place(910 + i, SELL, 40, 20), i));
		fixture_apply(&f, on_symbol(replace(100 + 4 * i, 50, 70), i));
		fixture_apply(&f, on_symbol(command_of(SLUICE_CMD_RESUME, 0, 0), i));
		fixture_apply(&f, on_symbol(command_of(SLUICE_CMD_AUCTION, 0, 0), i));
		fixture_apply(&f, on_symbol(place(920 + i, SELL, INT64_C(1) << 62, 1), i));
		fixture_apply(&f, on_symbol(command_of(SLUICE_CMD_UNCROSS, 0, 0), i));
	}
	fixture_apply(&f, by_account(command_of(SLUICE_CMD_MASS_CANCEL, UINT32_MAX, 0), 1));
	wrong = sluice_core_check(core);
	if (wrong)
		fail_msg("after use: %s", wrong);
}

static void judge(const struct row *row, struct sluice_core *core, struct verdicts *verdicts)
{
	struct row again;
	uint64_t i;

	sluice_core_init(core, &limits);
	if (row_take(row, core)) {
		verdicts->refused++;
		return;
	}
	verdicts->taken++;
	assert_null(sluice_core_check(core));
	again = row_of(core, &limits);
	assert_int_equal(again.n, row->n);
	for (i = 0; i < row->n; i++)
		assert_memory_equal(&again.records[i], &row->records[i], sizeof(*row->records));
	row_free(&again);
	use(core);
}

static void report(const char *what, struct verdicts verdicts)
{
	print_message("%s: %u refused, %u taken\n", what, verdicts.refused, verdicts.taken);
	assert_true(verdicts.refused > 0);
	assert_true(verdicts.taken > 0);
}

static void test_image_damage__every_bit_flipped(void **state)
{
	struct row row = rich_row();
	struct sluice_core *core = fixture_core(&limits);
	struct verdicts verdicts = {0};
	unsigned char *bytes = (unsigned char *)row.records;
	uint64_t bit;

	(void)state;
	for (bit = 0; bit < row.n * sizeof(*row.records) * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		judge(&row, core, &verdicts);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	report("bits", verdicts);
	free(core);
	row_free(&row);
}

static void test_image_damage__every_word_at_its_extremes(void **state)
{
	static const uint64_t values[] = {0,
					  1,
					  2,
					  UINT32_MAX,
					  UINT64_C(1) << 32,
					  (UINT64_C(1) << 62) - 1,
					  UINT64_C(1) << 62,
					  (UINT64_C(1) << 62) + 1,
					  INT64_MAX,
					  (uint64_t)INT64_MIN,
					  UINT64_MAX};
	struct row row = rich_row();
	struct sluice_core *core = fixture_core(&limits);
	struct verdicts verdicts = {0};
	uint64_t i, value;
	uint32_t w;

	(void)state;
	for (i = 0; i < row.n * WORDS * (sizeof(values) / sizeof(*values)); i++) {
		uint64_t *word = &row.records[i % row.n].words[i / row.n % WORDS];

		w = (uint32_t)(i / row.n / WORDS);
		value = *word;
		*word = values[w];
		judge(&row, core, &verdicts);
		*word = value;
	}
	report("extremes", verdicts);
	free(core);
	row_free(&row);
}

static void test_image_damage__every_record_dropped_doubled_swapped(void **state)
{
	struct row row = rich_row(), bad;
	struct sluice_core *core = fixture_core(&limits);
	struct verdicts verdicts = {0};
	uint64_t i, j;

	(void)state;
	for (i = 0; i < row.n; i++) {
		for (j = 0; j < 2 * row.n; j++) {
			bad = row_copy(&row);
			if (j % row.n == i)
				drop(&bad, i);
			else if (j < row.n)
				swap(&bad, i, j);
			else
				insert(&bad, j - row.n, row.records[i]);
			judge(&bad, core, &verdicts);
			recount(&bad);
			judge(&bad, core, &verdicts);
			row_free(&bad);
		}
	}
	report("records", verdicts);
	free(core);
	row_free(&row);
}

static void test_image_damage__every_row_cut_off(void **state)
{
	struct row row = rich_row();
	struct sluice_core *core = fixture_core(&limits);
	uint64_t i, n = row.n;

	(void)state;
	for (i = 0; i < n; i++) {
		row.n = i;
		sluice_core_init(core, &limits);
		assert_string_equal(row_take(&row, core), "the row ends before its last record");
	}
	free(core);
	row_free(&row);
}

/* One random change; most often of a value, and then most often by little. */
static void damage(struct row *row, uint64_t *random)
{
	uint64_t i = random_below(random, (uint32_t)row->n);
	uint64_t *word = &row->records[i].words[random_below(random, WORDS)];

	switch (random_below(random, 8)) {
	case 0:
		swap(row, i, random_below(random, (uint32_t)row->n));
		break;
	case 1:
		if (row->n > 1)
			drop(row, i);
		break;
	case 2:
		row->records[i].small[random_below(random, 5)] = (uint8_t)random_below(random, 4);
		break;
	case 3:
		row->records[i].side = (uint8_t)random_below(random, 3);
		break;
	case 4:
		*word = random_next(random);
		*word >>= random_below(random, 64);
		break;
	case 5:
		*word = row->records[random_below(random, (uint32_t)row->n)].words[0];
		break;
	default:
		*word += (uint64_t)random_below(random, 9) - 4;
	}
}

static void test_image_damage__random_damage(void **state)
{
	uint64_t random = seed_of_run(20261123);
	struct row row = rich_row(), bad;
	struct sluice_core *core = fixture_core(&limits);
	struct verdicts verdicts = {0};
	uint32_t i, n;

	(void)state;
	for (i = 0; i < 100000; i++) {
		bad = row_copy(&row);
		for (n = 1 + random_below(&random, 4); n; n--)
			damage(&bad, &random);
		if (random_below(&random, 4))
			recount(&bad);
		judge(&bad, core, &verdicts);
		row_free(&bad);
	}
	report("random", verdicts);
	free(core);
	row_free(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_damage__every_bit_flipped),
		cmocka_unit_test(test_image_damage__every_word_at_its_extremes),
		cmocka_unit_test(test_image_damage__every_record_dropped_doubled_swapped),
		cmocka_unit_test(test_image_damage__every_row_cut_off),
		cmocka_unit_test(test_image_damage__random_damage),
	};

	return cmocka_run_group_tests_name("core/image_damage", tests, NULL, NULL);
}
