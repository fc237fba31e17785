/* SPDX-License-Identifier: MIT */
/* gc removes what nobody uses, and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/crc32c.h"
#include "tests/unit/shm/segment_fixture.h"

static char verdicts[1024];

static void note_verdict(const struct sluice_segment_entry *entry, const char *verdict, void *arg)
{
	(void)arg;
	snprintf(verdicts + strlen(verdicts), sizeof(verdicts) - strlen(verdicts), "%s=%s;",
		 entry->name, verdict);
}

static struct sluice_gc_result gc(const char *prefix, bool dry_run)
{
	struct sluice_gc_result result;

	verdicts[0] = '\0';
	assert_int_equal(sluice_segment_gc(prefix, dry_run, note_verdict, NULL, &result, NULL), 0);
	return result;
}

static struct sluice_segment make(const char *name)
{
	const struct sluice_segment_options options = fixture_options(name);
	struct sluice_segment segment;

	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	return segment;
}

static void touch(const char *file, char path[256])
{
	fixture_path(path, file);
	assert_return_code(close(open(path, O_CREAT | O_WRONLY, 0600)), errno);
}

static void test_gc__creator_keeps_its_segment(void **state)
{
	struct sluice_segment segment = make("mine");

	(void)state;
	assert_int_equal(gc(NULL, false).live, 1);
	assert_true(sluice_segment_is_named(&segment));
	sluice_segment_close(&segment);
	assert_int_equal(gc(NULL, false).stale, 1);
	assert_int_equal(fixture_files(false), 0);
}

static void test_gc__writer_keeps_a_segment_and_reader_does_not(void **state)
{
	struct sluice_segment segment = make("used");
	struct sluice_segment reader;
	struct sluice_segment writer;

	(void)state;
	sluice_segment_close(&segment);
	assert_int_equal(sluice_segment_attach(&reader, "used", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(sluice_segment_attach(&writer, "used", SLUICE_ACCESS_WRITE, NULL), 0);
	assert_int_equal(gc(NULL, false).live, 1);
	assert_string_equal(verdicts, "used=live;");
	assert_int_equal(sluice_liveness_probe(&reader, SLUICE_LOCK_ATTACHED), 1);
	sluice_segment_close(&writer);
	assert_int_equal(sluice_liveness_probe(&reader, SLUICE_LOCK_ATTACHED), 0);
	assert_int_equal(gc(NULL, false).stale, 1);
	assert_false(sluice_segment_is_named(&reader));
	assert_int_equal(reader.base[0], 0xff);
	sluice_segment_close(&reader);
}

static void test_gc__dry_run_removes_nothing(void **state)
{
	struct sluice_segment segment = make("dry");
	struct sluice_gc_result result;
	const uint64_t bytes = segment.total_bytes;
	char path[256];

	(void)state;
	sluice_segment_close(&segment);
	touch("cut.tmp.1.1", path);
	touch("lone.lk", path);
	result = gc(NULL, true);
	assert_int_equal(result.stale, 3);
	assert_int_equal(result.examined, 3);
	assert_int_equal(result.stale_bytes, bytes);
	assert_string_equal(verdicts, "cut=stale: a creation that was cut short;"
				      "dry=stale: nobody holds it;"
				      "lone=stale: a lock file without a segment;");
	assert_int_equal(fixture_files(false), 4);
	assert_int_equal(gc(NULL, false).stale, 3);
	assert_int_equal(fixture_files(false), 0);
}

static void test_gc__prefix_limits_it(void **state)
{
	struct sluice_segment one = make("a.cmd");
	struct sluice_segment two = make("b.cmd");

	(void)state;
	sluice_segment_close(&one);
	sluice_segment_close(&two);
	assert_int_equal(gc("a.", false).examined, 1);
	assert_int_equal(fixture_files(false), 2);
}

static void test_gc__earlier_boot_goes_without_a_lock_file(void **state)
{
	struct sluice_segment segment = make("old");
	struct sluice_header header = segment.header;
	int fd;

	(void)state;
	header.boot_id[5] ^= 0x55;
	header.header_crc = sluice_crc32c(0, &header, offsetof(struct sluice_header, header_crc));
	fd = open(segment.path, O_WRONLY);
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
	assert_int_equal(gc(NULL, false).live, 1);
	unlink(segment.lock_path);
	sluice_segment_close(&segment);
	assert_int_equal(gc(NULL, false).stale, 1);
	assert_string_equal(verdicts, "old=stale: left by an earlier boot;");
	assert_int_equal(fixture_files(false), 0);
}

static void test_gc__lost_lock_file_proves_nothing(void **state)
{
	struct sluice_segment segment = make("lost");
	char lock_path[256];

	(void)state;
	fixture_path(lock_path, "lost.lk");
	unlink(lock_path);
	assert_int_equal(gc(NULL, false).live, 1);
	assert_non_null(strstr(verdicts, "its lock file is missing"));
	assert_true(sluice_segment_is_named(&segment));
	sluice_segment_close(&segment);
	assert_int_equal(sluice_segment_unlink("lost", NULL), 0);
}

static void hold_creator_byte(void *arg)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET,
			     .l_start = SLUICE_LOCK_CREATOR, .l_len = 1};
	const int fd = open(arg, O_RDWR | O_CREAT, 0600);

	check(!fcntl(fd, F_OFD_SETLK, &lock));
}

static void test_gc__creation_under_way_is_live(void **state)
{
	char path[256];
	char lock_path[256];
	pid_t pid;

	(void)state;
	touch("new.tmp.1.1", path);
	fixture_path(lock_path, "new.lk");
	pid = fixture_start(hold_creator_byte, lock_path);
	assert_int_equal(gc(NULL, false).live, 2);
	assert_int_equal(gc(NULL, true).live, 2);
	assert_int_equal(fixture_files(false), 2);
	fixture_kill(pid);
	assert_int_equal(gc(NULL, false).stale, 2);
	assert_int_equal(fixture_files(false), 0);
}

static void test_gc__temporary_beside_a_live_segment(void **state)
{
	struct sluice_segment_options options = fixture_options("both");
	struct sluice_segment segment;
	struct sluice_gc_result result;
	struct stat st;
	char path[256];

	(void)state;
	options.mode = 0660;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	touch("both.tmp.7.7", path);
	result = gc(NULL, false);
	assert_int_equal(result.live, 1);
	assert_int_equal(result.stale, 1);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(sluice_segment_is_named(&segment));
	assert_int_equal(stat(segment.lock_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	sluice_segment_close(&segment);
}

static void gc_as_other(void *arg)
{
	struct sluice_gc_result result;

	(void)arg;
	check(!setgid(FIXTURE_OTHER_UID) && !setuid(FIXTURE_OTHER_UID));
	check(!sluice_segment_gc(NULL, false, note_verdict, NULL, &result, NULL));
	check(result.foreign == 2 && result.stale == 0 && result.examined == 2);
	check(strstr(verdicts, "foreign: another user's"));
}

static void test_gc__foreign_files_are_reported_once(void **state)
{
	struct sluice_segment segment = make("foreign");
	char path[256];

	(void)state;
	sluice_segment_close(&segment);
	fixture_path(path, "lane");
	assert_int_equal(mkdir(path, 0755), 0);
	if (geteuid() != 0) {
		print_message("skip: %s: only root can become another user\n", __func__);
		skip();
	}
	chmod(fixture_dir, 01777);
	assert_int_equal(fixture_run(gc_as_other, NULL), 0);
	chmod(fixture_dir, 0755);
	assert_int_equal(fixture_files(false), 3);
	assert_int_equal(gc(NULL, false).foreign, 1);
	assert_string_equal(verdicts, "foreign=stale: nobody holds it;"
				      "lane=foreign: not a regular file;");
}

/* An attachment succeeds whole or not at all while gc runs: never a mapping without a name. */
static void gc_for_ever(void *arg)
{
	(void)arg;
	fixture_default_signals();
	for (;;) {
		struct sluice_gc_result result;

		check(!sluice_segment_gc("race", false, NULL, NULL, &result, NULL));
		usleep(50);
	}
}

