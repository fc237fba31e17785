/* SPDX-License-Identifier: MIT */
/*
 * test_wal_probe.c - timing commits: what is chosen and said, that each commit is waited for, and
 * that a slow disk does not make the start slow. The disk is played here, at the ops struct.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/wal/wal_probe.h"

struct player {
	struct sluice_wal_files files; /* first */
	uint32_t submits;
	uint32_t in_flight;
	uint32_t polls_until_done;
	uint32_t sleeps;
	uint32_t left; /* polls, of the write in flight */
	useconds_t slow_us;
	int64_t result;
	int refuse;
	uint64_t offsets[SLUICE_WAL_PROBE_COMMITS + 1];
};

static int player_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct player *player = (struct player *)io;

	if (player->refuse)
		return player->refuse;
	assert_int_equal(player->in_flight, 0);
	assert_int_equal(write->file, SLUICE_WAL_FILE_PROBE);
	assert_int_equal(write->bytes, SLUICE_WAL_ALIGN);
	player->offsets[player->submits++ % SLUICE_WAL_PROBE_COMMITS] = write->offset;
	player->in_flight = 1;
	player->left = player->polls_until_done;
	return 0;
}

static int player_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		       uint64_t timeout_ns)
{
	struct player *player = (struct player *)io;

	assert_int_equal(player->in_flight, 1);
	assert_true(max >= 1);
	player->sleeps += timeout_ns > 0;
	if (player->left-- > 0)
		return 0;
	usleep(player->slow_us);
	player->in_flight = 0;
	*ret_done = (struct sluice_wal_io_done){player->submits - 1, player->result};
	return 1;
}

static const struct sluice_wal_io_ops player_ops = {.submit = player_submit, .reap = player_reap};

static void play(struct player *player)
{
	*player = (struct player){.result = SLUICE_WAL_ALIGN};
	player->files.io.ops = &player_ops;
	strcpy(player->files.io.text, "disk");
}

static void test_wal_probe__every_commit_is_waited_for(void **state)
{
	struct sluice_wal_probe probe = {.n = 0};
	struct player player;

	(void)state;
	play(&player);
	player.polls_until_done = 3;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), 0);
	assert_int_equal(probe.n, 16);
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 100, &probe), 0);
	assert_int_equal(probe.n, SLUICE_WAL_PROBE_COMMITS);
	assert_int_equal(player.submits, SLUICE_WAL_PROBE_COMMITS);
	for (uint32_t i = 0; i < SLUICE_WAL_PROBE_COMMITS; i++)
		assert_int_equal(player.offsets[i], i * SLUICE_WAL_ALIGN);
}

/* It yields at first, as the engine does, and then it sleeps. */
static void test_wal_probe__waits_as_the_engine_does(void **state)
{
	struct sluice_wal_probe probe = {.n = 0};
	struct player player;

	(void)state;
	play(&player);
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 1, &probe), 0);
	assert_int_equal(player.sleeps, 0);
	player.polls_until_done = 1000000;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 1, &probe), 0);
	assert_true(player.sleeps > 0);
}

static void test_wal_probe__a_slow_disk_is_timed_less_often(void **state)
{
	struct sluice_wal_probe probe = {.n = 0};
	struct player player;

	(void)state;
	play(&player);
	player.slow_us = 400000;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), 0);
	assert_in_range(probe.n, 1, 3);
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), 0);
	assert_in_range(probe.n, 1, 3);
	assert_true(sluice_wal_probe_p50(&probe) >= 400000000);
}

static void test_wal_probe__errors_end_it(void **state)
{
	struct sluice_wal_probe probe = {.n = 0};
	struct player player;

	(void)state;
	play(&player);
	player.result = -EIO;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), -EIO);
	player.result = 512;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), -EIO);
	player.refuse = -ENXIO;
	assert_int_equal(sluice_wal_probe_run(&player.files.io, &player, 16, &probe), -ENXIO);
	assert_int_equal(probe.n, 0);
	assert_int_equal(player.submits, 2);
}

/* Samples of 1 to n us, in an order that is not sorted. */
static void sample(struct sluice_wal_probe *probe, uint32_t n, uint64_t unit_ns)
{
	*probe = (struct sluice_wal_probe){.n = n};
	for (uint32_t i = 0; i < n; i++)
		probe->ns[(i * 7 + 3) % n] = (i + 1) * unit_ns;
}

