/* SPDX-License-Identifier: MIT */
/*
 * proc.c - readers of /proc. The formats are the kernel's; a line that does not parse is skipped,
 * a file that does not open is the caller's error to judge. Keeps no state, leaves nothing.
 */
#include "shm/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_TICKS_FIELD 22
#define STATE_FIELD 3 /* the first one after the command, which may hold blanks and brackets */

/* Reads a small file of /proc whole; the text ends in NUL. */
static int read_text(const char *path, char *text, size_t bytes)
{
	FILE *file = fopen(path, "re");
	size_t got;

	if (!file)
		return -errno;
	got = fread(text, 1, bytes - 1, file);
	fclose(file);
	text[got] = '\0';
	return got ? 0 : -EIO;
}

/* Reads the file into `text`; *ret_state is in it, at the first field after the command. */
static int read_stat(pid_t pid, char *text, size_t bytes, const char **ret_state)
{
	char path[64];
	char *at;
	int err;

	/* our own pid may mean another process in the namespace that /proc was mounted in */
	if (pid == getpid())
		snprintf(path, sizeof(path), "/proc/self/stat");
	else
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	err = read_text(path, text, bytes);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	at = strrchr(text, ')');
	if (!at || at[1] != ' ')
		return -EIO;
	*ret_state = at + 2;
	return 0;
}

int sluice_proc_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	const char *at;
	char text[1024];
	int err = read_stat(pid, text, sizeof(text), &at);

	if (err)
		return err;
	for (int field = STATE_FIELD; field < START_TICKS_FIELD; field++) {
		at = strchr(at, ' ');
		if (!at++)
			return -EIO;
	}
	*ret_ticks = strtoull(at, NULL, 10);
	return 0;
}

/* /proc adds the time namespace's offset to the start ticks. -EACCES: another user's process. */
static int time_namespace(const char *who, uint64_t *ret_inode)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/time", who);
	if (stat(path, &st))
		return -errno;
	*ret_inode = st.st_ino;
	return 0;
}

/* False if we cannot tell which process a pid of ours means in /proc. */
static bool knows_namespace(uint64_t pidns)
{
	char self[16] = "";
	uint64_t own = 0;

	return !sluice_proc_pid_namespace(&own) && own == pidns &&
	       readlink("/proc/self", self, sizeof(self) - 1) > 0 &&
	       strtol(self, NULL, 10) == getpid();
}

enum sluice_process sluice_proc_look(pid_t pid, uint64_t start_ticks, uint64_t pidns)
{
	uint64_t ours = 0, theirs = 0, ticks;
	const char *state;
	char text[1024];
	char who[16];
	int err;

	if (pid <= 0 || !knows_namespace(pidns))
		return SLUICE_PROCESS_UNKNOWN;
	err = read_stat(pid, text, sizeof(text), &state);
	if (err == -ESRCH)
		return SLUICE_PROCESS_GONE;
	if (err || !start_ticks || sluice_proc_start_ticks(pid, &ticks))
		return SLUICE_PROCESS_UNKNOWN;
	snprintf(who, sizeof(who), "%d", (int)pid);
	if (ticks != start_ticks)
		return !time_namespace("self", &ours) && !time_namespace(who, &theirs) &&
				       ours == theirs ?
			       SLUICE_PROCESS_GONE :
			       SLUICE_PROCESS_UNKNOWN;
	return *state == 'T' || *state == 't' ? SLUICE_PROCESS_STOPPED : SLUICE_PROCESS_RUNS;
}

int sluice_proc_pid_namespace(uint64_t *ret_inode)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st))
		return -errno;
	*ret_inode = st.st_ino;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int sluice_proc_boot_id(uint8_t ret_id[16])
{
	uint8_t id[16];
	char text[64];
	size_t nibbles = 0;
	int err = read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text));

	if (err)
		return err;
	memset(id, 0, sizeof(id));
	for (const char *at = text; *at && nibbles < 32; at++) {
		const int digit = hex_digit(*at);

		if (digit < 0)
			continue;
		id[nibbles / 2] = (uint8_t)(id[nibbles / 2] << 4 | digit);
		nibbles++;
	}
	if (nibbles != 32)
		return -EIO;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

int sluice_proc_read_u64(const char *path, uint64_t *ret_value)
{
	char text[64];
	char *end;
	uint64_t value;
	int err = read_text(path, text, sizeof(text));

	if (err)
		return err;
	value = strtoull(text, &end, 10);
	if (end == text)
		return -EIO;
	*ret_value = value;
	return 0;
}

/* Adds what one line of smaps says of a mapping that lies in the range. */
static void add_line(const char *line, struct sluice_range_pages *pages)
{
	char key[32];
	uint64_t kib;

	if (sscanf(line, "%31[A-Za-z_]: %" SCNu64 " kB", key, &kib) != 2)
		return;
	if (!strcmp(key, "KernelPageSize"))
		pages->kernel_page_bytes = (uint32_t)(kib * 1024);
	else if (!strcmp(key, "ShmemPmdMapped"))
		pages->shmem_pmd_bytes += kib * 1024;
	else if (!strcmp(key, "Shared_Hugetlb") || !strcmp(key, "Private_Hugetlb"))
		pages->hugetlb_bytes += kib * 1024;
}

int sluice_proc_range_pages(const void *base, uint64_t bytes, struct sluice_range_pages *ret_pages)
{
	const uint64_t first = (uint64_t)(uintptr_t)base;
	struct sluice_range_pages pages = {0};
	FILE *file = fopen("/proc/self/smaps", "re");
	char *line = NULL;
	size_t room = 0;
	bool inside = false;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0) {
		uint64_t start;
		uint64_t end;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start >= first && end <= first + bytes;
		else if (inside)
			add_line(line, &pages);
	}
	free(line);
	fclose(file);
	if (!pages.kernel_page_bytes)
		return -ENOENT;
	*ret_pages = pages;
	return 0;
}
