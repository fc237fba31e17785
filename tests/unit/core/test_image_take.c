/* SPDX-License-Identifier: MIT */
/*
 * test_image_take.c - rows that are refused: each reason by its text, where it stands.
 * test_image_damage.c damages rows in every other way.
 */
#include "tests/unit/core/image_rich.h"

enum change {
	SET_WORD,
	SET_SMALL,
	SET_SIDE,
	SET_TYPE,
	DROP,
	DOUBLE,
	SWAP,	   /* with the record after it */
	MOVE_WORD, /* the word's value becomes that of the record after it */
	CUT	   /* nothing from here on */
};

struct refusal {
	const char *wrong;
	enum change change;
	enum type type;
	uint32_t nth;
	uint32_t field;
	uint64_t value;
	bool recount;
};

#define PLACE "a record is not of the type that comes next"
#define SPARE "bytes without a meaning are not zero"
#define NEGATIVE ((uint64_t)INT64_MIN)
#define ABOVE ((UINT64_C(1) << 62) + 1)

/* clang-format off */
static const struct refusal refusals[] = {
	{"a record is of no known type", SET_TYPE, NAME, 0, 0, 0, false},
	{"a record is of no known type", SET_TYPE, NAME, 0, 0, 9, false},
	{"a record is of no known type", SET_TYPE, END, 0, 0, 65535, false},
	{SPARE, SET_SIDE, CORE, 0, 0, 1, false},
	{SPARE, SET_SMALL, CORE, 0, 0, 1, false},
	{SPARE, SET_SMALL, STATS, 0, 1, 1, false},
	{SPARE, SET_WORD, STATS, 1, 2, 1, false},
	{SPARE, SET_WORD, STATS, 1, 6, 1, false},
	{SPARE, SET_SMALL, SYMBOL, 0, 4, 1, false},
	{SPARE, SET_WORD, NAME, 0, 3, 1, false},
	{SPARE, SET_WORD, LADDER, 0, 2, 1, false},
	{SPARE, SET_SMALL, ORDER, 0, 0, 1, false},
	{SPARE, SET_WORD, ORDER, 0, 6, 1, false},
	{SPARE, SET_SIDE, SESSION, 0, 0, 2, false},
	{SPARE, SET_WORD, SESSION, 0, 3, 1, false},
	{SPARE, SET_WORD, END, 0, 1, 1, false},
	{PLACE, DROP, CORE, 0, 0, 0, true},
	{PLACE, DOUBLE, CORE, 0, 0, 0, true},
	{PLACE, DROP, STATS, 0, 0, 0, true},
	{PLACE, DOUBLE, STATS, 0, 0, 0, true},
	{PLACE, DROP, STATS, 1, 0, 0, true},
	{PLACE, DOUBLE, STATS, 1, 0, 0, true},
	{PLACE, SWAP, STATS, 0, 0, 0, true},
	{PLACE, SET_SMALL, STATS, 1, 0, 2, false},
	{PLACE, DROP, SYMBOL, 0, 0, 0, true},
	{PLACE, DROP, SYMBOL, 1, 0, 0, true},
	{PLACE, DROP, NAME, 1, 0, 0, true},
	{PLACE, DOUBLE, NAME, 1, 0, 0, true},
	{PLACE, DROP, LADDER, 0, 0, 0, true},
	{PLACE, DOUBLE, LADDER, 0, 0, 0, true},
	{PLACE, DROP, LADDER, 1, 0, 0, true},
	{PLACE, DOUBLE, LADDER, 1, 0, 0, true},
	{PLACE, SWAP, LADDER, 0, 0, 0, true},
	{PLACE, SET_SIDE, LADDER, 2, 0, 0, false},
	{PLACE, SWAP, LADDER, 1, 0, 0, true},  /* an order before the sellers' ladder */
	{PLACE, DOUBLE, END, 0, 0, 0, false},
	{PLACE, SET_TYPE, END, 0, 0, ORDER, false},
	{PLACE, SET_WORD, CORE, 0, 2, 2, false}, /* symbols: the third is too much */
	{PLACE, SET_WORD, CORE, 0, 2, 4, false}, /* and with four the sources come too soon */
	{PLACE, SET_WORD, CORE, 0, 2, 0, false},

	{"more symbols than the limits allow", SET_WORD, CORE, 0, 2, 5, false},
	{"more symbols than the limits allow", SET_WORD, CORE, 0, 2, UINT64_C(3) << 32, false},
	{"more orders than the limits allow", SET_WORD, CORE, 0, 3, 21, false},
	{"more sources than the limits allow", SET_WORD, CORE, 0, 4, 6, false},
	{"more orders than the first record says", SET_WORD, CORE, 0, 3, 15, false},
	{"fewer orders than the first record says", SET_WORD, CORE, 0, 3, 17, false},
	{"more sources than the first record says", SET_WORD, CORE, 0, 4, 2, false},
	{"fewer sources than the first record says", SET_WORD, CORE, 0, 4, 4, false},
	{"fewer sources than the first record says", SWAP, SESSION, 2, 0, 0, true}, /* END first */
	{"fewer orders than the first record says", DROP, ORDER, 1, 0, 0, false},
	{"more levels outside the windows than were ever made", SET_WORD, CORE, 0, 5, 2, false},
	{"the last record counts other records than came", SET_WORD, END, 0, 0, 34, false},

	{"a symbol's id is not the next one", SET_WORD, SYMBOL, 1, 0, 2, false},
	{"a symbol's id is not the next one", SET_WORD, SYMBOL, 0, 0, UINT64_C(1) << 32, false},
	{"a symbol's phase is impossible", SET_SMALL, SYMBOL, 1, 2, 3, false},
	{"a symbol's phase is impossible", SET_SMALL, SYMBOL, 1, 3, 2, false},
	{"a symbol is older than the one before", SET_WORD, SYMBOL, 1, 1, 0, false},
	{"a symbol's last price is impossible", SET_WORD, SYMBOL, 1, 2, NEGATIVE, false},
	{"a symbol's last price is impossible", SET_WORD, SYMBOL, 1, 2, ABOVE, false},
	{"a symbol's name is not a name", SET_WORD, NAME, 0, 0, 0, false},
	{"a symbol's name is not a name", SET_WORD, NAME, 0, 0, 'A' | '*' << 8, false},
	{"a symbol's name is not a name", SET_WORD, NAME, 0, 0, 'A' | 'B' << 16, false},
	{"a symbol's name is not a name", SET_WORD, NAME, 0, 1, 'B', false},
	{"a symbol's name is not a name", SET_WORD, NAME, 0, 2, (uint64_t)'B' << 56, false},
	{"two symbols have one name", SET_WORD, NAME, 2, 0, 'O' | 'N' << 8 | 'E' << 16, false},

	{"a price window is impossible", SET_WORD, LADDER, 0, 0, NEGATIVE, false},
	{"a price window is impossible", SET_WORD, LADDER, 0, 0, ABOVE, false},
	{"a price window is impossible", SET_WORD, LADDER, 1, 1, 65, false},
	{"a price window is impossible", SET_WORD, LADDER, 1, 1, UINT64_C(1) << 32, false},
	{"more levels outside the windows than the limits allow", SET_WORD, LADDER, 0, 0, 1000,
	 false},

	{"an order has no side", SET_SIDE, ORDER, 0, 0, 0, false},
	{"an order has no side", SET_SIDE, ORDER, 0, 0, 3, false},
	{"an order is in the book of another symbol", SET_WORD, ORDER, 0, 4, 1, false},
	{"an order is in the book of another symbol", SET_WORD, ORDER, 11, 4, 0, false},
	{"an order's account is impossible", SET_WORD, ORDER, 0, 5, UINT64_C(1) << 32, false},
	{"an order's price is impossible", SET_WORD, ORDER, 0, 1, 0, false},
	{"an order's price is impossible", SET_WORD, ORDER, 0, 1, NEGATIVE, false},
	{"an order's price is impossible", SET_WORD, ORDER, 10, 1, ABOVE, false},
	{"an order's quantities are impossible", SET_WORD, ORDER, 0, 2, 0, false},
	{"an order's quantities are impossible", SET_WORD, ORDER, 0, 2, 11, false},
	{"an order's quantities are impossible", SET_WORD, ORDER, 0, 2, NEGATIVE, false},
	{"an order's quantities are impossible", SET_WORD, ORDER, 0, 3, ABOVE, false},
	{"an order's quantities are impossible", SET_WORD, ORDER, 0, 3, NEGATIVE, false},
	{"a buyer comes after a seller", SWAP, ORDER, 5, 0, 0, false},
	{"an order comes after one of a worse price", SWAP, ORDER, 2, 0, 0, false},
	{"an order comes after one of a worse price", SET_WORD, ORDER, 4, 1, 100, false},
	{"an order comes after one of a worse price", SWAP, ORDER, 9, 0, 0, false},
	{"two orders have one key", DOUBLE, ORDER, 0, 0, 0, true},
	{"two orders have one key", SET_WORD, ORDER, 3, 0, 100, false},

	{"a source is impossible", SET_WORD, SESSION, 0, 0, 0, false},
	{"a source is impossible", SET_WORD, SESSION, 0, 0, UINT64_C(1) << 32, false},
	{"a source is impossible", SET_WORD, SESSION, 0, 1, 0, false},
	{"a source comes after one of a later place", SWAP, SESSION, 0, 0, 0, false},
	{"a source comes after one of a later place", DOUBLE, SESSION, 0, 0, 0, true},
	{"a source's place is not in the table", SET_WORD, SESSION, 2, 2, 16, false},
	{"a source's place is not in the table", SET_WORD, SESSION, 2, 2, UINT64_MAX, false},
};