static void test_wal_probe__percentiles(void **state)
{
	struct sluice_wal_probe probe;

	(void)state;
	sample(&probe, 64, 1000);
	assert_int_equal(sluice_wal_probe_p50(&probe), 32000);
	assert_int_equal(sluice_wal_probe_p99(&probe), 63000); /* the highest is let go */
	sample(&probe, 1, 5000);
	assert_int_equal(sluice_wal_probe_p50(&probe), 5000);
	assert_int_equal(sluice_wal_probe_p99(&probe), 5000);
}

struct choice {
	uint32_t asked;
	uint64_t dsync_ns, link_ns; /* 0: not timed */
	const char *untimed;
	uint32_t want;
	const char *text;
};

static void test_wal_probe__the_lower_p99_is_chosen_and_both_are_said(void **state)
{
	static const struct choice choices[] = {
		{SLUICE_WAL_SYNC_AUTO, 1000, 2000, NULL, SLUICE_WAL_SYNC_DSYNC,
		 "disk, sync=dsync (p99 63 us; link 126 us)"},
		{SLUICE_WAL_SYNC_AUTO, 3000, 2000, NULL, SLUICE_WAL_SYNC_LINK,
		 "disk, sync=link (p99 126 us; dsync 189 us)"},
		{SLUICE_WAL_SYNC_AUTO, 2000, 2000, NULL, SLUICE_WAL_SYNC_DSYNC,
		 "disk, sync=dsync (p99 126 us; link 126 us)"},
		{SLUICE_WAL_SYNC_DSYNC, 1000, 0, NULL, SLUICE_WAL_SYNC_DSYNC,
		 "disk, sync=dsync (p99 63 us)"},
		{SLUICE_WAL_SYNC_LINK, 0, 1000, NULL, SLUICE_WAL_SYNC_LINK,
		 "disk, sync=link (p99 63 us)"},
		{SLUICE_WAL_SYNC_AUTO, 0, 0, "why", SLUICE_WAL_SYNC_DSYNC,
		 "disk, sync=dsync (not timed: why)"},
		{SLUICE_WAL_SYNC_LINK, 0, 0, "why", SLUICE_WAL_SYNC_LINK,
		 "disk, sync=link (not timed: why)"},
		{SLUICE_WAL_SYNC_AUTO, 2000, 1000, "why", SLUICE_WAL_SYNC_DSYNC,
		 "disk, sync=dsync (not timed: why)"},
		{SLUICE_WAL_SYNC_AUTO, 0, 0, NULL, SLUICE_WAL_SYNC_DSYNC, "disk"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct sluice_wal_probe probes[SLUICE_WAL_PROBES] = {{.n = 0}};
		const struct choice *choice = &choices[i];
		struct player player;

		play(&player);
		player.files.io.sync = choice->asked;
		if (choice->dsync_ns)
			sample(&probes[SLUICE_WAL_SYNC_DSYNC], 64, choice->dsync_ns);
		if (choice->link_ns)
			sample(&probes[SLUICE_WAL_SYNC_LINK], 64, choice->link_ns);
		assert_int_equal(sluice_wal_probe_choose(&player.files.io, probes, choice->untimed),
				 choice->want);
		assert_string_equal(player.files.io.text, choice->text);
		assert_int_equal(player.files.io.calibrated_p50_ns,
				 choice->untimed		      ? 0 :
				 choice->want == SLUICE_WAL_SYNC_LINK ? 32 * choice->link_ns :
									32 * choice->dsync_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_probe__every_commit_is_waited_for),
		cmocka_unit_test(test_wal_probe__waits_as_the_engine_does),
		cmocka_unit_test(test_wal_probe__a_slow_disk_is_timed_less_often),
		cmocka_unit_test(test_wal_probe__errors_end_it),
		cmocka_unit_test(test_wal_probe__percentiles),
		cmocka_unit_test(test_wal_probe__the_lower_p99_is_chosen_and_both_are_said),
	};

	return cmocka_run_group_tests_name("wal_probe", tests, NULL, NULL);
}
