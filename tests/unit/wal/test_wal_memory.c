/* SPDX-License-Identifier: MIT */
/*
 * test_wal_memory.c - a log is opened, read, followed, looked at and cut with no memory, a little,
 * and a little more each time until it is enough: each time but the last the caller is told so.
 */
#include "tests/unit/wal/damage_stage.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "engine/wal/follower.h"
#include "engine/wal/reader.h"

#define STEP_BYTES 4096u
#define STEPS_MAX 1000u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif
#define skip_where_memory_is_not_ours()                                                            \
	do {                                                                                       \
		if (!SANITIZED)                                                                    \
			break;                                                                     \
		print_message("skip: %s: a sanitizer needs memory of its own\n", __func__);        \
		skip();                                                                            \
	} while (0)

struct hog {
	struct hog *next;
};

static struct damage_stage stage;
static struct sluice_diag diag;

static int clean_up(void **state)
{
	(void)state;
	damage_release(&stage);
	return 0;
}

static size_t mapped_bytes(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoul(text, NULL, 10) * (size_t)getpagesize();
}

static void allow(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_AS, &limit);
}

/* All that malloc still has, so that the next one needs the kernel. */
static struct hog *take_all(void)
{
	struct hog *all = NULL, *more;

	for (size_t bytes = 65536; bytes >= 256; bytes /= 2)
		while ((more = malloc(bytes)) != NULL) {
			more->next = all;
			all = more;
		}
	return all;
}

static void give_all(struct hog *all)
{
	while (all) {
		struct hog *next = all->next;

		free(all);
		all = next;
	}
}

typedef int attempt(struct sluice_wal_io *io);

/* How often memory was short before it was enough. */
static uint32_t starve(attempt *try, int enough)
{
	uint32_t n = 0;
	int ret = -ENOMEM;

	while (ret == -ENOMEM) {
		struct sluice_wal_io *io = mem_disk_io(&stage.disk);
		const size_t now = mapped_bytes();
		struct hog *all;

		diag = (struct sluice_diag){.text = ""};
		allow(now);
		all = take_all();
		allow(now + (size_t)n * STEP_BYTES);
		ret = try(io);
		give_all(all);
		allow(RLIM_INFINITY);
		assert_true(ret != -ENOMEM || strstr(diag.text, "memory"));
		assert_true(++n < STEPS_MAX);
	}
	assert_int_equal(ret, enough);
	return n - 1;
}

static int try_open(struct sluice_wal_io *io)
{
	struct sluice_wal *wal;
	const int ret = sluice_wal_open_io(&wal, io, NULL, &diag);

	return ret ? ret : sluice_wal_close(wal, false, NULL);
}

static int try_read(struct sluice_wal_io *io)
{
	struct sluice_wal_reader *reader;
	const int ret = sluice_wal_reader_open_io(&reader, io, &diag);

	if (!ret)
		sluice_wal_reader_close(reader);
	return ret;
}

static int try_follow(struct sluice_wal_io *io)
{
	struct sluice_follower *follower;
	const int ret = sluice_follower_open(&follower, io, NULL, &diag);

	if (!ret)
		sluice_follower_close(follower);
	return ret;
}

static int try_cut(struct sluice_wal_io *io)
{
	struct sluice_wal_loss loss;

	return sluice_wal_truncate_io(io, stage.backup, &loss, &diag);
}