static const struct refusal of_the_whole[] = {
	{"the row ends before its last record", DROP, END, 0, 0, 0, true},
	{"the row ends before its last record", CUT, ORDER, 3, 0, 0, false},
	{"the row ends before its last record", CUT, CORE, 0, 0, 0, false},
	{"a source cannot be found where it stands", DROP, SESSION, 0, 0, 0, true},
	{"a source cannot be found where it stands", SET_WORD, SESSION, 2, 2, 14, false},
	{"a source cannot be found where it stands", MOVE_WORD, SESSION, 0, 0, 0, false},
	{"a book is crossed in continuous trading", SET_SMALL, SYMBOL, 1, 2, 0, false},
	{"a book is crossed in continuous trading", SET_SMALL, SYMBOL, 1, 2, 2, false},
	{"a book is crossed in continuous trading", SET_WORD, ORDER, 14, 1, 8, false},
	{"the top as last told is not the book's", SET_WORD, SYMBOL, 0, 3, 101, false},
	{"the top as last told is not the book's", SET_WORD, SYMBOL, 0, 4, 55, false},
	{"the top as last told is not the book's", SET_WORD, SYMBOL, 0, 5, 0, false},
	{"the top as last told is not the book's", SET_WORD, SYMBOL, 2, 6, 12, false},
	{"the top as last told is not the book's", DROP, ORDER, 0, 0, 0, true},
};
/* clang-format on */

