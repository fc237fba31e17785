/* SPDX-License-Identifier: MIT */
/*
 * crash_failpoint.c - see crash_failpoint.h. A crash is what it is for. Unarmed, as every program
 * of the profile is but the harness, a failpoint returns at once.
 */
#include "tests/lib/crash_failpoint.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/ring_fixture.h"

#define NAP_NS_MAX 400000u

static struct {
	const struct crash_config *config;
	struct crash_board *board;
	struct crash_place *place;
	uint64_t seed;
	enum sluice_failpoint once;
	bool is_stop;
} armed;

void crash_arm(const struct crash_config *config, struct crash_board *board,
	       struct crash_place *place, uint64_t seed)
{
	armed.config = config;
	armed.board = board;
	armed.place = place;
	armed.seed = seed;
}

void crash_arm_once(enum sluice_failpoint point, bool is_stop)
{
	armed.once = point;
	armed.is_stop = is_stop;
}

const char *crash_point_name(enum sluice_failpoint point)
{
	static const char *const names[SLUICE_FAIL_COUNT] = {
		"outside", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "R1", "R2", "J1", "J2",
	};

	return point < SLUICE_FAIL_COUNT ? names[point] : "?";
}

static const struct crash_rates *rates_of(enum sluice_failpoint point)
{
	if (point >= SLUICE_FAIL_J1)
		return &armed.config->joiner;
	return point >= SLUICE_FAIL_R1 ? &armed.config->recoverer : &armed.config->producer;
}

static bool hits(uint32_t once_in)
{
	return once_in && test_random(&armed.seed) % once_in == 0;
}

static _Noreturn void die(enum sluice_failpoint point)
{
	if (armed.place)
		atomic_store(&armed.place->died_at, point);
	for (;;)
		kill(getpid(), SIGKILL);
}

void crash_point(enum sluice_failpoint point)
{
	const struct crash_rates *rates;

	if (armed.once == point) {
		armed.once = SLUICE_FAIL_NONE;
		if (!armed.is_stop)
			die(point);
		raise(SIGSTOP);
	}
	if (!armed.config)
		return;
	rates = rates_of(point);
	/* relaxed: a statistic */
	atomic_fetch_add_explicit(&armed.board->visits[point], 1, memory_order_relaxed);
	if (hits(rates->nap)) {
		const struct timespec nap = {
			.tv_nsec = (long)(test_random(&armed.seed) % NAP_NS_MAX),
		};

		nanosleep(&nap, NULL);
	}
	if (hits(rates->stop)) {
		atomic_store(&armed.place->is_stopping, 1);
		raise(SIGSTOP);
	}
	if (hits(rates->kill))
		die(point);
}

#ifdef SLUICE_FAILPOINTS
void sluice_failpoint(enum sluice_failpoint point)
{
	crash_point(point);
}
#endif