static void test_wal_memory__is_short_for_those_who_only_read(void **state)
{
	(void)state;
	skip_where_memory_is_not_ours();
	damage_make(&stage, DAMAGE_NONE);
	assert_true(starve(try_open, 0) >= 2);
	assert_true(starve(try_read, 0) >= 2);
	assert_true(starve(try_follow, 0) >= 3);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

static void test_wal_memory__is_short_for_a_cut(void **state)
{
	int fd;

	(void)state;
	skip_where_memory_is_not_ours();
	damage_make(&stage, DAMAGE_PAYLOAD);
	/* enough is when it comes to the backup, and that is there */
	fd = open(stage.backup, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(starve(try_cut, -EEXIST) >= 2);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

static struct sluice_wal_io_ops patched;
static const struct sluice_wal_io_ops *real;
static struct hog *taken;

/* All that a look at the log needs is there by now; what comes after it finds nothing. */
static int lock_and_take_all(struct sluice_wal_io *io, enum sluice_wal_io_part part,
			     uint64_t wait_ns, struct sluice_diag *why)
{
	if (!taken) {
		allow(mapped_bytes());
		taken = take_all();
	}
	return real->lock(io, part, wait_ns, why);
}

static void test_wal_memory__is_short_for_the_block_that_cuts(void **state)
{
	struct sluice_wal_loss loss;
	struct sluice_wal_io *io;
	int ret;

	(void)state;
	skip_where_memory_is_not_ours();
	damage_make(&stage, DAMAGE_PAYLOAD);
	io = mem_disk_io(&stage.disk);
	real = io->ops;
	patched = *real;
	patched.lock = lock_and_take_all;
	io->ops = &patched;
	ret = sluice_wal_truncate_io(io, stage.backup, &loss, &diag);
	assert_non_null(taken);
	give_all(taken);
	taken = NULL;
	allow(RLIM_INFINITY);
	assert_int_equal(ret, -ENOMEM);
	assert_non_null(strstr(diag.text, "no memory for a block"));
	assert_int_equal(access(stage.backup, F_OK), -1);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

static int sync_and_take_all(struct sluice_wal_io *io, uint32_t file)
{
	const int ret = real->sync(io, file);

	if (file == SLUICE_WAL_FILE_SNAPSHOT + 1 && !taken) {
		allow(mapped_bytes());
		taken = take_all();
	}
	return ret;
}

/* The older one's file is given up by then; the newest one is as good as before. */
static void test_wal_memory__is_short_for_a_followers_snapshot(void **state)
{
	const struct sluice_follower_options often = {.every_bytes = 1};
	struct sluice_wal_io *io;
	struct sluice_follower *follower = NULL;
	struct sluice_wal *wal = NULL;
	int ret = 1;

	(void)state;
	skip_where_memory_is_not_ours();
	damage_make(&stage, DAMAGE_NONE);
	io = mem_disk_io(&stage.disk);
	real = io->ops;
	patched = *real;
	patched.sync = sync_and_take_all;
	io->ops = &patched;
	assert_int_equal(sluice_follower_open(&follower, io, &often, &diag), 0);
	for (int i = 0; ret > 0 && i < 100; i++)
		ret = sluice_follower_step(follower, &diag);
	give_all(taken);
	taken = NULL;
	allow(RLIM_INFINITY);
	sluice_follower_close(follower);
	assert_int_equal(ret, -ENOMEM);
	assert_non_null(strstr(diag.text, "snapshot 3 in snap-1: Cannot allocate memory"));
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, &diag), 0);
	assert_int_equal(wal->position.snapshot, 2);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static void test_wal_memory__is_short_for_a_snapshot(void **state)
{
	struct sluice_snapshot_writer writer;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal_place place;
	struct sluice_wal *wal = NULL;
	struct hog *all;
	int ret;

	(void)state;
	skip_where_memory_is_not_ours();
	damage_make(&stage, DAMAGE_NONE);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	sluice_wal_chain_place(&wal->chain, life.sink.report_next, life.sink.md_next, &place);
	allow(mapped_bytes());
	all = take_all();
	ret = sluice_snapshot_begin(&writer, wal->io, &wal->super, 3, life.core, &place);
	give_all(all);
	allow(RLIM_INFINITY);
	assert_int_equal(ret, -ENOMEM);
	sluice_snapshot_end(&writer);
	assert_int_equal(wal_life_close(&life, false), 0);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_memory__is_short_for_those_who_only_read,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_memory__is_short_for_a_cut, clean_up),
		cmocka_unit_test_teardown(test_wal_memory__is_short_for_the_block_that_cuts,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_memory__is_short_for_a_snapshot, clean_up),
		cmocka_unit_test_teardown(test_wal_memory__is_short_for_a_followers_snapshot,
					  clean_up),
	};

	return cmocka_run_group_tests_name("wal_memory", tests, NULL, NULL);
}
