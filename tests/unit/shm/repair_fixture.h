/* SPDX-License-Identifier: MIT */
/*
 * repair_fixture.h - for the tests of repairs: a segment called "mend", producers and consumers that
 * die over it at a chosen point, and a repair whose findings are kept.
 */
#ifndef SLUICE_TESTS_UNIT_SHM_REPAIR_FIXTURE_H
#define SLUICE_TESTS_UNIT_SHM_REPAIR_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/claim.h"
#include "shm/participant.h"
#include "shm/repair.h"
#include "tests/unit/shm/segment_fixture.h"

#define NAME "mend"

static struct sluice_repair_finding findings[SLUICE_REPAIR_FINDINGS_MAX];
static uint32_t finding_count;

static inline void keep_finding(const struct sluice_repair_finding *finding, void *arg)
{
	(void)arg;
	assert_true(finding_count < SLUICE_REPAIR_FINDINGS_MAX);
	findings[finding_count++] = *finding;
}

static const struct sluice_repair_report report = {.finding = keep_finding};

static inline int repair(bool dry_run, struct sluice_repair_result *ret_result)
{
	struct sluice_diag diag = {0};
	int err;

	finding_count = 0;
	memset(ret_result, 0, sizeof(*ret_result));
	err = sluice_segment_repair(NAME, dry_run, &report, ret_result, &diag);
	if (err)
		print_message("%s\n", diag.text);
	return err;
}

static inline struct sluice_segment_options cursor_options(void)
{
	struct sluice_segment_options options = fixture_options(NAME);

	options.publication = SLUICE_PUBLICATION_CURSOR;
	options.producer_mode = SLUICE_PRODUCER_SINGLE;
	return options;
}

static inline void make(const struct sluice_segment_options *options)
{
	struct sluice_segment segment;

	assert_int_equal(sluice_segment_create(&segment, options, NULL), 0);
	sluice_segment_close(&segment);
}

static inline void make_multi(uint64_t base)
{
	struct sluice_segment_options options = fixture_options(NAME);

	options.base_sequence = base;
	options.participant_count = 16;
	make(&options);
}

static inline struct sluice_segment attach(enum sluice_access access)
{
	struct sluice_segment segment;

	assert_int_equal(sluice_segment_attach(&segment, NAME, access, NULL), 0);
	return segment;
}

static inline uint64_t state_word(const struct sluice_segment *segment)
{
	/* relaxed, here and below in this file: a test looks at words that nobody changes */
	return atomic_load_explicit(&segment->control->state, memory_order_relaxed);
}

/* ------------------------------------------------------------------------ those who will die */

struct death { /* of a producer, over one claim */
	uint64_t n;	     /* slots */
	uint64_t published;  /* of them, from the first on */
	uint32_t record;     /* 1 ATTEMPT, 2 CLAIMED, 0 IDLE */
	bool written;	     /* the stamps say so */
};

static struct sluice_segment victim; /* the child's */
static uint32_t victim_index;

static inline void join(uint32_t role, uint32_t policy, const char *name)
{
	const struct sluice_participant_options options = {
		.name = name, .role = role, .policy = policy, .from = SLUICE_FROM_BEGINNING};

	check(!sluice_segment_attach(&victim, NAME, SLUICE_ACCESS_WRITE, NULL));
	check(!sluice_participant_join(&victim, &options, &victim_index, NULL, NULL));
}

static inline void put_event(struct sluice_ring *ring, uint64_t sequence)
{
	memcpy(sluice_ring_payload(ring, sequence), &sequence, sizeof(sequence));
	atomic_store_explicit(sluice_ring_stamp(ring, sequence), sequence + 1,
			      memory_order_relaxed);
}

