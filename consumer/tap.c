/* SPDX-License-Identifier: MIT */
/*
 * tap.c - see tap.h. Any process; leaves nothing when it dies, because it never wrote anything.
 */
#include "consumer/tap.h"

#include <errno.h>
#include <time.h>

#include "shm/clock.h"

#define TAP_SLEEP_NS_MIN 20000u
#define TAP_SLEEP_NS_MAX 1000000u

uint64_t sluice_tap_end(const struct sluice_tap *tap)
{
	const struct sluice_ring *ring = &tap->ring;
	uint64_t end;

	if (!ring->stamped)
		/* sync: ring:cursor <- publish:cursor; the events before the cursor */
		return atomic_load_explicit(&ring->control->cursor, memory_order_acquire);
	end = sluice_ring_oldest(ring);
	return sluice_ring_published(ring, end, 2 * ring->slot_count);
}

void sluice_tap_open(struct sluice_tap *ret_tap, struct sluice_segment *segment,
		     enum sluice_tap_from from, uint64_t sequence)
{
	struct sluice_tap tap = {.next = sequence};

	sluice_ring_init(&tap.ring, segment);
	if (from == SLUICE_TAP_OLDEST)
		tap.next = sluice_ring_oldest(&tap.ring);
	else if (from == SLUICE_TAP_END)
		tap.next = sluice_tap_end(&tap);
	/* never written here, so no stamp and no cursor would ever say that it is lost */
	if ((int64_t)(segment->header.base_sequence - tap.next) > 0) {
		tap.gaps = segment->header.base_sequence - tap.next;
		tap.next = segment->header.base_sequence;
	}
	*ret_tap = tap;
}

static int empty(struct sluice_tap *tap, void *ret_event)
{
	const uint32_t state = sluice_ring_state(&tap->ring);

	if (state == SLUICE_STATE_READY || state == SLUICE_STATE_RECOVERING)
		return -EAGAIN;
	return sluice_ring_copy(&tap->ring, tap->next, ret_event) == -EAGAIN ? -EPIPE : -EAGAIN;
}

static void skip(struct sluice_tap *tap)
{
	const uint64_t oldest = sluice_ring_oldest(&tap->ring);
	const uint64_t lost = oldest - tap->next;

	/* lapped while at the oldest: the writer is in this very slot, so one more is gone */
	if (!lost || lost >> 63) {
		tap->next++;
		tap->gaps++;
		return;
	}
	tap->next = oldest;
	tap->gaps += lost;
}

int sluice_tap_next(struct sluice_tap *tap, void *ret_event, uint64_t *ret_sequence)
{
	for (;;) {
		switch (sluice_ring_copy(&tap->ring, tap->next, ret_event)) {
		case 0:
			*ret_sequence = tap->next++;
			return 0;
		case -EAGAIN:
			return empty(tap, ret_event);
		case -ENODATA:
			tap->next++;
			tap->voids++;
			break;
		default:
			skip(tap);
		}
	}
}

int sluice_tap_wait(struct sluice_tap *tap, uint64_t timeout_ns, void *ret_event,
		    uint64_t *ret_sequence)
{
	const uint64_t started_ns = sluice_clock_ns();
	struct timespec pause = {.tv_nsec = TAP_SLEEP_NS_MIN};
	int rc;

	for (;;) {
		rc = sluice_tap_next(tap, ret_event, ret_sequence);
		if (rc != -EAGAIN)
			return rc;
		if (sluice_clock_ns() - started_ns >= timeout_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < (long)TAP_SLEEP_NS_MAX)
			pause.tv_nsec *= 2;
	}
}
