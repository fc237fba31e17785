/* SPDX-License-Identifier: MIT */
/*
 * crash_roles.c - see crash_roles.h. Killed at any instant; everything that must outlive that is on
 * the board (crash_board.h).
 */
#include "tests/lib/crash_roles.h"

#include <string.h>
#include <time.h>

#include "shm/clock.h"
#include "tests/lib/crash_failpoint.h"
#include "tests/lib/crash_oracle.h"
#include "tests/lib/ring_fixture.h"

#define WAIT_NS 5000000u
#define SAMPLE_MAX 8u
#define SPARSE_NS_MAX 2000000u

const char *const crash_role_names[CRASH_CONSUMERS] = {"engine", "stage", "evictable", "lossy"};

static bool is_stopped(const struct crash_process *process)
{
	return atomic_load(&process->board->is_stopped);
}

/* ---------------------------------------------------------------------------------- producer */

static uint64_t choose_batch(struct crash_process *process)
{
	const struct crash_config *config = process->config;
	const uint64_t random = test_random(&process->seed);

	if (config->is_big && random % 32 == 0)
		return config->slot_count;
	if (config->is_big && random % 16 == 1)
		return config->slot_count / 2;
	return random / 32 % config->batch_max + 1;
}

/* The first half of the bytes of the claim's last event before the failpoint, the rest after it. */
static void write_slots(struct sluice_producer *producer, struct crash_event *event, uint64_t first,
			uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint8_t *slot = sluice_producer_slot(producer, first + i);
		const size_t half = sizeof(*event) / 2;

		event->i = (uint16_t)i;
		event->sequence = first + i;
		crash_event_seal(event);
		memcpy(slot, event, half);
		if (i == n - 1)
			crash_point(SLUICE_FAIL_P4);
		memcpy(slot + half, (const uint8_t *)event + half, sizeof(*event) - half);
	}
}

static void publish_slots(struct crash_process *process, struct sluice_producer *producer,
			  uint64_t first, uint64_t n)
{
	struct crash_life *life = &process->board->lives_of[atomic_load(&process->place->life)];
	const uint64_t random = test_random(&process->seed);
	const uint64_t cut = n > 1 ? random / 4 % (n - 1) + 1 : n;

	if (random % 4 < 2 || n == 1) {
		sluice_producer_publish_range(producer, first, first + n - 1);
		crash_note_published(life, 0, n - 1);
	} else if (random % 4 == 2) {
		sluice_producer_publish_range(producer, first, first + cut - 1);
		crash_note_published(life, 0, cut - 1);
		sluice_producer_publish_range(producer, first + cut, first + n - 1);
		crash_note_published(life, cut, n - 1);
	} else {
		sluice_producer_publish_range(producer, first + cut, first + n - 1);
		crash_note_published(life, cut, n - 1);
		for (uint64_t i = cut; i-- > 0;) {
			sluice_producer_publish(producer, first + i);
			crash_note_published(life, i, i);
		}
	}
}

static bool produce_claim(struct crash_process *process, struct sluice_producer *producer,
			  struct crash_event *event)
{
	struct crash_life *life = &process->board->lives_of[event->life];
	const uint64_t n = choose_batch(process);
	uint64_t first;
	int rc;

	crash_note_intent(life, n);
	do
		rc = sluice_producer_claim(producer, n, WAIT_NS, &first);
	while (rc == -ETIMEDOUT && !is_stopped(process));
	if (rc) {
		if (rc == -ETIMEDOUT)
			return true;
		crash_wrong(process->board, CRASH_UNEXPECTED, "a claim of %llu gave %d",
			    (unsigned long long)n, rc);
		return false;
	}
	crash_note_claim(life, first);
	event->claim++;
	event->n = (uint16_t)n;
	write_slots(producer, event, first, n);
	publish_slots(process, producer, first, n);
	return true;
}

