/* SPDX-License-Identifier: MIT */
/*
 * lanes_fixture.h - rings of every kind as lanes of one consumer; events that say which lane they
 * are of and the how-manieth there.
 */
#ifndef SLUICE_TESTS_UNIT_CONSUMER_LANES_FIXTURE_H
#define SLUICE_TESTS_UNIT_CONSUMER_LANES_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "consumer/lanes.h"
#include "tests/unit/consumer/handler_fixture.h"

#define LANES 5
#define PATIENCE (20 * SECOND)

/* An event is {key, lane, number in the lane, check}. */
struct item {
	uint64_t key, lane, number, check;
};

struct shore {
	struct sluice_segment segments[LANES];
	struct sluice_producer producers[LANES];
	struct sluice_consumer consumers[LANES];
	struct sluice_lanes lanes;
	uint64_t published[LANES];
	uint32_t count;
	/* recorded */
	struct item items[LOG_MAX];
	uint32_t events;
	uint64_t taken[LANES];
	struct sluice_consumer *dropped[LANES];
	int reasons[LANES];
	uint32_t drops;
	bool wrong;
	/* what the handler says at its n-th event, once */
	uint32_t say_at;
	int say;
};

static inline void on_drop(void *arg, struct sluice_consumer *consumer, int reason)
{
	struct shore *shore = arg;

	shore->dropped[shore->drops % LANES] = consumer;
	shore->reasons[shore->drops++ % LANES] = reason;
}

static inline struct shore *shore_open(uint32_t count, const char *names,
				struct sluice_lanes_options options)
{
	struct shore *shore = calloc(1, sizeof(*shore));

	assert_non_null(shore);
	shore->count = count;
	options.on_drop = on_drop;
	options.arg = shore;
	assert_int_equal(sluice_lanes_init(&shore->lanes, &options), 0);
	for (uint32_t i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%u", names ? names : "", i);
		assert_int_equal(ring_create(&shore->segments[i], names ? name : NULL,
					     rig_publications[i % RIG_KINDS], 16, 0), 0);
		assert_int_equal(sluice_producer_open(&shore->producers[i], &shore->segments[i],
						      NULL, NULL), 0);
		assert_int_equal(ring_consumer(&shore->consumers[i], &shore->segments[i], "in",
					       SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT), 0);
		assert_int_equal(sluice_lanes_add(&shore->lanes, &shore->consumers[i]), 0);
	}
	return shore;
}

static inline void shore_close(struct shore *shore)
{
	assert_false(shore->wrong);
	sluice_lanes_release(&shore->lanes);
	for (uint32_t i = 0; i < shore->count; i++) {
		sluice_consumer_close(&shore->consumers[i], false);
		if (shore->producers[i].self)
			sluice_producer_close(&shore->producers[i]);
		ring_destroy(&shore->segments[i]);
	}
	free(shore);
}

static inline void put(struct shore *shore, uint32_t lane, uint64_t key)
{
	struct sluice_producer *producer = &shore->producers[lane];
	struct item item = {.key = key, .lane = lane, .number = shore->published[lane]++};
	uint64_t sequence;

	item.check = item.key ^ item.lane << 32 ^ item.number << 8;
	assert_int_equal(sluice_producer_try_claim(producer, 1, &sequence), 0);
	memcpy(sluice_producer_slot(producer, sequence), &item, sizeof(item));
	sluice_producer_publish(producer, sequence);
}

static inline int take(void *arg, struct sluice_consumer *lane, const void *event,
		       uint64_t sequence)
{
	struct shore *shore = arg;
	const uint32_t index = (uint32_t)(lane - shore->consumers);
	struct item item;

	memcpy(&item, event, sizeof(item));
	/* the copy is not in the ring, and every lane's events come in order */
	shore->wrong |= (const uint8_t *)event >= shore->segments[index].base &&
			(const uint8_t *)event < shore->segments[index].base +
							 shore->segments[index].total_bytes;
	shore->wrong |= item.lane != index || sequence < item.number ||
			item.check != (item.key ^ item.lane << 32 ^ item.number << 8);
	if (shore->say && shore->events + 1 == shore->say_at) {
		const int say = shore->say;

		shore->say = 0;
		if (say < 0 || sluice_is_rewind(say))
			return say;
		shore->items[shore->events++ % LOG_MAX] = item;
		shore->taken[index]++;
		return say;
	}
	shore->wrong |= item.number != shore->taken[index]++;
	shore->items[shore->events++ % LOG_MAX] = item;
	return 0;
}

static inline int poll_all(struct shore *shore, uint64_t max)
{
	return sluice_lanes_poll(&shore->lanes, max, take, shore);
}

/* The lanes of the events so far, as a string of digits. */
static inline void lanes_are(const struct shore *shore, const char *expected)
{
	char lanes[LOG_MAX + 1] = "";

	for (uint32_t i = 0; i < shore->events; i++)
		lanes[i] = (char)('0' + (int)shore->items[i].lane);
	assert_string_equal(lanes, expected);
}

#endif
