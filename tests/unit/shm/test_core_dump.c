/* SPDX-License-Identifier: MIT */
/* A process that dumps core counts as alive until the core is written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "tests/unit/shm/identity_fixture.h"

#define CORE_BYTES (96u << 20)

static void dump_core(const char *dir)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	char *memory;

	fixture_default_signals();
	hold();
	if (chdir(dir) || setrlimit(RLIMIT_CORE, &all) || prctl(PR_SET_DUMPABLE, 1))
		_exit(FIXTURE_SKIP);
	memory = malloc(CORE_BYTES);
	check(memory);
	memset(memory, 1, CORE_BYTES);
	abort();
}

/* The core file in the directory, whatever it is called; its size. */
static off_t core_bytes(const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *found;
	off_t bytes = 0;

	while (stream && (found = readdir(stream))) {
		struct stat st;

		if (!fstatat(dirfd(stream), found->d_name, &st, 0) && S_ISREG(st.st_mode))
			bytes = st.st_size;
	}
	if (stream)
		closedir(stream);
	return bytes;
}

static void remove_core(const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *found;

	while (stream && (found = readdir(stream)))
		unlinkat(dirfd(stream), found->d_name, 0);
	if (stream)
		closedir(stream);
	rmdir(dir);
}

/* While a core is written the process cannot store any more, and still counts as alive. */
static void test_core_dump__byte_is_held_until_the_core_is_written(void **state)
{
	char dir[] = "/tmp/sluice-core.XXXXXX";
	char pattern[128] = "|";
	const int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	uint32_t held_while_dumping = 0;
	off_t when_freed;
	siginfo_t info;
	pid_t pid;
	int status;

	(void)state;
	if (fd >= 0) {
		const ssize_t got = read(fd, pattern, sizeof(pattern) - 1);

		close(fd);
		pattern[got > 0 ? got : 0] = '\0';
	}
	skip_if(*pattern == '|' || strchr(pattern, '/'), "cores go to a program or another place");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip_if(true, "a sanitizer's shadow memory makes cores of terabytes");
#endif
	assert_non_null(mkdtemp(dir));
	fflush(NULL);
	pid = fork();
	if (!pid)
		dump_core(dir);
	memset(&info, 0, sizeof(info));
	while (!core_bytes(dir) && !info.si_pid) {
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG);
		usleep(100);
	}
	while (sluice_liveness_probe(&watched, BYTE) == 1) {
		held_while_dumping++;
		usleep(200);
	}
	when_freed = core_bytes(dir);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) || !WCOREDUMP(status)) {
		remove_core(dir);
		skip_if(true, "no core dumps here");
	}
	print_message("held at %u looks while %lld KiB were written\n", held_while_dumping,
		      (long long)core_bytes(dir) / 1024);
	assert_int_equal(when_freed, core_bytes(dir));
	assert_true(when_freed >= (off_t)CORE_BYTES);
	remove_core(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		identity_test(test_core_dump__byte_is_held_until_the_core_is_written),
	};

	return cmocka_run_group_tests_name("core_dump", tests, fixture_setup, fixture_teardown);
}