static inline void produce_and_hang(void *arg)
{
	const struct death *death = arg;
	struct sluice_participant *self;
	struct sluice_ring ring;
	uint64_t first;

	join(SLUICE_ROLE_PRODUCER, 0, "gone");
	self = &victim.participants[victim_index];
	sluice_ring_init(&ring, &victim);
	first = atomic_fetch_add_explicit(&ring.control->claim, death->n, memory_order_relaxed);
	if (death->record)
		atomic_store_explicit(&self->claim_record,
				      sluice_claim_pack(death->record == 1 ? SLUICE_CLAIM_ATTEMPT :
									     SLUICE_CLAIM_CLAIMED,
							first, death->n),
				      memory_order_relaxed);
	for (uint64_t s = first; death->written && s != first + death->n; s++)
		atomic_store_explicit(sluice_ring_stamp(&ring, s), SLUICE_STAMP_WRITING | s,
				      memory_order_relaxed);
	for (uint64_t s = first; s != first + death->published; s++)
		put_event(&ring, s);
}

static inline void die_over(const struct death *death)
{
	struct death copy = *death;
	const pid_t pid = fixture_start(produce_and_hang, &copy);

	assert_true(pid > 0);
	fixture_kill(pid);
}

struct reader {
	const char *name;
	uint32_t policy;
	uint64_t consumed;
	uint64_t follows;
	uint32_t state; /* that its entry is left in; 0: as it is */
};

static inline void consume_and_hang(void *arg)
{
	const struct reader *reader = arg;
	struct sluice_participant *self;

	join(SLUICE_ROLE_CONSUMER, reader->policy, reader->name);
	self = &victim.participants[victim_index];
	atomic_fetch_add_explicit(&self->position, reader->consumed, memory_order_relaxed);
	atomic_store_explicit(&self->follows, reader->follows, memory_order_relaxed);
	atomic_store_explicit(&victim.control->consumer_sleepers, 1ull << victim_index,
			      memory_order_relaxed);
	if (reader->state)
		atomic_store_explicit(&self->state, 1ull << 8 | reader->state,
				      memory_order_relaxed);
}

/* All of them live at the same time and die together. */
static inline void readers_die(struct reader *readers, size_t count)
{
	pid_t pids[8];

	for (size_t i = 0; i < count; i++) {
		pids[i] = fixture_start(consume_and_hang, &readers[i]);
		assert_true(pids[i] > 0);
	}
	for (size_t i = 0; i < count; i++)
		fixture_kill(pids[i]);
}

static const struct death deaths[] = {
	{.n = 1, .record = 1},					   /* P2 */
	{.n = 3, .record = 2},					   /* P3 */
	{.n = 2, .record = 2, .written = true},			   /* P4, P5 */
	{.n = 5, .published = 2, .record = 2, .written = true},	   /* P6 */
	{.n = 2, .published = 2, .record = 2, .written = true},	   /* P7 */
	{.n = 1, .published = 1},				   /* P8 */
};
#define DEATHS_CLAIMED 14
#define DEATHS_PUBLISHED 5

static inline void everybody_dies(void)
{
	for (size_t i = 0; i < sizeof(deaths) / sizeof(*deaths); i++)
		die_over(&deaths[i]);
}

/* Every sequence is published; what was an event is one, with its bytes; the rest is void. */
static inline void assert_whole(struct sluice_segment *segment, uint64_t base)
{
	struct sluice_ring ring;
	uint64_t events = 0;

	sluice_ring_init(&ring, segment);
	assert_int_equal(segment->control->claim, base + DEATHS_CLAIMED);
	assert_int_equal(sluice_ring_published(&ring, base, 64), base + DEATHS_CLAIMED);
	for (uint64_t s = base; s != base + DEATHS_CLAIMED; s++) {
		uint64_t payload;

		if (sluice_ring_is_void(&ring, s))
			continue;
		events++;
		memcpy(&payload, sluice_ring_payload(&ring, s), sizeof(payload));
		assert_int_equal(payload, s);
	}
	assert_int_equal(events, DEATHS_PUBLISHED);
}
#define repair_test(f) cmocka_unit_test_teardown(f, fixture_clean)

#endif
