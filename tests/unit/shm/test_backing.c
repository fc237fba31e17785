/* SPDX-License-Identifier: MIT */
/* The rungs of POSIX shm: a mount that gives huge pages, MADV_COLLAPSE, small ones, shortages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "shm/backing.h"
#include "shm/numa.h"
#include "tests/unit/shm/pages_fixture.h"

/* ----------------------------------------------------------------------- transparent pages */

static void test_backing__off_means_small_pages(void **state)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	struct sluice_segment segment;
	uint64_t bytes;
	uint32_t page;

	(void)state;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.header.backing, SLUICE_BACKING_SHM_SMALL);
	assert_int_equal(segment.header.page_bytes, 4096);
	assert_int_equal(segment.total_bytes % 4096, 0);
	assert_true(segment.total_bytes < HUGE);
	assert_int_equal(sluice_segment_huge_bytes(&segment, &bytes, &page), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(page, 4096);
	assert_string_equal(sluice_segment_note(&segment), "");
	sluice_segment_close(&segment);
}

/* Asked without the code under test. */
static bool kernel_collapses(void)
{
	const int fd = open(fixture_dir, O_TMPFILE | O_RDWR, 0600);
	struct sluice_range_pages pages = {0};
	uint8_t *base;

	assert_return_code(ftruncate(fd, HUGE), errno);
	base = sluice_backing_map(fd, HUGE, PROT_READ | PROT_WRITE);
	memset(base, 1, HUGE);
	for (int i = 0; i < 8 && madvise(base, HUGE, 25 /* MADV_COLLAPSE */); i++)
		usleep(1000);
	memset(base, 2, HUGE);
	assert_int_equal(sluice_proc_range_pages(base, HUGE, &pages), 0);
	munmap(base, HUGE);
	close(fd);
	return pages.shmem_pmd_bytes == HUGE;
}

static void test_backing__collapse(void **state)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_PREFER);
	struct sluice_segment segment;
	struct sluice_segment reader;
	uint64_t bytes;
	uint32_t page;

	(void)state;
	if (!kernel_collapses()) {
		print_message("skip: %s: this kernel does not collapse shared memory\n", __func__);
		skip();
	}
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.total_bytes % HUGE, 0);
	assert_int_equal(segment.header.backing, SLUICE_BACKING_SHM_COLLAPSE);
	assert_int_equal(segment.header.huge_bytes, segment.total_bytes);
	assert_int_equal(segment.header.page_bytes, HUGE);
	assert_string_equal(sluice_segment_note(&segment), "");
	assert_int_equal(sluice_segment_huge_bytes(&segment, &bytes, &page), 0);
	assert_int_equal(bytes, segment.total_bytes);
	assert_int_equal(sluice_segment_attach(&reader, "b.cmd", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(sluice_segment_huge_bytes(&reader, &bytes, &page), 0);
	assert_int_equal(bytes, reader.total_bytes);
	assert_int_equal(page, HUGE);
	sluice_segment_close(&reader);
	sluice_segment_close(&segment);
}

static void thp_disabled(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_PREFER);
	struct sluice_segment segment;
	struct sluice_diag diag = {.text = "untouched"};

	need_pool(arg, 0);
	check(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing == SLUICE_BACKING_SHM_SMALL);
	check(segment.header.page_bytes == 4096 && segment.header.huge_bytes == 0);
	check(!strcmp(sluice_segment_note(&segment),
		      "b.cmd: 4 KiB pages (hugetlbfs: pool has 0 free of 0; try: "
		      "sudo sysctl -w vm.nr_hugepages=1 && sudo mkdir -p /dev/hugepages && "
		      "sudo mount -t hugetlbfs -o pagesize=2M none /dev/hugepages)"));
	check(!strcmp(diag.text, "untouched"));
}

static void test_backing__thp_refused_falls_to_small_and_says_so(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(thp_disabled, __func__), 0);
}

