/* SPDX-License-Identifier: MIT */
/* The rung of hugetlbfs and its failures: an empty pool, a missing, small or foreign mount. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shm/pages_fixture.h"

static void on_hugetlbfs(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_segment reader;
	struct sluice_segment other;
	struct sluice_diag diag = {0};
	struct sluice_gc_result result;
	uint64_t bytes;
	uint32_t page;

	need_pool(arg, 6);
	need_hugetlbfs(arg, "pagesize=2M");
	options.slot_count = 65536; /* 4 MiB of slots: 3 pages */
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing == SLUICE_BACKING_HUGETLBFS);
	check(segment.header.page_bytes == HUGE && segment.total_bytes == 3 * HUGE);
	check(segment.header.huge_bytes == segment.total_bytes);
	check(!strncmp(segment.path, mount_dir, strlen(mount_dir)));
	check(!strncmp(segment.lock_path, fixture_dir, strlen(fixture_dir)));
	check(!*sluice_segment_note(&segment));
	check(meminfo("HugePages_Free") == 3 && meminfo("HugePages_Rsvd") == 0);
	check(!sluice_segment_attach(&reader, "b.cmd", SLUICE_ACCESS_READ, &diag));
	check(!sluice_segment_huge_bytes(&reader, &bytes, &page));
	check(bytes == 3 * HUGE && page == HUGE);
	segment.slots[5] = 9;
	check(reader.slots[5] == 9);
	/* the same name elsewhere counts as taken */
	options.hugepages = SLUICE_HUGEPAGES_OFF;
	check(sluice_segment_create(&other, &options, &diag) == -EEXIST);
	sluice_segment_close(&reader);
	sluice_segment_close(&segment);
	check(meminfo("HugePages_Free") == 3);
	check(!sluice_segment_gc(NULL, false, NULL, NULL, &result, &diag));
	check(result.stale == 1 && result.stale_bytes == 3 * HUGE);
	check(meminfo("HugePages_Free") == 6);
	check(files_in(mount_dir) == 0 && fixture_files(false) == 0);
}

static void test_hugetlb__hugetlbfs_file(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(on_hugetlbfs, __func__), 0);
}

static void on_empty_pool(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 0);
	need_hugetlbfs(arg, "pagesize=2M");
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(!strcmp(diag.text, "cannot reserve 1 huge pages of 2 MiB for segment \"b.cmd\": "
				 "pool has 0 free of 0 (ENOMEM)"));
	check(!strcmp(diag.hint, "sudo sysctl -w vm.nr_hugepages=1"));
	check(files_in(mount_dir) == 0 && fixture_files(false) == 0);
	setenv("SLUICE_HUGETLB_DIR", "/nonexistent", 1);
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(!strcmp(diag.hint,
		      "sudo sysctl -w vm.nr_hugepages=1 && sudo mkdir -p /dev/hugepages && "
		      "sudo mount -t hugetlbfs -o pagesize=2M none /dev/hugepages"));
}

static void test_hugetlb__empty_pool_names_the_command(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(on_empty_pool, __func__), 0);
}

static void short_by_one(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 3);
	need_hugetlbfs(arg, "pagesize=2M");
	options.slot_count = 65536 + 32768 - 4096; /* not a power of two: refused before any page */
	check(sluice_segment_create(&segment, &options, &diag) == -EINVAL);
	options.slot_count = 131072; /* 8 MiB: 5 pages */
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(strstr(diag.text, "5 huge pages") && strstr(diag.text, "3 free of 3"));
	check(!strcmp(diag.hint, "sudo sysctl -w vm.nr_hugepages=5"));
	check(meminfo("HugePages_Free") == 3 && meminfo("HugePages_Rsvd") == 0);
	check(files_in(mount_dir) == 0 && fixture_files(false) == 0);
	/* what the hint says does help */
	check(set_pool(5));
	check(!sluice_segment_create(&segment, &options, &diag));
	sluice_segment_close(&segment);
	check(!sluice_segment_unlink("b.cmd", &diag));
	check(meminfo("HugePages_Free") == 5);
}

/* What others use counts: the hint is for the pool's total. */
static void partly_used(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment small;
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 3);
	need_hugetlbfs(arg, "pagesize=2M");
	check(!sluice_segment_create(&small, &options, &diag));
	options.name = "b.rep";
	options.slot_count = 131072;
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(strstr(diag.text, "2 free of 3"));
	check(!strcmp(diag.hint, "sudo sysctl -w vm.nr_hugepages=6"));
	check(set_pool(6));
	check(!sluice_segment_create(&segment, &options, &diag));
	sluice_segment_close(&segment);
	sluice_segment_close(&small);
	check(!sluice_segment_unlink("b.rep", &diag) && !sluice_segment_unlink("b.cmd", &diag));
}

