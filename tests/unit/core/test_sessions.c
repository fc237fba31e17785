/* SPDX-License-Identifier: MIT */
/* test_sessions.c - duplicate detection: what is refused, what is remembered, and a full table,
 * sources put back in their places. */
#include "tests/unit/core/fixture.h"
#include "engine/core/sessions.h"

static struct sluice_command numbered(struct sluice_command c, uint32_t session, uint64_t seq)
{
	c.session = session;
	c.client_seq = seq;
	return c;
}

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
}

static void test_sessions__duplicate_is_refused_and_changes_nothing(void **state)
{
	struct fixture f;
	uint64_t chain;

	(void)state;
	setup(&f);
	expect(&f, numbered(place(1, BUY, 1, 10), 7, 5), "accepted 1");
	expect(&f, numbered(place(2, BUY, 1, 10), 7, 5), "rejected 2 duplicate_command");
	assert_int_equal(fixture_report(&f, 0)->session, 7);
	assert_int_equal(fixture_report(&f, 0)->client_seq, 5);
	expect(&f, numbered(cancel(1), 7, 4), "rejected 1 duplicate_command");
	expect_side(&f, 0, BUY, "10:1/1");
	chain = sluice_core_chain_hash(f.core);
	expect(&f, numbered(place(3, BUY, 1, 10), 8, 5), "accepted 3");
	expect(&f, numbered(place(4, BUY, 1, 10), 7, 6), "accepted 4");
	assert_int_not_equal(chain, sluice_core_chain_hash(f.core));
	fixture_release(&f);
}

static void test_sessions__a_rejected_command_counts_but_a_malformed_one_does_not(void **state)
{
	struct sluice_command bad = numbered(place(2, BUY, 1, 10), 7, 9);
	struct fixture f;

	(void)state;
	setup(&f);
	bad.side = 9;
	expect(&f, bad, "rejected 2 malformed");
	expect(&f, numbered(place(2, BUY, 0, 10), 7, 9), "rejected 2 bad_qty");
	expect(&f, numbered(place(2, BUY, 1, 10), 7, 9), "rejected 2 duplicate_command");
	expect(&f, numbered(place(2, BUY, 1, 10), 7, 10), "accepted 2");
	fixture_release(&f);
}

static void test_sessions__zero_means_no_detection(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, numbered(place(1, BUY, 1, 10), 0, 5), "accepted 1");
	expect(&f, numbered(place(2, BUY, 1, 10), 0, 5), "accepted 2");
	expect(&f, numbered(place(3, BUY, 1, 10), 7, 5), "accepted 3");
	expect(&f, numbered(place(4, BUY, 1, 10), 7, 0), "accepted 4");
	fixture_release(&f);
}

static void test_sessions__full_table_refuses_new_sources_only(void **state)
{
	struct fixture f;
	uint32_t i;

	(void)state;
	setup(&f);
	for (i = 0; i < 4; i++)
		expect(&f, numbered(cancel(1), 100 * i + 1, 1), "rejected 1 unknown_order");
	expect(&f, numbered(place(1, BUY, 1, 10), 999, 1), "rejected 1 too_many_sessions");
	expect(&f, numbered(place(1, BUY, 1, 10), 301, 2), "accepted 1");
	expect(&f, place(2, BUY, 1, 10), "accepted 2");
	fixture_release(&f);
}

static void test_sessions__many_sources_are_kept_apart(void **state)
{
	const uint32_t n = 1000;
	struct sluice_sessions sessions;
	struct sluice_session *entries = calloc(sluice_session_entries(n),
						sizeof(struct sluice_session));
	uint32_t i;

	(void)state;
	assert_non_null(entries);
	sluice_sessions_init(&sessions, entries, n);
	for (i = 1; i <= n; i++)
		assert_int_equal(sluice_sessions_advance(&sessions, i * 4096, i), 0);
	for (i = 1; i <= n; i++) {
		assert_int_equal(sluice_sessions_advance(&sessions, i * 4096, i),
				 SLUICE_REASON_DUPLICATE_COMMAND);
		assert_int_equal(sluice_sessions_advance(&sessions, i * 4096, i + 1), 0);
	}
	free(entries);
}

static void expect_checked(const struct sluice_sessions *sessions, const char *wrong)
{
	const char *found = sluice_sessions_check(sessions);

	if (!wrong)
		assert_null(found);
	else
		assert_string_equal(found, wrong);
}

/* The same places in another table: the same answers. */
static void test_sessions__put_back_in_their_places(void **state)
{
	static const uint32_t ids[] = {5, 32, 37,
				       12}; /* three of them want the last of 16 places */
	struct sluice_session entries[16] = {0}, again[16] = {0};
	struct sluice_sessions sessions, twin;
	uint32_t i;

	(void)state;
	sluice_sessions_init(&sessions, entries, 4);
	sluice_sessions_init(&twin, again, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(sluice_sessions_advance(&sessions, ids[i], 70 + i), 0);
	assert_int_equal(entries[15].id, 5);
	assert_int_equal(entries[0].id, 32);
	for (i = 0; i < 16; i++)
		if (entries[i].id)
			assert_true(sluice_sessions_put(&twin, i, entries[i].id, entries[i].last));
	expect_checked(&twin, NULL);
	assert_memory_equal(again, entries, sizeof(entries));
	for (i = 0; i < 4; i++) {
		assert_int_equal(sluice_sessions_advance(&twin, ids[i], 70 + i),
				 SLUICE_REASON_DUPLICATE_COMMAND);
		assert_int_equal(sluice_sessions_advance(&twin, ids[i], 71 + i), 0);
	}
	assert_int_equal(sluice_sessions_advance(&twin, 99, 1), SLUICE_REASON_TOO_MANY_SESSIONS);
}

static void test_sessions__put_and_check_refuse(void **state)
{
	struct sluice_session entries[16] = {0};
	struct sluice_sessions sessions;

	(void)state;
	sluice_sessions_init(&sessions, entries, 3);
	assert_false(sluice_sessions_put(&sessions, 16, 1, 1));
	assert_false(sluice_sessions_put(&sessions, UINT64_C(1) << 32, 1, 1));
	assert_true(sluice_sessions_put(&sessions, 15, 5, 1));
	assert_false(sluice_sessions_put(&sessions, 15, 32, 1));
	expect_checked(&sessions, NULL);
	assert_true(sluice_sessions_put(&sessions, 1, 32, 1)); /* its place would be 0 */
	expect_checked(&sessions, "a source cannot be found where it stands");
	assert_true(sluice_sessions_put(&sessions, 0, 5, 1)); /* a second time */
	expect_checked(&sessions, "a source cannot be found where it stands");
	entries[0].id = 37;
	expect_checked(&sessions, NULL);
	assert_false(sluice_sessions_put(&sessions, 8, 6, 1)); /* one too many */
	assert_int_equal(sessions.used, 3);
	sessions.used = 2;
	expect_checked(&sessions, "the sources are miscounted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions__duplicate_is_refused_and_changes_nothing),
		cmocka_unit_test(
			test_sessions__a_rejected_command_counts_but_a_malformed_one_does_not),
		cmocka_unit_test(test_sessions__zero_means_no_detection),
		cmocka_unit_test(test_sessions__full_table_refuses_new_sources_only),
		cmocka_unit_test(test_sessions__many_sources_are_kept_apart),
		cmocka_unit_test(test_sessions__put_back_in_their_places),
		cmocka_unit_test(test_sessions__put_and_check_refuse),
	};

	return cmocka_run_group_tests_name("core/sessions", tests, NULL, NULL);
}
