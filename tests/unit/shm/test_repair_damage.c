/* SPDX-License-Identifier: MIT */
/* What no death can leave in a segment is found and told with its place; then it is poisoned. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shm/repair_fixture.h"

struct poke {
	const char *what;
	uint64_t offset; /* in the file, 0: computed by `at` */
	uint64_t value;
	bool cursor; /* on a cursor ring */
};

static uint64_t control_word(const struct sluice_segment *segment, size_t field)
{
	return segment->header.control_offset + field;
}

static uint64_t slot_word(const struct sluice_segment *segment, uint64_t sequence)
{
	return segment->header.slots_offset +
	       (sequence & (segment->header.slot_count - 1)) * segment->header.slot_stride;
}

static uint64_t entry_word(const struct sluice_segment *segment, uint32_t index, size_t field)
{
	return segment->header.participants_offset + index * sizeof(struct sluice_participant) +
	       field;
}

#define CONTROL(segment, field) control_word(segment, offsetof(struct sluice_control, field))
#define ENTRY(segment, index, field)                                                               \
	entry_word(segment, index, offsetof(struct sluice_participant, field))

/* 100 events published, the last 64 in the ring; "engine" is at 90, entry 0. */
static void make_used(bool cursor)
{
	struct sluice_segment_options options = cursor ? cursor_options() : fixture_options(NAME);
	static const char *const reserve[] = {"engine", NULL};
	struct sluice_segment segment;
	struct sluice_ring ring;

	options.reserve = reserve;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	sluice_ring_init(&ring, &segment);
	for (uint64_t s = 0; s < 100 && !cursor; s++)
		put_event(&ring, s);
	segment.control->claim = 100;
	segment.control->cursor = 100;
	segment.participants[0].position = 90;
	sluice_segment_close(&segment);
}

static void assert_refused(const struct poke *poke)
{
	struct sluice_repair_result result;
	struct sluice_segment segment = attach(SLUICE_ACCESS_WRITE);
	uint64_t found;

	memcpy(segment.base + poke->offset, &poke->value, sizeof(poke->value));
	sluice_segment_close(&segment);
	for (int round = 0; round < 3; round++) {
		if (repair(round == 0, &result) != -EBADMSG)
			fail_msg("%s was not refused", poke->what);
		/* once poisoned, that is found, too */
		assert_int_equal(result.damages,
				 1 + (round == 2 && poke->offset != SLUICE_HEADER_AREA_BYTES));
		for (found = 0; found < finding_count && findings[found].offset != poke->offset;)
			found++;
		assert_true(found < finding_count);
		assert_true(findings[found].damage);
		if (poke->offset != SLUICE_HEADER_AREA_BYTES)
			assert_int_equal(findings[found].found, poke->value);
		segment = attach(SLUICE_ACCESS_READ);
		if (round)
			assert_int_equal(state_word(&segment) & 0xff, SLUICE_STATE_POISONED);
		else if (poke->offset != SLUICE_HEADER_AREA_BYTES)
			assert_int_equal(state_word(&segment), SLUICE_STATE_READY);
		sluice_segment_close(&segment);
	}
}

static void test_repair_damage__what_no_death_leaves_is_refused(void **state)
{
	(void)state;
	for (int i = 0;; i++) {
		const bool cursor = i >= 10;
		struct sluice_segment segment;
		struct poke poke;

		make_used(cursor);
		segment = attach(SLUICE_ACCESS_READ);
		const struct poke pokes[] = {
			{"position ahead", ENTRY(&segment, 0, position), 101, false},
			{"position a ring behind", ENTRY(&segment, 0, position), 35, false},
			{"stamp from the future", slot_word(&segment, 70), 200, false},
			{"stamp of another slot", slot_word(&segment, 70), 72, false},
			{"stamp of two laps ago", slot_word(&segment, 99), 0, false},
			{"being written for the last lap", slot_word(&segment, 70),
			 SLUICE_STAMP_WRITING | 6, false},
			{"claim before the base", CONTROL(&segment, claim), UINT64_MAX, false},
			{"unknown segment state", CONTROL(&segment, state), 9, false},
			{"unknown participant state", ENTRY(&segment, 1, state), 77, false},
			{"directory", CONTROL(&segment, directory_used), 17, false},
			{"cursor ahead of the claim", CONTROL(&segment, cursor), 101, true},
			{"cursor a ring behind", CONTROL(&segment, cursor), 35, true},
			{"position ahead of the cursor", ENTRY(&segment, 0, position), 101, true},
		};

		sluice_segment_close(&segment);
		if (i == sizeof(pokes) / sizeof(*pokes))
			break;
		poke = pokes[i];
		assert_int_equal(poke.cursor, cursor);
		assert_refused(&poke);
		fixture_files(true);
	}
}

static void test_repair_damage__never_claimed_slot_has_no_stamp(void **state)
{
	struct sluice_segment segment;
	struct poke poke = {.what = "stamp of a slot never claimed", .value = 41};

	(void)state;
	make_multi(0);
	segment = attach(SLUICE_ACCESS_READ);
	poke.offset = slot_word(&segment, 40);
	sluice_segment_close(&segment);
	assert_refused(&poke);
}

/* No consumer passes a hole, however much behind it is published. */
static void test_repair_damage__position_beyond_a_hole_is_damage(void **state)
{
	struct sluice_repair_result result;
	struct sluice_segment segment;
	struct sluice_ring ring;

	(void)state;
	make_used(false);
	segment = attach(SLUICE_ACCESS_WRITE);
	sluice_ring_init(&ring, &segment);
	for (uint64_t s = 95; s <= 98; s += 3)
		atomic_store_explicit(sluice_ring_stamp(&ring, s), SLUICE_STAMP_WRITING | s,
				      memory_order_relaxed);
	segment.participants[0].position = 95;
	sluice_segment_close(&segment);
	assert_int_equal(repair(true, &result), 0);
	assert_int_equal(result.tombstones, 2);
	segment = attach(SLUICE_ACCESS_WRITE);
	segment.participants[0].position = 97;
	sluice_segment_close(&segment);
	assert_int_equal(repair(true, &result), -EBADMSG);
	assert_int_equal(findings[finding_count - 1].found, 97);
	assert_int_equal(findings[finding_count - 1].most, 95);
}

static void test_repair_damage__damaged_header_is_left_alone(void **state)
{
	struct sluice_repair_result result = {.needed = true};
	struct sluice_diag diag = {0};
	char path[256];
	uint64_t word = 65;
	int fd;

	(void)state;
	make_multi(0);
	fixture_path(path, NAME);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &word, 8, offsetof(struct sluice_header, slot_count)), 8);
	assert_int_equal(sluice_segment_repair(NAME, false, NULL, &result, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "offset"));
	assert_non_null(strstr(diag.text, "found"));
	assert_non_null(strstr(diag.text, "computed"));
	assert_int_equal(pread(fd, &word, 8, SLUICE_HEADER_AREA_BYTES), 8);
	assert_int_equal(word, SLUICE_STATE_READY);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		repair_test(test_repair_damage__what_no_death_leaves_is_refused),
		repair_test(test_repair_damage__never_claimed_slot_has_no_stamp),
		repair_test(test_repair_damage__position_beyond_a_hole_is_damage),
		repair_test(test_repair_damage__damaged_header_is_left_alone),
	};

	return cmocka_run_group_tests_name("repair_damage", tests, fixture_setup, fixture_teardown);
}