static void on_huge_tmpfs(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_PREFER);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	fixture_private_mounts(arg);
	if (mount("none", mount_dir, "tmpfs", 0, "huge=advise,size=64m")) {
		printf("skip: %s: no tmpfs with huge=advise: %s\n", (char *)arg, strerror(errno));
		fflush(stdout);
		_exit(FIXTURE_SKIP);
	}
	setenv("SLUICE_SHM_DIR", mount_dir, 1);
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing == SLUICE_BACKING_SHM_HUGE);
	check(segment.header.huge_bytes == segment.total_bytes);
	sluice_segment_close(&segment);
	check(!sluice_segment_unlink("b.cmd", &diag));
	options.hugepages = SLUICE_HUGEPAGES_OFF;
	options.slot_count = 65536; /* large enough for a huge page */
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing == SLUICE_BACKING_SHM_SMALL);
	check(segment.header.huge_bytes == 0);
}

static void test_backing__mount_gives_huge_pages(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(on_huge_tmpfs, __func__), 0);
}

/* ------------------------------------------------------------------------------- shortages */

static void need_tmpfs(const char *test, const char *options)
{
	fixture_private_mounts(test);
	if (mount("none", mount_dir, "tmpfs", 0, options)) {
		printf("skip: %s: cannot mount a tmpfs: %s\n", test, strerror(errno));
		fflush(stdout);
		_exit(FIXTURE_SKIP);
	}
	setenv("SLUICE_SHM_DIR", mount_dir, 1);
}

static void on_full_tmpfs(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_tmpfs(arg, "size=1m");
	options.slot_count = 65536;
	check(sluice_segment_create(&segment, &options, &diag) == -ENOSPC);
	check(strstr(diag.text, "has 1024 KiB free") && strstr(diag.text, "--shm-size=5m"));
	check(strstr(diag.hint, "sudo mount -o remount,size=5M"));
	check(files_in(mount_dir) == 0);
	options.hugepages = SLUICE_HUGEPAGES_PREFER;
	check(sluice_segment_create(&segment, &options, &diag) == -ENOSPC);
	check(files_in(mount_dir) == 0);
	/* a small one fits */
	options.slot_count = 64;
	options.hugepages = SLUICE_HUGEPAGES_OFF;
	check(!sluice_segment_create(&segment, &options, &diag));
}

static void test_backing__tmpfs_too_small(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(on_full_tmpfs, __func__), 0);
}

/* Room that is there when asked for and gone when taken: the fault's error. */
static void filled_meanwhile(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	uint32_t refused = 0;
	char filler[128];
	pid_t pid;
	int fd;

	need_tmpfs(arg, "size=6m");
	snprintf(filler, sizeof(filler), "%s/filler", mount_dir);
	options.slot_count = 65536;
	fd = open(filler, O_CREAT | O_RDWR, 0600);
	check(fd >= 0);
	pid = fork();
	if (!pid) {
		fixture_default_signals();
		for (;;) {
			check(!ftruncate(fd, 0));
			usleep(400);
			(void)!fallocate(fd, 0, 0, 3 << 20);
			usleep(100);
		}
	}
	for (int i = 0; i < 150; i++) {
		struct sluice_segment segment;
		struct sluice_diag diag = {0};
		const int err = sluice_segment_create(&segment, &options, &diag);

		check(!err || err == -ENOSPC);
		check(!err || strstr(diag.text, "KiB free"));
		refused += err != 0;
		if (!err) {
			memset(segment.slots, 1, 65536 * 64);
			sluice_segment_close(&segment);
			check(!sluice_segment_unlink("b.cmd", NULL));
		}
		check(files_in(mount_dir) == 1);
	}
	fixture_kill(pid);
	printf("%u of 150 creations were refused\n", refused);
	fflush(stdout);
}

static void test_backing__tmpfs_fills_up_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(filled_meanwhile, __func__), 0);
}

static void without_memlock(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	const struct rlimit none = {0, 0};
	struct sluice_segment segment;

	(void)arg;
	check(!setrlimit(RLIMIT_MEMLOCK, &none));
	check(!chmod(fixture_dir, 01777));
	check(geteuid() != 0 || (!setgid(FIXTURE_OTHER_UID) && !setuid(FIXTURE_OTHER_UID)));
	check(!sluice_segment_create(&segment, &options, NULL));
	check(!sluice_segment_unlink("b.cmd", NULL));
}

