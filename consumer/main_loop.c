/* SPDX-License-Identifier: MIT */
/*
 * main_loop.c - the loops of sluice-consumer: as a participant of the ring, or as a tap that the
 * ring does not know of. Lines gather while events keep coming; what is idle is flushed.
 */
#include "consumer/main.h"

#include "cli/signals.h"
#include "shm/clock.h"

#define BATCH_MAX 1024u
#define EVENT_BYTES_MAX 256u

SLUICE_STATIC_ASSERT(sizeof(struct sluice_report) <= EVENT_BYTES_MAX, "an event fits the copy");

static bool is_enough(const struct consumer_run *run)
{
	return run->options->count && run->events >= run->options->count;
}

/* Nothing came for a while: 0 goes on waiting, 1 ends well, or -EINTR. */
static int idle(struct consumer_run *run)
{
	if (sluice_signals_stop())
		return -EINTR;
	if (run->options->until_idle_ns &&
	    sluice_clock_ns() - run->active_ns >= run->options->until_idle_ns)
		return 1;
	/* removed under us: nobody will ever publish here again */
	return sluice_segment_is_named(&run->segment) ? 0 : 1;
}

/* How long one wait may last, so that --until-idle ends on time. */
static uint64_t patience(const struct consumer_run *run)
{
	const uint64_t until_ns = run->options->until_idle_ns;

	return until_ns && until_ns < CONSUMER_IDLE_NS ? until_ns : CONSUMER_IDLE_NS;
}

/* Everything read so far is written: only now may its slots be reused. */
static int settle(struct consumer_run *run)
{
	const int rc = consumer_output_flush(run);

	if (!rc && run->in.released != run->in.next)
		sluice_consumer_release(&run->in, run->in.next);
	return rc;
}

static void record_latency(struct consumer_run *run, const struct sluice_report *report,
			   uint64_t now_ns)
{
	if (run->latency && report->send_ns && report->send_ns < now_ns)
		sluice_histogram_record(run->latency, now_ns - report->send_ns);
}

/* One event into a private copy. 0, or what sluice_ring_copy says. */
static int fetch(struct consumer_run *run, uint64_t sequence, void *ret_event)
{
	if (run->options->policy != CONSUMER_CRITICAL)
		return sluice_consumer_copy(&run->in, sequence, ret_event);
	if (sluice_consumer_is_void(&run->in, sequence))
		return -ENODATA;
	memcpy(ret_event, sluice_consumer_event(&run->in, sequence), run->in.ring.payload_bytes);
	return 0;
}

/* Up to n events; *ret_done may be less when the buffer is full or enough was read. */
static int take_batch(struct consumer_run *run, uint64_t n, uint64_t *ret_done)
{
	const uint64_t now_ns = sluice_clock_ns();
	_Alignas(64) uint8_t event[EVENT_BYTES_MAX];
	uint64_t done = 0;
	int rc = 0;

	run->active_ns = now_ns;
	while (!rc && done < n && !is_enough(run) && !consumer_output_is_full(&run->output)) {
		const uint64_t sequence = run->in.next + done;

		rc = fetch(run, sequence, event);
		if (!rc) {
			if (run->options->ring == CONSUMER_REP)
				record_latency(run, (const void *)event, now_ns);
			rc = consumer_take(run, event, sequence);
		} else if (rc == -ENODATA) {
			run->voids++;
			rc = 0;
		}
		done += !rc;
	}
	*ret_done = done;
	return rc;
}

static int step_participant(struct consumer_run *run, uint64_t n)
{
	const uint64_t quarter = run->in.ring.slot_count / 4;
	uint64_t done;
	int rc = take_batch(run, n, &done);

	sluice_consumer_advance(&run->in, done);
	if (rc == -EOVERFLOW && run->options->policy == CONSUMER_LOSSY) {
		const uint64_t lost = sluice_consumer_skip(&run->in);

		/* numbered events show the gap by themselves */
		run->lost += run->options->ring == CONSUMER_CMD ? lost : 0;
		rc = 0;
	} else if (rc == -EAGAIN) {
		rc = 0;
	}
	sluice_consumer_count(&run->in, done, 0);
	/* a producer must not wait for a buffer to fill */
	if (!rc && (consumer_output_is_full(&run->output) || run->output.fd < 0 ||
		    run->in.next - run->in.released >= quarter))
		rc = settle(run);
	return rc;
}

int consumer_run_participant(struct consumer_run *run)
{
	uint64_t n;
	int rc = 0, end;

	run->active_ns = sluice_clock_ns();
	while (!rc && !is_enough(run) && !sluice_signals_stop()) {
		rc = sluice_consumer_poll(&run->in, BATCH_MAX, &n);
		if (rc == -EAGAIN) {
			rc = settle(run);
			if (!rc)
				rc = sluice_consumer_wait(&run->in, BATCH_MAX, patience(run), &n);
		}
		if (!rc)
			rc = step_participant(run, n);
		else if (rc == -ETIMEDOUT)
			rc = idle(run);
	}
	end = rc == -ESTALE || rc == -EIO ? 0 : settle(run);
	if (rc == -ESTALE)
		sluice_diag_set(&run->diag, ESTALE, "%s: evicted, because it fell too far behind",
				run->segment.header.name);
	if (rc == 1 || rc == -EPIPE || rc == -ESHUTDOWN)
		rc = 0;
	if (!rc && sluice_signals_stop())
		rc = -EINTR;
	return rc && rc != -EINTR ? rc : end ? end : rc;
}

/* Reads until there is nothing new. */
static int drain_tap(struct consumer_run *run)
{
	_Alignas(64) uint8_t event[EVENT_BYTES_MAX];
	uint64_t sequence;
	int rc = 0;

	while (!rc && !is_enough(run) && !sluice_signals_stop()) {
		rc = sluice_tap_next(&run->tap, event, &sequence);
		if (!rc)
			rc = consumer_take(run, event, sequence);
		if (!rc)
			run->active_ns = 0;
		if (!rc && consumer_output_is_full(&run->output))
			rc = consumer_output_flush(run);
	}
	return rc;
}

static int wait_tap(struct consumer_run *run)
{
	_Alignas(64) uint8_t event[EVENT_BYTES_MAX];
	uint64_t sequence;
	int rc = consumer_output_flush(run);

	if (rc)
		return rc;
	if (!run->active_ns)
		run->active_ns = sluice_clock_ns();
	rc = sluice_tap_wait(&run->tap, patience(run), event, &sequence);
	if (!rc) {
		run->active_ns = 0;
		return consumer_take(run, event, sequence);
	}
	return rc == -ETIMEDOUT ? idle(run) : rc;
}

int consumer_run_tap(struct consumer_run *run)
{
	int rc = 0, end;

	run->active_ns = sluice_clock_ns();
	while (!rc && !is_enough(run) && !sluice_signals_stop()) {
		rc = drain_tap(run);
		if (rc == -EAGAIN)
			rc = wait_tap(run);
	}
	end = rc == -EIO ? 0 : consumer_output_flush(run);
	run->voids = run->tap.voids;
	if (run->options->ring == CONSUMER_CMD)
		run->lost = run->tap.gaps;
	if (rc == 1 || rc == -EPIPE || rc == -ESHUTDOWN)
		rc = 0;
	if (!rc && sluice_signals_stop())
		rc = -EINTR;
	return rc && rc != -EINTR ? rc : end ? end : rc;
}