bool crash_produce(struct crash_process *process)
{
	struct crash_board *board = process->board;
	const struct sluice_producer_options options = {
		.wait = (uint32_t)(test_random(&process->seed) % 4),
	};
	struct crash_event event = {.life = atomic_load(&process->place->life)};
	struct sluice_producer producer;
	struct sluice_diag diag;
	int rc = sluice_producer_open(&producer, process->segment, &options, &diag);

	if (rc) {
		/* a joiner that was stopped holds the table: the driver starts another one */
		if (rc != -EBUSY && rc != -EAGAIN)
			crash_wrong(board, CRASH_UNEXPECTED, "producer's open: %s", diag.text);
		atomic_store(&board->lives_of[event.life].is_over, 1);
		return rc == -EBUSY || rc == -EAGAIN;
	}
	atomic_store(&process->place->has_joined, 1);
	while (!is_stopped(process)) {
		if (!produce_claim(process, &producer, &event))
			return false;
		if (process->config->is_sparse) {
			const struct timespec nap = {
				.tv_nsec = (long)(test_random(&process->seed) % SPARSE_NS_MAX),
			};

			nanosleep(&nap, NULL);
		}
	}
	atomic_store(&board->lives_of[event.life].is_over, 1);
	sluice_producer_close(&producer);
	return true;
}

/* ------------------------------------------------------------------------ critical consumers */

/* Anybody stopped may hold the slot that is waited for. */
static bool anybody_stops(const struct crash_board *board)
{
	for (uint32_t i = 0; i < CRASH_PLACES_MAX; i++)
		if (atomic_load(&board->places[i].is_stopping))
			return true;
	return false;
}

/* A stall is the death's if it ends with a tombstone and nobody was stopped meanwhile. */
struct stall {
	uint64_t since_ns; /* 0: none */
	bool is_excused;
};

static void stall_look(struct stall *stall, const struct crash_process *process,
		       const struct sluice_consumer *consumer)
{
	const struct sluice_control *control = process->segment->control;

	if (atomic_load(&control->claim) == consumer->next)
		return;
	if (!stall->since_ns)
		*stall = (struct stall){.since_ns = sluice_clock_ns()};
	stall->is_excused |= anybody_stops(process->board);
}

static void stall_end(struct stall *stall, const struct crash_process *process,
		      const struct sluice_consumer *consumer)
{
	struct crash_board *board = process->board;
	uint64_t ns, i;

	if (!stall->since_ns)
		return;
	ns = sluice_clock_ns() - stall->since_ns;
	stall->since_ns = 0;
	if (stall->is_excused || anybody_stops(board) ||
	    !sluice_consumer_is_void(consumer, consumer->next))
		return;
	i = atomic_fetch_add(&board->stalls, 1);
	if (i < CRASH_STALLS_MAX)
		atomic_store(&board->stall_us[i], (uint32_t)(ns / 1000));
}

static int consume_batch(struct crash_process *process, struct sluice_consumer *consumer,
			 struct crash_reader *reader, struct stall *stall)
{
	uint64_t n;
	int rc = sluice_consumer_poll(consumer, test_random(&process->seed) % 32 + 1, &n);

	if (rc == -EAGAIN) {
		stall_look(stall, process, consumer);
		rc = sluice_consumer_wait(consumer, 32, WAIT_NS, &n);
	}
	if (rc)
		return rc;
	stall_end(stall, process, consumer);
	for (uint64_t s = consumer->next; s != consumer->next + n; s++) {
		struct crash_event event;

		memcpy(&event, sluice_consumer_event(consumer, s), sizeof(event));
		crash_see(process->board, reader, s,
			  sluice_consumer_is_void(consumer, s) ? NULL : &event);
	}
	sluice_consumer_advance(consumer, n);
	sluice_consumer_release(consumer, consumer->next);
	return 0;
}

bool crash_consume(struct crash_process *process, enum crash_role role)
{
	const char *const engine[] = {crash_role_names[CRASH_ENGINE], NULL};
	const struct sluice_consumer_options options = {
		.name = crash_role_names[role],
		.policy = SLUICE_POLICY_CRITICAL,
		.wait = (uint32_t)(test_random(&process->seed) % 4),
		.from = SLUICE_FROM_BEGINNING,
		.after = role == CRASH_STAGE ? engine : NULL,
	};
	struct sluice_consumer consumer;
	struct sluice_diag diag;
	struct stall stall = {0};
	int rc = sluice_consumer_open(&consumer, process->segment, &options, &diag);

	if (rc == -EBUSY || rc == -EAGAIN)
		return true; /* the table is held by somebody stopped: started again */
	if (rc) {
		crash_wrong(process->board, CRASH_UNEXPECTED, "%s: %s", options.name, diag.text);
		return false;
	}
	atomic_store(&process->place->has_joined, 1);
	do
		rc = consume_batch(process, &consumer, &process->board->readers[role], &stall);
	while (!rc || rc == -EAGAIN || rc == -ETIMEDOUT);
	if (rc != -EPIPE)
		crash_wrong(process->board, CRASH_UNEXPECTED, "%s: wait gave %d", options.name, rc);
	sluice_consumer_close(&consumer, true);
	return rc == -EPIPE;
}

