/* SPDX-License-Identifier: MIT */
/* Consumers that gate a ring from before anybody can see it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/participant.h"
#include "shm/ring.h"
#include "tests/unit/shm/segment_fixture.h"

#define BASE 1000

static int create(const char *const *reserve, struct sluice_segment *ret_segment,
		  struct sluice_diag *diag)
{
	struct sluice_segment_options options = fixture_options("kept");

	options.base_sequence = BASE;
	options.reserve = reserve;
	return sluice_segment_create(ret_segment, &options, diag);
}

static const struct sluice_participant_options engine = {
	.name = "engine",
	.role = SLUICE_ROLE_CONSUMER,
	.policy = SLUICE_POLICY_CRITICAL,
	.from = SLUICE_FROM_NEXT,
};

static void test_reserve__gates_from_the_first_event_on(void **state)
{
	static const char *const names[] = {"engine", "log", NULL};
	struct sluice_participant_view view;
	struct sluice_segment segment;
	struct sluice_ring ring;
	int err;

	(void)state;
	assert_int_equal(create(names, &segment, NULL), 0);
	sluice_ring_init(&ring, &segment);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(sluice_participant_view(&segment, i, &view));
		assert_string_equal(view.name, names[i]);
		assert_int_equal(view.state, SLUICE_PARTICIPANT_DETACHED);
		assert_int_equal(view.role, SLUICE_ROLE_CONSUMER);
		assert_int_equal(view.policy, SLUICE_POLICY_CRITICAL);
		assert_int_equal(view.position, BASE);
		assert_int_equal(view.gating, 1);
		assert_int_equal(view.alive, 0);
	}
	assert_false(sluice_participant_view(&segment, 2, &view));
	/* a ring's worth may be claimed, no more */
	assert_int_equal(sluice_gate_min(&ring, BASE + 64, &err), BASE);
	assert_int_equal(err, 0);
	sluice_segment_close(&segment);
}

static void publish(struct sluice_segment *segment, uint64_t n)
{
	struct sluice_ring ring;

	sluice_ring_init(&ring, segment);
	for (uint64_t s = BASE; s != BASE + n; s++)
		/* relaxed, both: one thread */
		atomic_store_explicit(sluice_ring_stamp(&ring, s), s + 1, memory_order_relaxed);
	atomic_store_explicit(&segment->control->claim, BASE + n, memory_order_relaxed);
}

/* It asks for the next event, and gets those that it would have missed. */
static void test_reserve__late_arrival_begins_at_the_first_event(void **state)
{
	static const char *const names[] = {"engine", NULL};
	struct sluice_segment segment;
	bool resumed = false;
	uint32_t index = 99;

	(void)state;
	assert_int_equal(create(names, &segment, NULL), 0);
	publish(&segment, 5);
	assert_int_equal(sluice_participant_join(&segment, &engine, &index, &resumed, NULL), 0);
	assert_true(resumed);
	assert_int_equal(index, 0);
	/* relaxed: one thread */
	assert_int_equal(atomic_load_explicit(&segment.participants[0].position,
					      memory_order_relaxed), BASE);
	assert_int_equal(sluice_participant_join(&segment, &engine, &index, &resumed, NULL),
			 -EBUSY);
	sluice_participant_leave(&segment, 0, true);
	sluice_segment_close(&segment);
}

/* Whoever attaches finds the place taken, however early it is: there is no moment in between. */
static void test_reserve__nobody_sees_the_ring_without_it(void **state)
{
	static const char *const names[] = {"engine", NULL};
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fixture_default_signals();
		for (uint32_t seen = 0; seen < 200;) {
			struct sluice_segment segment;
			const int err = sluice_segment_attach(&segment, "kept", SLUICE_ACCESS_READ,
							      NULL);

			check(!err || err == -ENOENT);
			if (err)
				continue;
			seen++;
			/* relaxed, both: of a segment that was renamed when complete */
			check(atomic_load_explicit(&segment.control->gating,
						   memory_order_relaxed) == 1);
			check((atomic_load_explicit(&segment.participants[0].state,
						    memory_order_relaxed) & 0xff) ==
			      SLUICE_PARTICIPANT_DETACHED);
			sluice_segment_close(&segment);
		}
		_exit(0);
	}
	close(ends[0]);
	for (int i = 0; i < 20000; i++) {
		struct sluice_segment segment;
		int status;

		assert_int_equal(create(names, &segment, NULL), 0);
		sluice_segment_close(&segment);
		/* there for a while now and then: attaching is slow under ThreadSanitizer */
		if (i % 16 == 15)
			usleep(1000);
		assert_int_equal(sluice_segment_unlink("kept", NULL), 0);
		if (waitpid(pid, &status, WNOHANG) == pid) {
			assert_int_equal(status, 0);
			close(ends[1]);
			return;
		}
	}
	fixture_kill(pid);
	fail_msg("it was never seen 200 times");
}

static void test_reserve__bad_names_create_nothing(void **state)
{
	static const char *const empty[] = {"", NULL};
	static const char *const blank[] = {"a b", NULL};
	static const char *const twice[] = {"a", "b", "a", NULL};
	static const char *const long_name[] = {"a2345678901234567890123456789012", NULL};
	static const char *const five[] = {"a", "b", "c", "d", "e", NULL};
	const char *const *const bad[] = {empty, blank, twice, long_name, five};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct sluice_segment segment;
		struct sluice_diag diag = {0};

		assert_int_equal(create(bad[i], &segment, &diag), -EINVAL);
		assert_true(*diag.text);
		assert_int_equal(fixture_files(false), 0);
	}
}

static void test_reserve__private_ring_too(void **state)
{
	static const char *const names[] = {"engine", NULL};
	struct sluice_segment_options options = fixture_options(NULL);
	struct sluice_segment segment;
	bool resumed = false;
	uint32_t index;

	(void)state;
	options.reserve = names;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(sluice_participant_join(&segment, &engine, &index, &resumed, NULL), 0);
	assert_true(resumed);
	sluice_segment_close(&segment);
}

#define reserve_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		reserve_test(test_reserve__gates_from_the_first_event_on),
		reserve_test(test_reserve__late_arrival_begins_at_the_first_event),
		reserve_test(test_reserve__nobody_sees_the_ring_without_it),
		reserve_test(test_reserve__bad_names_create_nothing),
		reserve_test(test_reserve__private_ring_too),
	};

	return cmocka_run_group_tests_name("reserve", tests, fixture_setup, fixture_teardown);
}