static void change(struct row *row, const struct refusal *r)
{
	uint64_t i = find(row, r->type, r->nth);
	struct sluice_image_record *record = &row->records[i];

	switch (r->change) {
	case SET_WORD:
		record->words[r->field] = r->value;
		break;
	case SET_SMALL:
		record->small[r->field] = (uint8_t)r->value;
		break;
	case SET_SIDE:
		record->side = (uint8_t)r->value;
		break;
	case SET_TYPE:
		record->type = (uint16_t)r->value;
		break;
	case DROP:
		drop(row, i);
		break;
	case DOUBLE:
		insert(row, i, *record);
		break;
	case SWAP:
		swap(row, i, i + 1);
		break;
	case MOVE_WORD:
		record->words[r->field] = record[1].words[r->field];
		break;
	case CUT:
		row->n = i;
		break;
	}
	if (r->recount)
		recount(row);
}

/* How many records are taken before one is refused; the row's number if none is. */
static uint64_t count_taken(const struct row *row, struct sluice_core *core, const char **ret_wrong)
{
	struct sluice_image_builder builder;
	uint64_t i = 0;

	sluice_image_restore(&builder, core);
	while (i < row->n && !sluice_image_take(&builder, &row->records[i]))
		i++;
	*ret_wrong = sluice_image_done(&builder);
	return i;
}

