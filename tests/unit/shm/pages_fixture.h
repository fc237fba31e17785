/* SPDX-License-Identifier: MIT */
/*
 * pages_fixture.h - for the tests that need mounts or the machine's pool of huge pages: they run in
 * a child with a mount namespace of its own; the parent restores the pool.
 */
#ifndef SLUICE_TESTS_UNIT_SHM_PAGES_FIXTURE_H
#define SLUICE_TESTS_UNIT_SHM_PAGES_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/file.h>

#include "shm/proc.h"
#include "tests/unit/shm/segment_fixture.h"

#define POOL "/proc/sys/vm/nr_hugepages"
#define HUGE (2u << 20)

static uint64_t pool_before;
static char mount_dir[64];

static inline bool set_pool(uint64_t pages)
{
	FILE *file = fopen(POOL, "we");
	uint64_t now = 0;

	if (!file)
		return false;
	fprintf(file, "%lu\n", (unsigned long)pages);
	if (fclose(file))
		return false;
	return !sluice_proc_read_u64(POOL, &now) && now == pages;
}

static inline uint64_t meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "re");
	const size_t chars = strlen(key);
	char line[128];
	uint64_t value = UINT64_MAX;

	check(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, chars) && line[chars] == ':')
			value = strtoul(line + chars + 1, NULL, 10);
	fclose(file);
	return value;
}

/* The exit code; a child that skipped has printed the reason. */
static inline int run_or_skip(void (*body)(void *arg), const char *test)
{
	const int code = fixture_run(body, (void *)(uintptr_t)test);

	if (pool_before != UINT64_MAX)
		set_pool(pool_before);
	if (code == FIXTURE_SKIP)
		skip();
	return code;
}

static inline void need_pool(const char *test, uint64_t pages)
{
	fixture_private_mounts(test);
	if (geteuid() != 0 || pool_before == UINT64_MAX || !set_pool(pages)) {
		printf("skip: %s: cannot set the pool to %lu pages\n", test, (unsigned long)pages);
		fflush(stdout);
		_exit(FIXTURE_SKIP);
	}
}

static inline void need_hugetlbfs(const char *test, const char *options)
{
	if (mount("none", mount_dir, "hugetlbfs", 0, options)) {
		printf("skip: %s: cannot mount hugetlbfs: %s\n", test, strerror(errno));
		fflush(stdout);
		_exit(FIXTURE_SKIP);
	}
	setenv("SLUICE_HUGETLB_DIR", mount_dir, 1);
}

static inline uint32_t files_in(const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *found;
	uint32_t count = 0;

	check(stream);
	while ((found = readdir(stream)))
		count += strcmp(found->d_name, ".") && strcmp(found->d_name, "..");
	closedir(stream);
	return count;
}

static inline struct sluice_segment_options options_with(uint32_t policy)
{
	struct sluice_segment_options options = fixture_options("b.cmd");

	options.hugepages = policy;
	return options;
}

static inline int group_setup(void **state)
{
	const int pool_fd = open(POOL, O_RDONLY | O_CLOEXEC);

	/* one suite at a time moves the pool; the lock ends with the process */
	if (pool_fd < 0 || flock(pool_fd, LOCK_EX) || sluice_proc_read_u64(POOL, &pool_before))
		pool_before = UINT64_MAX;
	snprintf(mount_dir, sizeof(mount_dir), "/tmp/sluice-test.%d", (int)getpid());
	return mkdir(mount_dir, 0755) ? -1 : fixture_setup(state);
}

static inline int group_teardown(void **state)
{
	rmdir(mount_dir);
	return fixture_teardown(state);
}

#endif