/* --------------------------------------------------------------------------- other consumers */

/* Events of one life come in order, whatever is missing between them. */
struct order {
	uint64_t life[CRASH_PRODUCERS_MAX];
	uint64_t at[CRASH_PRODUCERS_MAX]; /* claim and slot of the last one */
};

static void sample_check(struct crash_process *process, struct order *order, uint64_t sequence,
			 const struct crash_event *event)
{
	const uint64_t at = (uint64_t)event->claim << 16 | event->i;
	const uint64_t i = event->life % CRASH_PRODUCERS_MAX;

	atomic_fetch_add(&process->board->copies, 1);
	if (!crash_event_is_whole(event, process->board, sequence))
		return crash_wrong(process->board, CRASH_TORN, "a copy of %llu",
				   (unsigned long long)sequence);
	if (order->life[i] == event->life && at <= order->at[i])
		crash_wrong(process->board, CRASH_REORDERED, "a copy of %llu, life %llu",
			    (unsigned long long)sequence, (unsigned long long)event->life);
	order->life[i] = event->life;
	order->at[i] = at;
}

static int sample_batch(struct crash_process *process, struct sluice_consumer *consumer,
			struct order *order)
{
	struct crash_event event;
	uint64_t n;
	int rc = sluice_consumer_wait(consumer, SAMPLE_MAX, WAIT_NS, &n);

	if (rc)
		return rc;
	for (uint64_t i = 0; i < n; i++) {
		rc = sluice_consumer_copy(consumer, consumer->next, &event);
		if (rc == -EOVERFLOW) {
			atomic_fetch_add(&process->board->gaps, sluice_consumer_skip(consumer));
			return 0;
		}
		if (rc == -EAGAIN)
			return 0;
		if (rc && rc != -ENODATA)
			return rc;
		if (!rc)
			sample_check(process, order, consumer->next, &event);
		sluice_consumer_advance(consumer, 1);
	}
	if (consumer->policy != SLUICE_POLICY_LOSSY)
		sluice_consumer_release(consumer, consumer->next);
	return 0;
}

bool crash_sample(struct crash_process *process, enum crash_role role)
{
	const uint64_t random = test_random(&process->seed);
	const struct sluice_consumer_options options = {
		.name = crash_role_names[role],
		.policy = role == CRASH_LOSSY ? SLUICE_POLICY_LOSSY : SLUICE_POLICY_EVICTABLE,
		.wait = (uint32_t)(random % 4),
		.from = random / 4 % 2 ? SLUICE_FROM_BEGINNING : SLUICE_FROM_NEXT,
		.lag_max = random / 8 % 2 ? process->config->slot_count * 3 / 4 : 0,
	};
	struct order order = {0};
	struct sluice_consumer consumer;
	struct sluice_diag diag;
	int rc = sluice_consumer_open(&consumer, process->segment, &options, &diag);

	if (rc == -EBUSY || rc == -EAGAIN)
		return true;
	if (rc) {
		crash_wrong(process->board, CRASH_UNEXPECTED, "%s: %s", options.name, diag.text);
		return false;
	}
	atomic_store(&process->place->has_joined, 1);
	do
		rc = sample_batch(process, &consumer, &order);
	while (!rc || rc == -ETIMEDOUT || rc == -EAGAIN);
	if (rc == -ESTALE)
		atomic_fetch_add(&process->board->evictions, 1);
	else if (rc != -EPIPE)
		crash_wrong(process->board, CRASH_UNEXPECTED, "%s: wait gave %d", options.name, rc);
	sluice_consumer_close(&consumer, false);
	return rc == -EPIPE || rc == -ESTALE;
}