static void test_gc__never_takes_a_segment_from_under_an_attacher(void **state)
{
	const struct sluice_segment_options options = fixture_options("race");
	uint32_t attached = 0;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		gc_for_ever(NULL);
	for (int i = 0; i < 1500; i++) {
		struct sluice_segment created;
		struct sluice_segment segment;
		int err = sluice_segment_create(&created, &options, NULL);

		assert_int_equal(err, 0);
		sluice_segment_close(&created);
		err = sluice_segment_attach(&segment, "race", SLUICE_ACCESS_WRITE, NULL);
		if (err) {
			assert_int_equal(err, -ENOENT);
			continue;
		}
		attached++;
		assert_int_equal(sluice_liveness_hold(&segment, 0), 0);
		sched_yield();
		assert_true(sluice_segment_is_named(&segment));
		sluice_segment_close(&segment);
		sluice_segment_unlink("race", NULL);
	}
	fixture_kill(pid);
	print_message("%u of 1500 attached before gc\n", attached);
	gc("race", false);
	assert_int_equal(fixture_files(false), 0);
}

#define gc_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gc_test(test_gc__creator_keeps_its_segment),
		gc_test(test_gc__writer_keeps_a_segment_and_reader_does_not),
		gc_test(test_gc__dry_run_removes_nothing),
		gc_test(test_gc__prefix_limits_it),
		gc_test(test_gc__earlier_boot_goes_without_a_lock_file),
		gc_test(test_gc__lost_lock_file_proves_nothing),
		gc_test(test_gc__creation_under_way_is_live),
		gc_test(test_gc__temporary_beside_a_live_segment),
		gc_test(test_gc__foreign_files_are_reported_once),
		gc_test(test_gc__never_takes_a_segment_from_under_an_attacher),
	};

	return cmocka_run_group_tests_name("gc", tests, fixture_setup, fixture_teardown);
}
