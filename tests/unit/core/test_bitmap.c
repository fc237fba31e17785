/* SPDX-License-Identifier: MIT */
/* test_bitmap.c - the three-level bitmap against a plain array, at every size a window may have. */
#include "tests/unit/core/fixture.h"
#include "engine/core/bitmap.h"

static void compare_with_array(uint32_t slots, uint64_t *random)
{
	uint64_t *words = calloc(sluice_bitmap_words(slots), sizeof(*words));
	uint8_t *used = calloc(slots, 1);
	struct sluice_bitmap map = sluice_bitmap_at(words, slots);
	uint32_t i, slot, down, up, density = slots < 4096 ? 8 : 3000;

	assert_non_null(words);
	assert_non_null(used);
	for (i = 0; i < 400; i++) {
		slot = i < 4 ? (i & 1 ? slots - 1 : 0) : random_below(random, slots);
		if (used[slot])
			sluice_bitmap_clear(map, slot);
		else if (i < 4 || random_below(random, slots) < slots / density + 1000)
			sluice_bitmap_set(map, slot);
		else
			continue;
		used[slot] ^= 1;
		slot = random_below(random, 4) ? random_below(random, slots) : slot;
		assert_int_equal(sluice_bitmap_test(map, slot), used[slot]);
		for (down = slot; down != UINT32_MAX && !used[down]; down--)
			;
		for (up = slot; up < slots && !used[up]; up++)
			;
		assert_int_equal(sluice_bitmap_down(map, slot), down);
		assert_int_equal(sluice_bitmap_up(map, slot), up < slots ? up : SLUICE_BITMAP_NONE);
	}
	for (slot = 0; slot < slots; slot++)
		if (used[slot])
			sluice_bitmap_clear(map, slot);
	assert_int_equal(map.top[0], 0);
	assert_int_equal(sluice_bitmap_up(map, 0), SLUICE_BITMAP_NONE);
	assert_int_equal(sluice_bitmap_down(map, slots - 1), SLUICE_BITMAP_NONE);
	free(words);
	free(used);
}

static void test_bitmap__finds_what_an_array_finds(void **state)
{
	uint64_t random = seed_of_run(7);
	uint32_t slots;

	(void)state;
	for (slots = 64; slots <= SLUICE_BITMAP_SLOTS_MAX; slots *= 2)
		compare_with_array(slots, &random);
}

static void test_bitmap__edges_of_words(void **state)
{
	static const uint32_t edges[] = {0, 1, 63, 64, 4095, 4096, 8191, 262143};
	uint64_t *words = calloc(sluice_bitmap_words(SLUICE_BITMAP_SLOTS_MAX), sizeof(*words));
	struct sluice_bitmap map = sluice_bitmap_at(words, SLUICE_BITMAP_SLOTS_MAX);
	size_t i, n = sizeof(edges) / sizeof(*edges);

	(void)state;
	assert_non_null(words);
	for (i = 0; i < n; i++)
		sluice_bitmap_set(map, edges[i]);
	for (i = 0; i + 1 < n; i++) {
		assert_int_equal(sluice_bitmap_up(map, edges[i] + 1), edges[i + 1]);
		assert_int_equal(sluice_bitmap_down(map, edges[i + 1] - 1), edges[i]);
	}
	free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap__finds_what_an_array_finds),
		cmocka_unit_test(test_bitmap__edges_of_words),
	};

	return cmocka_run_group_tests_name("core/bitmap", tests, NULL, NULL);
}