static void test_backing__memlock_limit_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(fixture_run(without_memlock, NULL), 0);
	chmod(fixture_dir, 0755);
}

static void without_descriptors(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	struct rlimit limit;

	(void)arg;
	check(!getrlimit(RLIMIT_NOFILE, &limit));
	for (rlim_t free_slots = 0; free_slots < 4; free_slots++) {
		struct sluice_segment segment;
		struct sluice_diag diag = {0};
		const int lowest = open("/dev/null", O_RDONLY);
		int err;

		close(lowest);
		limit.rlim_cur = (rlim_t)lowest + free_slots;
		check(!setrlimit(RLIMIT_NOFILE, &limit));
		err = sluice_segment_create(&segment, &options, &diag);
		check(err < 0 && diag.text[0]);
		limit.rlim_cur = limit.rlim_max;
		check(!setrlimit(RLIMIT_NOFILE, &limit));
		check(fixture_files(false) == 0);
	}
}

static void test_backing__no_descriptors_leave_nothing(void **state)
{
	(void)state;
	assert_int_equal(fixture_run(without_descriptors, NULL), 0);
}

/* ------------------------------------------------------------------------------ small parts */

static void test_backing__mapping_is_congruent_with_huge_pages(void **state)
{
	(void)state;
	for (uint64_t bytes = 4096; bytes < 3 * HUGE; bytes += 100 * 4096) {
		uint8_t *base = sluice_backing_map(-1, bytes, PROT_READ | PROT_WRITE);

		assert_non_null(base);
		assert_int_equal((uintptr_t)base % HUGE, 0);
		sluice_backing_touch(base, bytes);
		base[bytes - 1] = 1;
		/* nothing of the reservation is left behind it */
		assert_int_equal(msync(base + bytes, 4096, MS_ASYNC), -1);
		assert_int_equal(munmap(base, bytes), 0);
	}
}

static void test_backing__populate_reports_what_cannot_be_had(void **state)
{
	const int fd = memfd_create("hole", MFD_CLOEXEC);
	uint8_t *base;

	(void)state;
	assert_int_equal(ftruncate(fd, 8192), 0);
	base = sluice_backing_map(fd, 16384, PROT_READ | PROT_WRITE);
	assert_int_equal(sluice_backing_populate(base, 8192, true), 0);
	assert_int_equal(sluice_backing_populate(base, 16384, true), -EFAULT);
	assert_int_equal(sluice_backing_populate(base, 16384, false), -EFAULT);
	munmap(base, 16384);
	close(fd);
}

static void test_backing__names(void **state)
{
	(void)state;
	assert_string_equal(sluice_backing_name(SLUICE_BACKING_HUGETLBFS), "hugetlbfs");
	assert_string_equal(sluice_backing_name(SLUICE_BACKING_SHM_SMALL), "shm-small");
	assert_string_equal(sluice_backing_name(77), "unknown");
}

static void test_backing__node_is_recorded(void **state)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_OFF);
	struct sluice_segment segment;
	int32_t node = -5;

	(void)state;
	assert_int_equal(sluice_numa_choose(-1, &node, NULL), 0);
	assert_true(node >= 0);
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.header.numa_node, node);
	assert_int_equal(sluice_numa_where(segment.base, segment.total_bytes, 4096), node);
	sluice_segment_close(&segment);
}

#define backing_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		backing_test(test_backing__off_means_small_pages),
		backing_test(test_backing__collapse),
		backing_test(test_backing__thp_refused_falls_to_small_and_says_so),
		backing_test(test_backing__mount_gives_huge_pages),
		backing_test(test_backing__tmpfs_too_small),
		backing_test(test_backing__tmpfs_fills_up_meanwhile),
		backing_test(test_backing__memlock_limit_is_no_error),
		backing_test(test_backing__no_descriptors_leave_nothing),
		backing_test(test_backing__mapping_is_congruent_with_huge_pages),
		backing_test(test_backing__populate_reports_what_cannot_be_had),
		backing_test(test_backing__names),
		backing_test(test_backing__node_is_recorded),
	};

	return cmocka_run_group_tests_name("backing", tests, group_setup, group_teardown);
}
