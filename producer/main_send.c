/* SPDX-License-Identifier: MIT */
/*
 * main_send.c - the loop of sluice-producer: take commands, wait until they are due, claim, copy,
 * publish. Killed at any instruction it leaves a published prefix of its commands, and at most one
 * claim that its successor or the engine turns into tombstones.
 */
#include "producer/main.h"

#include <sched.h>
#include <string.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define CLAIM_WAIT_NS 100000000u
#define GATE_SAY_NS 2000000000u
#define NAP_NS_MAX 100000000u /* between two looks at the signals */
#define WAKE_EARLY_NS 60000u  /* the last part of a wait is yielded through: timers come late */

int producer_check(struct producer_run *run)
{
	uint32_t state;

	if (sluice_signals_stop())
		return -EINTR;
	state = sluice_ring_state(&run->out.ring);
	if (state != SLUICE_STATE_READY && state != SLUICE_STATE_RECOVERING)
		return sluice_diag_set(&run->diag, EPIPE, "%s was %s: its engine has ended",
				       run->segment.header.name,
				       state == SLUICE_STATE_DRAINING ? "closed" : "retired");
	if (!sluice_segment_is_named(&run->segment))
		return sluice_diag_set(&run->diag, EPIPE, "%s was removed or replaced while it was in "
				       "use", run->segment.header.name);
	return 0;
}

static void say_gate(struct producer_run *run)
{
	struct sluice_participant_view view, slowest = {.name = "nobody"};
	int64_t lag_max = 0; /* a consumer may be ahead of what this producer claimed last */

	for (uint32_t i = 0; i < run->segment.header.participant_count; i++) {
		if (!sluice_participant_view(&run->segment, i, &view) || !view.gating)
			continue;
		if ((int64_t)(run->out.next - view.position) < lag_max)
			continue;
		lag_max = (int64_t)(run->out.next - view.position);
		slowest = view;
	}
	sluice_cli_log(PRODUCER_PROGRAM, "waiting=\"%s is full\" gate=%s pid=%u alive=%s behind=%lld",
		       run->segment.header.name, slowest.name, slowest.pid,
		       slowest.alive == 1 ? "yes" : slowest.alive == 0 ? "no" : "unknown",
		       (long long)lag_max);
	run->gate_said = true;
}

static int claim(struct producer_run *run, uint64_t *ret_first)
{
	uint64_t started_ns = 0;
	int rc;

	for (;;) {
		rc = sluice_producer_claim(&run->out, run->pending_count, CLAIM_WAIT_NS, ret_first);
		if (rc == -EBADMSG)
			return sluice_diag_set(&run->diag, EBADMSG, "%s: a consumer's position is "
					       "impossible: shared memory was damaged",
					       run->segment.header.name);
		if (rc == -EPIPE)
			return producer_check(run) ?: -EPIPE;
		if (rc != -ETIMEDOUT)
			return rc;
		rc = producer_check(run);
		if (rc)
			return rc;
		if (!started_ns)
			started_ns = sluice_clock_ns() - CLAIM_WAIT_NS;
		if (!run->gate_said && sluice_clock_ns() - started_ns >= GATE_SAY_NS)
			say_gate(run);
	}
}

/* Open loop: a batch leaves at its time or, if that has passed, at once with its time in it. */
static int wait_until(struct producer_run *run, uint64_t due_ns)
{
	uint64_t now_ns = sluice_clock_ns();

	while (now_ns < due_ns) {
		const uint64_t left_ns = due_ns - now_ns;
		struct timespec nap = {0};

		if (sluice_signals_stop())
			return -EINTR;
		if (left_ns > WAKE_EARLY_NS) {
			nap.tv_nsec = (long)(left_ns - WAKE_EARLY_NS > NAP_NS_MAX ?
						     NAP_NS_MAX : left_ns - WAKE_EARLY_NS);
			nanosleep(&nap, NULL);
		} else if (run->options->wait == SLUICE_WAIT_SPIN) {
			sluice_cpu_relax();
		} else {
			sched_yield();
		}
		now_ns = sluice_clock_ns();
	}
	if (now_ns - due_ns > run->late_ns_max)
		run->late_ns_max = now_ns - due_ns;
	return 0;
}

int producer_flush(struct producer_run *run)
{
	const uint32_t n = run->pending_count;
	uint64_t first, send_ns;
	int rc = 0;

	if (!n)
		return 0;
	if (run->pending_ns)
		rc = wait_until(run, run->pending_ns);
	if (!rc)
		send_ns = run->pending_ns ? run->pending_ns : sluice_clock_ns();
	if (!rc)
		rc = claim(run, &first);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command *command = &run->pending[i];

		command->send_ns = send_ns;
		memcpy(sluice_producer_slot(&run->out, first + i), command, sizeof(*command));
	}
	sluice_producer_publish_range(&run->out, first, first + n - 1);
	sluice_producer_count(&run->out, n);
	run->sent += n;
	run->pending_count = 0;
	run->pending_ns = 0;
	return 0;
}

static int put(struct producer_run *run, const struct sluice_command *command)
{
	struct sluice_command *copy = &run->pending[run->pending_count];

	if (run->options->rate) {
		const uint64_t due_ns = sluice_rate_next(&run->rate);

		if (!run->pending_count)
			run->pending_ns = due_ns;
	}
	*copy = *command;
	copy->head.length = sizeof(*copy);
	copy->head.participant = (uint16_t)run->out.index;
	copy->head.flags = 0;
	run->pending_count++;
	return run->pending_count == run->options->batch ? producer_flush(run) : 0;
}

/* 1: a command, 0: the end, or -errno. What is pending never waits for a slow pipe. */
static int take(struct producer_run *run, struct sluice_source_item *ret_item)
{
	int rc = 0;

	if (run->options->count && run->taken == run->options->count)
		return 0;
	if (!sluice_source_ready(run->source))
		rc = producer_flush(run);
	if (!rc)
		rc = sluice_source_next(run->source, ret_item, &run->diag);
	while (rc == -EINTR && !sluice_signals_stop())
		rc = sluice_source_next(run->source, ret_item, &run->diag);
	run->taken += rc == 1;
	run->source_failed = rc < 0 && rc != -EINTR && rc != -EPIPE && rc != -ETIMEDOUT;
	return rc;
}

int producer_send_all(struct producer_run *run)
{
	struct sluice_source_item item;
	int rc = 0, flushed;

	run->started_ns = sluice_clock_ns();
	if (run->options->rate)
		rc = sluice_rate_init(&run->rate, run->options->rate, run->options->poisson,
				      run->options->generator.seed, run->started_ns);
	if (rc)
		return sluice_diag_set(&run->diag, -rc, "--rate: at most %u per second",
				       SLUICE_RATE_MAX);
	while (!rc) {
		if (sluice_signals_stop())
			return -EINTR;
		rc = take(run, &item);
		if (rc != 1)
			break;
		rc = run->taken > run->options->resume_from ? put(run, &item.command) : 0;
	}
	if (rc == -EINTR || rc == -EPIPE || rc == -ETIMEDOUT)
		return rc;
	/* what came before a wrong line is right */
	flushed = producer_flush(run);
	return rc ? rc : flushed;
}