/* A value that is wrong by itself is refused where it stands. The counts of CORE are not. */
static void refuse(const struct row *row, const struct refusal *r, bool by_itself)
{
	struct row bad = row_copy(row);
	struct sluice_core *core = fixture_core(&limits);
	const char *wrong;
	uint64_t taken;

	change(&bad, r);
	taken = count_taken(&bad, core, &wrong);
	if (!wrong || strcmp(wrong, r->wrong))
		fail_msg("expected \"%s\", found \"%s\"", r->wrong,
			 wrong ? wrong : "nothing wrong");
	if (!by_itself)
		assert_int_equal(taken, bad.n);
	else if (r->change <= SET_SIDE && r->type != CORE && r->type != LADDER)
		assert_int_equal(taken, find(row, r->type, r->nth));
	free(core);
	row_free(&bad);
}

static void test_image_take__says_what_is_wrong(void **state)
{
	struct row row = rich_row();
	uint32_t i;

	(void)state;
	assert_int_equal(row.n, 4 + 3 * 4 + 16 + 3);
	for (i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		refuse(&row, &refusals[i], true);
	row_free(&row);
}

static void test_image_take__sees_what_only_the_whole_shows(void **state)
{
	struct row row = rich_row();
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(of_the_whole) / sizeof(*of_the_whole); i++)
		refuse(&row, &of_the_whole[i], false);
	row_free(&row);
}

/* Before it is an index. */
static void test_image_take__a_symbol_too_many_is_refused_at_once(void **state)
{
	struct sluice_core_options options = limits;
	struct row row = rich_row();
	struct sluice_core *core;
	const char *wrong;

	(void)state;
	options.symbols_max = 2;
	row.records[0].words[2] = 2;
	core = fixture_core(&options);
	assert_int_equal(count_taken(&row, core, &wrong), find(&row, SYMBOL, 2));
	assert_string_equal(wrong, PLACE);
	free(core);
	row_free(&row);
}

static void test_image_take__once_wrong_always_wrong(void **state)
{
	struct row row = rich_row();
	struct sluice_core *core = fixture_core(&limits);
	struct sluice_image_builder builder;
	const char *wrong;
	uint64_t i;

	(void)state;
	sluice_image_restore(&builder, core);
	wrong = sluice_image_take(&builder, &row.records[1]);
	assert_string_equal(wrong, PLACE);
	for (i = 0; i < row.n; i++)
		assert_ptr_equal(sluice_image_take(&builder, &row.records[i]), wrong);
	assert_ptr_equal(sluice_image_done(&builder), wrong);
	free(core);
	row_free(&row);
}

/* Levels outside the windows are a limit like any other, and are counted as such. */
static void test_image_take__narrower_limits_refuse(void **state)
{
	struct row row = rich_row();
	struct sluice_core_options options = limits;
	struct sluice_core *core;

	(void)state;
	free(row_core(&row, &options));
	options.levels_max = 2;
	core = fixture_core(&options);
	assert_string_equal(row_take(&row, core),
			    "more levels outside the windows than the limits allow");
	free(core);
	options.levels_max = 3;
	free(row_core(&row, &options));
	row_free(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_take__says_what_is_wrong),
		cmocka_unit_test(test_image_take__sees_what_only_the_whole_shows),
		cmocka_unit_test(test_image_take__a_symbol_too_many_is_refused_at_once),
		cmocka_unit_test(test_image_take__once_wrong_always_wrong),
		cmocka_unit_test(test_image_take__narrower_limits_refuse),
	};

	return cmocka_run_group_tests_name("core/image_take", tests, NULL, NULL);
}