static void test_hugetlb__hint_counts_pages_in_use(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(partly_used, __func__), 0);
}

static void test_hugetlb__pool_too_small(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(short_by_one, __func__), 0);
}

static void without_mount(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 2);
	setenv("SLUICE_HUGETLB_DIR", "/nonexistent", 1);
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(strstr(diag.text, "no hugetlbfs with pages of 2 MiB is mounted"));
	check(!strcmp(diag.hint, "sudo mkdir -p /dev/hugepages && sudo mount -t hugetlbfs "
				 "-o pagesize=2M none /dev/hugepages"));
	/* a private segment needs no mount */
	options.name = NULL;
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.huge_bytes == HUGE && segment.header.page_bytes == HUGE);
	check(segment.header.backing == SLUICE_BACKING_PRIVATE);
	check(meminfo("HugePages_Free") == 1);
	sluice_segment_close(&segment);
	check(meminfo("HugePages_Free") == 2);
}

static void test_hugetlb__missing_mount(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(without_mount, __func__), 0);
}

static void mount_found(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_PREFER);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 2);
	need_hugetlbfs(arg, "pagesize=2M");
	unsetenv("SLUICE_HUGETLB_DIR"); /* found in /proc/self/mounts */
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing == SLUICE_BACKING_HUGETLBFS);
	sluice_segment_close(&segment);
	check(!sluice_segment_unlink("b.cmd", &diag));
	check(meminfo("HugePages_Free") == 2);
}

static void test_hugetlb__mount_is_found(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(mount_found, __func__), 0);
}

/* The pool has pages, the mount does not: mmap refuses after the file was made. */
static void small_mount(void *arg)
{
	struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 5);
	need_hugetlbfs(arg, "pagesize=2M,size=4M");
	options.slot_count = 65536;
	check(sluice_segment_create(&segment, &options, &diag) == -ENOMEM);
	check(strstr(diag.text, "limited by its size= option"));
	check(strstr(diag.hint, "sudo mount -o remount,size=6M"));
	check(meminfo("HugePages_Free") == 5 && meminfo("HugePages_Rsvd") == 0);
	check(files_in(mount_dir) == 0 && fixture_files(false) == 0);
	options.hugepages = SLUICE_HUGEPAGES_PREFER;
	check(!sluice_segment_create(&segment, &options, &diag));
	check(segment.header.backing != SLUICE_BACKING_HUGETLBFS);
	check(meminfo("HugePages_Free") == 5);
	sluice_segment_close(&segment);
}

static void test_hugetlb__mount_too_small(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(small_mount, __func__), 0);
}

static void as_nobody(void *arg)
{
	const struct sluice_segment_options options = options_with(SLUICE_HUGEPAGES_REQUIRE);
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	need_pool(arg, 2);
	need_hugetlbfs(arg, "pagesize=2M,mode=0755");
	check(!chmod(fixture_dir, 01777));
	check(!setgid(FIXTURE_OTHER_UID) && !setuid(FIXTURE_OTHER_UID));
	check(sluice_segment_create(&segment, &options, &diag) == -EACCES);
	check(strstr(diag.text, "cannot make a file in") && strstr(diag.text, "(EACCES)"));
	check(strstr(diag.hint, "sudo chown 12345:12345"));
	check(fixture_files(false) == 0);
}

static void test_hugetlb__mount_not_writable(void **state)
{
	(void)state;
	assert_int_equal(run_or_skip(as_nobody, __func__), 0);
	chmod(fixture_dir, 0755);
}

#define hugetlb_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		hugetlb_test(test_hugetlb__hugetlbfs_file),
		hugetlb_test(test_hugetlb__empty_pool_names_the_command),
		hugetlb_test(test_hugetlb__pool_too_small),
		hugetlb_test(test_hugetlb__hint_counts_pages_in_use),
		hugetlb_test(test_hugetlb__missing_mount),
		hugetlb_test(test_hugetlb__mount_is_found),
		hugetlb_test(test_hugetlb__mount_too_small),
		hugetlb_test(test_hugetlb__mount_not_writable),
	};

	return cmocka_run_group_tests_name("hugetlb", tests, group_setup, group_teardown);
}
